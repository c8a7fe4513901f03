//! What wpa_supplicant says.

use std::collections::BTreeMap;

use crate::{MOST_NAMED, WifiNetwork};

/// A network that wpa_supplicant is set up for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Configured {
    pub(super) id: u32,
    pub(super) ssid: Vec<u8>,
    /// Whether it is the one that is used, or tried.
    pub(super) current: bool,
    pub(super) enabled: bool,
    /// Whether it is left alone for a while, mostly as its password is wrong.
    pub(super) resting: bool,
}

/// The lines `NAME=VALUE` of an answer.
pub(super) fn values(answer: &str) -> BTreeMap<&str, &str> {
    answer.lines().filter_map(|line| line.split_once('=')).collect()
}

/// The answer to LIST_NETWORKS: id, name, hardware address and flags, separated by tabs.
pub(super) fn configured(answer: &str) -> Vec<Configured> {
    let rows = answer.lines().filter_map(|line| {
        let mut fields = line.split('\t');
        let (id, ssid, _) = (fields.next()?.parse().ok()?, fields.next()?, fields.next()?);
        let flags = fields.next().unwrap_or_default();
        Some(Configured {
            id,
            ssid: unescaped(ssid),
            current: flags.contains("[CURRENT]"),
            enabled: !flags.contains("[DISABLED]"),
            resting: flags.contains("[TEMP-DISABLED]"),
        })
    });
    rows.take(MOST_NAMED).collect()
}

/// The answer to SCAN_RESULTS: hardware address, frequency, level, flags and name, separated by tabs. Of the stations of
/// one network the strongest counts; those that hide their name are left out.
pub(super) fn in_reach(answer: &str) -> Vec<WifiNetwork> {
    let rows = answer.lines().filter_map(|line| {
        let mut fields = line.splitn(5, '\t');
        let (_, _, signal) = (fields.next()?, fields.next()?, fields.next()?.parse().ok()?);
        let (flags, ssid) = (fields.next()?, unescaped(fields.next()?));
        let ssid = String::from_utf8_lossy(&ssid).into_owned();
        let is_named = ssid.chars().any(|c| c != '\0');
        is_named.then(|| WifiNetwork { ssid, signal, encrypt: encrypt(flags).to_owned() })
    });
    let mut networks: Vec<_> = rows.collect();
    networks.sort_by_key(|network| std::cmp::Reverse(network.signal));
    let mut seen = std::collections::BTreeSet::new();
    networks.retain(|network| seen.insert(network.ssid.clone()));
    networks.truncate(MOST_NAMED);
    networks
}

/// How a network encrypts: by the flags of a scan, such as `[WPA2-PSK-CCMP][ESS]`, or the `key_mgmt` of a status.
pub(super) fn encrypt(flags: &str) -> &'static str {
    let has = |word| flags.contains(word);
    match (has("SAE"), has("PSK"), has("EAP")) {
        (true, true, _) => "WPA2-PSK/WPA3-SAE",
        (true, false, _) => "WPA3-SAE",
        (_, true, _) if has("WPA-") && (has("WPA2") || has("RSN")) => "WPA/WPA2-PSK",
        (_, true, _) if has("WPA2") || has("RSN") => "WPA2-PSK",
        (_, true, _) => "WPA-PSK",
        (_, _, true) => "WPA-EAP",
        _ if has("OWE") => "OWE",
        _ if has("WEP") => "WEP",
        _ => "OPEN",
    }
}

/// The bytes of a name that wpa_supplicant has written as `printf` would read it.
pub(super) fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let (byte, tail) = match (first, tail) {
            (b'\\', [b'x', high, low, tail @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                (digit(*high) << 4 | digit(*low), tail)
            }
            (b'\\', [b'n', tail @ ..]) => (b'\n', tail),
            (b'\\', [b'r', tail @ ..]) => (b'\r', tail),
            (b'\\', [b't', tail @ ..]) => (b'\t', tail),
            (b'\\', [b'e', tail @ ..]) => (0x1b, tail),
            (b'\\', [quoted @ (b'\\' | b'"'), tail @ ..]) => (*quoted, tail),
            (plain, tail) => (*plain, tail),
        };
        bytes.push(byte);
        rest = tail;
    }
    bytes
}

fn digit(hex: u8) -> u8 {
    match hex {
        b'0'..=b'9' => hex - b'0',
        _ => (hex | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_bytes_that_the_station_sends() {
        for (text, want) in [
            ("plain", &b"plain"[..]),
            (r"\xe5\x8a\x9e\xE5", b"\xe5\x8a\x9e\xe5"),
            (r#"\"q\" \\ \t\n\r\e"#, b"\"q\" \\ \t\n\r\x1b"),
            (r"\x", br"\x"),
            (r"\x4", br"\x4"),
            (r"\xzz\q", br"\xzz\q"),
            ("\\", b"\\"),
            ("", b""),
        ] {
            assert_eq!(unescaped(text), want, "{text}");
        }
    }

    #[test]
    fn each_encryption_has_its_word() {
        for (flags, want) in [
            ("[WPA2-PSK-CCMP][WPS][ESS]", "WPA2-PSK"),
            ("[WPA-PSK-TKIP][ESS]", "WPA-PSK"),
            ("[WPA-PSK-CCMP+TKIP][WPA2-PSK-CCMP+TKIP][ESS]", "WPA/WPA2-PSK"),
            ("[RSN-PSK-CCMP][ESS]", "WPA2-PSK"),
            ("[WPA2-SAE-CCMP][ESS]", "WPA3-SAE"),
            ("[RSN-SAE-CCMP][ESS]", "WPA3-SAE"),
            ("[WPA2-PSK+SAE-CCMP][ESS]", "WPA2-PSK/WPA3-SAE"),
            ("[WPA2-EAP-CCMP][ESS]", "WPA-EAP"),
            ("[WPA2-OWE-CCMP][ESS]", "OWE"),
            ("[WEP][ESS]", "WEP"),
            ("[ESS]", "OPEN"),
            ("", "OPEN"),
            ("SAE", "WPA3-SAE"),
            ("WPA2-PSK", "WPA2-PSK"),
            ("NONE", "OPEN"),
        ] {
            assert_eq!(encrypt(flags), want, "{flags}");
        }
    }

    #[test]
    fn the_strongest_station_of_each_named_network_counts() {
        let answer = "bssid / frequency / signal level / flags / ssid\n\
            02:00:00:00:00:01\t2412\t-70\t[WPA2-PSK-CCMP][ESS]\toffice\n\
            02:00:00:00:00:02\t5180\t-41\t[WPA2-PSK+SAE-CCMP][ESS]\toffice\n\
            02:00:00:00:00:03\t2437\t-50\t[ESS]\t\\xe5\\x8a\\x9e\n\
            02:00:00:00:00:04\t2437\t-30\t[ESS]\t\n\
            02:00:00:00:00:05\t2437\t-30\t[ESS]\t\\x00\\x00\n\
            02:00:00:00:00:06\t2437\tloud\t[ESS]\tx\n\
            02:00:00:00:00:07\t2437\t-60\t[ESS]\ta\tb\n\
            02:00:00:00:00:08\t2437\t-6";
        let network = |ssid: &str, signal, encrypt: &str| WifiNetwork {
            ssid: ssid.into(),
            signal,
            encrypt: encrypt.into(),
        };
        let want = [
            network("office", -41, "WPA2-PSK/WPA3-SAE"),
            network("\u{529e}", -50, "OPEN"),
            network("a\tb", -60, "OPEN"),
        ];
        assert_eq!(in_reach(answer), want);
        let many: String = (0..600).map(|n| format!("b\t2412\t-{n}\t[ESS]\tn{n}\n")).collect();
        assert_eq!(in_reach(&many).len(), MOST_NAMED);
    }

    #[test]
    fn configured_networks_are_listed_with_their_state() {
        let answer = "network id / ssid / bssid / flags\n\
            0\thome\tany\t[CURRENT]\n1\t\\\"x\\\"\tany\t[DISABLED]\n2\tz\tany\t[TEMP-DISABLED]\n3\tshort\n-1\ta\tb\t\n";
        let listed = configured(answer);
        let states: Vec<_> =
            listed.iter().map(|n| (n.id, n.current, n.enabled, n.resting)).collect();
        assert_eq!(
            states,
            [(0, true, true, false), (1, false, false, false), (2, false, true, true)]
        );
        assert_eq!(listed[1].ssid, b"\"x\"");
    }
}
