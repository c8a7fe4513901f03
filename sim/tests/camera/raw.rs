//! An RTSP client whose requests are written by hand.

use std::net::SocketAddr;

use ivt_sim::camera::CameraSim;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::client::DEADLINE;

/// A connection to a camera.
pub struct Raw {
    stream: TcpStream,
    cseq: u32,
    buf: Vec<u8>,
}

impl Raw {
    pub async fn connect(camera: &CameraSim) -> Self {
        Self::connect_with_buffer(camera, 64 * 1024).await
    }

    /// A connection whose receive buffer in the kernel holds about `size` bytes.
    pub async fn connect_with_buffer(camera: &CameraSim, size: u32) -> Self {
        Self::dial(camera.addr(), size).await
    }

    /// A connection to the camera's address, with a receive buffer of about `size` bytes.
    pub async fn dial(address: SocketAddr, size: u32) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(size).unwrap();
        let stream = socket.connect(address).await.unwrap();
        Self { stream, cseq: 0, buf: Vec::new() }
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Sends a request and returns the head of the answer; interleaved packets before the answer are dropped.
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

    /// The channel and the contents of the next interleaved packet.
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

    /// The next interleaved packet, or why there is none: the connection ended, or the bytes are neither packet
    /// nor message.
    pub async fn stream_packet(&mut self) -> Result<(u8, Vec<u8>), String> {
        loop {
            if let Some(packet) = self.take_packet() {
                return Ok(packet);
            }
            if self.buf.first().is_some_and(|byte| *byte != b'$') {
                return Err("neither a packet nor a message".to_owned());
            }
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk).await {
                Ok(0) => return Err("the end".to_owned()),
                Ok(n) => self.buf.extend_from_slice(&chunk[..n]),
                Err(error) => return Err(error.to_string()),
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
