//! Opens the streams that a camera's encoder describes.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use ivt_hal::{Encoder, RtspSource, Source, Stream};
use ivt_media::clip::{BuiltIn, ClipOpener};
use ivt_media::command::CommandOpener;
use ivt_media::rtsp::{self, Patience, RtspOpener};
use ivt_media::source::{FrameSource, Incidents, Opener, SourceError};
use url::Url;

use crate::config::Backend;
use crate::tls::Trust;

/// Opens one stream of one camera.
pub(super) struct EncoderOpener {
    encoder: Arc<dyn Encoder>,
    stream: Stream,
    terms: Terms,
    /// The opener of the last source, used for as long as the camera has that source: it knows what
    /// the camera takes and refuses, and settles before it opens again.
    last: Mutex<Option<(Source, Arc<dyn Opener>)>>,
}

/// How a camera on the network is treated.
#[derive(Clone)]
pub(super) struct Terms {
    patience: Patience,
    login_follows_redirects: bool,
    trust: Trust,
}

impl Terms {
    pub(super) fn new(backend: &Backend, trust: Trust) -> Self {
        let (patience, login_follows_redirects) = match backend {
            Backend::Rtsp { patience, login_follows_redirects, .. } => {
                (*patience, *login_follows_redirects)
            }
            Backend::Emulator { .. } | Backend::Unknown => (Patience::default(), false),
        };
        Self { patience, login_follows_redirects, trust }
    }
}

impl EncoderOpener {
    pub(super) fn new(encoder: Arc<dyn Encoder>, stream: Stream, terms: Terms) -> Self {
        Self { encoder, stream, terms, last: Mutex::default() }
    }

    fn last(&self) -> Option<Arc<dyn Opener>> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().map(|(_, opener)| Arc::clone(opener))
    }

    /// The opener of `source`: the last one, where the source is the same.
    async fn opener(&self, source: Source) -> Result<Arc<dyn Opener>, SourceError> {
        if let Some((known, opener)) = &*self.last.lock().unwrap_or_else(PoisonError::into_inner)
            && *known == source
        {
            return Ok(Arc::clone(opener));
        }
        let opener: Arc<dyn Opener> = match &source {
            Source::Rtsp(source) => Arc::new(self.rtsp(source).await?),
            Source::Clip { file: Some(file), .. } => Arc::new(ClipOpener::file(file)),
            Source::Clip { file: None, stream: Stream::Main } => {
                Arc::new(ClipOpener::built_in(BuiltIn::Main))
            }
            Source::Clip { file: None, stream: Stream::Sub } => {
                Arc::new(ClipOpener::built_in(BuiltIn::Sub))
            }
            Source::Command(words) => Arc::new(CommandOpener::new(words)?),
        };
        let last = Some((source, Arc::clone(&opener)));
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = last;
        Ok(opener)
    }

    async fn rtsp(&self, source: &RtspSource) -> Result<RtspOpener, SourceError> {
        let url = Url::parse(&source.url).map_err(|e| unusable(self.stream, &e))?;
        let tls = match url.scheme() {
            "rtsps" => {
                let config = self.terms.trust.config().await;
                Some(config.map_err(|e| unusable(self.stream, &e))?)
            }
            _ => None,
        };
        let options = rtsp::Options {
            credentials: source.credentials.clone(),
            transport: source.transport,
            patience: self.terms.patience,
            tls,
            login_follows_redirects: self.terms.login_follows_redirects,
        };
        RtspOpener::new(url, options)
    }
}

#[async_trait]
impl Opener for EncoderOpener {
    async fn open(&self) -> Result<Box<dyn FrameSource>, SourceError> {
        let source = self.encoder.source(self.stream).await;
        let source = source.map_err(|e| unusable(self.stream, &e))?;
        self.opener(source).await?.open().await
    }

    async fn settle(&self) {
        if let Some(last) = self.last() {
            last.settle().await;
        }
    }

    fn incidents(&self) -> Incidents {
        self.last().map(|opener| opener.incidents()).unwrap_or_default()
    }

    fn awaits(&self) -> Option<String> {
        self.last()?.awaits()
    }
}

fn unusable(stream: Stream, error: &dyn std::error::Error) -> SourceError {
    let peer = format!("of the {stream} stream");
    SourceError::Unreachable { peer, reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A camera whose address can be changed.
    struct Camera(Mutex<String>);

    #[async_trait]
    impl Encoder for Camera {
        async fn source(&self, _: Stream) -> ivt_hal::Result<Source> {
            let url = self.0.lock().unwrap().clone();
            let (credentials, transport) = (None, rtsp::Transport::Auto);
            Ok(Source::Rtsp(RtspSource { url, credentials, transport }))
        }

        async fn bitrate(&self, _: Stream) -> ivt_hal::Result<Option<u32>> {
            Ok(None)
        }

        async fn reach(&self) -> ivt_hal::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn what_is_known_of_a_camera_is_kept_until_its_address_changes() {
        let camera = Arc::new(Camera(Mutex::new("rtsp://127.0.0.1:1/a".into())));
        let terms = Terms::new(&Backend::Unknown, Trust::new(None).unwrap());
        let opener = EncoderOpener::new(camera.clone(), Stream::Main, terms);
        assert!(opener.awaits().is_none());
        let opened = async || {
            opener.open().await.err().expect("nobody is there");
            opener.last().expect("it was tried")
        };
        let first = opened().await;
        assert!(Arc::ptr_eq(&first, &opened().await));
        *camera.0.lock().unwrap() = "rtsp://127.0.0.1:1/b".into();
        let second = opened().await;
        assert!(!Arc::ptr_eq(&first, &second));
        *camera.0.lock().unwrap() = "no address".into();
        assert!(Arc::ptr_eq(&second, &opened().await), "the last that was one");
    }
}
