//! Keeps one stream of one camera open for as long as somebody reads it.

use std::convert::Infallible;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ivt_base::backoff::{Backoff, Policy};
use ivt_base::told::Told;
use tokio::sync::watch;
use tokio::task::{JoinHandle, yield_now};
use tokio::time::{sleep, sleep_until};

use crate::alert::LossAlert;
use crate::coalesce::Streams;
use crate::frame::{Frame, Track};
use crate::hold::SoundHold;
use crate::hub::{Hub, Reader, Start};
use crate::reserve::Reserve;
use crate::source::{FrameSource, Opener, SourceError};
use crate::stats::{Meter, StreamStats};
use crate::timeline::Timeline;

/// Delays between attempts to open the stream. A camera that was rebooted is back within 10 s of
/// answering again.
static RETRY: Policy = Policy {
    floor: Duration::from_millis(250),
    windows: &[
        Duration::from_secs(1),
        Duration::from_secs(2),
        Duration::from_secs(4),
        Duration::from_secs(8),
    ],
};
/// Delay after a refused login, since cameras lock out whoever keeps knocking with a wrong
/// password.
const UNAUTHORIZED_RETRY: Duration = Duration::from_secs(30);

/// A stream that lived this long and is lost is opened again at once. A stream that failed sooner
/// is opened after a delay.
const ESTABLISHED: Duration = Duration::from_secs(2);

/// How long a camera may send no key frame before the log tells of it.
const PICTURE_LATE: Duration = Duration::from_secs(10);

/// How a pull behaves.
#[derive(Clone, Debug)]
pub struct PullConfig {
    /// What to call the stream in the log, e.g. `channel 0 main`.
    pub name: String,
    /// Bytes of the ring while its key frames are small.
    pub ring_bytes: usize,
    /// What the ring may grow into while its key frames are large; `None` for a ring that does not
    /// grow.
    pub reserve: Option<Arc<Reserve>>,
    /// How long the stream stays open after its last reader left.
    pub linger: Duration,
}

impl Default for PullConfig {
    fn default() -> Self {
        let linger = Duration::from_secs(5);
        Self { name: "stream".into(), ring_bytes: 1 << 20, reserve: None, linger }
    }
}

/// The state of a pull.
#[derive(Clone, Debug)]
pub enum PullState {
    /// Nobody reads the stream.
    Idle,
    /// The stream is being opened for the first time since it was last read by nobody.
    Opening,
    /// The camera sends pictures that can be decoded from the next key frame on, which may be yet
    /// to come.
    Live,
    /// The camera sends nothing that can be decoded. It is opened again and again.
    Failed(SourceError),
}

/// One stream of one camera, for any number of readers. The stream is open only while it has
/// readers, and for a little longer. Dropping the pull ends every reader.
pub struct Pull {
    shared: Arc<Shared>,
    task: Mutex<Option<JoinHandle<()>>>,
    warm: Mutex<Option<Demand>>,
}

/// A reader that keeps its stream open. Dropping it gives the stream up.
pub struct Subscription {
    reader: Reader,
    _demand: Demand,
}

/// What the log was told of a stream since its first reader came.
#[derive(Default)]
struct Alerts {
    losses: LossAlert,
    /// That no picture came in time.
    no_picture: Told,
}

struct Shared {
    opener: Arc<dyn Opener>,
    config: PullConfig,
    hub: Arc<Hub>,
    state: watch::Sender<PullState>,
    /// How many readers and guards want the stream open.
    demand: watch::Sender<usize>,
    /// Asks the task to open the stream anew.
    reopen: watch::Sender<()>,
    meter: Mutex<Meter>,
    /// Where the stream is counted while it is being read.
    streams: &'static Streams,
}

impl Pull {
    /// A pull that opens its stream by `opener` once somebody reads it.
    pub fn new(opener: Arc<dyn Opener>, config: PullConfig) -> Arc<Self> {
        Self::counted_in(Streams::of_program(), opener, config)
    }

    fn counted_in(
        streams: &'static Streams,
        opener: Arc<dyn Opener>,
        config: PullConfig,
    ) -> Arc<Self> {
        let shared = Shared {
            opener,
            hub: match config.reserve.clone() {
                Some(reserve) => Hub::growing(config.ring_bytes, reserve),
                None => Hub::new(config.ring_bytes),
            },
            config,
            state: watch::Sender::new(PullState::Idle),
            demand: watch::Sender::new(0),
            reopen: watch::Sender::new(()),
            meter: Mutex::new(Meter::new(now())),
            streams,
        };
        Arc::new(Self { shared: Arc::new(shared), task: Mutex::default(), warm: Mutex::default() })
    }

    /// Adds a reader, and opens the stream if it is not open. Must be called within a runtime.
    pub fn subscribe(&self, from: Start) -> Subscription {
        let reader = self.shared.hub.reader(from);
        Subscription { reader, _demand: self.demand() }
    }

    /// Keeps the stream open without a reader, so that the ring always holds the recent past. Must
    /// be called within a runtime.
    pub fn keep_warm(&self, warm: bool) {
        let mut held = lock(&self.warm);
        match (warm, held.is_some()) {
            (true, false) => *held = Some(self.demand()),
            (false, true) => *held = None,
            _ => {}
        }
    }

    /// Opens the stream anew at once if it is open, for an opener that now opens something else.
    /// Readers stay, and see a gap.
    pub fn reopen(&self) {
        self.shared.reopen.send_replace(());
    }

    /// The state of the pull; changes can be awaited.
    pub fn state(&self) -> watch::Receiver<PullState> {
        self.shared.state.subscribe()
    }

    /// The statistics of the stream up to now.
    pub fn stats(&self) -> StreamStats {
        let incidents = self.shared.opener.incidents();
        StreamStats { incidents, ..lock(&self.shared.meter).read(now()) }
    }

    /// The parameters of the stream's tracks; empty while it is closed or nothing of it can be decoded.
    pub fn tracks(&self) -> Vec<Track> {
        self.shared.hub.tracks()
    }

    /// What is awaited of a camera that is being opened or sends no picture yet, as a clause for a
    /// person. `None` if there is nothing to tell.
    pub fn awaits(&self) -> Option<String> {
        self.shared.opener.awaits()
    }

    /// Closes the stream for good, ends every reader, and waits a bounded time until the camera has
    /// closed its side.
    pub async fn stop(&self) {
        self.shared.hub.close();
        let task = lock(&self.task).take();
        if let Some(task) = task {
            task.abort();
            // Joining gives an error because the task was aborted.
            task.await.ok();
        }
        self.shared.opener.settle().await;
    }

    fn demand(&self) -> Demand {
        let mut task = lock(&self.task);
        if task.is_none() && !self.shared.hub.is_closed() {
            *task = Some(ivt_base::task::spawn(Arc::clone(&self.shared).run()));
        }
        self.shared.demand.send_modify(|wanted| *wanted += 1);
        Demand(self.shared.demand.clone())
    }
}

impl Drop for Pull {
    fn drop(&mut self) {
        self.shared.hub.close();
        if let Some(task) = lock(&self.task).take() {
            task.abort();
        }
    }
}

impl Deref for Subscription {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        &self.reader
    }
}

impl DerefMut for Subscription {
    fn deref_mut(&mut self) -> &mut Reader {
        &mut self.reader
    }
}

/// Counts one reader or guard that wants the stream open.
struct Demand(watch::Sender<usize>);

impl Drop for Demand {
    fn drop(&mut self) {
        self.0.send_modify(|wanted| *wanted -= 1);
    }
}

impl Shared {
    async fn run(self: Arc<Self>) {
        let mut demand = self.demand.subscribe();
        let mut timeline = Timeline::default();
        // The sender lives in `self`, so waiting for a value cannot fail.
        while demand.wait_for(|&wanted| wanted > 0).await.is_ok() {
            tokio::select! {
                never = self.keep_open(&mut timeline) => match never {},
                () = unwanted(&mut demand, self.config.linger) => {}
            }
            self.hub.clear();
            self.state.send_replace(PullState::Idle);
            log::info!("{}: closed, nobody reads it", self.config.name);
            self.opener.settle().await;
        }
    }

    async fn keep_open(&self, timeline: &mut Timeline) -> Infallible {
        let mut reopen = self.reopen.subscribe();
        loop {
            tokio::select! {
                never = self.retry(timeline) => match never {},
                // The sender lives in `self`, so waiting for a change cannot fail.
                Ok(()) = reopen.changed() => {}
            }
            log::info!("{}: opened anew, it was configured anew", self.config.name);
            // Sound that waited for a picture waits no longer.
            self.hub.announce();
            self.hub.interrupt();
            self.opener.settle().await;
            lock(&self.meter).reconnected();
        }
    }

    /// Opens the source again and again.
    async fn retry(&self, timeline: &mut Timeline) -> Infallible {
        self.state.send_replace(PullState::Opening);
        let mut backoff = Backoff::new(&RETRY);
        let mut told = Alerts::default();
        // A camera that is away is tried again and again: only the first try is worth a hurry.
        let mut is_awaited = true;
        loop {
            if is_awaited {
                self.streams.hurry();
            }
            let opened = now();
            let error = self.stream(timeline, &mut told).await;
            let lived = now().saturating_duration_since(opened);
            backoff.lived(lived);
            let wait = match error {
                SourceError::Unauthorized { .. } => UNAUTHORIZED_RETRY,
                // The camera forgot the session or was restarted, and most likely accepts another
                // at once.
                SourceError::Unreachable { .. } if lived >= ESTABLISHED && self.was_live() => {
                    Duration::ZERO
                }
                _ => backoff.next(&mut rand::rng()),
            };
            is_awaited = self.was_live();
            self.note_failure(error, wait);
            sleep(wait).await;
            self.opener.settle().await;
            lock(&self.meter).reconnected();
        }
    }

    /// Opens the source and hands on its frames until it fails.
    async fn stream(&self, timeline: &mut Timeline, told: &mut Alerts) -> SourceError {
        let mut source = match self.opener.open().await {
            Ok(source) => source,
            Err(error) => return error,
        };
        timeline.reopen();
        self.hub.expect_sound(source.has_sound());
        let first = {
            let first = self.first_key(&mut *source, timeline, &mut told.losses);
            tokio::pin!(first);
            tokio::select! {
                biased;
                first = &mut first => first,
                () = sleep(PICTURE_LATE) => {
                    self.note_no_picture(&mut told.no_picture);
                    first.await
                }
            }
        };
        let mut frame = match first {
            Ok(frame) => frame,
            Err(error) => return error,
        };
        told.no_picture.is_over();
        let _live = self.streams.enter();
        let mut hold = SoundHold::default();
        let mut burst = 0;
        loop {
            burst += frame.data.len();
            if hold.note(&frame) {
                self.hub.push(frame);
            } else {
                self.hub.push_silently(frame);
            }
            // A source with much at hand never waits; without a pause readers would fall behind.
            if burst >= self.config.ring_bytes / 4 {
                burst = 0;
                yield_now().await;
            }
            let next = self.next(&mut *source, timeline, &mut told.losses);
            frame = match self.unless_due(next, &mut hold).await {
                Ok(frame) => frame,
                Err(error) => {
                    self.hub.announce();
                    return error;
                }
            };
        }
    }

    /// Waits for `next`. Meanwhile readers are told of sound that has waited long enough.
    async fn unless_due<T>(&self, next: impl Future<Output = T>, hold: &mut SoundHold) -> T {
        tokio::pin!(next);
        if let Some(due) = hold.due() {
            tokio::select! {
                biased;
                next = &mut next => return next,
                () = sleep_until(due.into()) => {}
            }
            hold.release();
            self.hub.announce();
        }
        next.await
    }

    /// Returns the source's first key frame. Frames before it are counted, but no reader can show
    /// them.
    async fn first_key(
        &self,
        source: &mut dyn FrameSource,
        timeline: &mut Timeline,
        losses: &mut LossAlert,
    ) -> Result<Frame, SourceError> {
        source.arriving().await?;
        self.state.send_replace(PullState::Live);
        log::info!("{}: live", self.config.name);
        loop {
            let frame = self.next(source, timeline, losses).await?;
            if frame.key {
                return Ok(frame);
            }
            self.hub.learn_sound(&frame);
        }
    }

    async fn next(
        &self,
        source: &mut dyn FrameSource,
        timeline: &mut Timeline,
        losses: &mut LossAlert,
    ) -> Result<Frame, SourceError> {
        let mut frame = source.frame().await?;
        timeline.place(&mut frame);
        let lost = lock(&self.meter).count(&frame, source.losses());
        if let Some((lost, span)) = losses.note(lost, frame.received) {
            log::warn!(
                "{}: the camera's packets are lost: {lost} in the last {} s; pictures are left \
                 out: check the network on the way and the camera's load, lower the bit rate; with \
                 transport = \"udp\" try \"tcp\"",
                self.config.name,
                span.as_secs()
            );
        }
        Ok(frame)
    }

    fn was_live(&self) -> bool {
        matches!(*self.state.borrow(), PullState::Live)
    }

    fn note_no_picture(&self, told: &mut Told) {
        lock(&self.meter).picture_late();
        let level = if told.is_news(()) { log::Level::Warn } else { log::Level::Debug };
        let awaits = self.opener.awaits();
        log::log!(
            level,
            "{}: no picture {} s after opening: {}; check the camera's codec and the interval of \
             its key frames (I frames)",
            self.config.name,
            PICTURE_LATE.as_secs(),
            awaits.as_deref().unwrap_or("no key frame came")
        );
    }

    fn note_failure(&self, error: SourceError, wait: Duration) {
        let name = &self.config.name;
        let again = matches!(*self.state.borrow(), PullState::Failed(_));
        let level = if again { log::Level::Debug } else { log::Level::Warn };
        log::log!(level, "{name}: {error}; next try in {:.1} s", wait.as_secs_f64());
        lock(&self.meter).fail(error.to_string());
        // A picture from before a failure is no picture for readers who come now.
        self.hub.interrupt();
        self.state.send_replace(PullState::Failed(error));
    }
}

/// Returns when nobody has wanted the stream for the time `linger`.
async fn unwanted(demand: &mut watch::Receiver<usize>, linger: Duration) {
    while demand.wait_for(|&wanted| wanted == 0).await.is_ok() {
        tokio::select! {
            () = sleep(linger) => return,
            // A reader that came and left between two looks also restarts the wait.
            _ = demand.changed() => {}
        }
    }
}

/// The time of frames, from tokio's clock so that tests can pause it.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "pull_tests.rs"]
mod tests;
