//! Prints what `RtspOpener` makes of a camera, for comparison with another reader:
//! `frames URL [tcp|udp|auto] SECONDS [--ca FILE]`, counted from the first frame.
//!
//! The login is taken from `RTSP_USER` and `RTSP_PASSWORD`. One line for each frame:
//! `video|audio KEY PTS SIZE CRC PARAMETERS`, KEY being 0 or 1, PTS in 90 kHz, CRC the CRC-32 of
//! the data, PARAMETERS that of the parameter sets (each after its 4-byte length) or of the
//! `AudioSpecificConfig`.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use ivt_base::auth::Credentials;
use ivt_base::clock::Clock;
use ivt_base::tls;
use ivt_media::frame::{Frame, Track, VideoCodec, VideoParams};
use ivt_media::rtsp::{Options, RtspOpener, Transport};
use ivt_media::source::Opener as _;
use tokio::time::timeout_at;

const USAGE: &str = "usage: frames URL [tcp|udp|auto] SECONDS [--ca FILE]";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("frames: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let mut arguments: Vec<_> = std::env::args().skip(1).collect();
    let mut options = Options::default();
    if let Some(at) = arguments.iter().position(|argument| argument == "--ca") {
        let file = arguments.drain(at..).nth(1).ok_or(USAGE)?;
        options.tls = Some(tls::client_config(Some(Path::new(&file)), Clock::default())?);
    }
    let (url, transport, seconds) = match &arguments[..] {
        [url, seconds] => (url, "auto", seconds),
        [url, transport, seconds] => (url, transport.as_str(), seconds),
        _ => return Err(USAGE.into()),
    };
    options.transport = match transport {
        "tcp" => Transport::Tcp,
        "udp" => Transport::Udp,
        "auto" => Transport::Auto,
        _ => return Err(USAGE.into()),
    };
    let login = (std::env::var("RTSP_USER"), std::env::var("RTSP_PASSWORD"));
    if let (Ok(username), Ok(password)) = login {
        options.credentials = Some(Credentials { username, password });
    }
    let duration = Duration::try_from_secs_f64(seconds.parse()?)?;

    let opener = RtspOpener::new(url.parse()?, options)?;
    let mut source = opener.open().await?;
    source.arriving().await?;
    let first = source.frame().await?;
    let end = tokio::time::Instant::now() + duration;
    print(&first);
    while let Ok(frame) = timeout_at(end, source.frame()).await {
        print(&frame?);
    }
    drop(source);
    opener.settle().await;
    Ok(())
}

fn print(frame: &Frame) {
    let (kind, parameters) = match &frame.track {
        Track::Video(params) => ("video", parameter_sets(params).unwrap_or_default()),
        Track::Audio(params) => ("audio", params.config.to_vec()),
    };
    let (key, pts, size) = (u8::from(frame.key), frame.pts, frame.data.len());
    println!("{kind} {key} {pts} {size} {:08x} {:08x}", crc32(&frame.data), crc32(&parameters));
}

/// The parameter sets of a decoder configuration record in its order, each after its 4-byte
/// length; `None` when the record is cut.
fn parameter_sets(params: &VideoParams) -> Option<Vec<u8>> {
    let mut sets = Vec::new();
    match params.codec {
        VideoCodec::H264 => {
            let mut rest = params.record.get(5..)?;
            for mask in [0x1f, 0xff] {
                for _ in 0..take(&mut rest, 1)? & mask {
                    take_set(&mut rest, &mut sets)?;
                }
            }
        }
        VideoCodec::H265 => {
            let mut rest = params.record.get(22..)?;
            for _ in 0..take(&mut rest, 1)? {
                take(&mut rest, 1)?;
                for _ in 0..take(&mut rest, 2)? {
                    take_set(&mut rest, &mut sets)?;
                }
            }
        }
    }
    Some(sets)
}

/// Takes a big-endian number of so many bytes off the front.
fn take(rest: &mut &[u8], bytes: usize) -> Option<usize> {
    let (head, tail) = rest.split_at_checked(bytes)?;
    *rest = tail;
    Some(head.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
}

fn take_set(rest: &mut &[u8], sets: &mut Vec<u8>) -> Option<()> {
    let length = take(rest, 2)?;
    let (set, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    sets.extend_from_slice(&(length as u32).to_be_bytes());
    sets.extend_from_slice(set);
    Some(())
}

/// CRC-32 as in ISO 3309, as zlib has it.
fn crc32(data: &[u8]) -> u32 {
    let step = |crc: u32, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
    !data.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}
