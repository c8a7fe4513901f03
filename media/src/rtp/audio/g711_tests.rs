use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::flv::{Demuxer, file};
use crate::rtp::audio::Audio;
use crate::rtp::audio::testing::{open, packet};

const LAWS: [Law; 2] = [Law::A, Law::Mu];

fn audio(law: Law, rate: u32, channels: u16) -> Audio {
    open(if law == Law::A { "pcma" } else { "pcmu" }, rate, channels, &[]).unwrap()
}

/// A second of 1 kHz at `rate` on each channel.
fn tone(law: Law, rate: u32, channels: usize) -> Vec<u8> {
    let samples = (0..rate).map(|n| {
        let phase = f64::from(n) * 1000.0 / f64::from(rate) * std::f64::consts::TAU;
        law.encode((phase.sin() * 10_000.0) as i16)
    });
    samples.flat_map(|byte| vec![byte; channels]).collect()
}

/// For sound at 8 kHz: the part of its energy that lies at `frequency`, and the amplitude there.
fn energy(samples: &[i16], frequency: f64) -> (f64, f64) {
    let (mut re, mut im, mut all) = (0.0, 0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        let phase = n as f64 * frequency / 8000.0 * std::f64::consts::TAU;
        re += f64::from(*sample) * phase.cos();
        im += f64::from(*sample) * phase.sin();
        all += f64::from(*sample).powi(2);
    }
    let len = samples.len() as f64;
    ((re * re + im * im) * 2.0 / len / all, (re * re + im * im).sqrt() * 2.0 / len)
}

#[test]
fn eight_kilohertz_and_one_channel_pass_as_they_are() {
    let bytes: Vec<u8> = (0..=255).collect();
    for law in LAWS {
        for (rate, channels) in [(8000, 1), (0, 0)] {
            let mut audio = audio(law, rate, channels);
            audio.take(3, &bytes);
            audio.take(259, &[1; 8000]);
            let sounds = audio.sounds();
            assert_eq!((sounds[0].timestamp, &sounds[0].data[..]), (3, &bytes[..]));
            assert_eq!(sounds[1].data.len(), 8000);
            let params = &sounds[0].params;
            assert_eq!((params.sample_rate, params.channels, audio.clock_rate()), (8000, 1, 8000));
            let codec = if law == Law::A { AudioCodec::Pcma } else { AudioCodec::Pcmu };
            assert_eq!((params.codec, params.config.len()), (codec, 0));
        }
    }
}

#[test]
fn other_rates_and_channels_give_the_same_tone() {
    for law in LAWS {
        for (rate, channels) in
            [(8000, 2), (16000, 1), (16000, 2), (11025, 1), (44100, 1), (48000, 2), (96000, 8)]
        {
            let mut audio = audio(law, rate, channels);
            let mut sounds = Vec::new();
            let bytes = tone(law, rate, channels.into());
            for (n, part) in (0..).zip(bytes.chunks(320 * usize::from(channels))) {
                audio.take(n * 320, part);
                sounds.extend(audio.sounds());
            }
            assert!(sounds.iter().all(|one| one.params.sample_rate == 8000));
            assert_eq!((sounds[3].timestamp, audio.clock_rate()), (960, rate));
            let bytes = sounds.iter().flat_map(|one| one.data.to_vec());
            let samples: Vec<_> = bytes.map(|byte| law.decode(byte)).collect();
            assert!((7999..=8000).contains(&samples.len()), "{}", samples.len());
            let (share, amplitude) = energy(&samples, 1000.0);
            assert!(share > 0.99, "{law:?} {rate}/{channels}: {share}");
            assert!((9_000.0..10_500.0).contains(&amplitude), "{rate}/{channels}: {amplitude}");
        }
    }
}

#[test]
fn what_lies_between_channels_is_their_mean() {
    let mut audio = audio(Law::Mu, 8000, 2);
    let (a, b) = (Law::Mu.encode(1000), Law::Mu.encode(-1000));
    audio.take(0, &[a, b, a, a, b]);
    let got: Vec<_> = audio.drain()[0].1.iter().map(|byte| Law::Mu.decode(*byte)).collect();
    assert_eq!(got, [0, Law::Mu.decode(a)], "half a sample is none");
}

#[test]
fn a_loss_begins_anew() {
    let mut audio = audio(Law::A, 16000, 1);
    audio.take(0, &[Law::A.encode(30000); 3]);
    audio.push(&packet(9, &[Law::A.encode(8); 2]), 1, Instant::now());
    assert_eq!(audio.drain()[1].1, [Law::A.encode(8)]);
}

#[test]
fn rates_and_channels_beyond_all_reason_are_refused() {
    for (rate, channels) in [(7999, 1), (192_001, 1), (8000, 9)] {
        assert!(open("pcma", rate, channels, &[]).is_err());
    }
    let refused = open("pcmu", 500, 1, &[]).unwrap_err();
    let want =
        "G.711 at 500 Hz with 1 channels: set the camera's sound to 8000 Hz with one channel";
    assert_eq!(refused.to_string(), want);
}

#[test]
fn the_sound_of_a_recording_survives_its_way_through_packets() {
    for (law, file) in [(Law::A, "pcma.flv"), (Law::Mu, "pcmu.flv")] {
        let path = format!("{}/../tests/fixtures/{file}", env!("CARGO_MANIFEST_DIR"));
        let (mut demuxer, mut audio) = (Demuxer::new(), audio(law, 8000, 1));
        let (mut sent, mut at) = (Vec::new(), 0);
        for tag in file::tags(Bytes::from(std::fs::read(path).unwrap())).unwrap() {
            let frame = demuxer.push(&tag.unwrap(), Instant::now()).unwrap();
            let Some(frame) = frame.filter(|frame| !frame.is_video()) else { continue };
            audio.take(at, &frame.data);
            at += frame.data.len() as u32;
            sent.extend_from_slice(&frame.data);
        }
        assert!(sent.len() > 8000);
        let got: Vec<u8> = audio.drain().into_iter().flat_map(|(_, data)| data).collect();
        assert_eq!(got, sent);
    }
}

proptest! {
    #[test]
    fn every_split_into_packets_gives_the_same_sound(
        samples in prop::collection::vec(any::<u8>(), 0..500),
        cuts in prop::collection::vec(1usize..60, 1..6),
        rate in 8000u32..=192_000,
        channels in 1u16..=3,
    ) {
        let width = usize::from(channels);
        let whole = &samples[..samples.len() / width * width];
        let mut one = audio(Law::A, rate, channels);
        one.take(0, whole);
        let mut many = audio(Law::A, rate, channels);
        let mut rest = whole;
        for cut in cuts.into_iter().cycle() {
            let (part, tail) = rest.split_at((cut * width).min(rest.len()));
            many.take(0, part);
            rest = tail;
            if rest.is_empty() {
                break;
            }
        }
        let sound = |audio: &mut Audio| -> Vec<u8> {
            audio.drain().into_iter().flat_map(|(_, data)| data).collect()
        };
        prop_assert_eq!(sound(&mut one), sound(&mut many));
    }
}
