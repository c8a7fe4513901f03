//! The form of answers: which members they have, and of what kind.

use serde_json::Value;

/// The kind of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// An integer.
    Integer,
    /// `true` or `false`.
    Bool,
    /// One of the four qualities.
    Quality,
}

/// A member of an answer.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// The name.
    pub name: &'static str,
    /// The kind.
    pub kind: Kind,
    /// Whether it has to be there.
    pub needed: bool,
}

/// A member that has to be there.
pub const fn needed(name: &'static str, kind: Kind) -> Member {
    Member { name, kind, needed: true }
}

/// A member that may be left out.
pub const fn optional(name: &'static str, kind: Kind) -> Member {
    Member { name, kind, needed: false }
}

impl Kind {
    fn holds(self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Bool => value.is_boolean(),
            Self::Quality => matches!(value.as_str(), Some("ld" | "sd" | "hd" | "fhd")),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Integer => "an integer",
            Self::Bool => "true or false",
            Self::Quality => "ld, sd, hd or fhd",
        }
    }
}

/// What is wrong with an object; `None` where nothing is. Members that are not named may be there.
pub fn object(value: &Value, members: &[Member]) -> Option<String> {
    let Some(object) = value.as_object() else {
        return Some(format!("expected an object: {value}"));
    };
    members.iter().find_map(|member| match object.get(member.name) {
        None | Some(Value::Null) => {
            member.needed.then(|| format!("`{}` is missing: {value}", member.name))
        }
        Some(value) if member.kind.holds(value) => None,
        Some(value) => {
            Some(format!("`{}` is {}, and it is {value}", member.name, member.kind.name()))
        }
    })
}

/// What is wrong with a list of objects.
pub fn list(value: &Value, members: &[Member]) -> Option<String> {
    let Some(list) = value.as_array() else { return Some(format!("expected a list: {value}")) };
    list.iter().find_map(|entry| object(entry, members))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_missing_or_of_another_kind_is_named() {
        let members = [needed("name", Kind::Text), optional("signal", Kind::Integer)];
        assert_eq!(
            list(&json!([{ "name": "a", "more": 1 }, { "name": "", "signal": -3 }]), &members),
            None
        );
        assert_eq!(list(&json!([]), &members), None);
        for (value, word) in [
            (json!([{ "signal": 1 }]), "missing"),
            (json!([{ "name": 1 }]), "`name` is a string"),
            (json!([{ "name": "a", "signal": 1.5 }]), "`signal` is an integer"),
            (json!({}), "expected a list"),
            (json!([1]), "expected an object"),
        ] {
            let wrong = list(&value, &members).unwrap();
            assert!(wrong.contains(word), "{wrong}");
        }
    }
}
