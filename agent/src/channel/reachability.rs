//! Whether a camera can be reached. A stream that is being pulled shows it; otherwise the camera is
//! asked about every 30 s.

use std::sync::Arc;
use std::time::Duration;

use ivt_hal::Encoder;
use ivt_media::pull::PullState;
use ivt_media::source::SourceError;
use rand::RngExt as _;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use crate::deadlines::REACH;
use crate::shutdown::Stop;

/// Time between two questions to a camera. It varies, so that an NVR's cameras are not all asked at
/// once.
const PERIOD: std::ops::Range<Duration> = Duration::from_secs(28)..Duration::from_secs(32);

/// What is known of a camera at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reachability {
    /// The camera was not asked yet, and no stream of it has come or failed.
    #[default]
    Unknown,
    /// The camera answers, or sends a stream.
    Reachable,
    /// The camera does not answer, or its stream failed.
    Unreachable,
}

impl Reachability {
    fn of(reachable: bool) -> Self {
        if reachable { Self::Reachable } else { Self::Unreachable }
    }
}

/// Shows the reachability of one camera in `shown` until `stop`. The camera is asked at once.
pub(super) async fn observe(
    encoder: Arc<dyn Encoder>,
    [mut main, mut sub]: [watch::Receiver<PullState>; 2],
    shown: watch::Sender<Reachability>,
    mut stop: Stop,
) {
    let mut due = Instant::now();
    loop {
        let told = both(told(&mut main), told(&mut sub));
        if let Some(reachable) = told {
            show(&shown, reachable);
        }
        tokio::select! {
            () = stop.requested() => return,
            // The senders live in the pulls, which outlive this task.
            _ = main.changed() => {}
            _ = sub.changed() => {}
            answer = ask(&*encoder, due), if told.is_none() => {
                show(&shown, answer);
                due = Instant::now() + rand::rng().random_range(PERIOD);
            }
        }
    }
}

/// Whether the camera is there, judged by the state of one stream; `None` if the state tells
/// nothing.
fn told(pull: &mut watch::Receiver<PullState>) -> Option<bool> {
    match *pull.borrow_and_update() {
        PullState::Idle | PullState::Opening => None,
        // A camera has answered even if it offers nothing that the agent can carry.
        PullState::Live | PullState::Failed(SourceError::Unsupported { .. }) => Some(true),
        PullState::Failed(_) => Some(false),
    }
}

/// Judges by both streams: the camera is there if either arrives.
fn both(main: Option<bool>, sub: Option<bool>) -> Option<bool> {
    match (main, sub) {
        (None, told) | (told, None) => told,
        (Some(main), Some(sub)) => Some(main || sub),
    }
}

async fn ask(encoder: &dyn Encoder, due: Instant) -> bool {
    sleep_until(due).await;
    matches!(timeout(REACH, encoder.reach()).await, Ok(Ok(())))
}

fn show(shown: &watch::Sender<Reachability>, reachable: bool) {
    let now = Reachability::of(reachable);
    shown.send_if_modified(|shown| std::mem::replace(shown, now) != now);
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

    use async_trait::async_trait;
    use ivt_hal::{Error, Kind, Source, Stream};

    use super::*;
    use crate::shutdown::{Stopper, stopper};

    #[derive(Default)]
    struct Camera {
        there: AtomicBool,
        hung: AtomicBool,
        asked: AtomicU32,
    }

    #[async_trait]
    impl Encoder for Camera {
        async fn source(&self, stream: Stream) -> ivt_hal::Result<Source> {
            Ok(Source::Command(vec![stream.to_string()]))
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
        shown: watch::Receiver<Reachability>,
        _tasks: tokio::task::JoinSet<()>,
        _stop: Stopper,
        _sub: watch::Sender<PullState>,
    }

    fn observed(there: bool) -> Setup {
        let camera = Arc::new(Camera { there: there.into(), ..Camera::default() });
        let (main, sub) =
            (watch::Sender::new(PullState::Idle), watch::Sender::new(PullState::Idle));
        let pulls = [main.subscribe(), sub.subscribe()];
        let (sender, shown) = watch::channel(Reachability::Unknown);
        let mut tasks = tokio::task::JoinSet::new();
        let encoder: Arc<dyn Encoder> = camera.clone();
        let (stopper, stop) = stopper();
        tasks.spawn(observe(encoder, pulls, sender, stop));
        Setup { camera, main, shown, _tasks: tasks, _stop: stopper, _sub: sub }
    }

    fn failed() -> PullState {
        PullState::Failed(SourceError::Silent { peer: "c".into(), seconds: 5 })
    }

    async fn becomes(shown: &mut watch::Receiver<Reachability>, want: bool) -> Duration {
        let start = Instant::now();
        shown.wait_for(|shown| *shown == Reachability::of(want)).await.unwrap();
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn the_camera_is_asked_at_once_and_then_every_half_minute() {
        let mut setup = observed(true);
        assert_eq!(becomes(&mut setup.shown, true).await, Duration::ZERO);
        setup.camera.there.store(false, SeqCst);
        let later = becomes(&mut setup.shown, false).await;
        assert!(PERIOD.contains(&later), "{later:?}");
        assert_eq!(setup.camera.asked.load(SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_camera_that_hangs_is_away() {
        let mut setup = observed(true);
        becomes(&mut setup.shown, true).await;
        setup.camera.hung.store(true, SeqCst);
        let later = becomes(&mut setup.shown, false).await;
        assert!(later <= PERIOD.end + REACH, "{later:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_being_pulled_tells_and_nobody_asks() {
        let mut setup = observed(true);
        becomes(&mut setup.shown, true).await;
        setup.main.send_replace(failed());
        assert_eq!(becomes(&mut setup.shown, false).await, Duration::ZERO);
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert_eq!(setup.camera.asked.load(SeqCst), 1);
        setup.main.send_replace(PullState::Live);
        assert_eq!(becomes(&mut setup.shown, true).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn watchers_are_woken_for_changes_only() {
        let mut setup = observed(true);
        assert_eq!(*setup.shown.borrow(), Reachability::Unknown);
        becomes(&mut setup.shown, true).await;
        tokio::time::sleep(10 * PERIOD.end).await;
        assert!(setup.camera.asked.load(SeqCst) > 10);
        assert!(!setup.shown.has_changed().unwrap(), "it is reachable as before");
    }

    #[test]
    fn one_stream_that_arrives_is_enough() {
        assert_eq!(both(Some(true), Some(false)), Some(true));
        assert_eq!(both(None, Some(false)), Some(false));
        assert_eq!(both(None, None), None);
    }
}
