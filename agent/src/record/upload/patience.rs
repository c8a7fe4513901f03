//! What an uploader does while the service, the shelf or the clock is not good for an upload.

use std::mem;
use std::time::Duration;

use rand::RngExt as _;
use tokio::time::{Instant, sleep};

use super::{GivenUp, Tries, Uploader};
use crate::backoff::{self, Backoff};
use crate::record::backlog::{Job, Source};
use crate::record::service::{RecordingApi, ServiceError};

/// The service is asked for the time no more often than this, and our own clock looked at.
const ASK_TIME: Duration = Duration::from_secs(30);
const LOOK_AT_CLOCK: Duration = Duration::from_secs(5);
/// A shelf that does not give a segment is left alone for so long.
const LEAVE_SHELF: Duration = Duration::from_secs(30);
/// After so many segments refused one after the other, it is the service and not the segments.
const REFUSALS: u32 = 3;
/// Delays are never shorter than this, however short the segments.
const BREATH: Duration = Duration::from_millis(50);

impl<R: RecordingApi> Uploader<R> {
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
                self.fails(&ServiceError::Busy("neither we nor the service know the date".into()))?;
            }
            sleep(LOOK_AT_CLOCK).await;
        }
    }

    /// The service has said "not now".
    pub(super) async fn declined(&mut self, job: &Job) -> Result<(), GivenUp> {
        self.backlog.decline();
        let wanted = self.backlog.begun() || job.source == Source::SpoolSession;
        if self.backlog.closed().is_some() && wanted {
            self.fails(&ServiceError::Busy("the service takes no segments at the moment".into()))?;
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
    pub(super) fn fails(&mut self, fault: &ServiceError) -> Result<(), GivenUp> {
        let now = Instant::now();
        self.behind = true;
        if self.failing.is_none() {
            log::log!(self.options.level, "{}: uploads fail: {fault}", self.backlog.name());
        }
        self.backlog.note(Some(fault.to_string()));
        let since = *self.failing.get_or_insert(now);
        self.endure(since)
    }

    /// The shelf does not give a segment: no fault of the service's.
    pub(super) fn shelf_fails(&mut self, error: &str) -> Result<(), GivenUp> {
        if self.unreadable.is_none() {
            log::warn!("{}: what is in the spool is not uploaded: {error}", self.backlog.name());
        }
        self.backlog.leave_shelf(LEAVE_SHELF);
        let since = *self.unreadable.get_or_insert_with(Instant::now);
        self.endure(since)
    }

    /// It has given one.
    pub(super) fn shelf_works(&mut self) {
        if self.unreadable.take().is_some() {
            log::info!("{}: what is in the spool is uploaded again", self.backlog.name());
        }
    }

    /// After the end of a recording, what fails is not waited for endlessly.
    fn endure(&self, since: Instant) -> Result<(), GivenUp> {
        let since = self.backlog.closed().map(|closed| closed.max(since));
        match since.is_some_and(|since| since.elapsed() >= self.options.patience) {
            true => Err(GivenUp),
            false => Ok(()),
        }
    }

    /// The service has taken a segment: those it refused before that, it does not want.
    pub(super) fn accepted(&mut self) {
        (self.proven, self.losses) = (true, 0);
        self.refused = Backoff::new(&backoff::CLOUD);
        self.backlog.drop_aside();
    }

    /// The service refuses a segment. Unless it has just taken another, it may be that it refuses
    /// all: then what is on the shelf stays there.
    pub(super) async fn lose(&mut self, job: &Job) {
        let proven = mem::take(&mut self.proven);
        if proven || !self.backlog.set_aside(job) {
            self.backlog.drop_segment(job);
        }
        // Perhaps it was the one before that the service does not know.
        self.save_once().await;
        self.losses += 1;
        if self.losses < REFUSALS {
            return self.rest(job.duration).await;
        }
        self.tries = Tries::default();
        self.backlog.recall_aside();
        sleep(self.refused.next(&mut self.rng).min(self.options.patience)).await;
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
