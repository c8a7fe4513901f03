//! Takes secrets out of packets and commands before anybody sees them: passwords, keys and tokens by the names of their
//! values, and of addresses all but scheme and host. What is known to be secret is masked beside that, wherever it stands.

#[cfg(feature = "ui")]
mod json;

use ivt_base::mask::mask;
use url::form_urlencoded;

#[cfg(feature = "ui")]
pub(crate) use json::json;

/// Parts of names whose values are secret.
const TELLING: [&str; 10] =
    ["pass", "pwd", "psk", "key", "sig", "auth", "secret", "cred", "hash", "cookie"];
/// The name of presets and tours as well as of keys: those of presets are numbers.
const TOKEN: &str = "token";
/// What ends an address within a text.
const ENDS: [char; 8] = [' ', '"', '\'', '<', '>', ',', '\n', '\r'];

/// A text of lines with `name=value` in them, or of headers, without its secrets.
pub(crate) fn plain(text: &str) -> String {
    let mut covered = String::with_capacity(text.len());
    for part in text.split_inclusive(['&', '?', '\n', ';', ' ']) {
        let (pair, end) = part.split_at(part.trim_end_matches(['&', '?', '\n', ';', ' ']).len());
        match pair.split_once('=') {
            Some((name, value)) if is_telling(name, value) && !value.trim().is_empty() => {
                covered += name;
                covered += "=***";
            }
            _ => covered += pair,
        }
        covered += end;
    }
    mask(&addresses(&covered))
}

fn is_telling(name: &str, value: &str) -> bool {
    let decoded = form_urlencoded::parse(name.as_bytes()).next();
    let lower = decoded.map_or_else(String::new, |(name, _)| name.to_ascii_lowercase());
    let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
    TELLING.iter().any(|telling| lower.contains(telling)) || lower.contains(TOKEN) && !is_number
}

/// A text with each address in it cut behind its host.
fn addresses(text: &str) -> String {
    let mut covered = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, behind) = rest.split_at(at + "://".len());
        covered += before;
        let (address, after) = behind.split_at(behind.find(ENDS).unwrap_or(behind.len()));
        let host = &address[..address.find(['/', '?', '#']).unwrap_or(address.len())];
        let hidden = if host.len() < address.len() { "/***" } else { "" };
        covered += host.rsplit_once('@').map_or(host, |(_, host)| host);
        covered += hidden;
        rest = after;
    }
    covered + rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn secrets_are_taken_out_of_other_text() {
        for (text, want) in [
            ("/a.cgi?user=x&pwd=Canary&b=1", "/a.cgi?user=x&pwd=***&b=1"),
            ("Network.wifi.psk=Canary\r\nBrand=ivt\n", "Network.wifi.psk=***\nBrand=ivt\n"),
            ("see http://h/Canary here", "see http://h/*** here"),
        ] {
            assert_eq!(plain(text), want);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_covered_without_harm(text in any::<String>()) {
            plain(&text);
        }
    }
}
