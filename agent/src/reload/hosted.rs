//! The hosted service as it is configured at the moment.

use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use crate::config;
use crate::shutdown::Stop;
use crate::tls::TrustStore;
use crate::tlss::{self, Settings, SetupError, Tlss};

/// What can be seen of the hosted service; `None` while the service is off.
pub(crate) type Seen = Option<(watch::Receiver<tlss::State>, tlss::Audit)>;

/// Runs the hosted service. At most one runs at a time.
pub(crate) struct Hosted {
    trust: TrustStore,
    stop: Stop,
    task: Option<AbortHandle>,
    /// The settings of the running service; `None` while the service is off.
    settings: Option<Settings>,
    seen: watch::Sender<Seen>,
}

impl Hosted {
    /// A hosted service that is off until [`start`](Self::start), and ends with `stop`.
    pub(crate) fn new(trust: TrustStore, stop: Stop) -> Self {
        Self { trust, stop, task: None, settings: None, seen: watch::Sender::new(None) }
    }

    /// What can be seen of the hosted service, across every [`start`](Self::start).
    pub(crate) fn seen(&self) -> watch::Receiver<Seen> {
        self.seen.subscribe()
    }

    /// Whether `settings`, with the profile they name, differ from those of the running service.
    pub(crate) fn is_outdated(&self, settings: Option<&config::Tlss>) -> bool {
        self.settings != settings.and_then(|settings| Settings::new(settings).ok())
    }

    /// Ends the running service, and starts one with these settings; without settings it stays off.
    pub(crate) fn start(
        &mut self,
        settings: Option<&config::Tlss>,
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
                self.task = Some(tasks.spawn(service.run(self.stop.clone())));
                Some(seen)
            }
            // Cloud and pictures do not need the hosted service, so the agent goes on without it.
            Err(error) => {
                log::error!("the hosted service stays off: {error}");
                None
            }
        });
        self.seen.send_replace(seen);
    }

    fn service(
        &mut self,
        settings: &config::Tlss,
        camera: tlss::Camera,
    ) -> Result<Tlss, SetupError> {
        let settings = Settings::new(settings)?;
        let service = Tlss::new(settings.clone(), camera, self.trust.clone(), rand::make_rng())?;
        self.settings = Some(settings);
        Ok(service)
    }
}
