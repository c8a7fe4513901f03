//! `ivt-lab start`: a camera, a cloud or both on this machine, with their addresses and a QR code.

mod device;
mod file;
pub mod picture;
mod port;
mod printed;
pub mod qr;
mod settings;
mod shared;
pub mod show;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use ivt_sim::camera::onvif::discovery;
use ivt_sim::camera::{CameraOptions, CameraSim, Credentials, Make, control};
use ivt_sim::cloud::{CloudOptions, CloudSim, Login};
use ivt_sim::family::Family;
use ivt_sim::tlss::{TlssOptions, TlssSim};
use rand::RngExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use device::{Device, Plan};
pub use file::WrongValue;
pub use port::Port;
pub use settings::{Part, Ports, Settings, SettingsError};
use show::{Show, near};

/// Characters of a password that a person types on a phone: none that look alike.
const LETTERS: &[u8] = b"abcdefghkmnpqrstuvwxyz23456789";
/// First pause before an agent that has ended is started again.
const AGAIN: Duration = Duration::from_secs(1);
/// Longest pause before an agent that has ended is started again.
const AGAIN_AT_MOST: Duration = Duration::from_secs(60);

/// Why the lab does not start; the text says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StartError(String);

/// What was started. Dropping it ends it at once; [`Lab::stop`] lets the agent say goodbye.
pub struct Lab {
    parts: Vec<Part>,
    addresses: Vec<Ipv4Addr>,
    camera: Option<(Arc<CameraSim>, Credentials)>,
    control: Option<SocketAddr>,
    cloud: Option<CloudSim>,
    hosted: Option<TlssSim>,
    device: Option<Device>,
    login: Login,
    page: SocketAddr,
    page_password: String,
    _tasks: JoinSet<()>,
}

impl Lab {
    /// Starts what the settings ask for. A device has a camera of its own also where none is asked for.
    ///
    /// # Errors
    /// A port is taken, a file or a program is missing, a folder cannot be written.
    pub async fn start(settings: &Settings) -> Result<Self, StartError> {
        let host = match settings.loopback {
            true => IpAddr::V4(Ipv4Addr::LOCALHOST),
            false => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        };
        let mut lab = Self {
            parts: settings.parts.clone(),
            addresses: addresses(settings),
            camera: None,
            control: None,
            cloud: None,
            hosted: None,
            device: None,
            login: settings
                .login
                .clone()
                .unwrap_or_else(|| Login { code: "demo".into(), password: made_up() }),
            page: SocketAddr::new(host, 0),
            page_password: settings.page_password.clone().unwrap_or_else(made_up),
            _tasks: JoinSet::new(),
        };
        lab.start_all(settings, host).await.map_err(StartError)?;
        Ok(lab)
    }

    async fn start_all(&mut self, settings: &Settings, host: IpAddr) -> Result<(), String> {
        let has = |part| settings.parts.contains(&part);
        ivt_sim::port::apart(&given(settings, host))?;
        if has(Part::Camera) || has(Part::Device) {
            self.start_camera(settings, host).await?;
        }
        if has(Part::Cloud) {
            self.cloud = Some(self.start_cloud(settings, host).await?);
        }
        if has(Part::Hosted) {
            let ports = &settings.ports;
            let options = TlssOptions {
                bind: ports.hosted.free(host, "--hosted-port")?,
                http: ports.hosted_page.free(host, "--hosted-page-port")?,
                ..TlssOptions::default()
            };
            let (bind, http) = (options.bind, options.http);
            let hosted = TlssSim::start(options).await;
            self.hosted =
                Some(hosted.map_err(|error| format!("hosted service at {bind}, {http}: {error}"))?);
        }
        if has(Part::Device) {
            self.page = settings.ports.page.free(host, "--page-port")?;
            self.device = Some(self.start_device(settings)?);
        }
        Ok(())
    }

    async fn start_camera(&mut self, settings: &Settings, host: IpAddr) -> Result<(), String> {
        let shown = settings.parts.contains(&Part::Camera);
        // A camera that is nobody's but the device's own is not on the network.
        let host = if shown { host } else { IpAddr::V4(Ipv4Addr::LOCALHOST) };
        let login = settings
            .camera_login
            .clone()
            .unwrap_or_else(|| Credentials { user: "admin".into(), password: made_up() });
        let free =
            |port: Port, option| if shown { port } else { Port::Given(0) }.free(host, option);
        let ports = &settings.ports;
        let mut options = CameraOptions {
            bind: free(ports.rtsp, "--rtsp-port")?,
            http: free(ports.camera, "--camera-port")?,
            credentials: Some(login.clone()),
            family: settings.family,
            schedule: settings.alarms.clone(),
            ..CameraOptions::default()
        };
        options.onvif.discovery = settings.discoverable.then_some(discovery::MULTICAST);
        let source = settings.picture.show(&mut options).await;
        let source = source.map_err(|error| format!("--picture: {error}"))?;
        if let Some(shared) = source {
            self._tasks.spawn(settings.picture.clone().watch(shared));
        }
        let (bind, http) = (options.bind, options.http);
        let camera = CameraSim::start(options).await.map_err(|error| match error.kind() {
            std::io::ErrorKind::InvalidInput => format!("--alarm: {error}"),
            _ => format!("the camera at {bind}, {http}: {error}"),
        })?;
        let camera = Arc::new(camera);
        if shown {
            let address = ports.control.free(host, "--control-port")?;
            let listener = TcpListener::bind(address).await;
            let listener = listener
                .map_err(|error| ivt_sim::port::refusal(address, "--control-port", &error))?;
            let router = control::router(camera.clone());
            self._tasks.spawn(async move {
                if let Err(error) = axum::serve(listener, router).await {
                    log::warn!(target: "lab", "the camera's control page has ended: {error}");
                }
            });
            self.control = Some(address);
        }
        self.camera = Some((camera, login));
        Ok(())
    }

    async fn start_cloud(&self, settings: &Settings, host: IpAddr) -> Result<CloudSim, String> {
        let options = CloudOptions {
            http: settings.ports.cloud.free(host, "--cloud-port")?,
            rtmp: settings.ports.rtmp.free(host, "--rtmp-port")?,
            ..CloudOptions::default()
        };
        let (http, rtmp) = (options.http, options.rtmp);
        let cloud = CloudSim::start(options).await;
        cloud.map_err(|error| format!("the cloud at {http}, {rtmp}: {error}"))
    }

    fn start_device(&self, settings: &Settings) -> Result<Device, String> {
        let own = self.cloud.as_ref().map(|cloud| format!("ws://{}/ivc", near(cloud.http_addr())));
        let url = own.as_deref().or(settings.cloud_url.as_deref());
        let hosted = self.hosted.as_ref().map(|hosted| near(hosted.addr()).to_string());
        let hosted = hosted.as_deref().or(settings.hosted_server.as_deref());
        let hosted = hosted.and_then(|server| server.rsplit_once(':'));
        let hosted = hosted.and_then(|(host, port)| Some((host, port.parse().ok()?)));
        let (camera, login) = self.camera.as_ref().ok_or("a device needs a camera")?;
        // A cloud on this machine names this machine, by whatever address its page was opened.
        let mut allow = Vec::new();
        if own.is_some() {
            let private = ["127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"];
            allow.extend(private.map(str::to_owned));
            allow.extend(self.addresses.iter().map(Ipv4Addr::to_string));
        }
        let state = std::env::var_os("STATE_DIRECTORY").map(Into::into);
        let plan = Plan {
            cloud: url.map(|url| (url, &*self.login.code, &*self.login.password)),
            camera: (near(camera.http_addr()).to_string(), &login.user, &login.password),
            hosted,
            web_cgi: settings.family == Make::Line(Family::default()),
            page: (self.page.to_string(), &self.page_password),
            allow: &allow,
        };
        let state = settings.state.clone().or(state);
        Device::start(settings.agent.as_deref(), state.as_deref(), &settings.agent_log, &plan)
    }

    /// The camera, where there is one.
    pub fn camera(&self) -> Option<&Arc<CameraSim>> {
        self.camera.as_ref().map(|(camera, _)| camera)
    }

    /// The cloud, where there is one.
    pub fn cloud(&self) -> Option<&CloudSim> {
        self.cloud.as_ref()
    }

    /// The login code of the device.
    pub fn code(&self) -> &str {
        &self.login.code
    }

    /// The device's own page, as this machine reaches it.
    pub fn page(&self) -> SocketAddr {
        near(self.page)
    }

    /// Waits for the end of the agent, for ever where there is none. Cancel safe.
    ///
    /// # Errors
    /// The system does not tell how the agent ended.
    pub async fn ended(&mut self) -> std::io::Result<ExitStatus> {
        match &mut self.device {
            Some(device) => device.ended().await,
            None => std::future::pending().await,
        }
    }

    /// Starts an agent again that has ended, after longer and longer pauses. Never returns.
    pub async fn keep(&mut self) {
        let mut pause = AGAIN;
        loop {
            let begun = tokio::time::Instant::now();
            let how = match self.ended().await {
                Ok(status) => status.to_string(),
                Err(error) => error.to_string(),
            };
            pause = if begun.elapsed() > AGAIN_AT_MOST {
                AGAIN
            } else {
                (pause * 2).min(AGAIN_AT_MOST)
            };
            log::warn!(target: "lab", "the agent has ended: {how}; it is started again in {} s", pause.as_secs());
            tokio::time::sleep(pause).await;
            let started = self.device.as_mut().map_or(Ok(()), Device::run);
            if let Err(error) = started {
                log::warn!(target: "lab", "{error}");
            }
        }
    }

    /// What the cloud asks of the device; `None` where one of them is not ours.
    pub fn show(&self) -> Option<Show> {
        self.device.as_ref()?;
        Some(Show::new(self.cloud.as_ref()?, &self.login.code))
    }

    /// Ends everything, the agent first.
    pub async fn stop(mut self) {
        if let Some(device) = self.device.take() {
            device.stop().await;
        }
        self._tasks.shutdown().await;
        if let Some(cloud) = self.cloud.take() {
            cloud.stop().await;
        }
    }
}

/// The addresses that were asked for, for the parts that are started, each with its option.
fn given(settings: &Settings, host: IpAddr) -> Vec<(SocketAddr, &'static str)> {
    let ports = &settings.ports;
    let all = [
        (Part::Camera, ports.rtsp, "--rtsp-port"),
        (Part::Camera, ports.camera, "--camera-port"),
        (Part::Camera, ports.control, "--control-port"),
        (Part::Cloud, ports.cloud, "--cloud-port"),
        (Part::Cloud, ports.rtmp, "--rtmp-port"),
        (Part::Hosted, ports.hosted, "--hosted-port"),
        (Part::Hosted, ports.hosted_page, "--hosted-page-port"),
        (Part::Device, ports.page, "--page-port"),
    ];
    let asked = |(part, port, option)| match port {
        Port::Given(port) if settings.parts.contains(&part) => {
            Some((SocketAddr::new(host, port), option))
        }
        _ => None,
    };
    all.into_iter().filter_map(asked).collect()
}

/// The addresses by which others reach this machine, that which was asked for first.
fn addresses(settings: &Settings) -> Vec<Ipv4Addr> {
    if settings.loopback {
        return vec![Ipv4Addr::LOCALHOST];
    }
    let mut all: Vec<_> =
        ivt_sim::interfaces::addresses().into_iter().map(|interface| interface.address).collect();
    if let Some(wanted) = settings.address {
        all.retain(|address| *address != wanted);
        all.insert(0, wanted);
    }
    if all.is_empty() {
        log::warn!(target: "lab", "this machine has no network: only it can open the pages");
        all.push(Ipv4Addr::LOCALHOST);
    }
    all
}

/// A password that nobody guesses, for a lab.
fn made_up() -> String {
    let mut random = rand::rng();
    (0..10).map(|_| LETTERS[random.random_range(..LETTERS.len())] as char).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_passwords_differ() {
        assert_eq!(made_up().len(), 10);
        assert_ne!(made_up(), made_up());
    }

    #[tokio::test]
    async fn two_parts_at_one_port_are_named_by_their_options() {
        let mut settings =
            Settings { parts: vec![Part::Cloud], loopback: true, ..Settings::default() };
        (settings.ports.cloud, settings.ports.rtmp) = (Port::Given(9), Port::Given(9));
        let Err(error) = Lab::start(&settings).await else { panic!("it starts") };
        let error = error.to_string();
        assert!(error.contains("--cloud-port and --rtmp-port are both port 9"), "{error}");
    }

    #[test]
    fn the_address_that_was_asked_for_comes_first() {
        let wanted = Ipv4Addr::new(192, 0, 2, 7);
        let settings = Settings { address: Some(wanted), ..Settings::default() };
        assert_eq!(addresses(&settings).first(), Some(&wanted));
        let near = Settings { loopback: true, ..Settings::default() };
        assert_eq!(addresses(&near), [Ipv4Addr::LOCALHOST]);
    }
}
