//! What waits in the spool while nobody records it: sessions of an earlier run, and sessions whose
//! service was away for longer than one waits. Uploaded one after the other, for as long as it
//! takes, and handed to a recording that goes on with the same session.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use ivt_base::told::Told;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};

use super::clock::Anchor;
use super::means::Means;
use super::service::{Service, callback_url};
use super::spool::{Leftover, SessionHead, Spool, SpoolSession};
use super::stock::{Stock, StockOptions};
use super::upload::{UploadOptions, Uploader};
use crate::config;
use crate::shutdown::Stop;

/// Between two tries to open the spool: a card may be put in later. And between two tries at a
/// service that gives no sign of life.
const RETRY: Duration = Duration::from_secs(30);
/// One session keeps the others waiting for no longer than this while its service is away.
const PATIENCE: Duration = Duration::from_secs(30);

/// The sessions that wait. Clones are the same.
#[derive(Clone, Default)]
pub struct Leftovers(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Something was added or put back.
    changed: Notify,
    /// The one that is being uploaded is wanted by a recording.
    wanted: Notify,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Leftover>,
    uploading: Option<SessionHead>,
    /// These are recorded, or what they recorded is being uploaded: nothing beside that.
    busy: Vec<SessionHead>,
}

/// A session that uploads by itself. What it left before, and nobody claimed, waits for its end.
pub struct Busy {
    leftovers: Leftovers,
    head: SessionHead,
}

impl Leftovers {
    /// Uploads it in its turn.
    pub fn add(&self, leftover: Leftover) {
        self.lock().waiting.push_back(leftover);
        self.0.changed.notify_waiters();
    }

    /// From now on the session uploads by itself.
    pub fn busy(&self, head: SessionHead) -> Busy {
        self.lock().busy.push(head.clone());
        Busy { leftovers: self.clone(), head }
    }

    /// What a session of this name left, for the recording that goes on with it.
    pub async fn claim(&self, head: &SessionHead) -> Option<SpoolSession> {
        loop {
            let mut changed = pin!(self.0.changed.notified());
            changed.as_mut().enable();
            {
                let mut state = self.lock();
                let found = state.waiting.iter().position(|leftover| leftover.head == *head);
                if let Some(found) = found {
                    return state.waiting.remove(found).map(|leftover| leftover.spool);
                }
                state.uploading.as_ref().filter(|uploading| *uploading == head)?;
            }
            self.0.wanted.notify_one();
            changed.await;
        }
    }

    /// Uploads what there is and what comes, for ever.
    async fn upload(&self, means: &Means) {
        let mut failures = 0;
        loop {
            let mut changed = pin!(self.0.changed.notified());
            changed.as_mut().enable();
            let (next, others) = {
                let state = &mut *self.lock();
                let free = |leftover: &Leftover| !state.busy.contains(&leftover.head);
                let next = state.waiting.iter().position(free);
                let next = next.and_then(|next| state.waiting.remove(next));
                state.uploading = next.as_ref().map(|leftover| leftover.head.clone());
                (next, state.waiting.len())
            };
            let Some(leftover) = next else {
                changed.await;
                continue;
            };
            // Each failure is told once, not once a minute.
            let level = if failures == 0 { log::Level::Warn } else { log::Level::Debug };
            let empty = tokio::select! {
                empty = upload(leftover.clone(), means, level) => empty,
                () = self.0.wanted.notified() => false,
            };
            {
                let state = &mut *self.lock();
                state.uploading = None;
                if !empty {
                    state.waiting.push_back(leftover);
                }
            }
            self.0.changed.notify_waiters();
            failures = if empty { 0 } else { failures + 1 };
            if failures > others {
                sleep(RETRY).await;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let busy = &mut self.leftovers.lock().busy;
        if let Some(at) = busy.iter().position(|head| *head == self.head) {
            busy.swap_remove(at);
        }
        self.leftovers.0.changed.notify_waiters();
    }
}

/// Opens the spool, however long that takes, shows it in `opened` and uploads what is in it. Sessions
/// that come before go on in memory.
pub async fn run(
    config: config::Spool,
    means: Means,
    opened: watch::Sender<Option<Spool>>,
    mut stop: Stop,
) {
    let work = async {
        let (spool, leftovers) = open(config).await;
        for leftover in leftovers {
            let (channel, session) = (leftover.head.channel, &leftover.head.session_id);
            let segments = leftover.spool.stored().len();
            log::info!("channel {channel}: recording {session:?} left {segments} segments");
            means.leftovers.add(leftover);
        }
        opened.send_replace(Some(spool));
        means.leftovers.upload(&means).await;
    };
    tokio::select! {
        () = work => {}
        () = stop.requested() => {}
    }
}

async fn open(config: config::Spool) -> (Spool, Vec<Leftover>) {
    let mut told = Told::default();
    loop {
        match Spool::open(config.dir.clone(), config.limit).await {
            Ok(opened) => {
                if told.is_over() {
                    log::info!("the spool is open: recordings that begin now use it");
                }
                return opened;
            }
            Err(e) if told.is_news(()) => {
                let cure = e.cure();
                log::warn!("{e}: {cure}; recordings go on in memory alone until the spool opens");
            }
            Err(_) => {}
        }
        sleep(RETRY).await;
    }
}

/// True when nothing is left.
async fn upload(leftover: Leftover, means: &Means, level: log::Level) -> bool {
    let Leftover { head, spool } = leftover;
    let name = format!("channel {}: left recording {:?}", head.channel, head.session_id);
    let Ok(callback) = callback_url(head.cbk_url.expose()) else {
        log::warn!("{name}: its address in the spool makes no sense");
        return true;
    };
    let stock = Stock::new(StockOptions {
        name,
        recorder: None,
        max_segments: 0,
        prerecord: Duration::ZERO,
        spool: means.spool_mode.map(|mode| (spool, mode)),
        share: None,
        anchor: Anchor::new(None, Instant::now(), SystemTime::now),
        stats: watch::Sender::default(),
    });
    let service = Service::new(means.http.clone(), callback.into());
    let options = UploadOptions { patience: PATIENCE, level };
    Uploader::new(stock, service, options, rand::make_rng()).run().await
}

#[cfg(test)]
#[path = "leftovers_tests.rs"]
mod tests;
