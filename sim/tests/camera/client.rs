//! A client of the camera, written from the RFCs and without code of our own rooms.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http_auth::{PasswordClient, PasswordParams};
use ivt_media::frame::Track;
use ivt_sim::camera::{CameraSim, Stream};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::depacketizer::{Codec, Depacketizer};
use crate::player::fixture;

pub use crate::depacketizer::Received;
pub use crate::raw::Raw;

/// Far longer than anything in these tests takes.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// A packet of a track with its number, or why there is none.
type Arrival = Result<(usize, Vec<u8>), String>;

/// A playing stream.
pub struct Client {
    tracks: Vec<Depacketizer>,
    arrivals: mpsc::Receiver<Arrival>,
    _readers: JoinSet<()>,
}

impl Client {
    pub async fn play(camera: &CameraSim, channel: usize, stream: Stream, over: &str) -> Self {
        let url = camera.rtsp_url(channel, stream);
        Self::open(&url, over, None).await.unwrap()
    }

    pub async fn open(url: &str, over: &str, login: Option<(&str, &str)>) -> Result<Self, String> {
        timeout(DEADLINE, Self::connect(url, over, login))
            .await
            .expect("the camera answers in time")
    }

    async fn connect(url: &str, over: &str, login: Option<(&str, &str)>) -> Result<Self, String> {
        let address: SocketAddr = url.split('/').nth(2).unwrap().parse().unwrap();
        let mut requests =
            Requests { raw: Raw::dial(address, 1 << 20).await, login, challenge: None };
        let description = requests.send("DESCRIBE", url, "").await?;
        let base = header(&description, "Content-Base").unwrap().trim_end_matches('/').to_owned();
        let (_, sdp) = description.split_once("\r\n\r\n").unwrap();
        let media: Vec<_> = sdp.split("m=").skip(1).collect();
        let (mut tracks, mut session) = (Vec::new(), String::new());
        let (sender, arrivals) = mpsc::channel(1024);
        let mut readers = JoinSet::new();
        for (track, media) in media.iter().enumerate() {
            tracks.push(describe(media));
            let transport = if over == "udp" {
                let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
                let port = socket.local_addr().unwrap().port();
                readers.spawn(receive(track, socket, sender.clone()));
                // The reports go to port 9, where nobody listens.
                format!("RTP/AVP;unicast;client_port={port}-9")
            } else {
                format!("RTP/AVP/TCP;unicast;interleaved={}-{}", 2 * track, 2 * track + 1)
            };
            let headers = format!("{session}Transport: {transport}\r\n");
            let target = format!("{base}/{}", value(media, "a=control:").unwrap());
            let answer = requests.send("SETUP", &target, &headers).await?;
            let id = header(&answer, "Session").unwrap();
            session = format!("Session: {}\r\n", id.split(';').next().unwrap());
        }
        requests.send("PLAY", &base, &session).await?;
        readers.spawn(interleaved(requests.raw, sender));
        Ok(Self { tracks, arrivals, _readers: readers })
    }

    /// The next frame.
    ///
    /// # Errors
    /// When the session has ended.
    pub async fn next(&mut self) -> Result<Received, String> {
        loop {
            let arrival = timeout(DEADLINE, self.arrivals.recv()).await.expect("something comes");
            let (track, packet) = arrival.unwrap_or_else(|| Err("the end".to_owned()))?;
            let Some(track) = self.tracks.get_mut(track) else { continue };
            if let Some(frame) = track.push(&packet)? {
                return Ok(frame);
            }
        }
    }

    /// The next picture.
    pub async fn picture(&mut self) -> Received {
        loop {
            let frame = self.next().await.unwrap();
            if frame.video {
                return frame;
            }
        }
    }

    /// The size of the pictures, known from the fixture that has their SPS.
    pub fn dimensions(&self) -> (u32, u32) {
        let sps = &self.tracks[0].sps;
        let all = ["main", "sub", "h264_bframes", "hevc"].map(|name| fixture(name).swap_remove(0));
        let mut sizes = all.iter().filter_map(|frame| match &frame.track {
            Track::Video(params) => {
                let same = params.record.windows(sps.len()).any(|window| window == sps);
                same.then_some(params.dimensions)
            }
            Track::Audio(_) => None,
        });
        sizes.next().expect("the SPS of a fixture")
    }
}

/// Sends requests with a login.
struct Requests<'a> {
    raw: Raw,
    login: Option<(&'a str, &'a str)>,
    challenge: Option<PasswordClient>,
}

impl Requests<'_> {
    /// The answer to a request, when it is 200. A refused login is tried once more with credentials.
    async fn send(&mut self, method: &str, url: &str, headers: &str) -> Result<String, String> {
        for _ in 0..2 {
            let mut all = headers.to_owned();
            if let (Some((username, password)), Some(client)) = (self.login, &mut self.challenge) {
                let params = PasswordParams { username, password, uri: url, method, body: None };
                all += &format!("Authorization: {}\r\n", client.respond(&params).unwrap());
            }
            let answer = self.raw.request(method, url, &all).await;
            let status = answer.lines().next().unwrap_or_default().to_owned();
            match header(&answer, "WWW-Authenticate") {
                Some(challenge) if self.login.is_some() && self.challenge.is_none() => {
                    self.challenge = Some(PasswordClient::try_from(challenge).unwrap());
                }
                _ if status.starts_with("RTSP/1.0 200 ") => return Ok(answer),
                _ => return Err(status),
            }
        }
        Err("401 again".to_owned())
    }
}

async fn receive(track: usize, socket: UdpSocket, sender: mpsc::Sender<Arrival>) {
    let mut packet = [0; 2048];
    while let Ok(length) = socket.recv(&mut packet).await {
        if sender.send(Ok((track, packet[..length].to_vec()))).await.is_err() {
            return;
        }
    }
}

async fn interleaved(mut raw: Raw, sender: mpsc::Sender<Arrival>) {
    loop {
        let arrival = match raw.stream_packet().await {
            Ok((channel, packet)) if channel % 2 == 0 => Ok((usize::from(channel / 2), packet)),
            Ok(_) => continue, // This is a report.
            Err(error) => Err(error),
        };
        let over = arrival.is_err();
        if sender.send(arrival).await.is_err() || over {
            return;
        }
    }
}

/// The depacketizer of a medium of a description.
fn describe(media: &str) -> Depacketizer {
    let codec = match value(media, "a=rtpmap:").and_then(|map| map.split([' ', '/']).nth(1)) {
        Some("H264") => Codec::H264,
        Some("H265") => Codec::H265,
        Some("MPEG4-GENERIC") => Codec::Aac,
        Some("PCMA" | "PCMU") => Codec::G711,
        other => panic!("{other:?} is no codec of the camera"),
    };
    let format = value(media, "a=fmtp:").unwrap_or_default();
    let sets = ["sprop-parameter-sets=", "sprop-sps="];
    let sps = sets.iter().find_map(|name| format.split_once(name));
    let sps = sps.map(|(_, sets)| sets.split([',', ';']).next().unwrap().trim());
    Depacketizer::new(codec, BASE64.decode(sps.unwrap_or_default()).unwrap())
}

fn value<'a>(media: &'a str, name: &str) -> Option<&'a str> {
    media.lines().find_map(|line| line.strip_prefix(name))
}

fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}
