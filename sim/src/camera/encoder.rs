//! The task of one stream: paces its frames and packs each once for all clients. The first client starts it;
//! then it runs as long as the camera, as a real encoder does.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use ivt_media::frame::{Frame, Track};
use ivt_media::source::{FrameSource, Opener, SourceError};
use tokio::sync::{broadcast, watch};
use tokio::time::sleep;

use super::quirk::Quirks;
use super::rtp::Unit;
use super::sdp::Description;
use super::stream_faults::StreamFaults;
use super::timeline::Timeline;
use super::tracks::{Fit, Tracks};

/// Time of stream that is read to learn whether it has sound, in 90 kHz ticks.
const PROBE: i64 = 45_000;
/// Pause before a source that failed is opened again.
const REOPEN_AFTER: Duration = Duration::from_secs(1);

/// What the clients of a stream receive.
#[derive(Clone, Debug)]
pub enum Item {
    /// Packets of one track.
    Unit(Arc<Unit>),
    /// Bytes that are neither RTSP nor RTP, sent by a fault.
    Garbage(Bytes),
}

/// What an encoder sends.
#[derive(Clone)]
pub struct EncoderOptions {
    /// The stream's frames.
    pub opener: Arc<dyn Opener>,
    /// The frames after a change of parameters.
    pub alternate: Arc<dyn Opener>,
    /// Whether sound is sent.
    pub audio: bool,
    /// What the camera does against the rules.
    pub quirks: Quirks,
}

/// The task of one stream.
pub struct Encoder {
    options: EncoderOptions,
    faults: StreamFaults,
    units: broadcast::Sender<Item>,
    describe: watch::Sender<Option<Arc<Description>>>,
    position: Arc<AtomicI64>,
    timeline: Timeline,
    /// Whether the frames of `alternate` are playing.
    alternate: bool,
}

impl Encoder {
    /// An encoder that has not begun.
    pub fn new(
        options: EncoderOptions,
        faults: StreamFaults,
        units: broadcast::Sender<Item>,
        describe: watch::Sender<Option<Arc<Description>>>,
        position: Arc<AtomicI64>,
    ) -> Self {
        let timeline = Timeline::default();
        Self { options, faults, units, describe, position, timeline, alternate: false }
    }

    /// Runs until the source turns into something that the description cannot express.
    ///
    /// # Errors
    /// When the source cannot be opened or read at the start.
    pub async fn run(mut self) -> Result<(), SourceError> {
        self.alternate = self.faults.alternate();
        let mut source = self.open().await?;
        let mut tracks = Tracks::new(self.probe(source.as_mut()).await?, &self.options.quirks);
        self.announce(&tracks);
        let mut await_key = false;
        loop {
            let alternate = self.faults.alternate();
            if alternate != self.alternate {
                self.alternate = alternate;
                source = self.reopen().await;
            }
            let frame = match source.frame().await {
                Ok(frame) => frame,
                Err(error) => {
                    log::debug!(target: "camera", "a stream starts over: {error}");
                    source = self.reopen().await;
                    continue;
                }
            };
            if !self.wants(&frame) {
                continue;
            }
            let place = self.timeline.place(&frame);
            self.position.store(place.dts, Ordering::Relaxed);
            if self.disturbed() {
                await_key = true;
                continue;
            }
            let track = match tracks.fit(&frame) {
                Fit::Track(track) => track,
                Fit::Changed(track) => {
                    tracks.change(track, &frame);
                    self.announce(&tracks);
                    track
                }
                Fit::Stranger => return Ok(()),
                Fit::Ignored => continue,
            };
            if await_key && !frame.key {
                continue;
            }
            await_key = false;
            if self.units.receiver_count() == 0 {
                continue;
            }
            for unit in tracks.pack(track, &frame, place) {
                let _ = self.units.send(Item::Unit(Arc::new(unit))); // Fails when the last client has just left.
            }
        }
    }

    fn wants(&self, frame: &Frame) -> bool {
        self.options.audio || frame.is_video()
    }

    async fn open(&self) -> Result<Box<dyn FrameSource>, SourceError> {
        let EncoderOptions { opener, alternate, .. } = &self.options;
        if self.alternate { alternate.open().await } else { opener.open().await }
    }

    async fn reopen(&mut self) -> Box<dyn FrameSource> {
        self.timeline.restart();
        loop {
            match self.open().await {
                Ok(source) => return source,
                Err(error) => log::warn!(target: "camera", "{error}"),
            }
            sleep(REOPEN_AFTER).await;
        }
    }

    /// The tracks of the source: video first, then audio.
    async fn probe(&mut self, source: &mut dyn FrameSource) -> Result<Vec<Track>, SourceError> {
        let (mut video, mut audio) = (None, None);
        let mut first = None;
        loop {
            let frame = source.frame().await?;
            if self.wants(&frame) {
                let slot = if frame.is_video() { &mut video } else { &mut audio };
                slot.get_or_insert_with(|| frame.track.clone());
            }
            let place = self.timeline.place(&frame);
            self.position.store(place.dts, Ordering::Relaxed);
            let long = place.dts - *first.get_or_insert(place.dts) > PROBE;
            let all = video.is_some() && (audio.is_some() || !self.options.audio);
            if all || long && (video.is_some() || audio.is_some()) {
                return Ok(video.into_iter().chain(audio).collect());
            }
        }
    }

    fn announce(&self, tracks: &Tracks) {
        self.describe.send_replace(Some(Arc::new(tracks.description.clone())));
    }

    /// Applies the disturbances of this moment; true while no frame may be sent.
    fn disturbed(&mut self) -> bool {
        let disturbance = self.faults.take();
        self.timeline.shift(disturbance.jump);
        if disturbance.garbage {
            let _ = self.units.send(Item::Garbage(garbage())); // Fails when there is no client.
        }
        disturbance.frozen
    }
}

/// Half a kilobyte that begins neither a packet nor a message.
fn garbage() -> Bytes {
    let mut bytes = vec![0; 512];
    rand::fill(&mut bytes[1..]);
    bytes.into()
}
