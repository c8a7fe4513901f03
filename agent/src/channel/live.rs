//! The live stream of a channel, and the task that owns it. The task takes requests, follows the
//! rules of [`lifecycle`], and starts and ends the work on the stream. It alone shows which stream
//! is live and how publishing goes.

mod constant;
mod lifecycle;
mod publish;
mod running;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use ivt_base::address_rule::{AddressRule, UNREACHABLE};
use ivt_hal::{Encoder, Kind};
use ivt_media::publish::PublishStats;
use ivt_media::pull::PullState;
use ivt_media::source::SourceError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use self::constant::{Constant, News};
use self::lifecycle::{Decision, Lifecycle};
use self::publish::{Job, Progress};
use self::running::Running;
use self::waiting::Waiting;
use super::link::{self, Link};
use super::request::{self, Answer, PublishRequest, REQUESTS, Refusal, nothing};
use super::streams::Streams;
use crate::shutdown::Stop;
use crate::tls::TrustStore;

/// What the live stream of a channel is made of.
pub(super) struct LiveSetup {
    /// Number of the channel.
    pub(super) number: usize,
    pub(super) encoder: Arc<dyn Encoder>,
    pub(super) streams: Arc<Streams>,
    pub(super) trust: TrustStore,
    /// Which servers the cloud may name.
    pub(super) rule: AddressRule,
    /// How long a lost stream is retried.
    pub(super) retry: Duration,
    pub(super) link: watch::Receiver<Link>,
    /// Whether a lost connection to the cloud ends the stream.
    pub(super) stop_with_link: bool,
    /// What is published while the cloud asks for no stream.
    pub(super) constant: watch::Receiver<Option<PublishRequest>>,
}

/// Sends requests to the task of the live stream, and reads what the task shows.
#[derive(Clone)]
pub(super) struct LiveHandle {
    requests: mpsc::Sender<Request>,
    live: watch::Receiver<Option<String>>,
    publish: watch::Receiver<watch::Receiver<PublishStats>>,
}

/// A request to the task of the live stream.
pub(super) enum Request {
    Publish(PublishRequest, Answer),
    Stop(String, oneshot::Sender<()>),
}

impl LiveHandle {
    pub(super) async fn publish(&self, ask: PublishRequest) -> Result<(), Refusal> {
        request::ask(&self.requests, |answer| Request::Publish(ask, answer)).await?
    }

    pub(super) async fn stop(&self, stream_id: String) -> Result<(), Refusal> {
        request::ask(&self.requests, |done| Request::Stop(stream_id, done)).await
    }

    /// The stream that the server is receiving at this moment; a constant publish has the empty name.
    pub(super) fn live(&self) -> watch::Receiver<Option<String>> {
        self.live.clone()
    }

    /// The counts of the newest publish, which may have ended.
    pub(super) fn stats(&self) -> PublishStats {
        *self.publish.borrow().borrow()
    }

    /// A handle whose requests a test serves.
    #[cfg(test)]
    pub(super) fn unserved() -> (Self, mpsc::Receiver<Request>) {
        let (requests, inbox) = mpsc::channel(REQUESTS);
        let (live, publish) = (watch::channel(None).1, watch::channel(no_publish()).1);
        (Self { requests, live, publish }, inbox)
    }
}

/// The task that owns the live stream.
pub(super) struct LiveTask {
    setup: LiveSetup,
    inbox: mpsc::Receiver<Request>,
    lifecycle: Lifecycle,
    /// `Some` exactly while the lifecycle has a stream.
    running: Option<Running>,
    /// Runs only while the lifecycle has no stream.
    constant: Constant,
    /// The work that runs, and earlier work that is still closing its connection to a server.
    work: JoinSet<()>,
    waiting: Waiting,
    live: watch::Sender<Option<String>>,
    /// The counts of the newest work. Only that work writes them.
    publish: watch::Sender<watch::Receiver<PublishStats>>,
    /// How many lost connections to the cloud the task has handled.
    losses: u64,
}

impl LiveTask {
    pub(super) fn new(setup: LiveSetup) -> (Self, LiveHandle) {
        let (requests, inbox) = mpsc::channel(REQUESTS);
        let (live, publish) = (watch::Sender::new(None), watch::Sender::new(no_publish()));
        let handle = LiveHandle { requests, live: live.subscribe(), publish: publish.subscribe() };
        let losses = setup.link.borrow().losses;
        let task = Self {
            lifecycle: Lifecycle::new(setup.retry),
            constant: Constant::new(setup.constant.clone()),
            setup,
            inbox,
            running: None,
            work: JoinSet::new(),
            waiting: Waiting::default(),
            live,
            publish,
            losses,
        };
        (task, handle)
    }

    /// Serves until `stop` is requested, and returns once all connections to servers are closed.
    pub(super) async fn run(mut self, mut stop: Stop) {
        let stop_with_link = self.setup.stop_with_link;
        loop {
            self.push();
            self.show();
            let due = self.due();
            let idle = self.lifecycle.current().is_none();
            let again = self.constant.poll_timeout().filter(|_| idle);
            tokio::select! {
                // A lost connection is handled before the requests that came over it.
                biased;
                () = stop.requested() => break,
                () = link::lost(&mut self.setup.link, &mut self.losses), if stop_with_link => {
                    self.end("the cloud is gone");
                }
                () = self.waiting.abandoned() => self.abandon(),
                Some(request) = self.inbox.recv() => self.obey(request),
                Some(progress) = next(&mut self.running) => self.note(progress),
                news = self.constant.next() => self.note_constant(news),
                () = at(due) => self.expire(),
                () = at(again) => {}
                Some(_) = self.work.join_next() => {}
            }
        }
        self.end("the agent stops");
        self.constant.pause();
        self.show();
        while self.work.join_next().await.is_some() {}
    }

    fn obey(&mut self, request: Request) {
        match request {
            // The receiver of the answer is gone, with the connection the request came over.
            Request::Publish(_, answer) if answer.is_closed() => {}
            Request::Publish(ask, answer) => self.publish(ask, answer),
            Request::Stop(stream_id, done) => {
                if self.lifecycle.stop(&stream_id) {
                    let number = self.setup.number;
                    log::info!(
                        "channel {number}: stream {stream_id:?} ends: the cloud asked for it"
                    );
                    self.running = None;
                    self.waiting.answer(&Err(Refusal::Stopped));
                }
                // The receiver may be gone, if its connection is.
                done.send(()).ok();
            }
        }
    }

    fn publish(&mut self, ask: PublishRequest, answer: Answer) {
        if self.constant.holds() {
            answer.send(Err(Refusal::Constant)).ok();
            return;
        }
        match self.lifecycle.publish(&ask.stream_id, now()) {
            Decision::Running => {
                answer.send(Ok(())).ok();
            }
            Decision::Busy => {
                let running = self.lifecycle.current().unwrap_or_default().to_owned();
                answer.send(Err(Refusal::Busy { running })).ok();
            }
            Decision::Join => self.waiting.push(answer),
            Decision::Start => {
                // Requests for the stream that gives way may still wait for their answer.
                self.waiting.answer(&Err(Refusal::Stopped));
                self.waiting.push(answer);
                self.constant.pause();
                self.running = Some(self.start(ask));
            }
        }
    }

    /// Starts the constant publish when nothing else is published and it is due.
    fn push(&mut self) {
        let now = Instant::now();
        if self.lifecycle.current().is_none()
            && let Some(ask) = self.constant.due(now)
        {
            let running = self.start(ask);
            self.constant.started(running, now);
        }
    }

    fn note_constant(&mut self, news: News) {
        if let Some((level, what)) = self.constant.note(news, &mut rand::rng()) {
            log::log!(level, "channel {}: the constant publish {what}", self.setup.number);
        }
    }

    fn start(&mut self, ask: PublishRequest) -> Running {
        let stats = watch::Sender::default();
        self.publish.send_replace(stats.subscribe());
        let job = Job {
            encoder: Arc::clone(&self.setup.encoder),
            pull: Arc::clone(self.setup.streams.of(ask.stream)),
            trust: self.setup.trust.clone(),
            rule: self.setup.rule.clone(),
            ask,
            stats,
        };
        Running::start(job, &mut self.work)
    }

    fn note(&mut self, progress: Progress) {
        match progress {
            Progress::Flowing => {
                self.lifecycle.flowing(now());
                self.log(log::Level::Info, "is live");
                self.waiting.answer(&Ok(()));
            }
            Progress::Refused(refusal) if !self.lifecycle.has_flowed() => self.refuse(refusal),
            Progress::Refused(refusal) => self.end(&refusal.reason()),
            Progress::Broken(refusal)
                if self.lifecycle.is_starting()
                    || !self.lifecycle.has_flowed() && is_hopeless(&self.camera()) =>
            {
                self.refuse(refusal);
            }
            Progress::Broken(refusal) => {
                let level = if self.lifecycle.live().is_some() {
                    log::Level::Warn
                } else {
                    log::Level::Debug
                };
                self.log(level, &format!("is interrupted: {}", refusal.reason()));
                self.lifecycle.faltered(now());
                if self.lifecycle.current().is_none() {
                    self.running = None;
                }
            }
        }
    }

    /// When the stream, or a request for it, has waited long enough.
    fn due(&self) -> Option<Instant> {
        let stream = self.lifecycle.poll_timeout().map(Instant::from_std);
        stream.into_iter().chain(self.waiting.due()).min()
    }

    fn expire(&mut self) {
        let over = self.lifecycle.poll_timeout().is_some_and(|due| due <= now());
        if over && self.lifecycle.has_flowed() {
            self.end("it could not be resumed in time");
        } else if over && !self.is_late() {
            let refusal = self.late(false);
            self.refuse(refusal);
        } else {
            let refusal = self.late(true);
            if over {
                self.log(log::Level::Warn, &format!("does not start yet: {}", refusal.reason()));
            }
            self.waiting.refuse_due(&refusal);
        }
    }

    /// Whether a stream goes on after its time to start, because its camera may yet send something.
    fn is_late(&mut self) -> bool {
        let camera = self.camera();
        let late = !matches!(camera, PullState::Live) && !is_hopeless(&camera);
        self.lifecycle.is_starting() && late && self.lifecycle.late(now())
    }

    /// Says whether camera or server is at fault that a stream does not start in time. If the
    /// stream `goes_on`, the text says so.
    fn late(&self, goes_on: bool) -> Refusal {
        let Some(running) = &self.running else { return Refusal::Stopped };
        let camera = self.camera();
        if matches!(camera, PullState::Live) {
            let reason = "the server did not accept the stream in time".into();
            return Refusal::Server { told: UNREACHABLE.into(), reason };
        }
        let silent = || Refusal::Camera {
            kind: Kind::Timeout,
            reason: nothing(self.setup.streams.of(running.stream)),
        };
        match Refusal::of_camera(&camera).unwrap_or_else(silent) {
            Refusal::Camera { kind, reason } if goes_on => {
                Refusal::Camera { kind, reason: format!("{reason}; it goes on being tried") }
            }
            refusal => refusal,
        }
    }

    /// What the camera of the current stream is doing.
    fn camera(&self) -> PullState {
        let pull = self.running.as_ref().map(|running| self.setup.streams.of(running.stream));
        pull.map_or(PullState::Idle, |pull| pull.state().borrow().clone())
    }

    /// Ends the stream, which cannot be published, and refuses the requests for it.
    fn refuse(&mut self, refusal: Refusal) {
        self.log(log::Level::Warn, &format!("did not start: {}", refusal.reason()));
        self.drop_stream();
        self.waiting.answer(&Err(refusal));
    }

    /// Ends a stream that has not started yet when nobody waits for it any more.
    fn abandon(&mut self) {
        if self.lifecycle.is_starting() {
            self.end("nobody waits for it any more");
        }
        self.waiting.clear();
    }

    /// Ends the current stream, if there is one.
    fn end(&mut self, why: &str) {
        if self.lifecycle.current().is_some() {
            self.log(log::Level::Info, &format!("ends: {why}"));
            self.drop_stream();
        }
        self.waiting.answer(&Err(Refusal::Stopped));
    }

    fn drop_stream(&mut self) {
        self.lifecycle.end();
        self.running = None;
    }

    fn show(&self) {
        let live = self.lifecycle.live().or(self.constant.is_flowing().then_some(""));
        self.live.send_if_modified(|shown| {
            let changed = shown.as_deref() != live;
            if changed {
                *shown = live.map(str::to_owned);
            }
            changed
        });
    }

    fn log(&self, level: log::Level, what: &str) {
        let stream_id = self.lifecycle.current().unwrap_or_default();
        log::log!(level, "channel {}: stream {stream_id:?} {what}", self.setup.number);
    }
}

/// The counts before the first publish: all zero.
fn no_publish() -> watch::Receiver<PublishStats> {
    watch::channel(PublishStats::default()).1
}

/// Whether another attempt at the camera would fail in the same way.
fn is_hopeless(camera: &PullState) -> bool {
    use SourceError::{Unauthorized, Unsupported};
    matches!(camera, PullState::Failed(Unauthorized { .. } | Unsupported { .. }))
}

async fn next(running: &mut Option<Running>) -> Option<Progress> {
    match running {
        Some(running) => running.next().await,
        None => None,
    }
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// The time for the lifecycle's rules, from tokio's clock so that tests can pause it.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}

#[cfg(test)]
mod tests;
