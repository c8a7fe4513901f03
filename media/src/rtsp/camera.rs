//! A scripted RTSP camera on a real socket, for tests.

use std::net::SocketAddr;

use ivt_base::task::work;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use url::Url;

/// An SPS of x264, 320x180, without reordering.
pub(super) const PLAIN_SPS: &[u8] =
    b"\x67\x64\0\x0c\xac\xb2\x02\x83\x3f\x3e\x02\x20\0\0\x03\0\x20\0\0\x06\x41\xe2\x85\x49";
/// [`PLAIN_SPS`] and [`PPS`] in base64.
pub(super) const PLAIN: &str = "Z2QADKyyAoM/PgIgAAADACAAAAZB4oVJ,aOvDyyLA";
/// A PPS that refers to [`PLAIN_SPS`].
pub(super) const PPS: &[u8] = b"\x68\xeb\xc3\xcb\x22\xc0";
/// Parameter sets of x264, 320x180, with two pictures held back, in base64.
pub(super) const REORDERED: &str = "Z2QADKzZQUGfnwEQAAADABAAAAMDIPFCmWA=,aOvjyyLA";

/// What the camera does with a request.
pub(super) enum Answer {
    /// The answer of a camera that works.
    Usual,
    /// No answer.
    Silence,
    /// An answer with these status and header lines.
    Status(&'static str),
    /// Bytes in place of an answer.
    Raw(&'static [u8]),
}

/// What a camera does, request by request.
pub(super) struct Script {
    /// The body of the answer to DESCRIBE.
    pub(super) sdp: String,
    /// The answer to a request with this head.
    pub(super) answer: fn(&str) -> Answer,
    /// Interleaved packets that follow the answer to PLAY.
    pub(super) media: Vec<u8>,
    /// The `RTP-Info` of the answer to PLAY, if not empty.
    pub(super) rtp_info: &'static str,
    /// Whether the camera hangs up after the media.
    pub(super) hang_up: bool,
}

/// The camera while it runs.
pub(super) struct Camera {
    addr: SocketAddr,
    /// Heads of the requests, as they come.
    pub(super) requests: mpsc::UnboundedReceiver<String>,
    _tasks: JoinSet<()>,
}

impl Default for Script {
    fn default() -> Self {
        let (sdp, rtp_info) = (sdp(&[&h264(PLAIN)]), "");
        Self { sdp, answer: |_| Answer::Usual, media: Vec::new(), rtp_info, hang_up: false }
    }
}

/// A description of these tracks.
pub(super) fn sdp(tracks: &[&str]) -> String {
    let mut sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\na=control:*\r\n".to_owned();
    for (i, track) in tracks.iter().enumerate() {
        sdp += &format!("{track}a=control:track{i}\r\n");
    }
    sdp
}

/// A track of H.264 with these parameter sets in base64.
pub(super) fn h264(sprop: &str) -> String {
    format!(
        "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n\
         a=fmtp:96 packetization-mode=1;sprop-parameter-sets={sprop}\r\n"
    )
}

/// A track of G.711.
pub(super) const PCMA: &str = "m=audio 0 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n";

/// An RTP packet of the track with this number.
pub(super) fn rtp(track: u8, seq: u16, time: u32, last: bool, payload: &[u8]) -> Vec<u8> {
    let kind = [96, 8][usize::from(track)] | if last { 0x80 } else { 0 };
    let mut packet = vec![0x80, kind];
    packet.extend(seq.to_be_bytes());
    packet.extend(time.to_be_bytes());
    packet.extend([0, 0, 0, track + 1]);
    packet.extend(payload);
    packet
}

/// An interleaved RTP packet of the track with this number.
pub(super) fn packet(track: u8, seq: u16, time: u32, last: bool, payload: &[u8]) -> Vec<u8> {
    let rtp = rtp(track, seq, time, last, payload);
    let len = (rtp.len() as u16).to_be_bytes();
    [&[b'$', 2 * track, len[0], len[1]], rtp.as_slice()].concat()
}

/// A picture in one packet.
pub(super) fn picture(seq: u16, time: u32, key: bool) -> Vec<u8> {
    packet(0, seq, time, true, if key { b"\x65\x88\x84key" } else { b"\x41\x9a\x24other" })
}

impl Camera {
    /// Begins to listen at a port of the kernel's choice.
    pub(super) async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (tell, requests) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(work(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                serve(stream, &script, &tell).await;
            }
        }));
        Self { addr, requests, _tasks: tasks }
    }

    /// Address of the camera.
    pub(super) fn url(&self) -> Url {
        Url::parse(&format!("rtsp://{}/main", self.addr)).unwrap()
    }

    /// Waits for a request by this method. Returns its head.
    pub(super) async fn request(&mut self, method: &str) -> String {
        loop {
            let head = self.requests.recv().await.expect("the camera lives");
            if head.starts_with(method) {
                return head;
            }
        }
    }
}

async fn serve(stream: TcpStream, script: &Script, tell: &mpsc::UnboundedSender<String>) {
    let mut stream = BufReader::new(stream);
    let udp = even_port().await;
    let mut udp_target = None;
    while let Some(head) = read_head(&mut stream).await {
        tell.send(head.clone()).ok();
        let line = |name: &str| head.lines().find_map(|l| l.strip_prefix(name)).map(str::trim);
        let cseq = line("CSeq:").unwrap();
        let method = head.split(' ').next().unwrap();
        let (status, rest) = match ((script.answer)(&head), method) {
            (Answer::Silence, _) => std::future::pending().await,
            (Answer::Raw(bytes), _) => {
                stream.write_all(bytes).await.unwrap();
                continue;
            }
            (Answer::Status(status), _) => (status, "\r\n".to_owned()),
            (Answer::Usual, "DESCRIBE") => {
                let body = &script.sdp;
                let head = "Content-Type: application/sdp\r\nContent-Length";
                ("200 OK", format!("{head}: {}\r\n\r\n{body}", body.len()))
            }
            (Answer::Usual, "SETUP") => {
                let mut transport = line("Transport:").unwrap().to_owned();
                if let Some((_, ports)) = transport.split_once("client_port=") {
                    let port: u16 = ports.split('-').next().unwrap().parse().unwrap();
                    udp_target = Some(SocketAddr::from(([127, 0, 0, 1], port)));
                    let port = udp.local_addr().unwrap().port();
                    transport += &format!(";server_port={port}-{}", port + 1);
                }
                ("200 OK", format!("Session: 7;timeout=60\r\nTransport: {transport}\r\n\r\n"))
            }
            (Answer::Usual, "PLAY") => {
                let info = script.rtp_info;
                let info = if info.is_empty() { info.into() } else { format!("{info}\r\n") };
                ("200 OK", format!("Session: 7\r\n{info}\r\n"))
            }
            (Answer::Usual, _) => ("200 OK", "Session: 7\r\n\r\n".into()),
        };
        let answer = format!("RTSP/1.0 {status}\r\nCSeq: {cseq}\r\n{rest}");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        if method == "PLAY" && status == "200 OK" {
            match udp_target {
                Some(target) => send_datagrams(&udp, target, &script.media).await,
                None => stream.write_all(&script.media).await.unwrap(),
            }
            if script.hang_up {
                return;
            }
        }
    }
}

/// A socket at an even port, as RTP wants it.
async fn even_port() -> UdpSocket {
    loop {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        if socket.local_addr().unwrap().port() % 2 == 0 {
            return socket;
        }
    }
}

async fn send_datagrams(udp: &UdpSocket, target: SocketAddr, mut media: &[u8]) {
    while let [b'$', _, high, low, rest @ ..] = media {
        let (packet, rest) = rest.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        udp.send_to(packet, target).await.unwrap();
        media = rest;
    }
}

/// The head of the next request. Reports that the client sends between requests are passed over whole: their
/// bytes may be any, a line feed as well.
async fn read_head(stream: &mut BufReader<TcpStream>) -> Option<String> {
    while stream.fill_buf().await.ok()?.first()? == &b'$' {
        let mut start = [0; 4];
        stream.read_exact(&mut start).await.ok()?;
        let mut report = vec![0; usize::from(u16::from_be_bytes([start[2], start[3]]))];
        stream.read_exact(&mut report).await.ok()?;
    }
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    Some(head)
}
