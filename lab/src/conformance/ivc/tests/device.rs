//! A device that is written for the tests: it speaks the protocol over a real WebSocket, and may have one fault.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use futures::{SinkExt as _, StreamExt as _};
use ivt_proto::rpc::message::Event;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::broken::{Fault, PUBLIC_SDK};
use super::duties::{Around, Duties};
use super::recorder::http;
use super::wire::Wire;
use crate::conformance::ivc::Limits;

const JPEG: &[u8] = b"\xff\xd8\xff\xe0 a picture \xff\xd9";
const NEVER: Duration = Duration::from_secs(3600);
/// Part of a second by which a device is surely late.
const QUARTER: Duration = Duration::from_millis(250);

type Socket = WebSocketStream<Wire>;

/// The device, whose lists outlast its connections.
pub struct Scripted {
    pub login: String,
    pub fault: Option<Fault>,
    pub limits: Limits,
    pub around: Arc<Around>,
    /// Whether a message has begun that comes in several frames.
    pub pieces: Arc<AtomicBool>,
}

/// What it has asked its cloud.
enum Asked {
    Plain,
    Alarm,
    Preview,
}

struct Session<'a> {
    device: &'a Scripted,
    socket: Socket,
    seq: i64,
    waiting: Option<(i64, Instant, Asked)>,
    queue: VecDeque<(&'static str, Option<Value>, Asked)>,
    duties: Duties,
    alarm: bool,
    /// Answers that are held back by a fault.
    held: Vec<String>,
    /// Whether nothing is understood any more.
    deaf: bool,
}

/// The connection has to end.
struct Leave;

type Step = Result<(), Leave>;

impl Scripted {
    fn is(&self, fault: Fault) -> bool {
        let sdk = self.fault == Some(Fault::PublicSdk) && PUBLIC_SDK.contains(&fault);
        sdk || self.fault == Some(fault)
    }

    /// Connects to the cloud.
    async fn dial(&self, login: &str) -> Option<Socket> {
        let url = url::Url::parse(login).ok()?;
        let stream = TcpStream::connect((url.host_str()?, url.port()?)).await.ok()?;
        let pieces = Arc::clone(&self.pieces);
        let wire = Wire { stream, pongless: self.is(Fault::NoPong), pieces };
        client_async(login, wire).await.ok().map(|(socket, _)| socket)
    }

    /// Logs in again and again.
    pub async fn live(self) {
        let mut logins = 0;
        if self.is(Fault::NeverLogsIn) {
            return;
        }
        let mut login = self.login.clone();
        if !self.is(Fault::NoModels) {
            login += "&hardware_model=scripted&firmware_model=1.0";
        }
        loop {
            if let Some(socket) = self.dial(&login).await {
                logins += 1;
                Session::new(&self, socket).run().await;
            }
            if self.is(Fault::StaysAway) && logins > 0 {
                return;
            }
            if self.is(Fault::KnocksOnAndOn) {
                join_all((0..10).map(|_| self.dial(&login))).await;
            }
            if self.is(Fault::FightsForItsLogin) {
                sleep(Duration::from_millis(10)).await;
                continue;
            }
            sleep(Duration::from_millis(700)).await;
        }
    }
}

impl<'a> Session<'a> {
    fn new(device: &'a Scripted, socket: Socket) -> Self {
        if device.is(Fault::ForgetsItsList) {
            *device.around.lists.lock().unwrap() = json!([]);
        }
        Self {
            device,
            socket,
            seq: 0,
            waiting: None,
            queue: VecDeque::new(),
            duties: Duties::new(device.fault, device.limits.answer, Arc::clone(&device.around)),
            alarm: false,
            held: Vec::new(),
            deaf: false,
        }
    }

    fn is(&self, fault: Fault) -> bool {
        self.device.is(fault)
    }

    async fn run(mut self) {
        // Whatever it does by itself it does so long after its login.
        let late = match self.device.fault {
            Some(Fault::LateFirstKeepalive) => self.device.limits.slack + QUARTER,
            Some(Fault::FirstKeepaliveMissed) => {
                self.device.limits.slack + self.device.limits.keepalive + 2 * QUARTER
            }
            _ => Duration::ZERO,
        };
        let began = Instant::now() + late;
        let period =
            self.device.limits.keepalive * if self.is(Fault::SlowKeepalive) { 6 } else { 1 };
        let mut beat = began;
        let more = if self.is(Fault::ManyAlarms) { NEVER } else { Duration::from_millis(500) };
        let mut alarm = began + more;
        let mut preview = began + Duration::from_millis(200);
        if self.is(Fault::AsksForFirmwareFirst) {
            self.queue.push_back(("GetFirmware", None, Asked::Plain));
        }
        if self.is(Fault::PreviewFirst) {
            self.queue.push_back(("preview_server", None, Asked::Preview));
        }
        let list = self.device.around.lists.lock().unwrap().clone();
        self.duties.publish_list(&list);
        let states: Vec<_> = match self.device.fault {
            Some(Fault::AlarmOlderThanLogin) => vec!["end"],
            // The 200 that the cloud keeps of them begin with an end.
            Some(Fault::ManyAlarms) => ["start", "end"].into_iter().cycle().take(201).collect(),
            _ => Vec::new(),
        };
        for state in states {
            let params = json!({ "channel": 0, "type": 3, "state": state, "desc": "somebody" });
            self.queue.push_back(("AlarmNotify", Some(params), Asked::Plain));
        }
        if self.is(Fault::ClosesAtOnce) {
            let _ = self.socket.close(None).await;
            return;
        }
        if self.is(Fault::SendsBinary) {
            let _ = self.socket.send(Message::binary(b"{}".to_vec())).await;
        }
        loop {
            if self.is(Fault::FloodsOfRequests) {
                // In a hundredth of a second, or as fast as the cloud reads.
                for _ in 0..100 {
                    self.seq += 1;
                    let flood = json!({ "req": "preview_server", "seq": self.seq });
                    let _ = self.socket.feed(Message::text(flood.to_string())).await;
                }
                let _ = self.socket.flush().await;
            }
            if self.is(Fault::Floods) {
                for _ in 0..3_000 {
                    let flood = Message::text(json!({ "event": "Flood" }).to_string());
                    let _ = self.socket.feed(flood).await;
                }
                let _ = self.socket.flush().await;
            }
            if self.ask().await.is_err() {
                return;
            }
            let patience = self.device.limits.answer;
            let late = self.waiting.as_ref().map(|(_, since, _)| *since + patience);
            let late = late.filter(|_| !self.is(Fault::WaitsForEver) && !self.deaf);
            // A Keepalive that is due goes before all else, also on a machine that is late.
            let step = tokio::select! {
                biased;
                () = sleep_until(beat) => {
                    beat += period;
                    self.keepalive();
                    Ok(())
                }
                () = sleep_until(alarm) => {
                    let lasting = self.device.limits.keepalive * 3;
                    alarm += if self.alarm { self.device.limits.keepalive } else { lasting };
                    if self.alarm && self.is(Fault::AlarmNeverEnds) {
                        alarm += NEVER;
                    } else {
                        self.alarm();
                    }
                    Ok(())
                }
                () = sleep_until(preview) => {
                    preview += NEVER;
                    self.queue.push_back(("preview_server", None, Asked::Preview));
                    Ok(())
                }
                () = sleep_until(late.unwrap_or(began + NEVER)) => Err(Leave),
                message = self.socket.next() => self.message(message).await,
                () = tokio::task::yield_now(), if self.is(Fault::Floods) => Ok(()),
                () = sleep(Duration::from_millis(10)), if self.is(Fault::FloodsOfRequests) => Ok(()),
            };
            if step.is_err() {
                let _ = timeout(Duration::from_secs(1), self.socket.close(None)).await;
                return;
            }
        }
    }

    fn keepalive(&mut self) {
        let mut channel = self.duties.channel();
        if self.alarm && !self.is(Fault::NoAlarmBit) {
            channel["alarm"] = if self.is(Fault::LowAlarmBit) { 4 } else { 8 }.into();
        }
        if self.is(Fault::AlarmBitsStay) {
            channel["alarm"] = 0xff.into();
        }
        if self.is(Fault::OnlyChannelFive) {
            channel["channel"] = 5.into();
        }
        let state = if self.is(Fault::StateNine) { 9 } else { 1 };
        let params = json!({ "state": state, "channels": [channel] });
        self.queue.push_back(("Keepalive", Some(params), Asked::Plain));
    }

    fn alarm(&mut self) {
        if !self.alarm && !self.duties.armed {
            return;
        }
        self.alarm = !self.alarm;
        let state = if self.alarm && !self.is(Fault::EndWithoutStart) { "start" } else { "end" };
        let kind = if self.is(Fault::AlarmOfTypeNine) { 9 } else { 3 };
        let params = json!({ "channel": 0, "type": kind, "state": state, "desc": "somebody" });
        self.queue.push_back(("AlarmNotify", Some(params), Asked::Alarm));
        if self.is(Fault::EndWithoutStart) && self.seq > 2 {
            let params = json!({ "channel": 0, "type": 2, "state": "start", "desc": "" });
            self.queue.push_back(("AlarmNotify", Some(params), Asked::Alarm));
        }
    }

    /// Sends the next request of its own, one at a time.
    async fn ask(&mut self) -> Step {
        if self.waiting.is_some() {
            return Ok(());
        }
        let Some((method, params, asked)) = self.queue.pop_front() else { return Ok(()) };
        if !self.is(Fault::RepeatsSeq) || self.seq == 0 {
            self.seq += 1;
        }
        let mut packet = json!({ "req": method, "seq": self.seq });
        if let Some(params) = params {
            packet["params"] = params;
        }
        self.waiting = Some((self.seq, Instant::now(), asked));
        self.send(packet.to_string()).await
    }

    async fn send(&mut self, text: String) -> Step {
        self.socket.send(Message::text(text)).await.map_err(|_| Leave)
    }

    async fn message(
        &mut self,
        message: Option<Result<Message, tokio_tungstenite::tungstenite::Error>>,
    ) -> Step {
        let text = match message {
            Some(Ok(Message::Text(text))) => text.to_string(),
            Some(Ok(Message::Binary(_))) if self.is(Fault::PassesOverBinary) => return Ok(()),
            Some(Ok(Message::Binary(_))) if self.is(Fault::DeafAfterBinary) => {
                self.deaf = true;
                return Ok(());
            }
            Some(Ok(Message::Binary(bytes))) => match String::from_utf8(bytes.to_vec()) {
                Ok(text) => text,
                Err(_) if self.is(Fault::StaysAfterNoText) => return Ok(()),
                Err(_) => return Err(Leave),
            },
            Some(Ok(Message::Ping(_))) if self.is(Fault::LeavesAtPing) => return Err(Leave),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => return Ok(()),
            _ => return Err(Leave),
        };
        if let Some(Fault::StaysAfter(odd)) = self.device.fault
            && odd == text
        {
            return Ok(());
        }
        let pieces = self.device.pieces.swap(false, Ordering::Relaxed);
        if self.deaf || pieces && self.is(Fault::PassesOverPieces) {
            return Ok(());
        }
        if self.is(Fault::PassesOverLargePackets) && text.len() > 2048 {
            return Ok(());
        }
        if self.is(Fault::LeavesAbove61KiB) && text.len() > 61 << 10 {
            return Err(Leave);
        }
        if text.len() > 64 << 10 && !self.is(Fault::NoLongestPacket) {
            return if self.is(Fault::PassesOverMoreThan64KiB) { Ok(()) } else { Err(Leave) };
        }
        let Ok(Value::Object(packet)) = serde_json::from_str(&text) else { return Err(Leave) };
        let params = packet.get("params").cloned();
        match (packet.get("req"), packet.get("event"), packet.get("seq")) {
            (Some(Value::String(method)), None, Some(Value::Number(seq))) => {
                let seq = seq.as_i64().ok_or(Leave)?;
                self.request(method, params, seq).await
            }
            (None, Some(Value::String(_)), None) if self.is(Fault::AnswersEvents) => {
                self.send(json!({ "seq": 0, "resp": {} }).to_string()).await
            }
            (None, Some(Value::String(event)), None) => self.event(event, params),
            (None, None, Some(Value::Number(seq))) => self.answer(&packet, seq.as_i64()).await,
            _ => Err(Leave),
        }
    }

    async fn answer(&mut self, packet: &serde_json::Map<String, Value>, seq: Option<i64>) -> Step {
        let formed =
            packet.get("resp").is_some() || packet.get("err").is_some_and(Value::is_object);
        if !formed {
            return Err(Leave);
        }
        let stays = self.is(Fault::StaysAfterWrongSeq)
            || self.is(Fault::StaysAfterUnasked)
            || self.is(Fault::FloodsOfRequests);
        let Some((wanted, _, asked)) = self.waiting.take() else {
            return if stays { Ok(()) } else { Err(Leave) };
        };
        if seq != Some(wanted) && !stays {
            return Err(Leave);
        }
        let url = |name: &str| {
            packet.get("resp").and_then(|resp| resp[name].as_str()).unwrap_or_default().to_owned()
        };
        let url = match asked {
            Asked::Plain => String::new(),
            Asked::Alarm => url("pic_upload_url"),
            Asked::Preview => url("url"),
        };
        let text = self.is(Fault::PictureIsText) || self.is(Fault::PreviewIsText);
        let body = if text { b"no picture" } else { JPEG };
        if !url.is_empty() {
            self.duties.tasks.spawn(async move {
                let _ = http("POST", &url, "image/jpeg", body, Duration::ZERO).await;
            });
        }
        for text in std::mem::take(&mut self.held) {
            self.send(text).await?;
        }
        Ok(())
    }

    fn event(&mut self, event: &str, params: Option<Value>) -> Step {
        let right = Event::parse(event, params).check().is_ok() || event == "NoSuchEvent";
        match self.device.fault {
            Some(Fault::LeavesAt(odd)) if odd == event && right => Err(Leave),
            Some(Fault::LeavesAtOdd(odd)) if odd == event && !right => Err(Leave),
            _ => {
                if event == "UpgradeFirmware" {
                    let params =
                        self.is(Fault::FirmwareWithParams).then(|| json!({ "channel": 0 }));
                    self.queue.push_back(("GetFirmware", params, Asked::Plain));
                }
                Ok(())
            }
        }
    }

    async fn request(&mut self, method: &str, params: Option<Value>, seq: i64) -> Step {
        if self.is(Fault::Answerless) {
            return Ok(());
        }
        let result = self.duties.serve(method, params.unwrap_or_default()).await.ok_or(Leave)?;
        let seq = if self.is(Fault::ShortSeq) { seq & 0xffff_ffff } else { seq };
        let text = match result {
            Ok(resp) => json!({ "seq": seq, "resp": resp }),
            Err((_, msg)) if self.is(Fault::ErrorIsText) => json!({ "seq": seq, "err": msg }),
            Err((code, msg)) => json!({ "seq": seq, "err": { "code": code, "msg": msg } }),
        };
        if self.is(Fault::AnswersWhenAnswered) && self.waiting.is_some() {
            self.held.push(text.to_string());
            return Ok(());
        }
        if self.is(Fault::AnswersBackwards) {
            self.held.insert(0, text.to_string());
            if self.held.len() == 2 {
                for text in std::mem::take(&mut self.held) {
                    self.send(text).await?;
                }
            }
            return Ok(());
        }
        if self.is(Fault::AnswersTwice) {
            self.send(text.to_string()).await?;
        }
        self.send(text.to_string()).await
    }
}
