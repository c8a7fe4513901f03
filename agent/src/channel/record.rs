//! The recording side of a channel: one session at a time. It shares the channel's pulls and its
//! status, and nothing else: neither side ever waits for the other.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use ivt_hal::{Encoder, Kind};
use ivt_media::hub::Start;
use ivt_media::pull::{Pull, PullState};
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{Answer, Feeds, Link, RecordAsk, Refusal, Status, bitrate, nothing};
use crate::record::budget::Share;
use crate::record::context::RecordingContext;
use crate::record::session::{self, Session};
use crate::shutdown::Stop;

/// The cloud has its answer in time, whatever the camera does.
const START: Duration = Duration::from_secs(9);

/// What the channel's task is asked.
pub(super) enum Command {
    Record(Box<RecordAsk>, Answer),
    Stop(String, oneshot::Sender<()>),
}

/// One channel's recordings.
pub(super) struct Recording {
    pub(super) number: usize,
    pub(super) encoder: Arc<dyn Encoder>,
    pub(super) feeds: Arc<Feeds>,
    pub(super) means: RecordingContext,
    pub(super) link: watch::Receiver<Link>,
    pub(super) status: watch::Sender<Status>,
    pub(super) inbox: mpsc::Receiver<Command>,
}

/// A session that is to begin.
struct Starting {
    session_id: String,
    ready: BoxFuture<'static, Result<Session, Refusal>>,
    waiting: Vec<Answer>,
}

/// Sessions whose uploads have not ended, and how that is told.
type Uploading = Vec<(String, oneshot::Receiver<Infallible>)>;

/// The session that records. Dropping it ends the recording, not the upload of what it left.
struct Current {
    session_id: String,
    share: Arc<Share>,
    _stop: oneshot::Sender<Infallible>,
}

impl Recording {
    /// Serves until `stop` is requested, then saves what it can within the time that an agent has
    /// to end.
    pub(super) async fn run(mut self, mut stop: Stop) {
        let (mut starting, mut current) = (None, None);
        let (mut work, mut uploading) = (JoinSet::new(), Uploading::new());
        loop {
            self.report(current.as_ref());
            tokio::select! {
                biased;
                () = stop.requested() => break,
                Some(command) = self.inbox.recv() => match command {
                    // Whoever asked is gone, with the connection it was asked over.
                    Command::Record(_, answer) if answer.is_closed() => {}
                    Command::Record(ask, answer) => {
                        self.record(*ask, answer, &mut starting, current.as_ref());
                    }
                    Command::Stop(session_id, done) => {
                        dismiss(starting.take_if(|s: &mut Starting| s.session_id == session_id));
                        if current.take_if(|c: &mut Current| c.session_id == session_id).is_some() {
                            self.log(&session_id, "ends: the cloud asked for it");
                        }
                        // Whoever asked may be gone.
                        done.send(()).ok();
                    }
                },
                (begun, ready) = begin(&mut starting) => {
                    // Otherwise the cloud takes it for refused, or is gone.
                    let wanted = begun.waiting.iter().any(|answer| !answer.is_closed());
                    let outcome = ready.map(|session| if wanted {
                        let id = begun.session_id;
                        current = Some(self.start(id, session, &stop, &mut work, &mut uploading));
                    });
                    for answer in begun.waiting {
                        answer.send(outcome.clone()).ok();
                    }
                }
                () = away(&mut self.link, self.means.disconnect), if current.is_some() => {
                    if let Some(ended) = current.take() {
                        self.log(&ended.session_id, "ends: the cloud stays away");
                    }
                }
                Some(_) = work.join_next() => {
                    uploading.retain_mut(|(_, end)| matches!(end.try_recv(), Err(TryRecvError::Empty)));
                }
            }
        }
        drop((starting, current.take()));
        self.report(None);
        while work.join_next().await.is_some() {}
    }

    fn record(
        &self,
        ask: RecordAsk,
        answer: Answer,
        starting: &mut Option<Starting>,
        current: Option<&Current>,
    ) {
        if current.is_some_and(|current| current.session_id == ask.order.session_id) {
            // What was to take over from it is not wanted any more.
            dismiss(starting.take());
            answer.send(Ok(())).ok();
            return;
        }
        if let Some(starting) = starting.as_mut().filter(|s| s.session_id == ask.order.session_id) {
            starting.waiting.push(answer);
            return;
        }
        // The newest wins; whoever asked for the one before it has lost the connection. That one's
        // memory is free before the new one asks for some.
        dismiss(starting.take());
        let session_id = ask.order.session_id.clone();
        let ready = Box::pin(self.prepare(ask, current.map(|current| &*current.share)));
        *starting = Some(Starting { session_id, ready, waiting: vec![answer] });
    }

    /// What must be true before a session may begin. The one before goes on meanwhile.
    fn prepare(
        &self,
        ask: RecordAsk,
        instead: Option<&Share>,
    ) -> impl Future<Output = Result<Session, Refusal>> + Send + 'static {
        let share = self.means.budget.share(ask.order.memory(self.means.spool_mode), instead);
        let pull = Arc::clone(self.feeds.of(ask.stream));
        let (encoder, means, number) = (Arc::clone(&self.encoder), self.means.clone(), self.number);
        let until = Instant::now() + START;
        async move {
            let share = share.map_err(|e| Refusal::Memory { reason: e.to_string() })?;
            // Before anything is read: a ring may be short.
            let spool = means.spool().await;
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
            let camera = pull.state();
            Ok(Session {
                channel: number,
                order: ask.order,
                input,
                camera,
                spool,
                share: Arc::new(share),
                context: means,
                stats: watch::Sender::default(),
            })
        }
    }

    fn start(
        &self,
        session_id: String,
        session: Session,
        stop: &Stop,
        work: &mut JoinSet<()>,
        uploading: &mut Uploading,
    ) -> Current {
        self.log(&session_id, "begins");
        let share = Arc::clone(&session.share);
        let (sender, stopped) = oneshot::channel();
        // The cloud may stop a session and go on with it while it is still being uploaded.
        let before = uploading.iter().position(|(id, _)| *id == session_id);
        let before = before.map(|before| uploading.swap_remove(before).1);
        let before = async move {
            if let Some(ended) = before {
                ended.await.ok();
            }
        };
        let (end, ended) = oneshot::channel();
        uploading.push((session_id.clone(), ended));
        let stop = stop.clone();
        work.spawn(async move {
            session::run(session, before, stopped, stop).await;
            drop(end);
        });
        Current { session_id, share, _stop: sender }
    }

    fn report(&self, current: Option<&Current>) {
        let recording = current.map(|current| &current.session_id);
        self.status.send_if_modified(|status| {
            let changed = status.recording.as_ref() != recording;
            if changed {
                status.recording = recording.cloned();
            }
            changed
        });
    }

    fn log(&self, session_id: &str, what: &str) {
        log::info!("channel {}: recording {session_id:?} {what}", self.number);
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
    // It was there a line ago, and nobody else has it.
    let Some(begun) = starting.take() else { return std::future::pending().await };
    (begun, ready)
}

fn dismiss(starting: Option<Starting>) {
    for answer in starting.into_iter().flat_map(|starting| starting.waiting) {
        answer.send(Err(Refusal::Stopped)).ok();
    }
}

/// Returns when the cloud was away for `patience`; never without one.
async fn away(link: &mut watch::Receiver<Link>, patience: Option<Duration>) {
    let Some(patience) = patience else { return std::future::pending().await };
    loop {
        let down_since = link.borrow_and_update().down_since;
        let over = async {
            match down_since {
                Some(since) => sleep_until(since + patience).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = over => return,
            Ok(()) = link.changed() => {}
            // The agent ends.
            else => std::future::pending().await,
        }
    }
}
