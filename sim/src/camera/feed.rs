//! One stream of the camera: a single task paces its frames and packs each once for all clients.
//! Started by the first client; then it runs as long as the camera, as an encoder does.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use ivt_media::frame::{Frame, Track};
use ivt_media::source::{FrameSource, Opener, SourceError};
use tokio::sync::{broadcast, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

use super::params::parameter_sets;
use super::rtp::{Packetizer, Unit};
use super::sdp::Description;
use super::timeline::Timeline;

/// Units a client may lag behind before it loses some: some three seconds.
const LAG: usize = 128;
/// How much of the stream is read to learn whether it has sound, 90 kHz ticks.
const PROBE: i64 = 45_000;
const REOPEN_AFTER: Duration = Duration::from_secs(1);

/// What the clients of a stream receive.
#[derive(Clone, Debug)]
pub enum Item {
    /// Packets of one track.
    Unit(Arc<Unit>),
    /// Bytes that mean nothing (a fault).
    Garbage(Bytes),
}

/// Where a stream's frames come from.
#[derive(Clone)]
pub struct FeedOptions {
    /// The stream.
    pub opener: Arc<dyn Opener>,
    /// The stream after a change of parameters.
    pub alternate: Arc<dyn Opener>,
    /// Whether sound is sent.
    pub audio: bool,
}

/// A stream and those who watch it.
pub struct Feed {
    options: FeedOptions,
    faults: Arc<Mutex<Faults>>,
    running: Mutex<Option<Running>>,
}

/// Disturbances that the task meets at its next frame.
#[derive(Default)]
struct Faults {
    frozen_until: Option<Instant>,
    jump: i64,
    garbage: bool,
    /// The clip that should be playing.
    alternate: bool,
}

/// One run of the task; a reboot ends it and the next has new identities.
struct Running {
    units: broadcast::WeakSender<Item>,
    described: watch::Receiver<Option<Arc<Description>>>,
    position: Arc<AtomicI64>,
    task: AbortHandle,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Feed {
    /// An idle feed.
    pub fn new(options: FeedOptions) -> Self {
        Self { options, faults: Arc::default(), running: Mutex::default() }
    }

    /// What the stream is. Starts it if need be; `None` when it cannot be opened.
    pub async fn describe(&self) -> Option<Arc<Description>> {
        let mut described = self.start();
        described.wait_for(Option::is_some).await.ok()?.clone()
    }

    /// The units from now on, and the stream time of now; `None` when the stream is no longer the
    /// one described.
    pub fn subscribe(&self, to: &Description) -> Option<(broadcast::Receiver<Item>, i64)> {
        let running = lock(&self.running);
        let running = running.as_ref()?;
        let now = running.described.borrow().clone()?;
        let same = now.tracks.iter().map(|t| t.1).eq(to.tracks.iter().map(|t| t.1));
        let units = running.units.upgrade().filter(|_| same)?.subscribe();
        Some((units, running.position.load(Ordering::Relaxed)))
    }

    /// Ends the run: every client of it loses its connection.
    pub fn stop(&self) {
        *lock(&self.running) = None;
    }

    /// Sends nothing for a while; resumes at a key frame.
    pub fn freeze(&self, duration: Duration) {
        lock(&self.faults).frozen_until = Some(Instant::now() + duration);
    }

    /// Shifts every later timestamp by so many 90 kHz ticks.
    pub fn jump(&self, ticks: i64) {
        let mut faults = lock(&self.faults);
        faults.jump = faults.jump.saturating_add(ticks);
    }

    /// Sends something that is neither RTSP nor RTP.
    pub fn garbage(&self) {
        lock(&self.faults).garbage = true;
    }

    /// Switches to the other clip, or back.
    pub fn change_parameters(&self) {
        let mut faults = lock(&self.faults);
        faults.alternate = !faults.alternate;
    }

    fn start(&self) -> watch::Receiver<Option<Arc<Description>>> {
        let mut running = lock(&self.running);
        if let Some(running) = running.as_ref().filter(|r| !r.task.is_finished()) {
            return running.described.clone();
        }
        let (units, _) = broadcast::channel(LAG);
        let (describe, described) = watch::channel(None);
        let position = Arc::<AtomicI64>::default();
        let weak = units.downgrade();
        let encoder = Encoder {
            options: self.options.clone(),
            faults: self.faults.clone(),
            units,
            describe,
            position: position.clone(),
            timeline: Timeline::default(),
            alternate: false,
        };
        let task = tokio::spawn(async move {
            if let Err(error) = encoder.run().await {
                log::warn!(target: "camera", "a stream ended: {error}");
            }
        })
        .abort_handle();
        *running = Some(Running { units: weak, described: described.clone(), position, task });
        described
    }
}

/// The task of a feed.
struct Encoder {
    options: FeedOptions,
    faults: Arc<Mutex<Faults>>,
    units: broadcast::Sender<Item>,
    describe: watch::Sender<Option<Arc<Description>>>,
    position: Arc<AtomicI64>,
    timeline: Timeline,
    /// The clip that is playing.
    alternate: bool,
}

/// The tracks of the running description, packed.
struct Tracks {
    description: Description,
    packetizers: Vec<Packetizer>,
    /// Sent before each key picture.
    parameter_sets: Vec<Bytes>,
    /// When the last sender reports went out.
    reported: Option<Instant>,
}

/// What a frame is to the stream described.
enum Fit {
    Track(usize),
    /// The same codec with other parameter sets.
    Changed(usize),
    /// A stranger; the stream must be described anew.
    Stranger,
    /// A kind of track that was not described.
    Ignored,
}

impl Encoder {
    /// Runs until the source turns into something that the description cannot express, or cannot
    /// be opened at first.
    async fn run(mut self) -> Result<(), SourceError> {
        self.alternate = lock(&self.faults).alternate;
        let mut source = self.open().await?;
        let mut tracks = Tracks::new(self.probe(source.as_mut()).await?);
        self.announce(&tracks);
        let mut await_key = false;
        loop {
            let alternate = lock(&self.faults).alternate;
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
            if self.units.receiver_count() > 0 {
                tracks.send(track, &frame, place.pts, place.dts, &self.units);
            }
        }
    }

    fn wants(&self, frame: &Frame) -> bool {
        self.options.audio || frame.is_video()
    }

    async fn open(&self) -> Result<Box<dyn FrameSource>, SourceError> {
        let FeedOptions { opener, alternate, .. } = &self.options;
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

    /// Applies the faults of the moment; true while nothing may be sent.
    fn disturbed(&mut self) -> bool {
        let mut faults = lock(&self.faults);
        self.timeline.shift(std::mem::take(&mut faults.jump));
        if std::mem::take(&mut faults.garbage) {
            let _ = self.units.send(Item::Garbage(garbage())); // Nobody may be there.
        }
        let frozen = faults.frozen_until.is_some_and(|until| Instant::now() < until);
        if !frozen {
            faults.frozen_until = None;
        }
        frozen
    }
}

impl Tracks {
    fn new(tracks: Vec<Track>) -> Self {
        let description = Description::new(tracks);
        let packetizers = description.tracks.iter().map(|(_, s)| Packetizer::new(*s)).collect();
        let parameter_sets = description.tracks.iter().find_map(|(track, _)| match track {
            Track::Video(params) => Some(parameter_sets(params)),
            Track::Audio(_) => None,
        });
        let parameter_sets = parameter_sets.unwrap_or_default();
        Self { description, packetizers, parameter_sets, reported: None }
    }

    fn fit(&self, frame: &Frame) -> Fit {
        for (i, (track, _)) in self.description.tracks.iter().enumerate() {
            match (track, &frame.track) {
                (Track::Video(old), Track::Video(new)) => {
                    return match () {
                        () if Arc::ptr_eq(old, new) || old == new => Fit::Track(i),
                        () if old.codec == new.codec => Fit::Changed(i),
                        () => Fit::Stranger,
                    };
                }
                (Track::Audio(old), Track::Audio(new)) => {
                    let same = Arc::ptr_eq(old, new) || old == new;
                    return if same { Fit::Track(i) } else { Fit::Stranger };
                }
                _ => {}
            }
        }
        Fit::Ignored
    }

    /// New parameter sets for the same codec: told in the stream, at the next key frame.
    fn change(&mut self, track: usize, frame: &Frame) {
        self.description.tracks[track].0 = frame.track.clone();
        if let Track::Video(params) = &frame.track {
            self.parameter_sets = parameter_sets(params);
        }
    }

    fn send(
        &mut self,
        track: usize,
        frame: &Frame,
        pts: i64,
        dts: i64,
        units: &broadcast::Sender<Item>,
    ) {
        let due = |at: Instant| {
            let age = at.elapsed();
            age >= Duration::from_secs(5) || frame.key && age >= Duration::from_secs(1)
        };
        let sets = match frame.key && frame.is_video() {
            true => &self.parameter_sets[..],
            false => &[],
        };
        let unit = self.packetizers[track].frame(frame, pts, sets);
        let send = |unit| {
            let _ = units.send(Item::Unit(Arc::new(unit))); // The last client may just have gone.
        };
        send(unit);
        if self.reported.is_none_or(due) {
            self.reported = Some(Instant::now());
            let now = SystemTime::now();
            self.packetizers.iter().for_each(|p| send(p.report(now, dts)));
        }
    }
}

/// Half a kilobyte that starts neither a packet nor a message.
fn garbage() -> Bytes {
    let mut bytes = vec![0; 512];
    rand::fill(&mut bytes[1..]);
    bytes.into()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
