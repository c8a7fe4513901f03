//! `[runtime]`: how the work is done, and in how much memory.

#[cfg(feature = "linux")]
use std::path::PathBuf;
use std::time::Duration;

use super::budget::{Budget, Needs};
use super::channel::Channel;
use super::error::Error;
use super::record::Spool;
#[cfg(feature = "linux")]
use super::section::{PATH, text};
use super::section::{Section, integer};
use super::tlss::Tlss;

/// Threads and reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runtime {
    /// `worker_threads`: default 0, everything on one thread.
    pub worker_threads: usize,
    /// `read_batch_ms`: how long what cameras send is collected before it is read, which saves CPU
    /// time and costs delay. The default is 20 ms from four live streams on, 5 ms while one of them
    /// comes by UDP, and 0 for fewer streams.
    pub read_batch: Option<Duration>,
    /// `watchdog`: the hardware's watchdog, such as `/dev/watchdog`, which is fed while every main task gives signs of
    /// life; default none.
    #[cfg(feature = "linux")]
    pub watchdog: Option<PathBuf>,
}

pub(super) fn runtime(
    mut section: Section<'_, '_>,
    channels: &[Channel],
    spool: Option<&Spool>,
    tlss: Option<&Tlss>,
) -> Result<(Runtime, Budget), Error> {
    let threads = section.read("worker_threads", integer(0..=64))?.unwrap_or(0);
    let batch = section.read("read_batch_ms", integer(0..=100))?;
    let limit = section.read("memory_limit", integer(1 << 20..=1 << 40))?;
    #[cfg(feature = "linux")]
    let watchdog = section.read("watchdog", |value| {
        let path = PathBuf::from(text(1..=PATH)(value)?);
        let allowed = || "the path of a watchdog, such as /dev/watchdog".to_owned();
        path.is_absolute().then_some(path).ok_or_else(allowed)
    })?;
    let runtime = Runtime {
        worker_threads: threads as usize,
        read_batch: batch.map(Duration::from_millis),
        #[cfg(feature = "linux")]
        watchdog,
    };
    let needs = Needs { channels, spool, tlss, worker_threads: runtime.worker_threads };
    let within = |limit| needs.within(limit).map_err(|short| section.error(short.to_string()));
    let budget = match limit.map(within) {
        Some(Ok(budget)) => budget,
        Some(Err(error)) => {
            section.pass(error, "the usual limit is taken")?;
            within(needs.usual_limit())?
        }
        None => within(needs.usual_limit())?,
    };
    section.finish()?;
    Ok((runtime, budget))
}
