//! The smallest RTSP client that gets interleaved RTP over TCP from a camera without a login.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// Packets between two signs of life, which is about ten seconds at 4 Mbit/s. A camera drops a client that is
/// silent for a minute.
const SIGN_OF_LIFE: u32 = 4096;

/// A playing session.
pub struct Session {
    pub stream: BufReader<TcpStream>,
    /// The description, as text.
    pub sdp: String,
    keepalive: String,
    packets: u32,
}

impl Session {
    /// Opens `rtsp://HOST:PORT/PATH`. Video comes on interleaved channel 0, audio on 2.
    pub fn open(url: &str) -> io::Result<Self> {
        let address =
            url.strip_prefix("rtsp://").and_then(|rest| rest.split('/').next()).unwrap_or("");
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let stream = BufReader::with_capacity(1 << 20, stream);
        let mut session = Self { stream, sdp: String::new(), keepalive: String::new(), packets: 0 };
        let (_, sdp) = session.request("DESCRIBE", url, 1, "Accept: application/sdp\r\n")?;
        let mut id = String::new();
        for (n, control) in controls(&sdp).into_iter().enumerate() {
            let url = if control.starts_with("rtsp://") {
                control
            } else {
                format!("{}/{control}", url.trim_end_matches('/'))
            };
            let transport = format!(
                "Transport: RTP/AVP/TCP;unicast;interleaved={}-{}\r\n{id}",
                2 * n,
                2 * n + 1
            );
            let (headers, _) = session.request("SETUP", &url, 2 + n, &transport)?;
            let value = header(&headers, "session").unwrap_or_default();
            id = format!("Session: {}\r\n", value.split(';').next().unwrap_or(""));
        }
        session.request("PLAY", url, 9, &format!("{id}Range: npt=0.000-\r\n"))?;
        session.sdp = sdp;
        session.keepalive = format!("GET_PARAMETER {url} RTSP/1.0\r\nCSeq: 10\r\n{id}\r\n");
        Ok(session)
    }

    /// Reads the next interleaved packet into `packet` and returns its channel. RTSP messages between packets
    /// are skipped.
    pub fn packet(&mut self, packet: &mut Vec<u8>) -> io::Result<u8> {
        loop {
            let mut head = [0; 4];
            self.stream.read_exact(&mut head[..1])?;
            if head[0] != b'$' {
                self.message()?;
                continue;
            }
            self.stream.read_exact(&mut head[1..])?;
            self.packets += 1;
            if self.packets % SIGN_OF_LIFE == 0 {
                self.stream.get_mut().write_all(self.keepalive.as_bytes())?;
            }
            packet.resize(usize::from(u16::from_be_bytes([head[2], head[3]])), 0);
            self.stream.read_exact(packet)?;
            return Ok(head[1]);
        }
    }

    fn request(
        &mut self,
        method: &str,
        url: &str,
        cseq: usize,
        headers: &str,
    ) -> io::Result<(String, String)> {
        let text = format!(
            "{method} {url} RTSP/1.0\r\nCSeq: {cseq}\r\nUser-Agent: floor\r\n{headers}\r\n"
        );
        self.stream.get_mut().write_all(text.as_bytes())?;
        let (headers, body) = self.message()?;
        match headers.lines().next() {
            Some(line) if line.contains(" 200 ") => Ok((headers, body)),
            line => {
                Err(io::Error::other(format!("{method} {url}: {}", line.unwrap_or("no answer"))))
            }
        }
    }

    fn message(&mut self) -> io::Result<(String, String)> {
        let mut headers = String::new();
        while !headers.ends_with("\r\n\r\n") {
            if self.stream.read_line(&mut headers)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let length =
            header(&headers, "content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok((headers, String::from_utf8_lossy(&body).into_owned()))
    }
}

fn header(headers: &str, name: &str) -> Option<String> {
    let mut pairs = headers.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
}

/// The control addresses of the media, video first.
fn controls(sdp: &str) -> Vec<String> {
    let media = sdp.split("\nm=").skip(1);
    let control = |part: &str| {
        part.lines().find_map(|line| line.trim().strip_prefix("a=control:").map(str::to_owned))
    };
    let mut found: Vec<_> =
        media.filter_map(|part| Some((!part.starts_with("video"), control(part)?))).collect();
    found.sort();
    found.into_iter().map(|(_, control)| control).collect()
}
