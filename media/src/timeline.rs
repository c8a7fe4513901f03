//! One timeline for all a pull ever gives, whatever the camera's clock does.

use std::time::Instant;

use crate::frame::{CLOCK_HZ, Frame, duration_to_ticks};

mod chord;
mod lead;
mod pace;
mod rate;
mod servo;
mod track;

use track::{Arriving, Fellow, Track};

/// Time at which a timeline begins, in ticks: late enough that a track starting a little early is
/// not negative.
const ORIGIN: i64 = CLOCK_HZ;
const MS: i64 = CLOCK_HZ / 1000;
/// Furthest, in ticks, that a frame on time may be from where it is expected.
const TOLERANCE: i64 = CLOCK_HZ / 2;
/// Furthest, in ticks, that the second track of a new source may be from where it is expected: a
/// camera may begin with stored pictures.
const JOIN_TOLERANCE: i64 = 5 * CLOCK_HZ;

/// Rewrites timestamps so that they only move forward and follow the arrival clock: over reconnects
/// (by the time that passed), jumps (by one frame), stopped clocks (by arrival) and clocks that run
/// at a wrong rate (rescaled). Decode times of a track strictly increase, and `dts <= pts` stays
/// true. Sound and picture keep their distance.
///
/// The steps of a clock that is right are kept to the tick. A network only ever delays, so what
/// counts is the frame that was delayed least: its lead, media time minus arrival time, is what a
/// track has to keep. A clock whose lead rises or falls steadily is wrong, and none is judged by
/// the clock of the other track.
#[derive(Default)]
pub struct Timeline {
    /// Arrival of the very first frame.
    epoch: Option<Instant>,
    /// The tracks of sound and picture.
    tracks: [Track; 2],
    /// The lead that earlier sources had.
    aim: Option<i64>,
    /// Whether a key frame must still tell of a break.
    broken: bool,
}

impl Timeline {
    /// Notes that another source follows: its times have nothing to do with those before, and what
    /// was learned of the clock is forgotten.
    pub fn reopen(&mut self) {
        let [sound, picture] = &self.tracks;
        self.broken |= sound.placed().or(picture.placed()).is_some();
        self.aim = picture.goal().or(sound.goal()).or(self.aim);
        for track in &mut self.tracks {
            track.reopen();
        }
    }

    /// Gives a frame its place.
    pub fn place(&mut self, frame: &mut Frame) {
        let epoch = *self.epoch.get_or_insert(frame.received);
        let arriving = Arriving {
            raw: frame.dts,
            shown: frame.pts.saturating_sub(frame.dts).max(0),
            now: duration_to_ticks(frame.received.saturating_duration_since(epoch)),
        };
        let i = usize::from(frame.is_video());
        let fellow = self.tracks[1 - i].as_fellow();
        if self.tracks[i].as_fellow().is_none() {
            let (line, shared) = self.join(&fellow, &arriving);
            self.tracks[i].join(line, shared, self.aim, &arriving);
        } else {
            self.broken |= self.tracks[i].follow(&fellow, &arriving);
        }
        (frame.dts, frame.pts) = self.tracks[i].put(&arriving);
        if frame.key {
            frame.discontinuity = std::mem::take(&mut self.broken);
        }
    }

    /// Where the first frame of a track in this source belongs, and whether that is by a clock
    /// that both tracks share.
    fn join(&self, fellow: &Fellow, arriving: &Arriving) -> (i64, bool) {
        let by = |lead: i64| lead.saturating_add(arriving.now).saturating_sub(arriving.shown);
        let Some((at, known)) = fellow else {
            // The arrival clock places this frame, after whichever track came last.
            let last = self.tracks.iter().filter_map(Track::placed).max_by_key(|&(_, at)| at);
            let Some((dts, at)) = last else { return (ORIGIN, false) };
            let elapsed = arriving.now.saturating_sub(at).max(1);
            let expected = self.aim.map_or(dts.saturating_add(elapsed), by);
            return (expected.max(dts.saturating_add(1)), false);
        };
        let expected = by(known.lead.goal);
        let shared = at.line.saturating_add(arriving.raw.saturating_sub(at.raw));
        match near(shared, expected, JOIN_TOLERANCE) {
            true => (shared, true),
            false => (expected, false),
        }
    }
}

fn near(a: i64, b: i64, tolerance: i64) -> bool {
    a.saturating_sub(b).saturating_abs() <= tolerance
}

#[cfg(test)]
#[path = "timeline_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "timeline/clocks_tests.rs"]
mod clocks_tests;
