//! Why a hop is as it is: each reason with the state that it means and the name of what to do. The page has the words
//! for both, in its languages.

use super::state::State;

/// Name of a reason, the state that it means, and the name of what to do about it; empty where nothing is to be done.
type Reason = (&'static str, State, &'static str);

use State::{Bad, Off, Unknown, Warn};

const REASONS: &[Reason] = &[
    ("alarms_cannot", Off, ""),
    ("alarms_missed", Warn, "check_cloud_alarms"),
    ("alarms_off", Off, "enable_alarms"),
    ("alarms_refused", Warn, "check_cloud_alarms"),
    ("behind", Unknown, ""),
    ("ca_file", Bad, "check_ca"),
    ("camera_failed", Bad, "probe_camera"),
    ("camera_refused", Bad, "check_camera_login"),
    ("camera_silent", Bad, "check_camera_power"),
    ("card_fails", Bad, "change_card"),
    ("certificate_bad", Bad, "check_ca"),
    ("certificate_early", Bad, "set_clock"),
    ("certificate_expired", Bad, "check_clock_or_provider"),
    ("certificate_name", Bad, "check_cloud_address"),
    ("certificate_unknown", Bad, "check_ca"),
    ("clock_never_set", Bad, "set_clock"),
    ("closed_early", Bad, "check_login"),
    ("cloud_busy", Warn, "wait"),
    ("cloud_restarts", Warn, "wait"),
    ("cloud_unclear", Bad, "send_bundle"),
    ("connection_failed", Bad, "check_firewall"),
    ("connection_lost", Warn, "check_line"),
    ("connection_refused", Bad, "check_cloud_address"),
    ("cpu_high", Warn, "lower_load"),
    ("dialling", Unknown, ""),
    ("disk_full", Bad, "free_disk"),
    ("disk_read_only", Bad, "check_state_dir"),
    ("disk_silent", Bad, "check_disk"),
    ("first_keepalive", Unknown, ""),
    ("host_unreachable", Bad, "check_line"),
    ("hosted_dialling", Unknown, ""),
    ("hosted_failed", Bad, "check_hosted"),
    ("hosted_off", Off, ""),
    ("in_clear", Off, "use_wss"),
    ("keepalive_late", Warn, "check_line"),
    ("keepalive_unanswered", Bad, "check_line"),
    ("live_off", Off, ""),
    ("live_slow", Warn, "check_uplink"),
    ("login_refused", Bad, "check_login"),
    ("login_silent", Bad, "check_cloud_address"),
    ("login_twice", Bad, "check_twin"),
    ("memory_high", Warn, "lower_load"),
    ("memory_low", Warn, "lower_load"),
    ("memory_over", Bad, "send_bundle"),
    ("name_not_needed", Off, ""),
    ("name_server_silent", Bad, "check_name_server"),
    ("name_unknown", Bad, "check_name"),
    ("no_answer", Bad, "check_firewall"),
    ("no_cloud", Off, "enter_cloud"),
    ("no_control", Off, ""),
    ("no_link", Bad, "plug_in"),
    ("no_route", Bad, "check_gateway"),
    ("no_storage", Off, ""),
    ("no_tls", Bad, "check_cloud_address"),
    ("no_websocket", Bad, "check_cloud_address"),
    ("not_asked", Unknown, ""),
    ("not_recording", Off, ""),
    ("opening", Unknown, ""),
    ("push_lost", Bad, "check_push"),
    ("redirect", Bad, "check_cloud_address"),
    ("segments_lost", Warn, "check_uplink"),
    ("stream_codec", Bad, "set_codec"),
    ("stream_idle", State::Ok, ""),
    ("stream_login", Bad, "check_camera_login"),
    ("stream_protocol", Bad, "probe_camera"),
    ("stream_silent", Bad, "check_camera_power"),
    ("stream_unreachable", Bad, "check_camera_power"),
    ("tls_failed", Bad, "check_ca"),
    ("tls_silent", Bad, "check_firewall"),
    ("uploads_fail", Warn, "check_uplink"),
];

/// The state that a reason means.
pub(super) fn state(reason: &str) -> State {
    // A reason without a row is a fault of the program, which is worth a look.
    row(reason).map_or(State::Warn, |(_, state, _)| *state)
}

/// The name of what to do about it; empty where nothing is to be done.
pub(super) fn remedy(reason: &str) -> &'static str {
    row(reason).map_or("", |(_, _, remedy)| remedy)
}

fn row(reason: &str) -> Option<&'static Reason> {
    REASONS.iter().find(|(name, ..)| *name == reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every string between quotes in the sources of the overview and of the way to the cloud.
    fn words(source: &str) -> impl Iterator<Item = &str> {
        source.split('"').skip(1).step_by(2)
    }

    #[test]
    fn each_reason_has_its_words_in_both_languages() {
        let texts = include_str!("../../../page/device/texts/overview.js");
        for (reason, state, remedy) in REASONS {
            let said = texts.matches(&format!("\"overview.why.{reason}\":")).count();
            assert_eq!(said, 2, "overview.why.{reason}");
            if !remedy.is_empty() {
                assert_eq!(
                    texts.matches(&format!("\"overview.do.{remedy}\":")).count(),
                    2,
                    "overview.do.{remedy}"
                );
            }
            assert!(!remedy.is_empty() || *state < State::Warn, "{reason}: what is to be done?");
        }
    }

    #[test]
    fn each_reason_that_is_given_is_in_the_table() {
        let progress = include_str!("../cloud/fault.rs");
        let (product, _) = progress.split_once("#[cfg(test)]").unwrap();
        let (_, product) = product.split_once("fn of_dial").unwrap();
        let reasons: Vec<_> = words(product)
            .filter(|word| word.contains('_') && !word.contains(' '))
            .filter(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
            .collect();
        assert!(reasons.len() > 15, "{reasons:?}");
        for reason in reasons {
            assert!(row(reason).is_some(), "{reason}");
        }
    }
}
