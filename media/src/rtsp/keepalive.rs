//! Signs of life: which method a camera takes for one, when the next is due, and whether the camera
//! has forgotten the session.

use std::time::{Duration, Instant};

use ivt_base::text::shorten;

use super::header;

/// Methods that cameras take for a sign of life, the best first. OPTIONS, which they may not count,
/// is what remains.
const METHODS: [&str; 2] = ["GET_PARAMETER", "SET_PARAMETER"];
/// Time after which a camera that has forgotten the session sends nothing any more.
const FORGOTTEN: Duration = Duration::from_secs(2);

/// The signs of life of one session.
pub(super) struct Keepalive {
    /// How long the session outlives the last sign of life.
    timeout: Duration,
    /// When the next sign is due; `None` before the camera plays.
    due: Option<Instant>,
    /// Methods that the camera offers, as its Public header has them.
    public: String,
    /// Which of [`METHODS`] the camera answered with an error.
    failed: [bool; 2],
    /// When the camera first said that it does not know the session.
    forgotten: Option<Instant>,
}

impl Keepalive {
    /// No sign is due yet.
    pub(super) fn new(timeout: Duration) -> Self {
        Self { timeout, due: None, public: String::new(), failed: [false; 2], forgotten: None }
    }

    /// Notes the methods of a Public header.
    pub(super) fn offered(&mut self, public: &str) {
        self.public = shorten(public);
    }

    /// Notes how long the session outlives a sign of life.
    pub(super) fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// Notes that the camera plays.
    pub(super) fn begin(&mut self, now: Instant) {
        self.due = Some(now + self.timeout / 2);
    }

    /// The method to be sent, if a sign is due. If no answer comes, a stream that flows does not end:
    /// the next sign follows all the same.
    pub(super) fn due(&mut self, now: Instant) -> Option<&'static str> {
        self.due.take_if(|due| *due <= now)?;
        self.begin(now);
        Some(self.method())
    }

    /// Takes the status that a method was answered with.
    pub(super) fn answered(&mut self, method: &str, status: u16, now: Instant) {
        if let Some(method) = METHODS.iter().position(|known| *known == method) {
            if status >= 400 {
                if let Some(failed) = self.failed.get_mut(method) {
                    *failed = true;
                }
                // The next method may be what this camera takes for a sign of life.
                self.due = Some(now);
            }
        } else if method == "OPTIONS" && self.method() != "OPTIONS" {
            // The answer told of a better method, and some cameras count no other.
            self.due = Some(now);
        }
        if status == 454 {
            self.forgotten.get_or_insert(now);
        }
    }

    /// Whether the camera said that it does not know the session, and sent nothing since then;
    /// `heard` is when its last packet came.
    pub(super) fn is_forgotten(&mut self, heard: Instant, now: Instant) -> bool {
        self.forgotten.take_if(|at| *at + FORGOTTEN <= now).is_some_and(|at| heard < at)
    }

    /// When to call [`Self::is_forgotten`] and [`Self::due`].
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        [self.due, self.forgotten.map(|at| at + FORGOTTEN)].into_iter().flatten().min()
    }

    fn method(&self) -> &'static str {
        let offered = METHODS.iter().zip(self.failed);
        let mut offered =
            offered.filter(|(method, failed)| !failed && header::offers(&self.public, method));
        offered.next().map_or("OPTIONS", |(method, _)| method)
    }
}
