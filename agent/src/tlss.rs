//! The hosted service (TLSS): calls a server once in an interval, and runs the camera's CGI commands for
//! the server, as far as a [`policy`] allows.
//!
//! Not here: the wire's rules, see `ivt_proto::tlss`; the camera's web server, see `ivt_hal::http`.

mod audit;
mod builtin_cgi;
pub mod connector;
mod dress;
#[cfg(test)]
mod fake;
pub mod policy;
mod reply;
mod responder;
mod schedule;
mod session;
mod setup;
#[cfg(feature = "ui")]
pub(crate) mod trial;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ivt_base::told::Told;
use ivt_hal::{Cgi, Snapshot};
use ivt_proto::tlss::IdentityError;
use rand::rngs::StdRng;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

pub use audit::{Answered, Audit, Entry};
pub use setup::SetupError;

use crate::config;
use crate::shutdown::Stop;
use crate::tls::TrustStore;
#[cfg(feature = "ui")]
use crate::trace::{Peer, trace};
use connector::{Connector, TcpConnector};
use policy::{Profile, UnknownGroup};
use responder::Responder;
use schedule::{Outcome, Schedule};

/// Time between two searches for a network interface with a hardware address.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// The settings of the hosted service, checked and complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The section `tlss` of the configuration.
    pub config: config::Tlss,
    /// The commands that the server may ask for.
    pub profile: Profile,
}

/// The camera that the commands are for.
#[derive(Clone, Default)]
pub struct Camera {
    /// The camera's own web server. Without one the agent answers what it can.
    pub cgi: Option<Arc<dyn Cgi>>,
    /// The pictures of each channel, for a device without a web server of its own.
    pub snapshots: Vec<Option<Arc<dyn Snapshot>>>,
}

impl Camera {
    /// Whether another camera can do the same, whichever it is.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let pictures =
            |camera: &Self| camera.snapshots.iter().map(Option::is_some).collect::<Vec<_>>();
        self.cgi.is_some() == other.cgi.is_some() && pictures(self) == pictures(other)
    }
}

/// Why settings cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Brand or model has characters that the protocol cannot carry.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A write group that the profile does not have.
    #[error(transparent)]
    Group(#[from] UnknownGroup),
}

/// What the hosted service is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostedState {
    /// A connection is being made.
    Dialling,
    /// The server may give commands.
    InSession,
    /// The time between two calls.
    Waiting {
        /// When the next call is due.
        until: Instant,
        /// How the last call ended, in words.
        last: String,
        /// Whether the server gave commands or had none to give, and every command could be read.
        #[cfg(feature = "ui")]
        served: bool,
    },
}

/// Keeps calling the server.
pub struct Tlss {
    connector: Arc<dyn Connector>,
    responder: Responder,
    schedule: Schedule,
    rng: StdRng,
    state: watch::Sender<HostedState>,
    /// The folder that lists the network interfaces; `None` once the hardware address is known.
    interfaces: Option<PathBuf>,
}

impl Tlss {
    /// A service that calls over TCP or TLS once it is run. `rng` spreads the calls of many devices.
    ///
    /// # Errors
    /// When the settings cannot be used, see [`check`](Self::check).
    pub fn new(
        settings: Settings,
        camera: Camera,
        trust: TrustStore,
        rng: StdRng,
    ) -> Result<Self, SettingsError> {
        let config = &settings.config;
        let connector = TcpConnector::new(&config.server, config.port, config.tls.then_some(trust));
        Self::with_connector(settings, camera, Arc::new(connector), rng)
    }

    /// Whether these settings can be used. Talks to nobody.
    ///
    /// # Errors
    /// When brand or model cannot be sent, or when the profile lacks a write group.
    pub fn check(settings: Settings) -> Result<(), SettingsError> {
        settings.checked().map(|_| ())
    }

    /// A service that reaches the server through `connector` in place of the address of the settings.
    ///
    /// # Errors
    /// When the settings cannot be used, see [`check`](Self::check).
    pub fn with_connector(
        settings: Settings,
        camera: Camera,
        connector: Arc<dyn Connector>,
        rng: StdRng,
    ) -> Result<Self, SettingsError> {
        let config::Tlss { mac, interval, reply_limit, .. } = settings.config;
        let (policy, identity) = settings.checked()?;
        Ok(Self {
            connector,
            responder: Responder::new(policy, camera, identity, reply_limit),
            schedule: Schedule::new(interval),
            rng,
            state: watch::Sender::new(HostedState::Dialling),
            interfaces: mac.is_none().then(|| setup::INTERFACES.into()),
        })
    }

    /// Enters its commands into an audit log that is there already.
    pub(crate) fn with_audit(mut self, audit: Audit) -> Self {
        self.responder.audit = audit;
        self
    }

    /// The newest commands and what became of them.
    pub fn audit(&self) -> Audit {
        self.responder.audit.clone()
    }

    /// What the service is doing.
    pub fn state(&self) -> watch::Receiver<HostedState> {
        self.state.subscribe()
    }

    /// Runs until `stop` is requested. The first call is made as soon as the device's address is known.
    pub async fn run(mut self, mut stop: Stop) {
        tokio::select! {
            () = self.learn_address() => {}
            () = stop.requested() => return,
        }
        let mut trouble = Told::default();
        loop {
            let called = tokio::select! {
                called = self.call() => called,
                () = stop.requested() => return,
            };
            tell(&mut trouble, &called);
            let delay = self.schedule.after(called.outcome, &mut self.rng);
            log::debug!("TLSS: {}; next call in {:.1} s", called.said, delay.as_secs_f64());
            let until = Instant::now() + delay;
            self.state.send_replace(HostedState::Waiting {
                until,
                last: called.said,
                #[cfg(feature = "ui")]
                served: called.served,
            });
            tokio::select! {
                () = sleep(delay) => {}
                () = stop.requested() => return,
            }
        }
    }

    /// Waits for an interface with a hardware address: on some devices one comes up late.
    async fn learn_address(&mut self) {
        const NONE: &str = "no network interface tells its hardware address";
        let Some(interfaces) = self.interfaces.take() else { return };
        let mut waiting = Told::default();
        let mac = loop {
            if let Some(mac) = setup::hardware_address(&interfaces) {
                break mac;
            }
            if waiting.is_news(()) {
                log::warn!("TLSS: {NONE}: waiting for one; or set tlss.mac");
            }
            let until = Instant::now() + LOOK_AGAIN;
            self.state.send_replace(HostedState::Waiting {
                until,
                last: NONE.to_owned(),
                #[cfg(feature = "ui")]
                served: false,
            });
            sleep(LOOK_AGAIN).await;
        };
        self.responder.set_mac(mac);
    }

    async fn call(&self) -> Called {
        self.state.send_replace(HostedState::Dialling);
        let connected = self.connector.connect().await;
        #[cfg(feature = "ui")]
        match &connected {
            Ok(_) => trace().note(Peer::Hosted, "connected"),
            Err(e) => trace().note(Peer::Hosted, &e.to_string()),
        }
        match connected {
            Ok(connection) => {
                self.state.send_replace(HostedState::InSession);
                let ended = session::run(connection, &self.responder).await;
                #[cfg(feature = "ui")]
                trace().note(Peer::Hosted, &ended.reason.to_string());
                let (outcome, served) = (ended.outcome(), ended.served());
                Called { outcome, served, said: ended.reason.to_string() }
            }
            Err(e) => Called { outcome: Outcome::Unreachable, served: false, said: e.to_string() },
        }
    }
}

struct Called {
    outcome: Outcome,
    /// The server gave commands or had none to give, and every command could be read.
    served: bool,
    /// How the call ended, in words.
    said: String,
}

/// Tells the log when the server begins or ceases to give commands: the same trouble once.
fn tell(trouble: &mut Told<String>, called: &Called) {
    if called.served {
        if trouble.is_over() {
            log::info!("TLSS: the server is back");
        }
    } else if trouble.is_news(called.said.clone()) {
        log::warn!("TLSS: the server gives no commands: {}", called.said);
    }
}

#[cfg(test)]
#[path = "tlss/tests.rs"]
mod tests;
