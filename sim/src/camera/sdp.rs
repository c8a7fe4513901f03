//! The description of a stream in SDP (RFC 4566), as `DESCRIBE` answers it.

use std::fmt::Write as _;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use ivt_media::frame::{AudioCodec, AudioParams, Track, VideoCodec, VideoParams};

use super::auth::hex;
use super::params::parameter_sets;
use super::rtp::Source;

/// The tracks of a stream; a track's number is its index.
#[derive(Clone, Debug)]
pub struct Description {
    /// Parameters of each track, and its identity on the wire.
    pub tracks: Vec<(Track, Source)>,
}

impl Description {
    /// A description with fresh identities.
    pub fn new(tracks: impl IntoIterator<Item = Track>) -> Self {
        let source = |(i, track): (usize, Track)| {
            let source = Source::new(i, &track);
            (track, source)
        };
        Self { tracks: tracks.into_iter().enumerate().map(source).collect() }
    }

    /// The text of the description, for a camera at `address`.
    pub fn sdp(&self, address: IpAddr) -> String {
        let family = if address.is_ipv4() { "IP4" } else { "IP6" };
        let any = if address.is_ipv4() { "0.0.0.0" } else { "::" };
        let mut sdp = format!(
            "v=0\r\no=- 1 1 IN {family} {address}\r\ns=camera-sim\r\nc=IN {family} {any}\r\n\
             t=0 0\r\na=control:*\r\na=range:npt=now-\r\n"
        );
        for (i, (track, source)) in self.tracks.iter().enumerate() {
            let lines = match track {
                Track::Video(params) => video(params, source),
                Track::Audio(params) => audio(params, source),
            };
            let _ = write!(sdp, "{lines}a=control:trackID={i}\r\n"); // A string takes everything.
        }
        sdp
    }
}

fn video(params: &VideoParams, source: &Source) -> String {
    let (kind, clock_hz) = (source.payload_type, source.clock_hz);
    let sets = parameter_sets(params);
    let base64 =
        |sets: &[Bytes]| sets.iter().map(|set| BASE64.encode(set)).collect::<Vec<_>>().join(",");
    let (name, format) = match params.codec {
        VideoCodec::H264 => {
            let profile = hex(params.record.get(1..4).unwrap_or_default());
            let sets = base64(&sets);
            let format = format!(
                "packetization-mode=1; profile-level-id={profile}; sprop-parameter-sets={sets}"
            );
            ("H264", format)
        }
        VideoCodec::H265 => {
            let of = |kind: u8| {
                let of_kind = |set: &&Bytes| set.first().is_some_and(|b| b >> 1 & 0x3f == kind);
                base64(&sets.iter().filter(of_kind).cloned().collect::<Vec<_>>())
            };
            let format =
                format!("sprop-vps={}; sprop-sps={}; sprop-pps={}", of(32), of(33), of(34));
            ("H265", format)
        }
    };
    let mut lines = format!(
        "m=video 0 RTP/AVP {kind}\r\na=rtpmap:{kind} {name}/{clock_hz}\r\n\
         a=fmtp:{kind} {format}\r\n"
    );
    if let Some((frames, seconds)) = params.frame_rate.filter(|(_, seconds)| *seconds > 0) {
        let rate = format!("{:.3}", f64::from(frames) / f64::from(seconds));
        let rate = rate.trim_end_matches('0').trim_end_matches('.');
        let _ = write!(lines, "a=framerate:{rate}\r\n");
    }
    lines
}

fn audio(params: &AudioParams, source: &Source) -> String {
    let (kind, rate, channels) = (source.payload_type, params.sample_rate, params.channels);
    let name = match params.codec {
        AudioCodec::Aac => "MPEG4-GENERIC",
        AudioCodec::Pcma => "PCMA",
        AudioCodec::Pcmu => "PCMU",
    };
    let mut lines = format!("m=audio 0 RTP/AVP {kind}\r\na=rtpmap:{kind} {name}/{rate}");
    if params.codec == AudioCodec::Aac || channels > 1 {
        let _ = write!(lines, "/{channels}");
    }
    lines.push_str("\r\n");
    if params.codec == AudioCodec::Aac {
        let _ = write!(
            lines,
            "a=fmtp:{kind} streamtype=5; profile-level-id=1; mode=AAC-hbr; sizelength=13; \
             indexlength=3; indexdeltalength=3; config={}\r\n",
            hex(&params.config)
        );
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    use super::*;

    fn sdp(track: Track) -> String {
        Description::new([track]).sdp(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    #[test]
    fn h264_is_described_with_profile_sets_and_rate() {
        let record = [1, 0x64, 0, 0x28, 0xff, 0xe1, 0, 2, 0x67, 1, 1, 0, 1, 0x68];
        let params = VideoParams {
            codec: VideoCodec::H264,
            record: Bytes::copy_from_slice(&record),
            dimensions: (0, 0),
            frame_rate: Some((30_000, 1001)),
        };
        let sdp = sdp(Track::Video(Arc::new(params)));
        assert!(sdp.starts_with("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\n"));
        assert!(sdp.contains(
            "a=fmtp:96 packetization-mode=1; profile-level-id=640028; \
             sprop-parameter-sets=ZwE=,aA==\r\na=framerate:29.97\r\na=control:trackID=0\r\n"
        ));
    }

    #[test]
    fn h265_names_each_kind_of_set() {
        let mut record = vec![0; 22];
        record.push(3);
        for (kind, nal) in [(32, 0x40), (33, 0x42), (34, 0x44)] {
            record.extend_from_slice(&[kind, 0, 1, 0, 2, nal, 1]);
        }
        let params = VideoParams {
            codec: VideoCodec::H265,
            record: record.into(),
            dimensions: (0, 0),
            frame_rate: Some((25, 1)),
        };
        let sdp = sdp(Track::Video(Arc::new(params)));
        assert!(sdp.contains("a=fmtp:96 sprop-vps=QAE=; sprop-sps=QgE=; sprop-pps=RAE=\r\n"));
        assert!(sdp.contains("a=framerate:25\r\n"));
    }

    #[test]
    fn sound_is_described_by_its_config_or_its_static_type() {
        let params = |codec, sample_rate, config: &[u8]| {
            let config = Bytes::copy_from_slice(config);
            Track::Audio(Arc::new(AudioParams { codec, sample_rate, channels: 1, config }))
        };
        let aac = sdp(params(AudioCodec::Aac, 16_000, &[0x14, 0x08]));
        assert!(aac.contains("a=rtpmap:97 MPEG4-GENERIC/16000/1\r\n"));
        assert!(aac.contains(
            "mode=AAC-hbr; sizelength=13; indexlength=3; indexdeltalength=3; config=1408\r\n"
        ));
        let pcma = sdp(params(AudioCodec::Pcma, 8000, &[]));
        assert!(pcma.contains("m=audio 0 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"));
        assert!(!pcma.contains("fmtp"));
    }
}
