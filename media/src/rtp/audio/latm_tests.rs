use std::time::Instant;

use proptest::prelude::*;

use crate::rtp::Packet;
use crate::rtp::audio::Audio;
use crate::rtp::audio::testing::{Writer, noise, open, packet};

/// `StreamMuxConfig` of so many subframes of AAC-LC, 16 kHz, mono.
fn mux(bits: Writer, subframes: u32) -> Writer {
    let bits = bits.put(1, 0).put(1, 1).put(6, subframes - 1).put(4, 0).put(3, 0);
    let bits = bits.put(16, 0x1408);
    bits.put(3, 0).put(8, 0xff).put(1, 0).put(1, 0)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

fn declared(subframes: u32) -> String {
    hex(&mux(Writer::default(), subframes).bytes)
}

fn plain(subframes: u32) -> Audio {
    let config = declared(subframes);
    open("mp4a-latm", 16000, 1, &[("cpresent", "0"), ("config", &config)]).unwrap()
}

/// Appends units, each after its length.
fn with_lengths(bits: Writer, units: &[&[u8]]) -> Writer {
    units.iter().fold(bits, |mut bits, unit| {
        let mut len = unit.len();
        while len >= 255 {
            (bits, len) = (bits.put(8, 255), len - 255);
        }
        bits.put(8, len as u32).put_all(unit)
    })
}

fn element(units: &[&[u8]]) -> Vec<u8> {
    with_lengths(Writer::default(), units).bytes
}

/// An element that begins with its multiplex, or that says, as `same`, that the multiplex is the
/// one before.
fn in_band(units: &[&[u8]], same: bool) -> Vec<u8> {
    let bits = Writer::default().put(1, same.into());
    let bits = if same { bits } else { mux(bits, units.len() as u32) };
    with_lengths(bits, units).bytes
}

#[test]
fn an_element_gives_its_unit_with_the_configuration_of_the_multiplex() {
    let mut audio = plain(1);
    let unit = noise(1, 600);
    audio.take(5, &element(&[&unit]));
    let sounds = audio.sounds();
    assert_eq!((sounds[0].timestamp, &sounds[0].data[..]), (5, &unit[..]));
    let params = &sounds[0].params;
    assert_eq!((params.sample_rate, params.channels), (16000, 1));
    assert_eq!(params.config[..], [0x14, 0x08], "from the first bit of a byte on");
}

#[test]
fn subframes_are_as_far_apart_as_their_samples() {
    let mut audio = plain(3);
    audio.take(0, &element(&[&[1], &[], &[3, 3]]));
    assert_eq!(audio.drain(), [(0, vec![1]), (2048, vec![3, 3])]);
}

#[test]
fn a_multiplex_in_band_is_read_and_kept() {
    let mut audio = open("mp4a-latm", 90000, 1, &[]).unwrap();
    audio.take(0, &in_band(&[&[9]], true));
    assert_eq!((audio.drain(), audio.dropped()), (vec![], 1), "the multiplex is not known");
    let unit = noise(2, 300);
    audio.take(5760, &in_band(&[&unit, &[5]], false));
    audio.take(3 * 5760, &in_band(&[&[6], &unit], true));
    audio.take(5 * 5760, &in_band(&[&[7], &unit], false));
    let sounds = audio.sounds();
    let got: Vec<_> = sounds.iter().map(|one| (one.timestamp / 5760, one.data.len())).collect();
    assert_eq!(got, [(1, 300), (2, 1), (3, 1), (4, 300), (5, 1), (6, 300)]);
    assert_eq!((&sounds[0].data[..], &sounds[3].data[..]), (&unit[..], &unit[..]));
    assert!(sounds.iter().all(|one| std::sync::Arc::ptr_eq(&one.params, &sounds[0].params)));
    assert_eq!(sounds[0].params.config[..], [0x14, 0x08]);
    assert_eq!(audio.clock_rate(), 90000);
}

#[test]
fn a_new_multiplex_in_band_is_a_new_configuration() {
    let mut audio = open("mp4a-latm", 16000, 1, &[]).unwrap();
    audio.take(0, &in_band(&[&[1]], false));
    let stereo = Writer::default().put(1, 0).put(2, 1).put(13, 0).put(16, 0x1410);
    let stereo = with_lengths(stereo.put(3, 0).put(8, 0).put(2, 0), &[&[2]]);
    audio.take(1024, &stereo.bytes);
    let channels: Vec<_> = audio.sounds().iter().map(|one| one.params.channels).collect();
    assert_eq!(channels, [1, 2]);
}

#[test]
fn whether_the_multiplex_is_in_band_is_found_out_where_nothing_says_it() {
    let config = declared(1);
    let unit = noise(3, 40);
    let parts = element(&[&unit]);
    let elements = [in_band(&[&unit], true), in_band(&[&unit], false), element(&[&unit])];
    for element in elements {
        let mut audio = open("mp4a-latm", 16000, 1, &[("config", &config)]).unwrap();
        audio.take(0, &element);
        audio.take(1024, &element);
        assert_eq!(audio.drain(), [(0, unit.clone()), (1024, unit.clone())]);
    }
    let mut audio = open("mp4a-latm", 16000, 1, &[("config", &config)]).unwrap();
    audio.push(&Packet { marker: false, ..packet(0, &parts[..9]) }, 0, Instant::now());
    audio.take(0, &parts[9..]);
    assert_eq!(audio.drain(), [(0, unit)]);
}

#[test]
fn the_middle_of_an_element_does_not_tell_where_the_multiplex_is() {
    let config = declared(1);
    let mut audio = open("mp4a-latm", 16000, 1, &[("config", &config)]).unwrap();
    // Read as an element without its multiplex, this packet would be the beginning of a longer
    // element.
    audio.push(&Packet { marker: false, ..packet(0, &[200, 1, 1]) }, 0, Instant::now());
    let unit = noise(7, 40);
    for n in 1..4 {
        audio.take(n * 1024, &in_band(&[&unit], true));
    }
    assert_eq!(audio.drain().len(), 3);
}

#[test]
fn a_configuration_without_its_multiplex_will_do() {
    let parameters = [("cpresent", "0"), ("config", "1408")];
    let mut audio = open("mp4a-latm", 16000, 1, &parameters).unwrap();
    audio.take(0, &element(&[&[1, 2]]));
    assert_eq!(audio.sounds()[0].params.config[..], [0x14, 0x08]);
}

#[test]
fn units_of_constant_length_and_other_data_are_read() {
    let bits = Writer::default().put(2, 1).put(13, 0).put(16, 0x1408).put(3, 1).put(9, 1);
    // Ten bits of other data: 0 and its escape, then 10.
    let bits = bits.put(1, 1).put(1, 1).put(8, 0).put(1, 0).put(8, 10).put(1, 1).put(8, 0xcc);
    let config = hex(&bits.bytes);
    let parameters = [("cpresent", "0"), ("config", &config[..])];
    let mut audio = open("mp4a-latm", 16000, 1, &parameters).unwrap();
    let unit = noise(4, 21);
    audio.take(0, &[&unit[..], &[0xff, 0xc0]].concat());
    assert_eq!(audio.drain(), [(0, unit)]);
}

#[test]
fn a_fragmented_element_is_complete_when_its_length_came() {
    let unit = noise(5, 700);
    for markers in [[false; 3], [true; 3], [false, false, true]] {
        for element in [element(&[&unit]), in_band(&[&unit], false)] {
            let config = declared(1);
            let present = if element.len() == 703 { "0" } else { "1" };
            let parameters = [("cpresent", present), ("config", &config[..])];
            let mut audio = open("mp4a-latm", 16000, 1, &parameters).unwrap();
            let parts = [&element[..1], &element[1..300], &element[300..]];
            for (part, marker) in parts.into_iter().zip(markers) {
                audio.push(&Packet { marker, ..packet(7, part) }, 0, Instant::now());
            }
            assert_eq!((audio.drain(), audio.dropped()), (vec![(7, unit.clone())], 0));
        }
    }
}

#[test]
fn an_element_with_a_lost_part_is_dropped_and_no_other() {
    let whole = element(&[&noise(6, 300)]);
    let mut audio = plain(1);
    audio.push(&Packet { marker: false, ..packet(0, &whole[..100]) }, 0, Instant::now());
    audio.push(&packet(0, &whole[200..]), 1, Instant::now());
    audio.take(1024, &element(&[&[5]]));
    audio.push(&packet(2048, &element(&[&[6]])), 1, Instant::now());
    assert_eq!(audio.drain(), [(1024, vec![5]), (2048, vec![6])]);
    assert!(audio.dropped() > 0);
}

#[test]
fn nothing_is_taken_from_the_middle_of_the_first_element() {
    let mut audio = plain(1);
    let middle = [3, 1, 1, 1, 9, 9, 9];
    audio.take(0, &middle);
    audio.take(1024, &element(&[&[5]]));
    assert_eq!(audio.drain(), [(1024, vec![5])]);
}

#[test]
fn an_element_that_never_ends_takes_no_memory() {
    let mut audio = plain(1);
    let part = [255; 1400];
    for _ in 0..1000 {
        audio.push(&Packet { marker: false, ..packet(0, &part) }, 0, Instant::now());
    }
    assert!(audio.dropped() > 5);
    assert_eq!(audio.drain(), []);
}

#[test]
fn multiplexes_of_several_streams_are_refused_or_dropped() {
    let two = Writer::default().put(2, 1).put(6, 0).put(4, 1).put(3, 0).put(16, 0x1408);
    let config = hex(&two.put(16, 0).bytes);
    let refused = open("mp4a-latm", 16000, 1, &[("config", &config)]).unwrap_err();
    let want = "MP4A-LATM with several streams or error protection: set the camera's sound to \
                AAC-LC or G.711";
    assert_eq!(refused.to_string(), want);
    let refused = open("mp4a-latm", 16000, 1, &[("cpresent", "0")]).unwrap_err();
    assert_eq!(refused.offer, "MP4A-LATM without its configuration");

    let mut audio = open("mp4a-latm", 16000, 1, &[]).unwrap();
    audio.take(0, &[0x60, 0, 0, 0, 0]);
    assert_eq!((audio.drain(), audio.dropped()), (vec![], 1));
}

proptest! {
    #[test]
    fn every_split_of_elements_into_packets_gives_the_same_units(
        units in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 1..6),
        subframes in 1usize..4,
        cuts in prop::collection::vec(1usize..120, 1..8),
        within in any::<bool>(),
    ) {
        let mut cuts = cuts.into_iter().cycle();
        let mut audio =
            if within { open("mp4a-latm", 16000, 1, &[]).unwrap() } else { plain(subframes as u32) };
        let mut want = Vec::new();
        for (n, group) in (0u32..).zip(units.chunks_exact(subframes)) {
            let at = n * 1024 * subframes as u32;
            let group: Vec<_> = group.iter().map(|unit| &unit[..]).collect();
            let bytes = if within { in_band(&group, n % 2 == 1) } else { element(&group) };
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (part, tail) = rest.split_at(cuts.next().unwrap().min(rest.len()));
                let packet = Packet { marker: tail.is_empty(), ..packet(at, part) };
                audio.push(&packet, 0, Instant::now());
                rest = tail;
            }
            let times = (0..).map(|unit| at + 1024 * unit);
            want.extend(times.zip(group.into_iter().map(<[u8]>::to_vec)));
        }
        prop_assert_eq!(audio.drain(), want);
        prop_assert_eq!(audio.dropped(), 0);
    }
}
