//! A configuration that changes while the agent runs.

mod current;
pub(crate) mod hosted;

use std::future::pending;
use std::io;

use ivt_base::address_rule::AddressRule;
use ivt_hal::Stream;
use ivt_hal::rtsp::UrlError;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::{JoinSet, spawn_blocking};

pub(crate) use current::CurrentDevice;
pub(crate) use hosted::{Hosted, Seen};

use crate::addresses;
use crate::channel;
use crate::config::Config;
use crate::device;
use crate::logger;
use crate::settings::{self, Differences, Store};
use crate::tlss::Settings;

/// Reads the configuration again on SIGHUP.
pub struct Reload {
    store: Store,
    hangup: Signal,
}

impl Reload {
    /// Takes SIGHUP over from the system's default, which ends the process. Must be called within a
    /// runtime.
    ///
    /// # Errors
    /// The system refuses the handler.
    pub fn listen(store: Store) -> io::Result<Self> {
        Ok(Self { store, hangup: signal(SignalKind::hangup())? })
    }

    /// Returns once a configuration was read after SIGHUP, with the settings of its hosted service. A
    /// configuration that is refused is reported in the log and passed over.
    pub(crate) async fn next(&mut self) -> (Config, Option<Settings>) {
        loop {
            if self.hangup.recv().await.is_none() {
                pending().await
            }
            let store = self.store.clone();
            // Reading a slow disk on this thread would hold up the pictures.
            let read = move || {
                let (config, _) = store.read()?;
                let settings = hosted::settings(config.tlss.as_ref());
                Ok::<_, settings::Error>((config, settings))
            };
            match spawn_blocking(read).await {
                Ok(Ok(new)) => return new,
                Ok(Err(e)) => log::error!("SIGHUP: {e}; the settings stay as they were"),
                Err(e) => log::error!("SIGHUP: the configuration was not read: {e}"),
            }
        }
    }
}

/// The parts of a running agent that can change with its configuration.
pub(crate) struct Live {
    /// The configuration in force. Keys whose change needs a restart have their value from the
    /// start.
    pub(crate) running: Config,
    pub(crate) device: CurrentDevice,
    pub(crate) channels: Vec<channel::Handle>,
    pub(crate) hosted: Hosted,
    /// Which servers the cloud may name.
    pub(crate) rule: AddressRule,
}

impl Live {
    /// Applies what can change without a restart, and tells the log of that and of what needs a
    /// restart.
    /// `settings` are those of the hosted service of `new`, see [`hosted::settings`].
    pub(crate) async fn apply(
        &mut self,
        new: &Config,
        settings: Option<Settings>,
        tasks: &mut JoinSet<()>,
    ) {
        new.notes.iter().for_each(|note| log::warn!("{note}"));
        let mut found = Differences::between(&self.running, new);
        // The file behind `tlss.profile` may have changed while its name did not.
        let holds = self.running.budget.holds(new.tlss.as_ref());
        found.tlss |= holds && self.hosted.is_outdated(settings.as_ref());
        if found == Differences::default() {
            log::info!("configuration: nothing changed");
        }
        if found.log_level && !logger::set_level(new.log_level) {
            log::warn!("configuration: log.level: RUST_LOG in the environment wins");
            found.log_level = false;
        }
        self.running.log_level = new.log_level;
        if let Err(e) = self.apply_cameras(&found, new, settings, tasks).await {
            log::error!("configuration: a camera's address: {e}; the cameras stay as they were");
            return;
        }
        self.running.cloud.allow_hosts.clone_from(&new.cloud.allow_hosts);
        self.rule.exchange(addresses::terms(&self.running));
        let now = found.now();
        if !now.is_empty() {
            log::info!("configuration: applied: {}", now.join(", "));
        }
        if !found.restart.is_empty() {
            log::warn!("configuration: needs a restart: {}", found.restart.join(", "));
        }
    }

    /// Exchanges the cameras that changed, and restarts the hosted service where its settings or the
    /// abilities of the cameras did.
    async fn apply_cameras(
        &mut self,
        found: &Differences,
        new: &Config,
        settings: Option<Settings>,
        tasks: &mut JoinSet<()>,
    ) -> Result<(), UrlError> {
        if found.cameras.is_empty() && !found.tlss {
            return Ok(());
        }
        let mut wanted = self.running.clone();
        if found.tlss {
            wanted.tlss.clone_from(&new.tlss);
        }
        for number in &found.cameras {
            wanted.channels[*number].backend = new.channels[*number].backend.clone();
            wanted.channels[*number].bitrates = new.channels[*number].bitrates;
        }
        let before = self.device.now();
        let device = device::changed(&before, &self.running, &wanted)?;
        let mut changed = Vec::new();
        for number in &found.cameras {
            let (old, new) = (&before.channels[*number].encoder, &device.channels[*number].encoder);
            for stream in [Stream::Main, Stream::Sub] {
                if old.source(stream).await.ok() != new.source(stream).await.ok() {
                    changed.push((*number, stream));
                }
            }
        }
        self.device.exchange(device);
        for number in &found.cameras {
            let streams = changed.iter().filter(|(of, _)| of == number).map(|(_, stream)| *stream);
            let streams: Vec<_> = streams.collect();
            self.channels[*number].reload(&wanted.channels[*number].backend, &streams);
        }
        self.running = wanted;
        let camera = self.device.camera();
        if found.tlss {
            self.hosted.start(settings, camera, tasks);
        } else if !self.hosted.works_with(&camera) {
            self.hosted.restart(camera, tasks);
        }
        Ok(())
    }
}
