//! Publishing and recording.

use ivt_base::secret::Secret;
use serde::{Deserialize, Serialize};

use super::Quality;

/// RTMPPublish: publish one stream of a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RtmpPublish {
    /// The channel number of the camera, from 0.
    pub channel: u32,
    /// Which of the camera's streams.
    pub quality: Quality,
    /// The RTMP address to publish to; holds a stream key.
    pub url: Secret,
    /// The stream's name in keepalives and in RTMPStopPublish.
    pub stream_id: String,
    /// The highest bit rate the stream may have, in bit/s; 0, also when it is left out: no limit.
    #[serde(default)]
    pub max_bitrate: u64,
}

/// RTMPStopPublish: end the publish of that name, if it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RtmpStopPublish {
    /// The `stream_id` from RTMPPublish.
    pub stream_id: String,
    /// The channel number of the camera, from 0.
    pub channel: u32,
}

/// StartCloudRecord: record a channel and upload the segments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartCloudRecord {
    /// The recording's name in keepalives and in StopCloudRecord; 22 bytes from current clouds.
    pub session_id: String,
    /// The channel number of the camera, from 0.
    pub channel: u32,
    /// Which of the camera's streams.
    pub quality: Quality,
    /// The highest bit rate the stream may have, in bit/s; 0, also when it is left out: no limit.
    #[serde(default)]
    pub max_bitrate: u64,
    /// Length of a segment, in seconds.
    pub seg_duration: u32,
    /// Largest size of a segment, in bytes.
    pub seg_max_size: u64,
    /// How many segments may wait in memory.
    pub seg_max_count: u32,
    /// How much from before the request is recorded too, in seconds.
    pub prerecord_seconds: u32,
    /// Time stamp of the first segment, in Unix seconds; 0 or negative: the device's clock tells it.
    pub start_ts: i64,
    /// The HTTP address that is asked for upload addresses, at most 256 bytes from current clouds; may be signed.
    pub cbk_url: Secret,
}

/// StopCloudRecord: end the recording of that name, if it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopCloudRecord {
    /// The `session_id` from StartCloudRecord.
    pub session_id: String,
    /// The channel number of the camera, from 0.
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
    /// Whether the publish is on.
    pub enable: bool,
    /// The channel number of the camera, from 0.
    pub channel: u32,
    /// Which of the camera's streams.
    pub quality: Quality,
    /// The RTMP address to publish to; may hold a stream key.
    pub url: Secret,
}
