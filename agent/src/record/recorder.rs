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
                    "channel {}: a recording lost {lost} frames: the device is overloaded, or \
                     ring_bytes is too small",
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
                    self.outlet.group(&group.chunks, group.duration);
                    if let Some(draft) = &mut self.draft {
                        draft.chunks.extend(group.chunks);
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
                        duration: end.duration,
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
        self.draft = Some(Draft { number, start, discontinuity, chunks: Vec::new() });
    }
}

/// Time since the first frame, by the camera's clock as far as that agrees with ours. Over a day two
/// clocks differ by seconds; that is made good a little with each segment, by less than a frame.
struct Dates {
    dts: i64,
    received: Instant,
    /// Ticks added to the camera's time, and where that was last changed.
    offset: i64,
    last: i64,
}

impl Dates {
    /// Deviations up to this are the network's doing.
    const TOLERANCE: i64 = duration_ticks(300);
    /// Of the time since the last correction, one part in so many may be made good.
    const SLEW: i64 = 1_000;

    fn new(first: &Frame) -> Self {
        Self { dts: first.dts, received: first.received, offset: 0, last: first.dts }
    }

    fn of(&mut self, begin: &Begin) -> Duration {
        let elapsed = begin.received.saturating_duration_since(self.received);
        let off = duration_to_ticks(elapsed) - (begin.at - self.dts + self.offset);
        if off.abs() > Self::TOLERANCE {
            let most = ((begin.at - self.last) / Self::SLEW).max(0);
            self.offset += off.clamp(-most, most);
        }
        self.last = begin.at;
        ticks_to_duration(begin.at - self.dts + self.offset)
    }
}

const fn duration_ticks(millis: i64) -> i64 {
    millis * 90
}

#[cfg(test)]
#[path = "recorder_tests.rs"]
mod tests;
