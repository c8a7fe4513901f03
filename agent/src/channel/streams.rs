//! A camera's two streams. The channel's two tasks share them; each stream is pulled once, however
//! many read it.

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
    /// Asks `config` for each stream in turn.
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

    /// Takes leave of the camera, on both streams at once.
    pub(super) async fn stop(&self) {
        tokio::join!(self.main.stop(), self.sub.stop());
    }

    /// Streams of scripted pulls.
    #[cfg(test)]
    pub(super) fn of_pulls(main: Arc<Pull>, sub: Arc<Pull>) -> Self {
        Self { main, sub }
    }
}
