//! The recording of a channel, and the task that owns it. One session records at a time, while
//! earlier ones may still be uploading. The task alone shows which session records and what each
//! session counts. It shares the channel's streams with the live stream, and neither task ever
//! waits for the other.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use futures::future::BoxFuture;
use ivt_base::secret::Secret;
use ivt_base::task::work;
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
use crate::deadlines::RECORDING_START;
use crate::http::address::Address;
use crate::record::budget::Share;
use crate::record::context::RecordingContext;
use crate::record::service::Service;
use crate::record::session::{self, Session, Ties};
use crate::shutdown::Stop;

/// How many sessions are remembered, so that one that goes on records nothing twice.
const REMEMBERED: usize = 16;

/// What the recording of a channel is made of.
pub(super) struct RecordingSetup {
    /// Number of the channel.
    pub(super) number: usize,
    pub(super) encoder: Arc<dyn Encoder>,
    pub(super) streams: Arc<Streams>,
    pub(super) context: RecordingContext,
    pub(super) link: watch::Receiver<Link>,
}

/// Sends requests to the task of the recording, and reads what the task shows.
#[derive(Clone)]
pub(super) struct RecordingHandle {
    requests: mpsc::Sender<Request>,
    recordings: watch::Receiver<Recordings>,
}

/// A request to the task of the recording.
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

    /// A handle whose requests a test serves.
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
    /// The tasks of the sessions; each runs until its uploads have ended.
    work: JoinSet<()>,
    recordings: watch::Sender<Recordings>,
    /// Until when each of the newest sessions has recorded.
    recorded: VecDeque<(String, watch::Receiver<Option<std::time::Instant>>)>,
}

/// A session that is being prepared.
struct Starting {
    session_id: String,
    callback: Secret<Address>,
    ready: BoxFuture<'static, Result<Session, Refusal>>,
    waiting: Vec<Answer>,
}

/// The session that records. Dropping it ends the recording, but not the upload of what was
/// recorded.
struct Current {
    session_id: String,
    share: Arc<Share>,
    callback: Secret<Address>,
    service: watch::Sender<(Service, Secret)>,
    _stop: oneshot::Sender<Infallible>,
}

impl RecordingSetup {
    /// The recording service at this address.
    fn service(&self, callback: &Secret<Address>) -> (Service, Secret) {
        let address = callback.expose().as_ref().to_owned().into();
        (Service::new(self.context.http.clone(), callback.clone()), address)
    }
}

impl RecordingTask {
    pub(super) fn new(setup: RecordingSetup) -> (Self, RecordingHandle) {
        let (requests, inbox) = mpsc::channel(REQUESTS);
        let recordings = watch::Sender::default();
        let handle = RecordingHandle { requests, recordings: recordings.subscribe() };
        let work = JoinSet::new();
        let (starting, current, recorded) = (None, None, VecDeque::new());
        (Self { setup, inbox, starting, current, work, recordings, recorded }, handle)
    }

    /// Serves until `stop` is requested, then waits for the sessions, which save what they can in
    /// the time that an agent has to end.
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
            // The receiver of the answer is gone, with the connection the request came over.
            Request::Record(_, answer) if answer.is_closed() => {}
            Request::Record(ask, answer) => self.record(*ask, answer),
            Request::Stop(session_id, done) => {
                dismiss(self.starting.take_if(|starting| starting.session_id == session_id));
                if self.current.take_if(|current| current.session_id == session_id).is_some() {
                    self.log(&session_id, "ends: the cloud asked for it");
                }
                // The receiver may be gone, if its connection is.
                done.send(()).ok();
            }
        }
    }

    fn record(&mut self, ask: RecordRequest, answer: Answer) {
        let session_id = ask.order.session_id.clone();
        let callback = ask.order.callback.clone();
        if let Some(current) = self.current.as_mut().filter(|c| c.session_id == session_id) {
            if current.callback != callback {
                current.service.send_replace(self.setup.service(&callback));
                current.callback = callback;
                self.log(&session_id, "goes on with another cbk_url");
            }
            // A session that was to replace the current one is not wanted any more.
            dismiss(self.starting.take());
            answer.send(Ok(())).ok();
            return;
        }
        if let Some(starting) = self.starting.as_mut().filter(|s| s.session_id == session_id) {
            starting.waiting.push(answer);
            starting.callback = callback;
            return;
        }
        // A newer request wins over a session that is being prepared, whose cloud connection is
        // lost. Dropping that session frees its memory before the new one asks for some.
        dismiss(self.starting.take());
        let ready = Box::pin(self.prepare(ask));
        self.starting = Some(Starting { session_id, callback, ready, waiting: vec![answer] });
    }

    /// Checks what must be true before a session may begin. The current session goes on meanwhile.
    fn prepare(
        &self,
        ask: RecordRequest,
    ) -> impl Future<Output = Result<Session, Refusal>> + Send + 'static {
        let RecordingSetup { number, encoder, streams, context, .. } = &self.setup;
        let instead = self.current.as_ref().map(|current| &*current.share);
        let share = context.budget.share(ask.order.memory(context.spool_mode), instead);
        let pull = Arc::clone(streams.of(ask.stream));
        let (number, encoder, context) = (*number, Arc::clone(encoder), context.clone());
        let until = Instant::now() + RECORDING_START;
        async move {
            let share = share.map_err(|e| Refusal::Memory { reason: e.to_string() })?;
            // Opening the spool comes before reading, since a ring may be too short to wait for it.
            let spool = context.spool().await;
            // Reading begins before the bit rate is measured, so that no frame is missed meanwhile.
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

    /// Starts a session that is ready, or answers with the reason why it cannot record.
    fn begun(&mut self, begun: Starting, ready: Result<Session, Refusal>, stop: &Stop) {
        // If no request waits any more, the cloud counts the session as refused, or is gone.
        let wanted = begun.waiting.iter().any(|answer| !answer.is_closed());
        let outcome = ready.map(|mut session| {
            if wanted {
                session.order.callback = begun.callback;
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
        let callback = session.order.callback.clone();
        let service = watch::Sender::new(self.setup.service(&callback));
        // What an earlier part of the session has is not recorded again.
        let earlier = self.recorded.iter().position(|(recorded, _)| *recorded == session_id);
        let earlier = earlier.and_then(|at| self.recorded.remove(at));
        let ties = Ties {
            service: service.subscribe(),
            earlier: earlier.map(|(_, through)| through),
            through: watch::Sender::default(),
        };
        self.recorded.push_back((session_id.clone(), ties.through.subscribe()));
        if self.recorded.len() > REMEMBERED {
            self.recorded.pop_front();
        }
        let mut begun = None;
        self.recordings.send_modify(|recordings| {
            begun = Some(recordings.begin(&session_id, session.stats.subscribe()));
        });
        let (end, before) = begun.unzip();
        // The cloud may stop a session and continue it while its first part is still being
        // uploaded.
        let before = async move {
            if let Some(before) = before.flatten() {
                before.reached().await;
            }
        };
        self.work.spawn(work(async move {
            session::run(session, ties, before, stopped, stop).await;
            drop(end);
        }));
        self.current = Some(Current { session_id, share, callback, service, _stop: sender });
    }

    fn show(&self) {
        let current = self.current.as_ref().map(|current| current.session_id.as_str());
        self.recordings.send_if_modified(|shown| shown.update(current));
    }

    fn log(&self, session_id: &str, what: &str) {
        log::info!("channel {}: recording {session_id:?} {what}", self.setup.number);
    }
}

/// Returns once the camera sends, or has failed.
async fn arrives(pull: &Pull) -> Result<(), Refusal> {
    let mut camera = pull.state();
    loop {
        let state = camera.borrow_and_update().clone();
        match Refusal::of_camera(&state) {
            Some(refusal) => return Err(refusal),
            None if matches!(state, PullState::Live) => return Ok(()),
            // The sender lives in `pull`, so waiting does not fail.
            None => camera.changed().await.ok(),
        };
    }
}

async fn begin(starting: &mut Option<Starting>) -> (Starting, Result<Session, Refusal>) {
    let Some(begun) = starting else { return std::future::pending().await };
    let ready = (&mut begun.ready).await;
    // Nothing else takes `starting` while this future waits.
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
