//! From frames to segments. Waits for the camera alone, never for network or disk.

use std::time::{Duration, Instant};

use bytes::Bytes;
use ivt_media::frame::{Frame, ticks_to_duration};
use ivt_media::hub::Item;
use ivt_media::pull::{PullState, Subscription};
use ivt_media::segment::{Begin, Limits, SegmentEvent, Segmenter};
use tokio::sync::watch;
use tokio::time::sleep;

use super::onset::Onset;
use super::{Segment, Start};

/// Frames are collected for so long, or until they crowd the ring: a recording is in no hurry, and
/// every wake-up costs.
const BATCH: Duration = Duration::from_millis(200);

/// Where segments go.
pub trait Outlet {
    /// What is recorded is to outlive a crash, so that nothing may be held back for long.
    fn is_urgent(&self) -> bool;
    /// The first frame of all was taken at this time of [`Frame::received`]'s clock. Told once,
    /// before anything else but [`Outlet::forming`].
    fn taken(&mut self, first: Instant);
    /// A segment begins with this number and these dates.
    fn begin(&mut self, number: u64, start: Start, discontinuity: bool);
    /// One key-frame group of it is complete.
    fn group(&mut self, chunks: &[Bytes], duration: Duration);
    /// It is complete.
    fn end(&mut self, segment: Segment);
    /// So many bytes of it are in memory.
    fn forming(&mut self, bytes: u64);
}

/// Cuts one stream.
pub struct Recorder<O> {
    channel: usize,
    segmenter: Segmenter,
    max_bytes: u64,
    /// Decode time of the first frame.
    first: i64,
    /// Until it is known when that was taken.
    opening: Option<Opening>,
    /// The segment that is being cut, as far as it has begun.
    draft: Option<Draft>,
    next: u64,
    /// Its first segment follows those of an earlier run.
    resumes: bool,
    outlet: O,
}

/// What has no date yet.
struct Opening {
    onset: Onset,
    cuts: Vec<SegmentEvent>,
    /// The segments that are complete, and their bytes.
    segments: u32,
    bytes: u64,
}

struct Draft {
    number: u64,
    start: Start,
    discontinuity: bool,
    chunks: Vec<Bytes>,
    /// Its groups together.
    duration: Duration,
}

impl<O: Outlet> Recorder<O> {
    /// For a stream whose first frame this is. It has to be given to [`Recorder::run`] as well.
    /// Its segments are numbered from `number` up.
    pub fn new(channel: usize, limits: Limits, first: &Frame, number: u64, outlet: O) -> Self {
        let opening = Opening { onset: Onset::new(first), cuts: Vec::new(), segments: 0, bytes: 0 };
        Self {
            channel,
            segmenter: Segmenter::new(limits),
            max_bytes: limits.max_bytes,
            first: first.dts,
            opening: Some(opening),
            draft: None,
            next: number,
            resumes: number > 0,
            outlet,
        }
    }

    /// Records until `stop` is ready or the stream is closed for good. A camera that is lost ends
    /// the segment: its pictures need not wait for it to come back.
    pub async fn run(
        mut self,
        first: Item,
        mut input: Subscription,
        mut camera: watch::Receiver<PullState>,
        stop: impl Future<Output = ()>,
    ) {
        tokio::pin!(stop);
        let mut item = Some(first);
        loop {
            while let Some(taken) = item {
                self.take(taken);
                item = input.try_next();
            }
            self.outlet.forming(self.forming_bytes());
            tokio::select! {
                () = sleep(BATCH) => {}
                () = input.crowded() => {}
                () = &mut stop => break,
            }
            item = tokio::select! {
                biased;
                () = &mut stop => break,
                Some(item) = input.next() => Some(item),
                Ok(()) = camera.changed() => {
                    if matches!(*camera.borrow(), PullState::Failed(_)) {
                        self.segmenter.gap();
                        self.deliver();
                        self.settle();
                    }
                    None
                }
                else => break,
            };
        }
        while let Some(item) = input.try_next() {
            self.take(item);
        }
        self.finish();
    }

    fn finish(&mut self) {
        self.segmenter.finish();
        self.deliver();
        self.settle();
    }

    fn take(&mut self, item: Item) {
        match item {
            Item::Frame(frame) => {
                if let Some(opening) = &mut self.opening {
                    opening.onset.note(&frame);
                }
                self.segmenter.push(&frame);
            }
            Item::Gap { lost } => {
                log::warn!(
                    "channel {}: a recording lost {lost} frames: the device is overloaded, or its \
                     ring is too small: raise memory_limit, or ring_bytes where it is set",
                    self.channel
                );
                self.segmenter.gap();
            }
        }
        self.deliver();
    }

    fn deliver(&mut self) {
        while let Some(cut) = self.segmenter.poll() {
            match &mut self.opening {
                Some(opening) => opening.hold(cut),
                None => self.tell(cut),
            }
        }
        // What is held counts as one segment, and is not more.
        let (forming, urgent) = (self.forming_bytes(), self.outlet.is_urgent());
        let over = |opening: &Opening| {
            opening.is_over() || urgent && opening.onset.is_fair() || forming > self.max_bytes
        };
        if self.opening.as_ref().is_some_and(over) {
            self.settle();
        }
    }

    fn forming_bytes(&self) -> u64 {
        self.opening.as_ref().map_or(0, |opening| opening.bytes) + self.segmenter.forming_bytes()
    }

    /// Dates the first frame by what is known now, and tells of all that waited for it.
    fn settle(&mut self) {
        let Some(Opening { onset, cuts, .. }) = self.opening.take() else { return };
        self.outlet.taken(onset.taken());
        cuts.into_iter().for_each(|cut| self.tell(cut));
    }

    fn tell(&mut self, cut: SegmentEvent) {
        match cut {
            SegmentEvent::Group(group) => {
                if let Some(begin) = &group.begins {
                    self.begin(begin);
                }
                self.outlet.group(&group.chunks, group.duration);
                if let Some(draft) = &mut self.draft {
                    draft.chunks.extend(group.chunks);
                    draft.duration += group.duration;
                }
            }
            SegmentEvent::End(end) => {
                let Some(draft) = self.draft.take() else { return };
                if end.oversize {
                    log::warn!(
                        "channel {}: segment {} of a recording is cut between key frames, which \
                         are too far apart for seg_max_size",
                        self.channel,
                        draft.number
                    );
                }
                self.outlet.end(Segment {
                    number: draft.number,
                    start: draft.start,
                    duration: draft.duration,
                    discontinuity: draft.discontinuity,
                    bytes: end.bytes,
                    chunks: draft.chunks.into(),
                });
            }
        }
    }

    fn begin(&mut self, begin: &Begin) {
        let number = self.next;
        self.next += 1;
        let start = Start::Media(ticks_to_duration(begin.at.saturating_sub(self.first)));
        // A session that goes on after a restart begins new time stamps.
        let discontinuity = begin.discontinuity || std::mem::take(&mut self.resumes);
        self.outlet.begin(number, start, discontinuity);
        let (chunks, duration) = (Vec::new(), Duration::ZERO);
        self.draft = Some(Draft { number, start, discontinuity, chunks, duration });
    }
}

impl Opening {
    fn hold(&mut self, cut: SegmentEvent) {
        if let SegmentEvent::End(end) = &cut {
            self.segments += 1;
            self.bytes += end.bytes;
        }
        self.cuts.push(cut);
    }

    /// Two segments that come at once find room everywhere; more might not.
    fn is_over(&self) -> bool {
        self.onset.is_known(self.segments >= 2)
    }
}

#[cfg(test)]
#[path = "recorder_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "dates_tests.rs"]
mod dates_tests;
