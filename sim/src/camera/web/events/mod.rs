//! What clients that listen are told: the changes of the emulated cameras, in the words of a family.

mod quirk;

use std::net::IpAddr;
use std::sync::Arc;

use futures::future::select_all;
use ivt_hal::Trigger;
use tokio::sync::broadcast::Receiver;

pub use quirk::{AlarmQuirk, UnknownAlarmQuirk, listing};

use crate::camera::world::World;

/// What a trigger of a channel, counted from 0, became.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    pub channel: usize,
    pub trigger: Trigger,
    pub active: bool,
}

/// The words in which a family tells a client of alarms.
pub trait Dialect: Send + Sync {
    /// Whether the heads of answers are part of what is said.
    fn writes_heads(&self) -> bool {
        false
    }
    /// What is said first. Changes are heard from before this on.
    fn begin(&mut self) -> Vec<u8>;
    /// What is said of a change.
    fn change(&mut self, change: Change) -> Vec<u8>;
    /// What is said once a second.
    fn second(&mut self) -> Vec<u8>;
    /// The reply to bytes that the client sends while it listens.
    fn asked(&mut self, _bytes: &[u8]) -> Vec<u8> {
        Vec::new()
    }
}

/// What a dialect tells about: the cameras, the address that the client dialled, and the quirks that were on then.
#[derive(Clone)]
pub struct Subject {
    pub world: Arc<World>,
    pub host: IpAddr,
    pub quirks: Vec<AlarmQuirk>,
}

impl Subject {
    pub fn has(&self, quirk: AlarmQuirk) -> bool {
        self.quirks.contains(&quirk)
    }
}

/// The changes of all cameras from a moment on, at most 256 of each that nobody took yet.
pub struct Ear(Vec<Receiver<(Trigger, bool)>>);

impl Ear {
    /// Hears from now on.
    pub fn open(world: &World) -> Self {
        Self(world.units().iter().map(|unit| unit.emulator.world.changes()).collect())
    }

    /// The next change of any camera; `None` once so many were missed that a client has to listen anew.
    pub async fn next(&mut self) -> Option<Change> {
        let all = self.0.iter_mut().map(|receiver| Box::pin(receiver.recv()));
        let (change, channel, _) = select_all(all).await;
        change.ok().map(|(trigger, active)| Change { channel, trigger, active })
    }
}

/// Subjects for tests of dialects.
#[cfg(test)]
pub mod testutil {
    use std::net::Ipv4Addr;

    use super::*;

    /// What a client on the loopback is told about.
    pub fn subject(world: &Arc<World>, quirks: &[AlarmQuirk]) -> Subject {
        let host = Ipv4Addr::LOCALHOST.into();
        Subject { world: world.clone(), host, quirks: quirks.to_vec() }
    }
}
