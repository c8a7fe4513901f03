//! How busy the processor was lately.

use std::time::Duration;

use tokio::time::Instant;

use super::reading;

/// The time over which it is measured: a moment's work is no load.
const SPAN: Duration = Duration::from_secs(10);

/// How busy the processor was in the last measured span.
#[derive(Default)]
pub(super) struct Load {
    /// The agent's share of one core, in percent; `None` until the first span is over.
    pub(super) share: Option<u64>,
    /// How busy all cores together were, in percent.
    pub(super) load: Option<u64>,
    /// Where the present span began.
    begun: Option<Mark>,
}

/// What the system counted until a moment.
#[derive(Clone, Copy)]
struct Mark {
    at: Instant,
    /// Milliseconds that the process had spent.
    spent: Option<u64>,
    /// Ticks in which the cores were busy, and in which they were not.
    ticks: Option<(u64, u64)>,
}

impl Load {
    /// Ends the present span, if it was long enough.
    pub(super) fn look(&mut self, now: Instant) {
        if self.begun.is_some_and(|begun| now < begun.at + SPAN) {
            return;
        }
        self.note(Mark { at: now, spent: reading::cpu_time(), ticks: reading::busy() });
    }

    fn note(&mut self, end: Mark) {
        let Some(begin) = self.begun.replace(end) else { return };
        let passed = u64::try_from((end.at - begin.at).as_millis()).unwrap_or(u64::MAX);
        let spent = begin.spent.zip(end.spent).map(|(from, to)| to.saturating_sub(from));
        self.share = spent.and_then(|spent| (spent * 100).checked_div(passed));
        self.load = begin.ticks.zip(end.ticks).and_then(|(from, to)| {
            let busy = to.0.saturating_sub(from.0);
            (busy * 100).checked_div(busy + to.1.saturating_sub(from.1))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_span_is_measured_from_end_to_end() {
        let (mut load, start) = (Load::default(), Instant::now());
        let mark = |seconds, spent, ticks| Mark {
            at: start + Duration::from_secs(seconds),
            spent: Some(spent),
            ticks: Some(ticks),
        };
        load.note(mark(0, 1_000, (100, 900)));
        assert_eq!((load.share, load.load), (None, None));
        load.note(mark(10, 3_500, (850, 1_150)));
        assert_eq!((load.share, load.load), (Some(25), Some(75)));
        load.note(mark(10, 3_500, (850, 1_150)));
        assert_eq!((load.share, load.load), (None, None), "no time has passed");
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_within_a_span_changes_nothing() {
        let mut load = Load::default();
        load.look(Instant::now());
        let begun = load.begun.map(|begun| begun.at);
        tokio::time::advance(SPAN / 2).await;
        load.look(Instant::now());
        assert_eq!(load.begun.map(|begun| begun.at), begun);
        tokio::time::advance(SPAN / 2).await;
        load.look(Instant::now());
        assert!(load.begun.map(|begun| begun.at) > begun);
    }
}
