//! The constant publish of a channel: what SetRTMPPublishConfig has set up is pushed for ever, while the
//! channel publishes nothing that the cloud asked for by RTMPPublish. No I/O, but the order of things.

use std::time::Duration;

use rand::Rng;
use tokio::sync::watch;
use tokio::time::Instant;

use super::super::request::PublishRequest;
use super::publish::Progress;
use super::running::Running;
use crate::backoff::{Backoff, CONSTANT};

/// The constant publish of one channel.
pub(super) struct Constant {
    wanted: watch::Receiver<Option<PublishRequest>>,
    /// The work, which retries a server that is lost by itself.
    running: Option<Running>,
    phase: Phase,
    /// When a publish that the server has refused is tried again.
    again: Option<Instant>,
    backoff: Backoff,
    began: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The first attempt runs, or nothing does.
    Trying,
    /// The server takes what the camera sends.
    Flowing,
    /// Server or camera was lost.
    Lost,
}

/// What happened to a constant publish.
pub(super) enum News {
    /// Another one is wanted, or none.
    Changed,
    /// The work has a report; `None` if it has ended without one.
    Progress(Option<Progress>),
}

impl Constant {
    /// Pushes what `wanted` holds.
    pub(super) fn new(wanted: watch::Receiver<Option<PublishRequest>>) -> Self {
        Self {
            wanted,
            running: None,
            phase: Phase::Trying,
            again: None,
            backoff: Backoff::new(&CONSTANT),
            began: Instant::now(),
        }
    }

    /// What is to be started now, if anything.
    pub(super) fn due(&mut self, now: Instant) -> Option<PublishRequest> {
        let rests = self.running.is_some() || self.again.is_some_and(|again| now < again);
        if rests { None } else { self.wanted.borrow_and_update().clone() }
    }

    /// When a publish that rests is due.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.again.filter(|_| self.running.is_none() && self.wanted.borrow().is_some())
    }

    /// Notes that the work has begun.
    pub(super) fn started(&mut self, running: Running, now: Instant) {
        self.running = Some(running);
        (self.phase, self.again, self.began) = (Phase::Trying, None, now);
    }

    /// Ends the work, which is due again at once.
    pub(super) fn pause(&mut self) {
        (self.running, self.phase) = (None, Phase::Trying);
    }

    /// Whether frames reach the server.
    pub(super) fn is_flowing(&self) -> bool {
        self.running.is_some() && self.phase == Phase::Flowing
    }

    /// Whether the channel publishes by this one: another stream has to wait, unless this one has lost its
    /// server or its camera.
    pub(super) fn holds(&self) -> bool {
        self.running.is_some() && self.phase != Phase::Lost
    }

    /// Waits for news; never returns once nobody can want anything any more and nothing runs.
    pub(super) async fn next(&mut self) -> News {
        let progress = async {
            match &mut self.running {
                Some(running) => running.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            progress = progress => News::Progress(progress),
            Ok(()) = self.wanted.changed() => News::Changed,
        }
    }

    /// Takes over what happened. Returns a line for the log with its level.
    pub(super) fn note(&mut self, news: News, rng: &mut impl Rng) -> Option<(log::Level, String)> {
        let now = Instant::now();
        match news {
            News::Changed => {
                let ended = self.running.is_some();
                self.pause();
                (self.again, self.backoff) = (None, Backoff::new(&CONSTANT));
                ended.then(|| (log::Level::Info, "ends: it was configured anew".into()))
            }
            News::Progress(Some(Progress::Flowing)) => {
                self.phase = Phase::Flowing;
                Some((log::Level::Info, "is live".into()))
            }
            News::Progress(Some(Progress::Broken(refusal))) => {
                let news = self.phase != Phase::Lost;
                self.phase = Phase::Lost;
                let level = if news { log::Level::Warn } else { log::Level::Debug };
                Some((level, format!("is interrupted: {}", refusal.reason())))
            }
            News::Progress(Some(Progress::Refused(refusal))) => {
                let pause = self.rest(now, rng);
                let reason = refusal.reason();
                Some((log::Level::Warn, format!("is refused: {reason}; next try in {pause} s")))
            }
            News::Progress(None) => {
                self.rest(now, rng);
                None
            }
        }
    }

    /// Lets the publish rest for a while, which is returned in seconds.
    fn rest(&mut self, now: Instant, rng: &mut impl Rng) -> u64 {
        self.pause();
        self.backoff.lived(now.saturating_duration_since(self.began));
        let pause: Duration = self.backoff.next(rng);
        self.again = Some(now + pause);
        pause.as_secs()
    }
}
