//! A camera's two streams, shared by the two tasks of a channel. Each stream is pulled once,
//! however many readers it has.

use std::sync::Arc;

use ivt_hal::{Encoder, Stream};
use ivt_media::pull::{Pull, PullConfig};

use super::opener::{EncoderOpener, Terms};

/// The main and the sub stream, pulled while somebody reads them.
pub(super) struct Streams {
    main: Arc<Pull>,
    sub: Arc<Pull>,
}

impl Streams {
    /// Makes both pulls; `config` is asked for the settings of each stream.
    pub(super) fn new(
        encoder: &Arc<dyn Encoder>,
        terms: &Terms,
        config: impl Fn(Stream) -> PullConfig,
    ) -> Self {
        let pull = |stream| {
            let opener = EncoderOpener::new(Arc::clone(encoder), stream, terms.clone());
            Pull::new(Arc::new(opener), config(stream))
        };
        Self { main: pull(Stream::Main), sub: pull(Stream::Sub) }
    }

    pub(super) fn of(&self, stream: Stream) -> &Arc<Pull> {
        match stream {
            Stream::Main => &self.main,
            Stream::Sub => &self.sub,
        }
    }

    /// Closes the camera's streams, both at once.
    pub(super) async fn stop(&self) {
        tokio::join!(self.main.stop(), self.sub.stop());
    }

    /// Streams of scripted pulls.
    #[cfg(test)]
    pub(super) fn of_pulls(main: Arc<Pull>, sub: Arc<Pull>) -> Self {
        Self { main, sub }
    }
}
