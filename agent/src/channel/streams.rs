//! A camera's two streams.

use std::sync::Arc;

use ivt_hal::{Encoder, Stream};
use ivt_media::pull::{Pull, PullConfig};

use super::opener::{EncoderOpener, Terms};

/// A camera's streams, pulled when somebody reads them.
pub(super) struct Feeds {
    pub(super) main: Arc<Pull>,
    pub(super) sub: Arc<Pull>,
}

impl Feeds {
    /// `config` is asked for each stream in turn.
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
}
