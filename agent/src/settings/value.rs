//! The value of a setting as it is written into a file.

#[cfg(any(feature = "ui", all(feature = "onvif", feature = "profiles")))]
use serde_json::Value;
use toml::de::{DeTable, DeValue};

/// Why a value cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its value begins like TOML and is none: {0}")]
pub struct ValueError(String);

/// TOML for what a person typed: TOML stays as it is, anything else becomes a string. Errors do not
/// repeat the text: it may be a secret.
///
/// # Errors
/// The text begins with a quote or a bracket and is not TOML.
pub(super) fn toml(typed: &str) -> Result<String, ValueError> {
    let trimmed = typed.trim();
    match read(trimmed) {
        Ok(true) => Ok(trimmed.to_owned()),
        Err(message) if trimmed.starts_with(['"', '\'', '[', '{']) => Err(ValueError(message)),
        _ => Ok(quoted(typed)),
    }
}

/// TOML for a string.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted += &format!("\\u{:04X}", u32::from(c)),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// TOML for JSON: strings, booleans, whole numbers, and lists of these; `None` for anything else.
#[cfg(any(feature = "ui", all(feature = "onvif", feature = "profiles")))]
pub(crate) fn of_json(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(quoted(text)),
        Value::Bool(_) => Some(value.to_string()),
        Value::Number(_) => whole(value).map(|number| number.to_string()),
        Value::Array(items) if !items.iter().any(Value::is_array) => {
            let items: Option<Vec<_>> = items.iter().map(of_json).collect();
            Some(format!("[{}]", items?.join(", ")))
        }
        _ => None,
    }
}

/// The whole number that JSON has, if it has one: JSON has one kind of number, so that 50.0 is as whole as 50.
#[cfg(any(feature = "ui", all(feature = "onvif", feature = "profiles")))]
pub(crate) fn whole(value: &Value) -> Option<i64> {
    /// Up to here a fraction is told from a whole number.
    const EXACT: f64 = 9_007_199_254_740_991.0;
    let of_fraction =
        |number: f64| (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64);
    value.as_i64().or_else(|| value.as_f64().and_then(of_fraction))
}

/// Whether a text is exactly one TOML value, of a kind that some setting has.
fn read(text: &str) -> Result<bool, String> {
    const BEFORE: &str = "v = ";
    let line = format!("{BEFORE}{text}");
    let table = DeTable::parse(&line).map_err(|e| e.message().to_owned())?.into_inner();
    let values: Vec<_> = table.iter().map(|(_, value)| value).collect();
    let [value] = values[..] else { return Err("more than one value".into()) };
    if value.span() != (BEFORE.len()..line.len()) {
        return Err("more than a value".into());
    }
    // Times and fractions are taken for strings: no setting has such a value.
    Ok(!matches!(value.get_ref(), DeValue::Datetime(_) | DeValue::Float(_)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn toml_stays_and_words_become_strings() {
        for (typed, want) in [
            ("true", "true"),
            (" 0x10 ", "0x10"),
            ("'a b'", "'a b'"),
            ("[ 'main',\n 'sub' ]", "[ 'main',\n 'sub' ]"),
            ("{ hd = 'main' }", "{ hd = 'main' }"),
            ("debug", "\"debug\""),
            ("rtsp://u:p@10.0.0.2/a?b=c#d", "\"rtsp://u:p@10.0.0.2/a?b=c#d\""),
            ("00:13:23:A0:07:AD", "\"00:13:23:A0:07:AD\""),
            ("12:30:00", "\"12:30:00\""),
            ("1.5", "\"1.5\""),
            ("inf", "\"inf\""),
            ("", "\"\""),
            ("a\\b\"c", "\"a\\\\b\\\"c\""),
            ("1\n[log]", "\"1\\u000A[log]\""),
            ("true # so", "\"true # so\""),
        ] {
            assert_eq!(toml(typed).as_deref(), Ok(want), "{typed}");
        }
    }

    #[test]
    fn what_begins_like_toml_has_to_be_toml() {
        for typed in ["\"canary", "'canary' x", "[canary", "{ canary }", "'a'\ncanary = 1"] {
            let error = toml(typed).unwrap_err().to_string();
            assert!(!error.contains("canary"), "{typed}: {error}");
        }
    }

    #[cfg(feature = "ui")]
    #[test]
    fn json_becomes_toml_where_a_setting_can_have_it() {
        use serde_json::json;
        for (value, want) in [
            (json!("a\"b"), Some(r#""a\"b""#)),
            (json!("true"), Some("\"true\"")),
            (json!(true), Some("true")),
            (json!(-3), Some("-3")),
            (json!(["a", 1, false]), Some("[\"a\", 1, false]")),
            (json!([]), Some("[]")),
            (json!(16.0), Some("16")),
            (json!(-2e3), Some("-2000")),
            (json!(1.5), None),
            (json!(1e19), None),
            (json!(u64::MAX), None),
            (json!(null), None),
            (json!({ "a": 1 }), None),
            (json!([[1]]), None),
            (json!([null]), None),
        ] {
            assert_eq!(of_json(&value).as_deref(), want, "{value}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_string_in_quotes(text in any::<String>()) {
            let line = format!("v = {}", quoted(&text));
            let table = DeTable::parse(&line).unwrap().into_inner();
            let (_, value) = table.iter().next().unwrap();
            prop_assert_eq!(value.get_ref().as_str(), Some(&*text));
        }
    }
}
