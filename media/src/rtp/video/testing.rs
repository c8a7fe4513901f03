//! NAL units, packets and pictures for tests.

use std::time::{Duration, Instant};

use h264_reader::avcc::AvcDecoderConfigurationRecord;

use super::Video;
use crate::frame::{VideoCodec, VideoParams};
use crate::rtp::{Packet, Picture};
pub(super) use crate::testing::Writer;

/// An SPS of x264: 320x180 without reordering.
pub(super) const SPS: &[u8] =
    b"\x67\x64\0\x0c\xac\xb2\x02\x83\x3f\x3e\x02\x20\0\0\x03\0\x20\0\0\x06\x41\xe2\x85\x49";
/// A PPS of x264 that refers to [`SPS`].
pub(super) const PPS: &[u8] = b"\x68\xeb\xc3\xcb\x22\xc0";
/// An access unit delimiter.
pub(super) const AUD: &[u8] = b"\x09\xf0";
/// Supplemental information without a meaning.
pub(super) const SEI: &[u8] = b"\x06\x05\x02ab\x80";
/// Filler data.
pub(super) const FILLER: &[u8] = b"\x0c\xff\xff\xff\x80";
/// [`SPS`] and [`PPS`] in base64.
pub(super) const SETS: &str = "Z2QADKyyAoM/PgIgAAADACAAAAZB4oVJ,aOvDyyLA";

/// A VPS of x265: 320x180.
pub(super) const HEVC_VPS: &[u8] =
    b"\x40\x01\x0c\x01\xff\xff\x01\x60\0\0\x03\0\x90\0\0\x03\0\0\x03\0\x3c\x95\x98\x09";
/// An SPS of x265: 320x180.
pub(super) const HEVC_SPS: &[u8] =
    b"\x42\x01\x01\x01\x60\0\0\x03\0\x90\0\0\x03\0\0\x03\0\x3c\xa0\x0a\x08\x0b\x9f\x79\x64\xa9\x24\
      \xca\xf0\x16\x80\x80\0\0\x03\0\x80\0\0\x0c\x84";
/// A PPS of x265.
pub(super) const HEVC_PPS: &[u8] = b"\x44\x01\xc1\x72\xb4\x62\x40";

/// `slice_type` of a picture of I slices.
pub(super) const I: u32 = 7;
/// `slice_type` of a picture of P slices.
pub(super) const P: u32 = 5;

/// An H.264 slice: header byte, `first_mb_in_slice`, `slice_type`, and what follows.
pub(super) fn slice(header: u8, first_mb: u32, kind: u32, tail: &[u8]) -> Vec<u8> {
    pps_slice(header, first_mb, kind, 0, tail)
}

/// An H.264 slice that uses the PPS of this number.
pub(super) fn pps_slice(header: u8, first_mb: u32, kind: u32, pps: u32, tail: &[u8]) -> Vec<u8> {
    Writer::default().ue(first_mb).ue(kind).ue(pps).u(5, 4).nal(&[header], tail)
}

/// An H.264 IDR picture of one slice.
pub(super) fn idr(tail: &[u8]) -> Vec<u8> {
    slice(0x65, 0, I, tail)
}

/// An H.264 P picture of one slice.
pub(super) fn p(tail: &[u8]) -> Vec<u8> {
    slice(0x41, 0, P, tail)
}

/// An H.264 PPS.
pub(super) fn pps(id: u32, sps: u32, tail: &[u8]) -> Vec<u8> {
    Writer::default().ue(id).ue(sps).u(3, 2).nal(&[0x68], tail)
}

/// An H.264 SPS of the Main profile.
pub(super) fn sps(id: u32, width_mbs: u32, fields: bool) -> Vec<u8> {
    let head = Writer::default().u(77, 8).u(0, 8).u(30, 8).ue(id).ue(0).ue(2).ue(1).u(0, 1);
    let sized = head.ue(width_mbs - 1).ue(if fields { 8 } else { 17 });
    let flags = if fields { sized.u(0, 2) } else { sized.u(1, 1) };
    flags.u(1, 1).u(0, 2).nal(&[0x67], &[])
}

/// A recovery point after this many pictures.
pub(super) fn recovery(pictures: u32) -> Vec<u8> {
    let payload = Writer::default().ue(pictures).u(8, 4).nal(&[], &[]);
    [&[6, 6, payload.len() as u8][..], &payload, &[0x80]].concat()
}

/// An H.265 slice of this type.
pub(super) fn hevc(kind: u8, first: bool, tail: &[u8]) -> Vec<u8> {
    let head = Writer::default().u(u32::from(first), 1);
    let head = if kind >= 16 { head.u(0, 1) } else { head };
    head.ue(0).u(5, 4).nal(&[kind << 1, 1], tail)
}

/// Fragments of a NAL unit, FU-A or FU, with `size` bytes of content each.
pub(super) fn fragments(codec: VideoCodec, nal: &[u8], size: usize) -> Vec<Vec<u8>> {
    let (header, body) = nal.split_at(if codec == VideoCodec::H264 { 1 } else { 2 });
    let count = body.chunks(size).len();
    let pieces = body.chunks(size).enumerate();
    pieces
        .map(|(n, piece)| {
            let bits = u8::from(n == 0) << 7 | u8::from(n + 1 == count) << 6;
            let head = match codec {
                VideoCodec::H264 => vec![header[0] & 0xe0 | 28, bits | header[0] & 31],
                VideoCodec::H265 => vec![49 << 1, header[1], bits | header[0] >> 1],
            };
            [&head[..], piece].concat()
        })
        .collect()
}

/// An aggregation packet, STAP-A or AP.
pub(super) fn aggregate(codec: VideoCodec, nals: &[&[u8]]) -> Vec<u8> {
    let mut packet = match codec {
        VideoCodec::H264 => vec![0x78],
        VideoCodec::H265 => vec![48 << 1, 1],
    };
    for nal in nals {
        packet.extend((nal.len() as u16).to_be_bytes());
        packet.extend(*nal);
    }
    packet
}

/// NAL units with a start code before each.
pub(super) fn glued(nals: &[&[u8]]) -> Vec<u8> {
    nals.iter().flat_map(|nal| [&[0, 0, 0, 1], *nal].concat()).collect()
}

/// The data of a picture.
pub(super) fn data(nals: &[&[u8]]) -> Vec<u8> {
    nals.iter().flat_map(|nal| [&(nal.len() as u32).to_be_bytes()[..], nal].concat()).collect()
}

/// The NAL units behind their lengths.
pub(super) fn units_of(mut data: &[u8]) -> Vec<&[u8]> {
    let mut nals = Vec::new();
    while let Some((len, rest)) = data.split_first_chunk() {
        let (nal, rest) = rest.split_at(u32::from_be_bytes(*len) as usize);
        nals.push(nal);
        data = rest;
    }
    nals
}

/// The parameter sets of a record, as a player reads them.
pub(super) fn record_sets(params: &VideoParams) -> Vec<Vec<u8>> {
    if params.codec == VideoCodec::H264 {
        let record = AvcDecoderConfigurationRecord::try_from(&params.record[..]).unwrap();
        let sps = record.sequence_parameter_sets().map(Result::unwrap);
        let sets = sps.chain(record.picture_parameter_sets().map(Result::unwrap));
        return sets.map(<[u8]>::to_vec).collect();
    }
    let (mut sets, mut rest) = (Vec::new(), &params.record[23..]);
    for _ in 0..params.record[22] {
        let count = u16::from_be_bytes([rest[1], rest[2]]);
        let kind = rest[0] & 0x3f;
        rest = &rest[3..];
        for _ in 0..count {
            let (len, tail) = rest.split_first_chunk().unwrap();
            let (set, tail) = tail.split_at(u16::from_be_bytes(*len).into());
            if (32..=34).contains(&kind) {
                sets.push(set.to_vec());
            }
            rest = tail;
        }
    }
    assert!(rest.is_empty());
    sets
}

/// A stream on its way: packets, a clock, and the pictures that came.
pub(super) struct Stream {
    /// The subject.
    pub(super) video: Video,
    /// The time by the test's clock.
    pub(super) now: Instant,
    /// Pictures that came since the last call of [`Stream::take`].
    pub(super) pictures: Vec<Picture>,
}

impl Stream {
    /// A stream of H.264 whose parameters are known.
    pub(super) fn known() -> Self {
        let mut stream = Self::new(VideoCodec::H264);
        stream.video.describe(SETS);
        stream
    }

    /// A stream whose parameters are unknown.
    pub(super) fn new(codec: VideoCodec) -> Self {
        Self { video: Video::new(codec), now: Instant::now(), pictures: Vec::new() }
    }

    /// Sends a packet that follows the one before.
    pub(super) fn send(&mut self, timestamp: u32, marker: bool, payload: &[u8]) -> &mut Self {
        self.after_loss(0, timestamp, marker, payload)
    }

    /// Sends a packet before which others were lost.
    pub(super) fn after_loss(
        &mut self,
        lost: u32,
        timestamp: u32,
        marker: bool,
        payload: &[u8],
    ) -> &mut Self {
        let packet = Packet { marker, payload_type: 96, sequence: 0, timestamp, ssrc: 1, payload };
        self.video.push(&packet, lost, self.now);
        self.pictures.extend(std::iter::from_fn(|| self.video.poll()));
        self
    }

    /// Sends pictures of one packet with the right marker, until markers are trusted.
    pub(super) fn prove(&mut self) -> &mut Self {
        for n in 0..9 {
            let nal = if n == 0 { idr(b"proof") } else { p(b"proof") };
            self.send(n * 3600, true, &nal);
        }
        assert!(self.video.poll_timeout().is_none(), "given at once");
        self.pictures.clear();
        self
    }

    /// Lets time pass.
    pub(super) fn wait(&mut self, span: Duration) -> &mut Self {
        self.now += span;
        while self.video.poll_timeout().is_some_and(|at| at <= self.now) {
            self.video.handle_timeout(self.now);
        }
        self.pictures.extend(std::iter::from_fn(|| self.video.poll()));
        self
    }

    /// Waits longer than any picture is held.
    pub(super) fn end(&mut self) -> &mut Self {
        self.wait(Duration::from_secs(2))
    }

    /// Timestamp, key and data of each picture since the last call.
    pub(super) fn take(&mut self) -> Vec<(u32, bool, Vec<u8>)> {
        let pictures = self.pictures.drain(..);
        pictures.map(|picture| (picture.timestamp, picture.key, picture.data.to_vec())).collect()
    }
}
