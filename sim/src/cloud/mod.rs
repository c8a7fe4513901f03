//! The simulated cloud: a device endpoint, an RTMP server, a recording service, and a page to watch and steer
//! them.
//!
//! The rules of the protocol are in `ivt_proto::rpc`.

mod alarms;
mod answers;
mod api;
mod device;
mod faults;
mod feed;
mod firmware;
mod incoming;
mod ingest;
mod ledger;
mod link;
mod options;
mod packet;
mod play;
mod quirks;
mod record;
mod script;
mod serve;
mod streams;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use url::Url;

pub use alarms::{AlarmFaults, AlarmInfo, PictureInfo};
pub use answers::Answers;
pub use device::{Device, DeviceInfo, Models, NOT_ANSWERED, PONG};
pub use faults::{Authmod, Faults, FirstMetadata, LinkFaults, RtmpFault, RtmpQuirks};
pub use firmware::{FirmwareFaults, FirmwareInfo, FirmwareRequest};
pub use options::{CloudOptions, Login};
pub use packet::{Direction, Packet};
pub use quirks::{CloseQuirk, LoginQuirks, PacketQuirks};
pub use record::{
    Bodies, Calls, DropReport, RecordFault, RecordFaults, Recording, RecordingInfo, Rule,
    SegmentInfo, SegmentState, SinkInfo, Span, SpanKind, StepFault, Timeline, Violation,
};
pub use streams::{Stream, StreamInfo};

use crate::host::Hosts;
use crate::listener::{Remote, Seated};
use alarms::Album;
use device::Devices;
use firmware::Hosted;
use incoming::Incoming;
use record::Recorder;
use script::Script;
use streams::Streams;

/// Most pages and scripts connected at a time.
const PAGE_SEATS: usize = 64;

/// A running cloud. Dropping it closes everything.
pub struct CloudSim {
    cloud: Arc<Cloud>,
    servers: JoinSet<()>,
}

/// The state that all tasks of the cloud share.
pub(crate) struct Cloud {
    options: CloudOptions,
    http_addr: SocketAddr,
    rtmp_addr: SocketAddr,
    devices: Devices,
    streams: Streams,
    incoming: Incoming,
    recorder: Recorder,
    album: Album,
    hosted: Hosted,
    script: Script,
    answers: watch::Sender<Answers>,
    faults: watch::Sender<Faults>,
    shutdown: watch::Sender<bool>,
    device_seats: Arc<Semaphore>,
    page_seats: Arc<Semaphore>,
}

impl CloudSim {
    /// Listens on both ports and serves until the cloud is dropped.
    ///
    /// # Errors
    /// When a port cannot be listened on.
    pub async fn start(options: CloudOptions) -> io::Result<Self> {
        let http = TcpListener::bind(options.http).await?;
        let rtmp = TcpListener::bind(options.rtmp).await?;
        let cloud = Arc::new(Cloud {
            http_addr: http.local_addr()?,
            rtmp_addr: rtmp.local_addr()?,
            devices: Devices::new(options.max_devices.saturating_mul(4)),
            streams: Streams::new(options.ring_bytes),
            incoming: Incoming::default(),
            recorder: Recorder::new(options.record_bytes, options.record_bodies),
            album: Album::new(),
            hosted: Hosted::default(),
            script: Script::default(),
            answers: watch::Sender::new(options.answers.clone()),
            faults: watch::Sender::new(options.faults.clone()),
            shutdown: watch::Sender::new(false),
            device_seats: Arc::new(Semaphore::new(options.max_devices)),
            page_seats: Arc::new(Semaphore::new(PAGE_SEATS / 2)),
            options,
        });
        if let Some(base) = &cloud.options.public_http {
            cloud.recorder.set_base(base);
        }
        let mut servers = JoinSet::new();
        let hosts = Hosts::new(&cloud.options.hosts);
        let app =
            serve::router(cloud.clone(), hosts).into_make_service_with_connect_info::<Remote>();
        let listener = Seated::new(
            http,
            cloud.options.max_devices.saturating_mul(2).saturating_add(PAGE_SEATS),
        );
        let mut shutdown = cloud.shutdown.subscribe();
        servers.spawn(async move {
            let stop = async move { drop(shutdown.wait_for(|stop| *stop).await) };
            let _ = axum::serve(listener, app).with_graceful_shutdown(stop).await;
        });
        let ingest = cloud.clone();
        servers.spawn(async move {
            let mut shutdown = ingest.shutdown.subscribe();
            tokio::select! {
                _ = shutdown.wait_for(|stop| *stop) => {}
                () = ingest::serve(ingest.clone(), rtmp) => {}
            }
        });
        Ok(Self { cloud, servers })
    }

    /// Closes every connection and frees both ports.
    pub async fn stop(mut self) {
        self.cloud.shutdown.send_replace(true);
        // A browser may keep an idle connection open; the ports are free long before it closes.
        let servers = &mut self.servers;
        let _ =
            timeout(Duration::from_secs(1), async { while servers.join_next().await.is_some() {} })
                .await;
    }

    /// The address for devices and browsers.
    pub fn http_addr(&self) -> SocketAddr {
        self.cloud.http_addr
    }

    /// The address for publishers.
    pub fn rtmp_addr(&self) -> SocketAddr {
        self.cloud.rtmp_addr
    }

    /// The URL that a device is configured with: `ws://HOST:PORT/ivc`.
    pub fn device_url(&self) -> String {
        format!("ws://{}/ivc", self.cloud.http_addr)
    }

    /// The URL of a device with its login.
    pub fn login_url(&self, code: &str, password: &str) -> Url {
        let query = [("login_code", code), ("login_passwd", password)];
        Url::parse_with_params(&self.device_url(), query).expect("an address makes a URL")
    }

    /// The URL to which a stream is published so that it is found under `key`.
    pub fn rtmp_url(&self, key: &str) -> String {
        format!("{}{key}", self.cloud.rtmp_base())
    }

    /// The URL of the page of one device.
    pub fn page_url(&self, code: &str) -> Url {
        let base = format!("http://{}/", self.cloud.http_addr);
        Url::parse_with_params(&base, [("login_code", code)]).expect("an address makes a URL")
    }

    /// The device with this login code, whether it has called yet or not.
    ///
    /// # Panics
    /// When four times `max_devices` other codes are in use.
    pub fn device(&self, code: &str) -> Arc<Device> {
        self.cloud.devices.open(code).expect("room for another login code")
    }

    /// The stream with this key, whether it was published yet or not.
    ///
    /// # Panics
    /// When 64 other keys are in use.
    pub fn stream(&self, key: &str) -> Arc<Stream> {
        self.cloud.streams.open(key).expect("room for another stream key")
    }

    /// The counters of every stream.
    pub fn streams(&self) -> Vec<StreamInfo> {
        self.cloud.streams.list()
    }

    /// The state of every device that has called.
    pub fn devices(&self) -> Vec<DeviceInfo> {
        self.cloud.devices.list().iter().map(|device| device.info()).collect()
    }

    /// The `cbk_url` of a recording session.
    pub fn record_url(&self, session: &str) -> Url {
        let own = || Url::parse(&format!("http://{}/", self.cloud.http_addr));
        let base = self.cloud.recorder.base().map_or_else(own, Ok);
        let mut url = base.expect("an address makes a URL");
        url.path_segments_mut().expect("an http URL has a path").extend(["record", session]);
        url
    }

    /// The URL of the page with the timeline of one recording session.
    pub fn recordings_url(&self, session: &str) -> Url {
        let base = format!("http://{}/recordings", self.cloud.http_addr);
        Url::parse_with_params(&base, [("session", session)]).expect("an address makes a URL")
    }

    /// The recording session of this name, whether a device has called for it yet or not.
    ///
    /// # Panics
    /// When 64 other sessions are in use, or the name is empty or longer than 128 bytes.
    pub fn recording(&self, session: &str) -> Arc<Recording> {
        self.cloud.recorder.open(session).expect("a name, and room for another session")
    }

    /// Every recording session, oldest first.
    pub fn recordings(&self) -> Vec<RecordingInfo> {
        self.cloud.recorder.list().iter().map(|recording| recording.info()).collect()
    }

    /// The bytes of a stored segment, as long as they are kept.
    pub fn object(&self, name: &str) -> Option<Bytes> {
        self.cloud.recorder.object(name)
    }

    /// The counts of what `PUT /sink/…` received.
    pub fn sink(&self) -> SinkInfo {
        self.cloud.recorder.sink()
    }

    /// Tells devices from now on to reach this server at `base`, `https://HOST:PORT`, and not at its own
    /// address.
    pub fn set_public_base(&self, base: &Url) {
        self.cloud.recorder.set_base(base);
    }

    /// The bytes of a picture that a device sent, as long as they are kept.
    pub fn picture(&self, id: &str) -> Option<Bytes> {
        self.cloud.album.find(id)
    }

    /// Hosts an image and its signature at a new address, and offers it to devices as this version.
    ///
    /// # Errors
    /// When the image has more than 64 MiB, or cannot be written to the temporary folder.
    pub fn host_firmware(
        &self,
        version: &str,
        name: &str,
        image: &[u8],
        signature: Option<&[u8]>,
    ) -> io::Result<()> {
        self.cloud.hosted.host_bytes(name, image, signature)?;
        self.cloud.answers.send_modify(|answers| {
            answers.firmware_model = version.to_owned();
            answers.firmware_url.clear();
        });
        Ok(())
    }

    /// The firmware that is hosted, and who fetched it.
    pub fn firmware(&self) -> FirmwareInfo {
        self.cloud.hosted.info()
    }

    /// The present answers to requests of devices.
    pub fn answers(&self) -> Answers {
        self.cloud.answers.borrow().clone()
    }

    /// Replaces the answers to requests of devices.
    pub fn set_answers(&self, answers: Answers) {
        self.cloud.answers.send_replace(answers);
    }

    /// The present faults.
    pub fn faults(&self) -> Faults {
        self.cloud.faults.borrow().clone()
    }

    /// Replaces the faults.
    pub fn set_faults(&self, faults: Faults) {
        self.cloud.faults.send_replace(faults);
    }
}

impl Drop for CloudSim {
    fn drop(&mut self) {
        self.cloud.shutdown.send_replace(true);
    }
}

impl Cloud {
    /// Where devices publish, up to the key.
    fn rtmp_base(&self) -> String {
        match &self.options.public_rtmp {
            Some(public) => format!("rtmp://{public}/live/"),
            None => format!("rtmp://{}/live/", self.rtmp_addr),
        }
    }

    /// Takes a fault that may be counted down.
    fn take_fault<T>(&self, take: impl FnOnce(&mut Faults) -> Option<T>) -> Option<T> {
        let mut fault = None;
        self.faults.send_if_modified(|faults| {
            fault = take(faults);
            false // Nobody waits for a countdown.
        });
        fault
    }
}

/// The time by the clock of deadlines, which tests may pause.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests;
