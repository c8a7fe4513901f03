//! Maps the times of all sources of a stream to one stream time from 0, in 90 kHz ticks, in which the end or
//! the change of a clip leaves no jump.

use ivt_media::frame::{CLOCK_HZ, Frame};

/// Maps the time of the current source to the time of the stream.
#[derive(Debug)]
pub struct Timeline {
    /// Stream time minus source time; `None` until the first frame of a source.
    offset: Option<i64>,
    /// Latest `dts` given to the leading track: the picture or, without one, the sound.
    last: i64,
    /// Time from one frame of the leading track to the next, in ticks.
    step: i64,
    /// Source `dts` of the latest frame of the leading track.
    previous: Option<i64>,
    has_video: bool,
}

/// The time of a frame in the stream, in 90 kHz ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Presentation time.
    pub pts: i64,
    /// Decode time.
    pub dts: i64,
}

impl Default for Timeline {
    fn default() -> Self {
        Self { offset: None, last: 0, step: CLOCK_HZ / 25, previous: None, has_video: false }
    }
}

impl Timeline {
    /// Begins another source, whose first frame follows the last one at the distance of a frame.
    pub fn restart(&mut self) {
        self.offset = None;
        self.previous = None;
    }

    /// Shifts every later frame by so many ticks.
    pub fn shift(&mut self, ticks: i64) {
        self.offset = self.offset.map(|offset| offset.saturating_add(ticks));
        self.last = self.last.saturating_add(ticks);
    }

    /// The stream time of a frame.
    pub fn place(&mut self, frame: &Frame) -> Place {
        if frame.discontinuity {
            self.restart();
        }
        let follow = self.last.saturating_add(self.step).saturating_sub(frame.dts);
        let offset = *self.offset.get_or_insert(follow);
        let dts = frame.dts.saturating_add(offset);
        self.has_video |= frame.is_video();
        if frame.is_video() || !self.has_video {
            let step = self.previous.replace(frame.dts).map(|p| frame.dts.saturating_sub(p));
            self.step = step.filter(|step| (1..CLOCK_HZ).contains(step)).unwrap_or(self.step);
            self.last = dts;
        }
        Place { pts: frame.pts.saturating_add(offset), dts }
    }
}

#[cfg(test)]
mod tests {
    use super::super::rtp::testutil;
    use super::*;

    fn picture(dts: i64, discontinuity: bool) -> Frame {
        Frame { dts, pts: dts + 100, discontinuity, ..testutil::video(&[]) }
    }

    #[test]
    fn sources_follow_each_other_without_a_jump() {
        let mut timeline = Timeline::default();
        let mut place = |frame: Frame| timeline.place(&frame);
        assert_eq!(place(picture(1_000_000, false)), Place { pts: 3700, dts: 3600 });
        assert_eq!(place(picture(1_003_000, false)).dts, 6600);
        assert_eq!(place(picture(50, true)).dts, 9600, "one picture of 3000 ticks later");
        assert_eq!(place(picture(3050, false)).dts, 12_600);
        timeline.restart();
        assert_eq!(timeline.place(&picture(-7, false)).dts, 15_600);
    }

    #[test]
    fn sound_that_ends_late_does_not_delay_the_next_picture() {
        let mut timeline = Timeline::default();
        let sound = |dts| {
            let aac = testutil::audio(ivt_media::frame::AudioCodec::Aac, 16_000, 1, &[]);
            Frame { dts, pts: dts, ..aac }
        };
        timeline.place(&picture(0, false));
        let last = timeline.place(&picture(3600, false)).dts;
        timeline.place(&sound(9000));
        timeline.restart();
        assert_eq!(timeline.place(&picture(0, false)).dts, last + 3600);
    }

    #[test]
    fn a_shift_moves_all_that_follows_both_ways() {
        let mut timeline = Timeline::default();
        let first = timeline.place(&picture(0, false)).dts;
        timeline.shift(-90_000);
        assert_eq!(timeline.place(&picture(3600, false)).dts, first + 3600 - 90_000);
        timeline.shift(i64::MAX);
        timeline.shift(i64::MAX);
        timeline.place(&picture(i64::MAX - 100, false)); // The sum saturates.
    }
}
