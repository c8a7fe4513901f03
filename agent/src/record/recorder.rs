//! Cuts frames into segments. Waits for the camera alone, never for network or disk.

use std::collections::VecDeque;
use std::mem;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::stream::{self, Stream};
use ivt_base::told::Told;
use ivt_media::frame::{Frame, ticks_to_duration};
use ivt_media::hub::Item;
use ivt_media::pull::{PullState, Subscription};
use ivt_media::segment::{Begin, Limits, SegmentEvent, Segmenter};
use tokio::sync::watch;
use tokio::time::sleep;

use super::onset::Onset;
use super::{Segment, Start};

/// How long frames are collected, unless they fill much of the ring sooner. A recording is in no
/// hurry, and every wake-up costs CPU time.
const BATCH: Duration = Duration::from_millis(200);

/// What a recorder tells, in this order.
#[derive(Clone, Debug)]
pub enum Recorded {
    /// When the first frame of the recording was taken, by the clock of [`Frame::received`]. Told
    /// once, before everything but [`Recorded::Forming`].
    Taken(Instant),
    /// A segment begins.
    Begin {
        /// The segment's number.
        number: u64,
        /// When the segment's first frame was taken.
        start: Start,
        /// Whether the time stamps do not continue those of the segment before.
        discontinuity: bool,
    },
    /// One key-frame group of the segment, of this duration, is complete.
    Group(Vec<Bytes>, Duration),
    /// The segment is complete.
    End(Segment),
    /// This many bytes of the next segment are in memory.
    Forming(u64),
}

/// Cuts one stream into segments.
pub struct Recorder {
    channel: usize,
    segmenter: Segmenter,
    max_bytes: u64,
    /// Whether groups are told of at once, since they are to outlive a crash.
    urgent: bool,
    /// Decode time of the recording's first frame.
    first: i64,
    /// `Some` until it is known when the first frame was taken.
    opening: Option<Opening>,
    /// The segment that is being cut, if it has begun.
    draft: Option<Segment>,
    chunks: Vec<Bytes>,
    next: u64,
    /// Whether the first segment follows segments of an earlier run.
    resumes: bool,
    /// Whether the log was told of segments that are cut between key frames.
    oversize: Told,
    recorded: VecDeque<Recorded>,
}

/// What waits until it can be dated.
struct Opening {
    onset: Onset,
    cuts: Vec<SegmentEvent>,
    /// The complete segments, and their bytes.
    segments: u32,
    bytes: u64,
}

/// A recorder at work, with its input and its end.
struct Running<S> {
    recorder: Recorder,
    input: Subscription,
    camera: watch::Receiver<PullState>,
    stop: S,
    /// Frames that were taken from the input already.
    item: Option<Item>,
    over: bool,
    /// When the newest frame was received that the recording has.
    through: watch::Sender<Option<Instant>>,
}

impl Recorder {
    /// A recorder for a stream with this first frame, which has to be given to [`Recorder::run`] as
    /// well. Segments are numbered from `number` up. If it is `urgent`, groups do not wait until
    /// their date is certain.
    pub fn new(channel: usize, limits: Limits, first: &Frame, number: u64, urgent: bool) -> Self {
        let opening = Opening { onset: Onset::new(first), cuts: Vec::new(), segments: 0, bytes: 0 };
        Self {
            channel,
            segmenter: Segmenter::new(limits),
            max_bytes: limits.max_bytes,
            urgent,
            first: first.dts,
            opening: Some(opening),
            draft: None,
            chunks: Vec::new(),
            next: number,
            resumes: number > 0,
            oversize: Told::default(),
            recorded: VecDeque::new(),
        }
    }

    /// Records until `stop` is ready or the stream is closed for good. The loss of the camera ends
    /// the segment, so that its pictures need not wait for the camera to come back. `through` shows
    /// when the newest frame was received that the recording has, and is dropped at the end.
    pub fn run(
        self,
        first: Item,
        input: Subscription,
        camera: watch::Receiver<PullState>,
        stop: impl Future<Output = ()> + Send + 'static,
        through: watch::Sender<Option<Instant>>,
    ) -> impl Stream<Item = Recorded> + Send + 'static {
        let (item, stop) = (Some(first), Box::pin(stop));
        let running = Running { recorder: self, input, camera, stop, item, over: false, through };
        stream::unfold(running, |mut running| async move {
            let recorded = running.next().await?;
            Some((recorded, running))
        })
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
        // What is held back counts as one segment, so it must not be more.
        let (forming, urgent) = (self.forming_bytes(), self.urgent);
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

    /// Dates the first frame by what is known now, and tells of everything that waited for the
    /// date.
    fn settle(&mut self) {
        let Some(Opening { onset, cuts, .. }) = self.opening.take() else { return };
        self.recorded.push_back(Recorded::Taken(onset.taken()));
        cuts.into_iter().for_each(|cut| self.tell(cut));
    }

    fn tell(&mut self, cut: SegmentEvent) {
        match cut {
            SegmentEvent::Group(group) => {
                if let Some(begin) = &group.begins {
                    self.begin(begin);
                }
                self.recorded.push_back(Recorded::Group(group.chunks.clone(), group.duration));
                if let Some(draft) = &mut self.draft {
                    self.chunks.extend(group.chunks);
                    draft.duration += group.duration;
                }
            }
            SegmentEvent::End(end) => {
                let Some(draft) = self.draft.take() else { return };
                if end.oversize && self.oversize.is_news(()) {
                    log::warn!(
                        "channel {}: segments of a recording are cut between key frames, from number \
                         {} on: seg_max_size ({} bytes) is less than a group of pictures; order \
                         larger segments, or set the camera to more key frames or a lower bit rate",
                        self.channel,
                        draft.number,
                        self.max_bytes
                    );
                }
                let chunks = mem::take(&mut self.chunks).into();
                self.recorded.push_back(Recorded::End(Segment {
                    bytes: end.bytes,
                    chunks,
                    ..draft
                }));
            }
        }
    }

    fn begin(&mut self, begin: &Begin) {
        let number = self.next;
        self.next += 1;
        let start = Start::Media(ticks_to_duration(begin.at.saturating_sub(self.first)));
        // A session that continues after a restart begins new time stamps.
        let discontinuity = begin.discontinuity || mem::take(&mut self.resumes);
        self.recorded.push_back(Recorded::Begin { number, start, discontinuity });
        let (duration, bytes, chunks) = (Duration::ZERO, 0, [].into());
        self.draft = Some(Segment { number, start, duration, discontinuity, bytes, chunks });
    }
}

impl<S: Future<Output = ()> + Unpin> Running<S> {
    async fn next(&mut self) -> Option<Recorded> {
        loop {
            if let Some(recorded) = self.recorder.recorded.pop_front() {
                return Some(recorded);
            }
            if self.over {
                return None;
            }
            if self.item.is_none() {
                self.wait().await;
            }
            let mut newest = None;
            while let Some(taken) = self.item.take() {
                if let Item::Frame(frame) = &taken {
                    newest = Some(frame.received);
                }
                self.recorder.take(taken);
                self.item = self.input.try_next();
            }
            if newest.is_some() {
                self.through.send_replace(newest);
            }
            let forming = self.recorder.forming_bytes();
            self.recorder.recorded.push_back(Recorded::Forming(forming));
            if self.over {
                self.recorder.finish();
            }
        }
    }

    /// Waits for frames, and a little longer for more frames, or until the recording ends.
    async fn wait(&mut self) {
        tokio::select! {
            () = sleep(BATCH) => {}
            () = self.input.crowded() => {}
            () = &mut self.stop => self.over = true,
        }
        if self.over {
            self.item = self.input.try_next();
            return;
        }
        self.item = tokio::select! {
            biased;
            () = &mut self.stop => {
                self.over = true;
                self.input.try_next()
            }
            Some(item) = self.input.next() => Some(item),
            Ok(()) = self.camera.changed() => {
                if matches!(*self.camera.borrow(), PullState::Failed(_)) {
                    self.recorder.segmenter.gap();
                    self.recorder.deliver();
                    self.recorder.settle();
                }
                None
            }
            else => {
                self.over = true;
                None
            }
        };
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

    /// Whether the first frame is to be dated now. Two segments that come at once find room
    /// everywhere; more of them might not.
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
