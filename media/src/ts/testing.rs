//! Frames with real content, and what the reader of the `mpeg2ts` crate finds in a stream of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use mpeg2ts::es::StreamType;
use mpeg2ts::ts::{ReadTsPacket, TsPacketReader, TsPayload};

use crate::frame::{AudioCodec, AudioParams, CLOCK_HZ, Frame, Track, VideoCodec, VideoParams};
use crate::ts::{PACKET, pid};

/// 2^33, where times in a transport stream begin again.
pub const WRAP: i64 = 1 << 33;
/// An SPS of H.264.
pub const SPS: &[u8] = &[0x67, 0x42, 0xc0, 0x0c, 0xd9, 0x01, 0x41];
/// A PPS of H.264.
pub const PPS: &[u8] = &[0x68, 0xce, 0x3c, 0x80];
/// VPS, SPS and PPS of H.265.
pub const HEVC_SETS: [&[u8]; 3] = [&[0x40, 1, 7], &[0x42, 1, 8, 9], &[0x44, 1]];

/// What a reader of a stream found. It reads on over any number of calls, as a player of a
/// recording does.
#[derive(Default)]
pub struct Recorded {
    counters: HashMap<u16, u8>,
    clock: Option<i64>,
    /// PES packets in order.
    pub units: Vec<Unit>,
    /// Version and stream types of each PMT.
    pub programs: Vec<(u8, Vec<StreamType>)>,
}

/// A PES packet.
pub struct Unit {
    /// Whether the packet holds a picture.
    pub video: bool,
    /// Presentation time, 90 kHz.
    pub pts: i64,
    /// Decode time, 90 kHz.
    pub dts: i64,
    /// Whether the packet is marked as one where a decoder may start.
    pub random_access: bool,
    /// Whether the packet is marked as the first of a time base.
    pub discontinuity: bool,
    /// Payload.
    pub data: Vec<u8>,
    /// `PES_packet_length` without the optional header; `None` if unbounded.
    sized: Option<usize>,
}

impl Recorded {
    /// Reads whole packets. Asserts what must hold of any: CRC, continuity counters, PES lengths,
    /// clock references in order, at most 100 ms apart and before what they time.
    pub fn read(&mut self, bytes: &[u8]) {
        assert_eq!(bytes.len() % PACKET, 0);
        let mut reader = TsPacketReader::new(bytes);
        while let Some(packet) = reader.read_ts_packet().expect("the crate's reader reads it") {
            let pid = packet.header.pid.as_u16();
            let counter = packet.header.continuity_counter.as_u8();
            let before = self.counters.insert(pid, counter);
            let expected = before.map(|n| n.wrapping_add(packet.payload.is_some().into()) & 0xf);
            assert!(expected.is_none_or(|n| n == counter), "{counter} after {before:?} on {pid}");
            let field = packet.adaptation_field.as_ref();
            let discontinuity = field.is_some_and(|f| f.discontinuity_indicator);
            if let Some(pcr) = field.and_then(|f| f.pcr) {
                let pcr = (pcr.as_u64() / 300) as i64;
                if let Some(before) = self.clock.filter(|_| !discontinuity) {
                    let step = (pcr - before).rem_euclid(WRAP);
                    assert!((1..=CLOCK_HZ / 10).contains(&step), "clock ticks {step}");
                }
                self.clock = Some(pcr);
            }
            match packet.payload {
                Some(TsPayload::PesStart(pes)) => {
                    let time = |t: mpeg2ts::time::Timestamp| t.as_u64() as i64;
                    let pts = time(pes.header.pts.expect("a time"));
                    let dts = pes.header.dts.map_or(pts, time);
                    let ahead = (dts - self.clock.expect("a clock first")).rem_euclid(WRAP);
                    assert!(ahead <= CLOCK_HZ, "decoded {ahead} after the clock");
                    self.finish_unit(pid);
                    let header = if pes.header.dts.is_some() { 13 } else { 8 };
                    self.units.push(Unit {
                        video: pid == pid::VIDEO,
                        pts,
                        dts,
                        random_access: field.is_some_and(|f| f.random_access_indicator),
                        discontinuity,
                        data: pes.data.to_vec(),
                        sized: usize::from(pes.pes_packet_len).checked_sub(header),
                    });
                }
                Some(TsPayload::PesContinuation(data)) => {
                    let video = pid == pid::VIDEO;
                    let unit = self.units.iter_mut().rev().find(|unit| unit.video == video);
                    unit.expect("a start before").data.extend_from_slice(&data);
                }
                Some(TsPayload::Pmt(pmt)) => {
                    let streams = pmt.es_info.iter().map(|es| es.stream_type).collect();
                    self.programs.push((pmt.version_number.as_u8(), streams));
                }
                _ => {}
            }
        }
        self.finish_unit(pid::VIDEO);
        self.finish_unit(pid::AUDIO);
    }

    /// The packets of pictures.
    pub fn pictures(&self) -> impl Iterator<Item = &Unit> {
        self.units.iter().filter(|unit| unit.video)
    }

    /// AAC frames with their times, of which a PES packet tells only the first.
    pub fn sounds(&self) -> Vec<(i64, Vec<u8>)> {
        let mut sounds = Vec::new();
        for unit in self.units.iter().filter(|unit| !unit.video) {
            let (mut data, mut samples) = (&unit.data[..], 0);
            while !data.is_empty() {
                assert_eq!((data[0], data[1]), (0xff, 0xf1));
                let len = usize::from(data[3] & 3) << 11 | usize::from(data[4]) << 3;
                let (frame, rest) = data.split_at(len | usize::from(data[5] >> 5));
                let rate =
                    [48000, 44100, 32000, 24000, 22050, 16000][usize::from(frame[2] >> 2 & 15) - 3];
                sounds.push(((unit.pts + samples * CLOCK_HZ / rate) % WRAP, frame[7..].to_vec()));
                (data, samples) = (rest, samples + 1024);
            }
        }
        sounds
    }

    fn finish_unit(&self, pid: u16) {
        let unit = self.units.iter().rev().find(|unit| unit.video == (pid == pid::VIDEO));
        if let Some(Unit { sized: Some(len), data, .. }) = unit {
            assert_eq!(*len, data.len(), "the PES packet is as long as it says");
        }
    }
}

impl Unit {
    /// The NAL units of the packet, which stand between start codes.
    pub fn nals(&self) -> Vec<&[u8]> {
        let data = &self.data[..];
        let starts: Vec<_> = (0..data.len().saturating_sub(3))
            .filter(|n| data[*n..*n + 4] == [0, 0, 0, 1])
            .collect();
        assert_eq!(starts.first(), Some(&0));
        let ends = starts.iter().skip(1).copied().chain([data.len()]);
        starts.iter().zip(ends).map(|(start, end)| &data[start + 4..end]).collect()
    }
}

/// Asserts that a segment plays alone: PAT, PMT and a key frame with its parameter sets are first.
pub fn assert_plays_alone(segment: &[u8], sets: &[&[u8]]) {
    let pid =
        |n: usize| u16::from_be_bytes([segment[n * PACKET + 1] & 0x1f, segment[n * PACKET + 2]]);
    assert_eq!([pid(0), pid(1), pid(2)], [pid::PAT, pid::PMT, pid::VIDEO]);
    let mut alone = Recorded::default();
    alone.read(segment);
    let first = alone.pictures().next().expect("a picture");
    assert!(first.random_access);
    assert_eq!(&first.nals()[1..=sets.len()], sets);
}

/// Parameters of H.264 with [`SPS`] and [`PPS`].
pub fn h264() -> Arc<VideoParams> {
    let len = |set: &[u8]| (set.len() as u16).to_be_bytes();
    let head = [1, SPS[1], SPS[2], SPS[3], 0xff, 0xe1];
    let record = [&head[..], &len(SPS), SPS, &[1], &len(PPS), PPS].concat();
    Arc::new(VideoParams { record: record.into(), ..params(VideoCodec::H264) })
}

/// Parameters of H.265 with [`HEVC_SETS`].
pub fn h265() -> Arc<VideoParams> {
    let mut record = vec![0; 22];
    record.push(3);
    for set in HEVC_SETS {
        record.extend([0x80 | set[0] >> 1, 0, 1, 0, set.len() as u8]);
        record.extend(set);
    }
    Arc::new(VideoParams { record: record.into(), ..params(VideoCodec::H265) })
}

/// Parameters of AAC-LC in mono at 48, 44.1, 32, 24, 22.05 or 16 kHz.
pub fn aac(sample_rate: u32) -> Arc<AudioParams> {
    let rates = [48000, 44100, 32000, 24000, 22050, 16000];
    let index = rates.iter().position(|rate| *rate == sample_rate).expect("known") as u8 + 3;
    let config = Bytes::from(vec![2 << 3 | index >> 1, index << 7 | 1 << 3]);
    Arc::new(AudioParams { codec: AudioCodec::Aac, sample_rate, channels: 1, config })
}

/// A picture of these NAL units.
pub fn picture(params: &Arc<VideoParams>, key: bool, dts: i64, nals: &[&[u8]]) -> Frame {
    let mut data = Vec::new();
    for nal in nals {
        data.extend((nal.len() as u32).to_be_bytes());
        data.extend_from_slice(nal);
    }
    frame(Track::Video(Arc::clone(params)), key, dts, data)
}

/// A piece of sound beside pictures.
pub fn sound(params: &Arc<AudioParams>, dts: i64, data: &[u8]) -> Frame {
    frame(Track::Audio(Arc::clone(params)), false, dts, data.to_vec())
}

fn frame(track: Track, key: bool, dts: i64, data: Vec<u8>) -> Frame {
    let (received, data) = (Instant::now(), data.into());
    Frame { track, key, discontinuity: false, leading: false, pts: dts, dts, received, data }
}

fn params(codec: VideoCodec) -> VideoParams {
    VideoParams { codec, record: Bytes::new(), dimensions: (640, 360), frame_rate: None }
}
