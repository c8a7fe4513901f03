//! The hosted service as it is configured at the moment.

use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use crate::config;
use crate::shutdown::Stop;
use crate::tls::Trust;
use crate::tlss::{self, Settings, SetupError, Tlss};

/// What can be seen of the service; `None` where it is off.
pub(crate) type Seen = Option<(watch::Receiver<tlss::State>, tlss::Audit)>;

/// Runs the hosted service, one at a time.
pub(crate) struct Hosted {
    trust: Trust,
    stop: Stop,
    task: Option<AbortHandle>,
    seen: watch::Sender<Seen>,
}

impl Hosted {
    /// It is off; `stop` will end it.
    pub(crate) fn new(trust: Trust, stop: Stop) -> Self {
        Self { trust, stop, task: None, seen: watch::Sender::new(None) }
    }

    /// What can be seen of it, now and after each [`start`](Self::start).
    pub(crate) fn seen(&self) -> watch::Receiver<Seen> {
        self.seen.subscribe()
    }

    /// Ends the service that runs, and starts one with these settings, where there are some.
    pub(crate) fn start(
        &mut self,
        settings: Option<&config::Tlss>,
        camera: tlss::Camera,
        tasks: &mut JoinSet<()>,
    ) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
        let service = match settings.map(|settings| self.service(settings, camera)) {
            Some(Ok(service)) => service,
            // No reason to go without cloud and pictures.
            Some(Err(error)) => {
                log::error!("the hosted service stays off: {error}");
                self.seen.send_replace(None);
                return;
            }
            None => {
                self.seen.send_replace(None);
                return;
            }
        };
        self.seen.send_replace(Some((service.state(), service.audit())));
        self.task = Some(tasks.spawn(service.run(self.stop.clone())));
    }

    fn service(&self, settings: &config::Tlss, camera: tlss::Camera) -> Result<Tlss, SetupError> {
        let settings = Settings::new(settings)?;
        Ok(Tlss::new(settings, camera, self.trust.clone(), rand::make_rng())?)
    }
}
