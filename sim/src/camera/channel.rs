//! The camera's channels, with their streams, faults and counters.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ivt_media::clip::{BuiltIn, ClipOpener};
use ivt_media::source::Opener;
use tokio::time::Instant;

use super::address::Stream;
use super::encoder::EncoderOptions;
use super::feed::Feed;
use super::quirk::{Quirks, clip};

/// The streams of a channel.
#[derive(Clone)]
pub struct ChannelOptions {
    /// The main stream; the sub stream plays it after a change of parameters.
    pub main: Arc<dyn Opener>,
    /// The sub stream; the main stream plays it after a change of parameters.
    pub sub: Arc<dyn Opener>,
}

impl ChannelOptions {
    /// The built-in clips: 640×360 and 320×180, H.264 and AAC.
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
    /// Number of sessions that are set up now.
    pub sessions: usize,
}

/// One channel.
pub struct Channel {
    main: Feed,
    sub: Feed,
    down_until: Mutex<Option<Instant>>,
    /// Whether every login is refused.
    pub refuses_login: AtomicBool,
    /// Whether no request is answered after a `DESCRIBE`.
    pub silent_after_describe: AtomicBool,
    describes: AtomicU64,
    plays: AtomicU64,
    sessions: Arc<AtomicUsize>,
}

/// Counts a session while it lives.
#[derive(Debug)]
pub struct SessionCount(Arc<AtomicUsize>);

impl Drop for SessionCount {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Channel {
    /// A channel whose streams have not started.
    pub fn new(options: ChannelOptions, audio: bool, quirks: &Quirks) -> Self {
        let main = clip::opener(quirks, options.main);
        let sub = clip::opener(quirks, options.sub);
        let feed = |opener: &Arc<dyn Opener>, alternate: &Arc<dyn Opener>| {
            let (opener, alternate) = (opener.clone(), alternate.clone());
            Feed::new(EncoderOptions { opener, alternate, audio, quirks: quirks.clone() })
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

    /// Ends every session and refuses new ones for this time.
    pub fn reboot(&self, duration: Duration) {
        *self.down_until.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Instant::now() + duration);
        self.feeds().into_iter().for_each(Feed::stop);
    }

    /// Whether the channel is not rebooting.
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

    /// Counts a session until the result is dropped.
    pub fn count_session(&self) -> SessionCount {
        self.sessions.fetch_add(1, Ordering::Relaxed);
        SessionCount(self.sessions.clone())
    }

    /// The counts so far.
    pub fn counters(&self) -> ChannelCounters {
        ChannelCounters {
            describes: self.describes.load(Ordering::Relaxed),
            plays: self.plays.load(Ordering::Relaxed),
            sessions: self.sessions.load(Ordering::Relaxed),
        }
    }
}
