//! The settings of the cloud.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use url::Url;

use super::answers::Answers;
use super::faults::Faults;
use super::record::Bodies;

/// The settings of the cloud.
#[derive(Clone, Debug)]
pub struct CloudOptions {
    /// Address for devices and browsers; port 0 lets the kernel choose.
    pub http: SocketAddr,
    /// Address for publishers; port 0 lets the kernel choose.
    pub rtmp: SocketAddr,
    /// Where devices reach `http`, if by a gateway or a bad network: `http://HOST:PORT`.
    pub public_http: Option<Url>,
    /// Where devices reach `rtmp` then: `HOST:PORT`.
    pub public_rtmp: Option<String>,
    /// Names by which pages and scripts may call, beside `localhost`, the machine's own and the address.
    pub hosts: Vec<String>,
    /// The logins that are accepted; empty accepts every login code.
    pub logins: Vec<Login>,
    /// A device without a keepalive for this time is hung up on.
    pub patience: Duration,
    /// Most devices connected at a time.
    pub max_devices: usize,
    /// Bytes of each stream that are kept for players that come later.
    pub ring_bytes: usize,
    /// Bytes of recordings that are kept; the oldest are dropped first.
    pub record_bytes: u64,
    /// The part of recordings that is kept.
    pub record_bodies: Bodies,
    /// The answers to requests of devices.
    pub answers: Answers,
    /// The faults at the start.
    pub faults: Faults,
}

impl Default for CloudOptions {
    /// Loopback and free ports, any login, 30 s of patience, 64 devices, rings of 8 MiB, recordings of 256 MiB.
    fn default() -> Self {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            http: loopback,
            rtmp: loopback,
            public_http: None,
            public_rtmp: None,
            hosts: Vec::new(),
            logins: Vec::new(),
            patience: Duration::from_secs(30),
            max_devices: 64,
            ring_bytes: 8 << 20,
            record_bytes: 256 << 20,
            record_bodies: Bodies::Keep,
            answers: Answers::default(),
            faults: Faults::default(),
        }
    }
}

/// A login that the cloud accepts.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The `login_code`.
    pub code: String,
    /// The `login_passwd`, which is never printed.
    pub password: String,
}

impl Login {
    /// Whether `known` is empty or holds this pair.
    pub(super) fn accepted(known: &[Self], code: &str, password: &str) -> bool {
        known.is_empty() || known.iter().any(|l| l.code == code && l.password == password)
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("code", &self.code).finish_non_exhaustive()
    }
}
