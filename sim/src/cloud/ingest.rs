//! The RTMP server: every published stream becomes a [`Stream`]. The protocol is in `ivt_media::rtmp`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ivt_media::flv::{Demuxer, Tag};
use ivt_media::rtmp::RtmpError;
use ivt_media::rtmp::server::{self, IngestSession, ServerLimits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::faults::RtmpFault;
use super::incoming::{Meter, Metered};
use super::play::MAX_KEY;
use super::streams::Stream;
use super::{Cloud, now};

/// Most publishers connected at a time; more wait in the system's backlog.
const PUBLISHERS: usize = 64;
/// Time of stream that the fault "close mid-stream" lets through, in milliseconds.
const MID_STREAM_MS: u32 = 2_000;

/// Accepts publishers until the future is dropped.
pub(super) async fn serve(cloud: Arc<Cloud>, listener: TcpListener) {
    let seats = Arc::new(Semaphore::new(PUBLISHERS));
    while let Ok(seat) = seats.clone().acquire_owned().await {
        match listener.accept().await {
            Ok((socket, remote)) => {
                let cloud = cloud.clone();
                tokio::spawn(async move {
                    let mut shutdown = cloud.shutdown.subscribe();
                    tokio::select! {
                        _ = shutdown.wait_for(|stop| *stop) => {}
                        () = connection(&cloud, socket, remote) => {}
                    }
                    drop(seat);
                });
            }
            Err(error) => {
                // Without a pause this would spin while descriptors are lacking.
                log::warn!(target: "sim", "RTMP accept: {error}");
                sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

async fn connection(cloud: &Cloud, mut socket: TcpStream, remote: SocketAddr) {
    let _ = socket.set_nodelay(true);
    let fault = cloud.faults.borrow().rtmp;
    match fault {
        RtmpFault::Close => return,
        RtmpFault::BlackHole => return while_fault(cloud, fault).await,
        RtmpFault::Garbage => {
            if socket.read(&mut [0; 64]).await.is_ok_and(|n| n > 0) {
                let _ = socket.write_all(&[0xA5; 4096]).await;
                while_fault(cloud, fault).await;
            }
            return;
        }
        _ => {}
    }
    match receive(cloud, socket, fault).await {
        Ok(why) => log::info!(target: "sim", "RTMP from {remote}: stream ended: {why}"),
        Err(error) => log::info!(target: "sim", "RTMP from {remote}: no stream: {error}"),
    }
}

/// Receives one publish, from the handshake on, and returns why it ended.
async fn receive(cloud: &Cloud, socket: TcpStream, fault: RtmpFault) -> Result<String, RtmpError> {
    let meter = cloud.incoming.meter();
    let socket = Metered { stream: socket, meter: meter.clone() };
    let mut session = server::accept(socket, ServerLimits::default()).await?;
    let request = session.publish().await?;
    let key = request.key.split('?').next().unwrap_or_default();
    let fits = fault != RtmpFault::Refuse && (1..=MAX_KEY).contains(&key.len());
    let Some(stream) = fits.then(|| cloud.streams.open(key)).flatten() else {
        let why = "refused: on request, or a key too long, or too many streams";
        session.refuse("NetStream.Publish.BadName", why).await?;
        return Ok(why.to_owned());
    };
    session.accept().await?;
    let mut receiver = Receiver::new(&stream);
    let why = follow(cloud, &mut session, &meter, &mut receiver).await;
    receiver.why = why.clone();
    Ok(why)
}

/// Takes the tags of a publish until it ends, and returns why.
async fn follow(
    cloud: &Cloud,
    session: &mut IngestSession<Metered>,
    meter: &Meter,
    receiver: &mut Receiver<'_>,
) -> String {
    loop {
        let fault = cloud.faults.borrow().rtmp;
        match fault {
            RtmpFault::StallReading => while_fault(cloud, fault).await,
            RtmpFault::CloseMidStream if receiver.elapsed_ms >= MID_STREAM_MS => {
                return "closed mid-stream on request".to_owned();
            }
            _ => {}
        }
        match receiver.unless_replaced(session.next_tag()).await {
            Some(Ok(Some(tag))) => {
                meter.set(session.held_bytes());
                receiver.take(&tag);
                cloud.streams.bound_rings();
            }
            Some(Ok(None)) => return "the publisher finished".to_owned(),
            Some(Err(error)) => return error.to_string(),
            None => return "a newer publisher took the key".to_owned(),
        }
    }
}

/// Returns when the present fault is another one.
async fn while_fault(cloud: &Cloud, fault: RtmpFault) {
    let _ = cloud.faults.subscribe().wait_for(|faults| faults.rtmp != fault).await;
}

/// Turns the tags of one publish into frames of its stream. Dropping it ends the publish.
pub(super) struct Receiver<'a> {
    stream: &'a Stream,
    number: u64,
    demuxer: Demuxer,
    /// Whether no frame was shown yet: a picture can only begin with a key frame.
    fresh: bool,
    first_ms: Option<u32>,
    /// Time from the first tag to the last, in milliseconds.
    elapsed_ms: u32,
    why: String,
}

impl<'a> Receiver<'a> {
    pub(super) fn new(stream: &'a Stream) -> Self {
        let why = "the simulator stops".to_owned();
        let (number, demuxer) = (stream.begin(), Demuxer::new());
        Self { stream, number, demuxer, fresh: true, first_ms: None, elapsed_ms: 0, why }
    }

    /// The outcome of `work`; `None` once a newer publisher has taken the key, which cancels `work`.
    async fn unless_replaced<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            outcome = work => Some(outcome),
            _ = self.stream.wait_for(|info| info.publishes != self.number) => None,
        }
    }

    pub(super) fn take(&mut self, tag: &Tag) {
        let first = *self.first_ms.get_or_insert(tag.timestamp_ms);
        self.elapsed_ms = tag.timestamp_ms.saturating_sub(first);
        let mut frame = match self.demuxer.push(tag, now()) {
            Ok(Some(frame)) => frame,
            Ok(None) => return,
            Err(error) => {
                log::debug!(target: "sim", "stream {}: {error}", self.stream.info().key);
                return self.stream.malformed();
            }
        };
        self.stream.count(&frame, tag.timestamp_ms);
        if self.fresh {
            if !frame.key {
                return;
            }
            // Players may still hold times of the publish before.
            frame.discontinuity = true;
            self.fresh = false;
        }
        self.stream.show(frame);
    }
}

impl Drop for Receiver<'_> {
    fn drop(&mut self) {
        self.stream.end(self.number, &self.why);
    }
}
