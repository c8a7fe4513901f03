//! Hearing a camera's alarms from its event stream, which all inputs of an NVR share.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::convert::Infallible;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::consume_budget;
use tokio::time::{Instant, timeout};

use super::Unit;
use crate::http::{Line, Open, Request};
use crate::parts::Splitter;
use crate::profile::alarms::Hearing;
use crate::profile::answer::{Document, Format};
use crate::profile::error::{Answered, Status};
use crate::profile::exchange::{clearer, has_another};
use crate::profile::step::Step;
use crate::shared::{Raised, Shared};
use crate::{Alarms, Error, Heard, Kind, Result, Signal, Trigger};

const OP: &str = "alarms listen";
/// Silence after which an event whose end the camera has not marked is taken as it is.
const PAUSE: Duration = Duration::from_millis(200);
/// How long the request may take that tries the login first.
const FIRST: Duration = Duration::from_secs(2);
/// How long what is held, and motion, are not told again, as some cameras tell them with each picture.
const SAME: Duration = Duration::from_millis(500);
/// Most alarms that are known to be held or detected at the same time.
const MOST_KNOWN: usize = 512;
/// Heartbeats by which a device is known to have them.
const STEADY: u32 = 2;
/// Connections in a row without so many heartbeats after which a device is taken to have none.
const MOST_UNSTEADY: u32 = 3;

/// The inputs of a device that somebody has channels for.
#[derive(Default)]
pub(super) struct Inputs(Mutex<BTreeSet<u16>>);

impl Inputs {
    pub(super) fn add(&self, input: u16) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(input);
    }

    /// Whether the device is a single camera, as far as is known.
    fn is_single(&self) -> bool {
        self.all() == [1]
    }

    fn all(&self) -> Vec<u16> {
        let inputs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inputs.iter().copied().collect()
    }
}

#[async_trait]
impl Alarms for Unit {
    async fn listen(&self, heard: &mpsc::Sender<Heard>) -> Error {
        let (Some(hearing), Some(steps)) = (self.profile.hearing(), self.profile.steps(OP)) else {
            return Error::new(OP, Kind::Unsupported);
        };
        let mut name = format!("alarms {}", self.profile.name);
        if self.profile.uses(steps.iter().flat_map(Step::names).collect(), "input") {
            name += &format!(" {}", self.input);
        }
        let stream = self.http.shared::<Stream>(&name);
        let _leaves = Leaves(&stream);
        let inputs = self.http.shared::<Inputs>("profile inputs");
        let input = self.input.to_string();
        let is_mine = |names: &[String]| match names {
            [] => true,
            [first, rest @ ..] => *first == input || !rest.is_empty() && inputs.is_single(),
        };
        let lead = async {
            match self.hear(hearing, steps, &stream).await {
                Ok(never) => match never {},
                Err(error) => error,
            }
        };
        stream.audience.listen(OP, heard, &is_mine, Box::pin(lead)).await
    }
}

/// Where an event stream comes from.
enum Source {
    Open(Open),
    Line(Line),
}

impl Source {
    async fn chunk(&mut self, silence: Duration) -> Result<Option<Bytes>> {
        match self {
            Self::Open(open) => open.chunk(silence).await,
            Self::Line(line) => line.chunk(silence).await,
        }
    }
}

/// The event stream of a device.
#[derive(Default)]
struct Stream {
    audience: Shared,
    /// The connection, which outlives the listener that opened it.
    running: tokio::sync::Mutex<Option<Running>>,
    /// Connections in a row that fell silent before the device was known to have heartbeats.
    unsteady: AtomicU32,
}

/// A connection, and how far it has been heard.
struct Running {
    source: Source,
    splitter: Splitter,
    known: Known,
    /// What has been heard and not been told yet.
    waiting: VecDeque<Raised>,
    /// When the camera said something, and the heartbeats among that.
    last: Instant,
    beats: u32,
    /// When it was asked again.
    asked: Instant,
}

/// Held by each listener: the last one closes the connection.
struct Leaves<'a>(&'a Stream);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        if self.0.audience.is_deserted()
            && let Ok(mut running) = self.0.running.try_lock()
        {
            *running = None;
        }
    }
}

impl Unit {
    /// Opens the stream, or takes it over from the listener that has gone, and tells all who share it what it says, until it
    /// ends.
    async fn hear(&self, hearing: &Hearing, steps: &[Step], stream: &Stream) -> Result<Infallible> {
        let mut running = stream.running.lock().await;
        let is_new = running.is_none();
        if is_new {
            let source = self.attach(hearing, steps).await?;
            *running = Some(Running::new(source, hearing));
        }
        let ended = match running.as_mut() {
            Some(running) => {
                stream.audience.listening(is_new).await;
                self.go_on(hearing, running, stream).await
            }
            None => Err(Error::new(OP, Kind::Other)),
        };
        *running = None;
        ended
    }

    async fn go_on(
        &self,
        hearing: &Hearing,
        running: &mut Running,
        stream: &Stream,
    ) -> Result<Infallible> {
        let inputs = self.http.shared::<Inputs>("profile inputs");
        loop {
            while let Some(raised) = running.waiting.front() {
                stream.audience.tell(raised.clone()).await;
                running.waiting.pop_front();
            }
            let is_unsteady = running.beats < STEADY;
            let silence = match hearing.beat() {
                // One without heartbeats is given up early a few times, as it may have been a device that hangs.
                Some(beat)
                    if !is_unsteady || stream.unsteady.load(Ordering::Relaxed) < MOST_UNSTEADY =>
                {
                    beat
                }
                _ => hearing.silence,
            };
            let parts = running.parts(hearing, silence).await.inspect_err(|error| {
                if error.kind == Kind::Timeout && is_unsteady {
                    stream.unsteady.fetch_add(1, Ordering::Relaxed);
                }
            })?;
            let inputs = inputs.all();
            for part in parts {
                let said = hearing.hear(&part, &inputs, &|input| self.profile.values(input));
                if said.is_beat {
                    running.beats = running.beats.saturating_add(1);
                    if running.beats == STEADY {
                        stream.unsteady.store(0, Ordering::Relaxed);
                    }
                }
                for (raised, is_told) in said.raised {
                    if running.known.is_news(&raised, is_told) {
                        running.waiting.push_back(raised);
                    }
                }
            }
            // Others have their turn beside a camera that says much.
            consume_budget().await;
        }
    }

    /// Asks for the stream, at another address where the camera does not know the first.
    async fn attach(&self, hearing: &Hearing, steps: &[Step]) -> Result<Source> {
        let values = self.values();
        let invalid = |kind| Error::new(OP, kind);
        if !self.http.has_passed() {
            // Some cameras refuse the first right login, which then rests for the path of that request.
            let _ = timeout(FIRST, self.read_clock(OP)).await;
        }
        let (port, steps) = match (&hearing.port, steps.split_at_checked(1)) {
            (Some(place), Some((first, steps))) => {
                let answer = self.call(OP).answer(first, &values).await?;
                let document = Document::parse(Format::Json, &answer.body);
                let port = document.ok().and_then(|document| document.value(place));
                let port = port.and_then(|port| port.trim().parse().ok()).filter(|port| *port != 0);
                let lacks = || answered(Kind::Unsupported, "named no port of its event stream");
                (Some::<u16>(port.ok_or_else(lacks)?), steps)
            }
            _ => (None, steps),
        };
        let mut last = Err(Error::new(OP, Kind::Unsupported));
        for step in steps {
            if !last.as_ref().err().is_some_and(has_another) {
                break;
            }
            if step.applies(&values).map_err(invalid)? {
                let request = step.request(&values).map_err(invalid)?;
                let source = match port {
                    Some(port) => self.line(port, request).await.map(Source::Line),
                    None => self.open(&request).await.map(Source::Open),
                };
                last = clearer(last, source);
            }
        }
        last
    }

    async fn open(&self, request: &Request) -> Result<Open> {
        let open = self.http.open(OP, request).await?;
        let is_page = open.header("content-type").is_some_and(|kind| {
            kind.get(..9).is_some_and(|kind| kind.eq_ignore_ascii_case("text/html"))
        });
        match refusal(open.status()) {
            Some(error) => Err(error),
            None if is_page => Err(answered(Kind::Other, "answered a page for people")),
            None => Ok(open),
        }
    }

    /// A connection to a port of its own. The request is sent once apart, so that the login is known to pass.
    async fn line(&self, port: u16, request: Request) -> Result<Line> {
        let http = self.http.at_port(port);
        match refusal(http.send(OP, &request).await?.status) {
            Some(error) => Err(error),
            None => Line::open(OP, &http, request).await,
        }
    }
}

impl Running {
    fn new(source: Source, hearing: &Hearing) -> Self {
        let now = Instant::now();
        Self {
            source,
            splitter: hearing.splitter(),
            known: Known::default(),
            waiting: VecDeque::new(),
            last: now,
            beats: 0,
            asked: now,
        }
    }

    /// The parts that end in what comes next, if it comes; the camera is asked again when that is due.
    async fn parts(&mut self, hearing: &Hearing, silence: Duration) -> Result<Vec<Vec<u8>>> {
        let dead = self.last + silence;
        let again = hearing.again.map(|again| self.asked + again).filter(|again| *again < dead);
        let mut until = again.unwrap_or(dead);
        if self.splitter.awaits_end() {
            until = until.min(Instant::now() + PAUSE);
        }
        let mut parts = Vec::new();
        let mut part = |part: &[u8]| parts.push(part.to_vec());
        match self.source.chunk(until.saturating_duration_since(Instant::now())).await {
            Ok(Some(bytes)) => {
                self.last = Instant::now();
                self.splitter.push(&bytes, &mut part);
            }
            Ok(None) => return Err(answered(Kind::Other, "ended its event stream")),
            Err(error) if error.kind != Kind::Timeout => return Err(error),
            Err(error) => {
                self.splitter.flush(&mut part);
                let now = Instant::now();
                if now >= dead {
                    return Err(error);
                }
                if again.is_some_and(|again| now >= again)
                    && let Source::Line(line) = &mut self.source
                {
                    self.asked = now;
                    line.say().await?;
                }
            }
        }
        Ok(parts)
    }
}

/// The alarms that a stream has told, by their keys.
#[derive(Default)]
struct Known {
    /// Each with when it was told last.
    held: BTreeMap<u64, Instant>,
    detected: BTreeMap<u64, Instant>,
}

impl Known {
    /// Notes what is told. False for what is nothing new: what is held, or moves, and has just been told, and, where the stream only says
    /// how things are, the end of what has not begun.
    fn is_news(&mut self, raised: &Raised, is_told: bool) -> bool {
        let (key, now) = (raised.key, Instant::now());
        match raised.alarm.signal {
            Signal::Begins => {
                let is_news = self.held.get(&key).is_none_or(|at| now - *at >= SAME);
                if is_news {
                    if self.held.len() == MOST_KNOWN {
                        self.held.pop_first();
                    }
                    self.held.insert(key, now);
                }
                is_news
            }
            Signal::Ends => {
                self.detected.remove(&key);
                self.held.remove(&key).is_some() || !is_told
            }
            Signal::Detected if raised.alarm.trigger != Trigger::Motion => true,
            Signal::Detected => {
                let is_news = self.detected.get(&key).is_none_or(|at| now - *at >= SAME);
                if is_news {
                    if self.detected.len() == MOST_KNOWN {
                        self.detected.clear();
                    }
                    self.detected.insert(key, now);
                }
                is_news
            }
        }
    }
}

/// What a status other than success means.
fn refusal(status: u16) -> Option<Error> {
    let kind = match status {
        200..=299 => return None,
        401 | 403 => Kind::Refused,
        404 | 405 | 501 => Kind::Unsupported,
        _ => Kind::Other,
    };
    Some(Error::new(OP, kind).because(Status(status)))
}

fn answered(kind: Kind, what: &str) -> Error {
    Error::new(OP, kind).because(Answered(what.to_owned()))
}
