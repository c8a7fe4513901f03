//! What a cloud means by the code and the words with which it closes a connection (RFC 6455, 7.4).

use std::fmt::{self, Display};

use ivt_base::text::shorten;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

/// What clouds write when a newer login takes the place of ours, in lower case.
const DUPLICATE: [&str; 4] = ["newer instance", "duplicate", "replaced", "logged in elsewhere"];

/// The code and the words of a close frame. Printed fit for a log, with what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Goodbye {
    code: u16,
    reason: String,
}

/// What a cloud means by closing a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Another device has logged in with our login.
    Duplicate,
    /// The login is not, or no longer, taken.
    Refused,
    /// The cloud has too much to do.
    Overload,
    /// The cloud restarts or has a fault of its own.
    OwnFault,
    /// The code says nothing about the next connection.
    Other,
}

impl From<CloseFrame> for Goodbye {
    fn from(frame: CloseFrame) -> Self {
        Self { code: frame.code.into(), reason: shorten(frame.reason.trim()) }
    }
}

impl Goodbye {
    /// The meaning of the code, or of the words where many codes are in use for the same thing.
    pub(super) fn meaning(&self) -> Meaning {
        let reason = self.reason.to_lowercase();
        match self.code {
            4002 => Meaning::Duplicate,
            _ if DUPLICATE.iter().any(|words| reason.contains(words)) => Meaning::Duplicate,
            // 3000 and 3003 are registered as Unauthorized and Forbidden; the others are HTTP's codes.
            3000 | 3003 | 4401 | 4403 => Meaning::Refused,
            1013 | 4429 | 4503 => Meaning::Overload,
            1001 | 1011 | 1012 | 1014 => Meaning::OwnFault,
            _ => Meaning::Other,
        }
    }
}

impl Display for Goodbye {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, reason } = self;
        write!(f, "the cloud closed the connection: {code}")?;
        let name = name(*code);
        if !name.is_empty() {
            write!(f, ", {name}")?;
        }
        if !reason.is_empty() {
            write!(f, ": {reason}")?;
        }
        if self.meaning() == Meaning::Duplicate {
            f.write_str("; another device has logged in with the same cloud.login_code")?;
        }
        Ok(())
    }
}

/// The registered name of a code; empty where there is none.
fn name(code: u16) -> &'static str {
    match code {
        1000 => "normal closure",
        1001 => "going away",
        1002 => "protocol error",
        1003 => "unsupported data",
        1007 => "invalid data",
        1008 => "policy violation",
        1009 => "message too big",
        1010 => "extension missing",
        1011 => "internal error",
        1012 => "service restart",
        1013 => "try again later",
        1014 => "bad gateway",
        3000 => "unauthorized",
        3003 => "forbidden",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goodbye(code: u16, reason: &str) -> Goodbye {
        CloseFrame { code: code.into(), reason: reason.into() }.into()
    }

    #[test]
    fn the_code_or_the_words_tell_what_is_meant() {
        for (code, reason, meaning) in [
            (4002, "newer instance", Meaning::Duplicate),
            (4002, "", Meaning::Duplicate),
            (1000, "replaced by a newer connection", Meaning::Duplicate),
            (1008, "Duplicate Login", Meaning::Duplicate),
            (4401, "", Meaning::Refused),
            (4403, "no", Meaning::Refused),
            (3000, "", Meaning::Refused),
            (1013, "", Meaning::Overload),
            (4429, "", Meaning::Overload),
            (1001, "", Meaning::OwnFault),
            (1012, "restart", Meaning::OwnFault),
            (1000, "", Meaning::Other),
            (1008, "", Meaning::Other),
            (4999, "whatever", Meaning::Other),
        ] {
            assert_eq!(goodbye(code, reason).meaning(), meaning, "{code} {reason}");
        }
    }

    #[test]
    fn code_and_words_are_told_on_one_short_line() {
        for (code, reason, line) in [
            (4002, "newer instance", "4002: newer instance; another device has logged in"),
            (1012, "", "1012, service restart"),
            (
                1001,
                "node 3\r\n[ERROR] forged\u{1b}[2J",
                "1001, going away: node 3[ERROR] forged[2J",
            ),
            (4711, " \n", "connection: 4711"),
        ] {
            let told = goodbye(code, reason).to_string();
            assert!(told.contains(line) && !told.contains(char::is_control), "{told}");
        }
        assert!(goodbye(4000, &"é".repeat(5000)).to_string().len() < 500);
    }
}
