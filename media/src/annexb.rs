//! H.264 byte streams (ITU-T H.264 annex B), as encoder programs write them.

use std::collections::VecDeque;
use std::iter;
use std::sync::Arc;

use bytes::Bytes;

use crate::frame::{VideoCodec, VideoParams};
use crate::{record, sps};

/// Longest access unit, in bytes.
pub const MAX_UNIT: usize = 8 << 20;

const IDR: u8 = 5;
const SEI: u8 = 6;
const SPS: u8 = 7;
const PPS: u8 = 8;
const DELIMITER: u8 = 9;

/// A picture cut from the stream.
#[derive(Clone, Debug)]
pub struct AccessUnit<T> {
    /// Parameters that the picture is decoded with.
    pub params: Arc<VideoParams>,
    /// Whether the picture is an IDR picture.
    pub key: bool,
    /// NAL units, each after its 4-byte length, without parameter sets.
    pub data: Bytes,
    /// The mark that was pushed with the bytes in which the unit began.
    pub mark: T,
}

/// Cuts a byte stream into access units. A unit ends where the next begins, so the last is held
/// back until then. Units before the first parameter sets are dropped.
#[derive(Debug)]
pub struct Splitter<T> {
    /// Bytes from the start code of the unfinished NAL unit on.
    buf: Vec<u8>,
    /// No start code begins before this place in `buf`, save the one at its front.
    scanned: usize,
    unit: Vec<u8>,
    has_slice: bool,
    key: bool,
    mark: Option<T>,
    sps: Vec<u8>,
    pps: Vec<u8>,
    params: Option<Arc<VideoParams>>,
    units: u64,
    done: VecDeque<AccessUnit<T>>,
}

/// The stream is no H.264.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an H.264 byte stream, got {MAX_UNIT} bytes without the end of an access unit")]
pub struct TooLong;

impl<T: Copy> Splitter<T> {
    /// A splitter at the start of a stream.
    pub fn new() -> Self {
        Self {
            buf: Vec::new(),
            scanned: 0,
            unit: Vec::new(),
            has_slice: false,
            key: false,
            mark: None,
            sps: Vec::new(),
            pps: Vec::new(),
            params: None,
            units: 0,
            done: VecDeque::new(),
        }
    }

    /// Takes the next bytes. `mark` is handed back with the access units that begin in them.
    ///
    /// # Errors
    ///
    /// An access unit is longer than [`MAX_UNIT`]: the stream is no H.264.
    pub fn push(&mut self, bytes: &[u8], mark: T) -> Result<(), TooLong> {
        self.buf.extend_from_slice(bytes);
        let buf = std::mem::take(&mut self.buf);
        let mut start = 0;
        while let Some(found) = find_start_code(&buf, self.scanned) {
            self.nal(trim(&buf[start..found]), mark);
            start = found;
            self.scanned = found + 3;
        }
        // The last two bytes may be the front of a start code.
        self.scanned = self.scanned.max(buf.len().saturating_sub(2)) - start;
        self.buf = buf;
        self.buf.drain(..start);
        if self.buf.len() + self.unit.len() > MAX_UNIT { Err(TooLong) } else { Ok(()) }
    }

    /// The next complete access unit.
    pub fn pop(&mut self) -> Option<AccessUnit<T>> {
        self.done.pop_front()
    }

    /// Access units cut so far, including those dropped.
    pub fn units(&self) -> u64 {
        self.units
    }

    fn nal(&mut self, nal: &[u8], mark: T) {
        let Some(&header) = nal.first() else { return };
        let kind = header & 0x1f;
        // An access unit begins at what may only come before the first slice of a picture, and at
        // that slice (7.4.1.2.3): its first_mb_in_slice is 0, which ue(v) writes as a single 1.
        let begins = match kind {
            1 | IDR => nal.get(1).is_some_and(|slice| slice & 0x80 != 0),
            SEI..=DELIMITER | 14..=18 => true,
            _ => false,
        };
        if begins && self.has_slice {
            self.finish();
        }
        self.mark.get_or_insert(mark);
        match kind {
            1..=SEI => {
                let len = u32::try_from(nal.len()).unwrap_or(u32::MAX);
                self.unit.extend_from_slice(&len.to_be_bytes());
                self.unit.extend_from_slice(nal);
                self.has_slice |= kind <= IDR;
                self.key |= kind == IDR;
            }
            SPS if self.sps != nal => {
                self.sps = nal.to_vec();
                self.params = None;
            }
            PPS if self.pps != nal => {
                self.pps = nal.to_vec();
                self.params = None;
            }
            _ => {}
        }
    }

    fn finish(&mut self) {
        let data = Bytes::from(std::mem::take(&mut self.unit));
        let key = std::mem::take(&mut self.key);
        self.has_slice = false;
        self.units += 1;
        let mark = self.mark.take();
        if self.params.is_none() {
            self.params = params(&self.sps, &self.pps).map(Arc::new);
        }
        if let (Some(params), Some(mark)) = (self.params.clone(), mark) {
            self.done.push_back(AccessUnit { params, key, data, mark });
        }
    }
}

impl<T: Copy> Default for Splitter<T> {
    fn default() -> Self {
        Self::new()
    }
}

fn find_start_code(buf: &[u8], from: usize) -> Option<usize> {
    let found = buf.get(from..)?.windows(3).position(|window| window == [0, 0, 1])?;
    Some(from + found)
}

/// The NAL unit between a start code and the next: without the code and without trailing zeros.
/// Empty where the stream did not begin with a code.
fn trim(chunk: &[u8]) -> &[u8] {
    let Some(nal) = chunk.strip_prefix(&[0, 0, 1]) else { return &[] };
    let end = nal.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    &nal[..end]
}

/// The parameters that one SPS and one PPS make, once there are both.
fn params(sps: &[u8], pps: &[u8]) -> Option<VideoParams> {
    let dimensions = sps::h264(sps)?.dimensions;
    if pps.is_empty() {
        return None;
    }
    let record = record::avc(sps, &mut iter::once(sps), &mut iter::once(pps))?.into();
    Some(VideoParams { codec: VideoCodec::H264, record, dimensions, frame_rate: None })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SPS_NAL: &[u8] =
        b"\x67\x64\0\x0c\xac\xb2\x02\x83\x3f\x3e\x02\x20\0\0\x03\0\x20\0\0\x06\x41\xe2\x85\x49";
    const PPS_NAL: &[u8] = b"\x68\xeb\xc3\xcb\x22\xc0";

    fn stream(nals: &[&[u8]]) -> Vec<u8> {
        let codes: [&[u8]; 2] = [b"\0\0\0\x01", b"\0\0\x01"];
        (0..).zip(nals).flat_map(|(n, nal)| [codes[n % 2], nal].concat()).collect()
    }

    /// Parameter sets, an IDR of two slices, a delimited P, a P with an SEI, and one not yet ended.
    fn sample() -> Vec<u8> {
        stream(&[
            b"\x41\x9alost",
            SPS_NAL,
            PPS_NAL,
            b"\x65\x88first",
            b"\x65\x48second",
            b"\x09\xf0",
            b"\x41\x9ap",
            b"\x06\x05\x01\xff",
            b"\x41\x9aq",
            b"\x41\x9ar",
            b"\x09\xf0",
        ])
    }

    fn cut(pieces: &[&[u8]]) -> Vec<(bool, Bytes, usize)> {
        let mut splitter = Splitter::new();
        let mut units = Vec::new();
        for (n, piece) in pieces.iter().enumerate() {
            splitter.push(piece, n).unwrap();
            while let Some(unit) = splitter.pop() {
                assert_eq!(unit.params.dimensions, (320, 180));
                units.push((unit.key, unit.data, unit.mark));
            }
        }
        units
    }

    #[test]
    fn units_are_cut_where_the_next_begins() {
        let units = cut(&[&sample()]);
        let data: Vec<_> = units.iter().map(|(key, data, _)| (*key, &data[..])).collect();
        let want: [(bool, &[u8]); 3] = [
            (true, b"\0\0\0\x07\x65\x88first\0\0\0\x08\x65\x48second"),
            (false, b"\0\0\0\x03\x41\x9ap"),
            (false, b"\0\0\0\x04\x06\x05\x01\xff\0\0\0\x03\x41\x9aq"),
        ];
        assert_eq!(data, want);
    }

    #[test]
    fn every_split_gives_the_same_units() {
        let sample = sample();
        let strip = |units: Vec<(bool, Bytes, usize)>| -> Vec<_> {
            units.into_iter().map(|(key, data, _)| (key, data)).collect()
        };
        let whole = strip(cut(&[&sample]));
        for at in 0..=sample.len() {
            let (head, tail) = sample.split_at(at);
            assert_eq!(strip(cut(&[head, tail])), whole, "split at {at}");
        }
        let bytes: Vec<&[u8]> = sample.chunks(1).collect();
        assert_eq!(strip(cut(&bytes)), whole);
    }

    #[test]
    fn changed_parameters_come_with_the_picture_they_belong_to() {
        let other = b"\x68\xeb\xe3\xcb\x22\xc0";
        let nals: [&[u8]; 9] = [
            SPS_NAL,
            PPS_NAL,
            b"\x65\x88a",
            SPS_NAL,
            PPS_NAL,
            b"\x65\x88b",
            other,
            b"\x65\x88c",
            b"\x09\xf0",
        ];
        let mut splitter = Splitter::new();
        splitter.push(&stream(&nals), ()).unwrap();
        splitter.push(b"\0\0\x01", ()).unwrap();
        let params: Vec<_> =
            std::iter::from_fn(|| splitter.pop()).map(|unit| unit.params).collect();
        assert_eq!(params.len(), 3);
        assert!(Arc::ptr_eq(&params[0], &params[1]), "repeated sets are no change");
        assert_ne!(params[1].record, params[2].record);
    }

    #[test]
    fn noise_is_refused_before_it_fills_the_memory() {
        let mut splitter = Splitter::new();
        let noise = vec![0xaa; 1 << 20];
        let refused = (0..20).find_map(|n| splitter.push(&noise, ()).err().map(|_| n));
        assert_eq!(refused, Some(8));
    }

    proptest! {
        #[test]
        fn anything_at_all_is_survived(
            pieces in prop::collection::vec(
                prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(0x65), Just(0x67), any::<u8>()], 0..60),
                0..20,
            ),
        ) {
            let mut splitter = Splitter::new();
            for piece in pieces {
                prop_assert!(splitter.push(&piece, ()).is_ok());
                while splitter.pop().is_some() {}
            }
        }
    }
}
