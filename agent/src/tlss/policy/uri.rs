//! Takes a command apart. Everything that two parsers could read in two ways is refused.

use std::net::Ipv4Addr;

use super::Refusal;

/// Most parameters of a command: more than any documented one has.
const MOST_PARAMS: usize = 64;
/// The characters that may come escaped in a value. Any other escape is a way around a check: `%2e`, `%00`, `%25`,
/// or a letter that needs no escape; in a path every escape is.
const ESCAPED: &[u8] = b" :,+/";
/// Parts of the names of those groups of parameters that hold logins and keys.
const SECRET: &[&str] =
    &["user", "account", "passw", "pwd", "secret", "key", "wlan", "pppoe", "ddns", "smtp", "ftp"];

/// A command's path and parameters, in their order.
pub(super) struct Parts<'c> {
    pub(super) path: &'c str,
    pub(super) params: Vec<Param>,
}

/// One parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Param {
    pub(super) name: String,
    /// The value unescaped; a plus that came unescaped is a space.
    pub(super) value: String,
    /// The value as it goes on the wire: escaped where it came escaped.
    pub(super) spelt: String,
}

/// Whether a byte is allowed in a value, whatever a profile says: none of them means anything to a
/// shell, except that a space separates words.
pub(super) fn harmless(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.,:+/ ".contains(&byte)
}

/// Whether text can be the name of a parameter.
pub(super) fn is_name(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    (1..=64).contains(&text.len()) && text.bytes().all(fits) && !text.contains("..")
}

/// Whether text is a path that every server reads the same way.
pub(super) fn is_path(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let segment = |s: &str| !s.is_empty() && !s.starts_with('.') && s.bytes().all(plain);
    text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(segment))
}

/// Path and parameters of a command, or why no command may look like that.
pub(super) fn split(command: &[u8]) -> Result<Parts<'_>, Refusal> {
    if !command.iter().all(u8::is_ascii_graphic) {
        return Err(Refusal::Bytes);
    }
    let command = std::str::from_utf8(command).map_err(|_| Refusal::Bytes)?;
    let (path, query) = match command.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (command, None),
    };
    if !is_path(path) {
        return Err(Refusal::Path);
    }
    let mut params: Vec<Param> = Vec::new();
    for pair in query.into_iter().flat_map(|query| query.split('&')) {
        let (name, spelt) = pair.split_once('=').ok_or(Refusal::Query)?;
        let known = params.iter().any(|param| param.name.eq_ignore_ascii_case(name));
        if !is_name(name) || known || params.len() == MOST_PARAMS {
            return Err(Refusal::Query);
        }
        let (value, spelt) = unescape(spelt).ok_or(Refusal::Query)?;
        if is_trick(&value) {
            return Err(Refusal::Query);
        }
        if name.eq_ignore_ascii_case("group") && is_secret(&value) {
            return Err(Refusal::Secret);
        }
        params.push(Param { name: name.to_owned(), value, spelt });
    }
    Ok(Parts { path, params })
}

/// A value unescaped, and its spelling with escapes in capital letters; `None` if a character is not allowed.
fn unescape(spelt: &str) -> Option<(String, String)> {
    let (mut value, mut canonical) = (String::new(), String::new());
    let mut bytes = spelt.bytes();
    while let Some(byte) = bytes.next() {
        let meant = if byte == b'%' {
            let digits = [bytes.next()?, bytes.next()?];
            if !digits.iter().all(u8::is_ascii_hexdigit) {
                return None;
            }
            let meant = u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?;
            if !ESCAPED.contains(&meant) {
                return None;
            }
            canonical.push_str(&format!("%{meant:02X}"));
            meant
        } else {
            if !harmless(byte) {
                return None;
            }
            canonical.push(char::from(byte));
            if byte == b'+' { b' ' } else { byte }
        };
        value.push(char::from(meant));
    }
    Some((value, canonical))
}

/// Whether a value holds a file, an address, or an option of a program: a camera's shell would split the value
/// into words. A plus separates words too, for cameras that unescape twice.
fn is_trick(value: &str) -> bool {
    let bytes = value.as_bytes();
    // A slash joins the parts of a date, a zone or a rule, and a colon numbers. At any other place they begin a
    // file or end the name of a protocol.
    let stray = bytes.iter().enumerate().any(|(at, byte)| {
        let before = at.checked_sub(1).map_or(0, |before| bytes[before]);
        let after = bytes.get(at + 1).copied().unwrap_or_default();
        let number_or_name = after.is_ascii_digit() || after.is_ascii_uppercase();
        match byte {
            b'/' => !(before.is_ascii_alphanumeric() && number_or_name),
            b':' => !(before.is_ascii_digit() && after.is_ascii_digit()),
            _ => false,
        }
    });
    let option = |word: &str| {
        word.strip_prefix('-').is_some_and(|rest| {
            rest.bytes().next().is_none_or(|first| first == b'-' || first.is_ascii_alphabetic())
        })
    };
    let address = |word: &str| word.parse::<Ipv4Addr>().is_ok();
    stray
        || value.contains("..")
        || value.split([' ', '+']).any(option)
        || value.split(|c: char| !c.is_ascii_digit() && c != '.').any(address)
}

/// Whether one of these groups, separated by commas, holds logins or keys. So does one whose name a camera could
/// complete to that of its users.
fn is_secret(groups: &str) -> bool {
    let part_is_secret = |part: &str| {
        let part = part.to_ascii_lowercase();
        !part.is_empty()
            && (SECRET[0].starts_with(&part) || SECRET.iter().any(|word| part.contains(word)))
    };
    groups.split([',', '.']).any(part_is_secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Option<Vec<(String, String)>> {
        let parts = split(text.as_bytes()).ok()?;
        Some(parts.params.into_iter().map(|p| (p.value, p.spelt)).collect())
    }

    #[test]
    fn a_command_falls_into_path_and_parameters() {
        let parts = split(b"/a-b/c_d.cgi?x=1&y=").unwrap();
        assert_eq!(parts.path, "/a-b/c_d.cgi");
        let params: Vec<_> = parts.params.iter().map(|p| (&*p.name, &*p.value)).collect();
        assert_eq!(params, [("x", "1"), ("y", "")]);
        assert!(split(b"/a").unwrap().params.is_empty());
    }

    #[test]
    fn harmless_escapes_are_kept_as_escapes_and_read_as_what_they_mean() {
        let one = |value: &str, spelt: &str| Some(vec![(value.to_owned(), spelt.to_owned())]);
        assert_eq!(
            query("/a?t=2020-04-01%2006%3a00"),
            one("2020-04-01 06:00", "2020-04-01%2006%3A00")
        );
        assert_eq!(query("/a?t=UTC%2B8"), one("UTC+8", "UTC%2B8"));
        assert_eq!(query("/a?t=UTC+8"), one("UTC 8", "UTC+8"));
    }

    #[test]
    fn every_other_escape_is_refused() {
        for byte in 0..=255_u8 {
            let allowed = ESCAPED.contains(&byte);
            for text in [format!("/a?t=1%{byte:02x}1"), format!("/a?t=1%{byte:02X}1")] {
                assert_eq!(query(&text).is_some(), allowed, "{text}");
            }
        }
        for text in ["/a?t=%", "/a?t=%2", "/a?t=%zz", "/a?t=%+1", "/a?t=%u002e", "/%61", "/a?%74=1"]
        {
            assert_eq!(query(text), None, "{text}");
        }
    }

    #[test]
    fn every_character_of_a_value_is_harmless() {
        for byte in 0..=255_u8 {
            let command = [b"/a?t=1", &[byte][..], b"1"].concat();
            let taken = split(&command).is_ok_and(|parts| parts.params.len() == 1);
            assert_eq!(taken, harmless(byte) && byte != b' ', "{}", byte.escape_ascii());
        }
    }

    #[test]
    fn options_files_and_addresses_are_no_values() {
        for value in [
            "-c",
            "--help",
            "-",
            "/etc/passwd",
            "%2Fetc%2Fpasswd",
            ":/etc/passwd",
            "%3A/etc/passwd",
            "-/etc/passwd",
            ",/etc/passwd",
            "x,/etc/passwd",
            "x:/etc/passwd",
            "./x",
            "etc/",
            "etc/passwd",
            "x%2Fy",
            "_/x",
            "a/../b",
            "a%2F..%2Fb",
            "..",
            "a//b",
            "a/%2Fb",
            "http://h/",
            "http:h",
            "file:etc",
            "file:1",
            "tcp:10.0.0.1",
            "localhost:80",
            "x:",
            "1:",
            ":1",
            "::1",
            "10.0.0.1",
            "10.0.0.1:80",
            "a,10.0.0.1",
        ] {
            for before in ["", "%20", "+", "%2B", "x%20", "x+", "x%2B", "x%20%20"] {
                assert_eq!(query(&format!("/a?t={before}{value}")), None, "{before}{value}");
            }
        }
        for value in [
            "-5,10",
            "a-b",
            "Asia/Shanghai",
            "Asia%2FShanghai",
            "America/Port-au-Prince",
            "now-06:00",
            "2018/11/12%2000:00:00",
            "1.5",
            "1.2.3",
            "10:20,30:40",
            "a%20b-c",
            "UTC%2B8",
            "CST-8",
            "NST3:30NDT,M3.2.0/0:01,M11.1.0/0:01",
            "CET-1CEST,M3.5.0,M10.5.0/3",
        ] {
            assert!(query(&format!("/a?t={value}")).is_some(), "{value}");
        }
    }

    #[test]
    fn a_name_comes_once_in_whatever_letters() {
        assert_eq!(query("/a?x=1&x=2"), None);
        assert_eq!(query("/a?x=1&X=2"), None);
        let many = (0..65).map(|n| format!("n{n}=1")).collect::<Vec<_>>().join("&");
        assert_eq!(query(&format!("/a?{many}")), None);
    }

    #[test]
    fn groups_of_logins_and_keys_are_not_told() {
        for groups in [
            "USER",
            "user",
            "User0",
            "USERS",
            "USER.User0.password",
            ".USER",
            "USER.",
            ",USER",
            "VERSION,USER",
            "VERSION%2Cuser",
            "U",
            "Us",
            "US,VERSION",
            "SYSTEM.USER",
            "NETWORK.Wlan0",
            "NETWORK.Wlan0.Connect.key",
            "NETWORK.Ddns",
            "EVENT.Notify.Smtp",
            "HOST.password",
            "BRAND.authenkey",
        ] {
            for name in ["group", "Group", "GROUP"] {
                let command = format!("/a?action=list&{name}={groups}");
                assert_eq!(split(command.as_bytes()).err(), Some(Refusal::Secret), "{command}");
            }
        }
        for groups in
            ["VERSION", "BRAND,NETWORK", "SYSTEM.Datetime.Tz", "VCA.Ch0.Ct0", "UART.Ch1", "all", ""]
        {
            assert!(split(format!("/a?group={groups}").as_bytes()).is_ok(), "{groups}");
        }
    }
}
