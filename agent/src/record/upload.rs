//! Uploads what a session recorded, one transfer at a time.

#[cfg(test)]
mod card;
#[cfg(test)]
mod fake;
mod patience;
mod pending;
mod transfer;
mod tries;

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::time::{Instant, timeout_at};

use super::backlog::{Backlog, Job, Source};
use super::service::{RecordingApi, ServiceError};
use crate::backoff::{self, Backoff};
use pending::forget_pending;
use tries::{Step, Tries, Verdict};

/// Shares of a segment's duration that its upload takes: of the only one that waits, of one while
/// more wait or have not long been sent, and of one from the spool.
const CALM: f64 = 0.8;
const HASTE: f64 = 0.5;
const BACKFILL: f64 = 0.4;
/// Share of the duration by which a start may be delayed.
const SPREAD: f64 = 0.2;
/// An upload may take this and three times the duration.
const UPLOAD_AT_LEAST: Duration = Duration::from_secs(60);
/// What service and disk may take together when the agent ends.
const PARTING: Duration = Duration::from_secs(2);
/// What a disk that works may take beyond that to delete what is confirmed.
const CLOSING: Duration = Duration::from_millis(250);

/// How patient an upload is.
#[derive(Clone, Copy, Debug)]
pub struct UploadOptions {
    /// So long after the end of a recording, a service that always fails is given up.
    pub patience: Duration,
    /// How loud the log is about failures: somebody may know of them already.
    pub level: log::Level,
}

impl Default for UploadOptions {
    fn default() -> Self {
        Self { patience: Duration::from_secs(600), level: log::Level::Warn }
    }
}

/// Uploads what `backlog` gets until it is closed and all is uploaded or given up. True when its
/// shelf is empty then; what is left there is for another run with the same shelf.
pub async fn run(
    backlog: &Arc<Backlog>,
    remote: impl RecordingApi,
    options: UploadOptions,
    rng: StdRng,
) -> bool {
    let mut uploader = Uploader {
        backlog: Arc::clone(backlog),
        remote,
        options,
        rng,
        backoff: Backoff::new(&backoff::UPLOAD),
        tries: Tries::default(),
        behind: false,
        previous: None,
        failing: None,
        unreadable: None,
        proven: false,
        losses: 0,
        refused: Backoff::new(&backoff::CLOUD),
        asked_time: None,
    };
    let ended = uploader.drain().await;
    if ended.is_err() {
        log::warn!("{}: uploads are given up", backlog.name());
        uploader.save_once().await;
    }
    backlog.store().await;
    backlog.give_up();
    timeout_at(Instant::now() + PARTING, report_drops(backlog, &uploader.remote)).await.ok();
    backlog.log_drops();
    let Some(shelf) = backlog.shelf() else { return true };
    shelf.close().await.ok();
    shelf.stored().is_empty() && shelf.pending().is_none()
}

/// The agent ends, and no `run` uses this backlog any more: stores what waits as far as there is a
/// spool, and confirms what is uploaded; neither has to wait for the other. What is lost is told,
/// as far as there is time.
pub async fn leave(backlog: &Arc<Backlog>, remote: &impl RecordingApi) {
    let end = Instant::now() + PARTING;
    let confirm = async {
        if let Some(name) = backlog.unconfirmed()
            && remote.save(&name).await.is_ok()
        {
            backlog.confirm();
            forget_pending(backlog).await;
        }
    };
    let _ = tokio::join!(timeout_at(end, confirm), timeout_at(end, backlog.store()));
    backlog.give_up();
    let close = async {
        if let Some(shelf) = backlog.shelf() {
            // What is to be removed is, when this returns.
            timeout_at(end + CLOSING, shelf.close()).await.ok();
        }
    };
    let _ = tokio::join!(timeout_at(end, report_drops(backlog, remote)), close);
    backlog.log_drops();
}

struct Uploader<R> {
    backlog: Arc<Backlog>,
    remote: R,
    options: UploadOptions,
    rng: StdRng,
    backoff: Backoff,
    tries: Tries,
    /// More waited than the one that was just recorded, and some of it still does.
    behind: bool,
    /// Uploaded last.
    previous: Option<(u64, Source)>,
    /// Since when nothing succeeds.
    failing: Option<Instant>,
    /// The same of the shelf.
    unreadable: Option<Instant>,
    /// The service took the last segment it was asked about.
    proven: bool,
    /// Refused one after the other, and how long the service is left alone then.
    losses: u32,
    refused: Backoff,
    asked_time: Option<Instant>,
}

/// The service or the shelf has failed for longer than one waits.
struct GivenUp;

/// How an attempt ended.
enum Outcome {
    /// Under this name.
    Uploaded(String),
    NotNow,
    /// It has had to make room, or is gone from the disk.
    Gone,
    Failed(Step, ServiceError),
    /// The disk does not give it.
    Unreadable(String),
}

impl<R: RecordingApi> Uploader<R> {
    async fn drain(&mut self) -> Result<(), GivenUp> {
        self.repeat_pending().await?;
        while let Some(job) = self.next().await {
            if self.tries.is_new(job.number) && job.alone && !self.behind {
                let delay = job.duration.mul_f64(self.rng.random_range(0.0..=SPREAD));
                self.backlog.crowded(delay).await;
            }
            let start = self.date(&job).await?;
            match self.attempt(&job, start).await {
                Outcome::Uploaded(name) => {
                    self.uploaded(&job, name);
                    report_drops(&self.backlog, &self.remote).await;
                }
                Outcome::Gone => {}
                Outcome::NotNow => self.declined(&job).await?,
                Outcome::Failed(step, fault) => {
                    let verdict = self.tries.judge(step, &fault);
                    self.fails(&fault)?;
                    match verdict {
                        Verdict::Afresh => {}
                        Verdict::Later => self.rest(job.duration).await,
                        Verdict::Lose => self.lose(&job).await,
                    }
                }
                Outcome::Unreadable(error) => self.shelf_fails(&error)?,
            }
        }
        self.save().await?;
        report_drops(&self.backlog, &self.remote).await;
        Ok(())
    }

    async fn next(&mut self) -> Option<Job> {
        match self.backlog.waiting() {
            0 => self.behind = false,
            1 => {}
            _ => self.behind = true,
        }
        self.backlog.next().await
    }

    fn uploaded(&mut self, job: &Job, name: String) {
        self.backlog.uploaded(job.number, job.source, name);
        self.previous = Some((job.number, job.source));
        self.works();
        if job.source == Source::SpoolSession {
            self.shelf_works();
        }
        self.accepted();
    }

    /// Confirms the last one.
    async fn save(&mut self) -> Result<(), GivenUp> {
        while let Some(fault) = self.save_once().await {
            self.fails(&fault)?;
            self.rest(self.options.patience).await;
        }
        Ok(())
    }

    /// The same, when the service can at this moment; otherwise returns why not.
    async fn save_once(&mut self) -> Option<ServiceError> {
        let name = self.backlog.unconfirmed()?;
        match self.remote.save(&name).await {
            Ok(()) => self.works(),
            Err(fault @ (ServiceError::Transport(_) | ServiceError::Busy(_))) => {
                return Some(fault);
            }
            Err(fault) => {
                let session = self.backlog.name();
                log::warn!("{session}: the last segment is not confirmed: {fault}");
            }
        }
        self.backlog.confirm();
        forget_pending(&self.backlog).await;
        None
    }
}

/// Tells the service what it has not been told of. Where its answer is lost, it is told again: better
/// twice than never. A service that does not want to know is not asked again.
async fn report_drops(backlog: &Backlog, remote: &impl RecordingApi) {
    let dropped = backlog.unreported();
    if dropped.number == 0 {
        return;
    }
    match remote.stat(dropped.number, dropped.time).await {
        Ok(()) => backlog.reported(dropped),
        Err(ServiceError::Expired(_) | ServiceError::Refused(_)) => backlog.keep_drops(),
        Err(ServiceError::Transport(_) | ServiceError::Busy(_)) => {}
    }
}

#[cfg(test)]
#[path = "upload/tests.rs"]
mod tests;

#[cfg(test)]
mod fault_tests;

#[cfg(test)]
mod herd_tests;

#[cfg(test)]
mod spool_tests;

#[cfg(test)]
mod squeeze_tests;

#[cfg(test)]
mod wire_tests;
