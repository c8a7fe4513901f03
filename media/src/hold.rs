//! Lets sound wait for the picture after it, so that a reader takes both at one wake-up.
//!
//! Waking a reader, and the write it makes, cost more than the sound itself.

use std::time::{Duration, Instant};

use crate::frame::{Frame, ticks_to_duration};

/// Longest time that sound waits for a picture.
const LONGEST: Duration = Duration::from_millis(40);
/// How late a picture may be. Sound waits only if a picture that is this late still comes in time.
const JITTER: Duration = Duration::from_millis(5);
/// Pictures further apart than this do not tell when the next one comes.
const SLOWEST: Duration = Duration::from_secs(1);

/// Decides of which frames of one stream the readers are told at once.
#[derive(Debug, Default)]
pub(crate) struct SoundHold {
    /// Decode time of the newest picture, in 90 kHz ticks.
    dts: Option<i64>,
    /// When the next picture is expected.
    expected: Option<Instant>,
    /// When the oldest sound arrived of which readers were not told yet.
    oldest: Option<Instant>,
}

impl SoundHold {
    /// Notes a frame. True if readers are told of it and of all that waits. False if the frame
    /// waits for the next picture, at most until [`Self::due`].
    pub(crate) fn note(&mut self, frame: &Frame) -> bool {
        let now = frame.received;
        if frame.is_video() {
            let step = self.dts.map(|dts| ticks_to_duration(frame.dts.saturating_sub(dts)));
            let step = step.filter(|step| !step.is_zero() && *step <= SLOWEST);
            self.expected = step.map(|step| now + step);
            self.dts = Some(frame.dts);
        }
        let waits = !frame.is_video() && self.is_picture_near(now);
        match (waits, self.oldest) {
            (false, _) => self.oldest = None,
            (true, None) => self.oldest = Some(now),
            (true, Some(_)) => {}
        }
        !waits
    }

    /// When readers are told of the waiting sound, even if no picture has come.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.oldest.map(|oldest| oldest + LONGEST)
    }

    /// Notes that readers were told of all that waited.
    pub(crate) fn release(&mut self) {
        self.oldest = None;
    }

    fn is_picture_near(&self, now: Instant) -> bool {
        self.expected
            .is_some_and(|expected| now < expected + JITTER && expected + JITTER <= now + LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{picture, sound};

    const MS: Duration = Duration::from_millis(1);

    /// What happens to sound that comes `after` milliseconds after the second of two pictures that
    /// are `step` milliseconds apart.
    fn sound_after(step: u32, after: u32) -> (bool, SoundHold) {
        let (mut hold, start) = (SoundHold::default(), Instant::now());
        assert!(hold.note(&picture(true, 0, 10, start)));
        assert!(hold.note(&picture(false, i64::from(step) * 90, 10, start + step * MS)));
        let came = start + (step + after) * MS;
        (hold.note(&sound(0, came)), hold)
    }

    #[test]
    fn sound_waits_for_a_picture_that_is_near() {
        for (step, after) in [(40, 5), (40, 39), (33, 0), (67, 32), (1000, 990)] {
            let (told, hold) = sound_after(step, after);
            assert!(!told && hold.due().is_some(), "{step} {after}");
        }
    }

    #[test]
    fn sound_far_from_the_next_picture_is_told_at_once() {
        for (step, after) in [(40, 0), (40, 4), (67, 20), (200, 100), (40, 46), (40, 400)] {
            assert!(sound_after(step, after).0, "{step} {after}");
        }
    }

    #[test]
    fn no_sound_waits_longer_than_the_oldest_may() {
        let (_, mut hold) = sound_after(40, 10);
        let due = hold.due();
        let later = due.unwrap() - 20 * MS;
        assert!(!hold.note(&sound(0, later)));
        assert_eq!(hold.due(), due);
        hold.release();
        assert_eq!(hold.due(), None);
    }

    #[test]
    fn a_picture_takes_along_what_waits() {
        let (_, mut hold) = sound_after(40, 10);
        let now = hold.due().unwrap();
        assert!(hold.note(&picture(false, 80 * 90, 10, now)));
        assert_eq!(hold.due(), None);
    }

    #[test]
    fn a_stream_without_pictures_is_told_frame_by_frame() {
        let (mut hold, start) = (SoundHold::default(), Instant::now());
        assert!((0..50).all(|n| hold.note(&sound(i64::from(n) * 1800, start + n * 20 * MS))));
    }

    #[test]
    fn a_clock_that_jumps_makes_no_sound_wait() {
        let (mut hold, start) = (SoundHold::default(), Instant::now());
        hold.note(&picture(true, 900_000, 10, start));
        hold.note(&picture(true, 0, 10, start + 40 * MS));
        assert!(hold.note(&sound(0, start + 60 * MS)));
    }
}
