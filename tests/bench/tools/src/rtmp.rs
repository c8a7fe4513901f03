//! The smallest RTMP publisher: one chunk and one write per message.

use std::io::{self, Read, Write};
use std::net::TcpStream;

/// Chunk size in bytes, above every message, so that no message is split.
const CHUNK: u32 = 8 << 20;

pub struct Publisher {
    stream: TcpStream,
    out: Vec<u8>,
}

impl Publisher {
    /// Connects and publishes to `rtmp://HOST:PORT/APP/KEY`. The server's answers are read and ignored.
    pub fn open(url: &str) -> io::Result<Self> {
        let parts: Vec<_> = url.trim_start_matches("rtmp://").splitn(3, '/').collect();
        let &[address, app, key] = parts.as_slice() else {
            return Err(io::Error::other(format!("not rtmp://HOST/APP/KEY: {url}")));
        };
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.write_all(&[&[3][..], &[0; 1536]].concat())?;
        let mut answer = [0; 1537 + 1536];
        stream.read_exact(&mut answer)?;
        stream.write_all(&answer[1..1537])?;
        let mut reader = stream.try_clone()?;
        std::thread::spawn(move || io::copy(&mut reader, &mut io::sink()));

        let mut publisher = Self { stream, out: Vec::with_capacity(1 << 20) };
        publisher.send(1, 0, 0, &[&CHUNK.to_be_bytes()])?;
        let connect = [
            string("connect"),
            number(1.0),
            object(&[("app", app), ("tcUrl", &format!("rtmp://{address}/{app}"))]),
        ];
        publisher.send(20, 0, 0, &[&connect.concat()])?;
        publisher.send(20, 0, 0, &[&[string("createStream"), number(2.0), vec![5]].concat()])?;
        publisher.send(
            20,
            1,
            0,
            &[&[string("publish"), number(3.0), vec![5], string(key), string("live")].concat()],
        )?;
        Ok(publisher)
    }

    /// Writes one message of message stream `stream`, with its payload given in parts and its time in
    /// milliseconds.
    pub fn send(&mut self, kind: u8, stream: u8, time: u32, parts: &[&[u8]]) -> io::Result<()> {
        let length = parts.iter().map(|part| part.len()).sum::<usize>() as u32;
        // Chunk stream numbers from 2 to 63 are free to choose; the message type distinguishes the tracks.
        let (length, short) = (length.to_be_bytes(), time.min(0x00ff_ffff).to_be_bytes());
        self.out.clear();
        self.out.extend_from_slice(&[
            3 + (kind & 7),
            short[1],
            short[2],
            short[3],
            length[1],
            length[2],
            length[3],
            kind,
        ]);
        self.out.extend_from_slice(&[stream, 0, 0, 0]);
        parts.iter().for_each(|part| self.out.extend_from_slice(part));
        self.stream.write_all(&self.out)
    }
}

fn string(text: &str) -> Vec<u8> {
    [&[2][..], &bare(text)].concat()
}

fn bare(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat()
}

fn number(value: f64) -> Vec<u8> {
    [&[0][..], &value.to_be_bytes()].concat()
}

fn object(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut out = vec![3];
    for (name, value) in pairs {
        out.extend(bare(name));
        out.extend(string(value));
    }
    out.extend([0, 0, 9]);
    out
}
