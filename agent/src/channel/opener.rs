//! Opens what a camera's encoder describes.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use ivt_hal::{Encoder, Source, Stream, Transport};
use ivt_media::clip::{BuiltIn, ClipOpener};
use ivt_media::command::CommandOpener;
use ivt_media::rtsp::{self, RtspOpener};
use ivt_media::source::{FrameSource, Opener, SourceError};
use url::Url;

/// Opens one stream of one camera.
pub(super) struct EncoderOpener {
    encoder: Arc<dyn Encoder>,
    stream: Stream,
    /// Asked to settle before the next one opens.
    last: Mutex<Option<Arc<dyn Opener>>>,
}

impl EncoderOpener {
    pub(super) fn new(encoder: Arc<dyn Encoder>, stream: Stream) -> Self {
        Self { encoder, stream, last: Mutex::default() }
    }
}

#[async_trait]
impl Opener for EncoderOpener {
    async fn open(&self) -> Result<Box<dyn FrameSource>, SourceError> {
        let source = self.encoder.source(self.stream).await;
        let opener = opener(source.map_err(|e| unusable(self.stream, &e))?, self.stream)?;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&opener));
        opener.open().await
    }

    async fn settle(&self) {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(last) = last {
            last.settle().await;
        }
    }
}

fn opener(source: Source, stream: Stream) -> Result<Arc<dyn Opener>, SourceError> {
    match source {
        Source::Rtsp(source) => {
            let url = Url::parse(&source.url).map_err(|e| unusable(stream, &e))?;
            let credentials = source
                .credentials
                .map(|c| rtsp::Credentials { username: c.username, password: c.password });
            let transport = match source.transport {
                Transport::Tcp => rtsp::Transport::Tcp,
                Transport::Udp => rtsp::Transport::Udp,
            };
            let options = rtsp::Options { credentials, transport, ..rtsp::Options::default() };
            Ok(Arc::new(RtspOpener::new(url, options)?))
        }
        Source::Clip { file: Some(file), .. } => Ok(Arc::new(ClipOpener::file(file))),
        Source::Clip { file: None, stream: Stream::Main } => {
            Ok(Arc::new(ClipOpener::built_in(BuiltIn::Main)))
        }
        Source::Clip { file: None, stream: Stream::Sub } => {
            Ok(Arc::new(ClipOpener::built_in(BuiltIn::Sub)))
        }
        Source::Command(words) => Ok(Arc::new(CommandOpener::new(&words)?)),
    }
}

fn unusable(stream: Stream, error: &dyn std::error::Error) -> SourceError {
    let peer = format!("of the {stream} stream");
    SourceError::Unreachable { peer, reason: error.to_string() }
}
