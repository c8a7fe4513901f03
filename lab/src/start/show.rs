//! What the cloud asks of a device so that its pages show something: the picture, and a recording.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ivt_proto::rpc::RpcError;
use ivt_sim::cloud::{CloudSim, Device};
use serde_json::json;
use tokio::time::sleep;
use url::Url;

/// How often a device is asked that refuses.
const TRIES: u32 = 8;
/// Pause before a device that refused is asked again.
const AGAIN: Duration = Duration::from_secs(5);
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

    /// Asks for the picture and for a recording as soon as the device has logged in, and again where it refuses: the camera of
    /// a slow machine may need longer than the device waits. The last refusal is logged.
    pub async fn run(self) {
        self.online().await;
        log::info!(target: "lab", "{} is online", self.device.code());
        insist("RTMPPublish", || self.publish()).await;
        insist("StartCloudRecord", || self.record()).await;
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

/// Asks until the device agrees, [`TRIES`] times at most.
async fn insist<F: Future<Output = Result<(), RpcError>>>(what: &str, ask: impl Fn() -> F) {
    for left in (0..TRIES).rev() {
        match ask().await {
            Ok(()) => return,
            Err(error) if left == 0 => {
                log::warn!(target: "lab", "{what} was refused: {error}");
            }
            Err(error) => {
                log::debug!(target: "lab", "{what} was refused: {error}; asked again");
                sleep(AGAIN).await;
            }
        }
    }
}

/// The address by which this machine reaches its own server.
pub(super) fn near(address: SocketAddr) -> SocketAddr {
    match address.ip().is_unspecified() {
        true => SocketAddr::from((Ipv4Addr::LOCALHOST, address.port())),
        false => address,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_device_that_refuses_is_asked_again_and_not_for_ever() {
        let asked = AtomicU32::new(0);
        let refused = || RpcError { code: 103, msg: String::new() };
        insist("x", async || match asked.fetch_add(1, SeqCst) {
            0 | 1 => Err(refused()),
            _ => Ok(()),
        })
        .await;
        assert_eq!(asked.swap(0, SeqCst), 3);
        insist("x", async || {
            asked.fetch_add(1, SeqCst);
            Err(refused())
        })
        .await;
        assert_eq!(asked.load(SeqCst), TRIES);
    }
}
