//! The cloud of a run with the device in it: what cases ask, and what they hear.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ivt_sim::cloud::{CloudSim, Device, Direction, Faults, Packet};
use serde_json::{Map, Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};

use super::finding::{Finding, Outcome, fail};
use super::heard::Heard;
use super::limits::Limits;
use super::switch::Switch;
use crate::conformance::tape::Tape;
use crate::report::Seen;

/// Most packets in a second. A device says a few; one that says more would drown its cloud.
const MOST_PACKETS: u64 = 1_000;
/// How the note of a login begins, and that of the end of a connection.
const LOGIN: &str = "logged in from";
const ENDED: &str = "connection ended: ";
/// What the note says of a connection that another login ended.
const TAKEN_OVER: &str = "logged in again";
/// What notes say of connections that the run itself has ended, or that another login ended.
const NOT_ITS_DOING: [&str; 3] = ["on request", TAKEN_OVER, "the simulator stops"];

/// What became of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Success, with the `resp` as it came.
    Resp(Value),
    /// A refusal.
    Refused {
        /// The code.
        code: i64,
        /// The device's words.
        msg: String,
    },
    /// The connection ended before the answer, for this reason.
    Gone(String),
}

/// A run's cloud and its device.
pub struct Bench {
    /// The cloud.
    pub cloud: Arc<CloudSim>,
    /// The device.
    pub device: Arc<Device>,
    /// The limits of the run.
    pub limits: Limits,
    /// What the case sees.
    pub tape: Tape,
    /// What the device said in the run.
    pub heard: Heard,
    feed: broadcast::Receiver<Arc<Packet>>,
    /// The `seq` of the last request.
    seq: i64,
    /// Number of requests in a row without an answer.
    silent: u32,
    /// The second that is counted, and the packets in it.
    second: (Instant, u64),
    /// A number for names of streams and sessions.
    names: u32,
    /// The name or address by which the device reaches the cloud, where that is not the one the cloud listens on.
    host: Option<String>,
    /// The password of the device; empty where any is taken.
    pub password: String,
    /// Takes the camera away from the device, where the run can.
    pub camera: Option<Switch>,
    /// Why the device ended its connection last, or made the cloud end it.
    left: Option<String>,
    /// Whether the case has the device log in anew, so that a login may be taken over.
    pub relogs: bool,
    /// Why the run is over, where two devices contend for the login.
    contested: Option<String>,
    /// Turns true when the run is to end.
    stop: Option<watch::Receiver<bool>>,
}

impl Bench {
    /// A bench for the device of this code, which has not logged in yet.
    pub fn new(cloud: Arc<CloudSim>, code: &str, limits: Limits) -> Self {
        let device = cloud.device(code);
        let (before, feed) = device.packets();
        let now = Instant::now();
        let mut bench = Self {
            cloud,
            device,
            limits,
            tape: Tape::new(now),
            heard: Heard::default(),
            feed,
            seq: 0,
            silent: 0,
            second: (now, 0),
            names: 0,
            host: None,
            password: String::new(),
            camera: None,
            left: None,
            relogs: false,
            contested: None,
            stop: None,
        };
        // A device may have logged in before the run.
        before.iter().for_each(|packet| bench.hear(packet));
        bench
    }

    /// Tells the device to reach RTMP server and store by this name or address.
    pub fn reach_by(&mut self, host: &str) {
        self.host = Some(host.to_owned());
    }

    /// Adds a sentence to the evidence.
    pub fn note(&mut self, text: impl Into<String>) {
        self.tape.push(Seen::Note { text: text.into() });
    }

    /// A name that was not used before in this run.
    pub fn name(&mut self, what: &str) -> String {
        self.names += 1;
        let name = format!("conformance{what}{:04}", self.names);
        // Session names have 22 bytes.
        format!("{name:0<22}").chars().take(22).collect()
    }

    /// The number of a channel of the device: the first that its last Keepalive lists.
    pub fn channel(&self) -> u32 {
        let keepalive = self.device.keepalive().borrow().clone();
        keepalive.and_then(|told| told.channels.first().map(|first| first.channel)).unwrap_or(0)
    }

    /// The address to which the device publishes the stream of this key.
    pub fn rtmp_url(&self, key: &str) -> String {
        match &self.host {
            Some(host) => format!("rtmp://{host}:{}/live/{key}", self.cloud.rtmp_addr().port()),
            None => self.cloud.rtmp_url(key),
        }
    }

    /// The address that the device asks about the recording session of this name.
    pub fn record_url(&self, session: &str) -> String {
        let mut url = self.cloud.record_url(session);
        if let Some(host) = &self.host {
            // A name that is none leaves the address as it was.
            let _ = url.set_host(Some(host));
        }
        url.into()
    }

    /// Sets the faults of the cloud.
    pub fn fault(&mut self, change: impl FnOnce(&mut Faults)) {
        let mut faults = self.cloud.faults();
        change(&mut faults);
        self.cloud.set_faults(faults);
    }

    /// Ends the run once this turns true. The case that runs then is told so once, wherever it waits; what it does to leave
    /// the device as it was is done.
    pub fn stop_by(&mut self, stop: watch::Receiver<bool>) {
        self.stop = Some(stop);
    }

    /// Why the device ended its connection, or made the cloud end it, since this was asked last.
    pub fn take_left(&mut self) -> Option<String> {
        self.left.take()
    }

    /// Waits for the device where it is away.
    ///
    /// # Errors
    /// When it does not come back, which ends the run.
    pub async fn online(&mut self) -> Outcome {
        let device = Arc::clone(&self.device);
        let limit = self.limits.reconnect;
        match self.during(limit, device.wait_online()).await? {
            Some(()) => Ok(()),
            None => Err(Finding::Over(format!("the device did not come back within {limit:?}"))),
        }
    }

    /// The result of `future`, while packets go on the tape; `None` after `limit`.
    ///
    /// # Errors
    /// When the device drowns its cloud, or the run is stopped.
    pub async fn during<T>(
        &mut self,
        limit: Duration,
        future: impl Future<Output = T>,
    ) -> Outcome<Option<T>> {
        tokio::pin!(future);
        let end = tokio::time::Instant::now() + limit;
        loop {
            tokio::select! {
                biased;
                () = asked(&mut self.stop) => return Err(self.stops()),
                packet = self.feed.recv() => { self.observe(packet)?; }
                done = &mut future => return Ok(Some(done)),
                () = tokio::time::sleep_until(end) => return Ok(None),
            }
        }
    }

    /// Lets time pass while packets go on the tape.
    ///
    /// # Errors
    /// When the device drowns its cloud.
    pub async fn wait(&mut self, time: Duration) -> Outcome {
        self.during(time, std::future::pending::<()>()).await.map(drop)
    }

    /// What `look` finds in a packet that comes from now on; `None` after `limit`.
    ///
    /// # Errors
    /// When the device drowns its cloud.
    pub async fn until<T>(
        &mut self,
        limit: Duration,
        mut look: impl FnMut(&Packet) -> Option<T>,
    ) -> Outcome<Option<T>> {
        let end = Instant::now() + limit;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let packet = tokio::select! {
                biased;
                () = asked(&mut self.stop) => return Err(self.stops()),
                packet = self.feed.recv() => packet,
                () = tokio::time::sleep(left) => return Ok(None),
            };
            if let Some(packet) = self.observe(packet)?
                && let Some(found) = look(&packet)
            {
                return Ok(Some(found));
            }
            if left.is_zero() {
                return Ok(None);
            }
        }
    }

    /// Sends a text as it is.
    ///
    /// # Errors
    /// When the device is not connected.
    pub async fn send(&mut self, text: impl Into<String>) -> Outcome {
        let sent = self.device.send_raw(text).await;
        sent.or_else(|error| fail(format!("nothing could be sent: {}", error.msg)))
    }

    /// Sends a text in a message of several frames.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_pieces(&mut self, text: impl Into<String>) -> Outcome {
        let sent = self.device.send_pieces(text).await;
        sent.or_else(|error| fail(format!("nothing could be sent: {}", error.msg)))
    }

    /// Sends a binary message.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_binary(&mut self, bytes: impl Into<Vec<u8>>) -> Outcome {
        let sent = self.device.send_binary(bytes).await;
        sent.or_else(|error| fail(format!("nothing could be sent: {}", error.msg)))
    }

    /// Sends an event.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn notify(&mut self, event: &str, params: Option<Value>) -> Outcome {
        let mut packet = json!({ "event": event });
        if let Some(params) = params {
            packet["params"] = params;
        }
        self.send(packet.to_string()).await
    }

    /// Sends a request and returns its `seq`.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn request(&mut self, method: &str, params: Option<Value>) -> Outcome<i64> {
        let (packet, seq) = self.packet(method, params);
        self.send(packet).await?;
        Ok(seq)
    }

    /// A request that is still to be sent, and its `seq`.
    pub fn packet(&mut self, method: &str, params: Option<Value>) -> (String, i64) {
        self.seq += 1;
        let mut packet = json!({ "req": method, "seq": self.seq });
        if let Some(params) = params {
            packet["params"] = params;
        }
        (packet.to_string(), self.seq)
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// No answer comes within the limit, or it is none; the second such silence in a row ends the run.
    pub async fn ask(&mut self, method: &str, params: Option<Value>) -> Outcome<Answer> {
        let seq = self.request(method, params).await?;
        self.answer(seq, method).await
    }

    /// Sends a request that leaves the device as it was before, as [`ask`](Self::ask) does. A device that is away is waited
    /// for.
    ///
    /// # Errors
    /// As [`ask`](Self::ask), or the device does not come back.
    pub async fn restore(&mut self, method: &str, params: Option<Value>) -> Outcome<Answer> {
        self.online().await?;
        self.ask(method, params).await
    }

    /// Waits for the answer to the request of this `seq`.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub async fn answer(&mut self, seq: i64, method: &str) -> Outcome<Answer> {
        let limit = self.limits.answer + self.limits.slack;
        let found = self.until(limit, |packet| answer_in(packet, seq)).await?;
        match found {
            Some(answer) => {
                // The end of the connection is no answer.
                if !matches!(answer, Ok(Answer::Gone(_))) {
                    self.silent = 0;
                }
                answer
            }
            None => Err(self.silence(method, limit)),
        }
    }

    fn silence(&mut self, method: &str, limit: Duration) -> Finding {
        self.silent += 1;
        let why = format!("{method} was not answered within {limit:?}");
        if self.silent < 2 {
            return Finding::Fail(why);
        }
        Finding::Over(format!("{why}, nor was the request before: the device does not answer"))
    }

    /// Returns when the device has answered a plain request: it is there, and has read what came before.
    ///
    /// # Errors
    /// The connection ended, or no answer comes.
    pub async fn alive(&mut self, after: &str) -> Outcome {
        match self.ask("GetNetConfig", Some(json!({ "channel": self.channel() }))).await? {
            Answer::Gone(why) => fail(format!("the connection ended after {after}: {why}")),
            _ => Ok(()),
        }
    }

    /// Waits for the end of the connection and returns its reason; `None` after `limit`.
    ///
    /// # Errors
    /// When the device drowns its cloud.
    pub async fn ended(&mut self, limit: Duration) -> Outcome<Option<String>> {
        self.until(limit, |packet| ended(packet).map(str::to_owned)).await
    }

    /// That the run is stopped, which is told once.
    fn stops(&mut self) -> Finding {
        self.stop = None;
        Finding::Over("the run was stopped by hand".into())
    }

    /// Counts a packet and hears it. `None` where some were missed.
    fn observe(&mut self, packet: Result<Arc<Packet>, RecvError>) -> Outcome<Option<Arc<Packet>>> {
        let (packet, count) = match packet {
            Ok(packet) => (Some(packet), 1),
            Err(RecvError::Lagged(missed)) => (None, missed),
            Err(RecvError::Closed) => return Err(Finding::Over("the cloud has ended".into())),
        };
        let said = packet.as_ref().is_none_or(|packet| packet.direction == Direction::FromDevice);
        if said {
            if self.second.0.elapsed() >= Duration::from_secs(1) {
                self.second = (Instant::now(), 0);
            }
            self.second.1 += count;
            if self.second.1 > MOST_PACKETS {
                return Err(Finding::Over(format!(
                    "the device sent more than {MOST_PACKETS} packets in a second"
                )));
            }
        }
        let Some(packet) = packet else { return Ok(None) };
        self.hear(&packet);
        match self.contested.take() {
            Some(why) => Err(Finding::Over(why)),
            None => Ok(Some(packet)),
        }
    }

    /// Puts a packet on the tape, and notes what it says of the device.
    fn hear(&mut self, packet: &Packet) {
        self.tape.push(seen(packet));
        match packet.direction {
            Direction::FromDevice => {
                if let Ok(value) = serde_json::from_str(&packet.text) {
                    self.heard.packet(&value, packet.time_ms);
                }
            }
            Direction::Note if packet.text.starts_with(LOGIN) => {
                self.heard.login(packet.time_ms);
                if self.host.is_none() && self.cloud.http_addr().ip().is_unspecified() {
                    self.host = towards(&packet.text);
                }
            }
            _ => {
                let why = ended(packet);
                if !self.relogs && why.is_some_and(|why| why.contains(TAKEN_OVER)) {
                    self.contested = self.heard.taken_over(packet.time_ms);
                }
                let its = why.filter(|why| !NOT_ITS_DOING.iter().any(|word| why.contains(word)));
                if let Some(why) = its {
                    self.left = Some(why.to_owned());
                }
            }
        }
    }
}

/// Returns when the run is to end.
async fn asked(stop: &mut Option<watch::Receiver<bool>>) {
    if let Some(stop) = stop
        && stop.wait_for(|stop| *stop).await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

/// The own address in the network of the device that a note tells the login of.
fn towards(note: &str) -> Option<String> {
    let remote = note.strip_prefix(LOGIN)?.split(',').next()?.trim();
    let remote: SocketAddr = remote.parse().ok()?;
    let any: IpAddr = if remote.is_ipv4() { [0; 4].into() } else { [0_u16; 8].into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    // Nothing is sent: the system only chooses the way.
    socket.connect(remote).ok()?;
    Some(match socket.local_addr().ok()?.ip() {
        IpAddr::V4(own) => own.to_string(),
        IpAddr::V6(own) => format!("[{own}]"),
    })
}

/// A packet as evidence.
fn seen(packet: &Packet) -> Seen {
    let text = packet.text.clone();
    match packet.direction {
        Direction::FromDevice => Seen::Received { text },
        Direction::ToDevice => Seen::Sent { text },
        Direction::Note => Seen::Note { text },
    }
}

/// The reason in a note that a connection has ended.
pub fn ended(packet: &Packet) -> Option<&str> {
    let note = packet.direction == Direction::Note;
    packet.text.strip_prefix(ENDED).filter(|_| note)
}

/// What the device sent, if it is no request of its own.
pub fn reply(packet: &Packet) -> Option<Map<String, Value>> {
    if packet.direction != Direction::FromDevice {
        return None;
    }
    let members: Map<String, Value> = serde_json::from_str(&packet.text).ok()?;
    (!members.contains_key("req")).then_some(members)
}

/// The answer to the request of this `seq`, if `packet` is it, or the end of the connection.
fn answer_in(packet: &Packet, seq: i64) -> Option<Outcome<Answer>> {
    if let Some(why) = ended(packet) {
        return Some(Ok(Answer::Gone(why.to_owned())));
    }
    let members = reply(packet)?;
    if members.get("seq")?.as_i64()? != seq {
        return None;
    }
    let err = members.get("err").filter(|err| !err.is_null());
    Some(match (members.get("resp"), err) {
        (_, Some(err)) => match (err["code"].as_i64(), err["msg"].as_str()) {
            (Some(code), Some(msg)) => Ok(Answer::Refused { code, msg: msg.to_owned() }),
            _ => fail(format!(
                "an error has an integer `code` and a string `msg`, and this one has not: {err}"
            )),
        },
        (Some(resp), None) => Ok(Answer::Resp(resp.clone())),
        (None, None) => fail("an answer has `resp` or `err`, and this one has neither"),
    })
}
