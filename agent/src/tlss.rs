//! The hosted service (TLSS): calls a server once in an interval, and runs the camera's CGI commands for
//! it, as far as a [`policy`] allows.
//!
//! Not here: the wire's rules, see `ivt_proto::tlss`; the camera's web server, see `ivt_hal::http`.

mod audit;
pub mod dial;
#[cfg(test)]
mod fake;
mod own;
pub mod policy;
mod reply;
mod responder;
mod schedule;
mod session;
mod setup;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ivt_hal::{Cgi, Snapshot};
use ivt_proto::tlss::IdentityError;
use rand::rngs::StdRng;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

pub use audit::{Answered, Audit, Entry};
pub use setup::SetupError;

use crate::config;
use crate::shutdown::Stop;
use crate::tls::Trust;
use dial::{Dial, TcpDial};
use policy::{Profile, UnknownGroup};
use responder::Responder;
use schedule::{Outcome, Schedule};

/// Between two looks for an interface that tells who the device is.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// What the hosted service works by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// As configured.
    pub config: config::Tlss,
    /// What the server may ask for.
    pub profile: Profile,
}

/// The camera that the commands are for.
#[derive(Clone, Default)]
pub struct Camera {
    /// Its own web server. Without one the agent answers what it can.
    pub cgi: Option<Arc<dyn Cgi>>,
    /// The pictures of each channel, for a device without a web server of its own.
    pub snapshots: Vec<Option<Arc<dyn Snapshot>>>,
}

/// Why settings cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Brand or model cannot be sent.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A write group that is none.
    #[error(transparent)]
    Group(#[from] UnknownGroup),
}

/// What the hosted service is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// A connection is being made.
    Dialling,
    /// The server may give commands.
    InSession,
    /// The next call is due at this moment.
    Waiting {
        /// When.
        until: Instant,
        /// How the last call ended.
        last: String,
    },
}

/// Keeps calling the server.
pub struct Tlss {
    dial: Arc<dyn Dial>,
    responder: Responder,
    schedule: Schedule,
    rng: StdRng,
    state: watch::Sender<State>,
    /// Where to look for the device's address, as long as it has none.
    interfaces: Option<PathBuf>,
}

impl Tlss {
    /// Connects when it is run. `rng` spreads the calls of many devices.
    pub fn new(
        settings: Settings,
        camera: Camera,
        trust: Trust,
        rng: StdRng,
    ) -> Result<Self, SettingsError> {
        let config = &settings.config;
        let dial = TcpDial::new(&config.server, config.port, config.tls.then_some(trust));
        Self::with_dial(settings, camera, Arc::new(dial), rng)
    }

    /// Whether these settings can be used. Talks to nobody.
    pub fn check(settings: Settings) -> Result<(), SettingsError> {
        settings.checked().map(|_| ())
    }

    /// With another way to the server than the settings'.
    pub fn with_dial(
        settings: Settings,
        camera: Camera,
        dial: Arc<dyn Dial>,
        rng: StdRng,
    ) -> Result<Self, SettingsError> {
        let config::Tlss { mac, interval, reply_limit, .. } = settings.config;
        let (policy, identity) = settings.checked()?;
        Ok(Self {
            dial,
            responder: Responder::new(policy, camera, identity, reply_limit),
            schedule: Schedule::new(interval),
            rng,
            state: watch::Sender::new(State::Dialling),
            interfaces: mac.is_none().then(|| setup::INTERFACES.into()),
        })
    }

    /// The newest commands and what became of them.
    pub fn audit(&self) -> Audit {
        self.responder.audit.clone()
    }

    /// What it is doing.
    pub fn state(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Runs until `stop` is requested. The first call is made as soon as the device's address is known.
    pub async fn run(mut self, mut stop: Stop) {
        tokio::select! {
            () = self.learn_address() => {}
            () = stop.requested() => return,
        }
        let mut trouble = None;
        loop {
            let called = tokio::select! {
                called = self.call() => called,
                () = stop.requested() => return,
            };
            tell(&mut trouble, &called);
            let delay = self.schedule.after(called.outcome, &mut self.rng);
            log::debug!("TLSS: {}; next call in {:.1} s", called.said, delay.as_secs_f64());
            let until = Instant::now() + delay;
            self.state.send_replace(State::Waiting { until, last: called.said });
            tokio::select! {
                () = sleep(delay) => {}
                () = stop.requested() => return,
            }
        }
    }

    /// Interfaces come up late on some devices, and nobody has to restart us for that.
    async fn learn_address(&mut self) {
        const NONE: &str = "no network interface tells its hardware address";
        let Some(interfaces) = self.interfaces.take() else { return };
        let mut warned = false;
        let mac = loop {
            if let Some(mac) = setup::hardware_address(&interfaces) {
                break mac;
            }
            if !std::mem::replace(&mut warned, true) {
                log::warn!("TLSS: {NONE}: waiting for one; or set tlss.mac");
            }
            let until = Instant::now() + LOOK_AGAIN;
            self.state.send_replace(State::Waiting { until, last: NONE.to_owned() });
            sleep(LOOK_AGAIN).await;
        };
        self.responder.rename(mac);
    }

    async fn call(&self) -> Called {
        self.state.send_replace(State::Dialling);
        match self.dial.dial().await {
            Ok(line) => {
                self.state.send_replace(State::InSession);
                let ended = session::run(line, &self.responder).await;
                let (outcome, served) = (ended.outcome(), ended.served());
                Called { outcome, served, said: ended.reason.to_string() }
            }
            Err(e) => Called { outcome: Outcome::Unreachable, served: false, said: e.to_string() },
        }
    }
}

struct Called {
    outcome: Outcome,
    /// The server gave commands, or had none to give, and none that could not be read.
    served: bool,
    said: String,
}

/// Tells the log of changes: the same trouble is said once.
fn tell(trouble: &mut Option<String>, called: &Called) {
    if called.served {
        if trouble.take().is_some() {
            log::info!("TLSS: the server is back");
        }
    } else if trouble.as_ref() != Some(&called.said) {
        log::warn!("TLSS: the server gives no commands: {}", called.said);
        *trouble = Some(called.said.clone());
    }
}

#[cfg(test)]
#[path = "tlss/tests.rs"]
mod tests;
