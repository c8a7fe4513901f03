//! Which settings the device's page may change. Whatever runs a program, names a file whose rules the agent obeys, or
//! says whose firmware is taken comes from the device's own files alone.

use std::path::Path;

use serde_json::Value;

use super::key::Key;

/// The settings that the page may change, without the numbers of channels, and their defaults as JSON where they have
/// one that does not depend on others.
const SETTABLE: &[(&str, &str)] = &[
    ("alarm.bits", "[2,3,4]"),
    ("alarm.delay_seconds", "10"),
    ("alarm.enable", "[\"external\"]"),
    ("channel.abilities.alarms", ""),
    ("channel.abilities.clock", ""),
    ("channel.abilities.motion", ""),
    ("channel.abilities.network", ""),
    ("channel.abilities.patrol", ""),
    ("channel.abilities.power", ""),
    ("channel.abilities.presets", ""),
    ("channel.abilities.ptz", ""),
    ("channel.abilities.snapshot", ""),
    ("channel.abilities.streams", ""),
    ("channel.abilities.tours", ""),
    ("channel.abilities.tripwire", ""),
    ("channel.abilities.wifi", ""),
    ("channel.alarms", ""),
    ("channel.always_on", "[]"),
    ("channel.backend", ""),
    ("channel.bitrate", ""),
    ("channel.command", ""),
    ("channel.describe_seconds", "15"),
    ("channel.first_packet_seconds", "20"),
    ("channel.input", ""),
    ("channel.login_follows_redirects", "false"),
    ("channel.main", ""),
    ("channel.onvif", ""),
    ("channel.password", ""),
    ("channel.profile", ""),
    ("channel.quality.fhd", "\"main\""),
    ("channel.quality.hd", "\"main\""),
    ("channel.quality.ld", ""),
    ("channel.quality.sd", ""),
    ("channel.ring_bytes", ""),
    ("channel.silence_seconds", "10"),
    ("channel.snapshot", ""),
    ("channel.sub", ""),
    ("channel.sub_bitrate", ""),
    ("channel.transport", "\"auto\""),
    ("channel.username", ""),
    ("channel.web", ""),
    ("channel.web_cgi", ""),
    ("channel.wifi_interface", ""),
    ("cloud.accept_bare_answers", "false"),
    ("cloud.allow_hosts", "[]"),
    ("cloud.ca_file", ""),
    ("cloud.firmware_model", ""),
    ("cloud.hardware_model", "\"ivt\""),
    ("cloud.login_code", ""),
    ("cloud.login_passwd", ""),
    ("cloud.preview", "false"),
    ("cloud.stop_publish_on_disconnect", "true"),
    ("cloud.url", ""),
    ("device.clock_steps", "\"day\""),
    ("device.model", "\"camera\""),
    ("firmware.commit_minutes", "5"),
    ("firmware.daily", "true"),
    ("firmware.defer_for_recording", "false"),
    ("firmware.defer_hours", "4"),
    ("firmware.max_size", "67108864"),
    ("firmware.rollback_minutes", "15"),
    ("log.level", "\"info\""),
    ("network.tell_wifi_password", "false"),
    ("network.wifi_trial_seconds", "120"),
    ("publish.linger_seconds", "5"),
    ("publish.retry_seconds", "60"),
    ("record.backfill", "\"beside\""),
    ("record.disconnect_seconds", ""),
    ("record.spool", "\"overflow\""),
    ("record.spool_dir", ""),
    ("record.spool_limit", ""),
    ("tlss.brand", "\"ivt\""),
    ("tlss.enable", "false"),
    ("tlss.interval_minutes", "60"),
    ("tlss.mac", ""),
    ("tlss.model", ""),
    ("tlss.port", ""),
    ("tlss.reply_limit", "4194304"),
    ("tlss.server", ""),
    ("tlss.tls", "false"),
    ("tlss.write", "[]"),
    ("web.hosts", "[]"),
    ("web.https", "\"off\""),
    ("web.https_certificate", ""),
    ("web.https_key", ""),
    ("web.listen", "\"lan:80\""),
];

/// Whether the page may set `key` to `value`; `is_ca_file` tells the files of authorities that were given on the page.
pub(crate) fn is_settable(key: &Key, value: &Value, is_ca_file: impl Fn(&Path) -> bool) -> bool {
    let general = key.general();
    let numbered = key.number().is_some() == general.starts_with("channel.");
    let listed = SETTABLE.iter().any(|(name, _)| *name == general);
    numbered
        && listed
        && match (general.as_str(), value) {
            // A profile of the page's choice would be read from any file.
            ("channel.profile", Value::String(name)) => {
                !name.contains('/') && !name.ends_with(".toml")
            }
            // A program may be taken out, and none be set.
            ("channel.command", value) => value.is_null(),
            ("cloud.ca_file", Value::String(file)) => is_ca_file(Path::new(file)),
            _ => true,
        }
}

/// The defaults of settings, without the numbers of channels.
pub(crate) fn defaults() -> impl Iterator<Item = (&'static str, Value)> {
    let json = |default| serde_json::from_str(default).ok();
    SETTABLE.iter().filter_map(move |(name, default)| Some((*name, json(default)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_file_that_shows_every_key() {
        let base = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/base.toml");
        let base = std::fs::read_to_string(base).unwrap();
        for (name, default) in defaults() {
            let (section, key) = name.split_once('.').unwrap();
            let key = key.strip_prefix("quality.").unwrap_or(key);
            let header = base.find(&format!("\n[{section}]"));
            let header = header.or_else(|| base.find(&format!("\n[[{section}]]"))).unwrap();
            let lines = || base[header..].lines().map(|line| line.trim_start_matches("# "));
            let start = format!("{key} = ");
            // The default stands below the example, where there are both.
            let mut shown = lines().filter_map(|line| line.strip_prefix(&start));
            let first = shown.next();
            let shown = if name == "cloud.allow_hosts" { shown.next() } else { first };
            let shown: Value = serde_json::from_str(shown.unwrap()).unwrap();
            assert_eq!(shown, default, "{name}");
        }
    }

    #[test]
    fn programs_files_and_whose_firmware_counts_are_not_for_the_page() {
        let may = |key: &str, value: Value| {
            is_settable(&key.parse().unwrap(), &value, |file| file == Path::new("/c"))
        };
        let text = || Value::from("x");
        assert!(!may("channel.0.command", text()) && !may("channel.0.command", vec!["x"].into()));
        assert!(may("channel.0.command", Value::Null), "it goes with the camera");
        for key in [
            "channel.0.reboot_command",
            "channel.0.number",
            "runtime.watchdog",
            "runtime.memory_limit",
            "device.state_dir",
            "credentials",
            "version",
            "tlss.profile",
            "firmware.backend",
            "firmware.install",
            "firmware.restart",
            "firmware.keys",
            "firmware.allow_unsigned",
            "firmware.model",
            "firmware.slot_a",
            "firmware.folder",
            "web.enable",
            "web.reset_file",
            "web.first_password",
            "log.0.level",
            "channel.main",
            "channel.0.abilities",
            "channel.0.abilities.command",
        ] {
            assert!(!may(key, text()) && !may(key, Value::Null), "{key}");
        }
        for value in ["/tmp/mine.toml", "mine.toml", "../x"] {
            assert!(!may("channel.0.profile", value.into()), "{value}");
        }
        assert!(may("channel.0.profile", "hikvision".into()) && may("channel.12.main", text()));
        assert!(!may("cloud.ca_file", "/etc/x".into()) && may("cloud.ca_file", "/c".into()));
        assert!(may("cloud.ca_file", Value::Null));
    }

    #[test]
    fn the_list_is_sorted_and_names_settings() {
        assert!(SETTABLE.is_sorted());
        for (name, default) in SETTABLE {
            assert!(name.parse::<Key>().is_ok(), "{name}");
            assert!(default.is_empty() || serde_json::from_str::<Value>(default).is_ok(), "{name}");
        }
    }
}
