//! One recording session, from its first frame to its last upload.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use ivt_media::hub::Item;
use ivt_media::pull::{PullState, Subscription};
use ivt_media::segment::Limits;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;
use url::Url;

use super::backlog::{Backlog, BacklogOptions};
use super::budget::{Budget, Share};
use super::clock::Anchor;
use super::recorder::{Outlet, Recorder};
use super::service::{Deadlines, Http, Service};
use super::spool::{SegmentHead, SessionHead, Shelf, Spool, Writer};
use super::upload::{self, UploadOptions};
use super::{Segment, Start};
use crate::config::{self, SpoolMode};
use crate::shutdown::Stop;
use crate::tls::Trust;

/// Memory of a session besides its segments: the groups being cut, buffers of the upload.
const OVERHEAD: u64 = 2 << 20;
/// A card that is only just being mounted is waited for so long.
const SPOOL: Duration = Duration::from_secs(2);

/// What all sessions work with.
#[derive(Clone)]
pub struct Means {
    /// Their memory.
    pub budget: Arc<Budget>,
    /// Their connections.
    pub http: Http,
    /// What goes to the spool; `None` without one.
    pub spool_mode: Option<SpoolMode>,
    /// The spool, once it is open.
    pub spool: watch::Receiver<Option<Spool>>,
    /// A recording ends when the cloud stays away for so long.
    pub disconnect: Option<Duration>,
}

impl Means {
    /// As configured; who opens the spool shows it in `spool`.
    pub fn new(
        config: &config::Record,
        trust: Trust,
        spool: watch::Receiver<Option<Spool>>,
    ) -> Self {
        Self {
            budget: Budget::new(config.memory_limit),
            http: Http::new(trust, Deadlines::default()),
            spool_mode: config.spool.as_ref().map(|spool| spool.mode),
            spool,
            disconnect: config.disconnect,
        }
    }
}

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
    /// The most it can take, in bytes.
    pub fn memory(&self) -> u64 {
        // One is cut while another is uploaded, whatever the cloud says.
        let segments = u64::from(self.max_segments.max(2)).saturating_mul(self.limits.max_bytes);
        segments.saturating_add(OVERHEAD)
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
    /// The memory it may take.
    pub share: Arc<Share>,
    /// What all sessions work with.
    pub means: Means,
}

/// Records until `stop` is ready, then uploads what is left. When the agent stops, what the spool
/// takes is kept for the next start.
pub async fn run(mut session: Session, mut stop: oneshot::Receiver<Infallible>, agent: Stop) {
    let first = tokio::select! {
        frame = first_frame(&mut session.input) => frame,
        _ = &mut stop => None,
    };
    let Some(first) = first else { return };
    let Session { channel, order, input, camera, share, means } = session;
    let anchor = Arc::new(Anchor::new(order.start, first.received.into(), SystemTime::now));
    let name = format!("channel {channel}: recording {:?}", order.session_id);
    let shelf = spool(&means).await.map(|(spool, mode)| {
        let head = SessionHead {
            session_id: order.session_id.clone(),
            channel: u32::try_from(channel).unwrap_or(u32::MAX),
            cbk_url: order.callback.to_string(),
        };
        (spool.shelf(head), mode)
    });
    let always = shelf.clone().filter(|(_, mode)| *mode == SpoolMode::Always);
    let backlog = Backlog::new(BacklogOptions {
        name,
        max_segments: usize::try_from(order.max_segments).unwrap_or(usize::MAX),
        prerecord: order.prerecord,
        shelf,
        share: Some(Arc::clone(&share)),
        anchor: Arc::clone(&anchor),
    });
    let shelf = always.map(|(shelf, _)| shelf);
    let queue = Queue { backlog: Arc::clone(&backlog), anchor, shelf, writer: None };
    let recorder = Recorder::new(channel, order.limits, &first, queue);
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
        share.drain(backlog.stats().borrow().bytes);
    };
    let service = Service::new(means.http, order.callback);
    let mut ending = agent.clone();
    let upload = async {
        let patience = UploadOptions::default();
        tokio::select! {
            () = upload::run(&backlog, service.clone(), patience, rand::make_rng()) => false,
            () = ending.requested() => true,
        }
    };
    if let ((), true) = tokio::join!(record, upload) {
        upload::leave(&backlog, &service).await;
    }
}

async fn first_frame(input: &mut Subscription) -> Option<Arc<ivt_media::frame::Frame>> {
    loop {
        if let Item::Frame(frame) = input.next().await? {
            return Some(frame);
        }
    }
}

async fn spool(means: &Means) -> Option<(Spool, SpoolMode)> {
    let mode = means.spool_mode?;
    let mut spool = means.spool.clone();
    let open = spool.wait_for(Option::is_some);
    // Without it the recording goes on in memory; whoever opens it has said so.
    Some((timeout(SPOOL, open).await.ok()?.ok()?.clone()?, mode))
}

/// Puts segments into the backlog and, where everything is spooled, on the shelf as they grow.
struct Queue {
    backlog: Arc<Backlog>,
    anchor: Arc<Anchor>,
    shelf: Option<Shelf>,
    writer: Option<Writer>,
}

impl Outlet for Queue {
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
