//! Two slots, of which one runs while the other is written; a marker says which one the device starts.

mod copies;
mod marker;
mod places;
#[cfg(test)]
mod script_tests;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

pub use self::places::Places;

use self::copies::Copies;
use self::marker::{Marker, Slot};
use super::failure::{Checked, Failure, SetupError};
use super::on_disk::{Coming, Installer, OnDisk, blocking};
use super::restart::Restart;
use super::writer::{Writer, forget};
use crate::{Firmware, Image, Incoming, Installed, Result, Running};

/// A device with two slots.
pub struct Slots {
    device: Arc<Device>,
    restart: Restart,
}

struct Device {
    places: Places,
    copies: Copies,
    /// Held while the marker is changed.
    turn: Mutex<()>,
}

impl Slots {
    /// The slots at `places`, after a look at them.
    ///
    /// # Errors
    /// What is missing there, or is the same twice.
    pub fn new(places: Places, restart: Restart) -> std::result::Result<Self, SetupError> {
        places.check()?;
        if places.started.is_none() {
            log::warn!(
                "firmware.started is not set: where the boot script cannot write the marker, the slot that runs is not \
                 the one that the marker says, and the agent cannot tell"
            );
        }
        let copies = Copies::new(places.marker.clone());
        let device = Arc::new(Device { places, copies, turn: Mutex::default() });
        Ok(Self { device, restart })
    }

    async fn with<T: Send + 'static>(
        &self,
        op: &'static str,
        work: impl FnOnce(&Arc<Device>) -> Checked<T> + Send + 'static,
    ) -> Result<T> {
        let device = self.device.clone();
        blocking(op, move || work(&device)).await
    }
}

#[async_trait]
impl Firmware for Slots {
    async fn open(&self, image: &Image) -> Result<Box<dyn Incoming>> {
        let image = image.clone();
        self.with("firmware open", move |device| {
            let writer = device.open(&image)?;
            let installer = Flip { device: device.clone(), image };
            Ok(Box::new(Coming { disk: OnDisk::new(writer), installer }) as Box<dyn Incoming>)
        })
        .await
    }

    async fn running(&self) -> Result<Running> {
        self.with("firmware running", |device| {
            let marker = device.marker()?;
            let trial = marker.on_trial();
            Ok(Running { trial, counter: marker.counter(marker.runs), failed: marker.failed })
        })
        .await
    }

    async fn commit(&self) -> Result<()> {
        self.with("firmware commit", |device| {
            let _turn = device.turn();
            let marker = device.marker()?;
            if marker.on_trial() { device.copies.write(marker.committed()) } else { Ok(()) }
        })
        .await
    }

    async fn roll_back(&self) -> Result<()> {
        self.with("firmware roll back", |device| {
            let _turn = device.turn();
            let marker = device.marker()?;
            if !marker.on_trial() {
                return Err(Failure::Refused("no firmware is on trial".to_owned()));
            }
            device.copies.write(marker.rolled_back())
        })
        .await
    }

    async fn restart(&self) -> Result<()> {
        self.restart.restart().await
    }
}

/// Makes the slot that does not run the next to start.
struct Flip {
    device: Arc<Device>,
    image: Image,
}

#[async_trait]
impl Installer for Flip {
    async fn install(self, disk: OnDisk) -> Result<Installed> {
        let Self { device, image } = self;
        disk.end(move |mut writer| {
            let sha256 = writer.verify()?;
            let _turn = device.turn();
            device.copies.write(device.marker()?.writing()?.installed(&image, sha256))?;
            forget(&device.places.marker);
            Ok(Installed::Restart)
        })
        .await
    }
}

impl Device {
    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, in which `runs` is what really runs.
    fn marker(&self) -> Checked<Marker> {
        let started = self.places.started()?;
        let mut marker = self.copies.read(started)?;
        marker.runs = started.unwrap_or(marker.runs);
        Ok(marker)
    }

    fn open(&self, image: &Image) -> Checked<Writer> {
        let _turn = self.turn();
        let started = self.places.started()?;
        let marker = self.copies.read(started)?;
        if let Some(started) = started.filter(|started| *started != marker.runs) {
            // One of them is wrong, and either slot may be the one that runs.
            return Err(Failure::Refused(format!(
                "the marker says that slot {} runs, and the boot script that it has started slot {started}; \
                 the device has to be restarted first",
                marker.runs
            )));
        }
        let marker = marker.writing()?;
        let slot: Slot = marker.runs.other();
        let file = self.places.open(marker.runs, image.size)?;
        // From here on the slot must not start, whichever copy of the marker is read.
        self.copies.write_both(marker)?;
        Writer::begin(file, self.places.of(slot), &self.places.marker, image)
    }
}
