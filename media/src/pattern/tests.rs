//! The pattern is decoded again by a reader of its own subset, and read by a parser of others.

use std::sync::Mutex;

use h264_reader::nal::sps::SeqParameterSet;
use h264_reader::nal::{Nal as _, RefNal};

use super::canvas::Canvas;
use super::*;
use crate::bits::Bits;
use crate::frame::AudioCodec;
use crate::record::SetKind;

/// A scene that tests change.
struct Stage(Mutex<View>);

impl Scene for Stage {
    fn view(&self) -> View {
        self.0.lock().unwrap().clone()
    }
}

fn stage() -> Arc<Stage> {
    Arc::new(Stage(Mutex::new(busy(0))))
}

/// A scene in which everything changes with `at`.
fn busy(at: u32) -> View {
    let way = f64::from(at) / 20.0;
    View {
        present: true,
        title: "CH0 front door \u{5927}".to_owned(),
        pan: way.sin(),
        tilt: way.cos(),
        zoom: (way / 3.0).sin().abs(),
        moving: at % 40 < 30,
        motion: at % 50 > 25,
        line: at % 70 > 40,
        input: at % 30 > 20,
    }
}

fn drawn(at: u32, size: Size) -> Canvas {
    let time = UNIX_EPOCH + Duration::from_secs(1_800_000_000) + Duration::from_millis(67) * at;
    card::draw(&busy(at), size, time, u64::from(at))
}

/// Decodes what the encoder writes, and nothing else.
struct Decoder {
    canvas: Canvas,
    frame_num: u32,
}

impl Decoder {
    fn new(size: Size) -> Self {
        let (width, height) = size.coded();
        Self { canvas: Canvas::new(width, height, [0; 3]), frame_num: 0 }
    }

    fn decode(&mut self, unit: &[u8]) {
        let (length, nal) = unit.split_first_chunk().unwrap();
        assert_eq!(u32::from_be_bytes(*length) as usize, nal.len());
        assert!(!nal.windows(3).any(|bytes| bytes[..2] == [0, 0] && bytes[2] < 3));
        let key = nal[0] == 0x65;
        assert!(key || nal[0] == 0x61);
        let mut read = Reader { bits: Bits::new(&nal[1..]), bit: 0 };
        assert_eq!((read.ue(), read.ue(), read.ue()), (0, if key { 7 } else { 5 }, 0));
        let expected = if key { 0 } else { (self.frame_num + 1) % 16 };
        self.frame_num = read.u(4);
        assert_eq!(self.frame_num, expected);
        if key {
            assert!(read.ue() < 2);
            assert_eq!(read.u(2), 0);
        } else {
            assert_eq!(read.u(3), 0);
        }
        assert_eq!((read.ue(), read.ue()), (0, 1));
        let (columns, count) =
            (self.canvas.width / 16, self.canvas.width * self.canvas.height / 256);
        let (mut samples, mut at) = (vec![false; count], 0);
        while at < count {
            if !key {
                at += read.ue() as usize;
                if at == count {
                    break;
                }
            }
            let kind = read.ue() - if key { 0 } else { 5 };
            if kind == 25 {
                read.align();
                samples[at] = true;
                self.fill(at, |_| read.u(8) as u8);
            } else {
                let chroma = read.ue();
                assert_eq!(read.ue(), 0, "mb_qp_delta");
                let left = at % columns > 0 && samples[at - 1];
                let above = at >= columns && samples[at - columns];
                match left || above {
                    true => assert_eq!(read.u(6), 0b11),
                    false => assert_eq!(read.u(1), 1),
                }
                self.predict(at, kind, chroma);
            }
            at += 1;
        }
        assert_eq!(read.u(1), 1, "the payload ends");
    }

    /// Sets every sample of a macroblock: what it is given are the plane and the place in it.
    fn fill(&mut self, at: usize, mut sample: impl FnMut((usize, usize)) -> u8) {
        let columns = self.canvas.width / 16;
        for plane in 0..3 {
            let (side, length) = if plane == 0 { (16, columns * 16) } else { (8, columns * 8) };
            let from = at / columns * side * length + at % columns * side;
            for place in 0..side * side {
                let place = from + place / side * length + place % side;
                self.canvas.planes[plane][place] = sample((plane, place));
            }
        }
    }

    fn predict(&mut self, at: usize, luma: u32, chroma: u32) {
        let (columns, old) = (self.canvas.width / 16, self.canvas.clone());
        self.fill(at, |(plane, place)| {
            let (side, length) = if plane == 0 { (16, columns * 16) } else { (8, columns * 8) };
            let vertical = if plane == 0 { luma == 1 } else { chroma == 2 };
            assert!(vertical || if plane == 0 { luma == 2 } else { chroma == 1 });
            let (row, column) = (place / length, place % length);
            let from = match vertical {
                true => (row / side * side - 1) * length + column,
                false => row * length + column / side * side - 1,
            };
            old.planes[plane][from]
        });
    }
}

/// Reads bits and knows where bytes begin.
struct Reader<'a> {
    bits: Bits<'a>,
    bit: u32,
}

impl Reader<'_> {
    fn u(&mut self, count: u32) -> u32 {
        self.bit += count;
        self.bits.read(count).expect("the unit goes on")
    }

    fn ue(&mut self) -> u32 {
        let mut zeros = 0;
        while self.u(1) == 0 {
            zeros += 1;
        }
        (1 << zeros) - 1 + self.u(zeros)
    }

    fn align(&mut self) {
        while !self.bit.is_multiple_of(8) {
            assert_eq!(self.u(1), 0, "pcm_alignment_zero_bit");
        }
    }
}

#[test]
fn what_is_drawn_is_decoded_exactly() {
    for size in [Size::Main, Size::Sub] {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(size));
        for at in 0..60 {
            let canvas = drawn(at, size);
            decoder.decode(&encoder.encode(canvas.clone(), at % 25 == 0));
            assert!(decoder.canvas == canvas, "{size:?}: picture {at}");
        }
    }
}

#[test]
fn a_parser_of_others_reads_the_same_sets() {
    for size in [Size::Main, Size::Sub] {
        let params = params(size);
        let sets: Vec<_> = record::sets(VideoCodec::H264, &params.record).collect();
        assert!(matches!(sets[..], [(SetKind::Sps, _), (SetKind::Pps, _)]));
        let nal = RefNal::new(sets[0].1, &[], true);
        let sps = SeqParameterSet::from_bits(nal.rbsp_bits()).unwrap();
        let (width, height) = size.shown();
        assert_eq!(sps.pixel_dimensions().unwrap(), (width.into(), height.into()));
        assert_eq!(sps.fps(), Some(f64::from(size.fps())));
        let restrictions = sps.vui_parameters.unwrap().bitstream_restrictions.unwrap();
        assert_eq!(restrictions.max_num_reorder_frames, 0);
        let ours = crate::sps::h264(sets[0].1).unwrap();
        assert_eq!((ours.dimensions, ours.reorder_depth), (params.dimensions, Some(0)));
    }
}

#[tokio::test(start_paused = true)]
async fn it_comes_in_real_time_with_a_key_frame_every_two_seconds() {
    for (size, fps) in [(Size::Main, 15), (Size::Sub, 10)] {
        let stage = stage();
        let mut source = PatternOpener::new(stage.clone(), size).open().await.unwrap();
        assert!(source.has_sound());
        let (begun, mut keys, mut bytes) = (Instant::now(), Vec::new(), 0);
        let (mut video, mut audio) = (Vec::new(), Vec::new());
        while video.len() < fps * 6 + 1 {
            *stage.0.lock().unwrap() = busy(video.len() as u32);
            let frame = source.frame().await.unwrap();
            let passed = begun.elapsed();
            let due = ticks_to_duration(frame.dts);
            assert!(passed >= due && passed < due + Duration::from_millis(5));
            assert_eq!((frame.pts, frame.discontinuity), (frame.dts, false));
            match frame.is_video() {
                true => {
                    keys.extend(frame.key.then_some(frame.dts));
                    bytes += frame.data.len();
                    video.push(frame.dts);
                }
                false => audio.push(frame.dts),
            }
        }
        assert_eq!(keys, [0, 2, 4, 6].map(|seconds| seconds * CLOCK_HZ));
        for times in [&video, &audio] {
            assert!(times.windows(2).all(|pair| pair[0] < pair[1]));
        }
        assert_eq!(audio.len(), 94, "6 s of 64 ms each");
        let rate = bytes * 8 / 6;
        println!("{size:?}: {rate} bit/s while everything changes");
        assert!(rate < 2_500_000, "{size:?}: {rate} bit/s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_ends_the_picture_and_it_comes_back() {
    let stage = stage();
    let opener = PatternOpener::new(stage.clone(), Size::Sub).with_sound(Sound::None);
    let mut source = opener.open().await.unwrap();
    assert!(!source.has_sound());
    source.frame().await.unwrap();
    stage.0.lock().unwrap().present = false;
    for error in [source.frame().await.err(), opener.open().await.err()] {
        let told = error.unwrap().to_string();
        let expected = "camera CH0 front door 大 is unreachable: the emulated camera restarts";
        assert_eq!(told, expected);
    }
    stage.0.lock().unwrap().present = true;
    assert!(opener.open().await.unwrap().frame().await.unwrap().key);
}

#[tokio::test(start_paused = true)]
async fn a_late_pattern_goes_on_from_now() {
    let mut source = PatternOpener::new(stage(), Size::Sub).open().await.unwrap();
    source.frame().await.unwrap();
    tokio::time::advance(Duration::from_secs(100)).await;
    let resumed = Instant::now();
    while source.frame().await.unwrap().dts < 2 * CLOCK_HZ {}
    assert!(resumed.elapsed() > Duration::from_millis(1500), "it does not catch up");
}

#[tokio::test(start_paused = true)]
async fn the_tone_is_telephone_sound() {
    let opener = PatternOpener::new(stage(), Size::Sub).with_sound(Sound::Tone);
    let mut source = opener.open().await.unwrap();
    let frame = loop {
        let frame = source.frame().await.unwrap();
        if !frame.is_video() {
            break frame;
        }
    };
    let Track::Audio(params) = &frame.track else { panic!("sound") };
    assert_eq!((params.codec, params.sample_rate), (AudioCodec::Pcma, 8000));
    let samples: Vec<_> = frame.data.iter().map(|b| crate::g711::Law::A.decode(*b)).collect();
    assert_eq!(samples.len(), 320);
    assert!(samples.iter().any(|s| *s > 1000) && samples.iter().any(|s| *s < -1000));
}

#[test]
fn what_moves_and_what_alarms_is_seen() {
    let time = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let still = View { present: true, title: "camera".to_owned(), ..View::default() };
    let draw = |view: &View| card::draw(view, Size::Sub, time, 7);
    let shown = draw(&still);
    for other in [
        View { pan: 0.1, ..still.clone() },
        View { tilt: -0.1, ..still.clone() },
        View { zoom: 0.1, ..still.clone() },
        View { moving: true, ..still.clone() },
        View { motion: true, ..still.clone() },
        View { line: true, ..still.clone() },
        View { input: true, ..still.clone() },
        View { title: "another".to_owned(), ..still.clone() },
    ] {
        assert!(draw(&other) != shown, "{other:?}");
    }
    assert!(card::draw(&still, Size::Sub, time + Duration::from_millis(10), 7) != shown);
    assert!(card::draw(&still, Size::Sub, time, 8) != shown);
    let wild = View { pan: f64::NAN, tilt: f64::INFINITY, zoom: -1e300, ..still };
    draw(&View { title: "x".repeat(1000), ..wild });
}

#[test]
fn a_picture_is_a_jpeg_file_of_its_size() {
    for (size, dimensions) in [(Size::Main, [1, 104, 2, 128]), (Size::Sub, [0, 180, 1, 64])] {
        let file = picture(&busy(3), size);
        assert!(file.starts_with(&[0xff, 0xd8]) && file.ends_with(&[0xff, 0xd9]));
        let frame = file.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
        assert_eq!(file[frame + 5..frame + 9], dimensions);
    }
}

/// Needs ffmpeg: `cargo test -p ivt-media --lib ffmpeg -- --ignored`. `make interop` runs it.
#[test]
#[ignore = "needs ffmpeg"]
fn ffmpeg_shows_exactly_what_was_drawn() {
    let folder = tempfile::tempdir().unwrap();
    for size in [Size::Main, Size::Sub] {
        let (stream, raw) = (folder.path().join("a.h264"), folder.path().join("a.yuv"));
        let (mut encoder, mut bytes, mut expected) = (Encoder::new(), Vec::new(), Vec::new());
        let params = params(size);
        for at in 0..100 {
            let key = at % 30 == 0;
            if key {
                for (_, set) in record::sets(VideoCodec::H264, &params.record) {
                    bytes.extend_from_slice(&[&[0, 0, 0, 1], set].concat());
                }
            }
            let canvas = drawn(at, size);
            let ((width, height), coded) = (size.shown(), canvas.width);
            let (width, height) = (usize::from(width), usize::from(height));
            assert_eq!(width, coded);
            expected.extend_from_slice(&canvas.planes[0][..width * height]);
            expected.extend_from_slice(&canvas.planes[1][..width * height / 4]);
            expected.extend_from_slice(&canvas.planes[2][..width * height / 4]);
            bytes.extend_from_slice(&[0, 0, 0, 1]);
            bytes.extend_from_slice(&encoder.encode(canvas, key)[4..]);
        }
        std::fs::write(&stream, bytes).unwrap();
        let ffmpeg = |arguments: &[&str]| {
            let output = std::process::Command::new("ffmpeg")
                .args(["-v", "warning", "-y"])
                .args(arguments)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success() && said.is_empty(), "ffmpeg: {said}");
        };
        let (stream, raw) = (stream.to_str().unwrap(), raw.to_str().unwrap());
        ffmpeg(&["-i", stream, "-f", "rawvideo", "-fps_mode", "passthrough", raw]);
        assert!(std::fs::read(raw).unwrap() == expected, "{size:?}: another picture");
        let jpeg = folder.path().join("a.jpg");
        std::fs::write(&jpeg, jpeg::encode(&drawn(99, size), size.shown())).unwrap();
        ffmpeg(&["-i", jpeg.to_str().unwrap(), "-f", "rawvideo", raw]);
        let shown = std::fs::read(raw).unwrap();
        let luma = usize::from(size.shown().0) * usize::from(size.shown().1);
        let full = |sample: u8| (f32::from(sample) - 16.0) * 255.0 / 219.0;
        let canvas = drawn(99, size);
        let errors = shown[..luma].iter().zip(&canvas.planes[0]);
        let most = errors.map(|(a, b)| (f32::from(*a) - full(*b)).abs() as u32).max();
        assert!(most < Some(24), "{size:?}: the JPEG is off by {most:?}");
        if let Ok(kept) = std::env::var("KEEP_PATTERN") {
            std::fs::copy(&jpeg, format!("{kept}/{size:?}.jpg")).unwrap();
            std::fs::copy(stream, format!("{kept}/{size:?}.h264")).unwrap();
        }
    }
}
