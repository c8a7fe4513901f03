use std::fmt;

use ivt_base::mask::mask;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The `err` of an answer. `Display` is one line, shortened and escaped, so it may be logged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RpcError {
    /// One of the constants below; other peers use other numbers too.
    pub code: i64,
    /// A text for a person to read.
    pub msg: String,
}

impl RpcError {
    /// Internal error, also bad parameters.
    pub const INTERNAL: i64 = 1;
    /// The stream's bit rate is above the limit asked for.
    pub const BITRATE: i64 = 11;
    /// Another stream is being published on the channel.
    pub const DUPLICATE: i64 = 12;
    /// The method is not supported.
    pub const UNSUPPORTED: i64 = 101;
    /// There is no such channel.
    pub const NO_CHANNEL: i64 = 102;
    /// The channel is not online.
    pub const OFFLINE: i64 = 103;

    /// An error with any code.
    pub fn new(code: i64, msg: impl Into<String>) -> Self {
        Self { code, msg: msg.into() }
    }

    /// An error with code 1.
    pub fn internal(msg: impl Into<String>) -> Self {
        Self::new(Self::INTERNAL, msg)
    }
}

impl fmt::Display for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error {}: {}", self.code, excerpt(&self.msg, 200))
    }
}

impl std::error::Error for RpcError {}

/// At most `limit` characters of `text` without secrets, control characters escaped.
pub(super) fn excerpt(text: &str, limit: usize) -> String {
    // Twice the bytes that so many characters can have, so that a secret is known before the cut.
    let text = mask(&text[..text.floor_char_boundary(8 * limit)]);
    let mut short = String::new();
    for (n, c) in text.chars().enumerate() {
        if n == limit {
            short.push('…');
            break;
        }
        if c.is_control() {
            short.extend(c.escape_default());
        } else {
            short.push(c);
        }
    }
    short
}

/// The type of a value, in words.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a number that is no 64-bit integer",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logged_error_is_one_short_line() {
        let error = RpcError::internal(format!("a\nb{}", "é".repeat(5000)));
        let shown = error.to_string();
        assert!(shown.starts_with(r"error 1: a\nbé"));
        assert!(shown.ends_with('…'));
        assert!(shown.chars().count() < 220);
    }
}
