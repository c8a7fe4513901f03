//! Sessions that wait in the spool while nobody records them: those of an earlier run, and those
//! whose service was away too long. They are uploaded one after the other, however long that takes.
//! A recording that continues such a session takes it over.

use std::collections::VecDeque;
use std::mem;
use std::time::{Duration, SystemTime};

use ivt_base::told::Told;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

#[cfg(feature = "ui")]
use super::book::Book;
use super::clock::Anchor;
use super::service::{Service, callback_url};
use super::spool::{SessionHead, Spool, SpoolSession};
use super::stock::{Stock, StockOptions};
use super::upload::{UploadOptions, Uploader};
use crate::config::{self, Backfill, SpoolMode};
use crate::http::Http;
use crate::shutdown::Stop;

/// Time between two tries to open the spool, since a card may be put in later, and between two
/// tries at a service that gives no sign of life.
const RETRY: Duration = Duration::from_secs(30);
/// How long one session may keep the others waiting while its service is away.
const PATIENCE: Duration = Duration::from_secs(30);

/// The sessions that wait. Clones share the same list.
#[derive(Clone, Default)]
pub struct Leftovers(watch::Sender<State>, #[cfg(feature = "ui")] Book);

/// What is known of the sessions that have something in the spool.
#[derive(Default)]
struct State {
    waiting: VecDeque<SpoolSession>,
    /// The session that is being uploaded, and whether a recording wants to continue it.
    uploading: Option<SessionHead>,
    wanted: bool,
    /// Sessions that record or upload by themselves. What they left before waits.
    busy: Vec<SessionHead>,
}

/// A session that uploads by itself. Anything it left before that nobody claimed waits until this
/// is dropped.
pub struct Busy {
    leftovers: Leftovers,
    head: SessionHead,
}

impl Leftovers {
    /// The book of all recordings.
    #[cfg(feature = "ui")]
    pub(crate) fn book(&self) -> &Book {
        &self.1
    }

    /// Adds a session, which is uploaded in its turn.
    pub fn add(&self, leftover: SpoolSession) {
        self.0.send_modify(|state| state.waiting.push_back(leftover));
    }

    /// Notes that a session uploads by itself from now on.
    pub fn busy(&self, head: SessionHead) -> Busy {
        self.0.send_modify(|state| state.busy.push(head.clone()));
        Busy { leftovers: self.clone(), head }
    }

    /// Takes what a session of this name left, for the recording that continues it.
    pub async fn claim(&self, head: &SessionHead) -> Option<SpoolSession> {
        let mut changes = self.0.subscribe();
        loop {
            let (mut found, mut uploading) = (None, false);
            changes.mark_unchanged();
            self.0.send_if_modified(|state| {
                found = state.take(|waiting| waiting == head);
                uploading = state.uploading.as_ref() == Some(head);
                uploading && !mem::replace(&mut state.wanted, true)
            });
            if found.is_some() || !uploading {
                return found;
            }
            // The sender lives in `self`, so waiting does not fail.
            changes.changed().await.ok();
        }
    }

    /// Uploads the sessions that wait and those that come later, for ever.
    async fn upload(&self, http: &Http, mode: SpoolMode) {
        let (mut failures, mut changes) = (0, self.0.subscribe());
        loop {
            let (mut next, mut others) = (None, 0);
            changes.mark_unchanged();
            self.0.send_if_modified(|state| {
                let busy = mem::take(&mut state.busy);
                next = state.take(|head| !busy.contains(head));
                state.busy = busy;
                state.uploading = next.as_ref().map(|leftover| leftover.head());
                (state.wanted, others) = (false, state.waiting.len());
                false
            });
            let Some(leftover) = next else {
                changes.changed().await.ok();
                continue;
            };
            // The log is told of each failure once, and not once a minute.
            let level = if failures == 0 { log::Level::Warn } else { log::Level::Debug };
            let empty = tokio::select! {
                empty = self.upload_one(leftover.clone(), http, mode, level) => empty,
                _ = changes.wait_for(|state| state.wanted) => false,
            };
            self.0.send_modify(|state| {
                state.uploading = None;
                state.waiting.extend((!empty).then_some(leftover));
            });
            failures = if empty { 0 } else { failures + 1 };
            if failures > others {
                sleep(RETRY).await;
            }
        }
    }

    /// Uploads a session. True if nothing of it is left in the spool.
    async fn upload_one(
        &self,
        spool: SpoolSession,
        http: &Http,
        mode: SpoolMode,
        level: log::Level,
    ) -> bool {
        let head = spool.head();
        #[cfg(feature = "ui")]
        let channel = usize::try_from(head.channel).unwrap_or(usize::MAX);
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
            backfill: Backfill::Before,
            spool: Some((spool, mode)),
            share: None,
            anchor: Anchor::new(None, Instant::now(), SystemTime::now),
            stats: watch::Sender::default(),
        });
        #[cfg(feature = "ui")]
        let stock = stock.noting(self.book(), channel, &head.session_id);
        let service = Service::new(http.clone(), callback.into());
        let options = UploadOptions { patience: PATIENCE, card: None, level };
        Uploader::new(stock, service, options, rand::make_rng()).run().await
    }
}

impl State {
    /// Takes the first waiting session for which `is` holds.
    fn take(&mut self, is: impl Fn(&SessionHead) -> bool) -> Option<SpoolSession> {
        let found = self.waiting.iter().position(|leftover| is(&leftover.head()))?;
        self.waiting.remove(found)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.leftovers.0.send_modify(|state| {
            if let Some(at) = state.busy.iter().position(|head| *head == self.head) {
                state.busy.swap_remove(at);
            }
        });
    }
}

/// Opens the spool, however long that takes, shows it in `opened` and uploads what is in it.
/// Sessions that begin before it is open go on in memory.
pub async fn run(
    config: config::Spool,
    leftovers: Leftovers,
    http: Http,
    opened: watch::Sender<Option<Spool>>,
    mut stop: Stop,
) {
    let work = async {
        let mode = config.mode;
        let (spool, left) = open(config, &leftovers).await;
        for leftover in left {
            #[cfg(feature = "ui")]
            leftovers.book().note_stored(&leftover);
            let SessionHead { channel, session_id: session, .. } = leftover.head();
            let segments = leftover.stored().len();
            log::info!("channel {channel}: recording {session:?} left {segments} segments");
            leftovers.add(leftover);
        }
        opened.send_replace(Some(spool));
        leftovers.upload(&http, mode).await;
    };
    tokio::select! {
        () = work => {}
        () = stop.requested() => {}
    }
}

#[cfg_attr(not(feature = "ui"), expect(unused_variables, reason = "only the page is told"))]
async fn open(config: config::Spool, leftovers: &Leftovers) -> (Spool, Vec<SpoolSession>) {
    let mut told = Told::default();
    loop {
        let opened = Spool::open(config.dir.clone(), config.limit).await;
        #[cfg(feature = "ui")]
        leftovers.book().note_trouble(opened.as_ref().err().map(|e| format!("{e}: {}", e.cure())));
        match opened {
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

#[cfg(test)]
#[path = "leftovers_tests.rs"]
mod tests;
