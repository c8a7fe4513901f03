//! Reads the frames of MPEG-TS: one stream of H.264 or H.265, one of AAC. Pure.
//!
//! The packets and their tables are read by the crate `mpeg2ts`.

mod adts;
mod hevc;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use ivt_media::annexb::Splitter;
use ivt_media::frame::{AudioParams, Frame, Track, VideoParams};
use mpeg2ts::es::StreamType;
use mpeg2ts::pes::{PesHeader, PesPacketReader, ReadPesPacket};
use mpeg2ts::ts::{ReadTsPacket, TsPacket, TsPacketReader, TsPayload};

/// Number of values of a timestamp.
const WRAP: i64 = 1 << 33;
/// Bytes that end an access unit: a delimiter, and the start code that ends the delimiter.
const END_OF_UNIT: &[u8] = b"\0\0\x01\x09\xf0\0\0\x01";

/// Why bytes are no segment that can be played.
#[derive(Debug, thiserror::Error)]
pub(super) enum DemuxError {
    #[error("no MPEG-TS: {0}")]
    Malformed(#[from] mpeg2ts::Error),
    #[error("no picture of H.264 or H.265 and no sound of AAC in it")]
    Nothing,
}

/// The frames of one segment, by decode time. Timestamps count on past the wrap at 2^33.
pub(super) fn frames(segment: &[u8]) -> Result<Vec<Frame>, DemuxError> {
    let mut reader =
        PesPacketReader::new(Tables { packets: TsPacketReader::new(segment), codecs: [None; 2] });
    let mut demuxer = Demuxer::default();
    while let Some(packet) = reader.read_pes_packet()? {
        let [video, audio] = reader.ts_packet_reader().codecs;
        let Some((pts, dts)) = demuxer.clock.read(&packet.header) else { continue };
        match packet.header.stream_id {
            id if id.is_video() => demuxer.picture(video, &packet.data, pts, dts),
            id if id.is_audio() && audio == Some(StreamType::AdtsAac) => {
                demuxer.sound(&packet.data, pts)
            }
            _ => {}
        }
    }
    demuxer.finish()
}

/// Reads the program map on the way.
struct Tables<R> {
    packets: R,
    /// The codecs of picture and sound.
    codecs: [Option<StreamType>; 2],
}

impl<R: ReadTsPacket> ReadTsPacket for Tables<R> {
    fn read_ts_packet(&mut self) -> mpeg2ts::Result<Option<TsPacket>> {
        let packet = self.packets.read_ts_packet()?;
        if let Some(TsPayload::Pmt(map)) =
            packet.as_ref().and_then(|packet| packet.payload.as_ref())
        {
            for stream in &map.es_info {
                match stream.stream_type {
                    kind @ (StreamType::H264 | StreamType::H265) => self.codecs[0] = Some(kind),
                    kind => self.codecs[1] = Some(kind),
                }
            }
        }
        Ok(packet)
    }
}

#[derive(Default)]
struct Demuxer {
    clock: Clock,
    h264: Splitter<(i64, i64)>,
    h265: hevc::Params,
    audio: Option<Arc<AudioParams>>,
    frames: Vec<Frame>,
}

impl Demuxer {
    fn picture(&mut self, codec: Option<StreamType>, data: &[u8], pts: i64, dts: i64) {
        if codec == Some(StreamType::H265) {
            if let Some((params, key, data)) = self.h265.unit(data) {
                self.push(Track::Video(params), key, pts, dts, data);
            }
        } else if self.h264.push(data, (pts, dts)).is_ok() {
            self.drain();
        }
    }

    fn drain(&mut self) {
        while let Some(unit) = self.h264.pop() {
            let (pts, dts) = unit.mark;
            self.push(Track::Video(unit.params), unit.key, pts, dts, unit.data);
        }
    }

    fn sound(&mut self, data: &[u8], pts: i64) {
        for (at, frame) in adts::frames(data).enumerate() {
            let offset = at as i64 * frame.ticks();
            if self.audio.as_deref() != Some(&frame.params) {
                self.audio = Some(Arc::new(frame.params));
            }
            let Some(params) = self.audio.clone() else { return };
            let (pts, data) = (pts + offset, Bytes::copy_from_slice(frame.data));
            self.push(Track::Audio(params), false, pts, pts, data);
        }
    }

    fn push(&mut self, track: Track, key: bool, pts: i64, dts: i64, data: Bytes) {
        let received = Instant::now();
        self.frames.push(Frame {
            track,
            key,
            discontinuity: false,
            leading: false,
            pts,
            dts,
            received,
            data,
        });
    }

    fn finish(mut self) -> Result<Vec<Frame>, DemuxError> {
        if self.h264.push(END_OF_UNIT, (0, 0)).is_ok() {
            self.drain();
        }
        // Sound comes in larger pieces than pictures, and so later.
        self.frames.sort_by_key(|frame| frame.dts);
        if self.frames.is_empty() { Err(DemuxError::Nothing) } else { Ok(self.frames) }
    }
}

/// Unwraps timestamps: each is near the one before.
#[derive(Default)]
struct Clock {
    last: Option<i64>,
}

impl Clock {
    /// Presentation and decode time, in ticks of 90 kHz.
    fn read(&mut self, header: &PesHeader) -> Option<(i64, i64)> {
        let pts = header.pts?;
        let dts = self.unwrap(header.dts.unwrap_or(pts).as_u64());
        Some((self.unwrap(pts.as_u64()), dts))
    }

    fn unwrap(&mut self, raw: u64) -> i64 {
        let raw = raw as i64;
        let last = self.last.unwrap_or(raw);
        let ahead = (raw - last).rem_euclid(WRAP);
        let time = last + if ahead < WRAP / 2 { ahead } else { ahead - WRAP };
        self.last = Some(time);
        time
    }
}

/// The parameters of a decoder configuration record, read by the reader of FLV.
fn video_params(sequence_header: Bytes, picture: Bytes) -> Option<Arc<VideoParams>> {
    use ivt_media::flv::{self, Head, Tag, TagKind};

    let tag = |body| Tag { kind: TagKind::Video, timestamp_ms: 0, head: Head::default(), body };
    let mut reader = flv::Demuxer::new();
    reader.push(&tag(sequence_header), Instant::now()).ok()?;
    match reader.push(&tag(picture), Instant::now()).ok()??.track {
        Track::Video(params) => Some(params),
        Track::Audio(_) => None,
    }
}

#[cfg(test)]
#[path = "demux_tests.rs"]
mod tests;
