//! The camera's channels: their streams, their faults, their counters.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ivt_media::clip::{BuiltIn, ClipOpener};
use ivt_media::source::Opener;
use tokio::time::Instant;

use super::feed::{Feed, FeedOptions};
use super::quirk::{Quirks, clip};

/// Which of a channel's two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Full size.
    Main,
    /// Small.
    Sub,
}

impl Stream {
    /// As in the address: `main` or `sub`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Sub => "sub",
        }
    }
}

/// What a channel shows.
#[derive(Clone)]
pub struct ChannelOptions {
    /// The main stream; the sub stream plays it after a change of parameters.
    pub main: Arc<dyn Opener>,
    /// The sub stream; the main stream plays it after a change of parameters.
    pub sub: Arc<dyn Opener>,
}

impl ChannelOptions {
    /// The clips of the program: 640×360 and 320×180, H.264 and AAC.
    pub fn built_in() -> Self {
        let clip = |clip| Arc::new(ClipOpener::built_in(clip));
        Self { main: clip(BuiltIn::Main), sub: clip(BuiltIn::Sub) }
    }
}

/// What clients did to a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ChannelCounters {
    /// `DESCRIBE` requests answered with a description.
    pub describes: u64,
    /// `PLAY` requests that started a stream.
    pub plays: u64,
    /// Sessions set up now.
    pub sessions: usize,
}

/// One channel.
pub struct Channel {
    main: Feed,
    sub: Feed,
    down_until: Mutex<Option<Instant>>,
    /// No login is right.
    pub refuses_login: AtomicBool,
    /// No answer follows that to a `DESCRIBE`.
    pub silent_after_describe: AtomicBool,
    describes: AtomicU64,
    plays: AtomicU64,
    sessions: Arc<AtomicUsize>,
}

/// Counts a session for as long as it lives.
#[derive(Debug)]
pub struct SessionCount(Arc<AtomicUsize>);

impl Drop for SessionCount {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Channel {
    /// An idle channel.
    pub fn new(options: ChannelOptions, audio: bool, quirks: &Quirks) -> Self {
        let main = clip::opener(quirks, options.main);
        let sub = clip::opener(quirks, options.sub);
        let feed = |opener: &Arc<dyn Opener>, alternate: &Arc<dyn Opener>| {
            let (opener, alternate) = (opener.clone(), alternate.clone());
            Feed::new(FeedOptions { opener, alternate, audio, quirks: quirks.clone() })
        };
        Self {
            main: feed(&main, &sub),
            sub: feed(&sub, &main),
            down_until: Mutex::default(),
            refuses_login: AtomicBool::default(),
            silent_after_describe: AtomicBool::default(),
            describes: AtomicU64::default(),
            plays: AtomicU64::default(),
            sessions: Arc::default(),
        }
    }

    /// One of its streams.
    pub fn feed(&self, stream: Stream) -> &Feed {
        match stream {
            Stream::Main => &self.main,
            Stream::Sub => &self.sub,
        }
    }

    /// Both streams.
    pub fn feeds(&self) -> [&Feed; 2] {
        [&self.main, &self.sub]
    }

    /// Ends every session and refuses new ones for a while.
    pub fn reboot(&self, duration: Duration) {
        *self.down_until.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Instant::now() + duration);
        self.feeds().into_iter().for_each(Feed::stop);
    }

    /// False while it reboots.
    pub fn is_up(&self) -> bool {
        let until = *self.down_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_none_or(|until| Instant::now() >= until)
    }

    /// Counts a `DESCRIBE`.
    pub fn count_describe(&self) {
        self.describes.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a `PLAY`.
    pub fn count_play(&self) {
        self.plays.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a session.
    pub fn count_session(&self) -> SessionCount {
        self.sessions.fetch_add(1, Ordering::Relaxed);
        SessionCount(self.sessions.clone())
    }

    /// All counts.
    pub fn counters(&self) -> ChannelCounters {
        ChannelCounters {
            describes: self.describes.load(Ordering::Relaxed),
            plays: self.plays.load(Ordering::Relaxed),
            sessions: self.sessions.load(Ordering::Relaxed),
        }
    }
}

/// The channel, the stream and the track that the path of a URI names: `/ch0/main`, with
/// `/trackID=1` behind it for a track; `/ufirststream` and `/usecondstream` are those of channel 0.
pub fn resolve(path: &str) -> Option<(usize, Stream, Option<usize>)> {
    let mut parts = path.trim_matches('/').split('/');
    let (channel, stream) = match parts.next()? {
        "ufirststream" => (0, Stream::Main),
        "usecondstream" => (0, Stream::Sub),
        name => {
            let channel = name.strip_prefix("ch")?.parse().ok()?;
            let stream = match parts.next()? {
                "main" => Stream::Main,
                "sub" => Stream::Sub,
                _ => return None,
            };
            (channel, stream)
        }
    };
    let track = match parts.next() {
        Some(track) => Some(track.strip_prefix("trackID=")?.parse().ok()?),
        None => None,
    };
    parts.next().is_none().then_some((channel, stream, track))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lead_to_streams_and_tracks() {
        assert_eq!(resolve("/ch0/main"), Some((0, Stream::Main, None)));
        assert_eq!(resolve("/ch12/sub/"), Some((12, Stream::Sub, None)));
        assert_eq!(resolve("/ch0/main/trackID=1"), Some((0, Stream::Main, Some(1))));
        assert_eq!(resolve("/ufirststream/trackID=0"), Some((0, Stream::Main, Some(0))));
        assert_eq!(resolve("/usecondstream"), Some((0, Stream::Sub, None)));
        let wrong =
            ["", "/", "/ch0", "/chx/main", "/ch0/other", "/ch0/main/track1", "*", "/ch-1/main"];
        for path in wrong.into_iter().chain(["/ch0/main/trackID=1/more"]) {
            assert_eq!(resolve(path), None, "{path}");
        }
    }
}
