//! Opens the streams that a camera's encoder describes.

use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use ivt_hal::{Encoder, RtspSource, Source, Stream};
use ivt_media::clip::ClipOpener;
use ivt_media::command::CommandOpener;
use ivt_media::rtsp::{self, RtspOpener};
use ivt_media::source::{FrameSource, Incidents, Opener, SourceError};
use url::Url;

use crate::backend::{Backend, RtspPolicy};
#[cfg(feature = "pattern")]
use crate::pattern;
use crate::tls::TrustStore;

/// Opens one stream of one camera.
pub(super) struct EncoderOpener {
    encoder: Arc<dyn Encoder>,
    stream: Stream,
    terms: Terms,
    /// The opener of the newest source. It is kept while the source stays the same, since it knows
    /// what the camera accepts and waits until the camera is ready to be opened again.
    last: Mutex<Option<Opened>>,
}

/// An opener, and the source and policy it was made for.
struct Opened {
    source: Source,
    policy: RtspPolicy,
    opener: Arc<dyn Opener>,
}

/// How a camera on the network is treated, at each moment. Clones share the value.
#[derive(Clone)]
pub(super) struct Terms {
    policy: Arc<Mutex<RtspPolicy>>,
    trust: TrustStore,
}

impl Terms {
    pub(super) fn new(backend: &Backend, trust: TrustStore) -> Self {
        Self { policy: Arc::new(Mutex::new(backend.rtsp_policy())), trust }
    }

    /// Treats the camera as `backend` says from the next opening on. True if that is a change.
    pub(super) fn exchange(&self, backend: &Backend) -> bool {
        let policy = backend.rtsp_policy();
        std::mem::replace(&mut *lock(&self.policy), policy) != policy
    }

    fn policy(&self) -> RtspPolicy {
        *lock(&self.policy)
    }
}

impl EncoderOpener {
    pub(super) fn new(encoder: Arc<dyn Encoder>, stream: Stream, terms: Terms) -> Self {
        Self { encoder, stream, terms, last: Mutex::default() }
    }

    fn last(&self) -> Option<Arc<dyn Opener>> {
        lock(&self.last).as_ref().map(|last| Arc::clone(&last.opener))
    }

    /// The opener of `source`: the kept one if source and policy are the same, else a new one.
    async fn opener(&self, source: Source) -> Result<Arc<dyn Opener>, SourceError> {
        let policy = self.terms.policy();
        if let Some(last) = &*lock(&self.last)
            && last.source == source
            && last.policy == policy
        {
            return Ok(Arc::clone(&last.opener));
        }
        let opener: Arc<dyn Opener> = match &source {
            Source::Rtsp(source) => Arc::new(self.rtsp(source, policy).await?),
            Source::Clip { file, .. } => Arc::new(ClipOpener::file(file)),
            #[cfg(feature = "pattern")]
            Source::Pattern { stream, world } => Arc::new(pattern::opener(*stream, world)),
            #[cfg(not(feature = "pattern"))]
            Source::Pattern { .. } => {
                return Err(unusable(self.stream, &"this program is built without a test pattern"));
            }
            Source::Command(words) => Arc::new(CommandOpener::new(words)?),
        };
        let last = Opened { source, policy, opener: Arc::clone(&opener) };
        *lock(&self.last) = Some(last);
        Ok(opener)
    }

    async fn rtsp(
        &self,
        source: &RtspSource,
        policy: RtspPolicy,
    ) -> Result<RtspOpener, SourceError> {
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
            patience: policy.patience,
            tls,
            login_follows_redirects: policy.login_follows_redirects,
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unusable(stream: Stream, error: &dyn Display) -> SourceError {
    let peer = format!("of the {stream} stream");
    SourceError::Unreachable { peer, reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A camera whose address a test can change.
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
        let terms = Terms::new(&Backend::unknown(), TrustStore::new(None).unwrap());
        let opener = EncoderOpener::new(camera.clone(), Stream::Main, terms.clone());
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

        *camera.0.lock().unwrap() = "rtsp://127.0.0.1:1/b".into();
        let channel = "backend = 'rtsp'\nmain = 'rtsp://h/'\nsilence_seconds = 3";
        let text = format!(
            "[cloud]\nurl = 'ws://h/'\nlogin_code = 'c'\nlogin_passwd = 'p'\n[[channel]]\n{channel}"
        );
        let config: crate::config::Config = text.parse().unwrap();
        let backend = &config.channels[0].backend;
        assert!(terms.exchange(backend) && !terms.exchange(backend));
        assert!(!Arc::ptr_eq(&second, &opened().await), "its time is another one");
    }
}
