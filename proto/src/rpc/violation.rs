use serde_json::Number;

use super::{MAX_BLANKS, MAX_MESSAGE, MAX_UNANSWERED, RESPONSE_TIMEOUT};

/// The other side broke the protocol (chapter 异常处理). The only cure is to close the connection.
///
/// Says what was expected and what was received; of a received packet only its shape, never its
/// contents, since those may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A message above the limit; it was not parsed.
    #[error("message too long: expected at most {MAX_MESSAGE} bytes, received {bytes}")]
    TooLong {
        /// Length of the message.
        bytes: usize,
    },
    /// Not a packet of the protocol.
    #[error("malformed packet: expected {expected}, received {received}")]
    Malformed {
        /// What the protocol asks for.
        expected: &'static str,
        /// What kind of thing was there instead.
        received: String,
    },
    /// An answer to some other request than the outstanding one.
    #[error("wrong answer: expected seq {expected}, received seq {received}")]
    WrongSeq {
        /// The `seq` of our outstanding request.
        expected: u64,
        /// The `seq` of the answer.
        received: Number,
    },
    /// An answer although no request of ours is outstanding.
    #[error("unasked answer: expected none, received one with seq {received}")]
    Unasked {
        /// The `seq` of the answer.
        received: Number,
    },
    /// No answer to a request of ours in 20 s.
    #[error(
        "missing answer: expected one to {method} (seq {seq}) within {} s, received none",
        RESPONSE_TIMEOUT.as_secs()
    )]
    NoAnswer {
        /// The method we called.
        method: String,
        /// The `seq` of our request.
        seq: u64,
    },
    /// One request too many is unanswered. A driver that stops reading while
    /// [`is_full`](super::Peer::is_full) says so never sees this.
    #[error("too many requests: expected at most {MAX_UNANSWERED} unanswered, received one more")]
    TooManyRequests,
    /// More empty messages than anybody sends as a sign of life.
    #[error(
        "too many empty messages: expected at most {MAX_BLANKS} within 10 s, received one more"
    )]
    TooManyBlanks,
}
