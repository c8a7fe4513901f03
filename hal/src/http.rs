//! A camera's own web server, over plain HTTP/1.1 on the device or its own network. Its address
//! comes from the local configuration alone.

#[cfg(test)]
mod digest_tests;
#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod hostile_tests;
#[cfg(feature = "profiles")]
mod line;
mod login;
mod open;
#[cfg(test)]
mod open_tests;
mod request;
mod snapshot;
#[cfg(test)]
mod tests;
mod wire;

#[cfg(any(feature = "onvif", feature = "profiles"))]
use std::any::Any;
use std::pin::pin;
use std::sync::Arc;
#[cfg(any(feature = "onvif", feature = "profiles"))]
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use hyper::StatusCode;
use ivt_base::mask::Known;
use tokio::time::{Instant, timeout};

use crate::{Answer, Cgi, Credentials, Error, Kind, Result};
#[cfg(feature = "profiles")]
pub(crate) use line::Line;
#[cfg(feature = "onvif")]
pub(crate) use login::RESTS;
use login::{MAX_RENEWAL, SharedLogin};
pub use open::Open;
pub use request::{Body, Method, Request};
pub use snapshot::HttpSnapshot;
pub use wire::hung_up;

/// Longest time for a call of an ability of a camera that is asked over its web server. It leaves a second of the 8 s that
/// the abilities promise, so that whoever waits a little less than these hears what was asked.
pub const ABILITY_DEADLINE: Duration = Duration::from_secs(7);

/// Longest time from the call to the head of an answer without an end.
const OPEN_DEADLINE: Duration = Duration::from_secs(10);
/// Most exchanges for one request, including those that the login needs.
const MAX_EXCHANGES: u32 = 12;

/// The limits of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest body of an answer, in bytes; default 4 MiB.
    pub body: usize,
    /// Longest time from the call to the last byte of the answer; default 10 s.
    pub deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { body: 4 * 1024 * 1024, deadline: Duration::from_secs(10) }
    }
}

/// A client of one camera's web server. Each request has a connection of its own. Clones share one
/// login, by Basic or Digest: every ability of a camera has a clone of the same client.
#[derive(Clone)]
pub struct Http {
    server: Arc<Server>,
    limits: Limits,
}

struct Server {
    /// Name or address of the host, without brackets.
    host: String,
    port: u16,
    login: Option<SharedLogin>,
    /// What the users of the server have in common, each with its name.
    #[cfg(any(feature = "onvif", feature = "profiles"))]
    shared: Shared,
}

#[cfg(any(feature = "onvif", feature = "profiles"))]
type Shared = Mutex<Vec<(String, Arc<dyn Any + Send + Sync>)>>;

impl Http {
    /// A client of the server at `host`, a name or an address. Connects with the first request.
    pub fn new(host: &str, port: u16, credentials: Option<Credentials>, limits: Limits) -> Self {
        let host = host.trim_matches(['[', ']']).to_owned();
        let login = credentials.map(SharedLogin::new);
        Self { server: Server::new(host, port, login), limits }
    }

    /// A client of the same server with the same login, and other limits.
    #[must_use]
    pub fn with_limits(&self, limits: Limits) -> Self {
        Self { server: Arc::clone(&self.server), limits }
    }

    /// Longest body of an answer, in bytes.
    #[cfg(feature = "onvif")]
    pub(crate) fn longest(&self) -> usize {
        self.limits.body
    }

    /// A client of another port of the same host, with the same login and limits. A login that was refused at one
    /// port rests at all, as cameras lock accounts.
    #[must_use]
    pub fn at_port(&self, port: u16) -> Self {
        let login = self.server.login.as_ref().map(SharedLogin::at_another_port);
        let host = self.server.host.clone();
        Self { server: Server::new(host, port, login), limits: self.limits }
    }

    /// What all clones of this client have in common under a name, made by the first one that asks.
    #[cfg(any(feature = "onvif", feature = "profiles"))]
    pub(crate) fn shared<T: Default + Send + Sync + 'static>(&self, name: &str) -> Arc<T> {
        let mut shared = self.server.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let known = shared.iter().filter(|(other, _)| other == name);
        if let Some(known) = known.filter_map(|(_, one)| Arc::clone(one).downcast().ok()).next() {
            return known;
        }
        let new = Arc::<T>::default();
        shared.push((name.to_owned(), Arc::clone(&new) as _));
        new
    }

    /// Whether the camera has accepted the login, or needs none as far as is known.
    #[cfg(feature = "profiles")]
    pub(crate) fn has_passed(&self) -> bool {
        self.server.login.as_ref().is_none_or(SharedLogin::has_passed)
    }

    /// The name or address of the server, without brackets.
    pub fn host(&self) -> &str {
        &self.server.host
    }

    /// The port of the server.
    pub fn port(&self) -> u16 {
        self.server.port
    }

    /// Sends `request`, with the login once the camera has asked for one. `op` names the ability
    /// and call in errors. Any answer of the camera is a success: 401 says that the camera refuses
    /// the login, or that the login rests after a refusal. Redirects are not followed.
    ///
    /// # Errors
    /// `Invalid` for a request that HTTP cannot carry, `Offline` without a connection, `Timeout` after
    /// the deadline, `Other` for an answer that is broken or above the limits.
    pub async fn send(&self, op: &'static str, request: &Request) -> Result<Answer> {
        let answer =
            async { self.exchange(op, request, false).await?.read(self.limits.body).await };
        match timeout(self.limits.deadline, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::new(op, Kind::Timeout)),
        }
    }

    /// Sends `request` as [`send`](Self::send) does, and returns once the head of the answer has come, within 10 s
    /// whatever the limits. The body is read piece by piece, as that of an event stream which has no end; a connection
    /// whose peer has gone is noticed by TCP itself.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn open(&self, op: &'static str, request: &Request) -> Result<Open> {
        match timeout(OPEN_DEADLINE, self.exchange(op, request, true)).await {
            Ok(response) => response.map(Open::new),
            Err(_) => Err(Error::new(op, Kind::Timeout)),
        }
    }

    /// Sends `request` with the login that it needs, until an answer's head is the one to take. `stays` is true for a
    /// connection that is kept for long.
    async fn exchange(
        &self,
        op: &'static str,
        request: &Request,
        stays: bool,
    ) -> Result<wire::Response> {
        let Server { host, port, login, .. } = &*self.server;
        let Some(login) = login else {
            return wire::send(op, host, *port, request, None, stays).await;
        };
        let mut turn = Some(login.turn().await);
        let mut exchanges = 1;
        loop {
            let said = login.say(request, Instant::now());
            if exchanges == 1 && !said.is_untried {
                turn = None;
            }
            let authorization = said.authorization.as_deref();
            let mut exchange = pin!(wire::send(op, host, *port, request, authorization, stays));
            let answer = if said.is_untried {
                exchange.await?
            } else if let Ok(answer) = timeout(MAX_RENEWAL, &mut exchange).await {
                answer?
            } else {
                // The others need not wait for this request: the password is not in doubt.
                turn = None;
                exchange.await?
            };
            if answer.status() != StatusCode::UNAUTHORIZED {
                login.accepted(&said);
                return Ok(answer);
            }
            if turn.is_none() {
                turn = Some(login.turn().await);
            }
            let again = login.refused(&said, request, answer.challenges(), Instant::now());
            if !again || exchanges == MAX_EXCHANGES {
                return Ok(answer);
            }
            exchanges += 1;
        }
    }
}

impl Server {
    fn new(host: String, port: u16, login: Option<SharedLogin>) -> Arc<Self> {
        Arc::new(Self {
            host,
            port,
            login,
            #[cfg(any(feature = "onvif", feature = "profiles"))]
            shared: Shared::default(),
        })
    }
}

#[async_trait]
impl Cgi for Http {
    async fn get(&self, path: &str, query: &str) -> Result<Answer> {
        let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
        self.send("cgi get", &Request::get(target)).await
    }

    fn login(&self) -> Known {
        self.server.login.as_ref().map(SharedLogin::known).unwrap_or_default()
    }
}
