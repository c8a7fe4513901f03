//! The disturbances of one stream: set on request, met by the stream's encoder at the next frame.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The disturbances of one stream. Clones share them.
#[derive(Clone, Default)]
pub struct StreamFaults(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    frozen_until: Option<Instant>,
    jump: i64,
    garbage: bool,
    alternate: bool,
}

/// The disturbances of one frame.
#[derive(Debug, PartialEq, Eq)]
pub struct Disturbance {
    /// By how many 90 kHz ticks this timestamp and all later ones are shifted.
    pub jump: i64,
    /// Whether noise is sent before the frame.
    pub garbage: bool,
    /// Whether the frame is not sent.
    pub frozen: bool,
}

impl StreamFaults {
    /// Nothing is sent for this time; the stream resumes at a key frame.
    pub fn freeze(&self, duration: Duration) {
        self.lock().frozen_until = Some(Instant::now() + duration);
    }

    /// Every later timestamp is shifted by so many 90 kHz ticks.
    pub fn jump(&self, ticks: i64) {
        let mut state = self.lock();
        state.jump = state.jump.saturating_add(ticks);
    }

    /// Bytes that are neither RTSP nor RTP are sent once.
    pub fn garbage(&self) {
        self.lock().garbage = true;
    }

    /// The stream switches to the other clip, or back.
    pub fn change_parameters(&self) {
        let mut state = self.lock();
        state.alternate = !state.alternate;
    }

    /// Whether the other clip is to be shown.
    pub fn alternate(&self) -> bool {
        self.lock().alternate
    }

    /// The disturbances of the next frame. Jump and noise happen once for each request.
    pub fn take(&self) -> Disturbance {
        let mut state = self.lock();
        state.frozen_until = state.frozen_until.filter(|until| Instant::now() < *until);
        Disturbance {
            jump: std::mem::take(&mut state.jump),
            garbage: std::mem::take(&mut state.garbage),
            frozen: state.frozen_until.is_some(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
