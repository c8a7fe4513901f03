//! One source for many: a camera that only one program can open is opened once, and everyone gets its frames.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ivt_media::frame::Frame;
use ivt_media::hub::{Item, Start};
use ivt_media::pull::{Pull, PullConfig, PullState, Subscription};
use ivt_media::source::{FrameSource, Opener, SourceError};
use tokio::time::timeout;

/// Longest wait for a frame.
const PATIENCE: Duration = Duration::from_secs(15);
/// Bytes of the newest frames that are held, for who comes later.
const RING: usize = 4 << 20;

/// A stream that is open all the time, whoever watches.
pub struct Shared {
    pull: Arc<Pull>,
    name: String,
}

impl Shared {
    /// Opens `opener` from now on, again and again. Must be called within a runtime.
    pub fn new(name: &str, opener: Arc<dyn Opener>) -> Arc<Self> {
        let config =
            PullConfig { name: name.to_owned(), ring_bytes: RING, ..PullConfig::default() };
        let pull = Pull::new(opener, config);
        pull.keep_warm(true);
        Arc::new(Self { pull, name: name.to_owned() })
    }

    /// The state of the stream; changes can be awaited.
    pub fn state(&self) -> tokio::sync::watch::Receiver<PullState> {
        self.pull.state()
    }

    /// Width and height, while there is a picture.
    pub fn dimensions(&self) -> Option<(u32, u32)> {
        self.pull.tracks().into_iter().find_map(|track| match track {
            ivt_media::frame::Track::Video(params) => Some(params.dimensions),
            ivt_media::frame::Track::Audio(_) => None,
        })
    }
}

#[async_trait]
impl Opener for Shared {
    async fn open(&self) -> Result<Box<dyn FrameSource>, SourceError> {
        if let PullState::Failed(error) = &*self.pull.state().borrow() {
            return Err(error.clone());
        }
        let frames = self.pull.subscribe(Start::LastKey);
        Ok(Box::new(Seat { frames, name: self.name.clone() }))
    }
}

/// The place of one watcher.
struct Seat {
    frames: Subscription,
    name: String,
}

#[async_trait]
impl FrameSource for Seat {
    async fn frame(&mut self) -> Result<Frame, SourceError> {
        loop {
            let peer = || self.name.clone();
            match timeout(PATIENCE, self.frames.next()).await {
                Ok(Some(Item::Frame(frame))) => return Ok((*frame).clone()),
                Ok(Some(Item::Gap { .. })) => {}
                Ok(None) => {
                    let reason = "it was closed".to_owned();
                    return Err(SourceError::Unreachable { peer: peer(), reason });
                }
                Err(_) => {
                    let seconds = PATIENCE.as_secs();
                    return Err(SourceError::Silent { peer: peer(), seconds });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use ivt_media::clip::{BuiltIn, ClipOpener};

    use super::*;

    /// Counts how often a clip is opened.
    struct Counted(ClipOpener, AtomicUsize);

    #[async_trait]
    impl Opener for Counted {
        async fn open(&self) -> Result<Box<dyn FrameSource>, SourceError> {
            self.1.fetch_add(1, SeqCst);
            self.0.open().await
        }
    }

    #[tokio::test]
    async fn many_watch_and_the_camera_is_opened_once() {
        let clip = Arc::new(Counted(ClipOpener::built_in(BuiltIn::Sub), AtomicUsize::new(0)));
        let shared = Shared::new("camera", clip.clone());
        for _ in 0..3 {
            let mut seat = shared.open().await.unwrap();
            let first = timeout(Duration::from_secs(30), seat.frame()).await.unwrap().unwrap();
            assert!(first.key);
        }
        assert_eq!(clip.1.load(SeqCst), 1);
        assert_eq!(shared.dimensions(), Some((320, 180)));
    }

    #[tokio::test]
    async fn who_opens_a_camera_that_is_away_is_told_why() {
        let missing = Arc::new(ClipOpener::file("/nonexistent/clip.flv"));
        let shared = Shared::new("camera", missing);
        let mut state = shared.state();
        let failed = state.wait_for(|state| matches!(state, PullState::Failed(_)));
        drop(timeout(Duration::from_secs(30), failed).await.unwrap().unwrap());
        assert!(shared.open().await.is_err());
    }
}
