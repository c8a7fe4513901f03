//! Triggers that are raised by order, and may end by themselves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ivt_hal::Trigger;
use ivt_hal::emulator::World;
use tokio::task::AbortHandle;
use tokio::time::sleep;

/// The ends that are still to come, at most one for each trigger of a channel. None comes after this is dropped.
#[derive(Default)]
pub(super) struct Pulses(Mutex<BTreeMap<(usize, Trigger), AbortHandle>>);

impl Pulses {
    /// Makes a trigger active or ends it, in the place of any end that was still to come; `lasts` is the time after
    /// which it ends by itself.
    pub(super) fn trigger(
        &self,
        channel: usize,
        world: &Arc<World>,
        trigger: Trigger,
        active: bool,
        lasts: Option<Duration>,
    ) {
        let mut ends = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(former) = ends.remove(&(channel, trigger)) {
            former.abort();
        }
        world.trigger(trigger, active);
        if let Some(lasts) = lasts {
            let world = Arc::clone(world);
            let end = tokio::spawn(async move {
                sleep(lasts).await;
                world.trigger(trigger, false);
            });
            ends.insert((channel, trigger), end.abort_handle());
        }
    }
}

impl Drop for Pulses {
    fn drop(&mut self) {
        let ends = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        ends.values().for_each(AbortHandle::abort);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    const SECONDS: fn(u64) -> Duration = Duration::from_secs;

    #[tokio::test(start_paused = true)]
    async fn the_newest_order_says_when_a_trigger_ends() {
        let (pulses, world) = (Pulses::default(), Arc::new(World::default()));
        let (mut changes, began) = (world.changes(), Instant::now());
        let pulse = |seconds| {
            pulses.trigger(0, &world, Trigger::Input, true, Some(SECONDS(seconds)));
        };
        pulse(2);
        sleep(SECONDS(1)).await;
        pulse(4);
        assert_eq!(changes.recv().await, Ok((Trigger::Input, true)));
        assert_eq!(changes.recv().await, Ok((Trigger::Input, false)));
        assert_eq!(began.elapsed(), SECONDS(5), "the second one is whole");

        pulse(2);
        pulses.trigger(0, &world, Trigger::Input, false, None);
        pulses.trigger(0, &world, Trigger::Input, true, None);
        for active in [true, false, true] {
            assert_eq!(changes.recv().await, Ok((Trigger::Input, active)));
        }
        sleep(SECONDS(9)).await;
        assert!(changes.try_recv().is_err(), "it stays without an end");
    }
}
