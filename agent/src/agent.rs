//! The running agent: its tasks, and what can be seen of it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ivt_hal::Stream;
use ivt_media::publish::PublishStats;
use ivt_media::stats::StreamStats;
use ivt_proto::rpc::Options;
use rand::rngs::StdRng;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::channel::{self, Link, Setup};
use crate::cloud::dial::{Dial, TcpDial};
use crate::cloud::login::Login;
use crate::cloud::status::Board;
use crate::cloud::{self, Cloud};
use crate::config::{self, Config};
use crate::device;
use crate::dispatch::Dispatch;
use crate::notify::Notifier;
use crate::record::context::RecordingContext;
use crate::record::leftovers;
use crate::shutdown::{Stop, Stopper, stopper};
use crate::tls::Trust;
use crate::tlss::{self, Settings, SetupError, Tlss};

/// Everything has ended by then.
const STOP_LIMIT: Duration = Duration::from_millis(2_500);
/// Between two lines of statistics per stream.
const STATISTICS: Duration = Duration::from_secs(60);

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

/// What can be seen of an agent; outlives it.
#[derive(Clone)]
pub struct View {
    cloud: watch::Receiver<cloud::State>,
    channels: Vec<channel::Handle>,
    hosted: Option<(watch::Receiver<tlss::State>, tlss::Audit)>,
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
        let means = RecordingContext::new(
            &config.record,
            config.budget.recordings,
            trust.clone(),
            spool.subscribe(),
        );
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
        if let Some(settings) = config.record.spool.clone() {
            let RecordingContext { leftovers, http, .. } = means;
            tasks.spawn(leftovers::run(settings, leftovers, http, spool, stopping.clone()));
        }
        let view = View { cloud: cloud.state.subscribe(), channels, hosted: hosted_view };
        tasks.spawn(cloud.run(stopping.clone()));
        tasks.spawn(log_statistics(view.clone(), stopping));
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

impl View {
    /// The connection to the cloud; changes can be awaited.
    pub fn cloud(&self) -> watch::Receiver<cloud::State> {
        self.cloud.clone()
    }

    /// What the hosted service is doing, and the commands it was given; `None` where it is off.
    pub fn hosted(&self) -> Option<(watch::Receiver<tlss::State>, tlss::Audit)> {
        self.hosted.clone()
    }

    /// How each channel is, by number.
    pub fn channels(&self) -> Vec<channel::Status> {
        self.channels.iter().map(|c| c.status().borrow().clone()).collect()
    }

    /// How the newest publish of a channel goes, or went; `None` where there is no such channel.
    pub fn publish(&self, channel: usize) -> Option<PublishStats> {
        self.channels.get(channel).map(channel::Handle::publish_stats)
    }

    /// What a channel's stream did; `None` where there is no such channel.
    pub fn stats(&self, channel: usize, stream: Stream) -> Option<StreamStats> {
        self.channels.get(channel).map(|c| c.stats(stream))
    }
}

/// One line per stream and minute, for streams that had frames in it, and one per live publish.
async fn log_statistics(view: View, mut stop: Stop) {
    let mut minute = interval(STATISTICS);
    minute.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let streams = [Stream::Main, Stream::Sub];
    let all = || (0..view.channels.len()).flat_map(|n| streams.map(|stream| (n, stream)));
    let mut seen = vec![0; all().count()];
    loop {
        tokio::select! {
            _ = minute.tick() => {}
            () = stop.requested() => return,
        }
        for ((number, stream), seen) in all().zip(&mut seen) {
            let Some(stats) = view.stats(number, stream) else { continue };
            if std::mem::replace(seen, stats.frames) != stats.frames {
                log::debug!("channel {number} {stream}: {}", line(&stats));
            }
        }
        for (number, channel) in view.channels.iter().enumerate() {
            let PublishStats { accepted, frames, gaps, dropped_frames, .. } =
                channel.publish_stats();
            if accepted {
                log::debug!(
                    "channel {number} publish: {frames} frames, {gaps} gaps of {dropped_frames}"
                );
            }
        }
    }
}

fn line(stats: &StreamStats) -> String {
    let incidents = stats.incidents;
    format!(
        "{} kbit/s, {:.1} fps, {} drops, {} packets lost, {} skipped, {} reconnects, {} redirects, \
         {} transports refused, {} sounds left out, {} pictures late, last error: {}",
        stats.bitrate / 1000,
        stats.fps,
        stats.drops,
        stats.packets_lost,
        stats.packets_skipped,
        stats.reconnects,
        incidents.redirects,
        incidents.transports_refused,
        incidents.sounds_left_out,
        stats.pictures_late,
        stats.last_error.as_deref().unwrap_or("none"),
    )
}
