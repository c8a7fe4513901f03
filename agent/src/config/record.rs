//! `[record]`: what recordings may take, and where they wait.

use std::path::PathBuf;
use std::time::Duration;

use super::error::Error;
use super::section::{PATH, Section, integer, seconds, text, word};

/// Cloud recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// `disconnect_seconds`: a recording ends when the cloud stays away for so long; 0 never ends
    /// it. Default 600 without a spool, 0 with one.
    pub disconnect: Option<Duration>,
    /// `spool_dir` and what goes with it; default none.
    pub spool: Option<Spool>,
    /// `backfill`, "beside" or "before"; default "beside".
    pub backfill: Backfill,
}

/// When segments on the card are uploaded that had to wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backfill {
    /// One of them between two of those that are recorded now, so that nobody waits for what happens
    /// now. The times that the service is told go back and forth.
    #[default]
    Beside,
    /// The oldest first, so that the service is told rising times.
    Before,
}

/// Where segments wait that memory does not hold, or that must outlive a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spool {
    /// `spool_dir`: a directory of its own, on a card that bears the writing.
    pub dir: PathBuf,
    /// `spool`, "overflow" or "always"; default "overflow".
    pub mode: SpoolMode,
    /// `spool_limit`: bytes it may take; default 1 GiB.
    pub limit: u64,
}

/// What is written to the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpoolMode {
    /// Only segments that memory cannot hold.
    Overflow,
    /// Every segment, as it is recorded.
    Always,
}

pub(super) fn record(mut section: Section<'_, '_>) -> Result<Record, Error> {
    let modes = word(&[("overflow", SpoolMode::Overflow), ("always", SpoolMode::Always)]);
    let folder = section.folder("spool_dir");
    let dir = section.read("spool_dir", text(1..=PATH))?.map(|dir| folder.join(dir));
    let mode = section.read("spool", modes)?;
    let limit = section.read("spool_limit", integer(1 << 20..=1 << 40))?;
    if dir.is_none() && (mode.is_some() || limit.is_some()) {
        section.pass(section.error("a spool needs record.spool_dir"), "there is none")?;
    }
    let spool = dir.map(|dir| Spool {
        dir,
        mode: mode.unwrap_or(SpoolMode::Overflow),
        limit: limit.unwrap_or(1 << 30),
    });
    let orders = word(&[("beside", Backfill::Beside), ("before", Backfill::Before)]);
    let backfill = section.read("backfill", orders)?.unwrap_or_default();
    let patience = section.read("disconnect_seconds", integer(0..=86_400))?;
    let patience = patience.unwrap_or(if spool.is_some() { 0 } else { 600 });
    section.finish()?;
    Ok(Record { disconnect: (patience > 0).then(|| seconds(patience)), spool, backfill })
}
