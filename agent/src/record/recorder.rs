//! From frames to segments. Waits for the camera alone, never for network or disk.

use std::time::{Duration, Instant};

use bytes::Bytes;
use ivt_media::frame::{Frame, duration_to_ticks, ticks_to_duration};
use ivt_media::hub::Item;
use ivt_media::pull::{PullState, Subscription};
use ivt_media::segment::{Begin, Cut, Cutter, Limits};
use tokio::sync::watch;
use tokio::time::sleep;

use super::{Segment, Start};

/// Frames are collected for so long, or until they crowd the ring: a recording is in no hurry, and
/// every wake-up costs.
const BATCH: Duration = Duration::from_millis(200);

/// Where segments go.
pub trait Outlet {
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
    cutter: Cutter,
    dates: Dates,
    /// The segment that is being cut, as far as it has begun.
    draft: Option<Draft>,
    next: u64,
    /// Its first segment follows those of an earlier run.
    resumes: bool,
    outlet: O,
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
        let (cutter, dates) = (Cutter::new(limits), Dates::new(first));
        Self { channel, cutter, dates, draft: None, next: number, resumes: number > 0, outlet }
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
            self.outlet.forming(self.cutter.forming_bytes());
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
                        self.cutter.gap();
                        self.deliver();
                    }
                    None
                }
                else => break,
            };
        }
        while let Some(item) = input.try_next() {
            self.take(item);
        }
        self.cutter.finish();
        self.deliver();
    }

    fn take(&mut self, item: Item) {
        match item {
            Item::Frame(frame) => self.cutter.push(&frame),
            Item::Gap { lost } => {
                log::warn!(
                    "channel {}: a recording lost {lost} frames: the device is overloaded, or its \
                     ring is too small: raise memory_limit, or ring_bytes where it is set",
                    self.channel
                );
                self.cutter.gap();
            }
        }
        self.deliver();
    }

    fn deliver(&mut self) {
        while let Some(cut) = self.cutter.poll() {
            match cut {
                Cut::Group(group) => {
                    if let Some(begin) = &group.begins {
                        self.begin(begin);
                    }
                    let duration = self.dates.stretch(group.duration);
                    self.outlet.group(&group.chunks, duration);
                    if let Some(draft) = &mut self.draft {
                        draft.chunks.extend(group.chunks);
                        draft.duration += duration;
                    }
                }
                Cut::End(end) => {
                    let Some(draft) = self.draft.take() else { continue };
                    if end.oversize {
                        log::warn!(
                            "channel {}: segment {} of a recording is cut between key frames, \
                             which are too far apart for seg_max_size",
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
    }

    fn begin(&mut self, begin: &Begin) {
        let number = self.next;
        self.next += 1;
        let start = Start::Media(self.dates.of(begin));
        // A session that goes on after a restart begins new time stamps.
        let discontinuity = begin.discontinuity || std::mem::take(&mut self.resumes);
        self.outlet.begin(number, start, discontinuity);
        let (chunks, duration) = (Vec::new(), Duration::ZERO);
        self.draft = Some(Draft { number, start, discontinuity, chunks, duration });
    }
}

/// Time since the first frame, by the camera's clock as far as that agrees with ours. Over a day two
/// clocks differ by seconds; that is made good by durations that are a little longer or shorter than
/// the camera's, so that each segment still begins where the one before ended.
struct Dates {
    dts: i64,
    received: Instant,
    /// Ticks added to the camera's time, and those that are yet to be.
    offset: i64,
    owed: i64,
}

impl Dates {
    /// Deviations up to this are the network's doing.
    const TOLERANCE: i64 = duration_ticks(300);
    /// Of a duration, one part in so many may be made good.
    const SLEW: i64 = 1_000;

    fn new(first: &Frame) -> Self {
        Self { dts: first.dts, received: first.received, offset: 0, owed: 0 }
    }

    /// When a segment begins.
    fn of(&mut self, begin: &Begin) -> Duration {
        let elapsed = begin.received.saturating_duration_since(self.received);
        let at = begin.at - self.dts + self.offset;
        let off = duration_to_ticks(elapsed) - at;
        self.owed = off - off.clamp(-Self::TOLERANCE, Self::TOLERANCE);
        ticks_to_duration(at)
    }

    /// How long a group of the segment lasts by our clock.
    fn stretch(&mut self, duration: Duration) -> Duration {
        let ticks = duration_to_ticks(duration);
        let most = ticks / Self::SLEW;
        let part = self.owed.clamp(-most, most);
        self.owed -= part;
        self.offset += part;
        // What is no whole tick stays.
        (duration + ticks_to_duration(ticks + part)).saturating_sub(ticks_to_duration(ticks))
    }
}

const fn duration_ticks(millis: i64) -> i64 {
    millis * 90
}

#[cfg(test)]
#[path = "recorder_tests.rs"]
mod tests;
