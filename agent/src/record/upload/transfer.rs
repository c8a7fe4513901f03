//! One upload: its address, its bytes, its pace.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use tokio::time::Instant;

use super::pending::forget_pending;
use super::tries::Step;
use super::{BACKFILL, CALM, HASTE, Outcome, UPLOAD_AT_LEAST, Uploader};
use crate::record::backlog::{Job, Source};
use crate::record::pace::{Pace, paced};
use crate::record::service::{Announcement, Body, RecordingApi, ServiceError, Target};
use crate::record::spool::SpoolError;

type Memory = Option<Arc<[Bytes]>>;

/// A segment's bytes.
pub(super) struct Content {
    chunks: BoxStream<'static, Bytes>,
    /// They end early, for the disk does not give them.
    broken: Arc<AtomicBool>,
}

impl<R: RecordingApi> Uploader<R> {
    pub(super) async fn attempt(&self, job: &Job, start: i64) -> Outcome {
        let outcome = match self.transfer(job, start).await {
            Ok(name) => return Outcome::Uploaded(name),
            Err(Outcome::NotNow) => return Outcome::NotNow,
            Err(outcome) => outcome,
        };
        self.backlog.release();
        outcome
    }

    /// Returns the service's name of it.
    async fn transfer(&self, job: &Job, start: i64) -> Result<String, Outcome> {
        let begun = Instant::now();
        let memory = match job.source {
            Source::SpoolSession => None,
            Source::Memory => Some(self.backlog.take(job.number).ok_or(Outcome::Gone)?),
        };
        // Before the service is asked: it cannot help what ails the disk.
        let content = self.content(job, memory.clone()).await?;
        let Target { name, uri } = self.create(job, start).await?;
        let spooled = self.note_pending(job, &name, &uri).await;
        let mut sent = self.put(job, content, &uri, false, begun).await;
        if let Err(Outcome::Failed(_, ServiceError::Transport(_) | ServiceError::Busy(_))) = sent {
            // Object stores fail good uploads now and then.
            sent = match self.content(job, memory).await {
                Ok(content) => self.put(job, content, &uri, true, Instant::now()).await,
                Err(outcome) => Err(outcome),
            };
        }
        if sent.is_err() {
            // The service finds out in time when it does not hear of it.
            self.remote.fail(&name).await.ok();
            if spooled {
                forget_pending(&self.backlog).await;
            }
        }
        sent.map(|()| name)
    }

    async fn create(&self, job: &Job, start: i64) -> Result<Target, Outcome> {
        let follows = match self.previous {
            // What the service had from an earlier run of ours is not continued.
            None => false,
            Some((number, source)) => source == job.source && number + 1 == job.number,
        };
        let announcement = Announcement {
            size: job.bytes,
            start,
            duration: job.duration,
            last_file_name: self.backlog.unconfirmed(),
            discontinue: job.discontinuity || !follows,
        };
        let target = self.remote.create(&announcement).await;
        let target = target.map_err(|fault| Outcome::Failed(Step::Create, fault))?;
        let target = target.ok_or(Outcome::NotNow)?;
        self.backlog.begin();
        self.backlog.confirm();
        Ok(target)
    }

    /// A segment from memory, or from the shelf, where it is read while it is sent.
    pub(super) async fn content(&self, job: &Job, memory: Memory) -> Result<Content, Outcome> {
        let broken = Arc::new(AtomicBool::new(false));
        if let Some(chunks) = memory {
            let count = chunks.len();
            let chunks = stream::iter((0..count).map(move |i| chunks[i].clone())).boxed();
            return Ok(Content { chunks, broken });
        }
        let shelf = self.backlog.shelf().ok_or(Outcome::Gone)?;
        let reader = shelf.reader(job.number).await.map_err(|e| match e {
            // The shelf lists it no more, or what can be read of it.
            SpoolError::Missing(_) | SpoolError::Damaged(_) => Outcome::Gone,
            e => Outcome::Unreadable(e.to_string()),
        })?;
        let state = (reader, Arc::clone(&broken));
        let chunks = stream::unfold(state, |(mut reader, broken)| async {
            match reader.chunk().await {
                Ok(chunk) => chunk.map(|chunk| (chunk, (reader, broken))),
                Err(_) => {
                    broken.store(true, Ordering::Relaxed);
                    None
                }
            }
        });
        Ok(Content { chunks: chunks.boxed(), broken })
    }

    pub(super) async fn put(
        &self,
        job: &Job,
        Content { chunks, broken }: Content,
        uri: &str,
        fresh: bool,
        begun: Instant,
    ) -> Result<(), Outcome> {
        let (backlog, source, behind) = (Arc::clone(&self.backlog), job.source, self.behind);
        let share = move || match source {
            Source::SpoolSession => BACKFILL,
            Source::Memory if behind || backlog.waiting() > 1 => HASTE,
            Source::Memory => CALM,
        };
        let pace = Pace::new(job.duration, job.bytes, begun);
        let body = Body { length: job.bytes, chunks: paced(chunks, pace, share).boxed() };
        let deadline = job.duration.saturating_mul(3).saturating_add(UPLOAD_AT_LEAST);
        self.remote.put(uri, body, fresh, deadline).await.map_err(|fault| {
            match broken.load(Ordering::Relaxed) {
                true => Outcome::Unreadable("it does not give a segment to the end".into()),
                false => Outcome::Failed(Step::Put, fault),
            }
        })
    }
}
