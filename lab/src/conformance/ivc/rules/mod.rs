//! Every rule, in the order in which a device is tried.

mod alarm;
pub(in crate::conformance::ivc) mod close;
mod events;
mod firmware;
mod keepalive;
mod login;
mod method;
mod packets;
mod publish;
mod record;
mod segments;
mod settings;

use super::rule::Rule;

/// Every rule.
pub fn all() -> Vec<Rule> {
    [
        login::rules(),
        keepalive::rules(),
        packets::rules(),
        method::rules(),
        events::rules(),
        publish::rules(),
        record::rules(),
        segments::rules(),
        alarm::rules(),
        firmware::rules(),
        settings::rules(),
        close::rules(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
