//! The camera's own web server: the CGIs that a hosted service (TLSS) calls, and a log of every request.
//! The page for a person is in `control`.

pub mod calendar;
mod cgi;
mod dahua;
mod endless;
mod events;
mod fault;
mod hikvision;
mod merlin;
mod moment;
mod parameters;
mod report;
mod service;
mod uapi;
mod wire;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use ivt_base::wall_time::WallTime;
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

pub use events::{AlarmQuirk, Change, Ear, UnknownAlarmQuirk, listing};
pub use fault::{WebFault, WebFaultRule};
pub use service::Service;
pub use wire::{Answer, Request};

use super::auth::Lock;
use super::make::Make;
use super::server::bind;
use super::switches::Switches;
use super::world::World;
use dahua::Dahua;
use events::Subject;
use hikvision::Hikvision;
use merlin::Merlin;
use parameters::Parameters;
use wire::Malformed;

/// Most connections held at once; more are closed when they are accepted.
const MAX_CONNECTIONS: usize = 64;
/// Most event streams at once; more are refused.
const MAX_STREAMS: u64 = 16;
/// Number of requests that the log keeps.
const MAX_LOG: usize = 1000;
/// Longest target that the log keeps of a request, in bytes.
const MAX_TARGET: usize = 2048;
/// Pause after a connection could not be accepted.
const RETRY_AFTER: Duration = Duration::from_millis(50);
/// Time that the camera is away when a client restarts it.
const REBOOT: Duration = Duration::from_secs(5);

/// Counts of what reached the camera's web server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WebCounters {
    /// Connections accepted.
    pub connections: u64,
    /// Requests read, whether well formed or not.
    pub requests: u64,
    /// Requests answered 401.
    pub unauthorized: u64,
    /// Requests answered 404.
    pub not_found: u64,
    /// Requests that are no HTTP/1.
    pub malformed: u64,
    /// Event streams that clients listen to now.
    pub streams: u64,
}

/// A request to the camera's web server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WebRequest {
    /// Number of the request, counted from 1.
    pub number: u64,
    /// When the request came, in milliseconds since 1970.
    pub time_ms: u64,
    /// The method, usually `GET`; empty when the request is no HTTP/1.
    pub method: String,
    /// Path and query as they were on the wire, or the first line of what is no HTTP/1.
    pub target: String,
    /// Status of the answer, also when a fault kept it from the client.
    pub status: u16,
}

/// The camera's web server.
pub struct Web {
    lock: Lock,
    /// The lock with another nonce, for [`AlarmQuirk::LoginTwice`].
    second_lock: Lock,
    make: Make,
    /// How the event streams are odd.
    pub quirks: Switches<AlarmQuirk>,
    merlin: Merlin,
    hikvision: Hikvision,
    dahua: Dahua,
    world: Arc<World>,
    services: Vec<Arc<dyn Service>>,
    reboots: mpsc::Sender<Duration>,
    parameters: Mutex<Parameters>,
    faults: Mutex<Vec<WebFaultRule>>,
    log: Mutex<VecDeque<WebRequest>>,
    counters: watch::Sender<WebCounters>,
}

impl Web {
    /// A web server in front of `world`. `services` answer before it does; `reboots` are carried out by the camera;
    /// merlin cameras tell their alarms on `listen_port`.
    pub fn new(
        [lock, second_lock]: [Lock; 2],
        make: Make,
        quirks: Switches<AlarmQuirk>,
        world: Arc<World>,
        services: Vec<Arc<dyn Service>>,
        reboots: mpsc::Sender<Duration>,
        listen_port: u16,
    ) -> Self {
        Self {
            lock,
            second_lock,
            make,
            quirks,
            merlin: Merlin::new(listen_port),
            hikvision: Hikvision::default(),
            dahua: Dahua::new(world.units().len()),
            world,
            services,
            reboots,
            parameters: Mutex::new(Parameters::factory()),
            faults: Mutex::default(),
            log: Mutex::default(),
            counters: watch::Sender::default(),
        }
    }

    pub fn counters(&self) -> watch::Receiver<WebCounters> {
        self.counters.subscribe()
    }

    /// The last requests, oldest first.
    pub fn requests(&self) -> Vec<WebRequest> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    pub fn parameter(&self, name: &str) -> Option<String> {
        self.parameters.lock().unwrap_or_else(PoisonError::into_inner).find(name, self.now())
    }

    pub fn faults(&self) -> Vec<WebFaultRule> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set_faults(&self, faults: Vec<WebFaultRule>) {
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    /// Accepts clients for ever. While `away` is true the camera reboots: clients are lost and none is
    /// accepted.
    pub async fn run(
        self: Arc<Self>,
        mut listener: TcpListener,
        address: SocketAddr,
        mut away: watch::Receiver<bool>,
    ) {
        loop {
            tokio::select! {
                gone = away.wait_for(|away| *away) => if gone.is_err() { return },
                () = self.accept(&listener) => {}
            }
            drop(listener);
            if away.wait_for(|away| !*away).await.is_err() {
                return;
            }
            listener = bind(address).await;
        }
    }

    async fn accept(self: &Arc<Self>, listener: &TcpListener) {
        let mut clients = JoinSet::new();
        loop {
            tokio::select! {
                Some(_) = clients.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        self.counters.send_modify(|counters| counters.connections += 1);
                        if clients.len() < MAX_CONNECTIONS {
                            clients.spawn(self.clone().serve(stream));
                        }
                    }
                    Err(error) => {
                        log::warn!(target: "camera", "web accept: {error}");
                        sleep(RETRY_AFTER).await; // Without a pause this would spin while descriptors are lacking.
                    }
                },
            }
        }
    }

    async fn serve(self: Arc<Self>, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let host = stream.local_addr()?.ip();
        let mut buf = BytesMut::new();
        loop {
            let Some(request) = wire::read(&mut stream, &mut buf).await? else { return Ok(()) };
            let request = match request {
                Ok(request) => Request { host, ..request },
                Err(Malformed(line)) => {
                    self.note("", &line, 400);
                    let answer = Answer::new(400, "text/plain", "#400|BAD REQUEST\n");
                    fault::respond(&mut stream, &answer, None, true).await?;
                    return Ok(());
                }
            };
            let fault = fault::find(&self.faults(), &request.target);
            let answer = tokio::select! {
                biased;
                answer = self.answer(&request, fault) => answer,
                () = left(&stream) => return Ok(()),
            };
            self.note(&request.method, &request.target, answer.status);
            if answer.hangs_up {
                return Ok(());
            }
            let mut answer = answer;
            if let Some((subject, dialect)) = answer.stream.take() {
                match fault {
                    None
                    | Some(WebFault::Chunked | WebFault::DelayMs(_) | WebFault::CloseMidBody) => {
                        let ear = Ear::open(&subject.world);
                        let _listening = Listening::new(&self.counters);
                        return endless::run(&mut stream, &answer, dialect, ear, &subject, fault)
                            .await;
                    }
                    Some(_) => {}
                }
            }
            let stays = fault::respond(&mut stream, &answer, fault, request.last).await;
            if answer.reboots {
                let _ = self.reboots.try_send(REBOOT); // Fails while the camera is already rebooting.
            }
            if !stays? {
                return Ok(());
            }
        }
    }

    async fn answer(&self, request: &Request, fault: Option<WebFault>) -> Answer {
        let Request { method, target, authorization, .. } = request;
        if let Some(service) = self.services.iter().find(|service| service.takes(target)) {
            return match fault {
                Some(WebFault::Status(status)) => on_request(status),
                _ => service.answer(request).await,
            };
        }
        let opens = |lock: &Lock| lock.opens_target(method, target, authorization.as_deref());
        let twice = self.quirks.has(AlarmQuirk::LoginTwice);
        let second = twice && opens(&self.second_lock);
        if !opens(&self.lock) && !second {
            let answer = Answer::new(401, "text/plain", "#401|UNAUTHORIZED\n");
            return Answer { challenge: Some(self.lock.challenge()), ..answer };
        }
        match fault {
            Some(WebFault::Status(status)) => on_request(status),
            _ => match self.carry_out(request).await {
                Answer { stream: Some(_), .. } if twice && !second => {
                    let answer = Answer::new(401, "text/plain", "#401|UNAUTHORIZED\n");
                    Answer { challenge: Some(self.second_lock.challenge()), ..answer }
                }
                Answer { stream: Some(_), .. } if self.counters.borrow().streams >= MAX_STREAMS => {
                    Answer::new(503, "text/plain", "as many clients listen as can\n")
                }
                answer => answer,
            },
        }
    }

    /// The answer of the camera's make.
    async fn carry_out(&self, request: &Request) -> Answer {
        match self.make {
            Make::Line(family) if request.method == "GET" => {
                let (subject, now) = (self.subject(request), self.now());
                uapi::answer(subject, &self.parameters, family, &request.target, now).await
            }
            Make::Line(_) => Answer::new(405, "text/plain", "#405|METHOD NOT ALLOWED\n"),
            Make::Hikvision => self.hikvision.answer(self.subject(request), request).await,
            Make::Dahua => self.dahua.answer(self.subject(request), request).await,
            Make::Merlin => self.merlin.answer(self.subject(request), request).await,
        }
    }

    /// What the camera's clock shows, in seconds since 1970.
    fn now(&self) -> i64 {
        let shown = self.world.clock().and_then(WallTime::seconds);
        shown.and_then(|seconds| i64::try_from(seconds).ok()).unwrap_or_default()
    }

    fn subject(&self, request: &Request) -> Subject {
        Subject { world: self.world.clone(), host: request.host, quirks: self.quirks.on() }
    }

    fn note(&self, method: &str, target: &str, status: u16) {
        log::debug!(target: "camera", "web: {method} {} -> {status}", uapi::without_key(target).escape_debug());
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let target: String = uapi::without_key(target).chars().take(MAX_TARGET).collect();
        self.counters.send_modify(|counters| {
            counters.requests += 1;
            counters.unauthorized += u64::from(status == 401);
            counters.not_found += u64::from(status == 404);
            counters.malformed += u64::from(method.is_empty());
            log.push_back(WebRequest {
                number: counters.requests,
                time_ms: u64::try_from(now_ms()).unwrap_or(0),
                method: method.chars().take(16).collect(),
                target,
                status,
            });
        });
        if log.len() > MAX_LOG {
            log.pop_front();
        }
    }
}

/// Counts an event stream while it lasts.
struct Listening(watch::Sender<WebCounters>);

impl Listening {
    fn new(counters: &watch::Sender<WebCounters>) -> Self {
        counters.send_modify(|counters| counters.streams += 1);
        Self(counters.clone())
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.send_modify(|counters| counters.streams -= 1);
    }
}

/// Returns once the client has closed the connection. One that asks on without waiting for the answer stays.
async fn left(stream: &TcpStream) {
    if let Ok(1..) = stream.peek(&mut [0]).await {
        std::future::pending().await
    }
}

fn on_request(status: u16) -> Answer {
    Answer::new(status, "text/html", format!("<h1>{status} on request</h1>\n"))
}

/// The time in milliseconds since 1970; 0 before.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
