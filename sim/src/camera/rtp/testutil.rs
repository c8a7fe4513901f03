//! For tests: frames to pack, and packets taken apart by hand.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use ivt_media::frame::{AudioCodec, AudioParams, Frame, Track, VideoCodec, VideoParams};

use super::Unit;

/// A packet's fields.
#[derive(Debug)]
pub struct Packet {
    pub marker: bool,
    pub payload_type: u8,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    pub payload: Vec<u8>,
}

/// Takes a unit apart, checking the framing on the way.
pub fn packets(unit: &Unit) -> Vec<Packet> {
    let bytes = unit.interleaved(super::default_channel(unit.track, unit.kind));
    let mut rest = &bytes[..];
    let mut packets = Vec::new();
    while !rest.is_empty() {
        assert_eq!(rest[0], b'$');
        let length = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        let p = &rest[4..4 + length];
        assert_eq!(p[0], 0x80);
        packets.push(Packet {
            marker: p[1] & 0x80 != 0,
            payload_type: p[1] & 0x7f,
            sequence: u16::from_be_bytes([p[2], p[3]]),
            timestamp: u32::from_be_bytes([p[4], p[5], p[6], p[7]]),
            ssrc: u32::from_be_bytes([p[8], p[9], p[10], p[11]]),
            payload: p[12..].to_vec(),
        });
        rest = &rest[4 + length..];
    }
    let datagrams: Vec<_> = unit.datagrams().map(|d| d[12..].to_vec()).collect();
    assert_eq!(datagrams, packets.iter().map(|p| p.payload.clone()).collect::<Vec<_>>());
    packets
}

/// A key picture of H.264 with these NAL units.
pub fn video(nals: &[&[u8]]) -> Frame {
    let params = VideoParams {
        codec: VideoCodec::H264,
        record: Bytes::new(),
        dimensions: (16, 16),
        frame_rate: None,
    };
    let mut data = Vec::new();
    for nal in nals {
        data.extend_from_slice(&(nal.len() as u32).to_be_bytes());
        data.extend_from_slice(nal);
    }
    frame(Track::Video(Arc::new(params)), data)
}

/// A frame of sound.
pub fn audio(codec: AudioCodec, sample_rate: u32, channels: u16, data: &[u8]) -> Frame {
    let params = AudioParams { codec, sample_rate, channels, config: Bytes::new() };
    frame(Track::Audio(Arc::new(params)), data.to_vec())
}

fn frame(track: Track, data: Vec<u8>) -> Frame {
    let received = Instant::now();
    Frame {
        track,
        key: true,
        discontinuity: false,
        leading: false,
        pts: 0,
        dts: 0,
        received,
        data: data.into(),
    }
}
