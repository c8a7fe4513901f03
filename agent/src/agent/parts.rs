//! The parts of an agent as it starts, one function for each room that has tasks of its own.

use ivt_base::address_rule::AddressRule;
use ivt_base::task::work;
use tokio::sync::watch;
use tokio::task::JoinSet;

#[cfg(feature = "alarms")]
use crate::alarm;
use crate::channel::{Handle, Link, Setup};
#[cfg(any(feature = "alarms", feature = "update"))]
use crate::cloud::calls::CallQueue;
#[cfg(feature = "update")]
use crate::cloud::status::KeepaliveSource;
use crate::config::Config;
#[cfg(feature = "update")]
use crate::firmware;
#[cfg(any(feature = "alarms", feature = "update"))]
use crate::http::Http;
#[cfg(feature = "alarms")]
use crate::preview::Previews;
use crate::ptz::{PtzTask, Remote};
use crate::record::context::RecordingContext;
use crate::reload::CurrentDevice;
use crate::shutdown::Stop;
#[cfg(any(feature = "alarms", feature = "update"))]
use crate::state::StateStore;
use crate::tls::TrustStore;

/// What the parts of an agent share as they start.
pub(super) struct Parts<'a> {
    pub(super) config: &'a Config,
    pub(super) device: &'a CurrentDevice,
    pub(super) trust: &'a TrustStore,
    pub(super) rule: &'a AddressRule,
    #[cfg(any(feature = "alarms", feature = "update"))]
    pub(super) http: &'a Http,
    #[cfg(any(feature = "alarms", feature = "update"))]
    pub(super) calls: &'a CallQueue,
    #[cfg(any(feature = "alarms", feature = "update"))]
    pub(super) store: &'a StateStore,
    /// Whether the cloud is there.
    pub(super) link: &'a watch::Sender<Link>,
    pub(super) stop: &'a Stop,
    /// The agent's tasks.
    pub(super) tasks: &'a mut JoinSet<()>,
}

impl Parts<'_> {
    /// Starts the streams and recordings of all channels.
    pub(super) fn channels(&mut self, context: &RecordingContext) -> Vec<Handle> {
        let config = self.config;
        let each = config.channels.iter().zip(&config.budget.rings).enumerate();
        let channels = each.map(|(number, (settings, ring))| {
            let setup = Setup {
                number,
                encoder: self.device.encoder(number),
                config: settings.clone(),
                ring_bytes: *ring,
                publish: config.publish.clone(),
                trust: self.trust.clone(),
                rule: self.rule.clone(),
                context: context.clone(),
                link: self.link.subscribe(),
                stop_with_link: config.cloud.stop_publish_on_disconnect,
            };
            setup.spawn(self.tasks, self.stop.clone())
        });
        channels.collect()
    }

    /// Starts what moves the cameras.
    pub(super) fn remotes(&mut self) -> Vec<Remote> {
        let remotes = (0..self.config.channels.len()).map(|number| {
            let (task, remote) = PtzTask::new(self.device.clone(), number, self.link.subscribe());
            let stop = self.stop.supervised(format_args!("movement of channel {number}"));
            self.tasks.spawn(work(task.run(stop)));
            remote
        });
        remotes.collect()
    }

    /// Starts what listens to the cameras' alarms and reports them.
    #[cfg(feature = "alarms")]
    pub(super) fn alarms(&mut self, channels: &[Handle]) -> (alarm::Settings, alarm::Desk) {
        let setup = alarm::Setup {
            config: &self.config.alarm,
            device: self.device,
            channels,
            calls: self.calls.calls(),
            http: self.http.clone(),
            store: self.store.clone(),
            #[cfg(feature = "ui")]
            is_shown: self.config.web.is_some(),
        };
        setup.spawn(self.tasks, self.stop)
    }

    /// Starts what keeps the firmware up to date, where the device can take one, and shows its work in the Keepalive.
    /// The rules change with the configuration.
    #[cfg(feature = "update")]
    pub(super) fn firmware(
        &mut self,
        channels: &[Handle],
        keepalives: KeepaliveSource,
        #[cfg(feature = "ui")] owner: crate::owner::Owner,
    ) -> (Option<firmware::Upgrades>, KeepaliveSource, watch::Sender<crate::config::Rules>) {
        let rules = watch::Sender::new(self.config.firmware.rules.clone());
        let upgrading = watch::Sender::new(false);
        let keepalives = keepalives.with_upgrades(upgrading.subscribe());
        let upgrades = self.config.firmware.place.is_some().then(|| {
            let setup = firmware::Setup {
                rules: rules.subscribe(),
                names: firmware::Names::of(self.config),
                http: self.http.clone(),
                calls: self.calls.calls(),
                link: self.link.subscribe(),
                channels: channels.iter().map(Handle::status).collect(),
                store: self.store.clone(),
                upgrading,
                patience: firmware::Patience::default(),
                #[cfg(feature = "ui")]
                owner,
            };
            let upgrades = firmware::Upgrades::default();
            let stop = self.stop.supervised(format_args!("firmware"));
            let place = firmware::place(self.config.firmware.clone());
            self.tasks.spawn(work(setup.run(place, upgrades.clone(), stop)));
            upgrades
        });
        (upgrades, keepalives, rules)
    }

    /// Starts what sends previews, where the configuration wants them.
    #[cfg(feature = "alarms")]
    pub(super) fn previews(&mut self) {
        if !self.config.cloud.preview {
            return;
        }
        let previews = Previews {
            device: self.device.clone(),
            calls: self.calls.calls(),
            http: self.http.clone(),
            link: self.link.subscribe(),
        };
        self.tasks.spawn(work(previews.run(self.stop.supervised(format_args!("previews")))));
    }
}
