//! Remembers refused requests, so that the log tells of each once and not at every repetition.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use ivt_proto::rpc::{RpcError, Subject};
use tokio::time::{Duration, Instant};

/// How many refusals are remembered.
const MOST: usize = 64;
/// Most lines in the log within a minute, so that a cloud that asks for something new each time
/// fills no flash.
const LINES: u32 = 20;
const MINUTE: Duration = Duration::from_secs(60);

/// The newest refusals.
#[derive(Default)]
pub(super) struct Refusals(Mutex<Known>);

#[derive(Default)]
struct Known {
    newest: VecDeque<Refusal>,
    /// When the first of the minute's `lines` was written.
    since: Option<Instant>,
    lines: u32,
    unsaid: u64,
}

#[derive(PartialEq, Eq)]
struct Refusal {
    about: About,
    error: String,
}

/// What a request was about. Two requests with equal values here count as the same request.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct About {
    /// The method's name, shortened.
    pub(super) method: String,
    pub(super) subject: Subject,
}

impl Refusals {
    /// Tells the log of a request that is refused, unless it was for the same reason before.
    pub(super) fn note(&self, about: &About, answer: Result<(), &RpcError>) {
        let error = answer.map_err(RpcError::to_string);
        let Some(unsaid) = self.news(about, error.as_ref().err()) else { return };
        let About { method, subject: Subject { channel, session } } = about;
        let channel =
            channel.as_ref().map_or(String::new(), |number| format!("channel {number}: "));
        let session = session.as_ref().map_or(String::new(), |session| format!(" of {session:?}"));
        let others = match unsaid {
            0 => String::new(),
            n => format!(" (and {n} others since the last such line)"),
        };
        if let Err(error) = error {
            log::warn!("{channel}{method:?}{session} is refused: {error}{others}");
        }
    }

    /// How many refusals the log was not told of since its last line, if it is to be told of this
    /// one. A request that succeeds is forgotten.
    /// forgotten.
    fn news(&self, about: &About, error: Option<&String>) -> Option<u64> {
        let known = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(error) = error else {
            known.newest.retain(|known| known.about != *about);
            return None;
        };
        let refusal = Refusal { about: about.clone(), error: error.clone() };
        if known.newest.contains(&refusal) {
            return None;
        }
        known.newest.truncate(MOST - 1);
        known.newest.push_front(refusal);
        known.line()
    }
}

impl Known {
    fn line(&mut self) -> Option<u64> {
        if self.since.is_none_or(|since| since.elapsed() >= MINUTE) {
            (self.since, self.lines) = (Some(Instant::now()), 0);
        }
        if self.lines == LINES {
            self.unsaid += 1;
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(channel: i64, session: &str) -> About {
        let subject = Subject { channel: Some(channel.into()), session: Some(session.to_owned()) };
        About { method: "M".to_owned(), subject }
    }

    #[test]
    fn each_refusal_is_news_once_until_it_comes_good() {
        let (known, a, b) = (Refusals::default(), "a".to_owned(), "b".to_owned());
        let news = |about: &About, error| known.news(about, error).is_some();
        let (first, other) = (about(0, "s"), about(1, "s"));
        assert!(news(&first, Some(&a)) && news(&first, Some(&b)) && news(&other, Some(&a)));
        assert!(news(&about(0, "t"), Some(&a)));
        assert!(!news(&first, Some(&a)) && !news(&other, Some(&a)));
        assert!(!news(&first, None));
        assert!(news(&first, Some(&a)) && !news(&other, Some(&a)));
    }

    #[test]
    fn whatever_is_asked_little_is_remembered() {
        let known = Refusals::default();
        for channel in 0..10 * MOST as i64 {
            known.news(&about(channel, "s"), Some(&"a".into()));
        }
        assert_eq!(known.0.lock().unwrap().newest.len(), MOST);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_different_refusals_is_few_lines_a_minute() {
        let known = Refusals::default();
        let mut lines = Vec::new();
        for channel in 0..10_000 {
            lines.extend(known.news(&about(channel, "s"), Some(&"a".into())));
        }
        assert_eq!(lines, [0; LINES as usize]);
        tokio::time::sleep(MINUTE).await;
        assert_eq!(known.news(&about(0, "t"), Some(&"a".into())), Some(10_000 - u64::from(LINES)));
    }
}
