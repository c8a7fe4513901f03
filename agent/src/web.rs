//! The device's page: its server, who may use it, and its interface `/api/v1`.
//!
//! The page outlives the agent: when the agent is started anew, or does not start, the page stays.

mod admission;
mod api;
mod assets;
mod authorities;
#[cfg(test)]
mod body_tests;
mod button;
mod call;
mod camera;
mod connections;
mod cookie;
mod exposition;
mod gate;
mod guard;
mod guesses;
mod headers;
pub(crate) mod https;
mod interfaces;
mod moment;
mod moves;
mod password;
mod reply;
mod reset;
mod route;
mod seats;
mod seen;
mod server;
#[cfg(test)]
mod server_tests;
mod serving;
mod session;
mod shown;
mod site;
mod sockets;
mod tar;
mod task;
#[cfg(test)]
mod testing;
mod viewers;

use std::sync::Arc;

use ivt_base::task::work;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::{self, Config};
use crate::console::Console;
use crate::logger::ring;
use crate::owner::Owner;
use crate::reload::Reload;
use crate::shutdown::{Stopper, stopper};
use crate::state::StateStore;
use crate::trace::trace;
use site::Site;

/// The server of the page.
pub(crate) struct Web {
    site: Arc<Site>,
    wanted: watch::Sender<Option<config::Web>>,
    stop: Stopper,
    tasks: JoinSet<()>,
}

impl Web {
    /// Starts the server, which listens while the configuration wants it. First what was left half-way is ended: a
    /// reset, and a move of the page that nobody confirmed; `config` is read again then. Must be called within a
    /// runtime.
    pub(crate) async fn start(config: &mut Config, reload: &Reload) -> Self {
        let (control, state) = (reload.control(), StateStore::new(config.state_dir.clone()));
        let files = control.store();
        let was_moved = moves::restore(files, &state).await;
        let was_reset = reset::carry_out(config, files, &state).await;
        if was_moved || was_reset {
            *config = reset::read_again(files, config).await;
        }
        let site = Arc::new(Site::new(config, control));
        trace().turn(config.web.is_some());
        if config.web.is_some() && !site.is_claimed() {
            log::warn!(
                "the page: the device belongs to nobody: open its page and choose a password; until then nobody sets it \
                 up from afar"
            );
        }
        let wanted = watch::Sender::new(config.web.clone());
        let (stop, stopping) = stopper();
        let mut tasks = JoinSet::new();
        tasks.spawn(work(server::run(Arc::clone(&site), wanted.subscribe(), stopping)));
        tasks.spawn(work(button::watch(Arc::clone(&site))));
        Self { site, wanted, stop, tasks }
    }

    /// Shows another agent from now on, started by `config`; `None` while none runs.
    pub(crate) fn show(&self, console: Option<Console>, config: &Config) {
        self.site.show(console);
        self.configure(config);
    }

    /// Takes over how the page is served.
    pub(crate) fn configure(&self, config: &Config) {
        trace().turn(config.web.is_some());
        self.site.configure(config);
        self.wanted.send_replace(config.web.clone());
    }

    /// Who sets the device up.
    pub(crate) fn owner(&self) -> Owner {
        Owner::known(self.site.gate.claimed())
    }

    /// Returns when a reset is asked for.
    pub(crate) async fn reset_asked(&self) {
        self.site.resets.notified().await;
    }

    /// Carries out a reset, for which no agent may run. Returns the configuration that is left.
    pub(crate) async fn reset(&self, config: &Config) -> Config {
        if self.site.web().is_none() {
            return config.clone();
        }
        let files = self.site.control.store();
        let _turn = self.site.gate.hold().await;
        reset::carry_out(config, files, &self.site.store).await;
        // The next owner reads nothing of the one before.
        trace().turn(false);
        ring().clear();
        let left = reset::read_again(files, config).await;
        self.site.gate.reopen(left.web.as_ref().and_then(|web| web.first_password.clone()));
        left
    }

    /// Ends the server and its connections.
    pub(crate) async fn stop(mut self) {
        self.stop.stop();
        self.tasks.join_next().await;
        self.tasks.shutdown().await;
    }
}
