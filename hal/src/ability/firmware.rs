//! The device's firmware: where a new image goes, and which one runs.

use async_trait::async_trait;
use bytes::Bytes;

use crate::Result;

/// Takes a new firmware for the device. Who calls has checked whose image it is, and checks while it is written that it
/// is whole.
#[async_trait]
pub trait Firmware: Send + Sync {
    /// Makes room for an image and opens it for writing, in the place of one that was begun before. What runs at the
    /// moment is not touched.
    ///
    /// # Errors
    /// `Invalid` for an image that the device has no room for, `Refused` while the firmware that runs is on trial, waits
    /// for the restart after it was rolled back, or another image is still being written, `Unsupported` or `Other`.
    async fn open(&self, image: &Image) -> Result<Box<dyn Incoming>>;
    /// What runs at the moment.
    ///
    /// # Errors
    /// `Other` where the device cannot tell.
    async fn running(&self) -> Result<Running>;
    /// Keeps the firmware that is on trial; a success where none is.
    ///
    /// # Errors
    /// `Other`: the firmware is still on trial.
    async fn commit(&self) -> Result<()>;
    /// Makes the firmware before the one on trial the next to start; who calls restarts the device.
    ///
    /// # Errors
    /// `Refused` where none is on trial, `Unsupported` or `Other`.
    async fn roll_back(&self) -> Result<()>;
    /// Restarts the device, which may end this process before it answers.
    ///
    /// # Errors
    /// `Unsupported` or `Other`.
    async fn restart(&self) -> Result<()>;
}

/// An image that is being written. Dropping it leaves the device as it was.
#[async_trait]
pub trait Incoming: Send {
    /// Bytes of this image that the device has from an attempt before, in their order from the first one on, which need
    /// not be written again; 0 where there are none. They are read by [`written`](Self::written).
    fn kept(&self) -> u64;
    /// Reads what was written from `offset` on, at most 64 KiB; empty at the end.
    ///
    /// # Errors
    /// `Other`.
    async fn written(&mut self, offset: u64) -> Result<Bytes>;
    /// Writes the next bytes.
    ///
    /// # Errors
    /// `Invalid` beyond the size of the image, `Other`.
    async fn write(&mut self, bytes: Bytes) -> Result<()>;
    /// Forgets all that was written.
    ///
    /// # Errors
    /// `Other`.
    async fn clear(&mut self) -> Result<()>;
    /// Makes the image, which is whole and checked, the one to start next. Everything is on the disk before this is
    /// said to the device, in one step that happens or does not.
    ///
    /// # Errors
    /// `Refused` where the device's own program does not take the image, `Invalid` for an image that is not whole, `Other`.
    async fn install(self: Box<Self>) -> Result<Installed>;
}

/// What is known of an image before its first byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its version, for people.
    pub version: String,
    /// Grows with each version; `None` for an image that nobody has signed.
    pub counter: Option<u64>,
    /// Its size in bytes.
    pub size: u64,
    /// The SHA-256 of its bytes. Of an image without one nothing is kept over a restart.
    pub sha256: Option<[u8; 32]>,
}

/// What runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Running {
    /// Whether it is on trial, until it is committed or rolled back.
    pub trial: bool,
    /// The counter of the image that runs; `None` where the device does not keep it.
    pub counter: Option<u64>,
    /// The counter of the image that was tried last, where it did not stay: it did not start, or was rolled back.
    pub failed: Option<u64>,
}

/// What follows an installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Installed {
    /// The device has to be restarted to run the image.
    Restart,
    /// The device's own program has done all that is needed, a restart included if it wants one.
    Done,
}
