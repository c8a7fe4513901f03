//! One recording session, from its first frame to its last upload.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures::StreamExt as _;
use ivt_base::secret::Secret;
use ivt_media::frame::Frame;
use ivt_media::hub::Item;
use ivt_media::pull::{PullState, Subscription};
use ivt_media::segment::Limits;
use tokio::sync::{oneshot, watch};

use super::budget::Share;
use super::clock::Anchor;
use super::context::RecordingContext;
use super::ledger::{RecordingStats, least_segments};
use super::recorder::Recorder;
use super::service::Service;
use super::spool::{SessionHead, Spool, SpoolSession};
use super::stock::{Stock, StockOptions};
use super::upload::{UploadOptions, Uploader};
use crate::config::SpoolMode;
use crate::http::address::Address;
use crate::shutdown::Stop;

/// Bytes for a session besides its segments: the groups that are being cut, and buffers of the
/// upload.
const OVERHEAD: u64 = 2 << 20;

/// What the cloud ordered. All values were checked.
#[derive(Clone, Debug)]
pub struct RecordingOrder {
    /// The cloud's name for the session.
    pub session_id: String,
    /// The limits of one segment.
    pub limits: Limits,
    /// How many segments may be in memory.
    pub max_segments: u32,
    /// How much from before the first upload is wanted.
    pub prerecord: Duration,
    /// The date of the first frame in seconds since 1970, if the cloud gives one.
    pub start: Option<u64>,
    /// The address that is asked for upload addresses. It may hold a signature.
    pub callback: Secret<Address>,
}

impl RecordingOrder {
    /// Most bytes that the session can take. Whatever the cloud says, one segment is cut while
    /// another is uploaded, and with some spools a third one is stored.
    pub fn memory(&self, spool: Option<SpoolMode>) -> u64 {
        let segments = self.max_segments.max(least_segments(spool));
        u64::from(segments).saturating_mul(self.limits.max_bytes).saturating_add(OVERHEAD)
    }

    /// How much from before the first upload is kept, if that is less than is wanted.
    fn shortened(&self) -> Option<Duration> {
        let kept = self.limits.duration.saturating_mul(self.max_segments);
        (kept < self.prerecord).then_some(kept)
    }
}

/// A session that is ready to begin.
pub struct Session {
    /// Number of the session's channel.
    pub channel: usize,
    /// What the cloud ordered.
    pub order: RecordingOrder,
    /// The stream, read from as far back as was asked for and is held.
    pub input: Subscription,
    /// The state of the stream's pull.
    pub camera: watch::Receiver<PullState>,
    /// The spool, and what is stored in it; `None` without a spool.
    pub spool: Option<(Spool, SpoolMode)>,
    /// The memory that the session may take.
    pub share: Arc<Share>,
    /// What all recordings of the device share.
    pub context: RecordingContext,
    /// Where the session's counts are shown.
    pub stats: watch::Sender<RecordingStats>,
}

/// What ties a session to what was before it, and to what the cloud says while it records.
pub struct Ties {
    /// The service, and its address: the cloud may name another one while the session records.
    pub service: watch::Receiver<(Service, Secret)>,
    /// Until when an earlier part of the session has recorded, which is final once the sender is
    /// dropped; `None` for the first part.
    pub earlier: Option<watch::Receiver<Option<Instant>>>,
    /// Shows until when this part has recorded.
    pub through: watch::Sender<Option<Instant>>,
}

/// Records until `stop` is ready, then uploads what is left. Nothing is uploaded before `before` is
/// ready. When the agent stops, what the spool takes is kept for the next start.
pub async fn run(
    mut session: Session,
    mut ties: Ties,
    before: impl Future<Output = ()>,
    mut stop: oneshot::Receiver<Infallible>,
    agent: Stop,
) {
    let first = tokio::select! {
        frame = first_frame(&mut session.input, &mut ties) => frame,
        _ = &mut stop => None,
    };
    let Some(first) = first else { return };
    let Session { channel, order, input, camera, spool, share, context, stats } = session;
    // The cloud may have moved the session before its first frame.
    let (service, cbk_url) = ties.service.borrow_and_update().clone();
    let head = SessionHead {
        session_id: order.session_id.clone(),
        channel: u32::try_from(channel).unwrap_or(u32::MAX),
        cbk_url,
    };
    let spool = match spool {
        Some((spool, mode)) => Some((place(&spool, &context, &head).await, mode)),
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
    let _busy = context.leftovers.busy(head);
    // The session's earlier segments in the spool keep their numbers, so new ones are numbered
    // after them.
    let number = spool.as_ref().map_or(0, |(spool, _)| spool.next_number());
    let urgent = matches!(spool, Some((_, SpoolMode::Always)));
    let recorder = Recorder::new(channel, order.limits, &first, number, urgent);
    let anchor = Anchor::new(order.start, first.received.into(), SystemTime::now);
    let mut ending = agent.clone();
    let stop = async move {
        tokio::select! {
            _ = stop => {}
            () = ending.requested() => {}
        }
    };
    let stock = Stock::new(StockOptions {
        name: format!("channel {channel}: recording {:?}", order.session_id),
        recorder: Some(recorder.run(Item::Frame(first), input, camera, stop, ties.through).boxed()),
        max_segments: usize::try_from(order.max_segments).unwrap_or(usize::MAX),
        prerecord: order.prerecord,
        backfill: context.backfill,
        spool: spool.clone(),
        share: Some(share),
        anchor,
        stats,
    });
    #[cfg(feature = "ui")]
    let stock = stock.noting(context.leftovers.book(), channel, &order.session_id);
    let mut uploader = Uploader::new(stock, service, UploadOptions::default(), rand::make_rng());
    uploader.follow(ties.service);
    let mut ending = agent;
    let emptied = tokio::select! {
        emptied = async {
            uploader.wait_for(before).await;
            uploader.run().await
        } => Some(emptied),
        () = ending.requested() => None,
    };
    match (emptied, spool) {
        (None, _) => uploader.leave().await,
        (Some(false), Some((spool, _))) => context.leftovers.add(spool),
        (Some(_), _) => {}
    }
}

/// The session's part of the spool: the one it had before, if it left something there.
async fn place(spool: &Spool, context: &RecordingContext, head: &SessionHead) -> SpoolSession {
    let left = context.leftovers.claim(head).await;
    left.unwrap_or_else(|| spool.session(head.clone()))
}

/// The first frame to record. What an earlier part of the session has is passed over, up to the next
/// key frame.
async fn first_frame(input: &mut Subscription, ties: &mut Ties) -> Option<Arc<Frame>> {
    let mut after = None;
    if let Some(earlier) = &mut ties.earlier {
        while earlier.changed().await.is_ok() {}
        after = *earlier.borrow();
        ties.through.send_replace(after);
    }
    loop {
        if let Item::Frame(frame) = input.next().await?
            && after.is_none_or(|after| frame.key && frame.received > after)
        {
            return Some(frame);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_past_that_does_not_fit_into_the_segments_is_shortened() {
        let order = |prerecord| RecordingOrder {
            session_id: "s".into(),
            limits: Limits { duration: Duration::from_secs(10), max_bytes: 1 << 20 },
            max_segments: 3,
            prerecord: Duration::from_secs(prerecord),
            start: None,
            callback: Address::parse("http://h/cb", 99).unwrap().into(),
        };
        assert_eq!(order(0).shortened(), None);
        assert_eq!(order(30).shortened(), None);
        assert_eq!(order(31).shortened(), Some(Duration::from_secs(30)));
        assert_eq!(RecordingOrder { max_segments: u32::MAX, ..order(31) }.shortened(), None);
        let text = format!("{:?}", order(0));
        assert!(!text.contains("http"), "the address may be signed: {text}");
    }
}
