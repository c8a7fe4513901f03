//! What the owner of a publish decides about its connection.

use std::sync::Arc;
use std::time::Duration;

use ivt_base::address_rule::AddressRule;
use ivt_base::tls::ClientConfig;

/// How long the steps of a publish may take, and whom to trust.
#[derive(Clone, Debug)]
pub struct Options {
    /// Longest time for the TCP connection, all addresses together.
    pub connect: Duration,
    /// Longest time from the name lookup to the server's consent to the publish.
    pub establish: Duration,
    /// Longest time without progress while a tag is written.
    pub stall: Duration,
    /// Whom `rtmps` trusts. `None` has a configuration made for each connection, see
    /// [`ivt_base::tls::client_config`].
    pub tls: Option<Arc<ClientConfig>>,
    /// Which servers may be named, where the address and redirects come from the network. `None` lets
    /// every server be named.
    pub rule: Option<AddressRule>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            establish: Duration::from_secs(8),
            stall: Duration::from_secs(10),
            tls: None,
            rule: None,
        }
    }
}
