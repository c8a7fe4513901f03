//! What the device's page may look at and touch of a running agent.

use std::sync::Arc;

use tokio::sync::watch;

use crate::alarm;
use crate::channel::{Handle, Link};
use crate::cloud::hold::Hold;
use crate::config::Config;
use crate::dispatch::{Clocks, ConstantPublishes, WifiChanges};
#[cfg(feature = "update")]
use crate::firmware::Upgrades;
use crate::overview::Overview;
use crate::ptz::Remote;
use crate::record::book::Book;
use crate::reload::CurrentDevice;
use crate::state::StateStore;
use crate::tls::TrustStore;
use crate::view::View;

/// A running agent, as its page knows it. It is exchanged when the agent is started anew.
#[derive(Clone)]
pub(crate) struct Console {
    /// The configuration that the agent was started by.
    pub(crate) config: Config,
    /// Keeps the agent away from its cloud while its login is tried.
    pub(crate) hold: Hold,
    /// What can be seen of the agent.
    pub(crate) view: View,
    /// How the agent is, hop by hop.
    pub(crate) overview: Overview,
    /// The cameras, as they are configured at the moment.
    pub(crate) device: CurrentDevice,
    /// The channels' tasks, by number.
    pub(crate) channels: Vec<Handle>,
    /// What moves the cameras, by number.
    pub(crate) remotes: Vec<Remote>,
    /// The list of constant publishes.
    pub(crate) publishes: ConstantPublishes,
    /// What is set up of the cameras' alarms.
    pub(crate) arming: alarm::Settings,
    /// What was recorded of late.
    pub(crate) book: Book,
    /// Changes of wireless networks, on trial.
    pub(crate) wifi: WifiChanges,
    /// The cameras' clocks.
    pub(crate) clocks: Arc<Clocks>,
    /// Asks for an upgrade; `None` where the device can take none.
    #[cfg(feature = "update")]
    pub(crate) upgrades: Option<Upgrades>,
    /// Whether the cloud is there.
    pub(crate) link: watch::Receiver<Link>,
    /// What outlasts a restart.
    pub(crate) store: StateStore,
    /// The authorities that are trusted.
    pub(crate) trust: TrustStore,
}
