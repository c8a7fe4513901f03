//! The session with the cloud: dials, serves the connection, and dials again for ever.

pub mod calls;
pub mod dial;
#[cfg(feature = "ui")]
mod fault;
mod goodbye;
#[cfg(feature = "ui")]
pub(crate) mod hold;
mod link;
pub mod login;
#[cfg(feature = "ui")]
pub mod progress;
pub mod reconnect;
pub mod status;
#[cfg(feature = "ui")]
pub(crate) mod trial;
mod upgrade;

use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "ui")]
use futures::FutureExt as _;
use futures::future::join;
use ivt_base::mask::mask;
use ivt_proto::rpc::Options;
use rand::rngs::StdRng;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::channel::Link;
use crate::dispatch::Dispatch;
use crate::shutdown::Stop;
#[cfg(feature = "ui")]
use crate::trace::{Peer, trace};
use calls::CallQueue;
use dial::{Dial, DialError};
use goodbye::Meaning;
use link::Reason;
use reconnect::{Outcome, Reconnect};
use status::KeepaliveSource;

/// How long the first Keepalive may wait until every camera was asked whether it is there.
const FIRST_LOOK: Duration = Duration::from_millis(500);

/// What the connection to the cloud is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloudState {
    /// No cloud is configured yet.
    Off,
    /// The agent is dialling the cloud.
    Dialling,
    /// The agent is logged in.
    Online,
    /// The agent waits for its next attempt.
    Waiting {
        /// When the next attempt begins.
        until: Instant,
        /// Whether the cloud refuses our login.
        wrong_login: bool,
    },
}

/// Keeps the device connected to its cloud.
pub struct Cloud {
    /// Makes the connections; `None` while no cloud is configured.
    pub dial: Option<Arc<dyn Dial>>,
    /// How lenient the link is.
    pub rules: Options,
    /// Serves the cloud's requests and events.
    pub dispatch: Dispatch,
    /// Makes the Keepalives, which tell how the channels are.
    pub keepalives: KeepaliveSource,
    /// The queue of calls from the device to the cloud.
    pub calls: CallQueue,
    /// Where the state of the connection is shown.
    pub state: watch::Sender<CloudState>,
    /// Where it is shown how the last attempt or connection ended; `None` before the first end.
    pub ended: watch::Sender<Option<Arc<str>>>,
    /// Where each connection is told of, for the channels to watch.
    pub link: watch::Sender<Link>,
    /// Where it is shown how far the attempts get.
    #[cfg(feature = "ui")]
    pub progress: progress::Progress,
    /// Whether the agent has to stay away for a while.
    #[cfg(feature = "ui")]
    pub(crate) hold: hold::Hold,
    /// Source of the random delays that spread the attempts of many devices.
    pub rng: StdRng,
}

impl Cloud {
    /// Runs until `stop` becomes true.
    pub async fn run(mut self, mut stop: Stop) {
        let mut reconnect = Reconnect::default();
        let mut stopped = stop.twin();
        #[cfg(feature = "ui")]
        {
            stop = stop.or_held(self.hold.seen());
        }
        let Some(dial) = self.dial.clone() else {
            self.state.send_replace(CloudState::Off);
            return stopped.requested().await;
        };
        loop {
            self.state.send_replace(CloudState::Dialling);
            #[cfg(feature = "ui")]
            tokio::select! {
                () = self.hold.lifted() => {}
                () = stopped.requested() => return,
            }
            let attempt = join(dial.dial(), self.keepalives.settled(FIRST_LOOK));
            #[cfg(feature = "ui")]
            let attempt = self.hold.cut(attempt);
            let dialled = tokio::select! {
                dialled = attempt => dialled,
                () = stopped.requested() => return,
            };
            #[cfg(feature = "ui")]
            let Some(dialled) = dialled else { continue };
            let (dialled, ()) = dialled;
            let (outcome, reason) = match dialled {
                Ok(socket) => {
                    log::info!("logged in to the cloud");
                    #[cfg(feature = "ui")]
                    trace().note(Peer::Cloud, "logged in");
                    #[cfg(feature = "ui")]
                    self.progress.online();
                    self.state.send_replace(CloudState::Online);
                    self.link.send_modify(|link| link.down_since = None);
                    let Self { rules, dispatch, keepalives, calls, .. } = &self;
                    let ended =
                        link::run(socket, *rules, dispatch, keepalives, calls, &mut stop).await;
                    self.link.send_modify(|link| {
                        *link = Link { losses: link.losses + 1, ..Link::down() };
                    });
                    let healthy = ended.healthy_since.map(|since| since.elapsed());
                    #[cfg(feature = "ui")]
                    {
                        let said = mask(&ended.reason.to_string());
                        let fault = fault::of_link(&ended.reason, healthy.is_some());
                        self.progress.ended(fault, &said);
                    }
                    match ended.reason {
                        #[cfg(feature = "ui")]
                        Reason::Stopped if stopped.requested().now_or_never().is_none() => continue,
                        Reason::Stopped => return,
                        reason => (outcome(&reason, healthy), reason.to_string()),
                    }
                }
                Err(e) => {
                    #[cfg(feature = "ui")]
                    {
                        let fault = fault::of_dial(&e, self.progress.step());
                        self.progress.ended(fault, &mask(&e.to_string()));
                    }
                    (unreached(&e), e.to_string())
                }
            };
            let reason = mask(&reason);
            #[cfg(feature = "ui")]
            trace().note(Peer::Cloud, &reason);
            self.ended.send_replace(Some(reason.as_str().into()));
            let retry = reconnect.after(outcome, &mut self.rng);
            let seconds = retry.delay.as_secs_f64();
            if retry.wrong_login {
                log::error!(
                    "the cloud does not take our login ({reason}): check cloud.login_code, \
                     cloud.login_passwd and cloud.url; next try in {seconds:.0} s"
                );
            } else {
                log::warn!("no connection to the cloud: {reason}; next try in {seconds:.1} s");
            }
            let until = Instant::now() + retry.delay;
            self.state.send_replace(CloudState::Waiting { until, wrong_login: retry.wrong_login });
            tokio::select! {
                () = sleep(retry.delay) => {}
                () = stopped.requested() => return,
            }
        }
    }
}

fn unreached(error: &DialError) -> Outcome {
    match error {
        DialError::Refused { .. } => Outcome::Refused,
        DialError::Busy { wait, .. } => Outcome::Busy { wait: wait.unwrap_or_default() },
        _ => Outcome::Unreachable,
    }
}

fn outcome(reason: &Reason, healthy: Option<Duration>) -> Outcome {
    let lost = Outcome::Lost { healthy: healthy.unwrap_or_default() };
    let early = if healthy.is_none() { Outcome::ClosedEarly } else { lost };
    match reason {
        Reason::Closed => early,
        Reason::ClosedWith(goodbye) => match goodbye.meaning() {
            Meaning::Duplicate | Meaning::Overload => Outcome::Dismissed,
            Meaning::Refused => Outcome::Refused,
            Meaning::OwnFault => lost,
            Meaning::Other => early,
        },
        _ => lost,
    }
}

#[cfg(test)]
mod tests;
