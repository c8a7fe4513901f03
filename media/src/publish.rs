//! Publishes one stream from a ring to a server: where to start, what to leave out, when to stop.
//!
//! Whether a publish is tried again after an error is decided by the caller.

use std::collections::VecDeque;
use std::mem;
use std::ops::DerefMut;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::flv::Muxer;
use crate::frame::{Frame, Track, VideoCodec};
use crate::hub::{Item, Reader};
use crate::join::Join;
use crate::rtmp::{Options, PublishError, Publisher, RtmpUrl};

/// A frame is late when it has waited this long for the server. The stream then goes on at the
/// newest key frame held.
const LATE: Duration = Duration::from_secs(2);

/// Longest wait for the first sound of a source that declares some, counted from its first picture.
/// Servers take the tracks from the first metadata: ZLMediaKit drops sound that it does not name,
/// MediaMTX before 1.11 hangs up.
const SOUND: Duration = Duration::from_secs(1);

/// Largest picture that is sent, in bytes. Common servers close the connection for a larger one.
const LARGEST: usize = 1_500_000;

/// Most bytes that frames which are there together bring into one write.
const BATCH: usize = 64 << 10;

/// How a publish is doing. The totals go on when the stream is published again with the same
/// sender. Watchers are woken only for consent, the first frame and gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublishStats {
    /// Whether the server has consented to the publish and still receives it.
    pub accepted: bool,
    /// Frames sent.
    pub frames: u64,
    /// Payload bytes sent.
    pub bytes: u64,
    /// Times the server was too slow and the stream went on at a later key frame.
    pub gaps: u64,
    /// Frames left out in gaps, or because a picture was too large.
    pub dropped_frames: u64,
    /// Pictures left out because they are larger than servers accept.
    pub oversized: u64,
    /// When the newest frame had been written to the server.
    pub last_frame_at: Option<std::time::Instant>,
}

/// Publishes what `reader` gives until the server or the source ends the stream, or `stop`
/// resolves, which gives `Ok`. The first frame sent is the newest key frame held when the server
/// consents and the tracks of the source are known, or else the next key frame.
///
/// # Errors
/// The server cannot be reached, refuses or ends the stream, or the source has ended.
pub async fn run(
    reader: impl DerefMut<Target = Reader>,
    url: &RtmpUrl,
    options: &Options,
    stop: impl Future<Output = ()>,
    stats: &watch::Sender<PublishStats>,
) -> Result<(), PublishError> {
    tokio::pin!(stop);
    let publisher = tokio::select! {
        biased;
        () = &mut stop => return Ok(()),
        publisher = Publisher::connect(url, options) => publisher?,
    };
    relay(publisher, reader, stop, stats).await
}

/// Publishes as [`run`] does, over a connection that was made before.
///
/// # Errors
/// The server ends the stream, is gone or stuck, or the source has ended.
pub async fn relay(
    mut publisher: Publisher,
    mut reader: impl DerefMut<Target = Reader>,
    stop: impl Future<Output = ()>,
    stats: &watch::Sender<PublishStats>,
) -> Result<(), PublishError> {
    stats.send_modify(|stats| stats.accepted = true);
    let ended = tokio::select! {
        error = pump(&mut publisher, &mut reader, stats) => Err(error),
        () = stop => Ok(()),
    };
    if matches!(ended, Ok(()) | Err(PublishError::SourceEnded)) {
        publisher.finish().await;
    }
    ended
}

async fn pump(
    publisher: &mut Publisher,
    reader: &mut Reader,
    stats: &watch::Sender<PublishStats>,
) -> PublishError {
    let sound = tokio::select! {
        biased;
        sound = reader.sound(SOUND) => sound,
        error = publisher.ended() => return error,
    };
    let mut muxer = Muxer::announcing(sound);
    let mut queue = Queue::new(reader);
    let mut told_of_h265 = false;
    loop {
        let first = tokio::select! {
            biased;
            first = queue.next() => first,
            error = publisher.ended() => return error,
        };
        let Some(first) = first else { return PublishError::SourceEnded };
        let mut sent = Sent::default();
        let mut next = Some(first);
        while let Some(frame) = next {
            if frame.data.len() > LARGEST {
                if stats.borrow().oversized + sent.oversized == 0 {
                    warn_of_large_picture(publisher.peer(), frame.data.len());
                }
                sent.oversized += 1;
                queue.skip_to_key();
            } else if let Some(tags) = muxer.tags(&frame) {
                if !told_of_h265 && is_h265(&frame) {
                    told_of_h265 = true;
                    log::info!(
                        "{}: the picture is H.265: where it does not show, the player or the \
                         server knows H.264 only; set the camera to that",
                        publisher.peer(),
                    );
                }
                sent.frames += 1;
                for tag in tags {
                    sent.bytes += tag.len() as u64;
                    publisher.queue(&tag);
                }
            }
            next = if publisher.unwritten() < BATCH { queue.next_now() } else { None };
        }
        let written = publisher.flush().await;
        if written.is_err() {
            (sent.frames, sent.bytes) = (0, 0);
        }
        let gaps = mem::take(&mut queue.gaps);
        let dropped = mem::take(&mut queue.dropped) + sent.oversized;
        stats.send_if_modified(|stats| {
            let is_first = sent.frames > 0 && stats.last_frame_at.is_none();
            stats.frames += sent.frames;
            stats.bytes += sent.bytes;
            stats.oversized += sent.oversized;
            stats.gaps += gaps;
            stats.dropped_frames += dropped;
            if sent.frames > 0 {
                stats.last_frame_at = Some(Instant::now().into_std());
            }
            is_first || gaps > 0
        });
        if let Err(error) = written {
            return error;
        }
    }
}

/// What one write to the server carries.
#[derive(Default)]
struct Sent {
    frames: u64,
    bytes: u64,
    /// Pictures left out of the write because they are too large.
    oversized: u64,
}

fn warn_of_large_picture(peer: &str, bytes: usize) {
    log::warn!(
        "{peer}: a picture of {bytes} bytes, and those made from it, are left out: servers \
         take {LARGEST}; set the camera to a lower bit rate or size"
    );
}

fn is_h265(frame: &Frame) -> bool {
    matches!(&frame.track, Track::Video(params) if params.codec == VideoCodec::H265)
}

/// A reader that gives no picture whose reference pictures were not sent, and no old pictures when
/// newer ones are held.
struct Queue<'a> {
    reader: &'a mut Reader,
    /// Frames taken off the ring ahead of time, never more than the ring held at once.
    pending: VecDeque<Arc<Frame>>,
    /// Whether frames are left out up to the next key frame.
    wants_key: bool,
    join: Join,
    /// Gaps that the statistics do not count yet.
    gaps: u64,
    /// Lost frames that the statistics do not count yet.
    dropped: u64,
}

impl<'a> Queue<'a> {
    /// Starts at the newest key frame held. Frames that came while the connection was made are no
    /// loss.
    fn new(reader: &'a mut Reader) -> Self {
        let (pending, join) = (VecDeque::new(), Join::default());
        let mut queue = Self { reader, pending, wants_key: true, join, gaps: 0, dropped: 0 };
        queue.catch_up();
        Self { gaps: 0, dropped: 0, ..queue }
    }

    /// The next frame to send; `None` at the end of the source. Cancel safe.
    async fn next(&mut self) -> Option<Arc<Frame>> {
        loop {
            if let Some(frame) = self.take_pending() {
                return Some(frame);
            }
            let item = self.reader.next().await?;
            self.accept(item);
        }
    }

    /// The next frame to send, if it is there already.
    fn next_now(&mut self) -> Option<Arc<Frame>> {
        loop {
            if let Some(frame) = self.take_pending() {
                return Some(frame);
            }
            let item = self.reader.try_next()?;
            self.accept(item);
        }
    }

    fn take_pending(&mut self) -> Option<Arc<Frame>> {
        while let Some(frame) = self.pending.pop_front() {
            if self.wants_key && !frame.key {
                self.dropped += 1;
                continue;
            }
            if mem::take(&mut self.wants_key) {
                self.join.begin();
            } else if !self.join.admits(&frame) {
                continue;
            }
            return Some(frame);
        }
        None
    }

    fn accept(&mut self, item: Item) {
        match item {
            Item::Gap { lost } => {
                self.wants_key = true;
                self.count_gap(lost);
            }
            Item::Frame(frame) => {
                let waited = Instant::now().into_std().duration_since(frame.received);
                self.pending.push_back(frame);
                if waited > LATE {
                    self.catch_up();
                }
            }
        }
    }

    /// Takes everything off the ring, and keeps what begins with the newest key frame if that is
    /// newer than what is pending.
    fn catch_up(&mut self) {
        let mut dropped = 0;
        while let Some(item) = self.reader.try_next() {
            match item {
                Item::Gap { lost } => {
                    dropped += lost + self.pending.len() as u64;
                    self.pending.clear();
                    self.wants_key = true;
                }
                Item::Frame(frame) => {
                    if frame.key && !self.pending.is_empty() {
                        dropped += self.pending.len() as u64;
                        self.pending.clear();
                        self.wants_key = true;
                    }
                    self.pending.push_back(frame);
                }
            }
        }
        if dropped > 0 {
            self.count_gap(dropped);
        }
    }

    /// Leaves out frames up to the next key frame, since they refer to a frame that was not sent.
    fn skip_to_key(&mut self) {
        self.wants_key = true;
    }

    fn count_gap(&mut self, dropped: u64) {
        self.gaps += 1;
        self.dropped += dropped;
    }
}

#[cfg(test)]
#[path = "publish_tests.rs"]
mod tests;
