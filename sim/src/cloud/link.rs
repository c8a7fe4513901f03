//! The device endpoint: each connection has a task that drives the same protocol machine as the device, from
//! the other side. The rules are in `ivt_proto::rpc`, the faults in `faults`.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use ivt_proto::rpc::{CallId, Peer, RpcError};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, sleep_until, timeout};
use url::Url;

use super::device::{Attachment, Command, Device, Models, NOT_ANSWERED, PONG};
use super::faults::LinkFaults;
use super::ledger::{Kind, Ledger, Sender};
use super::packet::Direction;
use super::quirks::PacketQuirks;
use super::record::called;
use super::{Cloud, Login, now};
use crate::listener::{Remote, Wire};

/// Largest message of a device, in bytes.
const MAX_MESSAGE: usize = 64 << 10;
/// Longest login code or model name, in bytes.
const MAX_NAME: usize = 128;
/// A device that takes no bytes for this time is cut off.
const WRITE_PATIENCE: Duration = Duration::from_secs(10);
/// Most packets held back by the delay fault; a device that has sent more is no longer read.
const MAX_HELD: usize = 256;
/// Number of bursts a second of the flood fault.
const FLOOD_TICKS: u32 = 100;
const MAX_FLOOD: u32 = 20_000;

/// The query of the login URL. A member that the device leaves out is empty.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
pub(super) struct LoginQuery {
    login_code: String,
    login_passwd: String,
    hardware_model: String,
    firmware_model: String,
}

/// `GET /ivc` and `GET /ivc2`: checks the login, then serves the connection until either side ends it.
pub(super) async fn login(
    State(cloud): State<Arc<Cloud>>,
    ConnectInfo(caller): ConnectInfo<Remote>,
    uri: Uri,
    headers: HeaderMap,
    Query(query): Query<LoginQuery>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let LinkFaults { refuse_login, login: quirks, .. } = cloud.faults.borrow().link.clone();
    let base = cloud.recorder.base().or_else(|| called(&cloud, &headers, &caller));
    let Remote { addr: remote, wire, .. } = caller;
    wire.shape_head(quirks.pieces);
    if uri.path() == "/ivc"
        && let Some(elsewhere) = quirks.redirection()
    {
        return elsewhere;
    }
    let note = |why: String| {
        if let Some(device) = cloud.devices.find(&query.login_code) {
            device.record(Direction::Note, format!("login refused: {why}"));
        }
    };
    if let Some(status) = refuse_login {
        note(format!("{status}, on request"));
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::UNAUTHORIZED);
        return quirks.refusal(status, "login refused on request");
    }
    let names = [&query.login_code, &query.hardware_model, &query.firmware_model];
    if query.login_code.is_empty() || names.iter().any(|name| name.len() > MAX_NAME) {
        return (StatusCode::BAD_REQUEST, "login_code is missing, or a name is too long")
            .into_response();
    }
    if !Login::accepted(&cloud.options.logins, &query.login_code, &query.login_passwd) {
        log::warn!(target: "sim", "login of {} from {remote} refused", query.login_code);
        note("wrong login_passwd".to_owned());
        return (StatusCode::UNAUTHORIZED, "unknown login_code or wrong login_passwd")
            .into_response();
    }
    let (Ok(seat), Some(device)) =
        (cloud.device_seats.clone().try_acquire_owned(), cloud.devices.open(&query.login_code))
    else {
        return quirks.refusal(StatusCode::SERVICE_UNAVAILABLE, "too many devices");
    };
    let models =
        Models { hardware_model: query.hardware_model, firmware_model: query.firmware_model };
    let switching = upgrade
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE)
        .max_write_buffer_size(4 * MAX_MESSAGE)
        .on_upgrade(async move |socket| {
            device.record(
                Direction::Note,
                format!(
                    "logged in from {remote}, hardware {:?}, firmware {:?}",
                    models.hardware_model, models.firmware_model
                ),
            );
            let (attachment, inbox) = device.attach(models);
            let why = Driver::new(&cloud, &device, base, wire, socket).run(attachment, inbox).await;
            device.record(Direction::Note, format!("connection ended: {why}"));
            log::info!(target: "sim", "device {} at {remote}: {why}", device.code());
            drop(seat);
        });
    quirks.switching(switching)
}

/// One connection of a device.
struct Driver<'a> {
    cloud: &'a Cloud,
    device: &'a Device,
    /// The address at which the device called.
    base: Option<Url>,
    wire: Wire,
    sink: SplitSink<WebSocket, Message>,
    stream: SplitStream<WebSocket>,
    peer: Peer,
    ledger: Ledger,
    replies: HashMap<CallId, oneshot::Sender<Result<Value, RpcError>>>,
    /// Requests held back by the delay fault, each with the moment when it is due.
    held: VecDeque<(Instant, String)>,
    heard: Instant,
    /// Whether a request of the device was answered.
    answered: bool,
}

type Ended = Result<(), String>;

impl<'a> Driver<'a> {
    fn new(
        cloud: &'a Cloud,
        device: &'a Device,
        base: Option<Url>,
        wire: Wire,
        socket: WebSocket,
    ) -> Self {
        let (sink, stream) = socket.split();
        Self {
            cloud,
            device,
            base,
            wire,
            sink,
            stream,
            peer: Peer::default(),
            ledger: Ledger::default(),
            replies: HashMap::new(),
            held: VecDeque::new(),
            heard: now(),
            answered: false,
        }
    }

    async fn run(
        mut self,
        mut attachment: Attachment<'_>,
        inbox: mpsc::Receiver<Command>,
    ) -> String {
        let mut shutdown = self.cloud.shutdown.subscribe();
        let why = tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => "the simulator stops".to_owned(),
            () = attachment.replaced() => "the same login_code logged in again".to_owned(),
            ended = self.drive(inbox) => ended.err().unwrap_or_else(|| "hung up on request".to_owned()),
        };
        drop(attachment);
        // A peer that does not read is not waited for.
        let _ = timeout(Duration::from_millis(500), self.sink.close()).await;
        why
    }

    async fn drive(&mut self, mut inbox: mpsc::Receiver<Command>) -> Ended {
        let mut faults = self.cloud.faults.subscribe();
        let mut flood = interval(Duration::from_secs(1) / FLOOD_TICKS);
        flood.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let link = faults.borrow_and_update().link.clone();
            if link.half_open {
                faults.changed().await.map_err(|_| "the simulator stops")?;
                self.heard = now();
                continue;
            }
            self.flush(&link).await?;
            if self.answered
                && let Some(goodbye) = link.close.message()
            {
                self.write(goodbye).await?;
                return Err(format!("closed with {:?}, on request", link.close));
            }
            let reading = !link.deaf() && self.held.len() < MAX_HELD;
            let silence = self.heard + self.cloud.options.patience;
            let held = self.held.front().map(|(due, _)| *due);
            tokio::select! {
                message = self.stream.next(), if reading => match message {
                    Some(Ok(Message::Text(text))) => self.receive(&link, text.as_str())?,
                    Some(Ok(Message::Binary(_))) => return Err("a binary message, not text".into()),
                    Some(Ok(Message::Close(_))) | None => return Err("the device closed it".into()),
                    Some(Ok(Message::Pong(_))) => self.device.record(Direction::Note, PONG.to_owned()),
                    Some(Ok(Message::Ping(_))) => {}
                    Some(Err(error)) => return Err(format!("it broke: {error}")),
                },
                command = inbox.recv() => match command {
                    Some(command) => if self.obey(command).await? { return Ok(()) },
                    None => std::future::pending().await, // A newer login replaced this connection, which `run` sees too.
                },
                () = until(self.peer.poll_timeout()) => {
                    self.peer.handle_timeout(now()).map_err(|v| format!("hung up: {v}"))?;
                }
                () = until(held) => {
                    if let Some((_, text)) = self.held.pop_front() {
                        self.hand_over(&text)?;
                    }
                }
                () = until(Some(silence)), if !link.deaf() => {
                    return Err(format!("no Keepalive for {:?}", self.cloud.options.patience));
                }
                _ = flood.tick(), if link.flood > 0 => self.flood(link.flood).await?,
                changed = faults.changed() => {
                    changed.map_err(|_| "the simulator stops")?;
                    self.heard = now();
                }
            }
        }
    }

    /// Takes one text of the device: records it, applies the faults, and hands it to the protocol machine.
    fn receive(&mut self, link: &LinkFaults, text: &str) -> Ended {
        self.device.record(Direction::FromDevice, text.to_owned());
        if link.close_before_answer {
            return Err("closed before the first answer, on request".into());
        }
        let Kind::Request(method) = Kind::of(text) else { return self.hand_over(text) };
        let keepalive = method == "Keepalive";
        let alarm = self.cloud.faults.borrow().alarm.delay_ms;
        let delay = link.delay_ms.max(if method == "AlarmNotify" { alarm } else { 0 });
        if keepalive {
            self.heard = now();
        }
        if keepalive && link.mute_keepalive {
            return Ok(());
        }
        if delay > 0 || !self.held.is_empty() {
            let due = now() + Duration::from_millis(delay.min(600_000));
            self.held.push_back((due, text.to_owned()));
            return Ok(());
        }
        self.hand_over(text)
    }

    fn hand_over(&mut self, text: &str) -> Ended {
        let (now, mut came) = (now(), None);
        if let Kind::Response(seq, resp) = Kind::of(text) {
            if self.ledger.claim(now, &seq) == Sender::Raw {
                return Ok(());
            }
            came = resp;
        }
        self.peer.handle_text(now, text).map_err(|violation| format!("hung up: {violation}"))?;
        while let Some((id, result)) = self.peer.poll_reply() {
            if let Some(reply) = self.replies.remove(&id) {
                // The peer takes every spelling of "empty" for `{}`; people want to see which one it was.
                let _ = reply.send(result.map(|read| came.take().unwrap_or(read)));
            }
        }
        Ok(())
    }

    /// Carries out a command. True means that the connection has to end.
    async fn obey(&mut self, command: Command) -> Result<bool, String> {
        match command {
            Command::HangUp => return Ok(true),
            Command::Raw(text) => self.send(Sender::Raw, text).await?,
            Command::Pieces(text) => {
                self.wire.split_text();
                self.send(Sender::Raw, text).await?;
            }
            Command::Binary(bytes) => self.binary(bytes).await?,
            Command::Ping => self.write(Message::Ping(PONG.into())).await?,
            Command::Notify { event, params } => {
                if self.peer.notify(&event, params).is_err() {
                    self.device.record(Direction::Note, format!("{event} not sent: queue full"));
                }
            }
            Command::Call { method, params, reply } => {
                match self.peer.call(now(), &method, params) {
                    Ok(id) => drop(self.replies.insert(id, reply)),
                    Err(_) => {
                        let msg = format!("{method} not sent: too many requests are waiting");
                        let _ = reply.send(Err(RpcError { code: NOT_ANSWERED, msg }));
                    }
                }
            }
        }
        Ok(false)
    }

    /// Sends everything that the protocol machine has to say.
    async fn flush(&mut self, link: &LinkFaults) -> Ended {
        while let Some(request) = self.peer.poll_request() {
            let answer = self.cloud.answer(self.device, self.base.as_ref(), request.call);
            self.peer.respond(now(), request.ticket, answer);
        }
        while let Some(event) = self.peer.poll_event() {
            let (code, event) = (self.device.code(), event.event());
            log::debug!(target: "sim", "device {code} sent event {event}");
        }
        while let Some(text) = self.peer.poll_transmit() {
            let answer = link.garbage && matches!(Kind::of(&text), Kind::Response(..));
            let text =
                if answer { "\u{1}garbage }{ instead of an answer".to_owned() } else { text };
            let text = if link.wrong_seq { misnumbered(text) } else { text };
            self.answered |= matches!(Kind::of(&text), Kind::Response(..));
            self.send(Sender::Peer, text).await?;
        }
        Ok(())
    }

    async fn flood(&mut self, per_second: u32) -> Ended {
        for n in 0..per_second.min(MAX_FLOOD).div_ceil(FLOOD_TICKS) {
            let params = json!({ "channel": 0, "op": "stop", "value": n });
            let text = json!({ "event": "CtrlPTZ", "params": params }).to_string();
            self.send(Sender::Raw, text).await?;
        }
        Ok(())
    }

    async fn send(&mut self, sender: Sender, text: String) -> Ended {
        let quirks = match sender {
            Sender::Peer => self.cloud.faults.borrow().link.packets,
            Sender::Raw => PacketQuirks::default(),
        };
        let text = quirks.spelled(text);
        self.ledger.sent(now(), sender, &text);
        self.device.record(Direction::ToDevice, text.clone());
        for message in quirks.messages(text) {
            self.write(message).await?;
        }
        Ok(())
    }

    /// Sends a binary message. Its bytes are among the packets where they are text.
    async fn binary(&mut self, bytes: Vec<u8>) -> Ended {
        let (shown, is_text) = match std::str::from_utf8(&bytes) {
            Ok(text) => (text.to_owned(), true),
            Err(_) => (bytes.escape_ascii().to_string(), false),
        };
        if is_text {
            self.ledger.sent(now(), Sender::Raw, &shown);
        }
        self.device.record(Direction::Note, "the next packet goes in a binary message".to_owned());
        self.device.record(Direction::ToDevice, shown);
        self.write(Message::Binary(bytes.into())).await
    }

    async fn write(&mut self, message: Message) -> Ended {
        match timeout(WRITE_PATIENCE, self.sink.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(format!("it broke: {error}")),
            Err(_) => Err(format!("the device took no bytes for {WRITE_PATIENCE:?}")),
        }
    }
}

/// The packet with the `seq` after its own, where it is an answer.
fn misnumbered(text: String) -> String {
    if let Kind::Response(seq, _) = Kind::of(&text)
        && let Ok(mut packet) = serde_json::from_str::<Value>(&text)
    {
        packet["seq"] = json!(seq.as_i64().unwrap_or(0).saturating_add(1));
        return packet.to_string();
    }
    text
}

/// Sleeps until the moment; for ever if there is none.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}
