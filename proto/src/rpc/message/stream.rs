//! Publishing and recording.

use ivt_base::secret::Secret;
use serde::{Deserialize, Serialize};

use super::Quality;

/// RTMPPublish: publish one stream of a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RtmpPublish {
    /// Of which camera.
    pub channel: u32,
    /// Which of its streams.
    pub quality: Quality,
    /// The RTMP address to publish to; holds a stream key.
    pub url: Secret,
    /// The stream's name in keepalives and in RTMPStopPublish.
    pub stream_id: String,
    /// The most it may have, bit/s; 0: no limit.
    pub max_bitrate: u64,
}

/// RTMPStopPublish: end the publish of that name, if it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RtmpStopPublish {
    /// The name from RTMPPublish.
    pub stream_id: String,
    /// Of which camera.
    pub channel: u32,
}

/// StartCloudRecord: record a channel and upload the segments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartCloudRecord {
    /// The session's name, 22 bytes from current clouds.
    pub session_id: String,
    /// Of which camera.
    pub channel: u32,
    /// Which of its streams.
    pub quality: Quality,
    /// The most it may have, bit/s; 0: no limit.
    pub max_bitrate: u64,
    /// Length of a segment, s.
    pub seg_duration: u32,
    /// Limit of a segment, bytes.
    pub seg_max_size: u64,
    /// How many segments may wait in memory.
    pub seg_max_count: u32,
    /// How much from before the request to keep, s.
    pub prerecord_seconds: u32,
    /// Time stamp of the first segment, Unix s; 0 or negative: the device's clock.
    pub start_ts: i64,
    /// The HTTP address that is asked for upload addresses, at most 256 bytes from current clouds; may be signed.
    pub cbk_url: Secret,
}

/// StopCloudRecord: end the recording of that name, if it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopCloudRecord {
    /// The name from StartCloudRecord.
    pub session_id: String,
    /// Of which camera.
    pub channel: u32,
}

/// SetRTMPPublishConfig: the whole list of constant publishes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SetRtmpPublishConfig {
    /// One entry per publish.
    pub list: Vec<RtmpPublishConfig>,
}

/// One constant publish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RtmpPublishConfig {
    /// Whether it is on.
    pub enable: bool,
    /// Of which camera.
    pub channel: u32,
    /// Which of its streams.
    pub quality: Quality,
    /// The RTMP address to publish to; may hold a stream key.
    pub url: Secret,
}
