//! Pictures in packets (RFC 6184, RFC 7798), with markers, fragments and aggregates against the rules.

use ivt_media::frame::VideoCodec;

use super::super::rtp::{MTU, Source};
use super::packet::Packet;
use super::{Quirk, Quirks};

const SEI: &[u8] = b"\x06\x05\x110123456789abcdef\x01\x80";
const DELIMITER: &[u8] = b"\x09\xf0";
const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// Changes the identity of the pictures on the wire.
pub fn source(quirks: &Quirks, source: &mut Source) {
    if quirks.has(Quirk::SdpCin) {
        source.payload_type = 105;
    }
    if quirks.has(Quirk::Clock30000) {
        source.clock_hz = 30_000;
    }
}

/// The packets of a picture as the camera sends them, made from `packets`, which follow the rules.
pub fn shape(
    quirks: &Quirks,
    codec: VideoCodec,
    mut packets: Vec<Packet>,
    key: bool,
) -> Vec<Packet> {
    let Some(like) = packets.first().map(|first| first.beside(Vec::new())) else { return packets };
    let h265 = codec == VideoCodec::H265;
    let form = Form { h265 };
    let has = |quirk| quirks.has(quirk);
    let marked = |payload: &[u8]| Packet { marker: true, ..like.beside(payload) };
    if has(Quirk::SeiMark) && !h265 {
        packets.insert(0, marked(SEI));
    }
    if has(Quirk::AudMark) && !h265 {
        packets.insert(0, like.beside(DELIMITER));
    }
    if has(Quirk::HevcMark) && h265 {
        packets.insert(0, like.beside([35 << 1, 1, 0x50]));
        packets.insert(1, like.beside([&[39 << 1, 1][..], &SEI[1..]].concat()));
    }
    if has(Quirk::FillerMark) && !h265 {
        packets.push(marked(&[&[0x0c][..], &[0xff; 40], &[0x80]].concat()));
    }
    if has(Quirk::NalUnknown) && !h265 {
        let kinds = [0u8, 25, 26, 27, 29, 30, 31];
        packets.splice(0..0, kinds.map(|kind| like.beside([0x60 | kind, 0, 3, 0x41, 1, 2])));
    }
    if has(Quirk::StapBad) && !h265 && key {
        let bad: [&[u8]; 4] = [&[24], &[24, 0], &[24, 0xff, 0xff, 0x67], &[24, 0, 0, 0, 0]];
        packets.splice(0..0, bad.map(|payload| like.beside(payload)));
    }
    if has(Quirk::StapA) && !h265 {
        aggregate(&mut packets, &[6, 7, 8], &[0x78], form);
    }
    if has(Quirk::HevcAp) && h265 {
        aggregate(&mut packets, &[32, 33, 34], &[48 << 1, 1], form);
    }
    if has(Quirk::AnnexbWhole) && packets.iter().all(|p| !form.fragment(&p.payload)) {
        let whole: Vec<u8> =
            packets.iter().flat_map(|p| START_CODE.into_iter().chain(p.payload.clone())).collect();
        if whole.len() <= MTU {
            packets = vec![marked(&whole[START_CODE.len()..])];
        }
    }
    if has(Quirk::FuaEmpty) {
        packets = packets.into_iter().flat_map(|packet| with_empty(packet, form)).collect();
    }
    for packet in &mut packets {
        reform(quirks, packet, form);
    }
    packets
}

/// Number of pictures in place of which one endless access unit goes out: 15 MB. Then another one begins, so
/// that a client that comes later sees a beginning too.
const ENDLESS: u32 = 60;

/// A part of an access unit that is far longer than a picture may be: a quarter of a megabyte in place of each
/// picture. `before` counts the pictures that were replaced.
pub fn endless(packets: Vec<Packet>, before: &mut u32) -> Vec<Packet> {
    let Some(first) = packets.first() else { return packets };
    let round = *before / ENDLESS;
    let fragment = |kind: u8| {
        let mut payload = vec![0x7c, kind | 5];
        payload.resize(MTU, 0xaa);
        // All packets of one unit have the same time.
        Packet { timestamp: round, ..first.beside(payload) }
    };
    let start = if before.is_multiple_of(ENDLESS) { 0x80 } else { 0 };
    *before = before.wrapping_add(1);
    std::iter::once(fragment(start)).chain((0..190).map(|_| fragment(0))).collect()
}

/// Where the fields of a payload lie, by codec.
#[derive(Clone, Copy)]
struct Form {
    h265: bool,
}

impl Form {
    /// Length of the NAL unit header in bytes; the header of a fragment follows it.
    fn header(self) -> usize {
        if self.h265 { 2 } else { 1 }
    }

    fn fragment(self, payload: &[u8]) -> bool {
        self.outer(payload) == if self.h265 { 49 } else { 28 }
    }

    fn outer(self, payload: &[u8]) -> u8 {
        payload.first().map_or(0, |b| if self.h265 { b >> 1 & 0x3f } else { b & 0x1f })
    }

    /// The type of the NAL unit; of a fragment, the type of the whole unit.
    fn kind(self, payload: &[u8]) -> u8 {
        let mask = if self.h265 { 0x3f } else { 0x1f };
        match self.fragment(payload) {
            true => payload.get(self.header()).map_or(0, |b| b & mask),
            false => self.outer(payload),
        }
    }

    /// Whether the NAL unit ends in this payload.
    fn ends(self, payload: &[u8]) -> bool {
        !self.fragment(payload) || payload.get(self.header()).is_some_and(|b| b & 0x40 != 0)
    }

    /// Whether the NAL unit is a slice.
    fn slice(self, payload: &[u8]) -> bool {
        let kind = self.kind(payload);
        if self.h265 { kind < 32 } else { matches!(kind, 1 | 5) }
    }
}

/// Puts single NAL units of these types into one packet.
fn aggregate(packets: &mut Vec<Packet>, kinds: &[u8], header: &[u8], form: Form) {
    let wanted = |p: &Packet| !form.fragment(&p.payload) && kinds.contains(&form.kind(&p.payload));
    let Some(first) = packets.iter().find(|p| wanted(p)).map(|p| p.beside(header)) else { return };
    let mut whole = first;
    for packet in packets.iter().filter(|p| wanted(p)) {
        whole.payload.extend_from_slice(&(packet.payload.len() as u16).to_be_bytes());
        whole.payload.extend_from_slice(&packet.payload);
    }
    packets.retain(|p| !wanted(p));
    packets.insert(0, whole);
}

/// Puts a fragment without data behind the first fragment of a NAL unit.
fn with_empty(packet: Packet, form: Form) -> Vec<Packet> {
    let at = form.header();
    let starts = form.fragment(&packet.payload) && packet.payload[at] & 0x80 != 0;
    let empty = starts.then(|| {
        let mut head = packet.payload[..=at].to_vec();
        head[at] &= 0x3f;
        packet.beside(head)
    });
    [Some(packet), empty].into_iter().flatten().collect()
}

/// Changes one packet in place.
fn reform(quirks: &Quirks, packet: &mut Packet, form: Form) {
    let has = |quirk| quirks.has(quirk);
    let (ends, slice) = (form.ends(&packet.payload), form.slice(&packet.payload));
    if has(Quirk::AudMark) || has(Quirk::HevcMark) {
        packet.marker = ends;
    }
    if has(Quirk::MarkerSlices) {
        packet.marker = ends && slice;
    }
    if has(Quirk::FillerMark) && slice {
        packet.marker = false;
    }
    if has(Quirk::MarkerNever) || has(Quirk::TsFrozenNomark) {
        packet.marker = false;
    }
    let at = form.header();
    if form.fragment(&packet.payload) {
        if has(Quirk::FuaMarkEarly) && packet.marker {
            packet.payload[at] &= 0xbf;
        }
        if has(Quirk::FuaNoStart) {
            packet.payload[at] |= 0x80;
        }
    } else if has(Quirk::FuaBoth) && !form.h265 && !packet.payload.is_empty() {
        let header = packet.payload[0];
        packet.payload.splice(..1, [header & 0xe0 | 28, 0xc0 | header & 0x1f]);
    } else if has(Quirk::AnnexbStart) || has(Quirk::AnnexbWhole) {
        packet.payload.splice(..0, START_CODE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packets(payloads: &[&[u8]]) -> Vec<Packet> {
        let mut packets: Vec<_> = payloads
            .iter()
            .map(|payload| Packet {
                marker: false,
                payload_type: 96,
                timestamp: 3,
                ssrc: 4,
                payload: payload.to_vec(),
            })
            .collect();
        packets.last_mut().unwrap().marker = true;
        packets
    }

    /// The payloads of a key picture: SPS, PPS, a fragmented slice.
    const KEY: &[&[u8]] =
        &[&[0x67, 1], &[0x68, 2], &[0x7c, 0x85, 3], &[0x7c, 5, 4], &[0x7c, 0x45, 5]];

    fn shaped(quirk: Quirk, payloads: &[&[u8]]) -> Vec<(bool, Vec<u8>)> {
        let packets = shape(&quirk.into(), VideoCodec::H264, packets(payloads), true);
        assert!(packets.iter().all(|p| (p.timestamp, p.ssrc) == (3, 4)));
        packets.into_iter().map(|p| (p.marker, p.payload)).collect()
    }

    fn markers(quirk: Quirk, payloads: &[&[u8]]) -> Vec<bool> {
        shaped(quirk, payloads).into_iter().map(|(marker, _)| marker).collect()
    }

    #[test]
    fn markers_stand_where_the_quirk_has_them() {
        let (t, f) = (true, false);
        assert_eq!(markers(Quirk::Redirect, KEY), [f, f, f, f, t], "a quirk of another kind");
        assert_eq!(markers(Quirk::AudMark, KEY), [t, t, t, f, f, t]);
        assert_eq!(markers(Quirk::SeiMark, KEY), [t, f, f, f, f, t]);
        assert_eq!(markers(Quirk::FillerMark, KEY), [f, f, f, f, f, t]);
        assert_eq!(markers(Quirk::MarkerNever, KEY), [f; 5]);
        let slices: &[&[u8]] = &[&[0x67, 1], &[0x65, 0x88], &[0x65, 7], &[0x65, 3]];
        assert_eq!(markers(Quirk::MarkerSlices, slices), [f, t, t, t]);
    }

    #[test]
    fn fragments_are_formed_as_the_quirk_has_them() {
        let payloads = |quirk| shaped(quirk, KEY).into_iter().map(|(_, p)| p).collect::<Vec<_>>();
        assert_eq!(payloads(Quirk::FuaEmpty)[2..4], [vec![0x7c, 0x85, 3], vec![0x7c, 5]]);
        assert_eq!(payloads(Quirk::FuaMarkEarly)[4], [0x7c, 5, 5]);
        assert_eq!(payloads(Quirk::FuaNoStart)[3], [0x7c, 0x85, 4]);
        assert_eq!(payloads(Quirk::FuaBoth)[..2], [vec![0x7c, 0xc7, 1], vec![0x7c, 0xc8, 2]]);
        assert_eq!(payloads(Quirk::AnnexbStart)[0], [0, 0, 0, 1, 0x67, 1]);
        assert_eq!(payloads(Quirk::AnnexbStart)[2], KEY[2]);
        assert_eq!(payloads(Quirk::StapA)[0], [0x78, 0, 2, 0x67, 1, 0, 2, 0x68, 2]);
        assert_eq!(payloads(Quirk::StapA)[1], KEY[2]);
    }

    #[test]
    fn small_pictures_can_be_one_byte_stream() {
        let whole = shaped(Quirk::AnnexbWhole, &[&[0x67, 1], &[0x65, 2]]);
        assert_eq!(whole, [(true, vec![0, 0, 0, 1, 0x67, 1, 0, 0, 0, 1, 0x65, 2])]);
        assert_eq!(shaped(Quirk::AnnexbWhole, KEY).len(), 5);
    }

    #[test]
    fn parameter_sets_of_h265_are_aggregated() {
        let sets: &[&[u8]] = &[&[64, 1, 9], &[66, 1, 8], &[68, 1, 7], &[40, 1, 6]];
        let shaped = shape(&Quirk::HevcAp.into(), VideoCodec::H265, packets(sets), true);
        assert_eq!(shaped.len(), 2);
        assert_eq!(shaped[0].payload, [96, 1, 0, 3, 64, 1, 9, 0, 3, 66, 1, 8, 0, 3, 68, 1, 7]);
        assert!(!shaped[0].marker && shaped[1].marker);
    }

    #[test]
    fn the_endless_unit_begins_anew_after_fifteen_megabytes() {
        let mut before = 0;
        let units: Vec<_> = (0..=ENDLESS).map(|_| endless(packets(KEY), &mut before)).collect();
        let (last, first) = units.split_last().unwrap();
        let first: Vec<_> = first.iter().flatten().collect();
        let starts = first.iter().filter(|p| p.payload[1] & 0x80 != 0).count();
        assert_eq!(starts, 1);
        assert!(first.iter().all(|p| p.timestamp == 0 && !p.marker && p.payload[1] & 0x40 == 0));
        assert!(first.iter().map(|p| p.payload.len()).sum::<usize>() > 15_000_000);
        assert!(last[0].payload[1] & 0x80 != 0 && last[0].timestamp == 1);
    }
}
