//! The task of one channel.

use std::convert::Infallible;
use std::sync::Arc;

use futures::future::join;
use ivt_hal::{Encoder, Kind, Stream};
use ivt_media::publish::PublishStats;
use ivt_media::pull::{PullConfig, PullState};
use ivt_media::source::SourceError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::opener::Terms;
use super::publish::{Job, Progress};
use super::record::Recording;
use super::session::{Ruling, START, Session};
use super::{Answer, Ask, Command, Feeds, Handle, Link, Refusal, Status, nothing, reach};
use crate::config;
use crate::record::context::RecordingContext;
use crate::shutdown::Stop;
use crate::tls::Trust;

/// Requests waiting for one channel; the cloud may have 32 unanswered in all.
const COMMANDS: usize = 32;
/// Reports of the work that wait for the task.
const REPORTS: usize = 4;

/// What a channel is made of.
pub struct Setup {
    /// Its number.
    pub number: usize,
    /// Its camera.
    pub encoder: Arc<dyn Encoder>,
    /// Its part of the configuration.
    pub config: config::Channel,
    /// Size of each of its rings, where their key frames want no larger ones.
    pub ring_bytes: usize,
    /// How streams are kept up.
    pub publish: config::Publish,
    /// Whom `rtmps` servers are checked against.
    pub trust: Trust,
    /// What recordings work with.
    pub means: RecordingContext,
    /// The connection to the cloud.
    pub link: watch::Receiver<Link>,
    /// A lost connection ends the live stream.
    pub stop_with_link: bool,
}

impl Setup {
    /// Starts the channel's task within `tasks`; it ends when `stop` becomes true.
    pub fn spawn(self, tasks: &mut JoinSet<()>, stop: Stop) -> Handle {
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let (recordings, orders) = mpsc::channel(COMMANDS);
        let (status, reported) = watch::channel(Status::default());
        let terms = Terms::new(&self.config.backend, self.trust.clone());
        let feeds = Arc::new(Feeds::new(&self.encoder, &terms, |stream| PullConfig {
            name: format!("channel {} {stream}", self.number),
            ring_bytes: self.ring_bytes,
            // A size that was given is kept to.
            reserve: self.config.ring_bytes.is_none().then(|| self.means.budget.reserve()),
            linger: self.publish.linger,
        }));
        for stream in &self.config.always_on {
            feeds.of(*stream).keep_warm(true);
        }
        let stats = watch::Sender::new(PublishStats::default());
        let handle = Handle {
            commands,
            recordings,
            status: reported,
            quality: self.config.quality,
            feeds: Arc::clone(&feeds),
            publish: stats.subscribe(),
        };
        let (known, reachable) = watch::channel(None);
        let pulls = [feeds.main.state(), feeds.sub.state()];
        let observe = reach::observe(Arc::clone(&self.encoder), pulls, known);
        let recording = Recording {
            number: self.number,
            encoder: Arc::clone(&self.encoder),
            feeds: Arc::clone(&feeds),
            means: self.means.clone(),
            link: self.link.clone(),
            status: status.clone(),
            inbox: orders,
        };
        let losses = self.link.borrow().losses;
        let task = Task {
            session: Session::new(self.publish.retry),
            losses,
            setup: self,
            feeds,
            inbox,
            status,
            reachable,
            running: None,
            work: JoinSet::new(),
            waiting: Vec::new(),
            stats,
        };
        tasks.spawn(async move {
            tokio::select! {
                never = observe => match never {},
                _ = join(task.run(stop.clone()), recording.run(stop)) => {}
            }
        });
        handle
    }
}

struct Task {
    setup: Setup,
    feeds: Arc<Feeds>,
    session: Session,
    inbox: mpsc::Receiver<Command>,
    status: watch::Sender<Status>,
    /// `None` until the camera was asked.
    reachable: watch::Receiver<Option<bool>>,
    /// There exactly while the session has a stream.
    running: Option<Running>,
    /// The work that runs, and what is still taking leave of its server.
    work: JoinSet<()>,
    /// Those who asked for the stream that is being started, and until when each is answered.
    waiting: Vec<(Answer, Instant)>,
    stats: watch::Sender<PublishStats>,
    /// Lost connections to the cloud that were seen.
    losses: u64,
}

/// The work on one stream. Dropping it ends the work.
struct Running {
    progress: mpsc::Receiver<Progress>,
    stream: Stream,
    _stop: oneshot::Sender<Infallible>,
}

impl Task {
    async fn run(mut self, mut stop: Stop) {
        loop {
            self.report();
            let due = self.due();
            tokio::select! {
                // A lost connection comes before what was asked over it.
                biased;
                () = stop.requested() => break,
                () = lost(&mut self.setup.link, &mut self.losses), if self.setup.stop_with_link => self.end("the cloud is gone"),
                () = abandoned(&mut self.waiting) => self.abandon(),
                Some(command) = self.inbox.recv() => self.obey(command),
                Some(progress) = next(&mut self.running) => self.note(progress),
                () = at(due) => self.expire(),
                Ok(()) = self.reachable.changed() => {}
                Some(_) = self.work.join_next() => {}
            }
        }
        self.end("the agent stops");
        self.report();
        let leave = async { while self.work.join_next().await.is_some() {} };
        tokio::join!(leave, self.feeds.main.stop(), self.feeds.sub.stop());
    }

    fn obey(&mut self, command: Command) {
        match command {
            // Whoever asked is gone, with the connection it was asked over.
            Command::Publish(_, answer) if answer.is_closed() => {}
            Command::Publish(ask, answer) => self.publish(ask, answer),
            Command::Stop(stream_id, done) => {
                if self.session.stop(&stream_id) {
                    let number = self.setup.number;
                    log::info!(
                        "channel {number}: stream {stream_id:?} ends: the cloud asked for it"
                    );
                    self.running = None;
                    self.answer(&Err(Refusal::Stopped));
                }
                // Whoever asked may be gone.
                done.send(()).ok();
            }
        }
    }

    fn publish(&mut self, ask: Ask, answer: Answer) {
        match self.session.publish(&ask.stream_id, now()) {
            Ruling::Running => {
                answer.send(Ok(())).ok();
            }
            Ruling::Busy => {
                let running = self.session.current().unwrap_or_default().to_owned();
                answer.send(Err(Refusal::Busy { running })).ok();
            }
            Ruling::Join => self.waiting.push((answer, Instant::now() + START)),
            Ruling::Start => {
                // Those who waited for one that gives way.
                self.answer(&Err(Refusal::Stopped));
                self.waiting.push((answer, Instant::now() + START));
                self.start(ask);
            }
        }
    }

    fn start(&mut self, ask: Ask) {
        let (reports, progress) = mpsc::channel(REPORTS);
        let stream = ask.stream;
        let job = Job {
            encoder: Arc::clone(&self.setup.encoder),
            pull: Arc::clone(self.feeds.of(stream)),
            trust: self.setup.trust.clone(),
            ask,
            stats: self.stats.clone(),
        };
        self.stats.send_replace(PublishStats::default());
        let (stop, stopped) = oneshot::channel();
        self.work.spawn(job.run(reports, stopped));
        self.running = Some(Running { progress, stream, _stop: stop });
    }

    fn note(&mut self, progress: Progress) {
        match progress {
            Progress::Flowing => {
                self.session.flowing(now());
                self.log(log::Level::Info, "is live");
                self.answer(&Ok(()));
            }
            Progress::Refused(refusal) if !self.session.has_flowed() => self.refuse(refusal),
            Progress::Refused(_) => self.drop_stream(),
            Progress::Broken(refusal)
                if self.session.is_starting()
                    || !self.session.has_flowed() && is_hopeless(&self.camera()) =>
            {
                self.refuse(refusal);
            }
            Progress::Broken(refusal) => {
                let level = if self.session.live().is_some() {
                    log::Level::Warn
                } else {
                    log::Level::Debug
                };
                self.log(level, &format!("is interrupted: {refusal}"));
                self.session.faltered(now());
                if self.session.current().is_none() {
                    self.running = None;
                }
            }
        }
    }

    /// When the stream, or who asked for it, has waited long enough.
    fn due(&self) -> Option<Instant> {
        let stream = self.session.poll_timeout().map(Instant::from_std);
        let asked = self.waiting.iter().map(|(_, until)| *until);
        asked.chain(stream).min()
    }

    fn expire(&mut self) {
        let over = self.session.poll_timeout().is_some_and(|due| due <= now());
        if over && self.session.has_flowed() {
            self.end("it could not be resumed in time");
        } else if over && !self.is_late() {
            let refusal = self.late(false);
            self.refuse(refusal);
        } else {
            let refusal = self.late(true);
            if over {
                self.log(log::Level::Warn, &format!("does not start yet: {refusal}"));
            }
            let now = Instant::now();
            for (answer, _) in self.waiting.extract_if(.., |(_, until)| *until <= now) {
                // Whoever asked may be gone.
                answer.send(Err(refusal.clone())).ok();
            }
        }
    }

    /// Whether the stream whose time to start is over goes on, as its camera may yet give something.
    fn is_late(&mut self) -> bool {
        let camera = self.camera();
        let late = !matches!(camera, PullState::Live) && !is_hopeless(&camera);
        self.session.is_starting() && late && self.session.late(now())
    }

    /// Who is to blame for a stream that does not start in time, and whether it `goes_on`.
    fn late(&self, goes_on: bool) -> Refusal {
        let Some(running) = &self.running else { return Refusal::Stopped };
        let camera = self.camera();
        if matches!(camera, PullState::Live) {
            let reason = "the server did not accept the stream in time".into();
            return Refusal::Server { reason };
        }
        let silent = || Refusal::Camera {
            kind: Kind::Timeout,
            reason: nothing(self.feeds.of(running.stream)),
        };
        match Refusal::of_camera(&camera).unwrap_or_else(silent) {
            Refusal::Camera { kind, reason } if goes_on => {
                Refusal::Camera { kind, reason: format!("{reason}; it goes on being tried") }
            }
            refusal => refusal,
        }
    }

    /// What the camera of the stream is doing.
    fn camera(&self) -> PullState {
        let pull = self.running.as_ref().map(|running| self.feeds.of(running.stream));
        pull.map_or(PullState::Idle, |pull| pull.state().borrow().clone())
    }

    /// The stream that was asked for cannot be.
    fn refuse(&mut self, refusal: Refusal) {
        self.log(log::Level::Warn, &format!("did not start: {refusal}"));
        self.drop_stream();
        self.answer(&Err(refusal));
    }

    /// All who asked have gone.
    fn abandon(&mut self) {
        if self.session.is_starting() {
            self.end("nobody waits for it any more");
        }
        self.waiting.clear();
    }

    /// Ends the stream, if there is one.
    fn end(&mut self, why: &str) {
        if self.session.current().is_some() {
            self.log(log::Level::Info, &format!("ends: {why}"));
            self.drop_stream();
        }
        self.answer(&Err(Refusal::Stopped));
    }

    fn drop_stream(&mut self) {
        self.session.end();
        self.running = None;
    }

    fn answer(&mut self, outcome: &Result<(), Refusal>) {
        for (answer, _) in self.waiting.drain(..) {
            // Whoever asked may be gone.
            answer.send(outcome.clone()).ok();
        }
    }

    fn report(&mut self) {
        let reachable = *self.reachable.borrow_and_update();
        let live = self.session.live();
        self.status.send_if_modified(|status| {
            let now = Status {
                known: reachable.is_some(),
                reachable: reachable == Some(true),
                live: live.map(str::to_owned),
                recording: status.recording.clone(),
                alarm: status.alarm,
            };
            std::mem::replace(status, now.clone()) != now
        });
    }

    fn log(&self, level: log::Level, what: &str) {
        let stream_id = self.session.current().unwrap_or_default();
        log::log!(level, "channel {}: stream {stream_id:?} {what}", self.setup.number);
    }
}

/// Trying again changes nothing.
fn is_hopeless(camera: &PullState) -> bool {
    use SourceError::{Unauthorized, Unsupported};
    matches!(camera, PullState::Failed(Unauthorized { .. } | Unsupported { .. }))
}

/// Returns when a connection to the cloud is lost.
async fn lost(link: &mut watch::Receiver<Link>, seen: &mut u64) {
    match link.wait_for(|link| link.losses != *seen).await.map(|link| link.losses) {
        Ok(losses) => *seen = losses,
        // The agent ends.
        Err(_) => std::future::pending().await,
    }
}

async fn next(running: &mut Option<Running>) -> Option<Progress> {
    match running {
        Some(running) => running.progress.recv().await,
        None => None,
    }
}

/// Returns when all who asked have gone: the cloud takes the stream for refused, or is gone.
async fn abandoned(waiting: &mut [(Answer, Instant)]) {
    if waiting.is_empty() {
        std::future::pending().await
    }
    for (answer, _) in waiting {
        answer.closed().await;
    }
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// The clock of the rules is tokio's, so that tests can pause it.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}

#[cfg(test)]
#[path = "task_tests.rs"]
mod tests;
