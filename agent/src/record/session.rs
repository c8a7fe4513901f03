//! One recording session, from its first frame to its last upload.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use ivt_media::hub::Item;
use ivt_media::pull::{PullState, Subscription};
use ivt_media::segment::Limits;
use tokio::sync::{oneshot, watch};
use url::Url;

use super::backlog::{Backlog, BacklogOptions, least_segments};
use super::budget::Share;
use super::clock::Anchor;
use super::means::Means;
use super::recorder::{Outlet, Recorder};
use super::service::Service;
use super::spool::{Leftover, SegmentHead, SegmentWriter, SessionHead, Spool, SpoolSession};
use super::upload::{self, UploadOptions};
use super::{Segment, Start};
use crate::config::SpoolMode;
use crate::shutdown::Stop;

/// Memory of a session besides its segments: the groups being cut, buffers of the upload.
const OVERHEAD: u64 = 2 << 20;

/// What the cloud ordered. The values were checked.
#[derive(Clone, Debug)]
pub struct Order {
    /// The cloud's name for it.
    pub session_id: String,
    /// Of one segment.
    pub limits: Limits,
    /// How many may be in memory.
    pub max_segments: u32,
    /// How much from before the first upload is wanted.
    pub prerecord: Duration,
    /// The date of the first frame, in seconds since 1970, where the cloud gives one.
    pub start: Option<u64>,
    /// Whom to ask for upload addresses. A secret: it may be signed.
    pub callback: Url,
}

impl Order {
    /// The most it can take, in bytes: one segment is cut while another is uploaded, and with
    /// some spools a third one stored, whatever the cloud says.
    pub fn memory(&self, spool: Option<SpoolMode>) -> u64 {
        let segments = self.max_segments.max(least_segments(spool));
        u64::from(segments).saturating_mul(self.limits.max_bytes).saturating_add(OVERHEAD)
    }

    /// How much from before the first upload is kept, where that is less than is wanted.
    fn shortened(&self) -> Option<Duration> {
        let kept = self.limits.duration.saturating_mul(self.max_segments);
        (kept < self.prerecord).then_some(kept)
    }
}

/// A session that may begin.
pub struct Session {
    /// Number of its channel.
    pub channel: usize,
    /// What the cloud ordered.
    pub order: Order,
    /// The stream; begins as far back as was asked for and is held.
    pub input: Subscription,
    /// What the stream's pull is doing.
    pub camera: watch::Receiver<PullState>,
    /// The spool and what goes there.
    pub spool: Option<(Spool, SpoolMode)>,
    /// The memory it may take.
    pub share: Arc<Share>,
    /// What all sessions work with.
    pub means: Means,
}

/// Records until `stop` is ready, then uploads what is left; nothing is uploaded before `before` is
/// ready. When the agent stops, what the spool takes is kept for the next start.
pub async fn run(
    mut session: Session,
    before: impl Future<Output = ()>,
    mut stop: oneshot::Receiver<Infallible>,
    agent: Stop,
) {
    let first = tokio::select! {
        frame = first_frame(&mut session.input) => frame,
        _ = &mut stop => None,
    };
    let Some(first) = first else { return };
    let Session { channel, order, input, camera, spool, share, means } = session;
    let head = SessionHead {
        session_id: order.session_id.clone(),
        channel: u32::try_from(channel).unwrap_or(u32::MAX),
        cbk_url: order.callback.to_string(),
    };
    let shelf = match spool {
        Some((spool, mode)) => Some((shelf(&spool, &means, &head).await, mode)),
        None => None,
    };
    if let Some(kept) = order.shortened() {
        log::warn!(
            "channel {channel}: recording {:?} keeps {} s from before its first upload, not {} s: \
             seg_max_count allows {} segments of {} s",
            order.session_id,
            kept.as_secs(),
            order.prerecord.as_secs(),
            order.max_segments,
            order.limits.duration.as_secs()
        );
    }
    let _busy = means.leftovers.busy(head.clone());
    let anchor = Arc::new(Anchor::new(order.start, first.received.into(), SystemTime::now));
    let backlog = Backlog::new(BacklogOptions {
        name: format!("channel {channel}: recording {:?}", order.session_id),
        max_segments: usize::try_from(order.max_segments).unwrap_or(usize::MAX),
        prerecord: order.prerecord,
        shelf: shelf.clone(),
        share: Some(Arc::clone(&share)),
        anchor: Arc::clone(&anchor),
    });
    // The numbers of what the session left before are taken.
    let number = shelf.as_ref().map_or(0, |(shelf, _)| next_number(shelf));
    let always = shelf.clone().filter(|(_, mode)| *mode == SpoolMode::Always);
    let always = always.map(|(shelf, _)| shelf);
    let queue = Queue { backlog: Arc::clone(&backlog), anchor, shelf: always, writer: None };
    let recorder = Recorder::new(channel, order.limits, &first, number, queue);
    let record = async {
        let mut ending = agent.clone();
        let stop = async {
            tokio::select! {
                _ = stop => {}
                () = ending.requested() => {}
            }
        };
        recorder.run(Item::Frame(first), input, camera, stop).await;
        backlog.close();
    };
    let service = Service::new(means.http, order.callback);
    let mut ending = agent.clone();
    let upload = async {
        let uploaded = async {
            before.await;
            let options = UploadOptions::default();
            upload::run(&backlog, service.clone(), options, rand::make_rng()).await
        };
        tokio::select! {
            emptied = uploaded => Some(emptied),
            () = ending.requested() => None,
        }
    };
    match (tokio::join!(record, upload).1, shelf) {
        (None, _) => upload::leave(&backlog, &service).await,
        (Some(false), Some((shelf, _))) => means.leftovers.add(Leftover { head, shelf }),
        (Some(_), _) => {}
    }
}

/// A place in the spool: the one that the session had before, where it left something there.
async fn shelf(spool: &Spool, means: &Means, head: &SessionHead) -> SpoolSession {
    let left = means.leftovers.claim(head).await;
    left.unwrap_or_else(|| spool.shelf(head.clone()))
}

fn next_number(shelf: &SpoolSession) -> u64 {
    let stored = shelf.stored().last().map(|stored| stored.head.number);
    let pending = shelf.pending().map(|pending| pending.number);
    stored.max(pending).map_or(0, |number| number + 1)
}

async fn first_frame(input: &mut Subscription) -> Option<Arc<ivt_media::frame::Frame>> {
    loop {
        if let Item::Frame(frame) = input.next().await? {
            return Some(frame);
        }
    }
}

/// Puts segments into the backlog and, where everything is spooled, on the shelf as they grow.
struct Queue {
    backlog: Arc<Backlog>,
    anchor: Arc<Anchor>,
    shelf: Option<SpoolSession>,
    writer: Option<SegmentWriter>,
}

impl Outlet for Queue {
    fn is_urgent(&self) -> bool {
        self.shelf.is_some()
    }

    fn taken(&mut self, first: Instant) {
        self.anchor.taken(first.into());
    }

    fn begin(&mut self, number: u64, start: Start, discontinuity: bool) {
        // Without a date it cannot be spooled: after a crash nobody could tell when it was.
        let date = self.anchor.unix_micros(start);
        self.writer = date.zip(self.shelf.as_ref()).map(|(start_micros, shelf)| {
            shelf.begin(SegmentHead { number, start_micros, discontinuity })
        });
    }

    fn group(&mut self, chunks: &[Bytes], duration: Duration) {
        if let Some(writer) = &mut self.writer {
            writer.append(chunks.to_vec(), duration);
        }
    }

    fn end(&mut self, segment: Segment) {
        if let Some(writer) = self.writer.take() {
            writer.finish();
        }
        self.backlog.push(segment);
    }

    fn forming(&mut self, bytes: u64) {
        self.backlog.forming(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_past_that_does_not_fit_into_the_segments_is_shortened() {
        let order = |prerecord| Order {
            session_id: "s".into(),
            limits: Limits { duration: Duration::from_secs(10), max_bytes: 1 << 20 },
            max_segments: 3,
            prerecord: Duration::from_secs(prerecord),
            start: None,
            callback: Url::parse("http://h/cb").unwrap(),
        };
        assert_eq!(order(0).shortened(), None);
        assert_eq!(order(30).shortened(), None);
        assert_eq!(order(31).shortened(), Some(Duration::from_secs(30)));
        assert_eq!(Order { max_segments: u32::MAX, ..order(31) }.shortened(), None);
    }
}
