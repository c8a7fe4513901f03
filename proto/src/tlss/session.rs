use std::time::Instant;

use super::frame::{Decoder, TooLong, header};
use super::{COMMAND_WITHIN, DONE, MAX_COMMAND, WHOLE_COMMAND_WITHIN};

/// The server broke the protocol or fell silent. The only cure is to close the connection and dial again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Nothing came after our identity or our last reply.
    #[error("no command within {} s of our identity or last reply", COMMAND_WITHIN.as_secs())]
    Silent,
    /// A command began and did not end.
    #[error("a command began and did not arrive in time")]
    Slow,
    /// A command above the limit.
    #[error(transparent)]
    TooLong(#[from] TooLong),
}

/// The device's end of one connection. It begins with the identity being written.
///
/// The driver writes, says [`handle_sent`](Self::handle_sent), and hands in what it reads; a command that
/// [`poll_command`](Self::poll_command) returns is to be answered before anything more is taken.
#[derive(Debug)]
pub struct Session {
    state: State,
    decoder: Decoder,
    /// When the unfinished message began.
    begun: Option<Instant>,
    commands: u64,
}

#[derive(Debug)]
enum State {
    /// Our identity or a reply is being written.
    Writing,
    /// The server may send a command.
    Listening { since: Instant },
    /// A command waits to be run, or is being run.
    Running { command: Option<Vec<u8>> },
    /// The server said `done`.
    Finished,
}

impl Default for Session {
    fn default() -> Self {
        let decoder = Decoder::new(MAX_COMMAND);
        Self { state: State::Writing, decoder, begun: None, commands: 0 }
    }
}

impl Session {
    /// Tells that the identity or a reply was written: the server's 7 s begin.
    pub fn handle_sent(&mut self, now: Instant) {
        if matches!(self.state, State::Writing) {
            self.state = State::Listening { since: now };
        }
    }

    /// Takes bytes of the server, and returns how many: up to the end of a command, and none while it is
    /// not the server's turn. Keep the rest, and read no more until it has been taken.
    ///
    /// # Errors
    ///
    /// The server is too late, or declares a command above 8 KiB.
    pub fn handle_bytes(&mut self, now: Instant, bytes: &[u8]) -> Result<usize, Violation> {
        self.handle_timeout(now)?;
        let mut taken = 0;
        while taken < bytes.len() && matches!(self.state, State::Listening { .. }) {
            let (used, message) = self.decoder.take(&bytes[taken..])?;
            taken += used;
            match message {
                None => _ = self.begun.get_or_insert(now),
                Some(message) => {
                    self.begun = None;
                    self.receive(&message);
                }
            }
        }
        Ok(taken)
    }

    /// Notes the time. To be called when [`poll_timeout`](Self::poll_timeout) has passed; an
    /// earlier call does nothing.
    ///
    /// # Errors
    ///
    /// The server's 7 s are over.
    pub fn handle_timeout(&self, now: Instant) -> Result<(), Violation> {
        match self.poll_timeout() {
            Some(due) if due <= now && self.begun.is_some() => Err(Violation::Slow),
            Some(due) if due <= now => Err(Violation::Silent),
            _ => Ok(()),
        }
    }

    /// When the server's time is over.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Listening { since } => Some(match self.begun {
                None => since + COMMAND_WITHIN,
                Some(begun) => (begun + COMMAND_WITHIN).min(since + WHOLE_COMMAND_WITHIN),
            }),
            _ => None,
        }
    }

    /// A command to be run and answered: never empty, begins with a slash, and has no NUL or white space
    /// around it. Otherwise as the server sent it, so trust nothing in it.
    pub fn poll_command(&mut self) -> Option<Vec<u8>> {
        match &mut self.state {
            State::Running { command } => command.take(),
            _ => None,
        }
    }

    /// Answers the command with a message of `length` bytes. Returns what to write in front of it.
    pub fn respond(&mut self, length: usize) -> [u8; 4] {
        if matches!(self.state, State::Running { .. }) {
            self.state = State::Writing;
        }
        header(length)
    }

    /// The server has said `done`: close, and come back one interval later.
    pub fn finished(&self) -> bool {
        matches!(self.state, State::Finished)
    }

    /// How many commands came.
    pub fn commands(&self) -> u64 {
        self.commands
    }

    /// Bytes of memory that an unfinished command takes.
    pub fn capacity(&self) -> usize {
        self.decoder.capacity()
    }

    fn receive(&mut self, message: &[u8]) {
        let trimmed = trim(message);
        self.state = match trimmed.first() {
            // An empty message says nothing, and the server's 7 s run on.
            None => return,
            Some(_) if trimmed == DONE.as_bytes() => State::Finished,
            Some(first) => {
                self.commands += 1;
                // Deployed servers leave the slash out of some commands.
                let slash: &[u8] = if *first == b'/' { b"" } else { b"/" };
                State::Running { command: Some([slash, trimmed].concat()) }
            }
        };
    }
}

/// Deployed servers end a command with NUL, with a newline, or not at all.
fn trim(mut message: &[u8]) -> &[u8] {
    let padding = |b: &u8| b.is_ascii_whitespace() || matches!(b, 0 | 0x0b);
    while let Some((_, rest)) = message.split_first().filter(|(first, _)| padding(first)) {
        message = rest;
    }
    while let Some((_, rest)) = message.split_last().filter(|(last, _)| padding(last)) {
        message = rest;
    }
    message
}
