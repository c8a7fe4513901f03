//! Packets in JSON without their secrets.

use ivt_base::mask::mask;

use super::{addresses, is_telling};

/// What stands in the place of a secret.
const MASK: &str = "***";

/// A packet in JSON, also one that is cut or broken, without its secrets. What is no secret stays byte for byte; where
/// there should be JSON and is none, nothing is shown but its length.
pub(crate) fn json(text: &str) -> String {
    let mut covered = String::with_capacity(text.len());
    let addresses = all_addresses(text);
    let (mut rest, mut name) = (text, String::new());
    while let Some(at) = rest.find('"') {
        covered += &bare(&rest[..at], &name);
        let (string, behind) = string(&rest[at..]);
        rest = behind;
        // A string is the name of what comes behind a colon.
        if rest.trim_start().starts_with(':') {
            name = read(string).unwrap_or_default();
            covered += string;
            continue;
        }
        covered += &match read(string) {
            Some(value) if is_stream(&name, &value, &addresses) => quoted(MASK),
            Some(value) => match value_of(&name, &value) {
                hidden if hidden != value => quoted(&hidden),
                _ => string.to_owned(),
            },
            // Cut, or no string of JSON.
            None => quoted(MASK),
        };
    }
    covered + &bare(rest, &name)
}

/// The addresses in a packet.
fn all_addresses(text: &str) -> Vec<String> {
    let (mut found, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.find('"') {
        let (string, behind) = string(&rest[at..]);
        rest = behind;
        found.extend(read(string).filter(|value| value.contains("://")));
    }
    found
}

/// Whether a value names a stream, and one of the addresses has that name as the secret part of its path.
fn is_stream(name: &str, value: &str, addresses: &[String]) -> bool {
    let is_part = |address: &String| {
        let path = address.split_once("://").map_or("", |(_, rest)| rest);
        path.split(['/', '?', '&', '=', '#']).skip(1).any(|part| part == value)
    };
    !value.is_empty()
        && name.to_ascii_lowercase().contains("stream")
        && addresses.iter().any(is_part)
}

/// The value without what is secret about it.
fn value_of(name: &str, value: &str) -> String {
    match !value.is_empty() && is_telling(name, value) {
        true => MASK.to_owned(),
        false => mask(&addresses(value)),
    }
}

/// A string at the beginning of a text with its quotes, up to the end where it has none, and what comes behind.
fn string(text: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    text.split_at(end.map_or(text.len(), |end| end + 2))
}

fn read(string: &str) -> Option<String> {
    serde_json::from_str(string).ok()
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// What stands outside of strings: marks, numbers and the three words of JSON. The number of a secret is hidden.
fn bare(text: &str, name: &str) -> String {
    let mut covered = String::with_capacity(text.len());
    let is_mark = |c: char| c.is_ascii_whitespace() || "{}[],:".contains(c);
    for part in text.split_inclusive(is_mark) {
        let (word, mark) = part.split_at(part.trim_end_matches(is_mark).len());
        let is_number =
            !word.is_empty() && word.bytes().all(|b| b"+-.eE".contains(&b) || b.is_ascii_digit());
        covered += match word {
            "" | "true" | "false" | "null" => word,
            _ if is_number && !is_telling(name, "") => word,
            _ => MASK,
        };
        covered += mark;
    }
    covered
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn secrets_are_taken_out_of_packets() {
        for (text, want) in [
            (r#"{"seq":1,"resp":{"password":"Canary"}}"#, r#"{"seq":1,"resp":{"password":"***"}}"#),
            (r#"{"login_passwd": "a\"Canary"}"#, r#"{"login_passwd": "***"}"#),
            (r#"{"psk":12345678}"#, r#"{"psk":***}"#),
            (
                r#"{"url":"rtmp://u:Canary@h:1/app/Canary?k=Canary","q":"hd"}"#,
                r#"{"url":"rtmp://h:1/***","q":"hd"}"#,
            ),
            (r#"{"x":"rtmp:\/\/h\/Canary"}"#, r#"{"x":"rtmp://h/***"}"#),
            (r#"{"x":"\u0072tmp://h/Canary"}"#, r#"{"x":"rtmp://h/***"}"#),
            (r#"{"p\u0061ssword":"Canary"}"#, r#"{"p\u0061ssword":"***"}"#),
            (
                r#"{"urls":["http://h/Canary","http://i"]}"#,
                r#"{"urls":["http://h/***","http://i"]}"#,
            ),
            (r#"{"token":"Canary"}"#, r#"{"token":"***"}"#),
            (
                r#"{"stream_id":"Canary","url":"rtmp:\/\/h\/a\/Canary?k=1","q":"a"}"#,
                r#"{"stream_id":"***","url":"rtmp://h/***","q":"a"}"#,
            ),
            (r#"{"password":"Cana"#, r#"{"password":"***""#),
            (r#"{"other":"Cana"#, r#"{"other":"***""#),
            ("password=Canary", "***"),
            ("hello Canary", "*** ***"),
        ] {
            assert_eq!(json(text), want);
        }
    }

    #[test]
    fn the_rest_of_a_packet_stays_as_it_is() {
        for text in [
            r#"{"req":"Keepalive","seq":12,"params":{"channels":[{"channel":0,"state":1,"stream_id":"a/b"}]}}"#,
            r#"{ "event" : "PTZ", "token":"12", "x":-0.5e3, "a":[true,false,null], "name":"门口" }"#,
            r#"{"seq":1,"err":{"code":2,"msg":"no \"such\" thing"}}"#,
            "{}",
        ] {
            assert_eq!(json(text), text);
        }
    }

    proptest! {
        #[test]
        fn no_password_gets_through(before in "[^\"\\\\]{0,20}", secret in "[A-Za-z0-9]{9,20}", after in any::<String>()) {
            let secret = format!("Zq{secret}");
            let quoted = quoted(&before);
            let text = format!("{{{quoted}:1,\"password\":\"{secret}\",\"b\":{after}");
            prop_assert!(!json(&text).contains(&secret) || after.contains(&secret));
        }

        #[test]
        fn any_packet_is_covered_without_harm(text in any::<String>()) {
            json(&text);
        }
    }
}
