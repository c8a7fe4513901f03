//! Cuts a stream into segments of transport stream, each of which plays alone. Pure.
//!
//! Output is by group, so that what waits for its segment's end can already be stored or sent. One
//! unfinished group is held: at most `max_bytes` and one frame.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::frame::{AudioParams, CLOCK_HZ, Frame, Track};
use crate::join::Join;
use crate::ts::{Muxer, Tracks};

mod event;
mod relation;

pub use event::{Begin, End, Group, SegmentEvent};
use relation::Relation;

/// Shortest group, in 90 kHz ticks. A key frame that comes sooner begins no group, unless a cut is
/// due at it: streams of key frames only, and sound without pictures, need no tables before every
/// frame.
const MIN_GROUP: i64 = CLOCK_HZ / 2;
/// Duration of a frame, in ticks, that is assumed before a second one was seen.
const DEFAULT_STEP: i64 = CLOCK_HZ / 25;
/// Longest step between two frames, in ticks, that is taken for a frame's duration.
const MAX_STEP: i64 = 10 * CLOCK_HZ;
/// Time in ticks for which sound is remembered: it is listed in a segment's tables although the
/// segment's first group has none.
const HEARD: i64 = CLOCK_HZ;

/// Where to cut.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A segment ends at the first key frame at or after this time from its first frame.
    pub duration: Duration,
    /// A segment ends at an earlier key frame if it would be larger than this otherwise, in bytes.
    pub max_bytes: u64,
}

/// Frames in, segments out. After each [`push`](Segmenter::push), take what there is by
/// [`poll`](Segmenter::poll).
pub struct Segmenter {
    limits: Limits,
    muxer: Muxer,
    #[cfg(feature = "g711-aac")]
    transcoder: crate::transcode::Transcoder,
    /// The complete groups since the last `End`.
    segment: Option<Segment>,
    group: Option<Forming>,
    /// Time of the newest frame that makes groups: a picture, or sound in a stream without
    /// pictures.
    last: i64,
    /// Time between the newest two frames that make groups, in ticks.
    step: i64,
    /// Parameters of the newest sound, and its time.
    heard: Option<(Arc<AudioParams>, i64)>,
    /// Whether a group was begun.
    started: bool,
    /// Whether the next segment does not continue this one.
    broken: bool,
    join: Join,
    dropped: u64,
    /// Whether the log was told of sound that cannot be carried.
    refused: bool,
    events: VecDeque<SegmentEvent>,
}

struct Segment {
    at: i64,
    bytes: u64,
    tracks: Tracks,
}

struct Forming {
    begin: Begin,
    tracks: Tracks,
}

impl Segmenter {
    /// A segmenter at the start of a stream.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            muxer: Muxer::new(),
            #[cfg(feature = "g711-aac")]
            transcoder: Default::default(),
            segment: None,
            group: None,
            last: 0,
            step: DEFAULT_STEP,
            heard: None,
            started: false,
            broken: false,
            join: Join::default(),
            dropped: 0,
            refused: false,
            events: VecDeque::new(),
        }
    }

    /// Takes the next frame. Frames before the first key frame are left out, and so are leading
    /// pictures of a key frame that continues nothing. Sound that transport streams do not carry is
    /// left out with one line in the log.
    pub fn push(&mut self, frame: &Frame) {
        if frame.discontinuity {
            self.gap();
        }
        #[cfg(feature = "g711-aac")]
        if let Some(frames) = self.transcoder.frames(frame) {
            frames.iter().for_each(|frame| self.take(frame));
            return;
        }
        self.take(frame);
    }

    /// Ends the segment, since frames were lost. The next begins at a key frame.
    pub fn gap(&mut self) {
        #[cfg(feature = "g711-aac")]
        for frame in self.transcoder.finish() {
            self.take(&frame);
        }
        let end = self.last.saturating_add(self.step);
        self.close(end, false);
        self.end(end, false);
        self.heard = None;
        self.broken = self.started;
    }

    /// Ends the segment, since the stream is stopped.
    pub fn finish(&mut self) {
        self.gap();
    }

    /// The next group or end of a segment, in order.
    pub fn poll(&mut self) -> Option<SegmentEvent> {
        self.events.pop_front()
    }

    /// Size of the segment being cut, the unfinished group included.
    pub fn forming_bytes(&self) -> u64 {
        self.segment.as_ref().map_or(0, |segment| segment.bytes) + self.unfinished_bytes()
    }

    /// Frames left out although a group was being formed: damaged, or with parameters that change
    /// inside it.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn take(&mut self, frame: &Frame) {
        if !self.muxer.carries(frame) {
            self.refuse(frame);
            return;
        }
        let Some(group) = &mut self.group else {
            if frame.key {
                self.open(frame, Tracks::of(frame));
                self.join.begin();
            }
            return;
        };
        if !self.join.admits(frame) {
            return;
        }
        match group.tracks.relate(frame) {
            Relation::Continues => self.extend(frame),
            Relation::Begins => {
                self.close(frame.dts, true);
                self.end(frame.dts, false);
                self.open(frame, Tracks::of(frame));
                // Frames with other parameters refer to nothing from before.
                self.join.begin();
            }
            Relation::Breaks => {
                self.dropped += 1;
                self.gap();
            }
            Relation::Waits => self.dropped += 1,
        }
    }

    /// Takes a frame that needs no other parameters.
    fn extend(&mut self, frame: &Frame) {
        let Some(group) = &self.group else { return };
        let begin = group.begin.at;
        let makes_groups = frame.is_video() || group.tracks.video.is_none();
        let bytes = self.muxer.bytes_with(frame);
        if frame.key && makes_groups {
            let before = self.segment.as_ref().map_or(0, |segment| segment.bytes);
            if frame.dts.saturating_sub(begin) >= MIN_GROUP
                || self.is_due(self.segment.as_ref().map_or(begin, |segment| segment.at), frame.dts)
                || before + bytes > self.limits.max_bytes
            {
                self.close(frame.dts, true);
                if self.segment.as_ref().is_some_and(|s| self.is_due(s.at, frame.dts)) {
                    self.end(frame.dts, false);
                }
                self.open(frame, Tracks::of(frame));
                return;
            }
        } else if bytes > self.limits.max_bytes {
            let tracks = group.tracks.clone();
            self.end(begin, false);
            self.close(frame.dts, true);
            self.end(frame.dts, true);
            self.open(frame, tracks);
            return;
        }
        self.write(frame);
        // The segment would be too large with this group, so what is complete need not wait for the
        // rest.
        if self.forming_bytes() > self.limits.max_bytes {
            self.end(begin, false);
        }
    }

    fn is_due(&self, from: i64, at: i64) -> bool {
        span(from, at) >= self.limits.duration
    }

    /// Begins a group with the frame.
    fn open(&mut self, frame: &Frame, tracks: Tracks) {
        let discontinuity = std::mem::take(&mut self.broken);
        let begin = Begin { at: frame.dts, received: frame.received, discontinuity };
        self.muxer.open(tracks.video.is_some(), discontinuity);
        if !self.started || discontinuity {
            self.last = frame.dts;
        }
        self.started = true;
        self.group = Some(Forming { begin, tracks });
        self.write(frame);
    }

    fn write(&mut self, frame: &Frame) {
        let pictures = self.group.as_ref().is_some_and(|group| group.tracks.video.is_some());
        if frame.is_video() == pictures {
            let step = frame.dts.saturating_sub(self.last);
            if (1..=MAX_STEP).contains(&step) {
                self.step = step;
            }
            self.last = frame.dts;
        }
        if let Track::Audio(params) = &frame.track {
            self.heard = Some((Arc::clone(params), frame.dts));
        }
        self.muxer.push(frame);
    }

    /// Completes the group, which ends at `end`: the time of the next frame if that continues the
    /// group.
    fn close(&mut self, end: i64, continued: bool) {
        let Some(Forming { begin, mut tracks }) = self.group.take() else { return };
        self.muxer.flush();
        if continued {
            self.muxer.tick(end, self.limits.max_bytes.saturating_sub(self.muxer.bytes()));
        }
        let bytes = self.muxer.bytes();
        if self.segment.as_ref().is_some_and(|segment| {
            segment.bytes + bytes > self.limits.max_bytes || !segment.tracks.cover(&tracks)
        }) {
            self.end(begin.at, false);
        }
        let begins = self.segment.is_none().then_some(begin);
        if begins.is_some() && tracks.audio.is_none() {
            let heard = self.heard.as_ref();
            let heard = heard.filter(|(_, at)| begin.at.saturating_sub(*at) <= HEARD);
            tracks.audio = heard.map(|(params, _)| Arc::clone(params));
        }
        let segment = self.segment.get_or_insert(Segment { at: begin.at, bytes: 0, tracks });
        segment.bytes += bytes;
        let chunks = self.muxer.close(&segment.tracks);
        let duration = span(begin.at, end);
        self.events.push_back(SegmentEvent::Group(Group { begins, chunks, bytes, duration }));
    }

    /// Completes the segment, if it has a complete group.
    fn end(&mut self, at: i64, oversize: bool) {
        if let Some(Segment { at: begin, bytes, .. }) = self.segment.take() {
            self.events.push_back(SegmentEvent::End(End {
                duration: span(begin, at),
                bytes,
                oversize,
            }));
        }
    }

    fn unfinished_bytes(&self) -> u64 {
        if self.group.is_some() { self.muxer.bytes() } else { 0 }
    }

    /// Notes a frame that cannot be carried.
    fn refuse(&mut self, frame: &Frame) {
        match &frame.track {
            Track::Audio(params) if !self.muxer.carries_sound(params) => {
                if !std::mem::replace(&mut self.refused, true) {
                    log::warn!(
                        "recording without sound: {:?} at {} Hz is nothing this build writes into \
                         a transport stream; set the camera to AAC",
                        params.codec,
                        params.sample_rate
                    );
                }
            }
            _ => {
                self.dropped += 1;
                // Frames that follow refer to the key frame that is missing.
                if frame.key && frame.is_video() {
                    self.gap();
                }
            }
        }
    }
}

/// The time between two ticks, cut so that adjoining spans add up.
fn span(from: i64, to: i64) -> Duration {
    let micros = |ticks: i64| (i128::from(ticks) * 100).div_euclid(9);
    Duration::from_micros(u64::try_from(micros(to) - micros(from)).unwrap_or(0))
}

#[cfg(test)]
#[path = "segment_tests.rs"]
mod tests;
