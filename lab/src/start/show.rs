//! What the cloud asks of a device so that its pages show something: the picture, and a recording.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use ivt_proto::rpc::RpcError;
use ivt_sim::cloud::{CloudSim, Device};
use serde_json::json;
use url::Url;

/// The picture that the cloud asks for.
pub const STREAM: &str = "demo-live";
/// The recording that the cloud asks for.
pub const RECORDING: &str = "demo-recording";

/// A device of a cloud, and where its picture and its recording go.
#[derive(Clone)]
pub struct Show {
    device: Arc<Device>,
    rtmp: SocketAddr,
    service: Url,
}

impl Show {
    /// The device of this login code, whether it has called yet or not. It reaches the cloud on the same machine.
    pub fn new(cloud: &CloudSim, code: &str) -> Self {
        let mut service = cloud.record_url(RECORDING);
        if service.set_ip_host(near(cloud.http_addr()).ip()).is_err() {
            log::warn!(target: "lab", "{service} is no address of a machine");
        }
        Self { device: cloud.device(code), rtmp: near(cloud.rtmp_addr()), service }
    }

    /// Asks for the picture and for a recording as soon as the device has logged in. A refusal is logged.
    pub async fn run(self) {
        self.online().await;
        log::info!(target: "lab", "{} is online", self.device.code());
        for (what, asked) in
            [("RTMPPublish", self.publish().await), ("StartCloudRecord", self.record().await)]
        {
            if let Err(error) = asked {
                log::warn!(target: "lab", "{what} was refused: {error}");
            }
        }
    }

    /// Returns when the device has logged in.
    pub async fn online(&self) {
        self.device.wait_online().await;
    }

    /// Asks the device to publish its picture, and returns when it has begun.
    ///
    /// # Errors
    /// The device refuses.
    pub async fn publish(&self) -> Result<(), RpcError> {
        let params = json!({
            "channel": 0, "quality": "hd", "url": format!("rtmp://{}/live/{STREAM}", self.rtmp),
            "stream_id": STREAM, "max_bitrate": 0,
        });
        self.device.call("RTMPPublish", Some(params)).await.map(drop)
    }

    /// Asks the device to record from now on, in segments of 4 s.
    ///
    /// # Errors
    /// The device refuses.
    pub async fn record(&self) -> Result<(), RpcError> {
        let params = json!({
            "session_id": RECORDING, "channel": 0, "quality": "hd", "max_bitrate": 0,
            "seg_duration": 4, "seg_max_size": 4 << 20, "seg_max_count": 3, "prerecord_seconds": 0,
            "start_ts": 0, "cbk_url": self.service.as_str(),
        });
        self.device.call("StartCloudRecord", Some(params)).await.map(drop)
    }
}

/// The address by which this machine reaches its own server.
pub(super) fn near(address: SocketAddr) -> SocketAddr {
    match address.ip().is_unspecified() {
        true => SocketAddr::from((Ipv4Addr::LOCALHOST, address.port())),
        false => address,
    }
}
