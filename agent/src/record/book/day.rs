//! What became of the last day of a channel's recording, as spans of time. Pure: the time is an argument, in
//! microseconds since 1970.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::record::ledger::Mark;

/// Length of a day.
pub(super) const DAY: i64 = 86_400_000_000;
/// Spans that begin later than this after now are from before the clock was set back.
const AHEAD: i64 = 3_600_000_000;
/// Spans of one kind that are no farther apart become one.
const SEAM: i64 = 500_000;

/// A span of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// When it begins.
    pub(crate) from: i64,
    /// When it ends.
    pub(crate) to: i64,
    /// What became of what was recorded; never [`Mark::Unwanted`].
    pub(crate) mark: Mark,
    /// Why uploads failed when it was lost; `None` where they did not fail, or nobody knows.
    pub(crate) detail: Option<Arc<str>>,
}

/// The last day of a channel. Its spans do not overlap.
#[derive(Debug, Default)]
pub(super) struct Day {
    /// The spans by their beginnings.
    spans: BTreeMap<i64, Span>,
    /// Until when spans were dropped since there were too many.
    dropped: Option<i64>,
}

impl Day {
    /// Notes what became of the time between two moments, whatever was noted of it before; `most` spans are kept.
    pub(super) fn note(
        &mut self,
        (from, to): (i64, i64),
        mark: Mark,
        detail: Option<&Arc<str>>,
        now: i64,
        most: usize,
    ) {
        if from >= to {
            return;
        }
        self.clear(from, to);
        if mark != Mark::Unwanted {
            let detail = detail.filter(|_| matches!(mark, Mark::Lost(_))).map(Arc::clone);
            self.insert(Span { from, to, mark, detail });
        }
        self.spans.retain(|_, span| is_near(span, now));
        while self.spans.len() > most
            && let Some((_, oldest)) = self.spans.pop_first()
        {
            self.dropped = Some(oldest.to);
        }
    }

    /// The spans of the day before `now`, the oldest first.
    pub(super) fn spans(&self, now: i64) -> Vec<Span> {
        let near = self.spans.values().filter(|span| is_near(span, now));
        near.map(|span| Span { from: span.from.max(now.saturating_sub(DAY)), ..span.clone() })
            .collect()
    }

    /// Until when spans of the day are missing since there were too many.
    pub(super) fn dropped(&self, now: i64) -> Option<i64> {
        self.dropped.filter(|until| *until > now.saturating_sub(DAY) && *until <= now)
    }

    /// Cuts the time between two moments out of the spans.
    fn clear(&mut self, from: i64, to: i64) {
        let before = self.spans.range(..from).next_back().map(|(begin, _)| *begin);
        let inside = self.spans.range(from..to).map(|(begin, _)| *begin);
        for begin in before.into_iter().chain(inside.collect::<Vec<_>>()) {
            let Some(span) = self.spans.remove(&begin) else { continue };
            if span.to > to {
                self.spans.insert(to, Span { from: to, ..span.clone() });
            }
            if begin < from {
                self.spans.insert(begin, Span { to: span.to.min(from), ..span });
            }
        }
    }

    /// Inserts a span where nothing is, and joins it to its neighbours of the same kind.
    fn insert(&mut self, mut span: Span) {
        let before = self.spans.range(..span.from).next_back();
        if let Some((&begin, before)) = before
            && before.mark == span.mark
            && span.from - before.to <= SEAM
            && let Some(before) = self.spans.remove(&begin)
        {
            span = Span { from: begin, detail: span.detail.or(before.detail), ..span };
        }
        let after = self.spans.range(span.to..).next();
        if let Some((&begin, after)) = after
            && after.mark == span.mark
            && begin - span.to <= SEAM
            && let Some(after) = self.spans.remove(&begin)
        {
            span = Span { to: after.to, detail: after.detail.or(span.detail), ..span };
        }
        self.spans.insert(span.from, span);
    }
}

/// Whether a span is of the day before `now`.
fn is_near(span: &Span, now: i64) -> bool {
    span.to > now.saturating_sub(DAY) && span.from < now.saturating_add(AHEAD)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::ledger::Reason;

    const SECOND: i64 = 1_000_000;
    /// Some noon.
    const NOON: i64 = 1_700_000_000 * SECOND;
    const REASON: Reason = Reason::Memory;

    /// A day with these spans, in seconds from noon.
    fn day(notes: &[(i64, i64, Mark)]) -> Day {
        let mut day = Day::default();
        for (from, to, mark) in notes {
            day.note((NOON + from * SECOND, NOON + to * SECOND), *mark, None, NOON, 512);
        }
        day
    }

    fn rows(day: &Day, now: i64) -> Vec<(i64, i64, Mark)> {
        let second = |at: i64| (at - NOON) / SECOND;
        day.spans(now).iter().map(|s| (second(s.from), second(s.to), s.mark)).collect()
    }

    #[test]
    fn what_waits_becomes_what_it_becomes() {
        use Mark::{Lost, Unwanted, Uploaded, Waiting};
        let mut notes: Vec<_> = (-6..0).map(|n| (n * 10, n * 10 + 10, Waiting)).collect();
        assert_eq!(rows(&day(&notes), NOON), [(-60, 0, Mark::Waiting)], "one after the other");
        notes.extend([
            (-60, -50, Uploaded),
            (-50, -40, Uploaded),
            (-30, -20, Lost(REASON)),
            (-20, -15, Lost(Reason::Camera)),
            (-10, 0, Unwanted),
        ]);
        assert_eq!(
            rows(&day(&notes), NOON),
            [
                (-60, -40, Mark::Uploaded),
                (-40, -30, Mark::Waiting),
                (-30, -20, Mark::Lost(REASON)),
                (-20, -15, Mark::Lost(Reason::Camera)),
                (-15, -10, Mark::Waiting),
            ]
        );
    }

    #[test]
    fn only_a_day_is_kept_and_nothing_of_a_clock_that_was_ahead() {
        let day = day(&[(-90_000, -80_000, Mark::Uploaded), (50, 60, Mark::Uploaded)]);
        assert_eq!(
            rows(&day, NOON),
            [(-86_400, -80_000, Mark::Uploaded), (50, 60, Mark::Uploaded)]
        );
        assert_eq!(rows(&day, NOON + 10_000 * SECOND), [(50, 60, Mark::Uploaded)]);
        assert_eq!(rows(&day, NOON - 5_000 * SECOND), [(-90_000, -80_000, Mark::Uploaded)]);
        assert_eq!(rows(&day, i64::MAX), []);
        assert_eq!(rows(&day, i64::MIN), []);
    }

    #[test]
    fn too_many_spans_cost_the_oldest_and_that_is_told() {
        let mut day = Day::default();
        for second in -20..0 {
            let at = NOON + 10 * second * SECOND;
            day.note((at, at + SECOND), Mark::Uploaded, None, NOON, 8);
        }
        assert_eq!(rows(&day, NOON).len(), 8);
        assert_eq!(day.dropped(NOON), Some(NOON - 89 * SECOND));
        assert_eq!(day.dropped(NOON + DAY), None);
    }

    #[test]
    fn a_loss_says_what_uploads_failed_for() {
        let (first, last) = (Arc::from("refused"), Arc::from("no route"));
        let mut day = Day::default();
        let mut note = |from: i64, mark, detail| {
            let from = NOON + from * SECOND;
            day.note((from, from + SECOND), mark, Some(detail), NOON, 512);
        };
        note(-3, Mark::Lost(REASON), &first);
        note(-2, Mark::Lost(REASON), &last);
        note(-1, Mark::Uploaded, &last);
        let details: Vec<_> = day.spans(NOON).into_iter().map(|span| span.detail).collect();
        assert_eq!(details, [Some(last), None]);
    }

    proptest! {
        #[test]
        fn each_moment_is_what_it_was_last_said_to_be(
            notes in proptest::collection::vec((-40i64..40, 0i64..20, 0u8..4), 0..60),
        ) {
            let mut moments = BTreeMap::new();
            let notes: Vec<_> = notes.into_iter().map(|(from, length, kind)| {
                let mark = match kind {
                    0 => Mark::Waiting,
                    1 => Mark::Uploaded,
                    2 => Mark::Lost(REASON),
                    _ => Mark::Unwanted,
                };
                let fate = Some(mark).filter(|mark| *mark != Mark::Unwanted);
                moments.extend((from..from + length).map(|at| (at, fate)));
                (from, from + length, mark)
            }).collect();
            let day = day(&notes);
            let rows = rows(&day, NOON);
            for pair in rows.windows(2) {
                prop_assert!(pair[0].1 <= pair[1].0, "{rows:?}");
                prop_assert!(pair[0].1 < pair[1].0 || pair[0].2 != pair[1].2, "{rows:?}");
            }
            for at in -60..80 {
                let shown = rows.iter().find(|(from, to, _)| (*from..*to).contains(&at));
                let fate = moments.get(&at).copied().flatten();
                prop_assert_eq!(shown.map(|(_, _, fate)| *fate), fate, "second {}", at);
            }
        }
    }
}
