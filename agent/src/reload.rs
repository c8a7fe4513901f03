//! A configuration that changes while the agent runs.

#[cfg(feature = "ui")]
mod control;
mod current;
pub(crate) mod hosted;

use std::future::pending;
use std::io;

use futures::FutureExt as _;
use ivt_base::address_rule::AddressRule;
use ivt_base::task::spawn_blocking;
use ivt_hal::rtsp::UrlError;
use ivt_hal::{Encoder, Stream};
use tokio::signal::unix::{Signal, SignalKind, signal};
#[cfg(feature = "ui")]
use tokio::sync::watch;
use tokio::task::JoinSet;

#[cfg(feature = "ui")]
use control::Asked;
#[cfg(feature = "ui")]
pub(crate) use control::Control;
pub(crate) use current::CurrentDevice;
pub(crate) use hosted::{Hosted, Seen};

use crate::addresses;
use crate::backend::{Backend, Servers};
use crate::channel;
use crate::config::Config;
use crate::device;
use crate::logger;
#[cfg(feature = "ui")]
use crate::owner::Owner;
use crate::settings::{self, Differences, Store};
use crate::tlss::Settings;

/// Reads the configuration again on SIGHUP, or when the device's page asks for it.
pub struct Reload {
    store: Store,
    hangup: Signal,
    #[cfg(feature = "ui")]
    asked: watch::Sender<Asked>,
    #[cfg(feature = "ui")]
    seen: (watch::Receiver<Asked>, u64),
}

/// A configuration that was read while the agent ran.
pub(crate) struct News {
    pub(crate) config: Config,
    /// The settings of its hosted service, see [`hosted::settings`].
    pub(crate) settings: Option<Settings>,
    /// Whether the agent has to be started anew.
    pub(crate) restart: bool,
}

impl Reload {
    /// Takes SIGHUP over from the system's default, which ends the process. Must be called within a
    /// runtime.
    ///
    /// # Errors
    /// The system refuses the handler.
    pub fn listen(store: Store) -> io::Result<Self> {
        let hangup = signal(SignalKind::hangup())?;
        #[cfg(feature = "ui")]
        let asked = watch::Sender::default();
        Ok(Self {
            store,
            hangup,
            #[cfg(feature = "ui")]
            seen: (asked.subscribe(), 0),
            #[cfg(feature = "ui")]
            asked,
        })
    }

    /// What changes the configuration and asks for a look at it.
    #[cfg(feature = "ui")]
    pub(crate) fn control(&self) -> Control {
        Control::new(self.store.clone(), self.asked.clone())
    }

    /// Returns once a configuration was read after SIGHUP or on request. A configuration that is refused is reported in
    /// the log and passed over.
    pub(crate) async fn next(&mut self) -> News {
        loop {
            let restart = self.asked().await;
            let store = self.store.clone();
            // Reading a slow disk on this thread would hold up the pictures.
            let read = move || {
                let (config, _) = store.read()?;
                let settings = hosted::settings(config.tlss.as_ref());
                Ok::<_, settings::Error>((config, settings))
            };
            match spawn_blocking(read).await {
                Ok(Ok((config, settings))) => return News { config, settings, restart },
                Ok(Err(e)) => log::error!("configuration: {e}; the settings stay as they were"),
                Err(e) => log::error!("configuration: it was not read: {e}"),
            }
        }
    }

    /// Returns once a look is asked for, and whether a restart is.
    #[cfg(feature = "ui")]
    async fn asked(&mut self) -> bool {
        let (asked, restarts) = &mut self.seen;
        tokio::select! {
            hangup = self.hangup.recv() => if hangup.is_none() { pending().await },
            // The sender is our own, so that waiting cannot fail.
            _ = asked.changed() => {}
        }
        let now = asked.borrow_and_update().restarts;
        std::mem::replace(restarts, now) != now
    }

    #[cfg(not(feature = "ui"))]
    async fn asked(&mut self) -> bool {
        if self.hangup.recv().await.is_none() {
            pending().await
        }
        false
    }
}

/// The parts of a running agent that can change with its configuration.
pub(crate) struct Live {
    /// The configuration in force. Keys whose change needs a restart have their value from the
    /// start.
    pub(crate) running: Config,
    pub(crate) device: CurrentDevice,
    /// The clients of the device's web servers.
    pub(crate) servers: Servers,
    pub(crate) channels: Vec<channel::Handle>,
    pub(crate) hosted: Hosted,
    /// Which servers the cloud may name.
    pub(crate) rule: AddressRule,
    /// Who sets the device up.
    #[cfg(feature = "ui")]
    pub(crate) owner: Owner,
    /// Which firmware is taken.
    #[cfg(feature = "update")]
    pub(crate) firmware: tokio::sync::watch::Sender<crate::config::Rules>,
}

impl Live {
    /// Applies what can change without a restart, and tells the log of that and of what needs a
    /// restart. Talks to no camera, which may be silent for seconds.
    /// `settings` are those of the hosted service of `new`, see [`hosted::settings`].
    pub(crate) fn apply(
        &mut self,
        new: &Config,
        settings: Option<Settings>,
        tasks: &mut JoinSet<()>,
    ) {
        let settings = self.owned(settings);
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
        if let Err(e) = self.apply_cameras(&found, new, settings, tasks) {
            log::error!("configuration: a camera's address: {e}; the cameras stay as they were");
            return;
        }
        #[cfg(feature = "update")]
        if found.firmware {
            self.running.firmware.rules.clone_from(&new.firmware.rules);
            self.firmware.send_replace(new.firmware.rules.clone());
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

    /// The settings of a hosted service that may run: none while the device has no owner, whom it would serve.
    #[cfg(feature = "ui")]
    pub(crate) fn owned(&self, settings: Option<Settings>) -> Option<Settings> {
        settings.filter(|_| self.owner.is_there())
    }

    #[cfg(not(feature = "ui"))]
    pub(crate) fn owned(&self, settings: Option<Settings>) -> Option<Settings> {
        settings
    }

    /// Exchanges the cameras that changed, and restarts the hosted service where its settings or the
    /// abilities of the cameras did.
    fn apply_cameras(
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
        let device = device::changed(&before, &self.running, &wanted, &mut self.servers)?;
        self.device.exchange(device);
        let now = self.device.now();
        for number in &found.cameras {
            let [old, new] = [(&self.running, &before), (&wanted, &now)].map(|(config, device)| {
                (&config.channels[*number].backend, &*device.channels[*number].encoder)
            });
            self.channels[*number].reload(new.0, &changed(old, new));
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

/// The streams that are others than before, or may be: a camera is not asked for the address of its stream.
fn changed(old: (&Backend, &dyn Encoder), new: (&Backend, &dyn Encoder)) -> Vec<Stream> {
    let is_same = |stream: &Stream| match (old.0.asks(*stream), new.0.asks(*stream)) {
        (None, None) => {
            let [old, new] = [old.1, new.1].map(|camera| camera.source(*stream).now_or_never());
            old.is_some_and(|old| new.is_some_and(|new| old.ok() == new.ok()))
        }
        (old, new) => old == new,
    };
    [Stream::Main, Stream::Sub].into_iter().filter(|stream| !is_same(stream)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::CameraOptions;

    fn config(channel: &str) -> Config {
        let cloud = "[cloud]\nurl = 'ws://h/ivc'\nlogin_code = 'c'\nlogin_passwd = 'p'\n";
        format!("{cloud}[[channel]]\n{channel}").parse().unwrap()
    }

    /// The streams that are others once the channel is configured by `new`.
    fn between(old: &str, new: &str) -> Vec<Stream> {
        let [old, new] = [old, new].map(|channel| config(channel).channels.remove(0).backend);
        let servers = Servers::default();
        let options = CameraOptions {
            bitrates: Default::default(),
            reply_limit: 1,
            number: 0,
            servers: &servers,
        };
        let [was, is] =
            [&old, &new].map(|backend| backend.camera(options).unwrap().channel.encoder);
        changed((&old, &*was), (&new, &*is))
    }

    #[test]
    fn only_streams_at_another_address_or_by_another_login_are_others() {
        let rtsp = "backend = 'rtsp'\nmain = 'rtsp://h/a'\n";
        let both = [Stream::Main, Stream::Sub];
        assert_eq!(between(rtsp, &format!("{rtsp}web = 'http://h'\n")), []);
        assert_eq!(between(rtsp, &format!("{rtsp}sub = 'rtsp://h/b'\n")), [Stream::Sub]);
        assert_eq!(between(rtsp, &format!("{rtsp}username = 'u'\n")), both);
    }

    #[cfg(feature = "onvif")]
    #[test]
    fn of_a_camera_that_would_have_to_be_asked_the_configuration_counts() {
        let onvif = "backend = 'onvif'\nonvif = '127.0.0.1:9'\n";
        let both = [Stream::Main, Stream::Sub];
        assert_eq!(between(onvif, &format!("{onvif}silence_seconds = 3\n")), []);
        assert_eq!(between(onvif, &format!("{onvif}web = 'http://h'\n")), []);
        assert_eq!(between(onvif, &format!("{onvif}input = 2\n")), both);
        assert_eq!(between(onvif, &format!("{onvif}password = 'p'\nusername = 'u'\n")), both);
        assert_eq!(between(onvif, &onvif.replace(":9", ":8")), both);
        assert_eq!(between(onvif, &format!("{onvif}sub = 'rtsp://h/b'\n")), [Stream::Sub]);
    }

    #[cfg(feature = "onvif")]
    #[tokio::test(start_paused = true)]
    async fn a_silent_camera_does_not_hold_up_a_reload_and_is_not_asked() {
        use std::net::TcpListener;

        use tokio::time::Instant;

        let camera = TcpListener::bind("127.0.0.1:0").unwrap();
        camera.set_nonblocking(true).unwrap();
        let onvif = format!("backend = 'onvif'\nonvif = '{}'\n", camera.local_addr().unwrap());
        let (old, new) = (config(&onvif), config(&format!("{onvif}input = 2\n")));
        let trust = crate::tls::TrustStore::new(None).unwrap();
        let (_stop, stopping) = crate::shutdown::stopper();
        let (handle, _inbox) = channel::testing::deaf();
        let servers = Servers::default();
        let mut live = Live {
            device: CurrentDevice::new(device::device(&old, &servers).unwrap()),
            servers,
            running: old,
            channels: vec![handle],
            hosted: Hosted::new(trust, stopping),
            rule: AddressRule::default(),
            #[cfg(feature = "ui")]
            owner: Owner::default(),
            #[cfg(feature = "update")]
            firmware: tokio::sync::watch::Sender::new(new.firmware.rules.clone()),
        };
        let start = Instant::now();
        live.apply(&new, None, &mut JoinSet::new());
        tokio::task::yield_now().await;
        assert_eq!(start.elapsed().as_millis(), 0);
        assert!(live.running.channels == new.channels, "the change is applied");
        assert!(camera.accept().is_err(), "nobody has called the camera");
    }
}
