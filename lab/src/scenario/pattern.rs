//! What a JSON value or a number has to be like.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

/// A JSON value by what matters of it. An object fits one that has at least its members, a list one that has at least
/// its items in any order. Texts may have `*` for anything, `!` in front for "not", and a comparison for a number:
/// `"rtmp://*"`, `"!*"` (not there), `">= 5"`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pattern(pub(super) Value);

impl Pattern {
    /// Whether a value is like this.
    pub(super) fn fits(&self, value: &Value) -> bool {
        fits(&self.0, Some(value))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Bounds of a number: `5`, `">= 5"`, `"> 5"`, `"<= 5"`, `"< 5"`, `"2..5"`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bound {
    least: f64,
    most: f64,
    /// Whether the bounds themselves are outside.
    open: bool,
}

impl Bound {
    /// Exactly this number.
    pub(super) fn exactly(number: f64) -> Self {
        Self { least: number, most: number, open: false }
    }

    /// This number or more.
    pub(super) fn at_least(number: f64) -> Self {
        Self { least: number, most: f64::INFINITY, open: false }
    }

    /// Whether a number is within.
    pub(super) fn holds(self, number: f64) -> bool {
        let Self { least, most, open } = self;
        if open { least < number && number < most } else { (least..=most).contains(&number) }
    }

    /// Bounds that no number holds to which holds to these.
    pub(super) fn turned(self) -> Self {
        let Self { least, most, open } = self;
        match (least.is_finite(), most.is_finite()) {
            (true, true) if least == most => Self::exactly(least + 1.0),
            (_, true) => Self { least: most, most: f64::INFINITY, open: !open },
            _ => Self { least: f64::NEG_INFINITY, most: least, open: !open },
        }
    }

    /// Whether it says nothing of a number that is never below 0.
    pub(super) fn is_empty(self) -> bool {
        self.most.is_infinite() && (self.least < 0.0 || self.least == 0.0 && !self.open)
    }

    /// Whether no number is within that is never below 0.
    pub(super) fn is_impossible(self) -> bool {
        self.most < 0.0 || self.most == 0.0 && self.open
    }

    /// Whether a number that only grows can leave the bounds again.
    pub(super) fn is_upper(self) -> bool {
        self.most.is_finite()
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let equals = if self.open { "" } else { "=" };
        match (self.least.is_finite(), self.most.is_finite()) {
            (true, true) if self.least == self.most => self.least.fmt(f),
            (true, true) => write!(f, "{}..{}", self.least, self.most),
            (true, false) => write!(f, ">{equals} {}", self.least),
            _ => write!(f, "<{equals} {}", self.most),
        }
    }
}

/// The error for text that is no [`Bound`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a number, or \">= 5\", \"> 5\", \"<= 5\", \"< 5\" or \"2..5\"")]
pub(super) struct NoBound;

impl FromStr for Bound {
    type Err = NoBound;

    fn from_str(text: &str) -> Result<Self, NoBound> {
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|n| n.is_finite());
        let (most, least) = (f64::INFINITY, f64::NEG_INFINITY);
        let side = |sign: &str| text.strip_prefix(sign).and_then(number);
        if let Some(least) = side(">=") {
            Ok(Self { least, most, open: false })
        } else if let Some(most) = side("<=") {
            Ok(Self { least, most, open: false })
        } else if let Some(least) = side(">") {
            Ok(Self { least, most, open: true })
        } else if let Some(most) = side("<") {
            Ok(Self { least, most, open: true })
        } else if let Some((least, most)) = text.split_once("..") {
            let both = number(least).zip(number(most)).filter(|(least, most)| least <= most);
            both.map(|(least, most)| Self { least, most, open: false }).ok_or(NoBound)
        } else {
            number(text).map(Self::exactly).ok_or(NoBound)
        }
    }
}

fn fits(pattern: &Value, value: Option<&Value>) -> bool {
    match pattern {
        Value::String(text) => text_fits(text, value),
        Value::Object(members) => value.and_then(Value::as_object).is_some_and(|object| {
            members.iter().all(|(name, member)| fits(member, object.get(name)))
        }),
        Value::Array(items) => value.and_then(Value::as_array).is_some_and(|list| {
            items.iter().all(|item| list.iter().any(|value| fits(item, Some(value))))
        }),
        Value::Number(number) => value.and_then(Value::as_f64) == number.as_f64(),
        other => value == Some(other),
    }
}

fn text_fits(pattern: &str, value: Option<&Value>) -> bool {
    if let Some(rest) = pattern.strip_prefix('!') {
        return !text_fits(rest, value);
    }
    match value {
        None => false,
        Some(Value::String(text)) => like(pattern, text),
        Some(Value::Number(number)) => match pattern.parse::<Bound>() {
            Ok(bound) if pattern.starts_with(['<', '>']) => {
                number.as_f64().is_some_and(|number| bound.holds(number))
            }
            _ => like(pattern, &number.to_string()),
        },
        Some(other) => like(pattern, &other.to_string()),
    }
}

/// Whether a text is like a pattern, in which `*` stands for anything.
pub(super) fn like(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pattern_fits_what_has_at_least_that() {
        let packet = json!({ "req": "Keepalive", "seq": 7, "params": { "channels": [
            { "channel": 0, "state": 1 }, { "channel": 1, "state": 3, "stream_id": "s" }] } });
        for (pattern, fit) in [
            (json!({}), true),
            (json!({ "req": "Keep*" }), true),
            (json!({ "req": "!Keep*" }), false),
            (json!({ "req": "keepalive" }), false),
            (json!({ "seq": 7.0 }), true),
            (json!({ "seq": ">= 7" }), true),
            (json!({ "seq": "> 7" }), false),
            (json!({ "seq": "7" }), true),
            (json!({ "err": "!*" }), true),
            (json!({ "req": "!*" }), false),
            (json!({ "err": "*" }), false),
            (json!({ "params": { "channels": [{ "channel": 1, "stream_id": "s" }] } }), true),
            (json!({ "params": { "channels": [{ "channel": 0, "stream_id": "!*" }] } }), true),
            (json!({ "params": { "channels": [{ "channel": 0, "stream_id": "*" }] } }), false),
            (json!({ "params": "*channels*" }), true),
            (json!([]), false),
        ] {
            assert_eq!(Pattern(pattern.clone()).fits(&packet), fit, "{pattern}");
        }
    }

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, fit) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*c", "abd", false),
            ("a*b*c", "a-b-b-c", true),
            ("aa*a", "aa", false),
            ("*ü*", "für", true),
        ] {
            assert_eq!(like(pattern, text), fit, "{pattern:?} {text:?}");
        }
    }

    #[test]
    fn bounds_are_read_and_hold() {
        for (text, within, outside) in [
            ("5", 5.0, 4.0),
            (">= 5", 5.0, 4.9),
            ("> 5", 5.1, 5.0),
            ("<=5", 5.0, 5.1),
            ("< 5", 4.9, 5.0),
            ("2..5", 2.0, 5.5),
        ] {
            let bound: Bound = text.parse().unwrap();
            assert!(bound.holds(within) && !bound.holds(outside), "{text}");
            assert_eq!(bound.to_string().replace(' ', ""), text.replace(' ', ""));
            assert!(!bound.turned().holds(within), "{text}: {}", bound.turned());
            assert!(!bound.is_empty() && !bound.is_impossible(), "{text}");
        }
        for (text, empty) in [
            (">= 0", true),
            ("> -1", true),
            (">= -2", true),
            ("> 0", false),
            ("0", false),
            ("<= 0", false),
        ] {
            let bound: Bound = text.parse().unwrap();
            assert_eq!((bound.is_empty(), bound.is_impossible()), (empty, false), "{text}");
        }
        for text in ["< 0", "<= -1", "-3", "-3..-1"] {
            let bound: Bound = text.parse().unwrap();
            assert_eq!((bound.is_empty(), bound.is_impossible()), (false, true), "{text}");
        }
        for text in ["", "x", ">=", "5..2", "nan", "< inf", "=> 5"] {
            assert_eq!(text.parse::<Bound>(), Err(NoBound), "{text}");
        }
    }
}
