//! The emulated camera as a network device: an RTSP/1.0 server of looping clips, and a web server with the CGIs
//! of the uapi family, both with faults on request.
//! The emulator as a backend of the device is in `ivt-hal`.

mod address;
mod auth;
mod channel;
pub mod control;
mod delivery;
mod device;
mod encoder;
mod feed;
mod make;
mod message;
pub mod onvif;
mod params;
mod pulse;
pub mod quirk;
mod rtp;
mod scene;
mod schedule;
mod sdp;
mod server;
mod session;
mod stream_faults;
mod switches;
mod timeline;
mod tracks;
mod transport;
mod web;
mod world;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use auth::Lock;
use channel::Channel;
use device::Camera;
use onvif::{Onvif, Site, Switches, discovery};
use pulse::Pulses;
use stream_faults::StreamFaults;
use switches::Switches as AnySwitches;
use web::Web;
use world::World;

pub use address::Stream;
pub use auth::{Credentials, Scheme};
pub use channel::{ChannelCounters, ChannelOptions};
pub use make::{Make, UnknownMake};
pub use quirk::{Quirk, Quirks};
pub use schedule::{Alarm, WrongAlarm};
pub use transport::Transports;
pub use web::listing as alarm_quirks;
pub use web::{AlarmQuirk, UnknownAlarmQuirk, WebCounters, WebFault, WebFaultRule, WebRequest};
pub use world::{Order, Unit};

/// The settings of a camera.
#[derive(Clone)]
pub struct CameraOptions {
    /// Address of the RTSP server; port 0 lets the kernel choose.
    pub bind: SocketAddr,
    /// Address of the web server; port 0 lets the kernel choose.
    pub http: SocketAddr,
    /// The channels, numbered from 0.
    pub channels: Vec<ChannelOptions>,
    /// The login that clients need; `None` for an open camera.
    pub credentials: Option<Credentials>,
    /// How clients prove the login.
    pub scheme: Scheme,
    /// Whose requests the web server understands.
    pub family: Make,
    /// The transports that clients may choose.
    pub transports: Transports,
    /// Whether each channel shows its emulated camera live, in the place of its clips.
    pub pattern: bool,
    /// Whether the streams have sound.
    pub audio: bool,
    /// Whether each RTP packet is a write of its own, as in cheap cameras, instead of one write for each frame.
    pub packet_at_a_time: bool,
    /// Whether a client gets the stream from any frame on, as from many cameras, instead of from a key frame
    /// on.
    pub join_mid_gop: bool,
    /// A client that is silent for this time is dropped. Whole seconds, as RTSP tells it.
    pub session_timeout: Duration,
    /// What the camera does against the rules.
    pub quirks: Quirks,
    /// The alarms that the camera raises by itself.
    pub schedule: Vec<Alarm>,
    /// What its event streams do against the rules.
    pub alarm_quirks: Vec<AlarmQuirk>,
    /// The settings of its ONVIF services.
    pub onvif: OnvifOptions,
}

/// The settings of a camera's ONVIF services.
#[derive(Clone, Debug, Default)]
pub struct OnvifOptions {
    /// What the services do against the specification.
    pub quirks: Vec<onvif::Quirk>,
    /// Where Probes of WS-Discovery are answered; `None` for nowhere. For the multicast address of
    /// [`onvif::discovery`], the camera answers to the whole network.
    pub discovery: Option<SocketAddr>,
}

impl CameraOptions {
    /// A camera with these channels on free ports of the loopback, without a login.
    pub fn new(channels: Vec<ChannelOptions>) -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            http: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            channels,
            credentials: None,
            scheme: Scheme::default(),
            family: Make::default(),
            transports: Transports::default(),
            pattern: false,
            audio: true,
            packet_at_a_time: false,
            join_mid_gop: false,
            session_timeout: Duration::from_secs(60),
            quirks: Quirks::default(),
            schedule: Vec::new(),
            alarm_quirks: Vec::new(),
            onvif: OnvifOptions::default(),
        }
    }
}

impl Default for CameraOptions {
    /// One channel with the built-in clips.
    fn default() -> Self {
        Self::new(vec![ChannelOptions::built_in()])
    }
}

/// A disturbance of the camera, on request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Every connection is lost and none is accepted for this time; then streams begin anew.
    /// For one channel: its streams end, and for this time requests for it are answered 503.
    Reboot(Duration),
    /// Connections stay, but nothing is sent for this time.
    Freeze(Duration),
    /// Main and sub stream swap their clips. With the same codec the new parameter sets come in the stream;
    /// with another codec the streams end and have to be described anew.
    ChangeParameters,
    /// Later timestamps are shifted by so many ticks of 90 kHz, forwards or backwards.
    Jump(i64),
    /// Half a kilobyte of noise comes in the middle of each stream, in the RTSP connection also for clients of
    /// UDP.
    Garbage,
    /// Whether a client gets no answer any more once it has its description.
    SilenceAfterDescribe(bool),
    /// Whether every login is refused, also when none was needed before.
    RefuseLogin(bool),
}

/// What clients did to the camera.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counters {
    /// Connections accepted since the start.
    pub connections: u64,
    /// The counts of each channel.
    pub channels: Vec<ChannelCounters>,
}

impl Counters {
    /// The sum over all channels.
    pub fn total(&self) -> ChannelCounters {
        self.channels.iter().fold(ChannelCounters::default(), |sum, channel| ChannelCounters {
            describes: sum.describes + channel.describes,
            plays: sum.plays + channel.plays,
            sessions: sum.sessions + channel.sessions,
        })
    }
}

/// The error for a fault of a channel that the camera does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the camera has {channels} channels; there is no channel {channel}")]
pub struct NoSuchChannel {
    channel: usize,
    channels: usize,
}

/// A running camera. Dropping it stops all its tasks.
pub struct CameraSim {
    address: SocketAddr,
    http_addr: SocketAddr,
    camera: Arc<Camera>,
    web: Arc<Web>,
    world: Arc<World>,
    reboots: mpsc::Sender<Duration>,
    onvif_quirks: Arc<Switches>,
    discovery: Option<SocketAddr>,
    pulses: Pulses,
    servers: Vec<AbortHandle>,
}

impl Drop for CameraSim {
    fn drop(&mut self) {
        self.servers.iter().for_each(AbortHandle::abort); // The tasks of their clients end with them.
        self.camera.stop();
    }
}

impl CameraSim {
    /// Starts listening.
    ///
    /// # Errors
    /// When an address cannot be listened on, or a scheduled alarm is of a channel that the camera does not have.
    pub async fn start(mut options: CameraOptions) -> io::Result<Self> {
        let channels = options.channels.len();
        if let Some(alarm) = options.schedule.iter().find(|alarm| alarm.channel >= channels) {
            let what = NoSuchChannel { channel: alarm.channel, channels };
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        options.quirks.clone().apply(&mut options);
        let listener = TcpListener::bind(options.bind).await?;
        let address = listener.local_addr()?;
        let http = TcpListener::bind(options.http).await?;
        let http_addr = http.local_addr()?;
        let (reboots, reboot) = mpsc::channel(1);
        let world = Arc::new(World::new(options.channels.len()));
        if options.pattern {
            let live = |unit: &Unit| scene::streams(&unit.emulator.world);
            options.channels = world.units().iter().map(live).collect();
        }
        let lock = || Lock::new(options.credentials.clone(), options.scheme);
        let locks = [lock(), lock()];
        let other = TcpListener::bind((options.http.ip(), 0)).await?;
        let other_addr = other.local_addr()?;
        let onvif_quirks = Arc::new(Switches::of(&options.onvif.quirks));
        let ports = [address, http_addr, other_addr].map(|address| address.port());
        let site = Site::new(world.clone(), &options.channels, onvif_quirks.clone(), ports);
        let site = Arc::new(site);
        let onvif = Onvif::new(site.clone(), options.credentials.clone());
        let services: Vec<Arc<dyn web::Service>> = vec![Arc::new(onvif)];
        let odd = AnySwitches::of(&options.alarm_quirks);
        let (family, world_of) = (options.family, world.clone());
        let port = other_addr.port();
        let web = Web::new(locks, family, odd, world_of, services, reboots.clone(), port);
        let web = Arc::new(web);
        let channel = |channel| Channel::new(channel, options.audio, &options.quirks);
        let camera = Arc::new(Camera {
            channels: options.channels.into_iter().map(channel).collect(),
            make: options.family,
            credentials: options.credentials,
            scheme: options.scheme,
            transports: options.transports,
            packet_at_a_time: options.packet_at_a_time,
            join_mid_gop: options.join_mid_gop,
            session_timeout: options.session_timeout,
            quirks: options.quirks.clone(),
            connections: AtomicU64::default(),
            away: watch::Sender::new(false),
        });
        let away = camera.away.subscribe();
        let mut servers = vec![
            tokio::spawn(server::run(listener, address, camera.clone(), reboot)).abort_handle(),
            tokio::spawn(web.clone().run(http, http_addr, away.clone())).abort_handle(),
            tokio::spawn(web.clone().run(other, other_addr, away)).abort_handle(),
        ];
        for alarm in options.schedule {
            servers.push(tokio::spawn(alarm.run(world.clone())).abort_handle());
        }
        let mut discovery = None;
        if let Some(address) = options.onvif.discovery {
            let socket = discovery::listen(address)?;
            discovery = Some(socket.local_addr()?);
            servers.push(tokio::spawn(discovery::run(socket, address, site)).abort_handle());
        }
        Ok(Self {
            address,
            http_addr,
            camera,
            web,
            world,
            reboots,
            onvif_quirks,
            discovery,
            pulses: Pulses::default(),
            servers,
        })
    }

    /// The address of the RTSP server.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The address of the web server.
    pub fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    /// The address of the ONVIF device service.
    pub fn onvif_url(&self) -> String {
        format!("http://{}/onvif/device_service", self.http_addr)
    }

    /// Where Probes of WS-Discovery are answered.
    pub fn discovery_addr(&self) -> Option<SocketAddr> {
        self.discovery
    }

    /// The quirks of the ONVIF services.
    pub fn onvif_quirks(&self) -> Vec<onvif::Quirk> {
        self.onvif_quirks.on()
    }

    /// Replaces the quirks of the ONVIF services.
    pub fn set_onvif_quirks(&self, quirks: Vec<onvif::Quirk>) {
        self.onvif_quirks.set(quirks);
    }

    /// The quirks of the event streams.
    pub fn alarm_quirks(&self) -> Vec<AlarmQuirk> {
        self.web.quirks.on()
    }

    /// Replaces the quirks of the event streams; a stream keeps those that were on when it began.
    pub fn set_alarm_quirks(&self, quirks: Vec<AlarmQuirk>) {
        self.web.quirks.set(quirks);
    }

    /// The counts of requests to the web server so far.
    pub fn web_counters(&self) -> WebCounters {
        *self.web.counters().borrow()
    }

    /// The last 1000 requests to the web server, oldest first.
    pub fn web_requests(&self) -> Vec<WebRequest> {
        self.web.requests()
    }

    /// Returns once the counts of the web server satisfy `condition`.
    pub async fn wait_web(&self, condition: impl FnMut(&WebCounters) -> bool) {
        // The sender lives in `self`, so the watch cannot close.
        let _ = self.web.counters().wait_for(condition).await;
    }

    /// The faults of the web server.
    pub fn web_faults(&self) -> Vec<WebFaultRule> {
        self.web.faults()
    }

    /// Replaces the faults of the web server. A request meets the first fault whose rule fits.
    pub fn set_web_faults(&self, faults: Vec<WebFaultRule>) {
        self.web.set_faults(faults);
    }

    /// A parameter of the camera, by its full name such as `SYSTEM.Datetime.Tz.name`.
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.web.parameter(name)
    }

    /// The emulated camera of a channel with the orders that reached it; `None` where there is no such channel.
    pub fn unit(&self, channel: usize) -> Option<&Unit> {
        self.world.unit(channel)
    }

    /// The emulated cameras of all channels.
    pub fn units(&self) -> &[Unit] {
        self.world.units()
    }

    /// The address of a stream, without credentials.
    pub fn rtsp_url(&self, channel: usize, stream: Stream) -> String {
        format!("rtsp://{}/ch{channel}/{}", self.address, stream.as_str())
    }

    /// The counts of what clients did so far.
    pub fn counters(&self) -> Counters {
        Counters {
            connections: self.camera.connections.load(Ordering::Relaxed),
            channels: self.camera.channels.iter().map(Channel::counters).collect(),
        }
    }

    /// Disturbs one channel, or all of them with `None`.
    ///
    /// # Errors
    /// When the camera does not have the channel.
    pub fn inject(&self, channel: Option<usize>, fault: Fault) -> Result<(), NoSuchChannel> {
        let all = &self.camera.channels;
        let channels = match channel {
            None => &all[..],
            Some(i) => all.get(i..=i).ok_or(NoSuchChannel { channel: i, channels: all.len() })?,
        };
        match (channel, fault) {
            (None, Fault::Reboot(outage)) => {
                self.world.lose_power();
                let _ = self.reboots.try_send(outage); // Fails while the camera is already rebooting.
            }
            _ => channels.iter().for_each(|channel| disturb(channel, fault)),
        }
        Ok(())
    }

    /// [`Fault::Reboot`] of the whole camera.
    pub fn reboot(&self, outage: Duration) {
        self.inject_all(Fault::Reboot(outage));
    }

    /// [`Fault::Freeze`] of all channels.
    pub fn freeze(&self, duration: Duration) {
        self.inject_all(Fault::Freeze(duration));
    }

    /// [`Fault::ChangeParameters`] of all channels.
    pub fn change_parameters(&self) {
        self.inject_all(Fault::ChangeParameters);
    }

    fn inject_all(&self, fault: Fault) {
        self.inject(None, fault).expect("all channels exist");
    }
}

fn disturb(channel: &Channel, fault: Fault) {
    let each = |act: &dyn Fn(&StreamFaults)| {
        channel.feeds().into_iter().for_each(|feed| act(feed.faults()));
    };
    match fault {
        Fault::Reboot(outage) => channel.reboot(outage),
        Fault::Freeze(duration) => each(&|faults| faults.freeze(duration)),
        Fault::ChangeParameters => each(&StreamFaults::change_parameters),
        Fault::Jump(ticks) => each(&|faults| faults.jump(ticks)),
        Fault::Garbage => each(&StreamFaults::garbage),
        Fault::SilenceAfterDescribe(on) => {
            channel.silent_after_describe.store(on, Ordering::Relaxed);
        }
        Fault::RefuseLogin(on) => channel.refuses_login.store(on, Ordering::Relaxed),
    }
}
