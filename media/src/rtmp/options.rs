//! What the owner of a publish decides about its connection.

use std::sync::Arc;
use std::time::Duration;

use ivt_base::tls::ClientConfig;

/// How long the steps of a publish may take, and whom to trust.
#[derive(Clone, Debug)]
pub struct Options {
    /// TCP connect, all addresses together.
    pub connect: Duration,
    /// From the name lookup to the server's consent to the publish.
    pub establish: Duration,
    /// Longest time without progress while a tag is written.
    pub stall: Duration,
    /// For `rtmps`; made when first needed where it is `None`, see [`ivt_base::tls::client_config`].
    pub tls: Option<Arc<ClientConfig>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            establish: Duration::from_secs(8),
            stall: Duration::from_secs(10),
            tls: None,
        }
    }
}
