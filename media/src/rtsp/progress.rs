//! What an opening waits for as long as its camera gives no picture, for whoever asks meanwhile.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

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

/// How far a stream has come on its way to pictures that can be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nothing came.
    Silent,
    /// Packets of the first payload type came, none of the second, which was described.
    Foreign(u8, u8),
    /// Packets came, but neither pictures nor parameter sets.
    Packets,
    /// Pictures came, but no parameter sets.
    NoParameterSets,
    /// Parameter sets are there, but no pictures.
    NoPictures,
    /// Pictures and parameter sets came, but no key frame.
    NoKey,
    /// Pictures come that can be decoded.
    Flowing,
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

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Silent => "it plays, but sends nothing",
            Self::Foreign(came, described) => {
                return write!(
                    f,
                    "packets of payload type {came} come, it described {described} for its picture"
                );
            }
            Self::Packets => "packets come, but no pictures and no parameter sets (SPS, PPS)",
            Self::NoParameterSets => "pictures come, but no parameter sets (SPS, PPS)",
            Self::NoPictures => "packets come, but no pictures",
            Self::NoKey => "pictures come, but no key frame yet",
            Self::Flowing => "pictures come",
        })
    }
}
