//! Finds where the stored segments of a session leave gaps, overlap or repeat each other. Pure.

use std::collections::HashMap;

use serde::Serialize;

use super::info::{RecordingInfo, SegmentInfo};
use super::session::TOLERANCE;

/// The extent and the irregularities of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Timeline {
    /// Start of the first segment, in microseconds since 1970; `None` when nothing is stored.
    pub begin_us: Option<i64>,
    /// Latest end of a segment, in microseconds since 1970.
    pub end_us: Option<i64>,
    /// Irregular stretches in the order of time.
    pub spans: Vec<Span>,
}

/// An irregular stretch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Span {
    /// What is wrong with it.
    pub kind: SpanKind,
    /// Beginning of the stretch, in microseconds since 1970.
    pub from_us: i64,
    /// End of the stretch, in microseconds since 1970.
    pub to_us: i64,
    /// The segment before or below, and the segment that makes the stretch irregular.
    pub names: [String; 2],
}

/// The kind of an irregular stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SpanKind {
    /// No segment covers it.
    Gap,
    /// Two segments partly cover each other.
    Overlap,
    /// A segment is there twice: the same time, or the same bytes.
    Duplicate,
}

impl RecordingInfo {
    /// The gaps, overlaps and duplicates of the stored segments.
    pub fn timeline(&self) -> Timeline {
        timeline(self.stored())
    }
}

/// The timeline of any segments in any order.
pub(super) fn timeline<'a>(segments: impl Iterator<Item = &'a SegmentInfo>) -> Timeline {
    let mut segments: Vec<_> = segments.collect();
    segments.sort_by_key(|segment| (segment.start_us, segment.duration_us));
    let mut found =
        Timeline { begin_us: segments.first().map(|s| s.start_us), ..Timeline::default() };
    let mut sums = HashMap::new();
    // This is the segment with the latest end so far.
    let mut last: Option<&SegmentInfo> = None;
    let mut before: Option<&SegmentInfo> = None;
    for segment in segments {
        let same_bytes = segment.sha256.as_deref().and_then(|sum| sums.insert(sum, segment));
        let same_time = before.filter(|before| same_time(before, segment));
        if let Some(original) = same_time.or(same_bytes) {
            found.add(SpanKind::Duplicate, (segment.start_us, segment.end_us()), original, segment);
            continue;
        }
        before = Some(segment);
        if let Some(last) = last {
            let (start, end) = (segment.start_us, last.end_us());
            if start > end + TOLERANCE {
                found.add(SpanKind::Gap, (end, start), last, segment);
            } else if start < end - TOLERANCE {
                found.add(SpanKind::Overlap, (start, end.min(segment.end_us())), last, segment);
            }
        }
        if last.is_none_or(|last| segment.end_us() > last.end_us()) {
            last = Some(segment);
        }
    }
    found.end_us = last.map(SegmentInfo::end_us);
    found
}

fn same_time(one: &SegmentInfo, other: &SegmentInfo) -> bool {
    (one.start_us - other.start_us).abs() <= TOLERANCE
        && (one.duration_us - other.duration_us).abs() <= TOLERANCE
}

impl Timeline {
    fn add(
        &mut self,
        kind: SpanKind,
        (from_us, to_us): (i64, i64),
        one: &SegmentInfo,
        other: &SegmentInfo,
    ) {
        let names = [one.name.clone(), other.name.clone()];
        self.spans.push(Span { kind, from_us, to_us, names });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use proptest::prelude::*;

    use super::super::form::Create;
    use super::super::session::Stored;
    use super::*;

    const SECOND: i64 = 1_000_000;

    /// A session of stored segments of (start, duration, sum), in seconds.
    fn recorded(segments: &[(f64, f64, &str)]) -> RecordingInfo {
        let mut info = RecordingInfo { session: "s".into(), ..RecordingInfo::default() };
        for (start, duration, sum) in segments {
            let micros = |seconds: &f64| (seconds * 1e6) as i64;
            let create =
                Create { start: micros(start), duration: micros(duration), ..Create::default() };
            let name = info.create(create, String::new(), Instant::now());
            let put_at = (Instant::now(), Instant::now());
            let sha256 = (!sum.is_empty()).then(|| sum.to_string());
            info.store(&name, Stored { received: 0, sha256, put_at, answered: true });
        }
        info
    }

    fn spans(info: &RecordingInfo) -> Vec<(SpanKind, f64, f64, [usize; 2])> {
        let number = |name: &String| name[2..8].parse().unwrap();
        let seconds = |micros: i64| micros as f64 / SECOND as f64;
        let found = info.timeline().spans;
        found
            .iter()
            .map(|s| (s.kind, seconds(s.from_us), seconds(s.to_us), s.names.each_ref().map(number)))
            .collect()
    }

    #[test]
    fn what_joins_has_nothing_to_show() {
        let info =
            recorded(&[(10.0, 5.0, "b"), (15.0, 5.001, "c"), (20.0, 5.0, "d"), (5.0, 5.0, "a")]);
        assert_eq!(spans(&info), []);
        let timeline = info.timeline();
        assert_eq!((timeline.begin_us, timeline.end_us), (Some(5 * SECOND), Some(25 * SECOND)));
        assert_eq!(recorded(&[]).timeline(), Timeline::default());
    }

    #[test]
    fn gaps_lie_between_neighbours_in_time() {
        let info = recorded(&[(0.0, 10.0, "a"), (30.0, 10.0, "c"), (15.0, 10.0, "b")]);
        let gaps = [(SpanKind::Gap, 10.0, 15.0, [0, 2]), (SpanKind::Gap, 25.0, 30.0, [2, 1])];
        assert_eq!(spans(&info), gaps);
    }

    #[test]
    fn overlaps_are_what_two_have_in_common() {
        let info = recorded(&[(0.0, 10.0, "a"), (8.0, 10.0, "b"), (18.0, 2.0, "c")]);
        assert_eq!(spans(&info), [(SpanKind::Overlap, 8.0, 10.0, [0, 1])]);
        // A segment inside another hides neither the end of the longer one nor what follows.
        let info = recorded(&[(0.0, 10.0, "a"), (2.0, 3.0, "b"), (12.0, 2.0, "c")]);
        let found = [(SpanKind::Overlap, 2.0, 5.0, [0, 1]), (SpanKind::Gap, 10.0, 12.0, [0, 2])];
        assert_eq!(spans(&info), found);
    }

    #[test]
    fn duplicates_have_the_same_time_or_the_same_bytes() {
        let info =
            recorded(&[(0.0, 10.0, ""), (0.0, 10.0005, ""), (10.0, 10.0, "x"), (20.0, 10.0, "x")]);
        let found = [
            (SpanKind::Duplicate, 0.0, 10.0005, [0, 1]),
            (SpanKind::Duplicate, 20.0, 30.0, [2, 3]),
        ];
        assert_eq!(spans(&info), found);
    }

    #[test]
    fn what_was_given_up_covers_nothing() {
        let mut info = recorded(&[(0.0, 10.0, "a"), (10.0, 10.0, "b"), (20.0, 10.0, "c")]);
        info.give_up("s-000001.ts").unwrap();
        assert_eq!(spans(&info), [(SpanKind::Gap, 10.0, 20.0, [0, 2])]);
    }

    proptest! {
        /// Gaps and the segments together cover everything from begin to end.
        #[test]
        fn gaps_complete_the_cover(segments in prop::collection::vec((0u32..100, 1u32..20), 1..30)) {
            let rows: Vec<_> = segments.iter().map(|(s, d)| (f64::from(*s), f64::from(*d), "")).collect();
            let info = recorded(&rows);
            let timeline = info.timeline();
            let (begin, end) = (timeline.begin_us.unwrap(), timeline.end_us.unwrap());
            for second in begin / SECOND..end / SECOND {
                let at = second * SECOND + SECOND / 2;
                let stored = info.stored().any(|s| (s.start_us..s.end_us()).contains(&at));
                let gap = timeline.spans.iter().any(|s| s.kind == SpanKind::Gap && (s.from_us..s.to_us).contains(&at));
                prop_assert!(stored != gap, "{second}");
            }
        }
    }
}
