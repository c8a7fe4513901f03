//! When continuous moves end by themselves.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ivt_hal::emulator::World;
use tokio::task::AbortHandle;
use tokio::time::sleep;

/// The moves of all channels, at most one of each.
#[derive(Default)]
pub struct Moves(Mutex<HashMap<usize, AbortHandle>>);

impl Moves {
    /// Takes the end of the move before it from a channel and, with a time, stops the camera after it.
    pub fn until(&self, channel: usize, time: Option<Duration>, world: Arc<World>) {
        let mut moves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = moves.remove(&channel) {
            before.abort();
        }
        let Some(time) = time else { return };
        let end = async move {
            sleep(time).await;
            // Fails while the camera restarts, which ends the move too.
            let _ = world.drive([0.0; 3]);
        };
        moves.insert(channel, tokio::spawn(end).abort_handle());
    }
}

impl Drop for Moves {
    fn drop(&mut self) {
        let moves = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        moves.values().for_each(AbortHandle::abort);
    }
}
