//! Opens a WebSocket for a login. [`Dial`] is the one seam between the agent and its cloud: tests
//! dial in memory.

use std::io;
use std::time::Duration;

use async_trait::async_trait;
use ivt_base::byte_stream::ByteStream;
use ivt_base::dial::{self, Unconnected};
use ivt_base::tls::{self, TlsError};
use ivt_proto::rpc::MAX_MESSAGE;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::{self, protocol::WebSocketConfig};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::login::CloudLogin;
use crate::tls::TrustStore;

/// How long name lookup, TCP connection, TLS and WebSocket upgrade may take together.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection ends when bytes sent over it stay unacknowledged for this long.
const USER_TIMEOUT: Duration = Duration::from_secs(20);

/// An open WebSocket.
pub type Socket = WebSocketStream<Box<dyn ByteStream>>;

/// Makes connections to the cloud.
#[async_trait]
pub trait Dial: Send + Sync {
    /// Makes one attempt, which ends with a login. Takes at most 10 s.
    ///
    /// # Errors
    ///
    /// [`DialError`] says which step failed.
    async fn dial(&self) -> Result<Socket, DialError>;
}

/// Why there is no connection. The text never holds the password.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The name has no address.
    #[error("the name {host} cannot be resolved: {source}; check cloud.url and the DNS server")]
    Resolve {
        /// The host in the configuration.
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
}

impl TcpDial {
    /// Dials for `login`; `trust` says whose certificates will do.
    pub fn new(login: CloudLogin, trust: TrustStore) -> Self {
        Self { login, trust }
    }

    async fn open(&self) -> Result<Socket, DialError> {
        let deadline = Instant::now() + DIAL_TIMEOUT;
        let tcp = connect(&self.login.host, self.login.port, deadline).await?;
        if !self.login.secure {
            return upgrade(&self.login, Box::new(tcp)).await;
        }
        let host = &self.login.host;
        let failed = |source| DialError::Tls { host: host.clone(), source };
        let config = self.trust.config().await.map_err(failed)?;
        let tls = tls::connect(config, host, tcp).await.map_err(failed)?;
        upgrade(&self.login, Box::new(tls)).await
    }
}

#[async_trait]
impl Dial for TcpDial {
    async fn dial(&self) -> Result<Socket, DialError> {
        timeout(DIAL_TIMEOUT, self.open()).await.unwrap_or(Err(DialError::Timeout))
    }
}

/// Logs in on an open byte stream. The caller limits the time.
///
/// # Errors
///
/// The login was refused, or the answer is no WebSocket.
pub async fn upgrade(login: &CloudLogin, stream: Box<dyn ByteStream>) -> Result<Socket, DialError> {
    let request = login.request().map_err(|e| refused(*e))?;
    let answer = client_async_with_config(request, stream, Some(limits())).await;
    answer.map(|(socket, _)| socket).map_err(refused)
}

/// The socket's limits, which bound what is read and what waits to be written.
pub fn limits() -> WebSocketConfig {
    // The protocol's own limit refuses a message that is a little too long, with a reason; the
    // socket refuses a longer one.
    const LONGEST: usize = MAX_MESSAGE + 1024;
    WebSocketConfig::default()
        .read_buffer_size(4 * 1024)
        .write_buffer_size(0)
        .max_write_buffer_size(2 * LONGEST)
        .max_message_size(Some(LONGEST))
        .max_frame_size(Some(LONGEST))
}

fn refused(error: tungstenite::Error) -> DialError {
    match error {
        tungstenite::Error::Http(answer) => match answer.status().as_u16() {
            status @ (401 | 403) => DialError::Refused { status },
            status => DialError::Upgrade { received: format!("HTTP {status}") },
        },
        other => DialError::Upgrade { received: other.to_string() },
    }
}

async fn connect(host: &str, port: u16, deadline: Instant) -> Result<TcpStream, DialError> {
    let tcp = dial::connect(host, port, deadline, None).await.map_err(|e| match e {
        Unconnected::Resolve(source) => DialError::Resolve { host: host.to_owned(), source },
        Unconnected::Connect(address, source) => {
            DialError::Connect { peer: address.to_string(), source }
        }
        refused @ Unconnected::Forbidden(_) => {
            DialError::Connect { peer: host.to_owned(), source: refused.into_source() }
        }
    })?;
    socket2::SockRef::from(&tcp)
        .set_tcp_user_timeout(Some(USER_TIMEOUT))
        .map_err(|source| DialError::Connect { peer: host.to_owned(), source })?;
    Ok(tcp)
}

#[cfg(test)]
#[path = "dial_tests.rs"]
mod tests;
