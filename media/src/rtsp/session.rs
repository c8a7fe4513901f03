//! The requests and answers between a client and a camera, from DESCRIBE to TEARDOWN (RFC 2326), as
//! a state machine: messages in, bytes and events out. No I/O and no clock. Packets and frames are
//! in `media.rs`.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ivt_base::auth::{Credentials, Login, Next};
use ivt_base::text::shorten;
use url::Url;

use super::Patience;
use super::header::{self, SessionHeader};
use super::keepalive::Keepalive;
use super::message::{Message, StartLine};
use super::sdp::Description;
pub use super::setup::{Lower, Path, Wanted};

/// Longest wait for an answer to anything but DESCRIBE.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// How often in a row a camera may ask for a login, whatever its reasons, before it is given up.
const MAX_LOGINS: u32 = 12;
/// Most packets that may come before the answer to PLAY.
const MOST_EARLY: u32 = 1000;
/// Longest time for which packets may come before the answer to PLAY.
const EARLY_LIMIT: Duration = Duration::from_secs(2);
const USER_AGENT: &str = concat!("ivt-agent/", env!("CARGO_PKG_VERSION"));

/// What a message led to.
#[derive(Debug)]
pub enum Event {
    /// The camera describes its media: choose, and go on with [`RtspSession::set_up`].
    Described(Description),
    /// The track of this number is set up.
    SetUp(usize, Path),
    /// The camera refuses to set up the sound. Holds why.
    SoundRefused(String),
    /// The camera plays. Holds the RTP time at which each track begins, where the camera says it.
    Playing(Vec<Option<u32>>),
    /// The camera sends us to this address.
    Redirect(Url),
    /// The camera refuses this transport: [`RtspSession::set_up`] may be called with the other one.
    /// Holds why.
    TransportRefused(String),
}

/// Why a session ends or cannot begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// User name or password are wrong, or missing.
    Login,
    /// The camera has no such session any more.
    Forgotten,
    /// The camera gave no answer to this method within this time.
    Unanswered(&'static str, Duration),
    /// The camera did anything else wrong. Holds what was expected and what came.
    Protocol(String),
}

/// One session with one camera, over one connection.
pub struct RtspSession {
    url: Url,
    lower: Lower,
    describe_limit: Duration,
    login: Option<Login>,
    logins: u32,
    step: Step,
    sequence: u32,
    pending: Option<Pending>,
    /// Address that controls are relative to.
    base: String,
    /// Control of the whole session, which is what is played.
    whole: String,
    wanted: Vec<Wanted>,
    controls: Vec<String>,
    id: String,
    keepalive: Keepalive,
    heard: Instant,
    /// Packets that came before the answer to PLAY.
    early: u32,
    out: Vec<u8>,
    events: VecDeque<Event>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Describing,
    /// The description is with the caller.
    Choosing,
    /// The track of this number is being set up.
    SettingUp(usize),
    Starting,
    Playing,
}

/// A request that waits for its answer.
struct Pending {
    method: &'static str,
    uri: String,
    headers: String,
    due: Instant,
    with_login: bool,
}

impl RtspSession {
    /// A session that begins with DESCRIBE.
    pub fn new(
        url: Url,
        credentials: Option<&Credentials>,
        patience: &Patience,
        now: Instant,
    ) -> Self {
        let base = url.as_str().to_owned();
        let mut session = Self {
            url,
            lower: Lower::Tcp,
            describe_limit: patience.describe,
            login: credentials.map(Login::new),
            logins: 0,
            step: Step::Describing,
            sequence: 0,
            pending: None,
            whole: base.clone(),
            base,
            wanted: Vec::new(),
            controls: Vec::new(),
            id: String::new(),
            keepalive: Keepalive::new(header::session("").timeout),
            heard: now,
            early: 0,
            out: Vec::new(),
            events: VecDeque::new(),
        };
        session.describe(now);
        session
    }

    /// Begins again over a new connection, for cameras that close theirs when they ask for a login.
    pub fn restart(&mut self, now: Instant) {
        self.out.clear();
        self.describe(now);
    }

    /// Whether the camera asked for a login that it has not answered yet.
    pub fn is_logging_in(&self) -> bool {
        self.step == Step::Describing && self.pending.as_ref().is_some_and(|p| p.with_login)
    }

    /// Whether PLAY was answered.
    pub fn is_playing(&self) -> bool {
        self.step == Step::Playing
    }

    /// Goes on with the tracks that are wanted, at least one, which are to be sent by `lower`.
    pub fn set_up(&mut self, wanted: Vec<Wanted>, lower: Lower, now: Instant) {
        self.lower = lower;
        self.controls = wanted
            .iter()
            .map(|track| header::control(&self.base, track.control.as_deref()))
            .collect();
        self.wanted = wanted;
        self.set_up_track(0, now);
    }

    /// Takes a message of the camera.
    ///
    /// # Errors
    ///
    /// The session ends: the camera refuses, has forgotten it, or answers something wrong.
    pub fn handle_message(&mut self, message: &Message, now: Instant) -> Result<(), Failure> {
        match &message.start {
            StartLine::Response { http: true, .. } => Err(Failure::Protocol(
                "a web server answers there, no RTSP server: check the port of its address, RTSP \
                 usually is 554"
                    .into(),
            )),
            // Interim answers announce the real one (RFC 2326 7.1.1).
            StartLine::Response { status: 100..200, .. } => Ok(()),
            StartLine::Response { status, reason, .. } => {
                self.response(*status, reason, message, now)
            }
            StartLine::Request { method } => {
                self.request(method, message);
                Ok(())
            }
        }
    }

    /// Notes that a packet came.
    pub fn handle_media(&mut self, now: Instant) {
        self.heard = now;
        if self.step == Step::Starting {
            self.early = self.early.saturating_add(1);
            let asked = self.pending.as_ref().map_or(now, |pending| pending.due - ANSWER_LIMIT);
            // Some cameras play although they answer PLAY late or never.
            if self.early > MOST_EARLY || now.saturating_duration_since(asked) > EARLY_LIMIT {
                self.playing("", now);
            }
        }
    }

    /// Takes the bytes to be written to the camera.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        (!self.out.is_empty()).then(|| std::mem::take(&mut self.out))
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        let answer = self.pending.as_ref().filter(|_| self.step != Step::Playing).map(|p| p.due);
        [answer, self.keepalive.poll_timeout()].into_iter().flatten().min()
    }

    /// Does what is due at `now`.
    ///
    /// # Errors
    ///
    /// The camera gave no answer in time, or has forgotten the session.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Failure> {
        if self.step != Step::Playing
            && let Some(pending) = self.pending.take_if(|pending| pending.due <= now)
        {
            let limit =
                if pending.method == "DESCRIBE" { self.describe_limit } else { ANSWER_LIMIT };
            return Err(Failure::Unanswered(pending.method, limit));
        }
        if self.keepalive.is_forgotten(self.heard, now) {
            return Err(Failure::Forgotten);
        }
        if let Some(method) = self.keepalive.due(now) {
            let whole = self.whole.clone();
            self.send(method, whole, String::new(), now);
        }
        Ok(())
    }

    /// The last request, where there is a session to take leave of.
    pub fn teardown(&mut self, now: Instant) -> Option<Vec<u8>> {
        if matches!(self.step, Step::Describing | Step::Choosing) {
            return None;
        }
        self.out.clear();
        let whole = self.whole.clone();
        self.send("TEARDOWN", whole, String::new(), now);
        self.poll_transmit()
    }

    fn describe(&mut self, now: Instant) {
        self.step = Step::Describing;
        let url = self.url.as_str().to_owned();
        self.send("DESCRIBE", url, "Accept: application/sdp\r\n".into(), now);
    }

    fn response(
        &mut self,
        status: u16,
        reason: &str,
        message: &Message,
        now: Instant,
    ) -> Result<(), Failure> {
        if let Some(public) = message.header("Public") {
            self.keepalive.offered(public);
        }
        if let Some(value) = message.header("Session") {
            let SessionHeader { id, timeout } = header::session(value);
            if value.contains(';') || self.id.is_empty() {
                self.keepalive.set_timeout(timeout);
            }
            // A camera that names another session with each track knows the first.
            if self.id.is_empty() {
                self.id = id;
            }
        }
        // Cameras get CSeq wrong. One request is out at a time, so any answer is the answer to
        // that.
        let Some(pending) = self.pending.take() else { return Ok(()) };
        if status == 401 {
            return self.log_in(pending, message, now);
        }
        if pending.with_login {
            self.logins = 0;
            if let Some(login) = &mut self.login {
                login.accepted();
            }
        }
        let ok = (200..300).contains(&status);
        match self.step {
            Step::Playing => self.keepalive.answered(pending.method, status, now),
            Step::Describing if ok => self.described(message)?,
            Step::Describing if matches!(status, 301 | 302 | 303 | 305 | 307 | 308) => {
                self.redirected(status, message)?;
            }
            Step::SettingUp(track) if ok => {
                match self.lower.path(track, message.header("Transport").unwrap_or_default()) {
                    Ok(path) => {
                        self.events.push_back(Event::SetUp(track, path));
                        self.set_up_track(track + 1, now);
                    }
                    Err(other) => self.events.push_back(Event::TransportRefused(other.into())),
                }
            }
            Step::SettingUp(track) if self.wanted.get(track).is_some_and(|w| !w.needed) => {
                self.events.push_back(Event::SoundRefused(explain(status, reason)));
                self.set_up_track(track + 1, now);
            }
            // The status should be 461, but cameras say others.
            Step::SettingUp(_) if matches!(status, 400 | 415 | 461 | 501) => {
                self.events.push_back(Event::TransportRefused(explain(status, reason)));
            }
            Step::Starting if ok => {
                self.playing(message.header("RTP-Info").unwrap_or_default(), now)
            }
            // Some cameras cannot read a Range, or want none for a live stream.
            Step::Starting if !pending.headers.is_empty() && status != 454 => {
                self.send(pending.method, pending.uri, String::new(), now);
            }
            Step::Choosing => {}
            _ => return Err(refused(pending.method, status, reason)),
        }
        Ok(())
    }

    fn log_in(&mut self, pending: Pending, message: &Message, now: Instant) -> Result<(), Failure> {
        let Some(login) = &mut self.login else { return Err(Failure::Login) };
        self.logins += 1;
        let unsettled = || {
            let text = "it refuses a login that it accepted before, again and again: restart it, or \
                        see whether it limits how many may log in";
            Failure::Protocol(text.into())
        };
        if self.logins > MAX_LOGINS {
            return Err(unsettled());
        }
        match login.challenged(message.headers("WWW-Authenticate")) {
            Next::Retry => {
                self.send(pending.method, pending.uri, pending.headers, now);
                Ok(())
            }
            Next::Refused => Err(Failure::Login),
            Next::Unsettled => Err(unsettled()),
            Next::Unsupported(offered) => {
                let text = format!("expected it to ask for a Basic or Digest login, got {offered}");
                Err(Failure::Protocol(text))
            }
        }
    }

    fn described(&mut self, message: &Message) -> Result<(), Failure> {
        let bad = |what: String| Failure::Protocol(format!("its answer to DESCRIBE: {what}"));
        let kind = message.header("Content-Type").unwrap_or("application/sdp");
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if kind.starts_with("text/html") {
            return Err(bad(format!("expected application/sdp, got {}", shorten(&kind))));
        }
        let described = Description::parse(&message.body).map_err(|e| bad(e.to_string()))?;
        let said = message.header("Content-Base").or(message.header("Content-Location"));
        self.base = header::base(&self.url, said);
        self.whole = header::control(&self.base, described.control.as_deref());
        self.step = Step::Choosing;
        self.events.push_back(Event::Described(described));
        Ok(())
    }

    fn redirected(&mut self, status: u16, message: &Message) -> Result<(), Failure> {
        let place = message.header("Location").and_then(|place| self.url.join(place).ok());
        let place = place.filter(|place| matches!(place.scheme(), "rtsp" | "rtsps"));
        let Some(mut place) = place else {
            let text = format!("expected an RTSP address in its redirection ({status}), got none");
            return Err(Failure::Protocol(text));
        };
        // A login in the address is the camera's, not ours. Removing one cannot fail for an address
        // with a host.
        place.set_username("").ok();
        place.set_password(None).ok();
        self.events.push_back(Event::Redirect(place));
        Ok(())
    }

    fn set_up_track(&mut self, track: usize, now: Instant) {
        let Some(control) = self.controls.get(track).cloned() else {
            self.step = Step::Starting;
            let whole = self.whole.clone();
            return self.send("PLAY", whole, "Range: npt=0.000-\r\n".into(), now);
        };
        self.step = Step::SettingUp(track);
        let transport = self.lower.transport(track);
        self.send("SETUP", control, format!("Transport: {transport}\r\n"), now);
    }

    fn playing(&mut self, rtp_info: &str, now: Instant) {
        self.step = Step::Playing;
        self.heard = now;
        self.keepalive.begin(now);
        self.events.push_back(Event::Playing(header::rtp_times(rtp_info, &self.controls)));
    }

    fn request(&mut self, method: &str, message: &Message) {
        let status = match method {
            "OPTIONS" => "200 OK\r\nPublic: OPTIONS",
            "SET_PARAMETER" | "GET_PARAMETER" | "ANNOUNCE" | "REDIRECT" => "501 Not Implemented",
            _ => "405 Method Not Allowed",
        };
        let fits =
            |value: &&str| value.len() <= 256 && value.bytes().all(|b| (32..127).contains(&b));
        let echo = |name: &str| {
            let value = message.header(name).filter(fits);
            value.map_or(String::new(), |value| format!("{name}: {value}\r\n"))
        };
        let answer = format!("RTSP/1.0 {status}\r\n{}{}\r\n", echo("CSeq"), echo("Session"));
        // A camera that asks without reading the answers is told nothing more.
        if self.out.len() < super::message::MAX_HEADER {
            self.out.extend_from_slice(answer.as_bytes());
        }
    }

    fn send(&mut self, method: &'static str, uri: String, headers: String, now: Instant) {
        self.sequence = self.sequence.wrapping_add(1);
        let sequence = self.sequence;
        let authorization = self.login.as_mut().and_then(|login| login.authorization(method, &uri));
        let mut request = format!(
            "{method} {uri} RTSP/1.0\r\nCSeq: {sequence}\r\nUser-Agent: {USER_AGENT}\r\n{headers}"
        );
        if !self.id.is_empty() {
            request += &format!("Session: {}\r\n", self.id);
        }
        let with_login = authorization.is_some();
        if let Some(authorization) = authorization {
            request += &format!("Authorization: {authorization}\r\n");
        }
        request += "\r\n";
        self.out.extend_from_slice(request.as_bytes());
        let limit = if method == "DESCRIBE" { self.describe_limit } else { ANSWER_LIMIT };
        self.pending = Some(Pending { method, uri, headers, due: now + limit, with_login });
    }
}

fn refused(method: &str, status: u16, reason: &str) -> Failure {
    match status {
        403 => Failure::Login,
        454 => Failure::Forgotten,
        _ => Failure::Protocol(format!("it answers {method} with {}", explain(status, reason))),
    }
}

/// Tells a person a status, and what helps against it.
fn explain(status: u16, reason: &str) -> String {
    let advice = match status {
        404 => ": it has no such stream, check the path of its address",
        453 => ": it has as many viewers as it takes, close others or raise its limit",
        500..=599 => ": it is starting or overloaded, restart it if this goes on",
        _ => "",
    };
    format!("{status} {reason}{advice}")
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
