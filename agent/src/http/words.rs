//! What a peer says in the body of an answer, made fit for a log. Pure.

use std::fmt;

use ivt_base::text::shorten;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

/// Members of a JSON answer whose texts are shown. Others may hold a key.
const SHOWN: [&str; 10] = [
    "info",
    "message",
    "msg",
    "error",
    "errmsg",
    "error_description",
    "reason",
    "status",
    "result",
    "code",
];
/// Most members of an answer that are shown.
const MEMBERS: usize = 8;
/// Most characters of an XML element that are read.
const CONTENT: usize = 1000;

/// The text of a body: UTF-8 or UTF-16, with or without a byte order mark, without NULs and blanks
/// around it. What cannot be read is U+FFFD.
pub(crate) fn text(body: &[u8]) -> String {
    let wide = |big: bool| {
        let unit = |pair: &[u8; 2]| {
            if big { u16::from_be_bytes(*pair) } else { u16::from_le_bytes(*pair) }
        };
        let units: Vec<u16> = body.as_chunks().0.iter().map(unit).collect();
        String::from_utf16_lossy(&units)
    };
    let text = match body {
        [0xfe, 0xff, ..] | [0, b'<' | b'{', ..] => wide(true),
        [0xff, 0xfe, ..] | [b'<' | b'{', 0, ..] => wide(false),
        _ => String::from_utf8_lossy(body).into_owned(),
    };
    let around = |c: char| c.is_whitespace() || matches!(c, '\u{feff}' | '\0');
    text.trim_matches(around).to_owned()
}

/// The member `name` of a JSON object, whatever the other members hold; the last one where there are
/// several.
///
/// # Errors
///
/// The text is no JSON object, or the member cannot be read.
pub(crate) fn member(text: &str, name: &str) -> serde_json::Result<Option<Value>> {
    let mut found = None;
    walk(text, &mut |key| key == name, &mut |_, value| found = Some(value))?;
    Ok(found)
}

/// The members of a JSON object in short, `{"code":0,"data":…}`; `None` where there are none beside those
/// of an address.
pub(crate) fn outline(text: &str) -> Option<String> {
    let mut keys = Vec::new();
    walk(
        text,
        &mut |key| {
            if keys.len() < MEMBERS && key != "name" && key != "uri" {
                keys.push(key.to_owned());
            }
            false
        },
        &mut |_, _| (),
    )
    .ok()?;
    let shown = |key: &String| {
        let value = if SHOWN.contains(&&**key) { member(text, key).ok().flatten() } else { None };
        let value = value.filter(|value| !value.is_object() && !value.is_array());
        let value = value.map_or_else(|| "…".to_owned(), |value| value.to_string());
        format!("{}:{value}", Value::from(&**key))
    };
    let members: Vec<String> = keys.iter().map(shown).collect();
    (!members.is_empty()).then(|| fit(&format!("{{{}}}", members.join(","))))
}

/// The words of a refusal: code and message of XML, the usual members of JSON, the title of a page, or
/// the beginning of any other text.
pub(crate) fn words(text: &str) -> Option<String> {
    let words = match text.chars().next()? {
        '{' => {
            let told = |name: &&str| match member(text, name) {
                Ok(Some(Value::String(told))) if !told.is_empty() => Some(told),
                _ => None,
            };
            SHOWN.iter().find_map(told)?
        }
        '<' => match (element(text, "Code"), element(text, "Message")) {
            (Some(code), Some(message)) => format!("{code}: {message}"),
            (Some(told), None) | (None, Some(told)) => told,
            (None, None) => element(text, "title").or_else(|| element(text, "h1"))?,
        },
        _ => text.to_owned(),
    };
    Some(fit(&words)).filter(|words| !words.trim().is_empty())
}

/// The text of the first XML element of this name, in whatever namespace, without the elements in it.
pub(crate) fn element(text: &str, name: &str) -> Option<String> {
    let mut rest = text;
    loop {
        rest = &rest[rest.find('<')? + 1..];
        let (tag, content) = rest.split_at(rest.find(['<', '>'])?);
        let tag = tag.split(char::is_whitespace).next().unwrap_or_default();
        let local = tag.rsplit(':').next().unwrap_or_default();
        let Some(content) = content.strip_prefix('>').map(str::trim_start) else { continue };
        if !local.eq_ignore_ascii_case(name) || tag.starts_with('/') {
            continue;
        }
        let content = match content.strip_prefix("<![CDATA[") {
            Some(raw) => raw.split("]]>").next().unwrap_or_default().to_owned(),
            None => unescape(content.split('<').next().unwrap_or_default()),
        };
        if !content.trim().is_empty() {
            return Some(content.trim().to_owned());
        }
    }
}

/// The beginning of a text with its XML entities read.
fn unescape(text: &str) -> String {
    let text: String = text.chars().take(CONTENT).collect();
    let (mut read, mut rest) = (String::new(), &*text);
    while let Some((before, behind)) = rest.split_once('&') {
        read.push_str(before);
        let entity = behind.split_once(';').and_then(|(name, behind)| {
            let number = || match name.strip_prefix("#x").or_else(|| name.strip_prefix("#X")) {
                Some(digits) => u32::from_str_radix(digits, 16).ok(),
                None => name.strip_prefix('#')?.parse().ok(),
            };
            let c = match name {
                "lt" => Some('<'),
                "gt" => Some('>'),
                "amp" => Some('&'),
                "quot" => Some('"'),
                "apos" => Some('\''),
                _ => number().and_then(char::from_u32),
            };
            Some((c?, behind))
        });
        let (c, behind) = entity.unwrap_or(('&', behind));
        read.push(c);
        rest = behind;
    }
    read.push_str(rest);
    read
}

/// A peer's text without queries, which hold signatures, on one line and of at most 200 characters.
fn fit(text: &str) -> String {
    let mut in_query = false;
    let shown = |c: char| {
        let was = in_query;
        in_query = match c {
            '?' => true,
            '"' | '<' | '>' => false,
            c => in_query && !c.is_whitespace(),
        };
        (!was || !in_query).then_some(c)
    };
    shorten(&text.chars().filter_map(shown).collect::<String>())
}

/// Reads a JSON object, and calls `take` with each member for which `wanted` holds. The values of all
/// others are passed over unread, so that it does not matter what they hold.
fn walk(
    text: &str,
    wanted: &mut dyn FnMut(&str) -> bool,
    take: &mut dyn FnMut(String, Value),
) -> serde_json::Result<()> {
    let mut json = serde_json::Deserializer::from_str(text);
    Walk { wanted, take }.deserialize(&mut json)?;
    json.end()
}

struct Walk<'a> {
    wanted: &'a mut dyn FnMut(&str) -> bool,
    take: &'a mut dyn FnMut(String, Value),
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match (self.wanted)(&key) {
                true => {
                    let value = map.next_value()?;
                    (self.take)(key, value);
                }
                false => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_found_whatever_stands_beside_it() {
        let name = Some(Value::from("n"));
        for body in [
            &b"{\"name\":\"n\"}"[..],
            b"\xef\xbb\xbf{\"name\":\"n\"}\r\n\0",
            b"{\"fee\":1e400,\"name\":\"n\",\"big\":-1e999}",
            b"{\"city\":\"K\xf6ln\",\"name\":\"n\",\"k\xf6ln\":[\"\xff\xfe\"]}",
            b"{\"name\":\"old\",\"name\":\"n\",\"deep\":{\"name\":\"m\"}}",
            b"\xff\xfe{\0\"\0n\0a\0m\0e\0\"\0:\0\"\0n\0\"\0}\0",
            b"\0{\0\"\0n\0a\0m\0e\0\"\0:\0\"\0n\0\"\0}",
        ] {
            assert_eq!(member(&text(body), "name").unwrap(), name, "{body:?}");
        }
        let deep = format!("{{\"x\":{}1{},\"name\":\"n\"}}", "[".repeat(5_000), "]".repeat(5_000));
        assert_eq!(member(&deep, "name").unwrap(), name);
        assert_eq!(member("{\"other\":1}", "name").unwrap(), None);
        for text in ["", "[]", "null", "7", "\"name\"", "{\"name\":\"n\"", "{\"name\":\"n\"} x"] {
            assert!(member(text, "name").is_err(), "{text}");
        }
    }

    #[test]
    fn an_outline_shows_what_happened_and_no_key() {
        for (answer, outline) in [
            ("{}", None),
            (r#"{"name":"","uri":""}"#, None),
            (r#"{"code":0,"data":{"uri":"http://h/?s=key"}}"#, Some(r#"{"code":0,"data":…}"#)),
            (r#"{"token":"key","msg":"busy"}"#, Some(r#"{"token":…,"msg":"busy"}"#)),
            (
                r#"{"code":1e400,"info":"http://h/x?s=key"}"#,
                Some(r#"{"code":…,"info":"http://h/x?"}"#),
            ),
        ] {
            assert_eq!(super::outline(answer).as_deref(), outline, "{answer}");
        }
        let many: Vec<String> = (0..5_000).map(|n| format!("\"m{n}\":{n}")).collect();
        let shown = super::outline(&format!("{{{}}}", many.join(","))).unwrap();
        assert!(shown.chars().count() <= 200, "{shown}");
    }

    #[test]
    fn the_words_of_a_refusal_are_found_in_every_dress() {
        let xml = "<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code>\
                   <Message>Request has expired</Message><StringToSign>key</StringToSign></Error>";
        let spaced = "<s:Error xmlns:s='http://x/?a=b'><s:Code >No</s:Code >\
                      <s:Message lang=\"en\">a &lt;b&gt; &amp; &#x43;&#68;&bad; &</s:Message>";
        let wide: Vec<u8> = xml.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (body, words) in [
            (xml.as_bytes(), "AccessDenied: Request has expired"),
            (&wide, "AccessDenied: Request has expired"),
            (spaced.as_bytes(), "No: a <b> & CD&bad; &"),
            (b"<Error><Message><![CDATA[a < b]]></Message></Error>", "a < b"),
            (b"<Error><Code/><Code></Code><Code>late</Code></Error>", "late"),
            (b"<html><head><title> 502 Bad\nGateway </title></head>", "502 BadGateway"),
            (b"<h1>Not here</h1>", "Not here"),
            (b"{\"info\":\"no\\nroom\"}", "noroom"),
            (b"{\"code\":5,\"message\":\"no room\"}", "no room"),
            (b"no such path /x?sign=key&more=key here", "no such path /x? here"),
        ] {
            assert_eq!(super::words(&text(body)).as_deref(), Some(words));
        }
        for body in
            [&b""[..], b"<", b"<Code", b"<Code>", b"<a/>", b"{}", b"{\"info\":5}", b"{", b"\0"]
        {
            assert_eq!(super::words(&text(body)), None, "{body:?}");
        }
        let long = format!("<Code>{}</Code>", "x".repeat(60_000));
        assert_eq!(super::words(&long).unwrap().len(), 200);
        assert_eq!(super::words(&"<".repeat(60_000)), None);
    }
}
