use std::time::Duration;

use fdk_aac::dec::{Decoder, Transport as DecoderTransport};

use super::*;
use crate::segment::{Limits, SegmentEvent, Segmenter};
use crate::testing::picture;
use crate::ts::testing::Recorded;

const RATE: i64 = 8000;
/// Samples in 20 ms.
const PIECE: usize = 160;

fn params(codec: AudioCodec) -> Arc<AudioParams> {
    Arc::new(AudioParams { codec, sample_rate: 8000, channels: 1, config: Bytes::new() })
}

fn piece(params: &Arc<AudioParams>, dts: i64, byte: u8) -> Frame {
    Frame {
        track: Track::Audio(Arc::clone(params)),
        key: false,
        discontinuity: false,
        leading: false,
        pts: dts,
        dts,
        received: Instant::now(),
        data: vec![byte; PIECE].into(),
    }
}

/// Frames of 20 ms each from `start` on.
fn pieces(codec: AudioCodec, start: i64) -> impl Iterator<Item = Frame> {
    let params = params(codec);
    (0..).map(move |n| piece(&params, start + n * 1800, 0xd5))
}

fn times(transcoder: &mut Transcoder, frames: impl IntoIterator<Item = Frame>) -> Vec<i64> {
    let frames = frames.into_iter().flat_map(|frame| transcoder.frames(&frame).expect("G.711"));
    frames.map(|frame| frame.dts).collect()
}

#[test]
fn every_128_ms_come_out_where_they_went_in() {
    for codec in [AudioCodec::Pcma, AudioCodec::Pcmu] {
        let start = 1_234_567;
        let times = times(&mut Transcoder::default(), pieces(codec, start).take(500));
        assert_eq!(times[0], start);
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 1024 * CLOCK_HZ / RATE));
        let end = times.last().expect("some") + 1024 * CLOCK_HZ / RATE;
        let behind = start + 500 * 1800 - end;
        assert!((0..CLOCK_HZ * 4 / 10).contains(&behind), "{} ms behind", behind / 90);
    }
}

#[test]
fn other_frames_are_not_taken() {
    let mut transcoder = Transcoder::default();
    assert!(transcoder.frames(&picture(true, 0, 10, Instant::now())).is_none());
    assert!(
        transcoder
            .frames(&crate::ts::testing::sound(&crate::ts::testing::aac(48000), 0, &[1]))
            .is_none()
    );
    let odd = AudioParams { sample_rate: 8001, ..AudioParams::clone(&params(AudioCodec::Pcma)) };
    assert!(transcoder.frames(&piece(&Arc::new(odd), 0, 0)).is_none());
}

#[test]
fn jitter_moves_nothing_and_a_hole_becomes_silence() {
    let mut transcoder = Transcoder::default();
    let jitter = pieces(AudioCodec::Pcma, 0).take(100).enumerate().map(|(n, frame)| {
        let dts = frame.dts + (n as i64 * 37 % 20 - 10) * 90;
        Frame { dts, ..frame }
    });
    let mut all = times(&mut transcoder, jitter);
    // Half a second is lost, then it goes on.
    all.extend(times(&mut transcoder, pieces(AudioCodec::Pcma, 125 * 1800).take(100)));
    assert!(all.windows(2).all(|pair| pair[1] - pair[0] == 11_520), "{all:?}");
    let end = *all.last().expect("some");
    assert!((225 * 1800 - end) < CLOCK_HZ / 2, "nothing is missing");
}

#[test]
fn the_rest_comes_out_at_the_end() {
    let mut transcoder = Transcoder::default();
    assert!(transcoder.finish().is_empty());
    let mut all = times(&mut transcoder, pieces(AudioCodec::Pcma, 0).take(100));
    all.extend(transcoder.finish().iter().map(|frame| frame.dts));
    assert!(all.windows(2).all(|pair| pair[1] - pair[0] == 11_520), "{all:?}");
    let end = all.last().expect("some") + 11_520;
    assert!((100 * 1800..100 * 1800 + 11_520).contains(&end), "{end}");
    let again = times(&mut transcoder, pieces(AudioCodec::Pcma, 7).take(50));
    assert_eq!(again[0], 7);
}

#[test]
fn a_jump_begins_anew() {
    let mut transcoder = Transcoder::default();
    times(&mut transcoder, pieces(AudioCodec::Pcma, 0).take(100));
    for start in [600 * CLOCK_HZ, 3 * CLOCK_HZ, -7] {
        let times = times(&mut transcoder, pieces(AudioCodec::Pcma, start).take(100));
        assert_eq!(times[0], start);
    }
    let times = times(&mut transcoder, pieces(AudioCodec::Pcmu, 200 * 1800).take(100));
    assert_eq!(times[0], 200 * 1800, "another law");
}

#[test]
fn a_clock_that_steps_back_a_little_is_followed() {
    let mut transcoder = Transcoder::default();
    times(&mut transcoder, pieces(AudioCodec::Pcma, 0).take(100));
    let later = times(&mut transcoder, pieces(AudioCodec::Pcma, 100 * 1800 - 4500).take(100));
    assert!(later.iter().all(|at| (at + 4500) % 11_520 == 0), "{later:?}");
}

#[test]
fn sound_is_heard_when_it_was_made() {
    // Silence, then a square wave that begins in the middle of an access unit.
    const ONSET: i64 = 100;
    let params = params(AudioCodec::Pcma);
    let mut transcoder = Transcoder::default();
    let mut units = Vec::new();
    for n in 0..200 {
        let mut frame = piece(&params, n * 1800, 0xd5);
        if n >= ONSET {
            let wave = (0..PIECE).map(|n| if n / 7 % 2 == 0 { 0xaa } else { 0x2a });
            frame.data = wave.collect::<Vec<_>>().into();
        }
        units.extend(transcoder.frames(&frame).expect("G.711"));
    }
    let Track::Audio(output) = &units[0].track else { panic!("want sound") };
    let mut decoder = Decoder::new(DecoderTransport::Raw);
    decoder.config_raw(&output.config).expect("a configuration");
    let mut heard = None;
    for unit in &units {
        let mut samples = [0; 2048];
        assert_eq!(decoder.fill(&unit.data).expect("room"), unit.data.len());
        decoder.decode_frame(&mut samples).expect("an access unit");
        let channels = decoder.stream_info().numChannels as usize;
        let loud = samples.chunks(channels).take(1024).position(|s| s[0].abs() > 8000);
        let late = decoder.stream_info().outputDelay as i64;
        heard = heard.or(loud.map(|n| unit.dts + (n as i64 - late) * CLOCK_HZ / RATE));
    }
    let off = heard.expect("loud sound") - ONSET * 1800;
    assert!(off.abs() < CLOCK_HZ / 100, "{} ms off", off / 90);
}

#[test]
fn a_segment_has_the_sound_of_a_g711_camera() {
    let video = crate::ts::testing::h264();
    let mut frames: Vec<_> = (0..251)
        .map(|n| crate::ts::testing::picture(&video, n % 25 == 0, n * 3600, &[&[0x65, 1]]))
        .collect();
    frames.extend(pieces(AudioCodec::Pcmu, 0).take(500));
    frames.sort_by_key(|frame| frame.dts);
    let limits = Limits { duration: Duration::from_secs(5), max_bytes: u64::MAX };
    let (mut segmenter, mut recorded) = (Segmenter::new(limits), Recorded::default());
    let mut ends = 0;
    for frame in &frames {
        segmenter.push(frame);
        while let Some(cut) = segmenter.poll() {
            match cut {
                SegmentEvent::Group(group) => recorded.read(&group.chunks.concat()),
                SegmentEvent::End(_) => ends += 1,
            }
        }
    }
    assert_eq!(ends, 2);
    let heard = recorded.units.iter().filter(|unit| !unit.video);
    let starts: Vec<_> = heard.map(|unit| unit.pts).collect();
    assert!(starts.len() > 70, "{starts:?}");
    assert!(starts.windows(2).all(|pair| pair[1] - pair[0] == 11_520), "{starts:?}");
}
