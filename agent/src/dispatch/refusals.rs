//! Requests that were refused, so that the log tells of each once and not at every repetition.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use ivt_media::text::shorten;
use ivt_proto::rpc::RpcError;
use serde_json::Value;

/// So many are remembered.
const MOST: usize = 64;

/// The newest refusals.
#[derive(Default)]
pub(super) struct Refusals(Mutex<VecDeque<Refusal>>);

#[derive(PartialEq, Eq)]
struct Refusal {
    about: About,
    error: String,
}

/// Which requests are the same one again.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct About {
    method: String,
    channel: Option<i64>,
    /// Of the recording, or of the live stream.
    session: Option<String>,
}

impl About {
    pub(super) fn new(method: &str, params: Option<&Value>) -> Self {
        let member = |name| params.and_then(|params| params.get(name));
        let session =
            ["session_id", "stream_id"].into_iter().find_map(|name| member(name)?.as_str());
        Self {
            method: shorten(method),
            channel: member("channel").and_then(Value::as_i64),
            session: session.map(shorten),
        }
    }
}

impl Refusals {
    /// Tells the log of a request that is refused, unless it was for the same reason before.
    pub(super) fn note(&self, about: &About, answer: Result<(), &RpcError>) {
        let error = answer.map_err(RpcError::to_string);
        if !self.is_news(about, error.as_ref().err()) {
            return;
        }
        let About { method, channel, session } = about;
        let channel = channel.map_or(String::new(), |channel| format!("channel {channel}: "));
        let session = session.as_ref().map_or(String::new(), |session| format!(" of {session:?}"));
        if let Err(error) = error {
            log::warn!("{channel}{method:?}{session} is refused: {error}");
        }
    }

    /// What comes good is forgotten.
    fn is_news(&self, about: &About, error: Option<&String>) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(error) = error else {
            known.retain(|known| known.about != *about);
            return false;
        };
        let refusal = Refusal { about: about.clone(), error: error.clone() };
        let news = !known.contains(&refusal);
        if news {
            known.truncate(MOST - 1);
            known.push_front(refusal);
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn about(channel: i64, session: &str) -> About {
        About::new("M", Some(&json!({ "channel": channel, "session_id": session })))
    }

    #[test]
    fn each_refusal_is_news_once_until_it_comes_good() {
        let (known, a, b) = (Refusals::default(), "a".to_owned(), "b".to_owned());
        let news = |about: &About, error| known.is_news(about, error);
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
            assert!(known.is_news(&about(channel, &"x".repeat(1 << 20)), Some(&"a".into())));
        }
        let held = known.0.lock().unwrap();
        assert_eq!(held.len(), MOST);
        assert!(held.iter().all(|refusal| refusal.about.session.as_ref().unwrap().len() <= 200));
        assert!(About::new("M", None) == About::new("M", Some(&json!([1]))));
    }
}
