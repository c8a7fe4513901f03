//! The device as it is configured at the moment.

use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use ivt_hal::{Device, Encoder, Source, Stream};

/// A device that can be exchanged while others hold it. All clones see the exchange.
#[derive(Clone)]
pub(crate) struct CurrentDevice(Arc<RwLock<Arc<Device>>>);

/// The encoder of a channel, looked up in the device of each moment.
struct CurrentEncoder {
    device: CurrentDevice,
    channel: usize,
}

impl CurrentDevice {
    pub(crate) fn new(device: Device) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(device))))
    }

    /// The device of this moment. Whoever keeps the result goes on using it after an exchange.
    pub(crate) fn now(&self) -> Arc<Device> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the device by one with at least as many channels.
    pub(crate) fn exchange(&self, device: Device) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(device);
    }

    /// The encoder of a channel, which follows every exchange of the device.
    pub(crate) fn encoder(&self, channel: usize) -> Arc<dyn Encoder> {
        Arc::new(CurrentEncoder { device: self.clone(), channel })
    }
}

impl CurrentEncoder {
    fn now(&self) -> ivt_hal::Result<Arc<dyn Encoder>> {
        let device = self.device.now();
        let channel = device.channels.get(self.channel);
        let gone = || ivt_hal::Error::new("a channel that is gone", ivt_hal::Kind::Offline);
        channel.map(|channel| Arc::clone(&channel.encoder)).ok_or_else(gone)
    }
}

#[async_trait]
impl Encoder for CurrentEncoder {
    async fn source(&self, stream: Stream) -> ivt_hal::Result<Source> {
        self.now()?.source(stream).await
    }

    async fn bitrate(&self, stream: Stream) -> ivt_hal::Result<Option<u32>> {
        self.now()?.bitrate(stream).await
    }

    async fn reach(&self) -> ivt_hal::Result<()> {
        self.now()?.reach().await
    }
}
