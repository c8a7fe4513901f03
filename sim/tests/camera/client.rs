//! A camera's client: retina, and a bare socket for what retina does not do.

use std::time::Duration;

use futures::StreamExt;
use ivt_sim::camera::{CameraSim, Stream};
use retina::client::{
    Credentials, Demuxed, PlayOptions, Session, SessionOptions, SetupOptions, Transport,
};
use retina::codec::{CodecItem, FrameFormat};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// Nothing in these tests takes nearly as long.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// What came of one frame.
#[derive(Debug)]
pub struct Received {
    pub video: bool,
    pub key: bool,
    /// Ticks of the track's own clock.
    pub timestamp: i64,
    pub loss: u16,
    pub data: Vec<u8>,
}

pub struct Client {
    demuxed: Demuxed,
}

pub fn transport(name: &str) -> Transport {
    name.parse().unwrap()
}

impl Client {
    pub async fn play(camera: &CameraSim, channel: usize, stream: Stream, over: &str) -> Self {
        let url = camera.rtsp_url(channel, stream);
        Self::open(&url, over, None).await.unwrap()
    }

    pub async fn open(
        url: &str,
        over: &str,
        creds: Option<(&str, &str)>,
    ) -> Result<Self, retina::Error> {
        let creds = creds.map(|(username, password)| Credentials {
            username: username.to_owned(),
            password: password.to_owned(),
        });
        let options = SessionOptions::default().creds(creds);
        let connect = async {
            let mut session = Session::describe(url.parse().unwrap(), options).await?;
            for i in 0..session.streams().len() {
                let setup = SetupOptions::default()
                    .transport(transport(over))
                    .frame_format(FrameFormat::MP4);
                session.setup(i, setup).await?;
            }
            let playing = session.play(PlayOptions::default()).await?;
            Ok(Self { demuxed: playing.demuxed()? })
        };
        timeout(DEADLINE, connect).await.expect("the camera answers in time")
    }

    /// The next frame; an error or the end is the end of the session.
    pub async fn next(&mut self) -> Result<Received, String> {
        loop {
            let item = timeout(DEADLINE, self.demuxed.next()).await.expect("something comes");
            match item {
                None => return Err("end".to_owned()),
                Some(Err(error)) => return Err(error.to_string()),
                Some(Ok(CodecItem::VideoFrame(f))) => {
                    return Ok(Received {
                        video: true,
                        key: f.is_random_access_point(),
                        timestamp: f.timestamp().timestamp(),
                        loss: f.loss(),
                        data: f.into_data(),
                    });
                }
                Some(Ok(CodecItem::AudioFrame(f))) => {
                    return Ok(Received {
                        video: false,
                        key: true,
                        timestamp: f.timestamp().timestamp(),
                        loss: f.loss(),
                        data: f.data().to_vec(),
                    });
                }
                Some(Ok(_)) => {}
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

    /// The size of the pictures.
    pub fn dimensions(&self) -> (u32, u32) {
        let parameters = self.demuxed.streams().iter().find_map(|s| match s.parameters() {
            Some(retina::codec::ParametersRef::Video(v)) => Some(v.pixel_dimensions()),
            _ => None,
        });
        parameters.expect("a video stream with parameters")
    }
}

/// RTSP by hand.
pub struct Raw {
    stream: TcpStream,
    cseq: u32,
    buf: Vec<u8>,
}

impl Raw {
    pub async fn connect(camera: &CameraSim) -> Self {
        Self::connect_with_buffer(camera, 64 * 1024).await
    }

    /// The kernel holds about so many bytes that were not read.
    pub async fn connect_with_buffer(camera: &CameraSim, size: u32) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(size).unwrap();
        let stream = socket.connect(camera.addr()).await.unwrap();
        Self { stream, cseq: 0, buf: Vec::new() }
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Sends a request and gives the head of the answer; interleaved packets before it are
    /// dropped.
    pub async fn request(&mut self, method: &str, url: &str, headers: &str) -> String {
        self.cseq += 1;
        let request = format!("{method} {url} RTSP/1.0\r\nCSeq: {}\r\n{headers}\r\n", self.cseq);
        self.send(request.as_bytes()).await;
        self.answer().await.expect("an answer")
    }

    /// The next answer with its body; `None` when the camera closes the connection.
    pub async fn answer(&mut self) -> Option<String> {
        loop {
            while let Some(packet) = self.take_packet() {
                drop(packet);
            }
            let text = String::from_utf8_lossy(&self.buf).into_owned();
            if let Some(end) = text.find("\r\n\r\n").filter(|_| text.starts_with("RTSP")) {
                let length = text.lines().find_map(|l| l.strip_prefix("Content-Length: "));
                let end = end + 4 + length.map_or(0, |l| l.parse().unwrap());
                if self.buf.len() >= end {
                    self.buf.drain(..end);
                    return Some(text[..end].to_owned());
                }
            }
            if !self.read().await {
                return None;
            }
        }
    }

    /// The next interleaved packet: channel and contents.
    pub async fn packet(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some(packet) = self.take_packet() {
                return Some(packet);
            }
            if !self.read().await {
                return None;
            }
        }
    }

    /// Whether the camera closes the connection before the deadline, whatever it sends until then.
    pub async fn is_closed(&mut self) -> bool {
        let end = async { while self.read().await {} };
        timeout(DEADLINE, end).await.is_ok()
    }

    fn take_packet(&mut self) -> Option<(u8, Vec<u8>)> {
        let &[b'$', channel, high, low, ..] = &self.buf[..] else { return None };
        let end = 4 + usize::from(u16::from_be_bytes([high, low]));
        if self.buf.len() < end {
            return None;
        }
        let packet = self.buf[4..end].to_vec();
        self.buf.drain(..end);
        Some((channel, packet))
    }

    async fn read(&mut self) -> bool {
        let mut chunk = [0; 4096];
        let read = timeout(DEADLINE, self.stream.read(&mut chunk)).await.expect("bytes or an end");
        let n = read.unwrap_or(0);
        self.buf.extend_from_slice(&chunk[..n]);
        n > 0
    }
}
