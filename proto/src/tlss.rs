//! The hosted service (TLSS): the device dials a server, says who it is, and answers the server's CGI
//! commands, one at a time, until the server says `done`.
//!
//! Not here: sockets and clocks, see the crate that drives the [`Session`]; which commands are harmless,
//! and who answers them.

mod frame;
mod identity;
mod session;

use std::time::Duration;

pub use frame::{Decoder, TooLong, frame, header};
pub use identity::{Identity, IdentityError, sendable};
pub use session::{Session, Violation};

/// The longest command that is read, in bytes, whatever length a server declares.
pub const MAX_COMMAND: usize = 8 * 1024;
/// How long the server may be silent after our identity or a reply, and how long a command that has begun
/// may take to arrive (chapter Socket Connection Timeout).
pub const COMMAND_WITHIN: Duration = Duration::from_secs(7);
/// How long our identity or a reply waits for a whole command: one that begins just in time cannot hold
/// the connection for another 7 s.
pub const WHOLE_COMMAND_WITHIN: Duration = Duration::from_millis(7_500);
/// The message by which a server ends a session.
pub const DONE: &str = "done";
