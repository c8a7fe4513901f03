//! A server of the hosted service (TLSS) for QA and tests: it shows on a page who called and what was asked and
//! answered, and does what a bad server does.
//! The frames of the protocol are in `ivt_proto::tlss`.

mod api;
mod device;
mod faults;
mod history;
mod reading;
mod reply;
mod script;
mod serve;
mod session;
mod stored;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;
use url::Url;

pub use device::{Device, DeviceInfo};
pub use faults::{Ending, TlssFaults, WireFault};
pub use history::Exchange;
pub use reading::Reading;
pub use reply::Reply;
pub use script::{Command, Script, ScriptError};
pub use stored::{Stored, Unstored};

use crate::host::Hosts;
use crate::listener::{Remote, Seated};
use device::Devices;
use reading::Reader;

/// Most pages and scripts connected at a time.
const PAGE_SEATS: usize = 64;
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// The settings of the server.
#[derive(Clone, Debug)]
pub struct TlssOptions {
    /// Address for devices; port 0 lets the kernel choose.
    pub bind: SocketAddr,
    /// Address for browsers; port 0 lets the kernel choose.
    pub http: SocketAddr,
    /// Names by which pages and scripts may call, beside `localhost`, the machine's own and the address.
    pub hosts: Vec<String>,
    /// How the end of a reply is found.
    pub reading: Reading,
    /// Longest wait for the first byte of a reply.
    pub patience: Duration,
    /// The commands for every device without a script of its own.
    pub script: Script,
    /// The faults at the start.
    pub faults: TlssFaults,
    /// Most devices connected at a time; more wait.
    pub max_sessions: usize,
    /// Longest reply, in bytes.
    pub max_reply: usize,
    /// Bytes of replies that are kept; the oldest are dropped first.
    pub kept_bytes: usize,
}

impl Default for TlssOptions {
    /// Loopback and free ports, replies read as deployed servers do with 2 s of silence, 30 s of patience, the
    /// typical session, 1024 sessions, replies of 8 MiB, 32 MiB kept.
    fn default() -> Self {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            bind: loopback,
            http: loopback,
            hosts: Vec::new(),
            reading: Reading::Silence(Duration::from_secs(2)),
            patience: Duration::from_secs(30),
            script: Script::typical(),
            faults: TlssFaults::default(),
            max_sessions: 1024,
            max_reply: 8 << 20,
            kept_bytes: 32 << 20,
        }
    }
}

/// A running server. Dropping it closes everything.
pub struct TlssSim {
    server: Arc<Server>,
    http_addr: SocketAddr,
    _tasks: JoinSet<()>,
}

/// The state that all tasks of the server share.
struct Server {
    addr: SocketAddr,
    devices: Devices,
    reader: Reader,
    script: watch::Sender<Script>,
    faults: watch::Sender<TlssFaults>,
    max_reply: usize,
    connections: AtomicU64,
    rejected: watch::Sender<u64>,
}

impl TlssSim {
    /// Listens on both ports and serves until the server is dropped.
    ///
    /// # Errors
    /// When a port cannot be listened on.
    pub async fn start(options: TlssOptions) -> io::Result<Self> {
        let listener = TcpListener::bind(options.bind).await?;
        let http = TcpListener::bind(options.http).await?;
        let http_addr = http.local_addr()?;
        let server = Arc::new(Server {
            addr: listener.local_addr()?,
            devices: Devices::new(options.kept_bytes),
            reader: Reader::new(options.reading, options.patience),
            script: watch::Sender::new(options.script),
            faults: watch::Sender::new(options.faults),
            max_reply: options.max_reply,
            connections: AtomicU64::default(),
            rejected: watch::Sender::default(),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(server.clone(), listener, options.max_sessions));
        let hosts = Hosts::new(&options.hosts);
        let app = serve::router(server.clone(), hosts);
        let app = app.into_make_service_with_connect_info::<Remote>();
        tasks.spawn(async move {
            let _ = axum::serve(Seated::new(http, PAGE_SEATS), app).await;
        });
        Ok(Self { server, http_addr, _tasks: tasks })
    }

    /// The address for devices.
    pub fn addr(&self) -> SocketAddr {
        self.server.addr
    }

    /// The address for browsers.
    pub fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    /// The URL of the page of one device.
    pub fn page_url(&self, mac: &str) -> Url {
        let base = format!("http://{}/", self.http_addr);
        Url::parse_with_params(&base, [("mac", mac)]).expect("an address makes a URL")
    }

    /// The device of this MAC address, whether it has called yet or not. Colons and case do not matter.
    ///
    /// # Panics
    /// When the address is none, or 4096 other devices are in use.
    pub fn device(&self, mac: &str) -> Arc<Device> {
        self.server.devices.open(mac).expect("a MAC address, and room for another device")
    }

    /// The state of every device that has called or was asked about.
    pub fn devices(&self) -> Vec<DeviceInfo> {
        self.server.devices.list().iter().map(|device| device.info()).collect()
    }

    /// Number of connections accepted since the start.
    pub fn connections(&self) -> u64 {
        self.server.connections.load(Relaxed)
    }

    /// Number of connections that made no session: refused on request, or without a good identity.
    pub fn rejected(&self) -> u64 {
        *self.server.rejected.borrow()
    }

    /// Returns once `count` connections have made no session.
    pub async fn wait_rejected(&self, count: u64) {
        // The sender lives in `self`, so the watch cannot close.
        let _ = self.server.rejected.subscribe().wait_for(|rejected| *rejected >= count).await;
    }

    /// The commands for every device without a script of its own.
    pub fn script(&self) -> Script {
        self.server.script.borrow().clone()
    }

    /// Sets the commands for every device without a script of its own, from the next call on.
    pub fn set_script(&self, script: Script) {
        self.server.script.send_replace(script);
    }

    /// The present faults.
    pub fn faults(&self) -> TlssFaults {
        self.server.faults.borrow().clone()
    }

    /// Replaces the faults, for sessions that begin afterwards.
    pub fn set_faults(&self, faults: TlssFaults) {
        self.server.faults.send_replace(faults);
    }
}

async fn accept(server: Arc<Server>, listener: TcpListener, max_sessions: usize) {
    let seats = Arc::new(Semaphore::new(max_sessions));
    let mut sessions = JoinSet::new();
    loop {
        let seat = seats.clone().acquire_owned().await;
        while sessions.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, peer)) => {
                server.connections.fetch_add(1, Relaxed);
                let server = server.clone();
                sessions.spawn(async move {
                    if let Err(reason) = session::serve(&server, stream, peer).await {
                        log::info!(target: "tlss", "{peer}: {reason}");
                        server.rejected.send_modify(|rejected| *rejected += 1);
                    }
                    drop(seat);
                });
            }
            Err(error) => {
                log::warn!(target: "tlss", "accept: {error}");
                sleep(RETRY_AFTER).await; // Without a pause this would spin while descriptors are lacking.
            }
        }
    }
}

/// The time in milliseconds since 1970; 0 before.
fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
