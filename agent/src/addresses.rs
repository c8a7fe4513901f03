//! The rule for the addresses that the cloud names, as the configuration has it.

use ivt_base::address_rule::Terms;

use crate::config::Config;

/// What the rule is made of: the cloud's own host, `cloud.allow_hosts`, and the cameras' web servers.
pub fn terms(config: &Config) -> Terms {
    let bare = |host: &str| host.trim_matches(['[', ']']).to_owned();
    let servers = config.channels.iter().flat_map(|channel| channel.backend.web_servers());
    let cloud = config.cloud.account.as_ref().and_then(|account| account.url.host_str());
    Terms {
        cloud: cloud.map(bare).unwrap_or_default(),
        allowed: config.cloud.allow_hosts.clone(),
        cameras: servers.map(|(host, port)| (bare(host), port)).collect(),
    }
}
