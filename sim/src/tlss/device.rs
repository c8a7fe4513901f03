//! A device, known by its MAC address: what it said of itself, its sessions, and the commands for it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ivt_proto::tlss::Identity;
use serde::Serialize;
use tokio::sync::{Notify, watch};

use super::history::{Exchange, History};
use super::script::{Command, Script};
use crate::registry::{Named, Registry};

/// Most devices remembered; beyond them, the oldest that is in nobody's hands makes room.
const MAX_DEVICES: usize = 4096;
/// Most commands that wait for a device to call.
const MAX_QUEUED: usize = 64;
/// Number of calls whose time is kept.
const MAX_CALLS: usize = 4096;

/// A device as the server knows it. It exists from its first call, or from the first question about it.
#[derive(Debug)]
pub struct Device {
    mac: String,
    info: watch::Sender<DeviceInfo>,
    wishes: Mutex<Wishes>,
    /// Tells the session that a command was queued.
    pub(super) queued: Notify,
    /// Tells the session to end.
    pub(super) hang_up: Notify,
    history: Arc<History>,
}

#[derive(Debug, Default)]
struct Wishes {
    script: Option<Script>,
    queue: VecDeque<Command>,
    calls: Vec<Instant>,
}

/// The state of a device. Also a row of `/api/devices`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DeviceInfo {
    /// The MAC address, 12 hexadecimal digits in upper case.
    pub mac: String,
    /// The brand of the last call; empty before the first.
    pub brand: String,
    /// The model of the last call; empty before the first.
    pub model: String,
    /// The address from which the last call came.
    pub address: Option<SocketAddr>,
    /// Number of sessions that are open.
    pub open: u64,
    /// Number of calls with a good identity.
    pub sessions: u64,
    /// Number of sessions that have ended.
    pub ended: u64,
    /// Number of sessions that ended by `done`.
    pub done: u64,
    /// Number of replies read.
    pub replies: u64,
    /// When the device last called or said something, in milliseconds since 1970; 0 before the first call.
    pub last_seen_ms: u64,
    /// Why the last session ended.
    pub last_end: String,
    /// Time without a word before the last session ended, in milliseconds.
    pub last_silence_ms: u64,
}

impl Device {
    fn new(mac: &str, history: Arc<History>) -> Self {
        let info = DeviceInfo { mac: mac.to_owned(), ..DeviceInfo::default() };
        Self {
            mac: mac.to_owned(),
            info: watch::Sender::new(info),
            wishes: Mutex::default(),
            queued: Notify::new(),
            hang_up: Notify::new(),
            history,
        }
    }

    /// The MAC address, 12 hexadecimal digits in upper case.
    pub fn mac(&self) -> &str {
        &self.mac
    }

    /// The state at this moment.
    pub fn info(&self) -> DeviceInfo {
        self.info.borrow().clone()
    }

    /// Returns the state once it satisfies `condition`.
    pub async fn wait_for(&self, condition: impl FnMut(&DeviceInfo) -> bool) -> DeviceInfo {
        let mut info = self.info.subscribe();
        // The sender lives in `self`, so the watch cannot close.
        info.wait_for(condition).await.map_or_else(|_| self.info(), |info| info.clone())
    }

    /// Returns the state once `count` sessions have ended by `done`.
    pub async fn wait_done(&self, count: u64) -> DeviceInfo {
        self.wait_for(|info| info.done >= count).await
    }

    /// Returns the state once `count` sessions have ended in any way.
    pub async fn wait_ended(&self, count: u64) -> DeviceInfo {
        self.wait_for(|info| info.ended >= count).await
    }

    /// Returns the exchanges once `count` replies have been read.
    pub async fn wait_replies(&self, count: u64) -> Vec<Arc<Exchange>> {
        self.wait_for(|info| info.replies >= count).await;
        self.exchanges()
    }

    /// The exchanges that are kept, oldest first.
    pub fn exchanges(&self) -> Vec<Arc<Exchange>> {
        self.history.of(&self.mac)
    }

    /// The times of the last 4096 calls.
    pub fn calls(&self) -> Vec<Instant> {
        self.wishes().calls.clone()
    }

    /// Sends a command at once, or first when the device calls next. `false` when 64 commands are waiting
    /// already.
    pub fn send(&self, command: Command) -> bool {
        let mut wishes = self.wishes();
        if wishes.queue.len() >= MAX_QUEUED {
            return false;
        }
        wishes.queue.push_back(command);
        self.queued.notify_one();
        true
    }

    /// Commands that wait for the device.
    pub fn waiting(&self) -> Vec<Command> {
        self.wishes().queue.iter().cloned().collect()
    }

    /// The device's own script; `None` when it has the common one.
    pub fn script(&self) -> Option<Script> {
        self.wishes().script.clone()
    }

    /// Sets the device's own script from the next call on; `None` gives it the common one.
    pub fn set_script(&self, script: Option<Script>) {
        self.wishes().script = script;
    }

    /// Closes the device's connection, if one is open.
    pub fn hang_up(&self) {
        self.hang_up.notify_waiters();
    }

    pub(super) fn next_queued(&self) -> Option<Command> {
        self.wishes().queue.pop_front()
    }

    /// Begins a session and returns its number.
    pub(super) fn begin(&self, identity: &Identity, peer: SocketAddr, now: Instant) -> u64 {
        let mut wishes = self.wishes();
        if wishes.calls.len() == MAX_CALLS {
            wishes.calls.remove(0);
        }
        wishes.calls.push(now);
        drop(wishes);
        self.change(|info| {
            info.brand = identity.brand().to_owned();
            info.model = identity.model().to_owned();
            info.address = Some(peer);
            info.open += 1;
            info.sessions += 1;
            info.sessions
        })
    }

    pub(super) fn end(&self, why: &str, done: bool, silence_ms: u64) {
        self.change(|info| {
            info.open -= 1;
            info.ended += 1;
            info.done += u64::from(done);
            info.last_end = why.to_owned();
            info.last_silence_ms = silence_ms;
        });
    }

    pub(super) fn record(&self, exchange: Exchange) {
        let replied = exchange.outcome.is_ok();
        self.history.push(exchange);
        self.change(|info| info.replies += u64::from(replied));
    }

    fn change<T>(&self, change: impl FnOnce(&mut DeviceInfo) -> T) -> T {
        let mut made = None;
        self.info.send_modify(|info| {
            info.last_seen_ms = super::unix_ms();
            made = Some(change(info));
        });
        made.expect("the closure was called")
    }

    fn wishes(&self) -> MutexGuard<'_, Wishes> {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Named for Device {
    fn is_named(&self, mac: &str) -> bool {
        self.mac == mac
    }
}

/// All devices.
#[derive(Debug)]
pub(super) struct Devices {
    all: Registry<Device>,
    pub(super) history: Arc<History>,
}

impl Devices {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { all: Registry::new(MAX_DEVICES), history: Arc::new(History::new(max_bytes)) }
    }

    /// The device of this address, made if it is not known; `None` when the address is none, or there is no
    /// room.
    pub(super) fn open(&self, mac: &str) -> Option<Arc<Device>> {
        let mac = normal(mac)?;
        self.all.open(&mac, |_| Some(()), || Device::new(&mac, self.history.clone()))
    }

    /// The device of this address; `None` if it is not known.
    pub(super) fn find(&self, mac: &str) -> Option<Arc<Device>> {
        self.all.find(&normal(mac)?)
    }

    /// Every device, oldest first.
    pub(super) fn list(&self) -> Vec<Arc<Device>> {
        self.all.list()
    }
}

/// The MAC address in the form of `001323A007AD`, also of `00:13:23:a0:07:ad`.
fn normal(mac: &str) -> Option<String> {
    let digits = mac.replace([':', '-'], "").to_ascii_uppercase();
    let good = digits.len() == 12 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    good.then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_the_same_however_its_address_is_written() {
        let devices = Devices::new(0);
        let device = devices.open("00:13:23:a0:07:ad").unwrap();
        assert_eq!(device.mac(), "001323A007AD");
        assert!(Arc::ptr_eq(&device, &devices.open("001323A007AD").unwrap()));
        for wrong in ["", "001323A007A", "001323A007AG", "001323A007AD0"] {
            assert!(devices.open(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn the_oldest_device_that_nobody_holds_makes_room() {
        let devices = Devices::new(0);
        let held = devices.open("000000000000").unwrap();
        for n in 1..=MAX_DEVICES {
            assert!(devices.open(&format!("{n:012X}")).is_some(), "{n}");
        }
        let all = devices.list();
        assert_eq!(all.len(), MAX_DEVICES);
        assert!(Arc::ptr_eq(&all[0], &held) && all[1].mac() == "000000000002");
        assert!(devices.open("ffffffffffff").is_none(), "all are held");
    }

    #[test]
    fn commands_that_wait_are_bounded() {
        let devices = Devices::new(0);
        let device = devices.open("001323A007AD").unwrap();
        assert!((0..MAX_QUEUED).all(|_| device.send(Command::new("/a"))));
        assert!(!device.send(Command::new("/b")));
        assert_eq!((device.next_queued(), device.waiting().len()), (Some(Command::new("/a")), 63));
    }
}
