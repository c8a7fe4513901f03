//! Lets a burst of packets gather before the thread reads it.
//!
//! A camera that writes an access unit packet by packet wakes its reader for each of them, and a
//! wake-up costs more than the packet. The remedy is to pause before the thread goes to sleep in
//! the poller, so that the rest of the burst is there when it looks again. The program installs it:
//!
//! ```
//! use ivt_media::coalesce::Pause;
//!
//! let pause = Pause::default();
//! let runtime = tokio::runtime::Builder::new_current_thread()
//!     .enable_all()
//!     .on_thread_park(move || pause.before_park())
//!     .build();
//! # runtime.unwrap();
//! ```
//!
//! Trap: the pause blocks the thread with everything on it. Timers and other connections are late
//! by up to the pause, so it is bounded, and without a hint the default does not pause at all.

use std::cell::Cell;
use std::time::Duration;

/// No pause is longer than this, whatever was asked for.
pub const LONGEST_PAUSE: Duration = Duration::from_millis(100);

thread_local! {
    static MID_FRAME: Cell<bool> = const { Cell::new(false) };
}

/// When a thread pauses before it sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// Never.
    Never,
    /// This long when a source has part of a frame: the rest is on its way.
    MidFrame(Duration),
    /// This long every time: what arrives meanwhile on all streams is read in one go. For an NVR
    /// with many channels, at the price of that much latency everywhere.
    Always(Duration),
}

impl Default for Pause {
    fn default() -> Self {
        Self::MidFrame(Duration::from_millis(1))
    }
}

impl Pause {
    /// The hook for the runtime's `on_thread_park`. Spends the hint.
    pub fn before_park(self) {
        if let Some(pause) = self.due(MID_FRAME.replace(false)) {
            std::thread::sleep(pause);
        }
    }

    fn due(self, mid_frame: bool) -> Option<Duration> {
        let pause = match self {
            Self::MidFrame(pause) if mid_frame => pause,
            Self::Always(pause) => pause,
            _ => return None,
        };
        (!pause.is_zero()).then_some(pause.min(LONGEST_PAUSE))
    }
}

/// Says that a source on this thread holds part of a frame and waits for more.
pub fn hint_mid_frame() {
    MID_FRAME.set(true);
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn pauses_only_when_asked_and_never_long() {
        assert_eq!(Pause::default().due(false), None);
        assert_eq!(Pause::default().due(true), Some(MS));
        assert_eq!(Pause::Always(40 * MS).due(false), Some(40 * MS));
        assert_eq!(Pause::Always(3_600_000 * MS).due(false), Some(LONGEST_PAUSE));
        assert_eq!(Pause::Always(Duration::ZERO).due(true), None);
        assert_eq!(Pause::Never.due(true), None);
    }

    #[test]
    fn a_hint_is_spent_by_the_next_park() {
        hint_mid_frame();
        let before = std::time::Instant::now();
        Pause::MidFrame(20 * MS).before_park();
        assert!(before.elapsed() >= 20 * MS);
        assert!(!MID_FRAME.get());
    }

    #[test]
    fn runtime_parks_through_the_hook() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .on_thread_park(|| Pause::Always(20 * MS).before_park())
            .build()
            .unwrap();
        let before = std::time::Instant::now();
        runtime.block_on(async { tokio::time::sleep(MS).await });
        assert!(before.elapsed() >= 20 * MS);
    }
}
