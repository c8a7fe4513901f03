//! One IVR RPC connection, both directions: sequence numbers, order, deadlines, bounds.
//!
//! Not here: sockets and clocks, see the crate that drives the [`Peer`]; what the methods mean, see [`message`].

mod calls;
mod error;
mod events;
mod inbox;
mod lenient;
pub mod message;
mod packet;
mod peer;
mod subject;
mod unopened;
mod violation;

pub use calls::{CallId, Refused};
pub use error::RpcError;
pub use inbox::{Incoming, Ticket};
pub use peer::{Options, Peer};
pub use subject::Subject;
pub use violation::Violation;

use std::time::Duration;

/// The longest message either side may send, in bytes.
pub const MAX_MESSAGE: usize = 64 * 1024;
/// How many requests of theirs may wait for an answer: each of 256 channels can be told to start and to stop a
/// stream and a recording at once. One more is answered with an error in its turn.
pub const MAX_REQUESTS: usize = 1024;
/// How many bytes the texts of these requests, or of their answers, may have. A request that does not fit is
/// answered with an error in its turn.
pub const MAX_REQUEST_BYTES: usize = 2 << 20;
/// How many requests of theirs may be unanswered, with those that will be answered with an error.
pub const MAX_UNANSWERED: usize = 4096;
/// How many requests of ours may wait behind the outstanding one.
pub const MAX_CALLS: usize = 32;
/// How many messages without a packet may come within 10 s.
pub const MAX_BLANKS: usize = 100;
/// How many events may wait, in each direction.
pub const MAX_EVENTS: usize = 32;
/// How many bytes the packets of their waiting events may have.
pub const MAX_EVENT_BYTES: usize = 256 * 1024;
/// How long the other side may take to answer a request of ours.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long after its arrival a request of theirs is answered at the latest. Below their 20 s, so
/// that a slow handler costs an error and not the connection.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(18);
