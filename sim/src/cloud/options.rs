//! How the cloud is set up.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::answers::Answers;
use super::faults::Faults;
use super::record::Bodies;

/// How the cloud is set up.
#[derive(Clone, Debug)]
pub struct CloudOptions {
    /// Where devices and browsers connect; port 0 takes a free one.
    pub http: SocketAddr,
    /// Where streams are published; port 0 takes a free one.
    pub rtmp: SocketAddr,
    /// Who may log in; empty: anybody with a login code.
    pub logins: Vec<Login>,
    /// A device without a keepalive for so long is hung up on.
    pub patience: Duration,
    /// Devices connected at a time.
    pub max_devices: usize,
    /// Bytes of each stream kept for players that come late.
    pub ring_bytes: usize,
    /// Bytes of recordings kept; the oldest go first.
    pub record_bytes: u64,
    /// What is kept of recordings.
    pub record_bodies: Bodies,
    /// What devices are answered.
    pub answers: Answers,
    /// Faults that are on from the start.
    pub faults: Faults,
}

impl Default for CloudOptions {
    /// Loopback, free ports, anybody may log in, 30 s of patience, 64 devices, rings of 8 MiB,
    /// recordings of 256 MiB.
    fn default() -> Self {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            http: loopback,
            rtmp: loopback,
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

/// A login the cloud accepts.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// `login_code`.
    pub code: String,
    /// `login_passwd`; never printed.
    pub password: String,
}

impl Login {
    /// True if `known` is empty or holds this pair.
    pub(super) fn accepted(known: &[Self], code: &str, password: &str) -> bool {
        known.is_empty() || known.iter().any(|l| l.code == code && l.password == password)
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("code", &self.code).finish_non_exhaustive()
    }
}
