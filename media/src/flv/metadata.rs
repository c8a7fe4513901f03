//! The `onMetaData` tag: what players show before the first picture.

use bytes::Bytes;

use crate::flv::{HVC1, Head, Tag, TagKind, sound_format, video_codec};
use crate::frame::{AudioCodec, AudioParams, VideoCodec, VideoParams};
use crate::rtmp::amf::{self, Value};

/// What of the metadata describes the tracks; a peer may leave out any of it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Metadata {
    /// Width and height in pixels.
    pub dimensions: Option<(u32, u32)>,
    /// Frames per second.
    pub frame_rate: Option<f64>,
    /// Whether a video codec is announced.
    pub video: bool,
    /// Whether a sound codec is announced.
    pub audio: bool,
    /// The announced sound codec as a number; `None` also where it is a name.
    pub audio_id: Option<u32>,
}

/// The tag that announces these tracks.
pub fn tag(video: Option<&VideoParams>, audio: Option<&AudioParams>, timestamp_ms: u32) -> Tag {
    let mut members: Vec<(String, Value)> = Vec::new();
    let mut add = |name: &str, value: Value| members.push((name.to_owned(), value));
    if let Some(params) = video {
        if params.dimensions != (0, 0) {
            add("width", f64::from(params.dimensions.0).into());
            add("height", f64::from(params.dimensions.1).into());
        }
        if let Some((frames, seconds)) = params.frame_rate.filter(|rate| rate.1 != 0) {
            add("framerate", (f64::from(frames) / f64::from(seconds)).into());
        }
        add("videocodecid", video_id(params.codec).into());
    }
    if let Some(params) = audio {
        add("audiosamplerate", f64::from(params.sample_rate).into());
        add("audiosamplesize", 16.0.into());
        add("stereo", Value::Boolean(params.channels > 1));
        add("audiocodecid", f64::from(audio_id(params.codec)).into());
    }
    add("encoder", concat!("ivt/", env!("CARGO_PKG_VERSION")).into());
    let body = amf::encode(&["onMetaData".into(), Value::EcmaArray(members)]);
    Tag { kind: TagKind::Script, timestamp_ms, head: Head::default(), body: Bytes::from(body) }
}

/// Reads a script tag's payload; `None` where it is no metadata.
pub fn parse(payload: &[u8]) -> Option<Metadata> {
    let values = amf::decode(payload).ok()?;
    let at = values.iter().position(|value| value.as_str() == Some("onMetaData"))?;
    let members = values.get(at + 1)?;
    let number = |name| members.member(name).and_then(Value::as_number);
    let pixels = |name| number(name).filter(|n| (1.0..=16384.0).contains(n)).map(|n| n as u32);
    Some(Metadata {
        dimensions: pixels("width").zip(pixels("height")),
        frame_rate: number("framerate").filter(|rate| (0.01..=1000.0).contains(rate)),
        video: members.member("videocodecid").is_some(),
        audio: members.member("audiocodecid").is_some(),
        audio_id: number("audiocodecid").map(|id| id as u32),
    })
}

/// Number of a codec. Enhanced RTMP takes the four letters of its name for the number.
fn video_id(codec: VideoCodec) -> f64 {
    match codec {
        VideoCodec::H264 => f64::from(video_codec::AVC),
        VideoCodec::H265 => f64::from(u32::from_be_bytes(HVC1)),
    }
}

fn audio_id(codec: AudioCodec) -> u8 {
    match codec {
        AudioCodec::Aac => sound_format::AAC,
        AudioCodec::Pcma => sound_format::PCMA,
        AudioCodec::Pcmu => sound_format::PCMU,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tracks_are_announced_and_read_back() {
        let video = VideoParams {
            codec: VideoCodec::H265,
            record: Bytes::new(),
            dimensions: (1920, 1080),
            frame_rate: Some((25, 1)),
        };
        let audio = AudioParams {
            codec: AudioCodec::Pcmu,
            sample_rate: 8000,
            channels: 1,
            config: Bytes::new(),
        };
        let tag = tag(Some(&video), Some(&audio), 40);
        let (dimensions, frame_rate) = (Some((1920, 1080)), Some(25.0));
        let want = Metadata { dimensions, frame_rate, video: true, audio: true, audio_id: Some(8) };
        assert_eq!(parse(&tag.payload()), Some(want));
        let values = amf::decode(&tag.payload()).unwrap();
        assert_eq!(values[1].member("videocodecid"), Some(&1752589105.0.into()));
        assert_eq!(values[1].member("audiocodecid"), Some(&8.0.into()));
    }

    #[test]
    fn absurd_sizes_are_ignored() {
        let size =
            |n: f64| Value::Object(vec![("width".into(), n.into()), ("height".into(), n.into())]);
        for n in [0.0, -1.0, 1e12, f64::NAN] {
            let bytes = amf::encode(&["@setDataFrame".into(), "onMetaData".into(), size(n)]);
            assert_eq!(parse(&bytes).map(|data| data.dimensions), Some(None));
        }
        assert_eq!(parse(&amf::encode(&["onTextData".into()])), None);
        assert_eq!(parse(&[0xff]), None);
    }
}
