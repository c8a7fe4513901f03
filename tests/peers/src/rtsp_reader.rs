//! The `retina` crate as an independent reader of cameras: prints the same lines as the example `frames` of ivt-media, so that
//! the two can be compared byte by byte.
//!
//! `rtsp-reader URL tcp|udp SECONDS`, counted from the first frame; the login is taken from `RTSP_USER` and `RTSP_PASSWORD`.
//! One line for each frame: `video|audio KEY PTS SIZE CRC PARAMETERS`, see `media/examples/frames.rs`.
//!
//! retina hands out access unit delimiters and filler; the frames of ivt-media have neither, so they are left out here.
#![forbid(unsafe_code)]

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use retina::Timestamp;
use retina::client::{
    Credentials, Demuxed, InitialTimestampPolicy, PlayOptions, Session, SessionGroup,
    SessionIdPolicy, SessionOptions, SetupOptions, Stream, TcpTransportOptions, Transport,
    UdpTransportOptions,
};
use retina::codec::{CodecItem, FrameFormat, ParametersRef, VideoParametersCodec};
use tokio::time::{Instant, timeout, timeout_at};
use url::Url;

const USAGE: &str = "usage: rtsp-reader URL tcp|udp SECONDS";

/// Ticks of printed times in a second.
const CLOCK_HZ: i128 = 90_000;

/// Number of sessions that are tried: retina ends one that begins within a fragmented picture, as those of
/// relays may.
const ATTEMPTS: usize = 5;

/// Longest time until the session is open, and until its first frame.
const PATIENCE: Duration = Duration::from_secs(30);

/// Longest time of a TEARDOWN.
const TEARDOWN_LIMIT: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, PartialEq)]
enum Codec {
    H264,
    H265,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rtsp-reader: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [url, transport, seconds] = &arguments[..] else { return Err(USAGE.into()) };
    let transport = match transport.as_str() {
        "tcp" => Transport::Tcp(TcpTransportOptions::default()),
        "udp" => Transport::Udp(UdpTransportOptions::default()),
        _ => return Err(USAGE.into()),
    };
    let duration = Duration::try_from_secs_f64(seconds.parse()?)?;
    let login = (std::env::var("RTSP_USER"), std::env::var("RTSP_PASSWORD"));
    let credentials = match login {
        (Ok(username), Ok(password)) => Some(Credentials { username, password }),
        _ => None,
    };

    let url: Url = url.parse()?;
    for _ in 1..ATTEMPTS {
        let mut printed = false;
        let read =
            read(url.clone(), transport.clone(), credentials.clone(), duration, &mut printed);
        match read.await {
            Err(error) if !printed => eprintln!("rtsp-reader: once more: {error}"),
            result => return result,
        }
    }
    read(url, transport, credentials, duration, &mut false).await
}

/// Runs one session, for a given time from its first frame on. `printed` tells whether there was a frame.
async fn read(
    url: Url,
    transport: Transport,
    credentials: Option<Credentials>,
    duration: Duration,
    printed: &mut bool,
) -> Result<(), Box<dyn Error>> {
    let group = Arc::new(SessionGroup::default());
    let opening = open(url, transport, credentials, group.clone());
    let mut session =
        timeout(PATIENCE, opening).await.map_err(|_| "the camera does not answer")??;
    let mut end = None;
    loop {
        let deadline = end.unwrap_or_else(|| Instant::now() + PATIENCE);
        let Ok(item) = timeout_at(deadline, session.next()).await else { break };
        let item = item.ok_or("the camera closed the connection")??;
        if print(&item, session.streams()) {
            *printed = true;
            end.get_or_insert_with(|| Instant::now() + duration);
        }
    }
    drop(session);
    timeout(TEARDOWN_LIMIT, group.await_teardown()).await.ok();
    end.map(|_| ()).ok_or_else(|| "no frame came".into())
}

async fn open(
    url: Url,
    transport: Transport,
    credentials: Option<Credentials>,
    group: Arc<SessionGroup>,
) -> Result<Demuxed, retina::Error> {
    let options = SessionOptions::default()
        .session_id(SessionIdPolicy::UseFirst)
        .session_group(group)
        .creds(credentials);
    let mut session = Session::describe(url, options).await?;
    let video = first(session.streams(), "video", &["h264", "h265"]);
    let audio = first(session.streams(), "audio", &["mpeg4-generic", "pcma", "pcmu"]);
    for stream in [video, audio].into_iter().flatten() {
        let setup =
            SetupOptions::default().transport(transport.clone()).frame_format(FrameFormat::MP4);
        session.setup(stream, setup).await?;
    }
    let play = PlayOptions::default().initial_timestamp(InitialTimestampPolicy::Permissive);
    session.play(play).await?.demuxed()
}

fn first(streams: &[Stream], media: &str, encodings: &[&str]) -> Option<usize> {
    streams
        .iter()
        .position(|stream| stream.media() == media && encodings.contains(&stream.encoding_name()))
}

/// Prints the line of an item; false for an item that is no frame, and for a picture that cannot be decoded
/// yet.
fn print(item: &CodecItem, streams: &[Stream]) -> bool {
    let (kind, key, at, data, parameters) = match item {
        CodecItem::VideoFrame(frame) => {
            let Some(ParametersRef::Video(params)) = streams[frame.stream_id()].parameters() else {
                return false;
            };
            let (codec, sets): (_, Vec<&[u8]>) = match params.codec_params() {
                VideoParametersCodec::H264 { sps, pps } => (Codec::H264, vec![sps, pps]),
                VideoParametersCodec::H265 { vps, sps, pps } => (Codec::H265, vec![vps, sps, pps]),
                _ => return false,
            };
            let sets = sets.iter().fold(Vec::new(), |out, set| append(out, set));
            (
                "video",
                frame.is_random_access_point(),
                frame.timestamp(),
                pictures(codec, frame.data()),
                sets,
            )
        }
        CodecItem::AudioFrame(frame) => {
            let stream = &streams[frame.stream_id()];
            let Some(ParametersRef::Audio(params)) = stream.parameters() else { return false };
            let config = match stream.encoding_name() {
                "mpeg4-generic" => params.extra_data().to_vec(),
                _ => Vec::new(),
            };
            ("audio", false, frame.timestamp(), frame.data().to_vec(), config)
        }
        _ => return false,
    };
    let (key, pts, size) = (u8::from(key), ticks(at), data.len());
    println!(
        "{kind} {key} {pts} {size} {:08x} {:08x}",
        crc32fast::hash(&data),
        crc32fast::hash(&parameters)
    );
    true
}

/// The NAL units of a picture, without access unit delimiters and filler.
fn pictures(codec: Codec, mut data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len());
    while let Some((length, rest)) = data.split_first_chunk::<4>() {
        let length = (u32::from_be_bytes(*length) as usize).min(rest.len());
        let (nal, rest) = rest.split_at(length);
        data = rest;
        let left_out = match (codec, nal.first()) {
            (_, None) => true,
            (Codec::H264, Some(head)) => matches!(head & 0x1f, 9 | 12),
            (Codec::H265, Some(head)) => matches!(head >> 1 & 0x3f, 35 | 38),
        };
        if !left_out {
            out = append(out, nal);
        }
    }
    out
}

fn append(mut out: Vec<u8>, nal: &[u8]) -> Vec<u8> {
    out.extend_from_slice(&(nal.len() as u32).to_be_bytes());
    out.extend_from_slice(nal);
    out
}

/// Time since the start of the session, in ticks of 90 kHz.
fn ticks(timestamp: Timestamp) -> i128 {
    i128::from(timestamp.elapsed()) * CLOCK_HZ / i128::from(timestamp.clock_rate().get())
}
