//! A line at work: its decisions, and whether anything goes over it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use super::book::{Book, Counters};
use super::conditions::{Conditions, Connect};
use super::journal::Journal;
use super::options::Transport;
use super::outage::Cut;
use super::plan::{Direction, Piece, Place, Plan, Step};

/// A line at work.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) name: String,
    /// Number of the line among the others.
    number: usize,
    began: Instant,
    plan: Mutex<Plan>,
    /// How the line is cut by hand.
    by_hand: Mutex<Option<Cut>>,
    weather: watch::Sender<Weather>,
    changed: Notify,
    journal: Option<Arc<Journal>>,
    book: Arc<Book>,
}

/// What a connection has to know of its line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Weather {
    pub(super) cut: Option<Cut>,
    /// When the line was healed last.
    pub(super) healed: Duration,
    /// Number of times that all connections were reset.
    pub(super) resets: u64,
    /// Number of times that all connections were forgotten.
    pub(super) forgotten: u64,
    /// What becomes of new connections.
    pub(super) connect: Connect,
    /// Time after which TCP sends again.
    pub(super) retry: Duration,
}

/// A way over a line.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) name: String,
    /// Number of the link among those of its line.
    pub(super) number: usize,
    pub(super) line: Arc<Line>,
    pub(super) transport: Transport,
    pub(super) upstream: String,
    pub(super) addr: std::net::SocketAddr,
    /// Most bytes that are held for each connection and direction.
    pub(super) buffer: usize,
    counters: Mutex<Counters>,
}

/// A line as it is now.
#[derive(Clone, Debug, Serialize)]
pub struct LineStatus {
    /// Its name.
    pub name: String,
    /// What it does.
    pub conditions: Conditions,
    /// How it is cut, by hand or by an outage.
    pub cut: Option<Cut>,
    /// Whether it is cut by hand, and stays so until it is healed.
    pub by_hand: bool,
    /// The ways over it.
    pub links: Vec<LinkStatus>,
}

/// A link as it is now.
#[derive(Clone, Debug, Serialize)]
pub struct LinkStatus {
    /// Its name.
    pub name: String,
    /// What goes over it.
    pub transport: Transport,
    /// Where it listens.
    pub listen: std::net::SocketAddr,
    /// Whom it calls.
    pub upstream: String,
    /// What went over it.
    pub counters: Counters,
}

impl Line {
    pub(super) fn new(
        name: &str,
        number: usize,
        plan: Plan,
        journal: Option<Arc<Journal>>,
        book: Arc<Book>,
    ) -> Self {
        let line = Self {
            name: name.to_owned(),
            number,
            began: Instant::now(),
            plan: Mutex::new(plan),
            by_hand: Mutex::default(),
            weather: watch::Sender::default(),
            changed: Notify::new(),
            journal,
            book,
        };
        line.refresh();
        line
    }

    /// Time since the line began.
    pub(super) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// The moment at this time since the line began.
    pub(super) fn instant(&self, time: Duration) -> Instant {
        self.began + time
    }

    /// Decides what becomes of what happens now.
    pub(super) fn step(&self, step: &Step) -> Vec<Piece> {
        let mut plan = self.plan();
        // Read behind the lock, so that steps are written in the order of their times.
        let now = self.now();
        let pieces = plan.step(now, step);
        if let Some(journal) = &self.journal {
            journal.write(self.number, now, step, &pieces);
        }
        pieces
    }

    /// From when on there is room for more bytes, and how many should be taken at a time.
    pub(super) fn room(&self, direction: Direction) -> (Duration, u64) {
        self.plan().room(direction)
    }

    pub(super) fn weather(&self) -> watch::Receiver<Weather> {
        self.weather.subscribe()
    }

    pub(super) fn conditions(&self) -> Conditions {
        self.plan().conditions().clone()
    }

    /// Changes the conditions.
    pub(super) fn set(&self, conditions: Conditions) {
        self.step(&Step::Set(conditions));
        self.refresh();
        // A change of the rate concerns connections that wait for their turn.
        self.weather.send_modify(|_| {});
        self.changed.notify_one();
    }

    /// Cuts the line by hand, or heals it.
    pub(super) fn cut(&self, cut: Option<Cut>) {
        *self.by_hand.lock().unwrap_or_else(PoisonError::into_inner) = cut;
        self.refresh();
        self.changed.notify_one();
    }

    /// Resets all connections of now.
    pub(super) fn reset(&self) {
        self.note(None, None, "all connections are reset".to_owned());
        self.weather.send_modify(|weather| weather.resets += 1);
    }

    /// How the line is cut, and whether by hand.
    pub(super) fn is_cut(&self) -> (Option<Cut>, bool) {
        let by_hand = self.by_hand.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        (self.weather.borrow().cut, by_hand)
    }

    pub(super) fn note(&self, link: Option<&str>, connection: Option<u64>, what: String) {
        self.book.note(self.now(), &self.name, link, connection, what);
    }

    /// Follows the outages for ever.
    pub(super) async fn follow(&self) {
        loop {
            let next = self.refresh();
            let change = async {
                match next {
                    Some(next) => sleep_until(self.instant(next)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = change => {}
                () = self.changed.notified() => {}
            }
        }
    }

    /// Tells connections how the line is now. Returns when that may change by itself.
    fn refresh(&self) -> Option<Duration> {
        let now = self.now();
        let (outage, next, connect, retry) = {
            let plan = self.plan();
            let (outage, next) = plan.outage(now);
            (outage, next, plan.conditions().connect, plan.conditions().retry())
        };
        let by_hand = *self.by_hand.lock().unwrap_or_else(PoisonError::into_inner);
        let cut = by_hand.or(outage);
        let was = self.weather.borrow().cut;
        self.weather.send_if_modified(|weather| {
            let before = *weather;
            (weather.cut, weather.connect, weather.retry) = (cut, connect, retry);
            if cut != before.cut {
                match cut {
                    None => weather.healed = now,
                    Some(Cut::Hold) => {}
                    Some(Cut::Reset) => weather.resets += 1,
                    Some(Cut::HalfOpen) => weather.forgotten += 1,
                }
            }
            *weather != before
        });
        if was != cut {
            let by = if by_hand.is_some() { "by hand" } else { "by an outage" };
            self.note(
                None,
                None,
                match cut {
                    Some(cut) => format!("cut {by}: {}", cut.name()),
                    None => "healed".to_owned(),
                },
            );
        }
        next
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Link {
    pub(super) fn new(
        (name, number, line): (&str, usize, Arc<Line>),
        (transport, addr, upstream): (Transport, std::net::SocketAddr, &str),
        buffer: usize,
    ) -> Self {
        let (name, upstream) = (name.to_owned(), upstream.to_owned());
        Self { name, number, line, transport, upstream, addr, buffer, counters: Mutex::default() }
    }

    pub(super) fn place(&self, connection: u64) -> Place {
        Place { link: self.number, connection }
    }

    pub(super) fn counters(&self) -> Counters {
        *self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut Counters)) {
        change(&mut self.counters.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Decides what becomes of what happens now, and counts it.
    pub(super) fn step(&self, step: &Step) -> Vec<Piece> {
        let pieces = self.line.step(step);
        self.count(|counters| counters.decided(&pieces));
        pieces
    }

    pub(super) fn note(&self, connection: Option<u64>, what: String) {
        self.line.note(Some(&self.name), connection, what);
    }

    pub(super) fn status(&self) -> LinkStatus {
        LinkStatus {
            name: self.name.clone(),
            transport: self.transport,
            listen: self.addr,
            upstream: self.upstream.clone(),
            counters: self.counters(),
        }
    }
}
