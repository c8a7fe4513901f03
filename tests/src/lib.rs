//! Scenarios: the agent and the simulators together, over loopback. This is the stage that they share; the
//! scenarios are in `tests/tests`.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::panic)] // A stage that cannot be set up fails its test.

pub mod board;
pub mod front;
pub mod log;
pub mod memory;
pub mod picture;
pub mod recording;
pub mod server;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use tokio::net::TcpSocket;
use tokio::time::timeout;

use ivt_agent::Agent;
use ivt_agent::backoff::{Backoff, CLOUD};
use ivt_agent::channel::Reachability;
use ivt_agent::cloud::dial::TcpDial;
use ivt_agent::cloud::login::CloudLogin;
use ivt_agent::config::Config;
use ivt_agent::tls::TrustStore;
use ivt_media::clip::{BuiltIn, ClipOpener};
use ivt_proto::rpc::RpcError;
use ivt_proto::rpc::message::{ChannelState, ChannelStatus, Keepalive};
use ivt_sim::camera::{CameraOptions, CameraSim, ChannelOptions, Stream};
use ivt_sim::cloud::{CloudOptions, CloudSim, Device};

/// No wait on a stage takes longer, on any machine.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// The `login_code` of the stage's device.
pub const DEVICE: &str = "stage";

/// A simulated cloud with one agent and its cameras.
pub struct Stage {
    /// The cloud.
    pub cloud: CloudSim,
    /// The cameras, with one channel each; empty where the agent emulates them.
    pub cameras: Vec<CameraSim>,
    /// The agent.
    pub agent: Agent,
}

/// The parts of a stage.
pub struct Plan {
    /// The settings of the cloud.
    pub cloud: CloudOptions,
    /// The settings of the cameras, which have one channel each.
    pub cameras: Vec<CameraOptions>,
    /// The `login_passwd`.
    pub password: &'static str,
    /// The transport of pictures: "tcp" or "udp".
    pub transport: &'static str,
    /// TOML that is put before the channels.
    pub settings: String,
    /// TOML that is put into every channel.
    pub channel_settings: String,
}

impl Default for Plan {
    /// One camera with the built-in clips, over TCP.
    fn default() -> Self {
        Self {
            cloud: CloudOptions::default(),
            cameras: vec![camera(ClipOpener::built_in(BuiltIn::Main))],
            password: "p",
            transport: "tcp",
            settings: String::new(),
            channel_settings: String::new(),
        }
    }
}

/// A camera of one channel with `main` as its main stream.
pub fn camera(main: ClipOpener) -> CameraOptions {
    let sub = Arc::new(ClipOpener::built_in(BuiltIn::Sub));
    CameraOptions::new(vec![ChannelOptions { main: Arc::new(main), sub }])
}

/// A clip of `tests/fixtures`.
pub fn fixture(name: &str) -> ClipOpener {
    ClipOpener::file(format!("{}/fixtures/{name}", env!("CARGO_MANIFEST_DIR")))
}

/// An address of the loopback where nobody listens, kept from others while the socket lives.
pub fn closed_port() -> (SocketAddr, TcpSocket) {
    let socket = TcpSocket::new_v4().unwrap();
    // A server that is meant to listen there later can, and the port is given to nobody else.
    socket.set_reuseaddr(true).unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    (socket.local_addr().unwrap(), socket)
}

/// Waits for `event`, or fails the test after [`PATIENCE`] with what was expected.
pub async fn soon<T>(what: &str, event: impl Future<Output = T>) -> T {
    timeout(PATIENCE, event).await.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"))
}

/// Waits until `condition` holds, where there is no event to wait for.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let mut look = tokio::time::interval(Duration::from_millis(20));
    soon(what, async {
        while !condition() {
            look.tick().await;
        }
    })
    .await;
}

/// An agent that dials its cloud again within two seconds after the first three losses. Chance may take half a
/// minute, so the seed is chosen for a short delay.
pub fn hasty(config: &Config) -> Agent {
    fn short(seed: &u64) -> bool {
        let (mut backoff, mut rng) = (Backoff::new(&CLOUD), StdRng::seed_from_u64(*seed));
        (0..3).all(|_| backoff.next(&mut rng) < Duration::from_secs(2))
    }
    static SEED: LazyLock<u64> = LazyLock::new(|| (0..).find(short).unwrap());
    let trust = TrustStore::new(config.cloud.ca_file.clone()).unwrap();
    let dial = TcpDial::new(CloudLogin::of(&config.cloud).unwrap(), trust.clone());
    Agent::start_with(config, trust, Arc::new(dial), StdRng::seed_from_u64(*SEED)).unwrap()
}

impl Plan {
    /// Starts everything and waits for the login.
    pub async fn start(self) -> Stage {
        let cloud = CloudSim::start(self.cloud.clone()).await.unwrap();
        let mut cameras = Vec::new();
        for options in self.cameras.clone() {
            cameras.push(CameraSim::start(options).await.unwrap());
        }
        let agent = hasty(&self.config(&cloud, &cameras));
        let stage = Stage { cloud, cameras, agent };
        soon("the agent logs in", stage.device().wait_online()).await;
        stage
    }

    /// The agent's configuration for this cloud and these cameras.
    pub fn config(&self, cloud: &CloudSim, cameras: &[CameraSim]) -> Config {
        self.config_of(&cloud.device_url(), cameras)
    }

    /// The agent's configuration for a cloud at this address.
    pub fn config_of(&self, cloud: &str, cameras: &[CameraSim]) -> Config {
        let model = if cameras.len() == 1 { "camera" } else { "nvr" };
        let mut text = format!(
            "[cloud]\nurl = '{cloud}'\nlogin_code = '{DEVICE}'\nlogin_passwd = '{}'\n{}\n\
             [device]\nmodel = '{model}'\n",
            self.password, self.settings,
        );
        for camera in cameras {
            text += &format!(
                "[[channel]]\nbackend = 'rtsp'\nmain = '{}'\nsub = '{}'\ntransport = '{}'\n{}\n",
                camera.rtsp_url(0, Stream::Main),
                camera.rtsp_url(0, Stream::Sub),
                self.transport,
                self.channel_settings,
            );
        }
        text.parse().unwrap_or_else(|e| panic!("{e}\n{text}"))
    }
}

impl Stage {
    /// The agent as the cloud sees it.
    pub fn device(&self) -> Arc<Device> {
        self.cloud.device(DEVICE)
    }

    /// `RTMPPublish` of `quality` to the stage's own RTMP server, the stream named by its id.
    ///
    /// # Errors
    ///
    /// The agent's refusal.
    pub async fn publish(&self, channel: u32, id: &str) -> Result<Value, RpcError> {
        self.publish_to(channel, id, &self.cloud.rtmp_url(id)).await
    }

    /// `RTMPPublish` to any address.
    ///
    /// # Errors
    ///
    /// The agent's refusal.
    pub async fn publish_to(&self, channel: u32, id: &str, url: &str) -> Result<Value, RpcError> {
        let params = json!({
            "channel": channel, "quality": "hd", "url": url, "stream_id": id, "max_bitrate": 0,
        });
        self.call("RTMPPublish", params).await
    }

    /// `RTMPStopPublish`.
    ///
    /// # Errors
    ///
    /// The agent's refusal.
    pub async fn stop(&self, channel: u32, id: &str) -> Result<Value, RpcError> {
        self.call("RTMPStopPublish", json!({ "channel": channel, "stream_id": id })).await
    }

    /// Calls a method of the agent.
    ///
    /// # Errors
    ///
    /// The agent's refusal.
    pub async fn call(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        soon(method, self.device().call(method, Some(params))).await
    }

    /// Waits for a keepalive of which `wanted` is true.
    pub async fn keepalive(&self, wanted: impl Fn(&Keepalive) -> bool) -> Keepalive {
        let mut watch = self.device().keepalive();
        let kept = soon("keepalive", watch.wait_for(|k| k.as_ref().is_some_and(&wanted))).await;
        kept.unwrap().clone().unwrap()
    }

    /// Waits until the agent has `channel` in this state; its next Keepalive tells so.
    pub async fn becomes(&self, channel: usize, state: ChannelState, stream: Option<&str>) {
        until(&format!("channel {channel} is {state:?} with stream {stream:?}"), || {
            let status = &self.agent.view().channels()[channel].status;
            let now = match (&status.live, status.reachability) {
                (Some(_), _) => ChannelState::Live,
                (None, Reachability::Reachable) => ChannelState::Online,
                (None, _) => ChannelState::Offline,
            };
            now == state && status.live.as_deref() == stream
        })
        .await;
    }

    /// Waits until a Keepalive tells of `channel` in this state.
    pub async fn reported(&self, channel: u32, state: ChannelState, stream: Option<&str>) {
        let like = |c: &ChannelStatus| {
            c.channel == channel && c.state == state && c.stream_id.as_deref() == stream
        };
        self.keepalive(|k| k.channels.iter().any(like)).await;
    }
}
