//! A configuration that changes while the agent runs.

mod current;
mod hosted;

use std::future::pending;
use std::io;

use ivt_hal::Stream;
use ivt_hal::rtsp::UrlError;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::{JoinSet, spawn_blocking};

pub(crate) use current::CurrentDevice;
pub(crate) use hosted::{Hosted, Seen};

use crate::channel;
use crate::config::Config;
use crate::device;
use crate::logger;
use crate::settings::{Differences, Store};

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
    /// The system refuses it.
    pub fn listen(store: Store) -> io::Result<Self> {
        Ok(Self { store, hangup: signal(SignalKind::hangup())? })
    }

    /// Returns once there is a configuration to take over; tells the log of one that is refused.
    pub(crate) async fn next(&mut self) -> Config {
        loop {
            if self.hangup.recv().await.is_none() {
                pending().await
            }
            let store = self.store.clone();
            // A disk that is slow must not hold up the pictures.
            match spawn_blocking(move || store.read()).await {
                Ok(Ok((config, _))) => return config,
                Ok(Err(e)) => log::error!("SIGHUP: {e}; the settings stay as they were"),
                Err(e) => log::error!("SIGHUP: the configuration was not read: {e}"),
            }
        }
    }
}

/// The parts of a running agent that follow its configuration.
pub(crate) struct Live {
    /// The configuration that is in force; where a change needs a restart, as it was at the start.
    pub(crate) running: Config,
    pub(crate) device: CurrentDevice,
    pub(crate) channels: Vec<channel::Handle>,
    pub(crate) hosted: Hosted,
}

impl Live {
    /// Takes over what can be without a restart, and tells the log of that and of the rest.
    pub(crate) async fn apply(&mut self, new: &Config, tasks: &mut JoinSet<()>) {
        new.notes.iter().for_each(|note| log::warn!("{note}"));
        let mut found = Differences::between(&self.running, new);
        // The file behind `tlss.profile` may have changed while its name did not.
        found.tlss |= self.hosted.is_outdated(new.tlss.as_ref());
        if found == Differences::default() {
            log::info!("configuration: nothing changed");
        }
        if found.log_level && !logger::set_level(new.log_level) {
            log::warn!("configuration: log.level: RUST_LOG in the environment wins");
            found.log_level = false;
        }
        self.running.log_level = new.log_level;
        if let Err(e) = self.apply_cameras(&found, new, tasks).await {
            log::error!("configuration: a camera's address: {e}; the cameras stay as they were");
            return;
        }
        let now = found.now();
        if !now.is_empty() {
            log::info!("configuration: applied: {}", now.join(", "));
        }
        if !found.restart.is_empty() {
            log::warn!("configuration: needs a restart: {}", found.restart.join(", "));
        }
    }

    /// Exchanges the cameras that changed, and starts the hosted service anew where it is another
    /// one.
    async fn apply_cameras(
        &mut self,
        found: &Differences,
        new: &Config,
        tasks: &mut JoinSet<()>,
    ) -> Result<(), UrlError> {
        if found.cameras.is_empty() && !found.tlss {
            return Ok(());
        }
        let mut wanted = Config { tlss: new.tlss.clone(), ..self.running.clone() };
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
        if found.tlss || !self.hosted.works_with(&self.device.camera()) {
            self.start_hosted(tasks);
        }
        Ok(())
    }

    /// Starts the hosted service anew, or ends it where it is off.
    pub(crate) fn start_hosted(&mut self, tasks: &mut JoinSet<()>) {
        self.hosted.start(self.running.tlss.as_ref(), self.device.camera(), tasks);
    }
}
