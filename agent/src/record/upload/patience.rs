//! What an uploader does while the service, or the clock, is not good for an upload.

use std::time::Duration;

use rand::RngExt as _;
use tokio::time::{Instant, sleep};

use super::{GivenUp, Uploader};
use crate::backoff::{self, Backoff};
use crate::record::backlog::{Job, Source};
use crate::record::service::{Fault, Remote};

/// The service is asked for the time no more often than this, and our own clock looked at.
const ASK_TIME: Duration = Duration::from_secs(30);
const LOOK_AT_CLOCK: Duration = Duration::from_secs(5);
/// Delays are never shorter than this, however short the segments.
const BREATH: Duration = Duration::from_millis(50);

impl<R: Remote> Uploader<R> {
    /// The date of a segment, with the service's help where our clock was never set.
    pub(super) async fn date(&mut self, job: &Job) -> Result<i64, GivenUp> {
        loop {
            if let Some(date) = self.backlog.anchor().unix_micros(job.start) {
                return Ok(date);
            }
            if self.asked_time.is_none_or(|asked| asked.elapsed() >= ASK_TIME) {
                self.asked_time = Some(Instant::now());
                match self.remote.current_time().await {
                    Ok(now) => self.backlog.anchor().learn(now),
                    Err(fault) => self.fails(&fault)?,
                }
                if self.backlog.anchor().unix_micros(job.start).is_some() {
                    continue;
                }
                self.fails(&Fault::Busy("neither we nor the service know the date".into()))?;
            }
            sleep(LOOK_AT_CLOCK).await;
        }
    }

    /// The service has said "not now".
    pub(super) async fn declined(&mut self, job: &Job) -> Result<(), GivenUp> {
        self.backlog.decline();
        let wanted = self.backlog.begun() || job.source == Source::Shelf;
        if self.backlog.closed().is_some() && wanted {
            self.fails(&Fault::Busy("the service takes no segments at the moment".into()))?;
            self.rest(job.duration).await;
        }
        Ok(())
    }

    /// Something succeeded.
    pub(super) fn works(&mut self) {
        self.backoff = Backoff::new(&backoff::UPLOAD);
        if self.failing.take().is_some() {
            log::info!("{}: uploads work again", self.backlog.name());
            self.backlog.note(None);
        }
    }

    /// Something failed.
    pub(super) fn fails(&mut self, fault: &Fault) -> Result<(), GivenUp> {
        let now = Instant::now();
        self.behind = true;
        if self.failing.is_none() {
            log::warn!("{}: uploads fail: {fault}", self.backlog.name());
        }
        self.backlog.note(Some(fault.to_string()));
        let since = *self.failing.get_or_insert(now);
        let closed = self.backlog.closed();
        match closed.is_some_and(|closed| now - closed.max(since) >= self.options.patience) {
            true => Err(GivenUp),
            false => Ok(()),
        }
    }

    /// Waits before the next try, but never so long that a full backlog would lose a segment of
    /// this `duration` before the end of an outage is noticed.
    pub(super) async fn rest(&mut self, duration: Duration) {
        let most = (duration / 2).max(BREATH);
        let mut delay = self.backoff.next(&mut self.rng);
        if delay > most {
            delay = self.rng.random_range(most / 2..=most);
        }
        sleep(delay).await;
    }
}
