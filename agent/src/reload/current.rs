//! The device as it is configured at the moment.

use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use bytes::Bytes;
use ivt_base::mask::Known;
use ivt_hal::{Answer, Cgi, Device, Encoder, Error, Kind, Result, Snapshot, Source, Stream};

use crate::tlss;

/// A device that can be exchanged while others hold it. All clones see the exchange.
#[derive(Clone)]
pub(crate) struct CurrentDevice {
    device: Arc<RwLock<Arc<Device>>>,
    #[cfg(feature = "alarms")]
    exchanges: tokio::sync::watch::Sender<()>,
}

/// The encoder of a channel, looked up in the device of each moment.
struct CurrentEncoder {
    device: CurrentDevice,
    channel: usize,
}

/// The pictures of a channel, whichever device there is.
struct CurrentSnapshot {
    device: CurrentDevice,
    channel: usize,
}

/// The device's own web server, whichever device there is.
struct CurrentCgi(CurrentDevice);

impl CurrentDevice {
    pub(crate) fn new(device: Device) -> Self {
        Self {
            device: Arc::new(RwLock::new(Arc::new(device))),
            #[cfg(feature = "alarms")]
            exchanges: tokio::sync::watch::Sender::new(()),
        }
    }

    /// The device of this moment. Whoever keeps the result goes on using it after an exchange.
    pub(crate) fn now(&self) -> Arc<Device> {
        Arc::clone(&self.device.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the device by one with at least as many channels.
    pub(crate) fn exchange(&self, device: Device) {
        *self.device.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(device);
        #[cfg(feature = "alarms")]
        self.exchanges.send_replace(());
    }

    /// Tells of each exchange.
    #[cfg(feature = "alarms")]
    pub(crate) fn exchanges(&self) -> tokio::sync::watch::Receiver<()> {
        self.exchanges.subscribe()
    }

    /// The encoder of a channel, which follows every exchange of the device.
    pub(crate) fn encoder(&self, channel: usize) -> Arc<dyn Encoder> {
        Arc::new(CurrentEncoder { device: self.clone(), channel })
    }

    /// The camera of the hosted service, which follows exchanges: it has the abilities of the device
    /// of this moment.
    pub(crate) fn camera(&self) -> tlss::Camera {
        let device = self.now();
        let snapshot = |channel| {
            let device = self.clone();
            Arc::new(CurrentSnapshot { device, channel }) as Arc<dyn Snapshot>
        };
        let channels = device.channels.iter().enumerate();
        let snapshots =
            channels.map(|(number, channel)| channel.snapshot.as_ref().map(|_| snapshot(number)));
        let cgi = device.cgi.as_ref().map(|_| Arc::new(CurrentCgi(self.clone())) as Arc<dyn Cgi>);
        tlss::Camera { cgi, snapshots: snapshots.collect() }
    }
}

impl CurrentEncoder {
    fn now(&self) -> Result<Arc<dyn Encoder>> {
        let device = self.device.now();
        let channel = device.channels.get(self.channel);
        let gone = || Error::new("a channel that is gone", Kind::Offline);
        channel.map(|channel| Arc::clone(&channel.encoder)).ok_or_else(gone)
    }
}

#[async_trait]
impl Snapshot for CurrentSnapshot {
    async fn jpeg(&self, stream: Stream) -> Result<Bytes> {
        let device = self.device.now();
        match device.channels.get(self.channel).and_then(|channel| channel.snapshot.clone()) {
            Some(snapshot) => snapshot.jpeg(stream).await,
            None => Err(Error::new("pictures that are gone", Kind::Unsupported)),
        }
    }
}

#[async_trait]
impl Cgi for CurrentCgi {
    async fn get(&self, path: &str, query: &str) -> Result<Answer> {
        match self.0.now().cgi.clone() {
            Some(cgi) => cgi.get(path, query).await,
            None => Err(Error::new("a web server that is gone", Kind::Offline)),
        }
    }

    fn login(&self) -> Known {
        self.0.now().cgi.as_ref().map(|cgi| cgi.login()).unwrap_or_default()
    }
}

#[async_trait]
impl Encoder for CurrentEncoder {
    async fn source(&self, stream: Stream) -> Result<Source> {
        self.now()?.source(stream).await
    }

    async fn bitrate(&self, stream: Stream) -> Result<Option<u32>> {
        self.now()?.bitrate(stream).await
    }

    async fn reach(&self) -> Result<()> {
        self.now()?.reach().await
    }
}
