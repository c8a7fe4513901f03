//! Uploads what a session recorded, one transfer at a time.

#[cfg(test)]
mod fake;
mod patience;
mod pending;
mod tries;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::time::{Instant, timeout};

use super::backlog::{Backlog, Job, Source};
use super::pace::{Pace, paced};
use super::service::{Announcement, Body, Fault, Remote, Target};
use super::spool::SpoolError;
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
/// What the last confirmation may take when the agent ends.
const PARTING: Duration = Duration::from_secs(3);

/// How patient an upload is.
#[derive(Clone, Copy, Debug)]
pub struct UploadOptions {
    /// So long after the end of a recording, a service that always fails is given up.
    pub patience: Duration,
}

impl Default for UploadOptions {
    fn default() -> Self {
        Self { patience: Duration::from_secs(600) }
    }
}

/// Uploads what `backlog` gets until it is closed and all is uploaded or given up.
pub async fn run(backlog: &Arc<Backlog>, remote: impl Remote, options: UploadOptions, rng: StdRng) {
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
        asked_time: None,
        takes_stat: true,
    };
    let ended = uploader.drain().await;
    if ended.is_err() {
        log::warn!("{}: the service is given up", backlog.name());
    }
    backlog.give_up().await;
    backlog.log_drops();
    if let Some(shelf) = backlog.shelf() {
        // What is left on it is for the next start of the agent.
        shelf.close().await.ok();
    }
}

/// The agent ends, and no `run` uses this backlog any more: confirms what is uploaded, and stores
/// what waits as far as there is a spool.
pub async fn leave(backlog: &Arc<Backlog>, remote: &impl Remote) {
    if let Some(name) = backlog.unconfirmed()
        && let Ok(Ok(())) = timeout(PARTING, remote.save(&name)).await
    {
        backlog.confirm().await;
        forget_pending(backlog).await;
    }
    let lost = backlog.store().await;
    if lost > 0 {
        log::warn!("{}: {lost} segments are lost with the end of the agent", backlog.name());
    }
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
    asked_time: Option<Instant>,
    takes_stat: bool,
}

/// The service has failed for longer than one waits.
struct GivenUp;

/// How an attempt ended.
enum Outcome {
    Uploaded,
    NotNow,
    /// It has had to make room, or is gone from the disk.
    Gone,
    Failed(Step, Fault),
    /// The disk does not give it.
    Unreadable(Fault),
}

impl<R: Remote> Uploader<R> {
    async fn drain(&mut self) -> Result<(), GivenUp> {
        self.repeat_pending().await?;
        while let Some(job) = self.next().await {
            if self.tries.is_new(job.number) && job.alone && !self.behind {
                let delay = job.duration.mul_f64(self.rng.random_range(0.0..=SPREAD));
                self.backlog.crowded(delay).await;
            }
            let start = self.date(&job).await?;
            match self.attempt(&job, start).await {
                Outcome::Uploaded => {
                    self.works();
                    self.previous = Some((job.number, job.source));
                    self.report_drops().await;
                }
                Outcome::Gone => {}
                Outcome::NotNow => self.declined(&job).await?,
                Outcome::Failed(step, fault) => {
                    let verdict = self.tries.judge(step, &fault);
                    self.fails(&fault)?;
                    match verdict {
                        Verdict::Afresh => {}
                        Verdict::Later => self.rest(job.duration).await,
                        Verdict::Lose => {
                            self.backlog.drop_segment(&job).await;
                            // Perhaps it was the one before that the service does not know.
                            self.save().await?;
                        }
                    }
                }
                Outcome::Unreadable(fault) => {
                    self.fails(&fault)?;
                    self.backlog.pass();
                    self.rest(job.duration).await;
                }
            }
        }
        self.save().await?;
        self.report_drops().await;
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

    async fn attempt(&mut self, job: &Job, start: i64) -> Outcome {
        let begun = Instant::now();
        let memory = match job.source {
            Source::Shelf => None,
            Source::Memory => match self.backlog.take(job.number) {
                None => return Outcome::Gone,
                chunks => chunks,
            },
        };
        let outcome = match self.create(job, start).await {
            Ok(Some(target)) => self.send(job, memory, target, begun).await,
            Ok(None) => return Outcome::NotNow,
            Err(fault) => Outcome::Failed(Step::Create, fault),
        };
        self.backlog.release();
        outcome
    }

    async fn create(&self, job: &Job, start: i64) -> Result<Option<Target>, Fault> {
        let follows = |(number, source)| source == job.source && number + 1 == job.number;
        let announcement = Announcement {
            size: job.bytes,
            start,
            duration: job.duration,
            last_file_name: self.backlog.unconfirmed(),
            discontinue: job.discontinuity || self.previous.is_some_and(|p| !follows(p)),
        };
        let target = self.remote.create(&announcement).await?;
        if target.is_some() {
            self.backlog.begin();
            self.backlog.confirm().await;
        }
        Ok(target)
    }

    async fn send(
        &self,
        job: &Job,
        memory: Option<Arc<[Bytes]>>,
        target: Target,
        begun: Instant,
    ) -> Outcome {
        let spooled = self.note_pending(job, &target).await;
        let mut outcome = self.put(job, memory.clone(), &target.uri, false, begun).await;
        if let Outcome::Failed(_, Fault::Transport(_) | Fault::Busy(_)) = outcome {
            // Object stores fail good uploads now and then.
            outcome = self.put(job, memory, &target.uri, true, Instant::now()).await;
        }
        match outcome {
            Outcome::Uploaded => {
                self.backlog.uploaded(job.number, job.source, target.name);
            }
            _ => {
                // The service finds out in time when it does not hear of it.
                self.remote.fail(&target.name).await.ok();
                if spooled {
                    forget_pending(&self.backlog).await;
                }
            }
        }
        outcome
    }

    async fn put(
        &self,
        job: &Job,
        memory: Option<Arc<[Bytes]>>,
        uri: &str,
        fresh: bool,
        begun: Instant,
    ) -> Outcome {
        let broken = Arc::new(AtomicBool::new(false));
        let chunks = match memory {
            Some(chunks) => in_memory(chunks),
            None => match self.stored(job.number, &broken).await {
                Ok(chunks) => chunks,
                Err(outcome) => return outcome,
            },
        };
        let (backlog, source, behind) = (Arc::clone(&self.backlog), job.source, self.behind);
        let share = move || match source {
            Source::Shelf => BACKFILL,
            Source::Memory if behind || backlog.waiting() > 1 => HASTE,
            Source::Memory => CALM,
        };
        let pace = Pace::new(job.duration, job.bytes, begun);
        let body = Body { length: job.bytes, chunks: paced(chunks, pace, share).boxed() };
        let deadline = job.duration.saturating_mul(3).saturating_add(UPLOAD_AT_LEAST);
        match self.remote.put(uri, body, fresh, deadline).await {
            Ok(()) => Outcome::Uploaded,
            Err(_) if broken.load(Ordering::Relaxed) => {
                Outcome::Unreadable(Fault::Transport("the spool does not give a segment".into()))
            }
            Err(fault) => Outcome::Failed(Step::Put, fault),
        }
    }

    /// A stored segment, read while it is sent. `broken` is set when it ends early.
    async fn stored(
        &self,
        number: u64,
        broken: &Arc<AtomicBool>,
    ) -> Result<BoxStream<'static, Bytes>, Outcome> {
        let unreadable = |e: SpoolError| Outcome::Unreadable(Fault::Transport(e.to_string()));
        let shelf = self.backlog.shelf().ok_or(Outcome::Gone)?;
        let reader = shelf.reader(number).await.map_err(unreadable)?;
        let broken = Arc::clone(broken);
        Ok(stream::unfold((reader, broken), |(mut reader, broken)| async {
            match reader.chunk().await {
                Ok(chunk) => chunk.map(|chunk| (chunk, (reader, broken))),
                Err(_) => {
                    broken.store(true, Ordering::Relaxed);
                    None
                }
            }
        })
        .boxed())
    }

    /// Confirms the last one.
    async fn save(&mut self) -> Result<(), GivenUp> {
        let Some(name) = self.backlog.unconfirmed() else { return Ok(()) };
        loop {
            match self.remote.save(&name).await {
                Ok(()) => break self.works(),
                Err(fault @ (Fault::Transport(_) | Fault::Busy(_))) => {
                    self.fails(&fault)?;
                    self.rest(self.options.patience).await;
                }
                Err(fault) => {
                    let session = self.backlog.name();
                    log::warn!("{session}: the last segment is not confirmed: {fault}");
                    break;
                }
            }
        }
        self.backlog.confirm().await;
        forget_pending(&self.backlog).await;
        Ok(())
    }

    async fn report_drops(&mut self) {
        let dropped = self.backlog.unreported();
        if dropped.number == 0 || !self.takes_stat {
            return;
        }
        match self.remote.stat(dropped.number, dropped.time).await {
            Ok(()) => self.backlog.reported(dropped),
            Err(Fault::Expired(_) | Fault::Refused(_)) => self.takes_stat = false,
            Err(Fault::Transport(_) | Fault::Busy(_)) => {}
        }
    }
}

fn in_memory(chunks: Arc<[Bytes]>) -> BoxStream<'static, Bytes> {
    let count = chunks.len();
    stream::iter((0..count).map(move |i| chunks[i].clone())).boxed()
}

#[cfg(test)]
#[path = "upload/tests.rs"]
mod tests;

#[cfg(test)]
mod spool_tests;

#[cfg(test)]
mod wire_tests;
