//! The quirks of one connection: its answers, the requests of the camera's own, and where the stream begins.

use tokio::time::{Instant, sleep};

use super::super::address::resolve;
use super::super::make::Make;
use super::super::message::{Request, Response, Status};
use super::super::rtp::{Kind as Half, Unit};
use super::super::transport::Wish;
use super::reply::Reply;
use super::rtp::Due;
use super::{Quirk, Quirks, headers, hostile, rtsp, sdp};

/// The state of one connection that its quirks need.
#[derive(Debug)]
pub struct Manners {
    quirks: Quirks,
    connection: u64,
    /// Number of redirections that the latest request had followed.
    hop: usize,
    /// Path of the stream that was described last.
    described: Option<String>,
    answered: u64,
    playing: Option<Instant>,
    /// Whether the first picture, or the rest of it, was sent.
    begun: bool,
    own_requests: u32,
    due: Due,
    /// Answers that wait for the middle of a picture.
    between: Vec<u8>,
}

impl Manners {
    /// The state of a new connection, the camera's number `connection` from 1.
    pub fn new(quirks: Quirks, connection: u64) -> Self {
        Self {
            quirks,
            connection,
            hop: 0,
            described: None,
            answered: 0,
            playing: None,
            begun: false,
            own_requests: 0,
            due: Due::default(),
            between: Vec::new(),
        }
    }

    /// Whether the camera has any quirk.
    pub fn odd(&self) -> bool {
        !self.quirks.is_empty()
    }

    /// Rewrites a request's URI to that of the stream it means: behind redirections, and for the addresses of
    /// odd descriptions.
    pub fn rewrite(&mut self, request: &mut Request) {
        if !self.odd() {
            return;
        }
        let mut path = request.path().to_owned();
        self.hop = 0;
        if let Some(rest) = path.strip_prefix("/hop")
            && let Some((hop, rest)) = rest.split_once('/')
        {
            self.hop = hop.parse().unwrap_or_default();
            path = format!("/{rest}");
        }
        match resolve(Make::default(), &path) {
            Some((channel, stream, track)) if request.method == "DESCRIBE" || track.is_none() => {
                let stream = format!("/ch{channel}/{}", stream.as_str());
                if request.method == "SETUP" && self.quirks.has(Quirk::SdpNoControl) {
                    path = format!("{stream}/trackID=0");
                }
                self.described = Some(stream);
            }
            Some(_) => {}
            None => {
                if let Some(stream) = &self.described {
                    let track = match path.rsplit_once("trackID=") {
                        Some((_, track)) => format!("/trackID={track}"),
                        None if path.ends_with("/video") => "/trackID=0".to_owned(),
                        None => String::new(),
                    };
                    path = format!("{stream}{track}");
                }
            }
        }
        if let Some(authority) = request.authority() {
            request.uri = format!("rtsp://{authority}{path}");
        }
    }

    /// The answer in place of the right one, if the camera gives one; a slow camera waits before.
    pub async fn instead(&mut self, request: &Request) -> Option<Response> {
        if request.method == "DESCRIBE"
            && let Some(delay) = self.quirks.time(Quirk::SlowDescribe)
        {
            sleep(delay).await;
        }
        let place = rtsp::Place { connection: self.connection, hop: self.hop };
        rtsp::instead(&self.quirks, request, &place)
    }

    /// The description that the camera sends instead of `sdp`.
    pub fn describe(&self, sdp: String, url: &str) -> Vec<u8> {
        if !self.odd() {
            return sdp.into_bytes();
        }
        let root = url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
        sdp::describe(&self.quirks, &sdp, &sdp::Place { root: &root })
    }

    /// Whether a session is known by its connection, whatever the client names it.
    pub fn sessionless(&self) -> bool {
        let quirks = [Quirk::SessionLate, Quirk::SessionNever, Quirk::SessionEmpty];
        // With `backchannel`, the talk-back track has a session of its own.
        self.quirks.has_any(&quirks) || self.quirks.has(Quirk::Backchannel)
    }

    /// The channels of a track that the camera takes, for the client's wish.
    pub fn wish(&self, wish: Wish, track: usize) -> Wish {
        let even = (2 * track) as u8;
        match wish {
            Wish::Interleaved(_) if self.quirks.has(Quirk::OtherChannels) => {
                Wish::Interleaved(Some((8 + even, 9 + even)))
            }
            Wish::Interleaved(_) if self.quirks.has(Quirk::SameChannel) => {
                Wish::Interleaved(Some((0, 1)))
            }
            // A camera that does not tell the channels uses those of the wish.
            wish => wish,
        }
    }

    /// Whether a packet goes out before the answer.
    pub fn sends_early(&self, request: &Request, answer: &Response) -> bool {
        let play = request.method == "PLAY" && answer.status == Status::Ok;
        play && self.quirks.has(Quirk::PacketsEarly)
    }

    /// The reply to a request whose right answer is `answer`.
    pub fn reply(&mut self, request: &Request, mut answer: Response) -> Reply {
        let cseq = request.header("CSeq").unwrap_or("0");
        if !self.odd() {
            return Reply::Bytes(answer.encode(cseq));
        }
        let played = self.playing.is_some();
        if request.method == "PLAY" && answer.status == Status::Ok {
            self.playing.get_or_insert_with(Instant::now);
        }
        let has = |quirk| self.quirks.has(quirk);
        if played && request.method != "TEARDOWN" && has(Quirk::KaNever)
            || request.method == "GET_PARAMETER" && has(Quirk::KaGetMute)
        {
            return Reply::Nothing;
        }
        if let Some(reply) = hostile::reply(&self.quirks, &request.method, cseq) {
            return reply;
        }
        rtsp::edit(&self.quirks, request, &mut answer);
        let number = cseq.parse::<u64>().unwrap_or_default();
        let before = number.saturating_sub(1).to_string();
        self.answered += 1;
        let cseq = match () {
            () if has(Quirk::CseqZero) && self.answered == 1 => "0",
            () if request.method == "SET_PARAMETER"
                && self.quirks.has_any(&[Quirk::KaOffByOne, Quirk::KaSetOnly]) =>
            {
                &before
            }
            () => cseq,
        };
        let bytes = headers::dress(&self.quirks, answer.encode(cseq));
        if has(Quirk::Ka454Close) && request.method == "GET_PARAMETER" {
            return Reply::Last(bytes);
        }
        if played && has(Quirk::KaMidBurst) && request.method != "TEARDOWN" {
            self.between.extend_from_slice(&bytes);
            return Reply::Nothing;
        }
        Reply::Bytes(bytes)
    }

    /// Number of the first packets of a unit that are kept back; `None` for all of them.
    pub fn skip(&mut self, unit: &Unit, packets: usize, video: bool) -> Option<usize> {
        let playing = self.playing.map(|since| since.elapsed()).unwrap_or_default();
        let late = |quirk| self.quirks.time(quirk).is_some_and(|delay| playing < delay);
        if late(Quirk::LateFirst) || !video && late(Quirk::SoundLate) {
            return None;
        }
        if self.quirks.has(Quirk::LateFirst) && !self.begun {
            // The stream begins with a key picture.
            self.begun = unit.key && unit.kind == Half::Rtp;
            return self.begun.then_some(0);
        }
        let middle = self.quirks.has(Quirk::Midframe) && !self.begun;
        match (middle, unit.kind) {
            (false, _) => Some(0),
            (true, Half::Rtp) if video && packets >= 3 => {
                self.begun = true;
                Some(packets - 1)
            }
            (true, _) => None,
        }
    }

    /// Bytes that come in the RTSP connection before a unit, and bytes that come between its packets.
    pub fn interrupt(&mut self, packets: usize) -> (Vec<u8>, Vec<u8>) {
        let between = if packets > 1 { std::mem::take(&mut self.between) } else { Vec::new() };
        (self.own(), between)
    }

    /// The camera's own requests and stray packets that are due.
    fn own(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let quirks = self.quirks.clone();
        if self.due.now(&quirks, Quirk::CamRequest) {
            bytes.extend(self.request("OPTIONS", "", ""));
        }
        if self.due.now(&quirks, Quirk::CamAnnounce) {
            let sdp = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=changed\r\nt=0 0\r\n";
            bytes.extend(self.request("ANNOUNCE", "Content-Type: application/sdp\r\n", sdp));
            bytes.extend(self.request("SET_PARAMETER", "", "barparam: barstuff\r\n"));
            bytes.extend(self.request("X_EVENT", "", ""));
        }
        if self.due.now(&quirks, Quirk::StrayChannels) {
            for channel in [7, 31, 255] {
                bytes.extend([b'$', channel, 0, 16, 0x80, 96, 0, 1, 0, 0, 0, 9, 1, 2, 3, 4]);
                bytes.extend([0x65, 0x88, 0, 0]);
            }
        }
        if self.due.now(&quirks, Quirk::EmptyPackets) {
            bytes.extend((0..=4).flat_map(|channel| [b'$', channel, 0, 0]));
        }
        bytes
    }

    fn request(&mut self, method: &str, headers: &str, body: &str) -> Vec<u8> {
        self.own_requests += 1;
        let length = match body.len() {
            0 => String::new(),
            length => format!("Content-Length: {length}\r\n"),
        };
        let cseq = self.own_requests;
        format!("{method} * RTSP/1.0\r\nCSeq: {cseq}\r\n{headers}{length}\r\n{body}").into_bytes()
    }
}
