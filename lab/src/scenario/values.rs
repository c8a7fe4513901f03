//! Values that a scenario carries on: `${NAME}` in its texts.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use ivt_base::wall_time::WallTime;
use serde_json::Value;

/// Names that every scenario has, beside those that it saves. Some take an argument: `${rtmp_url:KEY}`.
pub(super) const BUILT_IN: [&str; 9] =
    ["login", "cloud", "rtmp_url", "rtmp_port", "record_url", "camera", "closed_port", "utc", "n"];
/// The sign itself, written `${$}`: `${$}{n}` is the text `${n}`.
const DOLLAR: &str = "$";
/// Most values that are saved.
const MOST: usize = 1000;

/// The values known so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Values(BTreeMap<String, Value>);

impl Values {
    /// Keeps a value under its name.
    pub(super) fn save(&mut self, name: &str, value: Value) {
        if self.0.len() < MOST || self.0.contains_key(name) {
            self.0.insert(name.to_owned(), value);
        }
    }

    /// The value with each `${NAME}` in its texts replaced. `built_in` knows the names that are not saved, each with
    /// its argument. A text that is nothing but `${NAME}` becomes the value itself, whatever its type.
    ///
    /// # Errors
    /// The name that has no value yet.
    pub(super) fn fill(
        &self,
        value: &Value,
        built_in: &dyn Fn(&str, &str) -> Option<Value>,
    ) -> Result<Value, String> {
        Ok(match value {
            Value::String(text) => self.fill_text(text, built_in)?,
            Value::Array(items) => {
                let filled = items.iter().map(|item| self.fill(item, built_in));
                Value::Array(filled.collect::<Result<_, _>>()?)
            }
            Value::Object(members) => {
                let filled = members
                    .iter()
                    .map(|(name, member)| Ok((name.clone(), self.fill(member, built_in)?)));
                Value::Object(filled.collect::<Result<_, String>>()?)
            }
            other => other.clone(),
        })
    }

    fn fill_text(
        &self,
        text: &str,
        built_in: &dyn Fn(&str, &str) -> Option<Value>,
    ) -> Result<Value, String> {
        let find = |inner: &str| {
            let (name, argument) = split(inner);
            let found = self.0.get(inner).cloned().or_else(|| built_in(name, argument));
            found.ok_or_else(|| format!("${{{inner}}} has no value here"))
        };
        let mut pieces = pieces(text);
        if let [Piece::Name(name)] = pieces[..] {
            return find(name);
        }
        let filled = pieces.drain(..).map(|piece| match piece {
            Piece::Text(text) => Ok(text.to_owned()),
            Piece::Name(name) => find(name).map(|value| match value {
                Value::String(text) => text,
                other => other.to_string(),
            }),
        });
        filled.collect::<Result<String, _>>().map(Value::String)
    }
}

/// The names in a value that a scenario has to know, without their arguments.
pub(super) fn names(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => {
            let names = pieces(text).into_iter().filter_map(|piece| match piece {
                Piece::Name(name) => Some(split(name).0.to_owned()),
                Piece::Text(_) => None,
            });
            names.collect()
        }
        Value::Array(items) => items.iter().flat_map(names).collect(),
        Value::Object(members) => members.values().flat_map(names).collect(),
        _ => Vec::new(),
    }
}

/// What is wrong with the names in a value that every scenario has, and where one has no end.
pub(super) fn mistakes(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => pieces(text).into_iter().filter_map(mistake).collect(),
        Value::Array(items) => items.iter().flat_map(mistakes).collect(),
        Value::Object(members) => members.values().flat_map(mistakes).collect(),
        _ => Vec::new(),
    }
}

/// The time of `${utc}` and of `${utc+3600}`; `None` where it is off by no number, or beyond all calendars.
pub(super) fn utc(argument: &str) -> Option<WallTime> {
    let off: i64 = if argument.is_empty() { 0 } else { argument.parse().ok()? };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    WallTime::from_seconds(now.checked_add_signed(off)?)
}

fn mistake(piece: Piece<'_>) -> Option<String> {
    let inner = match piece {
        Piece::Text(text) => {
            let what = "`${` has no `}` behind it; the sign itself is written ${$}";
            return text.contains("${").then(|| what.to_owned());
        }
        Piece::Name(inner) => inner,
    };
    let expected = match split(inner) {
        ("utc", argument) if utc(argument).is_none() => "seconds, such as ${utc+3600}",
        ("rtmp_url", "") => "a key: ${rtmp_url:KEY}",
        ("record_url", "") => "a session: ${record_url:SESSION}",
        ("utc" | "rtmp_url" | "record_url", _) | (_, "") => return None,
        (name, _) if BUILT_IN.contains(&name) => "nothing behind the name",
        _ => return None,
    };
    Some(format!("${{{inner}}}: expected {expected}"))
}

#[derive(Clone, Copy)]
enum Piece<'a> {
    Text(&'a str),
    Name(&'a str),
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Some((before, (name, after))) =
        rest.split_once("${").and_then(|(before, behind)| Some((before, behind.split_once('}')?)))
    {
        if !before.is_empty() {
            pieces.push(Piece::Text(before));
        }
        pieces.push(if name == DOLLAR { Piece::Text(DOLLAR) } else { Piece::Name(name) });
        rest = after;
    }
    if !rest.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    pieces
}

/// Name and argument of `rtmp_url:KEY` and of `utc+3600`.
fn split(inner: &str) -> (&str, &str) {
    match inner.find([':', '+', '-']) {
        Some(at) if inner[at..].starts_with(':') => (&inner[..at], &inner[at + 1..]),
        Some(at) => (&inner[..at], &inner[at..]),
        None => (inner, ""),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn built_in(name: &str, argument: &str) -> Option<Value> {
        match name {
            "url" => Some(json!(format!("rtmp://h/{argument}"))),
            "n" => Some(json!(7)),
            _ => None,
        }
    }

    #[test]
    fn wrong_names_say_what_is_expected() {
        for (text, wants) in [
            ("${utc+99999999999999999999}", "seconds"),
            ("${utc+9223372036854775807}", "seconds"),
            ("${utc+soon}", "seconds"),
            ("${utc} and ${utc", "no `}`"),
            ("${rtmp_url}", "a key"),
            ("${record_url:}", "a session"),
            ("${login:x}", "nothing behind"),
        ] {
            let told = mistakes(&json!([{ "a": text }]));
            assert!(told.len() == 1 && told[0].contains(wants), "{text}: {told:?}");
        }
        for text in ["${utc-60} ${utc}", "${rtmp_url:s} ${n} ${login}", "${$}{x ${mine+1} $"] {
            assert_eq!(mistakes(&json!(text)), [""; 0], "{text}");
        }
    }

    #[test]
    fn names_are_replaced_wherever_they_stand() {
        let mut values = Values::default();
        values.save("token", json!("3"));
        values.save("list", json!([1, 2]));
        for (text, filled) in [
            (json!("${url:s1}"), json!("rtmp://h/s1")),
            (json!("${n}"), json!(7)),
            (json!("{\"seq\":${n}}"), json!("{\"seq\":7}")),
            (
                json!({ "a": ["${list}", 1, null], "b": "x${token}y" }),
                json!({ "a": [[1, 2], 1, null], "b": "x3y" }),
            ),
            (json!(""), json!("")),
            (json!("a $ {b} ${"), json!("a $ {b} ${")),
            (json!("${$}{n} is ${n}"), json!("${n} is 7")),
            (json!("${$}"), json!("$")),
            (json!("{\"x\":\"${$}{$}\"}"), json!("{\"x\":\"${$}\"}")),
        ] {
            assert_eq!(values.fill(&text, &built_in), Ok(filled), "{text}");
        }
        let error = values.fill(&json!("x${late}"), &built_in).unwrap_err();
        assert!(error.contains("${late}"), "{error}");
        assert_eq!(
            names(&json!({ "a": "${url:x} ${utc+60} ${$}{free}", "b": ["${n}"] })),
            ["url", "utc", "n"]
        );
    }
}
