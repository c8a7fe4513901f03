//! `[publish]`: how live streams are kept up.

use std::time::Duration;

use super::error::Error;
use super::section::{Section, integer, seconds};

/// Live publishing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// `retry_seconds`: how long a lost publish is retried; default 60, 0 gives up at once.
    pub retry: Duration,
    /// `linger_seconds`: how long a camera's stream stays open after its last reader; default 5.
    pub linger: Duration,
}

pub(super) fn publish(mut section: Section<'_, '_>) -> Result<Publish, Error> {
    let publish = Publish {
        retry: seconds(section.read("retry_seconds", integer(0..=86_400))?.unwrap_or(60)),
        linger: seconds(section.read("linger_seconds", integer(0..=3_600))?.unwrap_or(5)),
    };
    section.finish()?;
    Ok(publish)
}
