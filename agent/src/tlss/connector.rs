//! Makes the connection to a TLSS server. The seam between the agent and the server: tests connect in
//! memory.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use ivt_base::byte_stream::ByteStream;
use ivt_base::dial;
use ivt_base::tls::{self, TlsError};
use tokio::time::{Instant, timeout};

use crate::tls::TrustStore;

/// Time for name, connection and TLS together.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// An open connection.
pub struct Connection {
    /// Bytes to and from the server.
    pub stream: Box<dyn ByteStream>,
    /// The agent's own address on this connection; `None` when the system does not tell it.
    pub local: Option<IpAddr>,
}

/// Makes connections to the server.
#[async_trait]
pub trait Connector: Send + Sync {
    /// Makes one attempt, of at most 10 s.
    ///
    /// # Errors
    /// When the server cannot be reached in time, or fails the checks of TLS.
    async fn connect(&self) -> Result<Connection, ConnectError>;
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name has no address, or no address takes connections.
    #[error("{peer} takes no connection: {source}; check the server's address and port")]
    Connect {
        /// Host and port of the settings.
        peer: String,
        /// What the system said.
        source: io::Error,
    },
    /// The server's certificate, or its TLS.
    #[error("TLS with {peer} failed: {source}; check the CA file and the device's clock")]
    Tls {
        /// Host and port of the settings.
        peer: String,
        /// The failed check.
        source: TlsError,
    },
    /// No connection within 10 s.
    #[error("{peer} was not reached within {} s", DIAL_TIMEOUT.as_secs())]
    Timeout {
        /// Host and port of the settings.
        peer: String,
    },
}

/// Connects over TCP, or over TLS where the settings ask for TLS; never falls back from TLS to TCP.
pub struct TcpConnector {
    host: String,
    port: u16,
    trust: Option<TrustStore>,
}

impl TcpConnector {
    /// Connects to `host`, a name or an address. `trust` asks for TLS, with the authorities to trust.
    pub fn new(host: &str, port: u16, trust: Option<TrustStore>) -> Self {
        Self { host: host.trim_matches(['[', ']']).to_owned(), port, trust }
    }

    fn peer(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    async fn open(&self) -> Result<Connection, ConnectError> {
        let deadline = Instant::now() + DIAL_TIMEOUT;
        let tcp = dial::connect_to_server(&self.host, self.port, deadline).await;
        let tcp =
            tcp.map_err(|e| ConnectError::Connect { peer: self.peer(), source: e.into_source() })?;
        let local = tcp.local_addr().ok().map(|local| local.ip());
        let Some(trust) = &self.trust else {
            return Ok(Connection { stream: Box::new(tcp), local });
        };
        let failed = |source| ConnectError::Tls { peer: self.peer(), source };
        let config = trust.config().await.map_err(failed)?;
        let stream = tls::connect(config, &self.host, tcp).await.map_err(failed)?;
        Ok(Connection { stream: Box::new(stream), local })
    }
}

#[async_trait]
impl Connector for TcpConnector {
    async fn connect(&self) -> Result<Connection, ConnectError> {
        let late = || ConnectError::Timeout { peer: self.peer() };
        timeout(DIAL_TIMEOUT, self.open()).await.unwrap_or_else(|_| Err(late()))
    }
}
