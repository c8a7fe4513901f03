//! Connections to services and stores: encrypted where the address says so, and kept for a while for the next session that comes by.

use std::collections::VecDeque;
use std::error::Error;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST};
#[cfg(feature = "update")]
use hyper::header::{IF_RANGE, RANGE};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use ivt_base::address_rule::AddressRule;
use ivt_base::byte_stream::ByteStream;
use ivt_base::dial::{self, Unconnected};
use ivt_base::task::work;
use ivt_base::text::shorten;
use ivt_base::tls;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use url::Url;

use super::address::Address;
use super::body::Outgoing;
use super::error::HttpError;
use crate::tls::TrustStore;

/// Most bytes of an answer's status line and headers.
const HEAD_LIMIT: usize = 64 * 1024;
/// Idle connections kept for each host, and for all hosts together.
const IDLE_PER_HOST: usize = 8;
const IDLE: usize = 64;
const IDLE_TIME: Duration = Duration::from_secs(60);
/// How long a connection may take to be ready for the next request after an answer was read.
const SETTLING: Duration = Duration::from_secs(1);

/// The connections of all sessions together.
pub(super) struct Connections {
    trust: TrustStore,
    rule: AddressRule,
    /// Longest time to connect, with TLS.
    limit: Duration,
    idle: Arc<Mutex<Idle>>,
}

/// A connection to one host.
pub(super) struct Connection {
    origin: Url,
    sender: SendRequest<Outgoing>,
    /// The task that drives the connection, which ends when this is dropped.
    _driver: JoinSet<hyper::Result<()>>,
}

#[derive(Default)]
struct Idle {
    /// The connections with the times since when they are idle, the longest first.
    connections: VecDeque<(Instant, Connection)>,
    /// Whether a task closes those that are idle for too long.
    swept: bool,
}

impl Connections {
    pub(super) fn new(trust: TrustStore, rule: AddressRule, limit: Duration) -> Self {
        Self { trust, rule, limit, idle: Arc::default() }
    }

    /// Sends a request, and returns its answer, whose body is not read yet. If it is `fresh`, the
    /// request has a connection of its own. An idle connection that fails before any answer is
    /// replaced by a new one if nothing was sent, or the body may come twice.
    pub(super) async fn send(
        &self,
        to: &Address,
        body: Outgoing,
        fresh: bool,
    ) -> Result<(Connection, hyper::Response<Incoming>), HttpError> {
        let again = body.again();
        let mut request = request(to, body)?;
        let idle = if fresh { None } else { self.take(to).await };
        if let Some(mut connection) = idle {
            match connection.sender.try_send_request(request).await {
                Ok(response) => return Ok((connection, response)),
                Err(mut failed) => {
                    let unsent = failed.take_message();
                    let error = failed.into_error();
                    request = match (unsent, again) {
                        _ if error.is_parse() => return Err(broken(to, &error)),
                        (Some(unsent), _) => unsent,
                        (None, Some(again)) => self::request(to, again)?,
                        (None, None) => return Err(broken(to, &error)),
                    };
                }
            }
        }
        let mut connection = self.connect(to).await?;
        let response = connection.sender.send_request(request).await;
        response.map(|response| (connection, response)).map_err(|e| broken(to, &e))
    }

    /// Keeps a connection whose answer was read to the end.
    pub(super) async fn keep(&self, mut connection: Connection) {
        if !matches!(timeout(SETTLING, connection.sender.ready()).await, Ok(Ok(()))) {
            return;
        }
        let mut idle = lock(&self.idle);
        let same = |kept: &(Instant, Connection)| kept.1.origin == connection.origin;
        let beside = idle.connections.iter().filter(|kept| same(kept)).count();
        let surplus = match beside < IDLE_PER_HOST {
            true => (idle.connections.len() >= IDLE).then_some(0),
            false => idle.connections.iter().position(same),
        };
        surplus.and_then(|at| idle.connections.remove(at));
        idle.connections.push_back((Instant::now(), connection));
        if !mem::replace(&mut idle.swept, true) {
            ivt_base::task::spawn(sweep(Arc::clone(&self.idle)));
        }
    }

    /// An idle connection to this host, the one that was used last.
    async fn take(&self, to: &Address) -> Option<Connection> {
        loop {
            let mut connection = {
                let mut idle = lock(&self.idle);
                let found = idle.connections.iter().rposition(|(since, kept)| {
                    kept.origin == *to.origin() && since.elapsed() < IDLE_TIME
                });
                idle.connections.remove(found?)?.1
            };
            if connection.sender.ready().await.is_ok() {
                return Some(connection);
            }
        }
    }

    async fn connect(&self, to: &Address) -> Result<Connection, HttpError> {
        let late = || HttpError::Transport(format!("{}: no connection in time", to.place()));
        let io = timeout(self.limit, self.dial(to)).await.unwrap_or_else(|_| Err(late()))?;
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_LIMIT)
            .title_case_headers(true)
            .handshake(TokioIo::new(io))
            .await
            .map_err(|e| broken(to, &e))?;
        let mut driver = JoinSet::new();
        driver.spawn(work(connection));
        Ok(Connection { origin: to.origin().clone(), sender, _driver: driver })
    }

    async fn dial(&self, to: &Address) -> Result<Box<dyn ByteStream>, HttpError> {
        let tls_failed =
            |e: tls::TlsError| HttpError::Transport(format!("{}: TLS: {e}", to.place()));
        let trust = match to.is_encrypted() {
            true => Some(self.trust.config().await.map_err(tls_failed)?),
            false => None,
        };
        let deadline = Instant::now() + self.limit;
        let tcp = dial::connect(to.host(), to.port(), deadline, Some(&self.rule)).await;
        let tcp = tcp.map_err(|e| match e {
            Unconnected::Forbidden(e) => HttpError::Refused(format!("{}: {e}", to.place())),
            e => HttpError::Transport(format!("{}: {}", to.place(), e.into_source())),
        })?;
        match trust {
            None => Ok(Box::new(tcp)),
            Some(trust) => match tls::connect(trust, to.host(), tcp).await {
                Ok(encrypted) => Ok(Box::new(encrypted)),
                Err(e) => Err(tls_failed(e)),
            },
        }
    }
}

/// The request that carries this body: a call, an upload, or the question for a file.
fn request(to: &Address, body: Outgoing) -> Result<Request<Outgoing>, HttpError> {
    let request =
        Request::builder().uri(to.target()).header(HOST, to.authority()).header(ACCEPT, "*/*");
    let request = match &body {
        Outgoing::Whole(whole) => {
            request.method(Method::POST).header(CONTENT_TYPE, whole.content_type)
        }
        Outgoing::Segment(_) => request.method(Method::PUT).header(CONTENT_TYPE, "video/mp2t"),
        #[cfg(feature = "update")]
        Outgoing::Nothing(None) => request,
        #[cfg(feature = "update")]
        Outgoing::Nothing(Some(resume)) => {
            let request = request.header(RANGE, format!("bytes={}-", resume.from));
            match &resume.validator {
                Some(validator) => request.header(IF_RANGE, validator.as_str()),
                None => request,
            }
        }
    };
    request
        .body(body)
        .map_err(|e| HttpError::Refused(format!("{}: cannot be asked: {e}", to.place())))
}

/// What broke a connection: the innermost cause, since the outer ones say only that there was an error.
pub(super) fn broken(to: &Address, error: &hyper::Error) -> HttpError {
    let mut cause: &dyn Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    HttpError::Transport(format!("{}: {}", to.place(), shorten(&cause.to_string())))
}

/// Closes connections that are idle for too long, until none is left.
async fn sweep(idle: Arc<Mutex<Idle>>) {
    loop {
        sleep(IDLE_TIME / 4).await;
        let mut idle = lock(&idle);
        idle.connections
            .retain(|(since, kept)| since.elapsed() < IDLE_TIME && !kept.sender.is_closed());
        if idle.connections.is_empty() {
            idle.swept = false;
            return;
        }
    }
}

fn lock(idle: &Mutex<Idle>) -> MutexGuard<'_, Idle> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}
