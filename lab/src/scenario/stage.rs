//! Starts what a scenario needs: cloud, cameras, network, and the configuration of the agent.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use ivt_base::mask::{Known, learn};
use ivt_sim::camera::{
    CameraOptions, CameraSim, ChannelOptions, Credentials, OnvifOptions, Stream,
};
use ivt_sim::cloud::{CloudOptions, CloudSim, Device, Login};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpSocket;
use toml::{Table, Value as Toml};
use url::Url;

use super::agent::{Agent, merge};
use super::format::{Backend, CameraPart, Scenario};
use super::log::Log;
use super::network::Network;
use super::values::utc;

/// The settings of a run that are no part of a scenario.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The program of the agent.
    pub agent: std::path::PathBuf,
    /// Where devices connect; port 0 lets the kernel choose.
    pub http: SocketAddr,
    /// Where streams are published; port 0 lets the kernel choose.
    pub rtmp: SocketAddr,
    /// The login code of somebody else's device, which is waited for instead of starting the agent.
    pub login: Option<String>,
    /// The password that this device has to have; `None` for any.
    pub password: Option<String>,
    /// What everything is waited for at most, where that is less than a scenario says.
    pub patience: Option<std::time::Duration>,
    /// Whether each expectation that was met is changed and judged again, and has to fail then.
    pub doubt: bool,
}

/// Everything that runs for one scenario.
pub(super) struct Stage {
    pub(super) began: Instant,
    pub(super) cloud: CloudSim,
    pub(super) device: Arc<Device>,
    /// The password of the device.
    pub(super) password: String,
    pub(super) cameras: Vec<CameraSim>,
    pub(super) log: Log,
    network: Option<Network>,
    /// An address where nobody listens.
    closed: TcpSocket,
    _folder: TempDir,
    /// The secrets of the scenario, which no report shows.
    _secrets: Vec<Known>,
}

impl Stage {
    /// Starts everything but the agent, which comes beside it; `None` where somebody else's device is waited for.
    ///
    /// # Errors
    /// What could not be started, and what to do.
    pub(super) async fn start(
        scenario: &Scenario,
        setting: &Setting,
    ) -> Result<(Self, Option<Agent>), String> {
        let began = Instant::now();
        let folder = tempfile::tempdir()
            .map_err(|error| format!("no temporary folder: {error}; name one in TMPDIR"))?;
        let cloud = cloud(scenario, setting).await?;
        let mut cameras = Vec::new();
        for part in &scenario.cameras {
            cameras.push(camera(part).await?);
        }
        let network = Network::start(&scenario.network, &cloud, &cameras).await?;
        let store = network.as_ref().and_then(|net| net.address("store"));
        if let Some(address) = store {
            let url = Url::parse(&format!("http://{address}/"));
            cloud.set_public_base(&url.map_err(|error| error.to_string())?);
        }
        let closed = TcpSocket::new_v4().and_then(|socket| {
            socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
            Ok(socket)
        });
        let closed = closed.map_err(|error| format!("no port of the loopback is free: {error}"))?;
        let login = setting.login.as_ref().unwrap_or(&scenario.device.login);
        let device = cloud.device(login);
        let log = Log::new(began);
        let stage = Self {
            began,
            device,
            cameras,
            network,
            closed,
            log: log.clone(),
            password: setting.password.as_ref().unwrap_or(&scenario.device.password).clone(),
            _secrets: secrets(scenario, setting),
            cloud,
            _folder: folder,
        };
        let agent = if scenario.device.start && setting.login.is_none() {
            let (config, folder) = (stage.configuration(scenario), stage._folder.path());
            Some(Agent::new(&setting.agent, folder, &config, log)?)
        } else {
            None
        };
        Ok((stage, agent))
    }

    /// A value that every scenario has.
    pub(super) fn built_in(&self, name: &str, argument: &str) -> Option<Value> {
        let own = self.cloud.http_addr();
        Some(match name {
            "login" => self.device.code().into(),
            "cloud" => self.address("cloud").unwrap_or(own).to_string().into(),
            "rtmp_url" => match self.address("rtmp") {
                Some(address) => format!("rtmp://{address}/live/{argument}").into(),
                None => self.cloud.rtmp_url(argument).into(),
            },
            "rtmp_port" => self.cloud.rtmp_addr().port().into(),
            "record_url" => self.cloud.record_url(argument).to_string().into(),
            "camera" => self.cameras.first()?.http_addr().to_string().into(),
            "closed_port" => self.closed.local_addr().ok()?.port().into(),
            "utc" => utc(argument)?.to_string().into(),
            _ => return None,
        })
    }

    /// The network between the device and its peers.
    ///
    /// # Errors
    /// When the scenario has none.
    pub(super) fn network(&self) -> Result<&Network, String> {
        self.network.as_ref().ok_or_else(|| "the scenario has no [network]".to_owned())
    }

    /// Ends everything.
    pub(super) async fn stop(self) {
        let Self { cloud, cameras, network, .. } = self;
        drop((cameras, network));
        cloud.stop().await;
    }

    fn address(&self, link: &str) -> Option<SocketAddr> {
        self.network.as_ref()?.address(link)
    }

    fn configuration(&self, scenario: &Scenario) -> Table {
        let text = |text: &str| Toml::String(text.to_owned());
        let mut cloud = Table::new();
        let address = self.address("cloud").unwrap_or(self.cloud.http_addr());
        cloud.insert("url".into(), Toml::String(format!("ws://{address}/ivc")));
        cloud.insert("login_code".into(), text(&scenario.device.login));
        cloud.insert("login_passwd".into(), text(&scenario.device.password));
        let mut config = Table::new();
        config.insert("cloud".into(), Toml::Table(cloud));
        let mut device = Table::new();
        let model = if scenario.cameras.len() > 1 { "nvr" } else { "camera" };
        device.insert("model".into(), text(model));
        let state = self._folder.path().join("state").display().to_string();
        device.insert("state_dir".into(), Toml::String(state));
        config.insert("device".into(), Toml::Table(device));
        merge(&mut config, &scenario.device.settings);
        let mut channels: Vec<_> = scenario
            .cameras
            .iter()
            .zip(&self.cameras)
            .enumerate()
            .map(|(number, (part, camera))| self.channel(number, part, camera))
            .collect();
        if channels.is_empty() {
            channels.push(Table::from_iter([("backend".to_owned(), text("emulator"))]));
        }
        for channel in &mut channels {
            merge(channel, &scenario.device.channel);
        }
        let channels = channels.into_iter().map(Toml::Table).collect();
        config.insert("channel".into(), Toml::Array(channels));
        // A folder that a scenario names is one of the run's own.
        let folder = self._folder.path().display().to_string();
        fill(&mut config, &folder);
        config
    }

    fn channel(&self, number: usize, part: &CameraPart, camera: &CameraSim) -> Table {
        let rtsp = self.address(&format!("rtsp{number}")).unwrap_or(camera.addr());
        let web = self.address(&format!("web{number}")).unwrap_or(camera.http_addr());
        let mut channel = Table::new();
        let mut set =
            |key: &str, value: String| drop(channel.insert(key.into(), Toml::String(value)));
        for stream in [Stream::Main, Stream::Sub] {
            let path = stream.as_str();
            set(path, format!("rtsp://{rtsp}/ch0/{path}"));
        }
        set("transport", part.transport.to_owned());
        match part.backend {
            Backend::Rtsp => set("backend", "rtsp".into()),
            Backend::Cgi => {
                set("backend", "cgi".into());
                set(
                    "profile",
                    part.family
                        .to_string()
                        .to_lowercase()
                        .replace("ipn", "uapi")
                        .replace("ipe", "nvc"),
                );
                set("web", format!("http://{web}"));
            }
            Backend::Onvif => {
                set("backend", "onvif".into());
                set("onvif", format!("http://{web}/onvif/device_service"));
            }
        }
        if let Some((user, password)) = &part.login {
            set("username", user.clone());
            set("password", part.told_password.as_ref().unwrap_or(password).clone());
        }
        channel
    }
}

/// Puts the run's own folder in the place of `${folder}`.
fn fill(table: &mut Table, folder: &str) {
    for (_, value) in table.iter_mut() {
        match value {
            Toml::String(text) => *text = text.replace("${folder}", folder),
            Toml::Table(table) => fill(table, folder),
            _ => {}
        }
    }
}

async fn cloud(scenario: &Scenario, setting: &Setting) -> Result<CloudSim, String> {
    let part = &scenario.cloud;
    let logins = match (&setting.login, &setting.password) {
        (None, _) => part.logins.clone(),
        (Some(_), None) => Vec::new(),
        (Some(code), Some(password)) => {
            vec![Login { code: code.clone(), password: password.clone() }]
        }
    };
    let options = CloudOptions {
        http: setting.http,
        rtmp: setting.rtmp,
        logins,
        patience: part.patience,
        answers: part.answers.clone(),
        faults: part.faults.clone(),
        ..CloudOptions::default()
    };
    CloudSim::start(options).await.map_err(|error| {
        let (http, rtmp) = (setting.http, setting.rtmp);
        match error.kind() {
            io::ErrorKind::AddrInUse => format!(
                "{http} (HTTP) or {rtmp} (RTMP) is in use: end the program that has it (ss -ltnp shows \
                 it), or choose others by --http and --rtmp"
            ),
            _ => format!("cannot listen on {http} (HTTP) and {rtmp} (RTMP): {error}"),
        }
    })
}

async fn camera(part: &CameraPart) -> Result<CameraSim, String> {
    let login = part.login.clone();
    let options = CameraOptions {
        family: part.family,
        credentials: login.map(|(user, password)| Credentials { user, password }),
        quirks: part.quirks.clone(),
        alarm_quirks: part.alarm_quirks.clone(),
        onvif: OnvifOptions { quirks: part.onvif_quirks.clone(), ..OnvifOptions::default() },
        ..CameraOptions::new(vec![ChannelOptions::built_in()])
    };
    CameraSim::start(options).await.map_err(|error| format!("the camera cannot start: {error}"))
}

fn secrets(scenario: &Scenario, setting: &Setting) -> Vec<Known> {
    let logins = scenario.cloud.logins.iter().map(|login| login.password.as_str());
    let cameras = scenario.cameras.iter().flat_map(|camera| {
        let own = camera.login.as_ref().map(|(_, password)| password.as_str());
        own.into_iter().chain(camera.told_password.as_deref())
    });
    let own = [scenario.device.password.as_str()].into_iter().chain(setting.password.as_deref());
    let all = logins.chain(cameras).chain(own);
    all.map(learn).collect()
}

/// The folder beside which programs of ours lie.
pub(super) fn beside(name: &str) -> Option<std::path::PathBuf> {
    let own = std::env::current_exe().ok()?;
    let beside = own.parent().map(Path::to_owned)?.join(name);
    beside.is_file().then_some(beside)
}
