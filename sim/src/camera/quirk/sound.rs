//! Sound of other codecs, and AAC packed in other ways.

use ivt_media::frame::{AudioCodec, AudioParams};

use super::super::rtp::Source;
use super::packet::Packet;
use super::{Quirk, Quirks};

/// Length of an AU header section with one header, in bytes.
const HEADER: usize = 4;

/// Changes the identity of the sound on the wire.
pub fn source(quirks: &Quirks, source: &mut Source) {
    let (payload_type, clock_hz) = match () {
        () if quirks.has(Quirk::Pcma) => (8, 8000),
        () if quirks.has(Quirk::G711Wide) => (97, 16_000),
        () if quirks.has(Quirk::G726) => (97, 8000),
        () if quirks.has(Quirk::Mp2) => (14, 90_000),
        () if quirks.has(Quirk::AacFmtpPt) => (104, source.clock_hz),
        () => return,
    };
    (source.payload_type, source.clock_hz) = (payload_type, clock_hz);
}

/// AAC units that wait for others to share a packet with.
#[derive(Debug, Default)]
pub struct Sound {
    waiting: Vec<Packet>,
    count: u64,
}

impl Sound {
    /// The packets of one frame as the camera sends them, made from `packets`, which follow the rules.
    pub fn shape(
        &mut self,
        quirks: &Quirks,
        params: &AudioParams,
        packets: Vec<Packet>,
    ) -> Vec<Packet> {
        let Some(first) = packets.first() else { return packets };
        if let Some(payload) = other_codec(quirks, params, &packets) {
            return vec![Packet { marker: false, ..first.beside(payload) }];
        }
        if params.codec != AudioCodec::Aac {
            return packets;
        }
        self.count += 1;
        let unit: Vec<u8> =
            packets.iter().filter_map(|p| p.payload.get(HEADER..)).flatten().copied().collect();
        let whole = Packet { marker: true, ..first.beside(unit) };
        match () {
            () if quirks.has(Quirk::AacNomark) => {
                packets.into_iter().map(|packet| Packet { marker: false, ..packet }).collect()
            }
            () if quirks.has(Quirk::AacFragments) => fragments(&whole),
            () if quirks.has(Quirk::AacPacked) => {
                self.waiting.push(whole);
                if self.waiting.len() < 3 {
                    Vec::new()
                } else {
                    vec![packed(&std::mem::take(&mut self.waiting), 0)]
                }
            }
            () if quirks.has(Quirk::AacInterleaved) => self.interleave(whole),
            () if quirks.has(Quirk::AacLatm) => vec![latm(whole)],
            () if quirks.has(Quirk::AacBadHeaders) && self.count.is_multiple_of(10) => bad(&whole),
            () => packets,
        }
    }

    fn interleave(&mut self, unit: Packet) -> Vec<Packet> {
        self.waiting.push(unit);
        if self.waiting.len() < 6 {
            return Vec::new();
        }
        let (mut even, mut odd) = (Vec::new(), Vec::new());
        for (i, unit) in std::mem::take(&mut self.waiting).into_iter().enumerate() {
            if i % 2 == 0 { even.push(unit) } else { odd.push(unit) }
        }
        vec![packed(&even, 1), packed(&odd, 1)]
    }
}

/// Silence in another codec, as long as the frame; `None` for a camera that sends the right codec.
fn other_codec(quirks: &Quirks, params: &AudioParams, packets: &[Packet]) -> Option<Vec<u8>> {
    let bytes: usize = packets.iter().map(|packet| packet.payload.len()).sum();
    let samples = if params.codec == AudioCodec::Aac { 1024 } else { bytes };
    let at = |hz: usize| samples * hz / params.sample_rate.max(1) as usize;
    Some(match () {
        () if quirks.has(Quirk::Pcma) => vec![0xd5; at(8000)],
        () if quirks.has(Quirk::G711Wide) => vec![0xff; at(16_000)],
        () if quirks.has(Quirk::G726) => vec![0xff; at(4000)],
        () if quirks.has(Quirk::Mp2) => {
            let mut payload = vec![0, 0, 0, 0, 0xff, 0xfd, 0x44, 0xc4];
            payload.resize(288, 0);
            payload
        }
        () => return None,
    })
}

fn size_field(unit: usize, index: u16) -> [u8; 2] {
    ((unit as u16) << 3 | index).to_be_bytes()
}

fn fragments(unit: &Packet) -> Vec<Packet> {
    let mut chunks = unit.payload.chunks(40).peekable();
    let mut out = Vec::new();
    while let Some(chunk) = chunks.next() {
        let mut payload = vec![0, 16];
        payload.extend_from_slice(&size_field(unit.payload.len(), 0));
        payload.extend_from_slice(chunk);
        out.push(Packet { marker: chunks.peek().is_none(), ..unit.beside(payload) });
    }
    out
}

/// Several units in one packet; the index of each is that of the one before plus 1 plus `delta`
/// (AU-Index-delta).
fn packed(units: &[Packet], delta: u16) -> Packet {
    let mut payload = ((units.len() * 16) as u16).to_be_bytes().to_vec();
    for (i, unit) in units.iter().enumerate() {
        payload.extend_from_slice(&size_field(unit.payload.len(), if i == 0 { 0 } else { delta }));
    }
    units.iter().for_each(|unit| payload.extend_from_slice(&unit.payload));
    Packet { marker: true, ..units[0].beside(payload) }
}

/// The packet in LATM (RFC 6416 6.1): the length in bytes of 255, then the unit.
fn latm(unit: Packet) -> Packet {
    let mut payload = vec![255; unit.payload.len() / 255];
    payload.push((unit.payload.len() % 255) as u8);
    payload.extend_from_slice(&unit.payload);
    Packet { payload, ..unit }
}

fn bad(unit: &Packet) -> Vec<Packet> {
    let mut long = vec![0, 16, 0xff, 0xf8];
    long.extend_from_slice(&unit.payload);
    let payloads = [vec![0xff, 0xff, 1, 2], vec![0, 0], vec![0, 16], vec![0, 7, 1], long];
    payloads.map(|payload| Packet { marker: true, ..unit.beside(payload) }).to_vec()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn shape(quirk: Quirk, units: &[&[u8]]) -> Vec<Vec<u8>> {
        let config = Bytes::from_static(&[0x14, 8]);
        let codec = AudioCodec::Aac;
        let params = AudioParams { codec, sample_rate: 16_000, channels: 1, config };
        let mut sound = Sound::default();
        let packet = |unit: &&[u8]| {
            let payload = [&[0, 16][..], &size_field(unit.len(), 0), unit].concat();
            Packet { marker: true, payload_type: 97, timestamp: 0, ssrc: 0, payload }
        };
        let shaped =
            units.iter().flat_map(|u| sound.shape(&quirk.into(), &params, vec![packet(u)]));
        shaped.map(|packet| packet.payload).collect()
    }

    #[test]
    fn units_share_packets_in_order_or_interleaved() {
        let units: [&[u8]; 6] = [&[1], &[2], &[3], &[4], &[5], &[6]];
        let packed = shape(Quirk::AacPacked, &units);
        assert_eq!(packed[0], [0, 48, 0, 8, 0, 8, 0, 8, 1, 2, 3]);
        let interleaved = shape(Quirk::AacInterleaved, &units);
        assert_eq!(interleaved[0], [0, 48, 0, 8, 0, 9, 0, 9, 1, 3, 5]);
        assert_eq!(interleaved[1][8..], [2, 4, 6]);
    }

    #[test]
    fn units_are_cut_and_measured() {
        let parts = shape(Quirk::AacFragments, &[&[7; 100]]);
        let sizes: Vec<_> = parts.iter().map(Vec::len).collect();
        assert_eq!(sizes, [44, 44, 24]);
        assert!(parts.iter().all(|p| p[..4] == [0, 16, 3, 32]), "each tells the whole size");
        let latm = shape(Quirk::AacLatm, &[&[7; 300]]);
        assert_eq!((latm[0].len(), &latm[0][..3]), (302, &[255, 45, 7][..]));
        assert_eq!(shape(Quirk::Pcma, &[&[7; 100]]), [vec![0xd5; 512]]);
        assert_eq!(shape(Quirk::G711Wide, &[&[7; 100]])[0].len(), 1024);
    }
}
