//! What a program prints for who started it.

use std::fmt::Display;
use std::io::{Error, ErrorKind, Result, Write as _};

/// Prints a line on the standard output. A reader that has gone away, as `head` does, wants no more: that is no failure.
///
/// # Errors
/// It cannot be written, such as on a full disk. `println!` would end the program with a panic instead, for either reason.
pub fn say(line: impl Display) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Error::new(error.kind(), format!("the standard output: {error}"))),
        Ok(()) => Ok(()),
    }
}
