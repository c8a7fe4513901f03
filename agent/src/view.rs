//! What can be seen of an agent, for its log and the device's page. Everything is read from its
//! owner at the moment of looking; nothing is kept here.

pub(crate) mod statistics;

use std::sync::Arc;

use ivt_hal::Stream;
use ivt_media::publish::PublishStats;
use ivt_media::stats::StreamStats;
use tokio::sync::watch;

use crate::channel::{Handle, RecordingStatus, Status};
use crate::dispatch::EventCounts;
use crate::record::spool::{self, Spool};
use crate::reload::Seen;
use crate::{cloud, tlss};

/// Looks at an agent, and outlives it.
#[derive(Clone)]
pub struct View {
    pub(crate) cloud: watch::Receiver<cloud::CloudState>,
    pub(crate) cloud_end: watch::Receiver<Option<Arc<str>>>,
    pub(crate) events: watch::Receiver<EventCounts>,
    pub(crate) channels: Vec<Handle>,
    pub(crate) hosted: watch::Receiver<Seen>,
    #[cfg(feature = "alarms")]
    pub(crate) alarms: crate::alarm::Desk,
    /// `None` until the spool is open.
    pub(crate) spool: watch::Receiver<Option<Spool>>,
    /// How far the agent gets with its cloud.
    #[cfg(feature = "ui")]
    pub(crate) progress: watch::Receiver<cloud::progress::Seen>,
    /// When the cloud answered the newest Keepalive.
    #[cfg(feature = "ui")]
    pub(crate) keepalive: watch::Receiver<Option<tokio::time::Instant>>,
}

/// The device at one moment, without its channels.
#[derive(Clone, Debug)]
pub struct DeviceView {
    /// The state of the connection to the cloud.
    pub cloud: cloud::CloudState,
    /// How the last connection to the cloud, or the last attempt at one, ended, with the cloud's code and
    /// words where it gave any; `None` before the first end.
    pub cloud_end: Option<Arc<str>>,
    /// What became of the cloud's events.
    pub events: EventCounts,
    /// What became of the cameras' alarms.
    #[cfg(feature = "alarms")]
    pub alarms: crate::alarm::AlarmCounts,
    /// What the hosted service is doing; `None` where it is off.
    pub hosted: Option<tlss::HostedState>,
    /// How full the spool is, and whether its disk works; `None` without a spool and until it is
    /// open.
    pub spool: Option<spool::Stats>,
}

/// A channel at one moment.
#[derive(Clone, Debug)]
pub struct ChannelView {
    /// The channel's status, as the Keepalive tells it.
    pub status: Status,
    /// The statistics of the main stream.
    pub main: StreamStats,
    /// The statistics of the sub stream.
    pub sub: StreamStats,
    /// The counts of the newest publish, which may have ended.
    pub publish: PublishStats,
    /// The sessions whose uploads have not ended, and always the newest one; the oldest comes
    /// first.
    pub recordings: Vec<RecordingStatus>,
}

impl View {
    /// The state of the connection to the cloud; changes can be awaited.
    pub fn cloud(&self) -> watch::Receiver<cloud::CloudState> {
        self.cloud.clone()
    }

    /// What the hosted service is doing, and the commands it was given; `None` where it is off.
    pub fn hosted(&self) -> Option<(watch::Receiver<tlss::HostedState>, tlss::Audit)> {
        self.hosted.borrow().clone()
    }

    /// The device as it is now.
    pub fn device(&self) -> DeviceView {
        DeviceView {
            cloud: *self.cloud.borrow(),
            cloud_end: self.cloud_end.borrow().clone(),
            events: *self.events.borrow(),
            #[cfg(feature = "alarms")]
            alarms: self.alarms.counts(),
            hosted: self.hosted.borrow().as_ref().map(|(state, _)| state.borrow().clone()),
            spool: self.spool.borrow().as_ref().map(|spool| *spool.watch().borrow()),
        }
    }

    /// The channels as they are now, by number.
    pub fn channels(&self) -> Vec<ChannelView> {
        self.channels.iter().map(ChannelView::of).collect()
    }

    /// A channel as it is now; `None` where there is no such channel.
    pub fn channel(&self, number: usize) -> Option<ChannelView> {
        self.channels.get(number).map(ChannelView::of)
    }
}

impl ChannelView {
    fn of(channel: &Handle) -> Self {
        Self {
            status: channel.status().now(),
            main: channel.stats(Stream::Main),
            sub: channel.stats(Stream::Sub),
            publish: channel.publish_stats(),
            recordings: channel.recordings(),
        }
    }
}
