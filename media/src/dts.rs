//! Decode times for streams that carry only presentation times.

use crate::frame::CLOCK_HZ;

/// The most pictures H.264 and H.265 allow to be held back.
const MAX_DEPTH: usize = 16;
/// A presentation time further from the newest than this was not reordered: the clock was set.
const WINDOW: i64 = CLOCK_HZ * 7 / 10;
/// Frame duration in 90 kHz ticks that is assumed before one was seen.
const DEFAULT_STEP: i64 = CLOCK_HZ / 25;

/// A depth that was told is wrong when so many steps back contradict it within [`MEMORY`].
const CONTRADICTIONS: u8 = 3;
/// Frames over which contradictions are counted.
const MEMORY: u8 = 24;

/// Makes decode times from presentation times in decode order, without holding frames back:
/// with a reorder depth of n, a frame is decoded at the (n + 1)-th latest presentation time known
/// when it arrives. Nothing is delayed more than the depth demands, and without reordering
/// `dts == pts`.
///
/// Decode times strictly increase with two exceptions, both left to [`crate::timeline`]: a set
/// clock begins anew, and a presentation time that repeats repeats the decode time. A step back
/// further than the depth allows is a clock being set where the depth is known, and deepens it
/// where it is not, or turns out to be wrong.
pub struct Reorder {
    /// Pictures that a decoder holds back, at most [`MAX_DEPTH`].
    depth: usize,
    /// Whether the stream's parameters state the depth.
    told: bool,
    /// Steps back that a told depth forbids.
    contradictions: u8,
    /// Frames since the first contradiction that counts.
    since: u8,
    /// The latest `depth + 1` presentation times, ascending.
    latest: Vec<i64>,
    /// Presentation and decode time of the last frame.
    last: Option<(i64, i64)>,
    /// Duration of a frame in 90 kHz ticks.
    step: i64,
}

impl Reorder {
    /// `depth` as the stream's parameters state it; `None` where they do not, then it is learned.
    pub fn new(depth: Option<usize>) -> Self {
        Self {
            depth: depth.unwrap_or(0).min(MAX_DEPTH),
            told: depth.is_some(),
            contradictions: 0,
            since: 0,
            latest: Vec::new(),
            last: None,
            step: DEFAULT_STEP,
        }
    }

    /// The presentation and decode time of the next frame in decode order. The presentation time
    /// is changed only where the depth had to be learned from this very frame.
    pub fn place(&mut self, pts: i64) -> (i64, i64) {
        if let Some((last_pts, last_dts)) = self.last
            && pts == last_pts
        {
            return (last_pts.max(last_dts), last_dts);
        }
        if self.clock_was_set(pts) {
            self.latest.clear();
            self.last = None;
        }
        if self.latest.is_empty() {
            // The first frame is placed as if others had come before it, one step apart.
            let depth = self.depth as i64;
            self.latest.extend((1..=depth).rev().map(|n| pts.saturating_sub(n * self.step)));
        }
        let at = self.latest.partition_point(|&other| other <= pts);
        self.latest.insert(at, pts);
        if self.latest.len() > self.depth + 1 {
            if at == 0 && self.depth < MAX_DEPTH {
                // The frame is shown before one that is already decoded: frames are reordered
                // deeper than was known.
                self.depth += 1;
            } else {
                self.latest.remove(0);
            }
        }
        let mut dts = self.latest[0].min(pts);
        if let Some((_, last_dts)) = self.last {
            let step = dts.saturating_sub(last_dts);
            if (CLOCK_HZ / 1000..WINDOW).contains(&step) {
                self.step = step;
            }
            dts = dts.max(last_dts.saturating_add(1));
        }
        self.last = Some((pts, dts));
        (pts.max(dts), dts)
    }

    fn clock_was_set(&mut self, pts: i64) -> bool {
        self.since = self.since.saturating_add(1);
        let Some(&newest) = self.latest.last() else { return false };
        if newest.saturating_sub(pts).saturating_abs() > WINDOW.max(4 * self.step) {
            return true;
        }
        let decoded = self.latest.first().filter(|_| self.latest.len() > self.depth);
        if !self.told || decoded.is_none_or(|&decoded| pts > decoded) {
            return false;
        }
        if self.contradictions == 0 || self.since > MEMORY {
            (self.contradictions, self.since) = (0, 0);
        }
        self.contradictions += 1;
        self.told = self.contradictions < CONTRADICTIONS;
        self.told
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STEP: i64 = 3600;

    fn place_all(reorder: &mut Reorder, pts: impl IntoIterator<Item = i64>) -> Vec<(i64, i64)> {
        pts.into_iter().map(|pts| reorder.place(pts)).collect()
    }

    #[test]
    fn without_reordering_both_times_are_equal() {
        for depth in [None, Some(0)] {
            let mut reorder = Reorder::new(depth);
            for n in 0..100 {
                assert_eq!(reorder.place(n * STEP), (n * STEP, n * STEP));
            }
        }
    }

    #[test]
    fn known_depth_is_right_from_the_first_frame() {
        // I0 P3 B1 B2 P6 B4 B5
        let order = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8];
        let placed = place_all(&mut Reorder::new(Some(1)), order.map(|n| n * STEP));
        let want: Vec<_> = (0..).zip(order).map(|(n, p)| (p * STEP, (n - 1) * STEP)).collect();
        assert_eq!(placed, want);
    }

    #[test]
    fn unknown_depth_is_learned_within_one_group() {
        let mut reorder = Reorder::new(None);
        // A pyramid: I0 P4 B2 b1 b3 P8 B6 b5 b7 ...
        let order = (0..40).flat_map(|g| [4, 2, 1, 3].map(|n| (g * 4 + n) * STEP));
        let placed = place_all(&mut reorder, [0].into_iter().chain(order.clone()));
        let wanted = [0].into_iter().chain(order);
        for (n, ((pts, dts), want)) in placed.into_iter().zip(wanted).enumerate().skip(9) {
            assert_eq!((pts, dts), (want, (n as i64 - 2) * STEP), "frame {n}");
        }
    }

    #[test]
    fn a_set_clock_begins_anew_and_a_repeated_time_repeats() {
        let mut reorder = Reorder::new(Some(1));
        place_all(&mut reorder, [0, 3, 1, 2].map(|n| n * STEP));
        assert_eq!(reorder.place(90_000_000), (90_000_000, 90_000_000 - STEP));
        assert_eq!(reorder.place(90_000_000), (90_000_000, 90_000_000 - STEP));
        let mut extreme = Reorder::new(None);
        place_all(&mut extreme, [i64::MAX, i64::MIN, 0, i64::MAX, i64::MAX - 1]);
    }

    #[test]
    fn where_nothing_is_reordered_any_step_back_is_a_clock_being_set() {
        for back in [1, STEP / 2, STEP, 5 * STEP, 15 * STEP] {
            let mut reorder = Reorder::new(Some(0));
            place_all(&mut reorder, (0..50).map(|n| n * STEP));
            for n in 50..100 {
                let pts = n * STEP - STEP - back;
                assert_eq!(reorder.place(pts), (pts, pts), "back by {back}, frame {n}");
            }
        }
    }

    #[test]
    fn a_step_back_that_the_depth_forbids_is_a_clock_being_set() {
        let order = |n: i64| [0, 2, -1][n as usize % 3] + n;
        let mut reorder = Reorder::new(Some(1));
        place_all(&mut reorder, (0..30).map(|n| order(n) * STEP));
        for n in 30..90 {
            let pts = (order(n) - 8) * STEP;
            let (shown, dts) = reorder.place(pts);
            assert_eq!(shown, pts, "frame {n}");
            assert!((pts - 3 * STEP..=pts).contains(&dts), "frame {n}: {}", (pts - dts) / STEP);
        }
    }

    #[test]
    fn a_told_depth_that_is_wrong_is_found_out() {
        let order = |n: i64| if n == 0 { 0 } else { [-1, 2, -1][n as usize % 3] + n };
        let mut reorder = Reorder::new(Some(0));
        let placed = place_all(&mut reorder, (0..60).map(|n| order(n) * STEP));
        for (n, pair) in placed.windows(2).enumerate().skip(15) {
            assert_eq!(pair[1].0, order(n as i64 + 1) * STEP, "shown when it has to be");
            assert!(pair[0].1 < pair[1].1, "frame {n}");
        }
    }

    /// Frames in decode order: groups of an anchor and the B-frames shown before it, these split
    /// again in the middle when they are references. Returns them with the depth this needs.
    fn stream(groups: &[(usize, bool)]) -> (Vec<i64>, usize) {
        fn split(pts: &mut Vec<i64>, from: i64, to: i64) -> usize {
            if from > to {
                return 0;
            }
            let middle = (from + to) / 2;
            pts.push(middle * STEP);
            let left = split(pts, from, middle - 1);
            let right = split(pts, middle + 1, to);
            (1 + left).max(right)
        }
        let (mut pts, mut next, mut depth) = (vec![0], 1, 0);
        for &(b_frames, pyramid) in groups {
            let anchor = next + b_frames as i64;
            pts.push(anchor * STEP);
            if pyramid {
                // The middle one is a reference held back while the left half is shown.
                depth = depth.max(split(&mut pts, next, anchor - 1));
            } else {
                pts.extend((next..anchor).map(|n| n * STEP));
                depth = depth.max(usize::from(b_frames > 0));
            }
            next = anchor + 1;
        }
        (pts, depth)
    }

    proptest! {
        #[test]
        fn decode_times_strictly_increase_and_never_pass_presentation(
            groups in prop::collection::vec((0usize..8, any::<bool>()), 1..60),
            told in prop::option::of(0usize..5),
        ) {
            let (pts, depth) = stream(&groups);
            // A depth that is told is binding, see below.
            let told = told.map(|more| depth + more);
            let mut reorder = Reorder::new(told);
            let mut last = i64::MIN;
            for pts in pts {
                let (shown, dts) = reorder.place(pts);
                prop_assert!(dts > last && dts <= shown, "{dts} after {last}, shown {shown}");
                last = dts;
            }
        }

        #[test]
        fn known_depth_changes_no_presentation_time_and_delays_no_more_than_needed(
            groups in prop::collection::vec((0usize..8, any::<bool>()), 1..60),
        ) {
            let (pts, depth) = stream(&groups);
            prop_assume!(depth > 0);
            let mut reorder = Reorder::new(Some(depth));
            for (n, pts) in pts.into_iter().enumerate() {
                prop_assert_eq!(reorder.place(pts), (pts, (n as i64 - depth as i64) * STEP));
            }
        }

        #[test]
        fn anything_at_all_keeps_decode_before_presentation(
            pts in prop::collection::vec(any::<i64>(), 1..100),
            depth in prop::option::of(0usize..20),
        ) {
            let mut reorder = Reorder::new(depth);
            for pts in pts {
                let (shown, dts) = reorder.place(pts);
                prop_assert!(dts <= shown);
            }
        }
    }
}
