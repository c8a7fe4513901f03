//! The running agent and its tasks.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ivt_proto::rpc::Options;
use rand::rngs::StdRng;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::channel::{self, Link, Setup};
use crate::cloud::dial::{Dial, TcpDial};
use crate::cloud::login::Login;
use crate::cloud::status::Board;
use crate::cloud::{self, Cloud};
use crate::config::{self, Config};
use crate::device;
use crate::dispatch::Dispatch;
use crate::notify::Notifier;
use crate::record::leftovers;
use crate::record::means::Means;
use crate::shutdown::{Stopper, stopper};
use crate::tls::Trust;
use crate::tlss::{self, Settings, SetupError, Tlss};
use crate::view::{View, statistics};

/// Everything has ended by then.
const STOP_LIMIT: Duration = Duration::from_millis(2_500);
/// Why an agent does not start, or does not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address in the configuration.
    #[error("a camera's address: {0}")]
    Camera(#[from] ivt_hal::rtsp::UrlError),
    /// The file of authorities.
    #[error("TLS: {0}")]
    Tls(#[from] ivt_base::tls::TlsError),
    /// A bug of ours.
    #[error("a task of the agent failed: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// A running agent. Dropping it ends its tasks without goodbye.
pub struct Agent {
    tasks: JoinSet<()>,
    stop: Stopper,
    view: View,
}

impl Agent {
    /// Starts an agent that dials the cloud of its configuration. Must be called within a runtime.
    pub fn start(config: &Config) -> Result<Self, Error> {
        log::info!("{}", config.budget.summary());
        let trust = Trust::new(config.cloud.ca_file.clone())?;
        if config.cloud.url.scheme() == "ws" {
            log::warn!("cloud.url is ws://: login and pictures' addresses travel in clear");
        }
        let dial = TcpDial::new(Login::new(&config.cloud), trust.clone());
        Self::start_with(config, trust, Arc::new(dial), rand::make_rng())
    }

    /// Starts an agent that reaches its cloud by `dial` and spreads its attempts by `rng`.
    pub fn start_with(
        config: &Config,
        trust: Trust,
        dial: Arc<dyn Dial>,
        rng: StdRng,
    ) -> Result<Self, Error> {
        let device = device::device(config)?;
        let hosted = tlss::Camera {
            cgi: device.cgi.clone(),
            snapshots: device.channels.iter().map(|channel| channel.snapshot.clone()).collect(),
        };
        let (stop, stopping) = stopper();
        let link = watch::Sender::new(Link::down());
        let mut tasks = JoinSet::new();
        let settings = config.channels.iter().zip(&config.budget.rings);
        let each = device.channels.into_iter().zip(settings).enumerate();
        let spool = watch::Sender::new(None);
        let means =
            Means::new(&config.record, config.budget.recordings, trust.clone(), spool.subscribe());
        let channels = each.map(|(number, (hardware, (settings, ring)))| {
            let setup = Setup {
                number,
                encoder: hardware.encoder,
                config: settings.clone(),
                ring_bytes: *ring,
                publish: config.publish.clone(),
                trust: trust.clone(),
                means: means.clone(),
                link: link.subscribe(),
                stop_with_link: config.cloud.stop_publish_on_disconnect,
            };
            setup.spawn(&mut tasks, stopping.clone())
        });
        let channels: Vec<_> = channels.collect();
        let cloud = Cloud {
            dial,
            rules: Options { accept_bare_answers: config.cloud.accept_bare_answers },
            dispatch: Dispatch::new(channels.clone()),
            board: Board::new(channels.iter().map(channel::Handle::status).collect()),
            state: watch::Sender::new(cloud::State::Dialling),
            link,
            rng,
        };
        let tlss = config.tlss.as_ref().map(|settings| hosted_service(settings, hosted, &trust));
        let hosted_view = match tlss {
            Some(Ok(tlss)) => {
                let view = (tlss.state(), tlss.audit());
                tasks.spawn(tlss.run(stopping.clone()));
                Some(view)
            }
            // No reason to go without cloud and pictures.
            Some(Err(error)) => {
                log::error!("the hosted service stays off: {error}");
                None
            }
            None => None,
        };
        let opened = spool.subscribe();
        if let Some(settings) = config.record.spool.clone() {
            tasks.spawn(leftovers::run(settings, means, spool, stopping.clone()));
        }
        let cloud_view = cloud.state.subscribe();
        let view = View { cloud: cloud_view, channels, hosted: hosted_view, spool: opened };
        tasks.spawn(cloud.run(stopping.clone()));
        tasks.spawn(statistics::log(view.clone(), stopping));
        Ok(Self { tasks, stop, view })
    }

    /// What can be seen of it.
    pub fn view(&self) -> View {
        self.view.clone()
    }

    /// Returns only when one of the agent's own tasks has failed.
    async fn failed(&mut self) -> Error {
        loop {
            match self.tasks.join_next().await {
                Some(Err(e)) => return e.into(),
                Some(Ok(())) => {}
                None => std::future::pending().await,
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

fn hosted_service(
    settings: &config::Tlss,
    camera: tlss::Camera,
    trust: &Trust,
) -> Result<Tlss, SetupError> {
    Ok(Tlss::new(Settings::new(settings)?, camera, trust.clone(), rand::make_rng())?)
}

/// Runs an agent until `shutdown` is ready.
pub async fn run(config: &Config, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
    let mut agent = Agent::start(config)?;
    let notifier = Notifier::from_env();
    notifier.ready();
    let outcome = tokio::select! {
        () = shutdown => Ok(()),
        error = agent.failed() => Err(error),
        never = notifier.stay_alive() => match never {},
    };
    notifier.stopping();
    agent.stop().await;
    outcome
}
