//! A device and a cloud in virtual time, joined in memory.

use std::time::{Duration, Instant};

use ivt_proto::rpc::{CallId, Peer, RpcError, Violation};
use serde_json::{Value, json};

use crate::origin;

pub type Reply = (CallId, Result<Value, RpcError>);

pub struct Pair {
    pub device: Peer,
    pub cloud: Peer,
    pub start: Instant,
    pub now: Instant,
}

impl Pair {
    pub fn new() -> Self {
        let now = origin();
        Self { device: Peer::default(), cloud: Peer::default(), start: now, now }
    }

    /// Carries every message across, both ways, until none is left.
    pub fn exchange(&mut self) -> Result<(), Violation> {
        loop {
            let up = carry(&mut self.device, &mut self.cloud, self.now)?;
            let down = carry(&mut self.cloud, &mut self.device, self.now)?;
            if up + down == 0 {
                return Ok(());
            }
        }
    }

    /// Jumps to the next deadline of either, and lets both act on it.
    pub fn jump(&mut self) -> Result<(), Violation> {
        let deadlines = [self.device.poll_timeout(), self.cloud.poll_timeout()];
        self.now = deadlines.into_iter().flatten().min().unwrap();
        self.device.handle_timeout(self.now)?;
        self.cloud.handle_timeout(self.now)?;
        self.exchange()
    }

    pub fn advance(&mut self, by: Duration) {
        self.now += by;
    }

    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// A request to the device about one channel, sent by a cloud that does not wait for answers.
    pub fn ask(&mut self, seq: u64, channel: u32) -> Result<(), Violation> {
        self.device.handle_text(self.now, &request("GetNetConfig", Some(channel), seq))
    }

    /// The answers the device would send now, as (seq, error code; 0 for success).
    pub fn answers(&mut self) -> Vec<(u64, i64)> {
        std::iter::from_fn(|| self.device.poll_transmit()).map(|text| outcome(&text)).collect()
    }
}

pub fn outcome(answer: &str) -> (u64, i64) {
    let answer: Value = serde_json::from_str(answer).unwrap();
    let code = answer["err"]["code"].as_i64().unwrap_or(0);
    assert_eq!(code == 0, answer.get("resp").is_some(), "{answer}");
    (answer["seq"].as_u64().unwrap(), code)
}

pub fn request(method: &str, channel: Option<u32>, seq: u64) -> String {
    match channel {
        Some(channel) => json!({ "req": method, "params": { "channel": channel }, "seq": seq }),
        None => json!({ "req": method, "seq": seq }),
    }
    .to_string()
}

fn carry(from: &mut Peer, to: &mut Peer, now: Instant) -> Result<usize, Violation> {
    let mut carried = 0;
    while let Some(text) = from.poll_transmit() {
        to.handle_text(now, &text)?;
        carried += 1;
    }
    Ok(carried)
}
