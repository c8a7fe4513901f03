//! Uploads of stored segments that a crash may interrupt: noted before, repeated after.

use std::mem;

use tokio::time::Instant;

use super::{GivenUp, Outcome, Uploader};
use crate::record::backlog::{Backlog, Job};
use crate::record::service::{RecordingApi, ServiceError};
use crate::record::spool::Pending;

/// A store that answers, but not for now, is asked again so often, and a service that cannot take a name back.
const BUSY: u32 = 20;
/// Silent attempts after which an address is given up, the last of them after the service had answered.
const SILENT: u32 = 2;

impl<R: RecordingApi> Uploader<R> {
    /// What a crash left half-way is sent to the same address again: should it have arrived, it is
    /// not there twice. An address that is no good is given up soon, for others wait behind it; but
    /// only a service that answers tells it from a network that is down, as it is after a power cut.
    pub(super) async fn repeat_pending(&mut self) -> Result<(), GivenUp> {
        let Some(shelf) = self.backlog.shelf() else { return Ok(()) };
        let Some(Pending { number, name, uri }) = shelf.pending() else { return Ok(()) };
        let stored = shelf.stored().into_iter().find(|stored| stored.head.number == number);
        let Some(job) = stored.map(|stored| Job::stored(&stored)) else {
            // It was removed, so it was confirmed; saying so once more does no harm.
            self.backlog.adopt(number, name);
            return Ok(());
        };
        let (mut silent, mut busy, mut unheard) = (0, 0, 0);
        // The service has answered since the address was last found silent.
        let mut heard = false;
        loop {
            let sent = match self.content(&job, None).await {
                Ok(content) => self.put(&job, content, &uri, false, Instant::now()).await,
                Err(outcome) => Err(outcome),
            };
            match sent {
                Ok(()) => {
                    self.uploaded(&job, name);
                    return Ok(());
                }
                Err(Outcome::Failed(_, fault @ ServiceError::Transport(_))) => {
                    self.fails(&fault)?;
                    silent += 1;
                    if silent < SILENT || !mem::take(&mut heard) {
                        let asked = self.remote.current_time().await;
                        heard = !matches!(
                            asked,
                            Err(ServiceError::Transport(_) | ServiceError::Busy(_))
                        );
                        self.rest(job.duration).await;
                        continue;
                    }
                }
                Err(Outcome::Failed(_, fault @ ServiceError::Busy(_))) => {
                    self.fails(&fault)?;
                    busy += 1;
                    if busy < BUSY {
                        self.rest(job.duration).await;
                        continue;
                    }
                }
                Err(_) => {}
            }
            match self.remote.fail(&name).await {
                Ok(()) | Err(ServiceError::Expired(_) | ServiceError::Refused(_)) => break,
                Err(ServiceError::Busy(_)) if unheard == BUSY => break,
                Err(fault) => {
                    unheard += u32::from(matches!(fault, ServiceError::Busy(_)));
                    self.fails(&fault)?;
                    self.rest(job.duration).await;
                }
            }
        }
        forget_pending(&self.backlog).await;
        Ok(())
    }

    /// Notes on the shelf what is sent, if a crash might leave anything of it there.
    pub(super) async fn note_pending(&self, job: &Job, name: &str, uri: &str) -> bool {
        let Some(shelf) = self.backlog.shelf() else { return false };
        let spooled = shelf.holds(job.number);
        let (number, name, uri) = (job.number, name.to_owned(), uri.to_owned());
        let pending = spooled.then_some(Pending { number, name, uri });
        if pending.is_some() || shelf.pending().is_some() {
            // Without the note it may be uploaded twice after a crash: better than not at all.
            shelf.set_pending(pending).await.ok();
        }
        spooled
    }
}

/// No upload is in flight, and none waits for its confirmation.
pub(super) async fn forget_pending(backlog: &Backlog) {
    if let Some(shelf) = backlog.shelf().filter(|shelf| shelf.pending().is_some()) {
        // At worst it is uploaded to the same address once more.
        shelf.set_pending(None).await.ok();
    }
}
