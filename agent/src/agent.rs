//! The running agent and its tasks.

mod parts;

use std::future::{Future, pending};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use ivt_base::address_rule::AddressRule;
use ivt_base::task::{spawn_blocking, work};
use ivt_proto::rpc::Options;
use rand::rngs::StdRng;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::addresses;
use crate::backend::Servers;
use crate::channel::{self, Link};
use crate::cloud::calls::CallQueue;
use crate::cloud::dial::{Dial, TcpDial};
use crate::cloud::login::CloudLogin;
use crate::cloud::status::KeepaliveSource;
use crate::cloud::{self, Cloud};
use crate::config::Config;
#[cfg(feature = "ui")]
use crate::console::Console;
use crate::device;
use crate::dispatch::Dispatch;
use crate::http::{Deadlines, Http};
use crate::notify::Notifier;
#[cfg(feature = "ui")]
use crate::overview::{self, Overview};
#[cfg(feature = "ui")]
use crate::owner::Owner;
use crate::record::context::RecordingContext;
use crate::record::leftovers;
use crate::reload::{CurrentDevice, Hosted, Live, News, Reload, hosted};
use crate::shutdown::{Stopper, stopper};
use crate::state::StateStore;
use crate::tls::TrustStore;
use crate::view::{View, statistics};
#[cfg(feature = "linux")]
use crate::watchdog::Watchdog;
#[cfg(feature = "ui")]
use crate::web::Web;
use parts::Parts;

/// How long an agent may take to stop.
const STOP_LIMIT: Duration = Duration::from_millis(2_500);

/// Why an agent does not start, or does not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address of a camera cannot be used.
    #[error("a camera's address: {0}")]
    Camera(#[from] ivt_hal::rtsp::UrlError),
    /// The file of trusted authorities cannot be used.
    #[error("TLS: {0}")]
    Tls(#[from] ivt_base::tls::TlsError),
    /// A task of the agent panicked, which is a bug.
    #[error("a task of the agent failed: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// A running agent. Dropping it ends its tasks without goodbye.
pub struct Agent {
    tasks: JoinSet<()>,
    stop: Stopper,
    view: View,
    live: Live,
    #[cfg(feature = "ui")]
    console: Console,
}

impl Agent {
    /// Starts an agent that dials the cloud of its configuration. Must be called within a runtime.
    ///
    /// # Errors
    ///
    /// An address or a file of the configuration cannot be used.
    pub fn start(config: &Config) -> Result<Self, Error> {
        Self::start_for(
            config,
            #[cfg(feature = "ui")]
            Owner::default(),
        )
    }

    /// Starts an agent as [`start`](Self::start) does, which nobody but `owner` sets up.
    fn start_for(config: &Config, #[cfg(feature = "ui")] owner: Owner) -> Result<Self, Error> {
        log::info!("{}", config.budget.summary());
        let trust = TrustStore::new(config.cloud.ca_file.clone())?;
        if config.cloud.account.as_ref().is_some_and(|account| account.url.scheme() == "ws") {
            log::warn!("cloud.url is ws://: login and pictures' addresses travel in clear");
        }
        let rule = AddressRule::new(addresses::terms(config));
        let dial = CloudLogin::of(&config.cloud).map(|login| -> Arc<dyn Dial> {
            Arc::new(TcpDial::new(login, trust.clone()).by_rule(rule.clone()))
        });
        Self::begin(
            config,
            trust,
            rule,
            dial,
            rand::make_rng(),
            #[cfg(feature = "ui")]
            owner,
        )
    }

    /// Starts an agent that reaches its cloud by `dial` and spreads its attempts by `rng`.
    ///
    /// # Errors
    ///
    /// An address of the configuration cannot be used.
    pub fn start_with(
        config: &Config,
        trust: TrustStore,
        dial: Arc<dyn Dial>,
        rng: StdRng,
    ) -> Result<Self, Error> {
        let rule = AddressRule::new(addresses::terms(config));
        Self::begin(
            config,
            trust,
            rule,
            Some(dial),
            rng,
            #[cfg(feature = "ui")]
            Owner::default(),
        )
    }

    fn begin(
        config: &Config,
        trust: TrustStore,
        rule: AddressRule,
        dial: Option<Arc<dyn Dial>>,
        rng: StdRng,
        #[cfg(feature = "ui")] owner: Owner,
    ) -> Result<Self, Error> {
        let servers = Servers::default();
        let device = device::device(config, &servers)?;
        let device = CurrentDevice::new(device);
        let (stop, stopping) = stopper();
        let (link, spool) = (watch::Sender::new(Link::down()), watch::Sender::new(None));
        let http = Http::new(trust.clone(), rule.clone(), Deadlines::default());
        let (calls, store) = (CallQueue::default(), StateStore::new(config.state_dir.clone()));
        let mut tasks = JoinSet::new();
        let mut parts = Parts {
            config,
            device: &device,
            trust: &trust,
            rule: &rule,
            #[cfg(any(feature = "alarms", feature = "update"))]
            http: &http,
            #[cfg(any(feature = "alarms", feature = "update"))]
            calls: &calls,
            #[cfg(any(feature = "alarms", feature = "update"))]
            store: &store,
            link: &link,
            stop: &stopping,
            tasks: &mut tasks,
        };
        let opened = spool.subscribe();
        let context = RecordingContext::new(
            &config.record,
            config.budget.recordings,
            http.clone(),
            opened.clone(),
        );
        let channels = parts.channels(&context);
        let remotes = parts.remotes();
        let dispatch =
            Dispatch::new(device.clone(), channels.clone(), remotes.clone(), store.clone());
        #[cfg(feature = "ui")]
        let dispatch = dispatch.for_owner(owner.clone());
        let keepalives =
            KeepaliveSource::new(channels.iter().map(channel::Handle::status).collect());
        #[cfg(feature = "alarms")]
        let (arming, alarms) = parts.alarms(&channels);
        #[cfg(feature = "alarms")]
        let dispatch = dispatch.keeping(arming.clone());
        #[cfg(any(feature = "alarms", feature = "linux"))]
        let dispatch = dispatch
            .with_clocks(
                config.clock_steps,
                #[cfg(feature = "alarms")]
                arming.clone(),
            )
            .with_wifi(link.subscribe(), config.network.clone());
        #[cfg(feature = "update")]
        let (upgrades, keepalives, firmware) = parts.firmware(
            &channels,
            keepalives,
            #[cfg(feature = "ui")]
            owner.clone(),
        );
        #[cfg(feature = "update")]
        let dispatch = dispatch.with_upgrades(upgrades.clone());
        #[cfg(feature = "alarms")]
        parts.previews();
        #[cfg(feature = "ui")]
        let book = context.leftovers.book().clone();
        if let Some(settings) = config.record.spool.clone() {
            let RecordingContext { leftovers, http, .. } = context;
            tasks.spawn(work(leftovers::run(settings, leftovers, http, spool, stopping.clone())));
        }
        #[cfg(feature = "ui")]
        let (link_seen, publishes) = (link.subscribe(), dispatch.publishes());
        #[cfg(feature = "ui")]
        let (wifi, clocks) = (dispatch.wifi_changes(), dispatch.clocks());
        #[cfg(feature = "ui")]
        let progress = dial.as_ref().map(|dial| dial.progress()).unwrap_or_default();
        let cloud = Cloud {
            dial,
            rules: Options { accept_bare_answers: config.cloud.accept_bare_answers },
            dispatch,
            keepalives,
            calls,
            state: watch::Sender::new(cloud::CloudState::Dialling),
            ended: watch::Sender::new(None),
            #[cfg(feature = "ui")]
            progress,
            #[cfg(feature = "ui")]
            hold: Default::default(),
            link,
            rng,
        };
        let mut live = Live {
            running: config.clone(),
            device,
            servers,
            channels: channels.clone(),
            hosted: Hosted::new(trust.clone(), stopping.clone()),
            rule,
            #[cfg(feature = "ui")]
            owner,
            #[cfg(feature = "update")]
            firmware,
        };
        let camera = live.device.camera();
        let settings = live.owned(hosted::settings(config.tlss.as_ref()));
        live.hosted.start(settings, camera, &mut tasks);
        let view = View {
            cloud: cloud.state.subscribe(),
            cloud_end: cloud.ended.subscribe(),
            events: cloud.dispatch.events(),
            channels,
            #[cfg(feature = "alarms")]
            alarms,
            hosted: live.hosted.seen(),
            spool: opened,
            #[cfg(feature = "ui")]
            progress: cloud.progress.seen(),
            #[cfg(feature = "ui")]
            keepalive: cloud.keepalives.answered().subscribe(),
        };
        #[cfg(feature = "ui")]
        let overview = Overview::start(
            overview::Setup {
                config: config.clone(),
                view: view.clone(),
                device: live.device.clone(),
                arming: arming.clone(),
            },
            &mut tasks,
            stopping.clone(),
        );
        #[cfg(feature = "ui")]
        let console = Console {
            hold: cloud.hold.clone(),
            config: config.clone(),
            overview,
            view: view.clone(),
            device: live.device.clone(),
            channels: view.channels.clone(),
            remotes,
            publishes,
            arming,
            book,
            wifi,
            clocks,
            #[cfg(feature = "update")]
            upgrades,
            link: link_seen,
            store,
            trust,
        };
        tasks.spawn(work(cloud.run(stopping.supervised(format_args!("connection to the cloud")))));
        tasks.spawn(work(statistics::log(view.clone(), stopping)));
        Ok(Self {
            tasks,
            stop,
            view,
            live,
            #[cfg(feature = "ui")]
            console,
        })
    }

    /// What can be seen of the agent.
    pub fn view(&self) -> View {
        self.view.clone()
    }

    /// What the page may look at and touch.
    #[cfg(all(test, feature = "ui"))]
    pub(crate) fn console(&self) -> Console {
        self.console.clone()
    }

    /// The camera of a channel, as it is configured at the moment; `None` where there is no such channel.
    pub fn camera(&self, number: usize) -> Option<ivt_hal::Channel> {
        self.live.device.now().channels.get(number).cloned()
    }

    /// Applies the parts of a configuration that need no restart, and tells the log which parts
    /// need one.
    /// Reads the profile of the hosted service.
    pub async fn apply(&mut self, config: &Config) {
        let tlss = config.tlss.clone();
        match spawn_blocking(move || hosted::settings(tlss.as_ref())).await {
            Ok(settings) => self.live.apply(config, settings, &mut self.tasks),
            Err(e) => log::error!("the hosted service's profile was not read: {e}"),
        }
    }

    /// Serves until `shutdown` is ready, which returns nothing, or until a restart by another configuration is asked
    /// for, which returns that. `watch` sees each configuration that is brought.
    ///
    /// # Errors
    /// One of the agent's tasks failed.
    async fn serve(
        &mut self,
        notifier: &Notifier,
        reload: &mut Option<Reload>,
        watch: impl Fn(&News),
        shutdown: &mut (impl Future<Output = ()> + Unpin),
    ) -> Result<Option<Config>, Error> {
        #[cfg(feature = "linux")]
        let mut watchdog =
            Watchdog::new(self.stop.asker(), self.stop.pulses(), &self.live.running.runtime);
        let outcome = {
            #[cfg(feature = "linux")]
            let alive = watchdog.feed(notifier);
            #[cfg(not(feature = "linux"))]
            let alive = notifier.stay_alive(|| true);
            let mut alive = pin!(alive);
            loop {
                tokio::select! {
                    () = &mut *shutdown => break Ok(None),
                    error = self.failed() => break Err(error),
                    news = next(reload) => {
                        watch(&news);
                        match news.restart {
                            true => break Ok(Some(news.config)),
                            false => self.live.apply(&news.config, news.settings, &mut self.tasks),
                        }
                    }
                    never = &mut alive => match never {},
                }
            }
        };
        // A watchdog goes on after a failure and over a restart: it is fed again by the agent that is started next, or
        // restarts the device.
        #[cfg(feature = "linux")]
        if matches!(outcome, Ok(None)) {
            watchdog.end();
        }
        outcome
    }

    /// Returns only when one of the agent's own tasks has failed.
    async fn failed(&mut self) -> Error {
        loop {
            match self.tasks.join_next().await {
                Some(Err(e)) if !e.is_cancelled() => return e.into(),
                // The task ended by itself, or was ended to be restarted.
                Some(_) => {}
                None => pending().await,
            }
        }
    }

    /// Ends the streams, closes the connection politely and waits for both, 2.5 s at most.
    pub async fn stop(mut self) {
        self.stop.stop();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(STOP_LIMIT, all).await.is_err() {
            log::warn!("stopped without waiting any longer");
        }
    }
}

/// Runs an agent until `shutdown` is ready. With a `reload` the agent applies each configuration
/// that it brings, and is started anew where that is asked for.
///
/// # Errors
/// The agent does not start, or one of its tasks failed.
pub async fn run(
    config: &Config,
    mut reload: Option<Reload>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    let notifier = Notifier::from_env();
    let mut shutdown = pin!(shutdown);
    let mut config = config.clone();
    #[cfg(feature = "ui")]
    let web = match &reload {
        Some(reload) => Some(Web::start(&mut config, reload).await),
        None => None,
    };
    loop {
        let agent = Agent::start_for(
            &config,
            #[cfg(feature = "ui")]
            web.as_ref().filter(|_| config.web.is_some()).map(Web::owner).unwrap_or_default(),
        );
        #[cfg(feature = "ui")]
        let agent = match (agent, &web) {
            (Err(e), Some(web)) if config.web.is_some() => {
                // Without its page nobody could mend the configuration.
                log::error!("the agent does not start: {e}");
                web.show(None, &config);
                tokio::select! {
                    () = &mut shutdown => return Ok(()),
                    news = next(&mut reload) => config = news.config,
                    () = web.reset_asked() => config = web.reset(&config).await,
                }
                continue;
            }
            (Ok(agent), Some(web)) => {
                web.show(Some(agent.console.clone()), &config);
                Ok(agent)
            }
            (agent, _) => agent,
        };
        let mut agent = agent?;
        notifier.ready();
        let watch = |news: &News| {
            #[cfg(feature = "ui")]
            web.iter().for_each(|web| web.configure(&news.config));
            let _ = news;
        };
        let end = agent.serve(&notifier, &mut reload, watch, &mut shutdown);
        #[cfg(feature = "ui")]
        let (end, is_reset) = tokio::select! {
            end = end => (end, false),
            () = reset_asked(web.as_ref()) => (Ok(Some(config.clone())), true),
        };
        #[cfg(not(feature = "ui"))]
        let end = end.await;
        if !matches!(end, Ok(Some(_))) {
            notifier.stopping();
        }
        agent.stop().await;
        match end? {
            Some(wanted) => config = wanted,
            None => break,
        }
        #[cfg(feature = "ui")]
        if let Some(web) = web.as_ref().filter(|_| is_reset) {
            config = web.reset(&config).await;
        }
    }
    #[cfg(feature = "ui")]
    if let Some(web) = web {
        web.stop().await;
    }
    Ok(())
}

/// Returns when the page is asked for a reset; never returns without a page.
#[cfg(feature = "ui")]
async fn reset_asked(web: Option<&Web>) {
    match web {
        Some(web) => web.reset_asked().await,
        None => pending().await,
    }
}

/// Returns the next configuration that `reload` brings; never returns without a `reload`.
async fn next(reload: &mut Option<Reload>) -> News {
    match reload {
        Some(reload) => reload.next().await,
        None => pending().await,
    }
}
