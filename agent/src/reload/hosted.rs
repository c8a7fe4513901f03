//! The hosted service as it is configured at the moment.

use ivt_base::task::work;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use crate::config;
use crate::shutdown::Stop;
use crate::tls::TrustStore;
use crate::tlss::{self, Settings, SettingsError, Tlss};

/// What can be seen of the hosted service; `None` while the service is off.
pub(crate) type Seen = Option<(watch::Receiver<tlss::HostedState>, tlss::Audit)>;

/// Runs the hosted service. At most one runs at a time.
pub(crate) struct Hosted {
    trust: TrustStore,
    stop: Stop,
    task: Option<AbortHandle>,
    /// The settings of the running service; `None` while the service is off.
    settings: Option<Settings>,
    /// What the service that runs is for.
    camera: tlss::Camera,
    /// The commands of all services since the start.
    audit: tlss::Audit,
    seen: watch::Sender<Seen>,
}

impl Hosted {
    /// A hosted service that is off until [`start`](Self::start), and ends with `stop`.
    pub(crate) fn new(trust: TrustStore, stop: Stop) -> Self {
        let (camera, audit) = (tlss::Camera::default(), tlss::Audit::default());
        let seen = watch::Sender::new(None);
        Self { trust, stop, task: None, settings: None, camera, audit, seen }
    }

    /// What can be seen of the hosted service, across every [`start`](Self::start).
    pub(crate) fn seen(&self) -> watch::Receiver<Seen> {
        self.seen.subscribe()
    }

    /// Whether `settings` differ from those of the running service.
    pub(crate) fn is_outdated(&self, settings: Option<&Settings>) -> bool {
        self.settings.as_ref() != settings
    }

    /// Whether the running service can go on with this camera, which follows exchanges as its own
    /// does.
    pub(crate) fn works_with(&self, camera: &tlss::Camera) -> bool {
        self.settings.is_none() || self.camera.is_like(camera)
    }

    /// Ends the running service, and starts one with these settings; without settings it stays off.
    pub(crate) fn start(
        &mut self,
        settings: Option<Settings>,
        camera: tlss::Camera,
        tasks: &mut JoinSet<()>,
    ) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
        self.settings = None;
        let seen = settings.and_then(|settings| match self.service(settings, camera) {
            Ok(service) => {
                let seen = (service.state(), service.audit());
                self.task = Some(tasks.spawn(work(
                    service.run(self.stop.supervised(format_args!("hosted service"))),
                )));
                Some(seen)
            }
            // Cloud and pictures do not need the hosted service, so the agent goes on without it.
            Err(error) => {
                log::error!("the hosted service stays off: tlss: {error}");
                None
            }
        });
        self.seen.send_replace(seen);
    }

    /// Ends the service that runs, and starts one alike for another camera.
    pub(crate) fn restart(&mut self, camera: tlss::Camera, tasks: &mut JoinSet<()>) {
        self.start(self.settings.clone(), camera, tasks);
    }

    fn service(&mut self, settings: Settings, camera: tlss::Camera) -> Result<Tlss, SettingsError> {
        let trust = self.trust.clone();
        let service = Tlss::new(settings.clone(), camera.clone(), trust, rand::make_rng())?;
        (self.settings, self.camera) = (Some(settings), camera);
        Ok(service.with_audit(self.audit.clone()))
    }
}

/// The settings of a service with the profile that they name; `None` where it is off, or its profile
/// cannot be used, which the log is told: the agent goes on without it, cloud and pictures do not
/// need it. Waits for the disk.
pub(crate) fn settings(config: Option<&config::Tlss>) -> Option<Settings> {
    let settings = Settings::new(config?);
    settings.inspect_err(|error| log::error!("the hosted service stays off: {error}")).ok()
}
