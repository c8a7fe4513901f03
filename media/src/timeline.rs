//! One timeline for all a pull ever gives, whatever the camera's clock does.

use std::time::Instant;

use crate::drift::Drift;
use crate::frame::{CLOCK_HZ, Frame, duration_to_ticks};

/// Where a timeline begins: late enough that a track starting a little early is not negative.
const ORIGIN: i64 = CLOCK_HZ;
/// A step forward up to this long needs no explanation.
const MAX_STEP: i64 = CLOCK_HZ * 7 / 10;
/// How far apart two clocks may be and still be called the same.
const TOLERANCE: i64 = CLOCK_HZ / 2;
/// A frame this much later than the one before leaves its place in time to the arrival clock.
const LULL: i64 = CLOCK_HZ;
/// The frame duration assumed before one was seen.
const DEFAULT_STEP: i64 = CLOCK_HZ / 25;

/// Rewrites timestamps so that they only move forward: over reconnects (by the time that passed),
/// jumps (by one frame) and stopped clocks (by arrival). Decode times of a track strictly increase,
/// and `dts <= pts` stays true. Sound and picture keep their distance.
#[derive(Default)]
pub struct Timeline {
    tracks: [Track; 2],
    drift: Drift,
    /// A key frame must still tell of a break.
    broken: bool,
}

/// State of one track; index 0 is sound, 1 picture.
#[derive(Clone, Copy, Default)]
struct Track {
    /// The last frame placed, on the timeline, and when it came.
    placed: Option<(i64, Instant)>,
    /// Decode time of that frame as the source gave it; `None` when the source is another.
    raw: Option<i64>,
    /// What is added to the source's times.
    offset: i64,
    /// The offset before the last jump: B-frames may come from before it.
    former: i64,
    /// Duration of a frame, as last seen.
    step: Option<i64>,
}

impl Timeline {
    /// The frames that follow come from another source: its times have nothing to do with those
    /// before.
    pub fn reopen(&mut self) {
        for track in &mut self.tracks {
            track.raw = None;
        }
        self.broken |= self.tracks.iter().any(|track| track.placed.is_some());
        self.drift = Drift::default();
    }

    /// Gives a frame its place.
    pub fn place(&mut self, frame: &mut Frame) {
        let i = usize::from(frame.is_video());
        let (track, other) = (self.tracks[i], self.tracks[1 - i]);
        let offset = match track.raw {
            Some(raw) => self.follow(i, raw, frame),
            None => self.join(other, frame),
        };
        let earliest = track.placed.map_or(0, |(dts, _)| dts + 1);
        let raw = frame.dts;
        frame.dts = raw.saturating_add(offset).max(earliest);
        frame.pts = frame.pts.saturating_add(offset).max(frame.dts);

        let track = &mut self.tracks[i];
        if track.raw.is_some() && track.offset != offset {
            track.former = track.offset;
        }
        track.offset = offset;
        track.raw = Some(raw);
        track.placed = Some((frame.dts, frame.received));
        if let Some(correction) = self.drift.observe(i, frame.dts, frame.received) {
            self.tracks[0].offset += correction;
        }
        if frame.key {
            frame.discontinuity = std::mem::take(&mut self.broken);
        }
    }

    /// The offset of the first frame of a track in this source.
    fn join(&self, other: Track, frame: &Frame) -> i64 {
        // Where the arrival clock puts this frame, after whichever track came last.
        let last = self.tracks.iter().filter_map(|t| t.placed).max_by_key(|&(_, at)| at);
        let expected = last.map_or(ORIGIN, |(dts, at)| dts + elapsed(at, frame.received).max(1));
        let shared = other.raw.map(|_| other.offset);
        shared
            .filter(|o| near(frame.dts, *o, expected))
            .unwrap_or(expected.saturating_sub(frame.dts))
    }

    /// The offset of a frame after another of its track and source.
    fn follow(&mut self, i: usize, raw: i64, frame: &Frame) -> i64 {
        let other = self.tracks[1 - i];
        let track = &mut self.tracks[i];
        let Some((dts, at)) = track.placed else { return track.offset };
        let (delta, elapsed) = (frame.dts.saturating_sub(raw), elapsed(at, frame.received));
        let step = track.step.unwrap_or(DEFAULT_STEP);
        if delta > 0 && (delta <= MAX_STEP.max(3 * step) || near(delta, 0, elapsed)) {
            if delta > CLOCK_HZ / 1000 {
                track.step = Some(delta);
            }
            return track.offset;
        }
        // A clock that stands still says nothing: no break, and arrival is the clock. Otherwise
        // it was set, most likely between two frames.
        let stopped = delta == 0;
        self.broken |= !stopped;
        let expected = dts + if stopped || elapsed > LULL { elapsed.max(1) } else { step };
        // The other track may have met the same jump already; an exact copy keeps them together.
        [other.raw.map(|_| other.offset), Some(track.former)]
            .into_iter()
            .flatten()
            .find(|o| near(frame.dts, *o, expected) && frame.dts.saturating_add(*o) > dts)
            .unwrap_or(expected.saturating_sub(frame.dts))
    }
}

fn near(raw: i64, offset: i64, expected: i64) -> bool {
    raw.saturating_add(offset).saturating_sub(expected).saturating_abs() <= TOLERANCE
}

fn elapsed(from: Instant, to: Instant) -> i64 {
    duration_to_ticks(to.saturating_duration_since(from))
}
