use std::time::Instant;

use bytes::Bytes;
use proptest::prelude::*;

use super::testing::open;
use super::*;
use crate::flv::{Demuxer, file};
use crate::frame::{Frame, Track};

#[test]
fn what_the_agent_cannot_carry_says_what_to_set_instead() {
    let refused = open("g726-32", 8000, 1, &[]).unwrap_err();
    assert_eq!(refused.to_string(), "G726-32: set the camera's sound to AAC or G.711");
    for encoding in ["mpa", "l16", "g722", "opus", "g729", "g726-16", "PCMA "] {
        assert!(open(encoding, 8000, 1, &[]).is_err(), "{encoding}");
    }
    let refused = open("\u{1b}[31m\nx\u{7f}", 8000, 1, &[]).unwrap_err();
    assert_eq!(refused.offer, "[31MX", "nothing that confuses a log");
    assert!(open(&"x".repeat(9999), 8000, 1, &[]).unwrap_err().offer.len() < 40);
    assert_eq!(open("", 0, 0, &[]).unwrap_err().offer, "sound without a name");
}

#[test]
fn aac_that_players_do_not_know_is_refused() {
    let refused = |parameters: &[(&str, &str)]| {
        open("mpeg4-generic", 16000, 1, parameters).unwrap_err().to_string()
    };
    // Object type 39 is AAC-ELD, 8 is CELP.
    assert_eq!(
        refused(&[("config", "f8e85000")]),
        "MPEG4-GENERIC with audio object type 39: set the camera's sound to AAC-LC or G.711"
    );
    assert!(refused(&[("config", "4408")]).starts_with("MPEG4-GENERIC with audio object type 8"));
    assert!(refused(&[("mode", "CELP-vbr")]).starts_with("MPEG4-CELP: "));
    let refused = open("mpeg4-generic", 0, 1, &[]).unwrap_err();
    assert_eq!(refused.offer, "MPEG4-GENERIC without a sampling rate");
}

#[test]
fn the_sound_of_a_recording_survives_its_way_through_packets() {
    for file in ["h264_bframes.flv", "hevc.flv", "long_gop.flv"] {
        let path = format!("{}/../tests/fixtures/{file}", env!("CARGO_MANIFEST_DIR"));
        let bytes = Bytes::from(std::fs::read(path).unwrap());
        let (mut demuxer, mut audio, mut at) = (Demuxer::new(), None, 0u32);
        for tag in file::tags(bytes).unwrap() {
            let frame = demuxer.push(&tag.unwrap(), Instant::now()).unwrap();
            let Some(Frame { track: Track::Audio(params), data, .. }) = frame else { continue };
            let audio = audio.get_or_insert_with(|| {
                let config: String = params.config.iter().map(|b| format!("{b:02x}")).collect();
                open("mpeg4-generic", params.sample_rate, 1, &[("config", &config)]).unwrap()
            });
            let [high, low] = (data.len() as u16 * 8).to_be_bytes();
            audio.take(at, &[&[0, 16, high, low], &data[..]].concat());
            let sound = audio.poll().unwrap();
            assert_eq!((sound.timestamp, &sound.data), (at, &data));
            assert_eq!(sound.params, params, "as our FLV reader has them");
            at += 1024;
        }
        assert!(at > 20 * 1024, "{file} has sound");
    }
}

proptest! {
    #[test]
    fn anything_at_all_is_survived(
        kind in 0usize..6,
        rate in prop_oneof![any::<u32>(), Just(16000), Just(8000)],
        channels in 0u16..4,
        numbers in prop::collection::vec(0u32..40, 9),
        config in prop_oneof!["[0-9a-f]{0,20}", Just("1408".to_owned()), Just("40002810".to_owned())],
        payloads in prop::collection::vec(
            (
                prop::collection::vec(prop_oneof![any::<u8>(), 0u8..4, 254u8..], 0..60),
                0u32..3,
                0u32..3,
                any::<bool>(),
            ),
            0..40,
        ),
    ) {
        const NAMES: [&str; 9] = [
            "sizelength", "indexlength", "indexdeltalength", "ctsdeltalength", "dtsdeltalength",
            "randomaccessindication", "streamstateindication", "auxiliarydatasizelength",
            "constantsize",
        ];
        let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
        let mut parameters: Vec<(&str, &str)> = vec![("config", &config)];
        if kind == 1 {
            parameters.extend(NAMES.iter().zip(&numbers).map(|(name, n)| (*name, &n[..])));
        }
        let kinds =
            ["mpeg4-generic", "mpeg4-generic", "mp4a-latm", "mp4a-latm", "pcma", "pcmu"];
        if kind == 3 {
            parameters.push(("cpresent", "1"));
        }
        let Ok(mut audio) = open(kinds[kind], rate, channels, &parameters) else { return Ok(()) };
        let mut bytes = 0;
        for (payload, step, lost, marker) in &payloads {
            bytes += payload.len();
            let timestamp = step.wrapping_mul(0x7fff_fe00);
            let packet = Packet { marker: *marker, ..testing::packet(timestamp, payload) };
            audio.push(&packet, lost.saturating_sub(1), Instant::now());
        }
        let given: usize = audio.sounds().iter().map(|sound| sound.data.len()).sum();
        prop_assert!(given <= bytes, "{given} bytes out of {bytes}");
        prop_assert!(audio.clock_rate() > 0);
    }
}
