//! The device's page: its server, who may use it, and its interface `/api/v1`.
//!
//! The page outlives the agent: when the agent is started anew, or does not start, the page stays.

mod api;
mod assets;
mod authorities;
mod call;
mod camera;
mod cookie;
mod exposition;
mod gate;
mod guesses;
mod password;
mod reply;
mod route;
mod seen;
mod server;
mod session;
mod shown;
mod site;
mod tar;
mod task;
#[cfg(test)]
mod testing;
mod viewers;

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::{self, Config};
use crate::console::Console;
use crate::reload::Reload;
use crate::shutdown::{Stopper, stopper};
use crate::trace::trace;
use site::Site;

/// The server of the page.
pub(crate) struct Web {
    site: Arc<Site>,
    wanted: watch::Sender<Option<config::Web>>,
    stop: Stopper,
    task: JoinHandle<()>,
}

impl Web {
    /// Starts the server, which listens while the configuration wants it. Must be called within a runtime.
    pub(crate) fn start(config: &Config, reload: &Reload) -> Self {
        let site = Arc::new(Site::new(config, reload.control()));
        trace().turn(config.web.is_some());
        let wanted = watch::Sender::new(config.web.clone());
        let (stop, stopping) = stopper();
        let task = tokio::spawn(server::run(Arc::clone(&site), wanted.subscribe(), stopping));
        Self { site, wanted, stop, task }
    }

    /// Shows another agent from now on, started by `config`; `None` while none runs.
    pub(crate) fn show(&self, console: Option<Console>, config: &Config) {
        self.site.show(console);
        self.configure(config);
    }

    /// Takes over where the page is served.
    pub(crate) fn configure(&self, config: &Config) {
        trace().turn(config.web.is_some());
        self.wanted.send_if_modified(|wanted| {
            let differs = *wanted != config.web;
            wanted.clone_from(&config.web);
            differs
        });
    }

    /// Ends the server and its connections.
    pub(crate) async fn stop(self) {
        self.stop.stop();
        self.task.await.ok();
    }
}
