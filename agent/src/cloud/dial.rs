//! Opens a WebSocket for a login. [`Dial`] is the one seam between the agent and its cloud: tests
//! dial in memory.

use std::io;
use std::time::Duration;

use async_trait::async_trait;
use ivt_base::address_rule::{AddressRule, Forbidden};
use ivt_base::byte_stream::ByteStream;
use ivt_base::dial::{self, Unconnected};
use ivt_base::tls::{self, TlsError};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::login::CloudLogin;
#[cfg(feature = "ui")]
use super::progress::{Progress, Step};
use super::upgrade::{Refusal, upgrade};
use crate::tls::TrustStore;

pub use super::upgrade::{Socket, limits};

/// How long name lookup, TCP connection, TLS and WebSocket upgrade may take together, also where the
/// cloud redirects.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection ends when bytes sent over it stay unacknowledged for this long.
const USER_TIMEOUT: Duration = Duration::from_secs(20);

/// Makes connections to the cloud.
#[async_trait]
pub trait Dial: Send + Sync {
    /// Makes one attempt, which ends with a login. Takes at most 10 s.
    ///
    /// # Errors
    ///
    /// [`DialError`] says which step failed.
    async fn dial(&self) -> Result<Socket, DialError>;

    /// Shows how far the attempts get, where they are made step by step.
    #[cfg(feature = "ui")]
    fn progress(&self) -> Progress {
        Progress::default()
    }
}

/// Why there is no connection. The text never holds the password.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The name has no address.
    #[error("the name {host} cannot be resolved: {source}; check cloud.url and the DNS server")]
    Resolve {
        /// The host in the configuration, or the one that the cloud redirects to.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// No address takes connections.
    #[error("{peer} takes no connection: {source}")]
    Connect {
        /// The address tried last.
        peer: String,
        /// What the system said.
        source: io::Error,
    },
    /// The server's certificate is not trusted, or TLS failed in another way.
    #[error("TLS with {host} failed: {source}; check cloud.ca_file and the device's clock")]
    Tls {
        /// The name that the certificate has to hold.
        host: String,
        /// What went wrong in TLS.
        source: TlsError,
    },
    /// The cloud refused the login by HTTP 401 or 403.
    #[error("the cloud refused the login: HTTP {status}")]
    Refused {
        /// The HTTP status.
        status: u16,
    },
    /// The cloud, or a gateway before it, takes no logins now.
    #[error("the cloud takes no logins now: {said}{}", asked(.wait))]
    Busy {
        /// The HTTP status and the cloud's own words.
        said: String,
        /// How long the cloud asks to be left alone, at most an hour.
        wait: Option<Duration>,
    },
    /// The cloud redirects to where the agent does not follow.
    #[error("the cloud redirects {problem}; check cloud.url")]
    Redirect {
        /// Where the redirect leads, or what is wrong with it.
        problem: String,
    },
    /// The rule for addresses refuses the host that the cloud redirects to.
    #[error("the cloud redirects, and {0}")]
    Forbidden(Forbidden),
    /// The server answered with something other than a WebSocket.
    #[error("expected a WebSocket, received {received}; check cloud.url")]
    Upgrade {
        /// What came in the place of a WebSocket.
        received: String,
    },
    /// The attempt took longer than 10 s.
    #[error("not connected within {} s", DIAL_TIMEOUT.as_secs())]
    Timeout,
}

/// Dials over TCP, and TLS where the login asks for it; never falls back from one to the other.
pub struct TcpDial {
    login: CloudLogin,
    trust: TrustStore,
    rule: AddressRule,
    #[cfg(feature = "ui")]
    progress: Progress,
}

impl TcpDial {
    /// Dials for `login`; `trust` says whose certificates will do. Redirects are followed by the rule
    /// for addresses without settings.
    pub fn new(login: CloudLogin, trust: TrustStore) -> Self {
        let rule = AddressRule::for_cloud(&login.host);
        Self {
            login,
            trust,
            rule,
            #[cfg(feature = "ui")]
            progress: Progress::default(),
        }
    }

    /// Follows redirects to where `rule` allows.
    pub fn by_rule(self, rule: AddressRule) -> Self {
        Self { rule, ..self }
    }

    async fn open(&self, deadline: Instant) -> Result<Socket, DialError> {
        let refusal = match self.ask(&self.login, None, deadline).await? {
            Ok(socket) => return Ok(socket),
            Err(refusal) => refusal,
        };
        let Some(location) = &refusal.location else { return Err(refusal.into()) };
        let redirected = self.login.redirected(location.expose());
        let login = redirected.map_err(|problem| DialError::Redirect { problem })?;
        log::info!("the cloud redirects the login to {login}");
        match self.ask(&login, Some(&self.rule), deadline).await? {
            Ok(socket) => Ok(socket),
            Err(Refusal { location: Some(_), .. }) => {
                let problem =
                    format!("to {login}, and from there again: only one step is followed");
                Err(DialError::Redirect { problem })
            }
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// Asks one server for a WebSocket. `rule` is for hosts that the cloud names.
    async fn ask(
        &self,
        login: &CloudLogin,
        rule: Option<&AddressRule>,
        deadline: Instant,
    ) -> Result<Result<Socket, Refusal>, DialError> {
        let host = &login.host;
        #[cfg(feature = "ui")]
        self.progress.begin(Step::Name);
        let tcp = connect(host, login.port, deadline, rule).await?;
        #[cfg(feature = "ui")]
        self.progress.connected(tcp.peer_addr().ok(), Step::Tls);
        let stream: Box<dyn ByteStream> = if login.secure {
            let failed = |source| DialError::Tls { host: host.clone(), source };
            let config = self.trust.config().await.map_err(failed)?;
            let stream = tls::connect(config, host, tcp).await.map_err(failed)?;
            #[cfg(feature = "ui")]
            self.progress.encrypted(&stream);
            Box::new(stream)
        } else {
            Box::new(tcp)
        };
        #[cfg(feature = "ui")]
        self.progress.begin(Step::Login);
        upgrade(login, stream).await.map_err(|received| DialError::Upgrade { received })
    }
}

#[async_trait]
impl Dial for TcpDial {
    async fn dial(&self) -> Result<Socket, DialError> {
        let deadline = Instant::now() + DIAL_TIMEOUT;
        timeout_at(deadline, self.open(deadline)).await.unwrap_or(Err(DialError::Timeout))
    }

    #[cfg(feature = "ui")]
    fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

impl From<Refusal> for DialError {
    fn from(refusal: Refusal) -> Self {
        let Refusal { status, said, wait, .. } = refusal;
        match status {
            401 | 403 => Self::Refused { status },
            // Too many requests, or a fault of the server or of a gateway before it.
            408 | 425 | 429 | 500.. => Self::Busy { said, wait },
            _ if wait.is_some() => Self::Busy { said, wait },
            _ => Self::Upgrade { received: said },
        }
    }
}

/// What the cloud asks for, as the end of a sentence.
fn asked(wait: &Option<Duration>) -> String {
    wait.map(|wait| format!("; it asks to wait {} s", wait.as_secs())).unwrap_or_default()
}

pub(super) async fn connect(
    host: &str,
    port: u16,
    deadline: Instant,
    rule: Option<&AddressRule>,
) -> Result<TcpStream, DialError> {
    let tcp = match rule {
        Some(_) => dial::connect(host, port, deadline, rule).await,
        None => dial::connect_to_server(host, port, deadline).await,
    };
    let tcp = tcp.map_err(|e| match e {
        Unconnected::Resolve(source) => DialError::Resolve { host: host.to_owned(), source },
        Unconnected::Forbidden(why) => DialError::Forbidden(why),
        Unconnected::Connect(address, source) => {
            DialError::Connect { peer: address.to_string(), source }
        }
    })?;
    let tuned = socket2::SockRef::from(&tcp).set_tcp_user_timeout(Some(USER_TIMEOUT));
    tuned.map_err(|source| DialError::Connect { peer: host.to_owned(), source })?;
    Ok(tcp)
}

#[cfg(test)]
#[path = "dial_tests.rs"]
mod tests;
