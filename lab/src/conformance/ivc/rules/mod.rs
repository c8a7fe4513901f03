//! Every rule, in the order in which a device is tried.

mod alarm;
mod arming;
pub(in crate::conformance::ivc) mod close;
mod events;
mod firmware;
mod keepalive;
mod login;
mod messages;
mod method;
mod offline;
mod packets;
mod publish;
mod record;
mod segments;
mod settings;
mod upload;

use super::rule::Rule;

/// Every rule.
pub fn all() -> Vec<Rule> {
    [
        login::rules(),
        keepalive::rules(),
        packets::rules(),
        messages::rules(),
        method::rules(),
        events::rules(),
        publish::rules(),
        record::rules(),
        segments::rules(),
        upload::rules(),
        alarm::rules(),
        offline::rules(),
        firmware::rules(),
        settings::rules(),
        arming::rules(),
        close::rules(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
