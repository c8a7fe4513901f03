//! Whether a camera can be reached: a stream being pulled tells, otherwise the camera is asked now
//! and then.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use ivt_hal::Encoder;
use ivt_media::pull::PullState;
use ivt_media::source::SourceError;
use rand::RngExt as _;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

/// Between two questions. An NVR's cameras are not all asked in the same moment.
const PERIOD: std::ops::Range<Duration> = Duration::from_secs(28)..Duration::from_secs(32);
/// A camera that has not answered by then is away.
const LIMIT: Duration = Duration::from_secs(5);

/// Writes what is known to `known`, for ever, over the `None` of the start. Asks the camera at once.
pub(super) async fn observe(
    encoder: Arc<dyn Encoder>,
    [mut main, mut sub]: [watch::Receiver<PullState>; 2],
    known: watch::Sender<Option<bool>>,
) -> Infallible {
    let mut due = Instant::now();
    loop {
        let told = both(told(&mut main), told(&mut sub));
        if let Some(reachable) = told {
            note(&known, reachable);
        }
        tokio::select! {
            // The senders live in the pulls, which outlive this.
            _ = main.changed() => {}
            _ = sub.changed() => {}
            answer = ask(&*encoder, due), if told.is_none() => {
                note(&known, answer);
                due = Instant::now() + rand::rng().random_range(PERIOD);
            }
        }
    }
}

/// Whether a camera is there, as a stream of it shows; `None` when the stream cannot tell.
fn told(pull: &mut watch::Receiver<PullState>) -> Option<bool> {
    match *pull.borrow_and_update() {
        PullState::Idle | PullState::Opening => None,
        // It is there, whatever it offers.
        PullState::Live | PullState::Failed(SourceError::Unsupported { .. }) => Some(true),
        PullState::Failed(_) => Some(false),
    }
}

/// One stream that arrives is enough.
fn both(main: Option<bool>, sub: Option<bool>) -> Option<bool> {
    match (main, sub) {
        (None, told) | (told, None) => told,
        (Some(main), Some(sub)) => Some(main || sub),
    }
}

async fn ask(encoder: &dyn Encoder, due: Instant) -> bool {
    sleep_until(due).await;
    matches!(timeout(LIMIT, encoder.reach()).await, Ok(Ok(())))
}

fn note(known: &watch::Sender<Option<bool>>, reachable: bool) {
    known.send_if_modified(|known| known.replace(reachable) != Some(reachable));
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

    use async_trait::async_trait;
    use ivt_hal::{Error, Kind, Source, Stream};

    use super::*;

    #[derive(Default)]
    struct Camera {
        there: AtomicBool,
        hung: AtomicBool,
        asked: AtomicU32,
    }

    #[async_trait]
    impl Encoder for Camera {
        async fn source(&self, stream: Stream) -> ivt_hal::Result<Source> {
            Ok(Source::Clip { file: None, stream })
        }

        async fn bitrate(&self, _: Stream) -> ivt_hal::Result<Option<u32>> {
            Ok(None)
        }

        async fn reach(&self) -> ivt_hal::Result<()> {
            self.asked.fetch_add(1, SeqCst);
            if self.hung.load(SeqCst) {
                std::future::pending::<()>().await;
            }
            let there = self.there.load(SeqCst);
            there.then_some(()).ok_or(Error::new("encoder reach", Kind::Offline))
        }
    }

    struct Setup {
        camera: Arc<Camera>,
        main: watch::Sender<PullState>,
        known: watch::Receiver<Option<bool>>,
        _tasks: tokio::task::JoinSet<()>,
        _sub: watch::Sender<PullState>,
    }

    fn observed(there: bool) -> Setup {
        let camera = Arc::new(Camera { there: there.into(), ..Camera::default() });
        let (main, sub) =
            (watch::Sender::new(PullState::Idle), watch::Sender::new(PullState::Idle));
        let pulls = [main.subscribe(), sub.subscribe()];
        let (sender, known) = watch::channel(None);
        let mut tasks = tokio::task::JoinSet::new();
        let encoder: Arc<dyn Encoder> = camera.clone();
        tasks.spawn(async move { match observe(encoder, pulls, sender).await {} });
        Setup { camera, main, known, _tasks: tasks, _sub: sub }
    }

    fn failed() -> PullState {
        PullState::Failed(SourceError::Silent { peer: "c".into(), seconds: 5 })
    }

    async fn becomes(known: &mut watch::Receiver<Option<bool>>, want: bool) -> Duration {
        let start = Instant::now();
        known.wait_for(|k| *k == Some(want)).await.unwrap();
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn the_camera_is_asked_at_once_and_then_every_half_minute() {
        let mut setup = observed(true);
        assert_eq!(becomes(&mut setup.known, true).await, Duration::ZERO);
        setup.camera.there.store(false, SeqCst);
        let later = becomes(&mut setup.known, false).await;
        assert!(PERIOD.contains(&later), "{later:?}");
        assert_eq!(setup.camera.asked.load(SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_camera_that_hangs_is_away() {
        let mut setup = observed(true);
        becomes(&mut setup.known, true).await;
        setup.camera.hung.store(true, SeqCst);
        let later = becomes(&mut setup.known, false).await;
        assert!(later <= PERIOD.end + LIMIT, "{later:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_being_pulled_tells_and_nobody_asks() {
        let mut setup = observed(true);
        becomes(&mut setup.known, true).await;
        setup.main.send_replace(failed());
        assert_eq!(becomes(&mut setup.known, false).await, Duration::ZERO);
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert_eq!(setup.camera.asked.load(SeqCst), 1);
        setup.main.send_replace(PullState::Live);
        assert_eq!(becomes(&mut setup.known, true).await, Duration::ZERO);
    }

    #[test]
    fn one_stream_that_arrives_is_enough() {
        assert_eq!(both(Some(true), Some(false)), Some(true));
        assert_eq!(both(None, Some(false)), Some(false));
        assert_eq!(both(None, None), None);
    }
}
