//! `[log]`: how much is told.

use log::LevelFilter;

use super::error::Error;
use super::section::{Section, word};

const LEVELS: &[(&str, LevelFilter)] = &[
    ("error", LevelFilter::Error),
    ("warn", LevelFilter::Warn),
    ("info", LevelFilter::Info),
    ("debug", LevelFilter::Debug),
    ("trace", LevelFilter::Trace),
];

pub(super) fn log(mut section: Section<'_, '_>) -> Result<LevelFilter, Error> {
    let level = section.read("level", word(LEVELS))?.unwrap_or(LevelFilter::Info);
    section.finish()?;
    Ok(level)
}
