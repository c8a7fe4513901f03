//! What an opening waits for as long as its camera gives no picture, for whoever asks meanwhile.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::media::Stage;

/// What is waited for now; shared by an opener and what it opens.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress(Arc<Mutex<Option<Awaits>>>);

/// What a camera is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaits {
    /// Take the connection.
    Connection,
    /// Answer DESCRIBE.
    Description,
    /// Answer SETUP and PLAY.
    Start,
    /// Send pictures that can be decoded.
    Media(Stage),
}

impl Progress {
    /// Sets what is waited for.
    pub(super) fn set(&self, awaits: Awaits) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(awaits);
    }

    /// Notes that nothing is waited for.
    pub(super) fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// What is waited for as a clause for a person; `None` once pictures flow.
    pub(super) fn tell(&self) -> Option<String> {
        let awaits = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        awaits.filter(|a| *a != Awaits::Media(Stage::Flowing)).map(|awaits| awaits.to_string())
    }
}

impl fmt::Display for Awaits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection => f.write_str("it does not take the connection yet"),
            Self::Description => f.write_str("it has not answered DESCRIBE yet"),
            Self::Start => f.write_str("it has not answered SETUP and PLAY yet"),
            Self::Media(stage) => stage.fmt(f),
        }
    }
}
