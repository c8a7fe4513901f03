//! A device of the cloud, known by its login code: its present connection, its packets, and its last report.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ivt_proto::rpc::RpcError;
use ivt_proto::rpc::message::Keepalive;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::alarms::{AlarmInfo, AlarmLog, PictureInfo, secret};
use super::now;
use super::packet::{Direction, History, Packet, unix_ms};
use crate::registry::{Named, Registry};

/// Number of packets that a slow reader may be behind before it loses some.
const FEED: usize = 1024;
/// Number of commands that may wait for the task of a connection.
const COMMANDS: usize = 64;
/// Number of logins whose time is kept.
const MAX_LOGINS: usize = 4096;

/// A device as the cloud knows it. It exists from its first login, or from the first question about it, and
/// outlives its connections.
#[derive(Debug)]
pub struct Device {
    code: String,
    log: Mutex<Log>,
    feed: broadcast::Sender<Arc<Packet>>,
    link: watch::Sender<Option<Link>>,
    keepalive: watch::Sender<Option<Keepalive>>,
    alarms: watch::Sender<AlarmLog>,
    /// The secret of the address for its previews.
    preview_token: String,
}

/// The names that a device gave at its login.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Models {
    /// The value of `hardware_model` at the login.
    pub hardware_model: String,
    /// The value of `firmware_model` at the login.
    pub firmware_model: String,
}

/// The present connection of a device, as other tasks reach it.
#[derive(Clone, Debug)]
pub(super) struct Link {
    id: u64,
    commands: mpsc::Sender<Command>,
}

/// An order to the task of a connection.
#[derive(Debug)]
pub(super) enum Command {
    Call { method: String, params: Option<Value>, reply: oneshot::Sender<Result<Value, RpcError>> },
    Notify { event: String, params: Option<Value> },
    Raw(String),
    Pieces(String),
    Binary(Vec<u8>),
    Ping,
    HangUp,
}

#[derive(Debug, Default)]
struct Log {
    history: History,
    models: Models,
    logins: u64,
    times: Vec<Instant>,
    last_seen_ms: u64,
}

/// The state of a device. Also a row of `/api/devices`.
#[derive(Clone, Debug, Serialize)]
pub struct DeviceInfo {
    /// The code by which the device logs in.
    pub login_code: String,
    /// Whether a connection is open.
    pub online: bool,
    /// Number of logins accepted since the start.
    pub logins: u64,
    /// Number of packets and notes recorded since the start.
    pub packets: u64,
    /// When the last packet came, in milliseconds since 1970; 0 before the first.
    pub last_seen_ms: u64,
    /// The names that the device gave at its last login.
    #[serde(flatten)]
    pub models: Models,
    /// The last keepalive; `None` before the first.
    pub keepalive: Option<Keepalive>,
}

/// Code of an [`RpcError`] that the simulator made: nothing was sent, or the connection ended before the
/// answer.
pub const NOT_ANSWERED: i64 = 0;

/// The note among the packets that tells of a pong.
pub const PONG: &str = "pong";

impl Device {
    fn new(code: &str) -> Self {
        Self {
            code: code.to_owned(),
            log: Mutex::default(),
            feed: broadcast::Sender::new(FEED),
            link: watch::Sender::new(None),
            keepalive: watch::Sender::new(None),
            alarms: watch::Sender::default(),
            preview_token: secret(),
        }
    }

    /// The code by which the device logs in.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// Returns when a connection is open.
    pub async fn wait_online(&self) {
        let _ = self.link.subscribe().wait_for(Option::is_some).await;
    }

    /// Returns when no connection is open.
    pub async fn wait_offline(&self) {
        let _ = self.link.subscribe().wait_for(Option::is_none).await;
    }

    /// Sends a request and waits for its answer or for the end of the connection, which an answer later than 20
    /// s ends. An empty answer is `{}`, however the device spells it.
    ///
    /// # Errors
    /// The device's own error, or one with the code [`NOT_ANSWERED`].
    pub async fn call(&self, method: &str, params: Option<Value>) -> Result<Value, RpcError> {
        let resp = self.ask(method, params).await?;
        let empty = resp.is_null() || resp == "";
        Ok(if empty { json!({}) } else { resp })
    }

    /// As [`call`](Self::call), with the `resp` of the answer as it came, also `""` and `null`.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn ask(&self, method: &str, params: Option<Value>) -> Result<Value, RpcError> {
        let (reply, answer) = oneshot::channel();
        self.command(Command::Call { method: method.to_owned(), params, reply }).await?;
        answer.await.unwrap_or_else(|_| Err(self.offline("the connection ended before the answer")))
    }

    /// Sends an event.
    ///
    /// # Errors
    /// When no connection is open, or it ends at this moment.
    pub async fn notify(&self, event: &str, params: Option<Value>) -> Result<(), RpcError> {
        self.command(Command::Notify { event: event.to_owned(), params }).await
    }

    /// Sends a text unchanged, well formed or not. An answer to it is found among the packets only.
    ///
    /// # Errors
    /// When no connection is open, or it ends at this moment.
    pub async fn send_raw(&self, text: impl Into<String>) -> Result<(), RpcError> {
        self.command(Command::Raw(text.into())).await
    }

    /// As [`send_raw`](Self::send_raw), in a message of several frames that cut it anywhere.
    ///
    /// # Errors
    /// When no connection is open, or it ends at this moment.
    pub async fn send_pieces(&self, text: impl Into<String>) -> Result<(), RpcError> {
        self.command(Command::Pieces(text.into())).await
    }

    /// Sends a binary message.
    ///
    /// # Errors
    /// When no connection is open, or it ends at this moment.
    pub async fn send_binary(&self, bytes: impl Into<Vec<u8>>) -> Result<(), RpcError> {
        self.command(Command::Binary(bytes.into())).await
    }

    /// Sends a ping of the WebSocket. The pong is a note among the packets: [`PONG`].
    ///
    /// # Errors
    /// When no connection is open, or it ends at this moment.
    pub async fn ping(&self) -> Result<(), RpcError> {
        self.command(Command::Ping).await
    }

    /// Closes the connection.
    ///
    /// # Errors
    /// When no connection is open, or it ends at this moment.
    pub async fn hang_up(&self) -> Result<(), RpcError> {
        self.command(Command::HangUp).await
    }

    /// The packets kept so far, oldest first, and a receiver of all that follow.
    pub fn packets(&self) -> (Vec<Arc<Packet>>, broadcast::Receiver<Arc<Packet>>) {
        let log = self.lock();
        (log.history.iter().cloned().collect(), self.feed.subscribe())
    }

    /// The last keepalive; `None` before the first.
    pub fn keepalive(&self) -> watch::Receiver<Option<Keepalive>> {
        self.keepalive.subscribe()
    }

    /// The alarms that are kept, oldest first.
    pub fn alarms(&self) -> Vec<AlarmInfo> {
        self.alarms.borrow().alarms().cloned().collect()
    }

    /// The previews that are kept, oldest first.
    pub fn previews(&self) -> Vec<PictureInfo> {
        self.alarms.borrow().previews().cloned().collect()
    }

    /// Returns the alarms that are kept, oldest first, once they satisfy `condition`.
    pub async fn wait_alarms(
        &self,
        mut condition: impl FnMut(&[AlarmInfo]) -> bool,
    ) -> Vec<AlarmInfo> {
        let mut changes = self.alarms.subscribe();
        loop {
            let alarms: Vec<_> = changes.borrow_and_update().alarms().cloned().collect();
            // The sender lives in `self`, so the watch cannot close.
            if condition(&alarms) || changes.changed().await.is_err() {
                return alarms;
            }
        }
    }

    /// Returns the previews that are kept, oldest first, once there are so many.
    pub async fn wait_previews(&self, count: usize) -> Vec<PictureInfo> {
        let _ = self.alarms.subscribe().wait_for(|log| log.previews().count() >= count).await;
        self.previews()
    }

    /// Number of logins accepted since the start.
    pub fn logins(&self) -> u64 {
        self.lock().logins
    }

    /// The times of the first 4,096 logins.
    pub fn login_times(&self) -> Vec<Instant> {
        self.lock().times.clone()
    }

    /// The state of the device at this moment.
    pub fn info(&self) -> DeviceInfo {
        let log = self.lock();
        DeviceInfo {
            login_code: self.code.clone(),
            online: self.online(),
            logins: log.logins,
            packets: log.history.total(),
            last_seen_ms: log.last_seen_ms,
            models: log.models.clone(),
            keepalive: self.keepalive.borrow().clone(),
        }
    }

    /// Whether a connection is open.
    pub fn online(&self) -> bool {
        self.link.borrow().is_some()
    }

    /// The present connection, as it changes; `None` while there is none.
    pub(super) fn online_changes(&self) -> watch::Receiver<Option<Link>> {
        self.link.subscribe()
    }

    /// Makes a new connection the present one; the older one learns of it and closes.
    pub(super) fn attach(&self, models: Models) -> (Attachment<'_>, mpsc::Receiver<Command>) {
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let id = {
            let mut log = self.lock();
            log.logins += 1;
            log.models = models;
            if log.times.len() < MAX_LOGINS {
                log.times.push(now());
            }
            log.logins
        };
        self.link.send_replace(Some(Link { id, commands }));
        (Attachment { device: self, id, link: self.link.subscribe() }, inbox)
    }

    pub(super) fn record(&self, direction: Direction, text: String) {
        let mut log = self.lock();
        if direction == Direction::FromDevice {
            log.last_seen_ms = unix_ms();
        }
        // Sent under the lock, so that a reader of `packets` neither misses one nor gets it twice.
        let _ = self.feed.send(log.history.push(direction, text));
    }

    pub(super) fn alarm_log(&self) -> watch::Ref<'_, AlarmLog> {
        self.alarms.borrow()
    }

    pub(super) fn change_alarms<T>(&self, change: impl FnOnce(&mut AlarmLog) -> T) -> T {
        let mut made = None;
        self.alarms.send_modify(|log| made = Some(change(log)));
        made.expect("the closure was called")
    }

    pub(super) fn preview_token(&self) -> &str {
        &self.preview_token
    }

    pub(super) fn keep(&self, keepalive: Keepalive) {
        self.keepalive.send_replace(Some(keepalive));
    }

    async fn command(&self, command: Command) -> Result<(), RpcError> {
        let link = self.link.borrow().clone().ok_or_else(|| self.offline("it is not connected"))?;
        link.commands.send(command).await.map_err(|_| self.offline("the connection just ended"))
    }

    fn offline(&self, why: &str) -> RpcError {
        RpcError { code: NOT_ANSWERED, msg: format!("device {}: {why}", self.code) }
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a device online for one connection. Dropping it takes the device offline, unless a newer connection
/// has taken over.
pub(super) struct Attachment<'a> {
    device: &'a Device,
    id: u64,
    link: watch::Receiver<Option<Link>>,
}

impl Attachment<'_> {
    /// Returns when a newer login has taken over. Cancel safe.
    pub(super) async fn replaced(&mut self) {
        let id = self.id;
        let _ = self.link.wait_for(|link| link.as_ref().is_none_or(|link| link.id != id)).await;
    }
}

impl Drop for Attachment<'_> {
    fn drop(&mut self) {
        self.device.link.send_if_modified(|link| {
            let current = link.as_ref().is_some_and(|link| link.id == self.id);
            if current {
                *link = None;
            }
            current
        });
    }
}

impl Named for Device {
    fn is_named(&self, code: &str) -> bool {
        self.code == code
    }
}

/// All devices that have called, by login code.
#[derive(Debug)]
pub(super) struct Devices(Registry<Device>);

impl Devices {
    /// Remembers at most `max` codes; beyond them, a device that is offline and in nobody's hands makes room.
    pub(super) fn new(max: usize) -> Self {
        Self(Registry::new(max))
    }

    /// The device of this code, made if it is not known; `None` when too many are known already.
    pub(super) fn open(&self, code: &str) -> Option<Arc<Device>> {
        let rank = |device: &Device| (!device.online()).then(|| device.lock().last_seen_ms);
        self.0.open(code, rank, || Device::new(code))
    }

    /// The device of this code; `None` if it is not known.
    pub(super) fn find(&self, code: &str) -> Option<Arc<Device>> {
        self.0.find(code)
    }

    /// All devices, by code.
    pub(super) fn list(&self) -> Vec<Arc<Device>> {
        let mut list = self.0.list();
        list.sort_by(|a, b| a.code.cmp(&b.code));
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_older_connection_learns_of_the_newer_one_and_does_not_take_it_offline() {
        let device = Device::new("a");
        let (mut first, mut first_inbox) = device.attach(Models::default());
        let (mut second, mut inbox) = device.attach(Models::default());
        first.replaced().await;
        assert!(first_inbox.recv().await.is_none(), "commands go to the newer one");
        drop(first);
        assert!(device.online());
        device.send_raw("x").await.unwrap();
        assert!(matches!(inbox.recv().await, Some(Command::Raw(text)) if text == "x"));
        let still = tokio::time::timeout(std::time::Duration::from_millis(5), second.replaced());
        assert!(still.await.is_err());
        drop(second);
        assert!(!device.online());
        assert_eq!(device.call("A", None).await.unwrap_err().code, NOT_ANSWERED);
        assert_eq!((device.logins(), device.login_times().len()), (2, 2));
    }

    #[tokio::test]
    async fn packets_are_handed_out_once_each() {
        let device = Device::new("a");
        device.record(Direction::FromDevice, "1".into());
        let (kept, mut feed) = device.packets();
        device.record(Direction::ToDevice, "2".into());
        assert_eq!(kept.iter().map(|p| p.number).collect::<Vec<_>>(), [1]);
        assert_eq!(feed.recv().await.unwrap().number, 2);
    }

    #[test]
    fn an_idle_code_makes_room_and_a_held_one_does_not() {
        let devices = Devices::new(2);
        let held = devices.open("held").unwrap();
        devices.open("idle").unwrap();
        assert!(devices.open("new").is_some());
        assert!(devices.find("idle").is_none());
        let new = devices.open("new").unwrap();
        assert!(devices.open("one more").is_none());
        assert_eq!(devices.list().len(), 2);
        drop((held, new));
    }
}
