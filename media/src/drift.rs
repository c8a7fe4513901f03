//! Notices when sound and picture drift apart, as they do where a camera stamps them by two clocks.

use std::time::{Duration, Instant};

use crate::frame::{CLOCK_HZ, duration_to_ticks};

const WINDOW: Duration = Duration::from_secs(10);
/// Less is not worth a step in the sound.
const TOLERANCE: i64 = CLOCK_HZ / 20;

/// Compares how far each track is ahead of its arrival. Of every window only the frame that was
/// delayed least counts, so that a stalled network does not look like a drift.
#[derive(Default)]
pub struct Drift {
    /// Start of the window, and of the arrival clock.
    window: Option<(Instant, Instant)>,
    /// Greatest lead of sound and picture over the arrival clock in this window.
    lead: [Option<i64>; 2],
    /// The first window is over: it held what the camera had stored up and tells nothing.
    settled: bool,
    /// The distance of sound and picture in the second window: what the camera means.
    meant: Option<i64>,
    /// Off by this much in the window before: only a second one is believed.
    suspected: Option<i64>,
}

impl Drift {
    /// Notes a frame of track 0 (sound) or 1 (picture) placed at `dts`. What it returns must be
    /// added to the sound from now on.
    pub fn observe(&mut self, track: usize, dts: i64, received: Instant) -> Option<i64> {
        let (start, epoch) = *self.window.get_or_insert((received, received));
        let lead = dts - duration_to_ticks(received.saturating_duration_since(epoch));
        self.lead[track] = self.lead[track].max(Some(lead));
        if received.saturating_duration_since(start) < WINDOW {
            return None;
        }
        self.window = Some((received, epoch));
        let [Some(sound), Some(picture)] = std::mem::take(&mut self.lead) else { return None };
        let Some(meant) = self.meant else {
            self.meant = std::mem::replace(&mut self.settled, true).then_some(sound - picture);
            return None;
        };
        let off = sound - picture - meant;
        if off.abs() <= TOLERANCE {
            self.suspected = None;
            return None;
        }
        self.suspected.replace(off).filter(|before| before.signum() == off.signum())?;
        self.suspected = None;
        Some(-off)
    }
}
