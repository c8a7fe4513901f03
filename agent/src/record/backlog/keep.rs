//! What becomes of segments in memory that nobody uploads: the shelf keeps them where there is one.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::Backlog;
use super::queue::Phase;
use crate::record::Segment;
use crate::record::spool::{SegmentHead, SpoolSession};

/// How long others wait for memory while the disk takes what is in it.
const STORING: Duration = Duration::from_secs(10);

impl Backlog {
    /// Stores what waits and is wanted, as far as there is a shelf.
    pub(crate) async fn store(&self) {
        let Some((shelf, _)) = &self.shelf else { return };
        let held: Vec<Segment> = {
            let queue = &self.lock().queue;
            let wanted = queue.phase() != Phase::NotNow;
            queue.waiting().iter().filter(|_| wanted).cloned().collect()
        };
        for segment in held {
            if !shelf.rely(segment.number, segment.duration) {
                // The spool has told the log of its trouble.
                self.put_away(shelf, &segment).await.ok();
            }
        }
    }

    /// Nobody takes what waits: what is not on the shelf is lost, if it was ever wanted.
    pub(crate) fn give_up(self: &Arc<Self>) {
        let mut unwanted = Vec::new();
        self.change(|state| {
            let rest: Vec<u64> = state.queue.waiting().iter().map(|s| s.number).collect();
            let wanted = state.queue.phase() != Phase::NotNow;
            let relied = |number, time| self.shelf().is_some_and(|shelf| shelf.rely(number, time));
            for number in rest {
                let Some(Segment { duration, .. }) = state.queue.remove(number) else { continue };
                if !wanted {
                    unwanted.push(number);
                } else if !relied(number, duration) {
                    state.lose(1, duration);
                }
            }
        });
        unwanted.into_iter().for_each(|number| self.forget(number));
    }

    /// Lets go of memory that others need, when they do and not at the next change here. What the
    /// disk does not take in time is lost.
    pub(super) async fn give_way(backlog: Weak<Self>, mut squeezed: watch::Receiver<u64>) {
        let settle = |patient| {
            if let Some(backlog) = backlog.upgrade() {
                backlog.change(|state| state.queue.give_way(patient));
                backlog.changed.notify_one();
            }
        };
        while squeezed.changed().await.is_ok() {
            settle(true);
            while let Ok(Ok(())) = timeout(STORING, squeezed.changed()).await {
                settle(true);
            }
            settle(false);
        }
    }

    /// Writes a segment to the shelf.
    pub(super) async fn put_away(
        &self,
        shelf: &SpoolSession,
        segment: &Segment,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let date = self.anchor.unix_micros(segment.start);
        let start_micros = date.ok_or("nobody knows the date yet")?;
        let Segment { number, discontinuity, .. } = *segment;
        let head = SegmentHead { number, start_micros, discontinuity };
        shelf.store(head, segment.duration, Arc::clone(&segment.chunks)).await?;
        Ok(())
    }
}
