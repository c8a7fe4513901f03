//! Seeds that are binary: packets of pictures, sound and reports, and times.

use std::io;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ivt_media::flv::{Demuxer, file};
use ivt_media::frame::{Frame, Track, VideoCodec};
use ivt_media_fuzz::video;

use crate::{Input, Seeds};

/// Bytes of a NAL unit that are kept, since no reader looks further.
const NAL: usize = 90;

/// An RTP packet of payload type 96.
pub fn rtp(sequence: u16, time: u32, marker: bool, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 96 | u8::from(marker) << 7];
    packet.extend(sequence.to_be_bytes());
    packet.extend(time.to_be_bytes());
    packet.extend([0, 0, 0, 1]);
    packet.extend(payload);
    packet
}

/// A sender report whose wall clock is at so many milliseconds.
pub fn report(ssrc: u8, ms: u32, time: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 200, 0, 6, 0, 0, 0, ssrc];
    packet.extend((3_900_000_000 + ms / 1000).to_be_bytes());
    packet.extend((ms % 1000 * 4_294_967).to_be_bytes());
    packet.extend(time.to_be_bytes());
    packet.extend([0, 0, 0, 9, 0, 0, 9, 9]);
    packet
}

fn fixture(name: &str) -> io::Result<Vec<u8>> {
    std::fs::read(format!("{}/../../tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR")))
}

fn frames(name: &str, video: bool) -> io::Result<Vec<Frame>> {
    let mut demuxer = Demuxer::new();
    let tags = file::tags(fixture(name)?.into()).map_err(io::Error::other)?;
    let frames = tags.map(|tag| {
        demuxer.push(&tag.map_err(io::Error::other)?, Instant::now()).map_err(io::Error::other)
    });
    let frames: Result<Vec<_>, io::Error> = frames.collect();
    Ok(frames?.into_iter().flatten().filter(|frame| frame.is_video() == video).collect())
}

/// A picture: its time and its NAL units, cut short.
struct Picture {
    time: u32,
    nals: Vec<Vec<u8>>,
}

/// The first pictures of a recording, and its parameter sets.
fn recording(name: &str) -> io::Result<(Vec<Picture>, Vec<Vec<u8>>)> {
    let frames = frames(name, true)?;
    let mut sets = Vec::new();
    if let Some(Frame { track: Track::Video(params), .. }) = frames.first() {
        sets = record_sets(params.codec, &params.record);
    }
    let pictures = frames.iter().take(9);
    let pictures =
        pictures.map(|frame| Picture { time: frame.pts as u32, nals: nals(&frame.data) });
    Ok((pictures.collect(), sets))
}

/// The NAL units behind their lengths.
fn nals(mut data: &[u8]) -> Vec<Vec<u8>> {
    let mut nals = Vec::new();
    while let Some((len, rest)) = data.split_first_chunk() {
        let (nal, rest) = rest.split_at(u32::from_be_bytes(*len) as usize);
        nals.push(nal[..nal.len().min(NAL)].to_vec());
        data = rest;
    }
    nals
}

/// The NAL units behind start codes of 3 bytes; the zero of a longer code belongs to the unit
/// before.
fn byte_stream(stream: &[u8]) -> Vec<&[u8]> {
    let codes = stream.windows(3).enumerate().filter(|(_, three)| *three == b"\0\0\x01");
    let starts: Vec<usize> = codes.map(|(at, _)| at + 3).collect();
    let ends = starts.iter().skip(1).map(|next| next - 3).chain([stream.len()]);
    starts.iter().zip(ends).map(|(start, end)| &stream[*start..end]).collect()
}

/// The parameter sets of a decoder configuration record (ISO/IEC 14496-15 5.3.3.1 and 8.3.3.1).
fn record_sets(codec: VideoCodec, record: &Bytes) -> Vec<Vec<u8>> {
    let (mut sets, mut rest) = match codec {
        VideoCodec::H264 => (Vec::new(), &record[5..]),
        VideoCodec::H265 => (Vec::new(), &record[23..]),
    };
    while !rest.is_empty() {
        let count = match codec {
            VideoCodec::H264 => usize::from(rest[0] & 31),
            VideoCodec::H265 => usize::from(u16::from_be_bytes([rest[1], rest[2]])),
        };
        rest = &rest[if codec == VideoCodec::H264 { 1 } else { 3 }..];
        for _ in 0..count {
            let (len, tail) = rest.split_first_chunk().expect("a length");
            let (set, tail) = tail.split_at(u16::from_be_bytes(*len).into());
            sets.push(set.to_vec());
            rest = tail;
        }
        if codec == VideoCodec::H264 && sets.len() == 2 {
            break;
        }
    }
    sets
}

/// How pictures become packets.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Whole,
    Fragments,
    Aggregates,
    ByteStream,
    NoMarkers,
    Losses,
    Long,
}

/// Writes seeds of pictures.
pub fn pictures(h264: &Seeds, h265: &Seeds) -> io::Result<()> {
    for (seeds, codec, name) in
        [(h264, VideoCodec::H264, "h264_bframes.flv"), (h265, VideoCodec::H265, "hevc.flv")]
    {
        let (pictures, sets) = recording(name)?;
        for (name, form) in [
            ("whole", Form::Whole),
            ("fragments", Form::Fragments),
            ("aggregates", Form::Aggregates),
            ("byte_stream", Form::ByteStream),
            ("no_markers", Form::NoMarkers),
            ("losses", Form::Losses),
            ("long", Form::Long),
        ] {
            write_video(seeds, codec, name, &input(codec, &pictures, &sets, form))?;
        }
    }
    for name in ["slices", "intrarefresh"] {
        let stream = fixture(&format!("{name}.h264"))?;
        let mut input = Input::new(0, b"");
        for (n, nal) in byte_stream(&stream).into_iter().take(24).enumerate() {
            let nal = &nal[..nal.len().min(NAL)];
            input = input.then(0, 10, &rtp(n as u16, n as u32 / 4 * 6000, n % 4 == 3, nal));
        }
        write_video(h264, VideoCodec::H264, name, &input)?;
    }
    Ok(())
}

/// Writes a seed, which must give pictures to be worth anything.
fn write_video(seeds: &Seeds, codec: VideoCodec, name: &str, input: &Input) -> io::Result<()> {
    let pictures = video::run(codec, &input.0);
    assert!(pictures > 0, "{name} gives none");
    seeds.write(name, &input.0)
}

fn input(codec: VideoCodec, pictures: &[Picture], sets: &[Vec<u8>], form: Form) -> Input {
    let described = matches!(form, Form::Whole | Form::Fragments | Form::Long);
    let text: Vec<_> = sets.iter().map(|set| STANDARD.encode(set)).collect();
    let mut input =
        Input::new(0, if described { text.join(",") } else { String::new() }.as_bytes());
    let mut sequence = 0;
    let mut send = |how, wait, time, marker, payload: &[u8]| {
        sequence += 1;
        let whole = std::mem::take(&mut input);
        input = whole.then(how, wait, &rtp(sequence, time, marker, payload));
    };
    for (n, Picture { time, nals }) in pictures.iter().enumerate() {
        let in_band = if n % 4 == 0 && !described { sets } else { &[] };
        let nals: Vec<&[u8]> = in_band.iter().chain(nals).map(Vec::as_slice).collect();
        let payloads: Vec<Vec<u8>> = match form {
            Form::Aggregates => vec![aggregate(codec, &nals)],
            Form::ByteStream => {
                vec![nals.iter().flat_map(|nal| [b"\0\0\0\x01", *nal].concat()).collect()]
            }
            Form::Fragments | Form::NoMarkers => {
                nals.iter().flat_map(|nal| fragments(codec, nal)).collect()
            }
            _ => nals.iter().map(|nal| nal.to_vec()).collect(),
        };
        let count = payloads.len();
        for (at, payload) in payloads.iter().enumerate() {
            let marker = at + 1 == count && form != Form::NoMarkers;
            let how = match form {
                Form::Losses if n % 3 == 2 => 2,
                Form::Long if n % 2 == 1 => 0x18 | 0x40,
                _ => 0,
            };
            send(how, if at == 0 { 40 } else { 0 }, *time, marker, payload);
        }
    }
    input
}

/// Fragments of a NAL unit: FU-A or FU.
pub fn fragments(codec: VideoCodec, nal: &[u8]) -> Vec<Vec<u8>> {
    let (header, body) = nal.split_at(if codec == VideoCodec::H264 { 1 } else { 2 });
    let count = body.chunks(40).len();
    let pieces = body.chunks(40).enumerate().map(|(n, piece)| {
        let bits = u8::from(n == 0) << 7 | u8::from(n + 1 == count) << 6;
        let head = match codec {
            VideoCodec::H264 => vec![header[0] & 0xe0 | 28, bits | header[0] & 31],
            VideoCodec::H265 => vec![49 << 1, header[1], bits | header[0] >> 1],
        };
        [&head[..], piece].concat()
    });
    pieces.collect()
}

/// An aggregation packet: STAP-A or AP.
fn aggregate(codec: VideoCodec, nals: &[&[u8]]) -> Vec<u8> {
    let mut packet = if codec == VideoCodec::H264 { vec![0x78] } else { vec![48 << 1, 1] };
    for nal in nals {
        packet.extend((nal.len() as u16).to_be_bytes());
        packet.extend(*nal);
    }
    packet
}

/// Writes seeds of sound.
pub fn sounds(seeds: &Seeds) -> io::Result<()> {
    let aac: Vec<Vec<u8>> = frames("h264_bframes.flv", false)?
        .iter()
        .take(12)
        .map(|frame| frame.data.to_vec())
        .collect();
    let hbr = b"mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=1408";
    let unit = |data: &[u8]| [&[0, 16][..], &(data.len() as u16 * 8).to_be_bytes(), data].concat();
    let mut input = Input::new(4, hbr);
    for (n, data) in aac.iter().enumerate() {
        input = input.then(0, 64, &rtp(n as u16, n as u32 * 1024, true, &unit(data)));
    }
    seeds.write("aac", &input.0)?;
    // Several units in a packet, then one unit in several.
    let (a, b) = (&aac[1], &aac[2]);
    let sizes = [a.len() as u16 * 8, b.len() as u16 * 8].map(u16::to_be_bytes);
    let both = [&[0, 32][..], &sizes.concat(), a, b].concat();
    let whole = unit(&a.repeat(3));
    let head = &whole[..4];
    let (first, second) = whole[4..].split_at(whole.len() / 2);
    let input = Input::new(4, hbr)
        .then(0, 64, &rtp(1, 0, true, &both))
        .then(0, 64, &rtp(2, 2048, false, &[head, first].concat()))
        .then(0, 1, &rtp(3, 2048, true, &[head, second].concat()))
        .then(2, 64, &rtp(6, 5120, true, &both));
    seeds.write("aac_parts", &input.0)?;
    let adts = [&b"\xff\xf1\x60\x40\x03\x1f\xfc"[..], &[0x21; 17]].concat();
    let input = Input::new(4, hbr).then(0, 64, &rtp(1, 0, true, &adts));
    seeds.write("aac_adts", &input.then(0, 64, &rtp(2, 1024, true, &unit(&adts))).0)?;
    let interleaved = b"mode=AAC-hbr;sizelength=6;indexlength=2;indexdeltalength=2;constantduration=1024;config=1408";
    let input = Input::new(4, interleaved).then(0, 64, &rtp(1, 0, true, b"\0\x10\x10\x11abcdefgh"));
    seeds.write(
        "aac_interleaved",
        &input.then(0, 1, &rtp(2, 1024, true, b"\0\x10\x10\x11abcdefgh")).0,
    )?;

    // The StreamMuxConfig (ISO/IEC 14496-3 1.7.3) has one program of one layer, AAC-LC at 16 kHz,
    // one channel.
    let mux = "0100000000000000001010000001000000".to_owned() + "11111111" + "00";
    let config: String = octets(&mux).iter().map(|byte| format!("{byte:02x}")).collect();
    let mut input = Input::new(5, format!("cpresent=0;config={config}").as_bytes());
    let mut in_band = Input::new(5, b"cpresent=1");
    for (n, data) in aac.iter().take(6).enumerate() {
        let (number, time) = (n as u16, n as u32 * 1024);
        let plain = [&[data.len() as u8][..], data].concat();
        input = input.then(0, 64, &rtp(number, time, true, &plain));
        let bits: String = plain.iter().map(|byte| format!("{byte:08b}")).collect();
        let head = if n == 0 { format!("0{mux}") } else { "1".into() };
        in_band = in_band.then(0, 64, &rtp(number, time, true, &octets(&(head + &bits))));
    }
    seeds.write("latm", &input.0)?;
    seeds.write("latm_in_band", &in_band.0)?;

    for (name, how) in [("pcma", 2), ("pcmu", 3), ("pcma_stereo_16k", 2 | 1 << 2 | 2 << 5)] {
        let mut input = Input::new(how, b"");
        for (n, frame) in frames(&format!("{}.flv", &name[..4]), false)?.iter().take(6).enumerate()
        {
            let lost = u8::from(n == 4);
            let samples = &frame.data[..frame.data.len().min(320)];
            input = input.then(lost, 40, &rtp(n as u16, n as u32 * 320, n == 0, samples));
        }
        seeds.write(name, &input.0)?;
    }
    Ok(())
}

fn octets(bits: &str) -> Vec<u8> {
    let octet =
        |bits: &[u8]| bits.iter().fold(0, |byte, bit| byte << 1 | (bit - b'0')) << (8 - bits.len());
    bits.as_bytes().chunks(8).map(octet).collect()
}

/// Writes seeds of packets out of order, with reports.
pub fn orders(seeds: &Seeds) -> io::Result<()> {
    let all = |numbers: &[u16]| {
        let mut input = Input::new(4, b"");
        for (n, sequence) in numbers.iter().enumerate() {
            let packet = rtp(*sequence, n as u32 * 3600, true, b"x");
            input = input.then(n as u8 % 2, 20, &packet);
            if n % 10 == 0 {
                input = input.then(n as u8 % 2, 0, &report(1, n as u32 * 20, n as u32 * 3600));
            }
        }
        input.0
    };
    let row: Vec<u16> = (0..60).map(|n| 65_520u16.wrapping_add(n / 2)).collect();
    seeds.write("in_order", &all(&row))?;
    let mut swapped = row.clone();
    swapped.chunks_mut(6).for_each(<[u16]>::reverse);
    seeds.write("swapped", &all(&swapped))?;
    let lossy: Vec<u16> = row.iter().copied().filter(|n| n % 5 != 0).collect();
    seeds.write("lossy", &all(&lossy))?;
    let twice: Vec<u16> = row.iter().flat_map(|n| [*n, *n]).collect();
    seeds.write("twice", &all(&twice))?;
    seeds.write("repeated", &all(&[7; 60]))?;
    let restarts: Vec<u16> = (0..60).map(|n| n % 20 * 3 + n / 20 * 9000).collect();
    seeds.write("restarts", &all(&restarts))?;
    let mut reports = Input::new(4, b"");
    for n in 0..20 {
        let ms = u32::from(n) * 1000;
        reports = reports
            .then(0, 127, &rtp(n, ms * 90, true, b"x"))
            .then(0, 1, &report(1, ms, ms * 90))
            .then(1, 1, &rtp(n, ms * 8, true, b"x"))
            .then(1, 1, &[&report(2, ms + 700, ms * 8)[..], b"\x81\xcb\0\x01\0\0\0\x02"].concat());
    }
    seeds.write("reports", &reports.0)
}

/// What comes, how often, after how many milliseconds, how much later it is shown, and the step of
/// the clock.
type Step = (u8, u8, u8, u8, i32);

/// Writes seeds of frames and their times.
pub fn times(seeds: &Seeds) -> io::Result<()> {
    let table: [(&str, &[Step]); 13] = [
        ("steady", &[(1, 255, 40, 0, 3600), (1, 255, 40, 0, 3600)]),
        ("with_sound", &[(5, 255, 40, 0, 3600), (5, 255, 40, 1, 3600)]),
        ("reordered", &[(0x41, 100, 40, 225, 3600)]),
        ("slow", &[(1, 50, 40, 0, 3600), (1, 255, 40, 0, 3000)]),
        ("fast", &[(5, 255, 40, 0, 4400), (5, 255, 40, 0, 4400)]),
        ("milliseconds", &[(5, 255, 40, 0, 40), (5, 255, 40, 0, 40)]),
        ("frozen", &[(5, 50, 40, 0, 3600), (5, 100, 40, 0, 0), (5, 100, 40, 0, 3600)]),
        (
            "jump",
            &[
                (5, 50, 40, 0, 3600),
                (5, 0, 40, 0, 90_000_000),
                (5, 50, 40, 0, 3600),
                (0x35, 0, 0, 0, 7),
            ],
        ),
        (
            "back",
            &[
                (5, 50, 40, 0, 3600),
                (5, 0, 40, 0, -30_000),
                (5, 50, 40, 0, 3600),
                (0x35, 0, 0, 0, -7),
            ],
        ),
        ("reopened", &[(5, 90, 40, 0, 3600), (7, 0, 200, 0, -900_000), (5, 90, 40, 0, 3600)]),
        (
            "burst",
            &[
                (5, 90, 2, 0, 3600),
                (5, 90, 40, 0, 3600),
                (5, 0, 180, 0, 3600),
                (13, 90, 0, 0, 3600),
            ],
        ),
        (
            "noise",
            &[
                (5, 3, 40, 0, 9000),
                (5, 3, 40, 0, -7000),
                (5, 3, 40, 0, 90_000),
                (5, 9, 40, 0, -1),
                (5, 9, 40, 0, 1),
            ],
        ),
        (
            "extremes",
            &[(1, 0, 0, 0, i32::MAX), (0x31, 9, 40, 255, i32::MAX), (0xF5, 9, 40, 255, i32::MIN)],
        ),
    ];
    for (name, steps) in table {
        let steps = steps.iter().flat_map(|(what, times, wait, shown, delta)| {
            let [a, b, c, d] = delta.to_be_bytes();
            [*what, *times, *wait, *shown, a, b, c, d]
        });
        seeds.write(name, &steps.collect::<Vec<_>>())?;
    }
    Ok(())
}
