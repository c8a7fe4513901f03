//! What a device said of itself in the whole run, beside what a case asked.

use std::collections::VecDeque;
use std::time::Instant;

use serde_json::Value;

/// Most requests kept of a connection, and most connections.
const MOST: usize = 256;
/// Times within [`CONTEST_MS`] that a login may be taken over. One device alone does so each time its network was cut.
const MOST_TAKEN: usize = 5;
const CONTEST_MS: u64 = 60_000;

/// One connection of the device.
#[derive(Debug, Default)]
pub struct Connection {
    /// When the login came, in milliseconds since 1970.
    pub login_ms: u64,
    /// The requests of the device, in their order, as far as they are kept.
    pub requests: Vec<Request>,
}

/// A request of the device.
#[derive(Clone, Debug)]
pub struct Request {
    /// When it was heard.
    pub at: Instant,
    /// When it came, in milliseconds since 1970.
    pub time_ms: u64,
    /// The method.
    pub method: String,
    /// The `seq` as it came.
    pub seq: Value,
    /// The `params` as they came; null where there were none.
    pub params: Value,
}

/// All connections of the run, the newest last.
#[derive(Debug, Default)]
pub struct Heard {
    connections: Vec<Connection>,
    /// Number of logins, also of those that are no longer kept.
    logins: usize,
    /// When the login was taken over of late, in milliseconds since 1970.
    taken: VecDeque<u64>,
}

impl Heard {
    /// Begins a connection, whose login came at this time in milliseconds since 1970.
    pub fn login(&mut self, login_ms: u64) {
        self.logins += 1;
        if self.connections.len() == MOST {
            self.connections.remove(0);
        }
        self.connections.push(Connection { login_ms, requests: Vec::new() });
    }

    /// Number of logins so far.
    pub fn logins(&self) -> usize {
        self.logins
    }

    /// Notes that a login took over an open connection, and returns why the run is over where two devices contend for it.
    pub fn taken_over(&mut self, time_ms: u64) -> Option<String> {
        self.taken.push_back(time_ms);
        self.taken.retain(|taken| time_ms.saturating_sub(*taken) < CONTEST_MS);
        if self.taken.len() <= MOST_TAKEN {
            return None;
        }
        let (times, secs) = (std::mem::take(&mut self.taken).len(), CONTEST_MS / 1_000);
        Some(format!(
            "two devices log in with this code: within {secs} s one took over the connection of the other {times} times"
        ))
    }

    /// Notes a packet of the device that came at this time, if it is a request.
    pub fn packet(&mut self, packet: &Value, time_ms: u64) {
        let Some(method) = packet.get("req").and_then(Value::as_str) else { return };
        let Some(connection) = self.connections.last_mut() else { return };
        if connection.requests.len() < MOST {
            connection.requests.push(Request {
                at: Instant::now(),
                time_ms,
                method: method.chars().take(64).collect(),
                seq: packet.get("seq").cloned().unwrap_or_default(),
                params: packet.get("params").cloned().unwrap_or_default(),
            });
        }
    }

    /// The connections, the oldest first.
    pub fn connections(&self) -> &[Connection] {
        &self.connections
    }

    /// The requests of this method in the newest connection, from the `skip`th on.
    pub fn newest(&self, method: &str) -> impl Iterator<Item = &Request> {
        let newest = self.connections.last().map_or(&[][..], |last| &last.requests);
        newest.iter().filter(move |request| request.method == method)
    }
}
