//! The recording of a channel, and the task that owns it: one session records at a time, while those
//! before it may still be uploading. Shows the session that records and what each session counts;
//! nobody else writes either. Shares the channel's streams with the live stream, and nothing else:
//! neither task ever waits for the other.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use ivt_hal::{Encoder, Kind};
use ivt_media::hub::Start;
use ivt_media::pull::{Pull, PullState};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::bitrate;
use super::link::{self, Link};
use super::recordings::Recordings;
use super::request::{self, Answer, REQUESTS, RecordRequest, Refusal, nothing};
use super::streams::Streams;
use crate::record::budget::Share;
use crate::record::context::RecordingContext;
use crate::record::session::{self, Session};
use crate::shutdown::Stop;

/// The cloud has its answer in time, whatever the camera does.
const START: Duration = crate::deadlines::RECORDING_START;

/// What the recording of a channel is made of.
pub(super) struct RecordingSetup {
    /// Number of the channel.
    pub(super) number: usize,
    pub(super) encoder: Arc<dyn Encoder>,
    pub(super) streams: Arc<Streams>,
    pub(super) context: RecordingContext,
    pub(super) link: watch::Receiver<Link>,
}

/// Speaks to the task of the recording, and reads what that shows.
#[derive(Clone)]
pub(super) struct RecordingHandle {
    requests: mpsc::Sender<Request>,
    recordings: watch::Receiver<Recordings>,
}

/// What the task of the recording is asked.
pub(super) enum Request {
    Record(Box<RecordRequest>, Answer),
    Stop(String, oneshot::Sender<()>),
}

impl RecordingHandle {
    pub(super) async fn record(&self, ask: RecordRequest) -> Result<(), Refusal> {
        request::ask(&self.requests, |answer| Request::Record(Box::new(ask), answer)).await?
    }

    pub(super) async fn stop(&self, session_id: String) -> Result<(), Refusal> {
        request::ask(&self.requests, |done| Request::Stop(session_id, done)).await
    }

    pub(super) fn recordings(&self) -> watch::Receiver<Recordings> {
        self.recordings.clone()
    }

    /// A handle whose requests the test serves.
    #[cfg(test)]
    pub(super) fn unserved() -> (Self, mpsc::Receiver<Request>) {
        let (requests, inbox) = mpsc::channel(REQUESTS);
        (Self { requests, recordings: watch::channel(Recordings::default()).1 }, inbox)
    }
}

/// The task that owns the recording.
pub(super) struct RecordingTask {
    setup: RecordingSetup,
    inbox: mpsc::Receiver<Request>,
    starting: Option<Starting>,
    current: Option<Current>,
    /// The sessions, each until its uploads have ended.
    work: JoinSet<()>,
    recordings: watch::Sender<Recordings>,
}

/// A session that is to begin.
struct Starting {
    session_id: String,
    ready: BoxFuture<'static, Result<Session, Refusal>>,
    waiting: Vec<Answer>,
}

/// The session that records. Dropping it ends the recording, not the upload of what it left.
struct Current {
    session_id: String,
    share: Arc<Share>,
    _stop: oneshot::Sender<Infallible>,
}

impl RecordingTask {
    pub(super) fn new(setup: RecordingSetup) -> (Self, RecordingHandle) {
        let (requests, inbox) = mpsc::channel(REQUESTS);
        let recordings = watch::Sender::default();
        let handle = RecordingHandle { requests, recordings: recordings.subscribe() };
        let work = JoinSet::new();
        (Self { setup, inbox, starting: None, current: None, work, recordings }, handle)
    }

    /// Serves until `stop` is requested, then saves what it can within the time that an agent has
    /// to end.
    pub(super) async fn run(mut self, mut stop: Stop) {
        let patience = self.setup.context.disconnect;
        loop {
            self.show();
            tokio::select! {
                biased;
                () = stop.requested() => break,
                Some(request) = self.inbox.recv() => self.obey(request),
                (begun, ready) = begin(&mut self.starting) => self.begun(begun, ready, &stop),
                () = link::away(&mut self.setup.link, patience), if self.current.is_some() => {
                    if let Some(ended) = self.current.take() {
                        self.log(&ended.session_id, "ends: the cloud stays away");
                    }
                }
                Some(_) = self.work.join_next() => {}
            }
        }
        self.starting = None;
        self.current = None;
        self.show();
        while self.work.join_next().await.is_some() {}
    }

    fn obey(&mut self, request: Request) {
        match request {
            // Whoever asked is gone, with the connection it was asked over.
            Request::Record(_, answer) if answer.is_closed() => {}
            Request::Record(ask, answer) => self.record(*ask, answer),
            Request::Stop(session_id, done) => {
                dismiss(self.starting.take_if(|starting| starting.session_id == session_id));
                if self.current.take_if(|current| current.session_id == session_id).is_some() {
                    self.log(&session_id, "ends: the cloud asked for it");
                }
                // Whoever asked may be gone.
                done.send(()).ok();
            }
        }
    }

    fn record(&mut self, ask: RecordRequest, answer: Answer) {
        let session_id = ask.order.session_id.clone();
        if self.current.as_ref().is_some_and(|current| current.session_id == session_id) {
            // What was to take over from the current session is not wanted any more.
            dismiss(self.starting.take());
            answer.send(Ok(())).ok();
            return;
        }
        if let Some(starting) = self.starting.as_mut().filter(|s| s.session_id == session_id) {
            starting.waiting.push(answer);
            return;
        }
        // The newest wins; whoever asked for an earlier one has lost the connection. The memory of
        // that one is free before the new one asks for some.
        dismiss(self.starting.take());
        let ready = Box::pin(self.prepare(ask));
        self.starting = Some(Starting { session_id, ready, waiting: vec![answer] });
    }

    /// What must be true before a session may begin. The one before goes on meanwhile.
    fn prepare(
        &self,
        ask: RecordRequest,
    ) -> impl Future<Output = Result<Session, Refusal>> + Send + 'static {
        let RecordingSetup { number, encoder, streams, context, .. } = &self.setup;
        let instead = self.current.as_ref().map(|current| &*current.share);
        let share = context.budget.share(ask.order.memory(context.spool_mode), instead);
        let pull = Arc::clone(streams.of(ask.stream));
        let (number, encoder, context) = (*number, Arc::clone(encoder), context.clone());
        let until = Instant::now() + START;
        async move {
            let share = share.map_err(|e| Refusal::Memory { reason: e.to_string() })?;
            // Before anything is read: a ring may be short.
            let spool = context.spool().await;
            // Reading begins here, so that nothing is missed while the bit rate is measured.
            let input = pull.subscribe(Start::Back(ask.order.prerecord));
            let checked = async {
                if let Some(limit) = ask.max_bitrate {
                    bitrate::check(&*encoder, ask.stream, &pull, limit).await?;
                }
                arrives(&pull).await
            };
            let silent = |_| Refusal::Camera { kind: Kind::Timeout, reason: nothing(&pull) };
            timeout_at(until, checked).await.map_err(silent)??;
            Ok(Session {
                channel: number,
                order: ask.order,
                input,
                camera: pull.state(),
                spool,
                share: Arc::new(share),
                context,
                stats: watch::Sender::default(),
            })
        }
    }

    /// A session is ready to record, or is known not to be able to.
    fn begun(&mut self, begun: Starting, ready: Result<Session, Refusal>, stop: &Stop) {
        // Without anybody who waits, the cloud takes the session for refused, or is gone.
        let wanted = begun.waiting.iter().any(|answer| !answer.is_closed());
        let outcome = ready.map(|session| {
            if wanted {
                self.start(begun.session_id, session, stop.clone());
            }
        });
        for answer in begun.waiting {
            answer.send(outcome.clone()).ok();
        }
    }

    fn start(&mut self, session_id: String, session: Session, stop: Stop) {
        self.log(&session_id, "begins");
        let (sender, stopped) = oneshot::channel();
        let share = Arc::clone(&session.share);
        let mut begun = None;
        self.recordings.send_modify(|recordings| {
            begun = Some(recordings.begin(&session_id, session.stats.subscribe()));
        });
        let (end, before) = begun.unzip();
        // The cloud may stop a session and go on with it while it is still being uploaded.
        let before = async move {
            if let Some(before) = before.flatten() {
                before.reached().await;
            }
        };
        self.work.spawn(async move {
            session::run(session, before, stopped, stop).await;
            drop(end);
        });
        self.current = Some(Current { session_id, share, _stop: sender });
    }

    fn show(&self) {
        let current = self.current.as_ref().map(|current| current.session_id.as_str());
        self.recordings.send_if_modified(|shown| shown.update(current));
    }

    fn log(&self, session_id: &str, what: &str) {
        log::info!("channel {}: recording {session_id:?} {what}", self.setup.number);
    }
}

/// Returns once the camera sends, or is known not to.
async fn arrives(pull: &Pull) -> Result<(), Refusal> {
    let mut camera = pull.state();
    loop {
        let state = camera.borrow_and_update().clone();
        match Refusal::of_camera(&state) {
            Some(refusal) => return Err(refusal),
            None if matches!(state, PullState::Live) => return Ok(()),
            // The sender lives in the pull.
            None => camera.changed().await.ok(),
        };
    }
}

async fn begin(starting: &mut Option<Starting>) -> (Starting, Result<Session, Refusal>) {
    let Some(begun) = starting else { return std::future::pending().await };
    let ready = (&mut begun.ready).await;
    // Nobody else takes it while this waits.
    let Some(begun) = starting.take() else { return std::future::pending().await };
    (begun, ready)
}

fn dismiss(starting: Option<Starting>) {
    for answer in starting.into_iter().flat_map(|starting| starting.waiting) {
        answer.send(Err(Refusal::Stopped)).ok();
    }
}

#[cfg(test)]
#[path = "recording_tests.rs"]
mod tests;
