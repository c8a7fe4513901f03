//! The clocks as a person beside the device sees and sets them. What bounds the steps of the cloud does not bound the
//! person, who confirms a long one.

use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream;
use ivt_hal::{Clock, WallTime};
use ivt_proto::rpc::RpcError;
use tokio::time::Instant;

use super::super::told_by;
use super::{AT_ONCE, Clocks, MOST, early, seconds};
use crate::deadlines::CAMERA;

/// The clock of a channel.
pub(crate) struct ByHand {
    /// The number of the channel.
    pub(crate) channel: u32,
    /// Whether it is the clock of the system that the agent runs on.
    pub(crate) is_the_systems: bool,
    /// What it shows, or showed before it was set.
    pub(crate) shown: Result<WallTime, RpcError>,
}

/// What the clocks are to show: that of the system, and those of cameras apart.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) system: WallTime,
    pub(crate) cameras: WallTime,
}

impl Clocks {
    /// What the clocks of all channels show, as far as their cameras answer within [`CAMERA`].
    pub(crate) async fn look(&self) -> Vec<ByHand> {
        self.each(|_, _, shown| async { shown }).await
    }

    /// Sets the clocks of all channels; each result is what the clock showed before. Without `confirmed` no clock is
    /// moved by more than a day, nor to before the date of the build.
    ///
    /// # Errors
    /// The number of a channel whose clock would be moved so far, and what it shows. None is set then.
    pub(crate) async fn set_by_hand(
        &self,
        wanted: Wanted,
        confirmed: bool,
    ) -> Result<Vec<ByHand>, (u32, WallTime)> {
        let came = Instant::now();
        if !confirmed {
            let far = |clock: &ByHand| {
                let (shown, wanted) = (clock.shown.as_ref().ok()?, wanted.of(clock.is_the_systems));
                let by = seconds(wanted).abs_diff(seconds(*shown));
                (by > MOST || early(wanted)).then_some((clock.channel, *shown))
            };
            if let Some(far) = self.look().await.iter().find_map(far) {
                return Err(far);
            }
        }
        let set = |channel, clock: Arc<dyn Clock>, shown: Result<WallTime, RpcError>| async move {
            let until = Instant::now() + CAMERA;
            let time = later(wanted.of(clock.is_the_systems()), came);
            let done = told_by(until, channel, clock.set(time)).await;
            // One that did not answer may have been set.
            self.was_changed();
            done?;
            log::info!("channel {channel}: a person has set the clock to {time}");
            shown
        };
        Ok(self.each(set).await)
    }

    /// Tells that clocks show another time than a moment ago.
    pub(crate) fn was_changed(&self) {
        if let Some(alarms) = &self.alarms {
            alarms.clock_was_set();
        }
    }

    /// Does something with the clock of each channel, once it was told what it shows.
    async fn each<F: Future<Output = Result<WallTime, RpcError>>>(
        &self,
        then: impl Fn(u32, Arc<dyn Clock>, Result<WallTime, RpcError>) -> F,
    ) -> Vec<ByHand> {
        let (device, until, then) = (self.device.now(), Instant::now() + CAMERA, &then);
        let clocks = (0..).zip(&device.channels);
        let clocks = clocks.filter_map(|(channel, camera)| Some((channel, camera.clock.clone()?)));
        let each: Vec<_> = clocks
            .map(|(channel, clock)| async move {
                let is_the_systems = clock.is_the_systems();
                let shown = told_by(until, channel, clock.now()).await;
                let shown = match shown {
                    Ok(_) => then(channel, clock, shown).await,
                    failed => failed,
                };
                ByHand { channel, is_the_systems, shown }
            })
            .collect();
        stream::iter(each).buffered(AT_ONCE).collect().await
    }
}

impl Wanted {
    fn of(self, is_the_systems: bool) -> WallTime {
        if is_the_systems { self.system } else { self.cameras }
    }
}

/// A time, as it went on since it was told.
fn later(told: WallTime, came: Instant) -> WallTime {
    let seconds = told.seconds().and_then(|told| told.checked_add(came.elapsed().as_secs()));
    seconds.and_then(WallTime::from_seconds).unwrap_or(told)
}
