//! The rules of a channel's live stream: one runs at a time, stopping one that does not run succeeds,
//! and a lost one is retried for a while. Pure: no I/O, no clock.

use std::time::{Duration, Instant};

use crate::backoff::HEALTH;
use crate::deadlines::STREAM_START;

/// The state of the channel's live stream, and the rules for it.
#[derive(Debug)]
pub struct Lifecycle {
    current: Option<Current>,
    retry: Duration,
}

#[derive(Debug)]
struct Current {
    stream_id: String,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The first attempt to publish runs.
    Starting { until: Instant },
    /// The server takes what the camera sends. `until` is the end of the time for retries, if it
    /// has begun; it holds until the stream has flowed for [`HEALTH`].
    Flowing { since: Instant, until: Option<Instant> },
    /// The camera gave nothing that can be decoded in time, and the cloud was told so. The camera
    /// may yet send something.
    Late { until: Instant },
    /// Server or camera was lost, and publishing is tried again.
    Retrying { until: Instant },
}

/// What a request to publish means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Start the stream; a stream that is being retried is given up.
    Start,
    /// The same stream is being started, or its camera is late: the outcome of that start is the
    /// answer.
    Join,
    /// The same stream runs: the answer is a success, and nothing changes.
    Running,
    /// Another stream runs or is being started (error 12).
    Busy,
}

impl Lifecycle {
    /// A channel without a live stream. A lost stream is retried for `retry`.
    pub fn new(retry: Duration) -> Self {
        Self { current: None, retry }
    }

    /// Decides on the cloud's request to publish a stream.
    pub fn publish(&mut self, stream_id: &str, now: Instant) -> Decision {
        if let Some(current) = &self.current {
            match (current.stream_id == stream_id, current.phase) {
                (true, Phase::Starting { .. } | Phase::Late { .. }) => return Decision::Join,
                (true, _) => return Decision::Running,
                (false, Phase::Starting { .. } | Phase::Flowing { .. }) => return Decision::Busy,
                (false, Phase::Late { .. } | Phase::Retrying { .. }) => {}
            }
        }
        let phase = Phase::Starting { until: now + STREAM_START };
        self.current = Some(Current { stream_id: stream_id.to_owned(), phase });
        Decision::Start
    }

    /// Ends the stream of this name. True if it was the current one.
    pub fn stop(&mut self, stream_id: &str) -> bool {
        self.current.take_if(|c| c.stream_id == stream_id).is_some()
    }

    /// Ends the current stream, if there is one.
    pub fn end(&mut self) {
        self.current = None;
    }

    /// Notes that frames reach the server.
    pub fn flowing(&mut self, now: Instant) {
        let Some(current) = &mut self.current else { return };
        current.phase = match current.phase {
            Phase::Starting { .. } | Phase::Late { .. } => {
                Phase::Flowing { since: now, until: None }
            }
            Phase::Retrying { until } => Phase::Flowing { since: now, until: Some(until) },
            flowing @ Phase::Flowing { .. } => flowing,
        };
    }

    /// Notes that the time to start is over while the camera may yet send something. The stream is
    /// tried as long as a lost one. False if lost streams are not retried at all.
    pub fn late(&mut self, now: Instant) -> bool {
        let Some(current) = self.current.as_mut().filter(|_| !self.retry.is_zero()) else {
            return false;
        };
        current.phase = Phase::Late { until: now + self.retry };
        true
    }

    /// Notes that the flow broke off. The time for retries counts from this moment, or from an
    /// earlier loss if the stream was not healthy in between: a stream that breaks off again and
    /// again is not retried for ever.
    pub fn faltered(&mut self, now: Instant) {
        if let Some(current) = &mut self.current
            && let Phase::Flowing { since, until } = current.phase
        {
            let sick = now.saturating_duration_since(since) < HEALTH;
            let until = until.filter(|_| sick).unwrap_or(now + self.retry);
            current.phase = Phase::Retrying { until };
        }
    }

    /// When the current stream is given up.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.current.as_ref()?.phase {
            Phase::Starting { until } | Phase::Late { until } | Phase::Retrying { until } => {
                Some(until)
            }
            Phase::Flowing { .. } => None,
        }
    }

    /// The stream that flows at this moment.
    pub fn live(&self) -> Option<&str> {
        let current = self.current.as_ref();
        let current = current.filter(|c| matches!(c.phase, Phase::Flowing { .. }));
        current.map(|c| c.stream_id.as_str())
    }

    /// Whether the first attempt runs, so that its outcome is the answer to the request.
    pub fn is_starting(&self) -> bool {
        self.current.as_ref().is_some_and(|c| matches!(c.phase, Phase::Starting { .. }))
    }

    /// Whether frames of the current stream have reached the server, now or before.
    pub fn has_flowed(&self) -> bool {
        let flowed =
            |c: &Current| matches!(c.phase, Phase::Flowing { .. } | Phase::Retrying { .. });
        self.current.as_ref().is_some_and(flowed)
    }

    /// The name of the current stream, flowing or not.
    pub fn current(&self) -> Option<&str> {
        self.current.as_ref().map(|c| c.stream_id.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY: Duration = Duration::from_secs(60);

    fn now() -> Instant {
        Instant::now()
    }

    fn flowing(stream_id: &str) -> Lifecycle {
        let mut lifecycle = Lifecycle::new(RETRY);
        assert_eq!(lifecycle.publish(stream_id, now()), Decision::Start);
        assert_eq!(lifecycle.live(), None, "not before frames flow");
        lifecycle.flowing(now());
        assert_eq!(lifecycle.live(), Some(stream_id));
        lifecycle
    }

    #[test]
    fn the_same_stream_again_changes_nothing() {
        let mut lifecycle = flowing("a");
        assert_eq!(lifecycle.publish("a", now()), Decision::Running);
        assert_eq!(lifecycle.live(), Some("a"));
        lifecycle.faltered(now());
        let until = lifecycle.poll_timeout();
        assert_eq!(lifecycle.publish("a", now()), Decision::Running);
        assert_eq!(lifecycle.poll_timeout(), until);
    }

    #[test]
    fn the_same_stream_while_it_starts_shares_the_outcome() {
        let mut lifecycle = Lifecycle::new(RETRY);
        lifecycle.publish("a", now());
        assert_eq!(lifecycle.publish("a", now()), Decision::Join);
    }

    #[test]
    fn another_stream_is_refused_while_one_starts_or_flows() {
        let mut lifecycle = Lifecycle::new(RETRY);
        lifecycle.publish("a", now());
        assert_eq!(lifecycle.publish("b", now()), Decision::Busy);
        let mut lifecycle = flowing("a");
        assert_eq!(lifecycle.publish("b", now()), Decision::Busy);
        assert_eq!(lifecycle.live(), Some("a"));
    }

    #[test]
    fn a_stream_being_retried_gives_way() {
        let mut lifecycle = flowing("a");
        lifecycle.faltered(now());
        assert_eq!(lifecycle.publish("b", now()), Decision::Start);
        assert_eq!((lifecycle.current(), lifecycle.live()), (Some("b"), None));
    }

    #[test]
    fn only_the_running_stream_is_stopped() {
        let mut lifecycle = flowing("a");
        assert!(!lifecycle.stop("b"));
        assert_eq!(lifecycle.live(), Some("a"));
        assert!(lifecycle.stop("a"));
        assert!(!lifecycle.stop("a"));
        assert_eq!(lifecycle.publish("b", now()), Decision::Start);
    }

    #[test]
    fn a_stream_being_retried_is_not_live_and_can_be_stopped() {
        let mut lifecycle = flowing("a");
        lifecycle.faltered(now());
        assert_eq!(lifecycle.live(), None);
        assert!(lifecycle.stop("a"));
        assert_eq!(lifecycle.poll_timeout(), None);
    }

    #[test]
    fn the_time_for_retries_counts_from_the_first_loss() {
        let mut lifecycle = flowing("a");
        let now = now();
        lifecycle.faltered(now);
        lifecycle.faltered(now + RETRY / 2);
        assert_eq!(lifecycle.poll_timeout(), Some(now + RETRY));
    }

    #[test]
    fn a_stream_that_breaks_off_again_and_again_is_given_up() {
        let mut lifecycle = flowing("a");
        let now = now();
        lifecycle.faltered(now);
        for second in 1..90 {
            lifecycle.flowing(now + Duration::from_secs(second));
            assert_eq!(lifecycle.poll_timeout(), None, "not while it flows");
            lifecycle.faltered(now + Duration::from_secs(second));
            assert_eq!(lifecycle.poll_timeout(), Some(now + RETRY));
        }
    }

    #[test]
    fn a_stream_that_was_healthy_for_a_minute_has_its_full_time_again() {
        let mut lifecycle = flowing("a");
        let now = now();
        lifecycle.faltered(now);
        let back = now + RETRY / 2;
        lifecycle.flowing(back);
        lifecycle.faltered(back + HEALTH);
        assert_eq!(lifecycle.poll_timeout(), Some(back + HEALTH + RETRY));
    }

    #[test]
    fn a_late_camera_is_tried_as_long_as_a_lost_stream_and_is_no_success() {
        let now = now();
        let mut lifecycle = Lifecycle::new(RETRY);
        lifecycle.publish("a", now);
        assert!(lifecycle.is_starting() && !lifecycle.has_flowed());
        let late = now + STREAM_START;
        assert!(lifecycle.late(late));
        assert_eq!(lifecycle.poll_timeout(), Some(late + RETRY));
        assert!(!lifecycle.is_starting() && !lifecycle.has_flowed());
        assert_eq!((lifecycle.current(), lifecycle.live()), (Some("a"), None));
        assert_eq!(lifecycle.publish("a", late), Decision::Join);
        assert_eq!(lifecycle.poll_timeout(), Some(late + RETRY), "asking again changes nothing");
        lifecycle.faltered(late);
        assert_eq!(lifecycle.poll_timeout(), Some(late + RETRY));
        lifecycle.flowing(late);
        assert_eq!((lifecycle.live(), lifecycle.poll_timeout()), (Some("a"), None));
        assert_eq!(lifecycle.publish("a", late), Decision::Running);
        lifecycle.faltered(late);
        assert!(lifecycle.has_flowed());
        assert_eq!(lifecycle.publish("a", late), Decision::Running, "it was there");
    }

    #[test]
    fn a_late_camera_gives_way_to_another_stream_and_to_a_stop() {
        let late = || {
            let mut lifecycle = Lifecycle::new(RETRY);
            lifecycle.publish("a", now());
            assert!(lifecycle.late(now()));
            lifecycle
        };
        let mut lifecycle = late();
        assert_eq!(lifecycle.publish("b", now()), Decision::Start);
        assert!(lifecycle.is_starting());
        assert!(late().stop("a"));
        let mut hasty = Lifecycle::new(Duration::ZERO);
        hasty.publish("a", now());
        assert!(!hasty.late(now()), "where nothing is retried");
    }

    #[test]
    fn a_first_attempt_has_ten_seconds_and_no_retries() {
        let now = now();
        let mut lifecycle = Lifecycle::new(RETRY);
        lifecycle.publish("a", now);
        let until = lifecycle.poll_timeout();
        assert!(until.is_some_and(|until| until < now + Duration::from_secs(10)));
        lifecycle.faltered(now);
        assert_eq!(lifecycle.poll_timeout(), until);
    }
}
