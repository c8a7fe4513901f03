//! Cuts messages into chunks, as a buffer for vectored writes: bodies are shared, headers are
//! copied.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::rtmp::chunk::{DEFAULT_CHUNK_SIZE, EXTENDED, channel, kind};

/// Longest body that is copied, in bytes. Copying it is cheaper than another slice.
const COPY_BELOW: usize = 512;

/// Cuts the messages of one direction of one connection. What is not written yet is its content as
/// a [`Buf`].
#[derive(Debug)]
pub struct Writer {
    chunk_size: usize,
    /// The newest message header of each chunk stream.
    last: [Option<Last>; LAST_CHANNEL + 1],
    /// Headers and small bodies, in the order of the parts of kind `Own`.
    own: BytesMut,
    parts: VecDeque<Part>,
    len: usize,
}

const LAST_CHANNEL: usize = channel::VIDEO as usize;

#[derive(Clone, Copy, Debug)]
struct Last {
    timestamp: u32,
    stream_id: u32,
}

#[derive(Debug)]
enum Part {
    /// This many bytes off the front of `own`. Two such parts never follow each other.
    Own(usize),
    Shared(Bytes),
}

impl Writer {
    /// A writer at the start of a connection, after the handshake.
    pub fn new() -> Self {
        Self {
            chunk_size: DEFAULT_CHUNK_SIZE,
            last: [None; LAST_CHANNEL + 1],
            own: BytesMut::new(),
            parts: VecDeque::new(),
            len: 0,
        }
    }

    /// Announces a chunk size, which holds from the next message on.
    pub fn set_chunk_size(&mut self, size: u32) {
        self.control(kind::SET_CHUNK_SIZE, &size.to_be_bytes());
        self.chunk_size = size.max(1) as usize;
    }

    /// Adds a message about the connection itself.
    pub fn control(&mut self, kind: u8, payload: &[u8]) {
        self.message(channel::CONTROL, kind, 0, 0, payload, &Bytes::new());
    }

    /// Adds a message whose payload is `head` followed by `body`.
    pub fn message(
        &mut self,
        channel: u8,
        kind: u8,
        stream_id: u32,
        timestamp: u32,
        head: &[u8],
        body: &Bytes,
    ) {
        let len = head.len() + body.len();
        let repeated = self.header(channel, kind, stream_id, timestamp, len);
        let mut room = self.chunk_size;
        for (piece, shared) in [(head, None), (&body[..], Some(body))] {
            let mut at = 0;
            while at < piece.len() {
                if room == 0 {
                    // The specification wants an extended timestamp repeated in each further chunk.
                    self.own(&[0xc0 | channel]);
                    if let Some(time) = repeated {
                        self.own(&time.to_be_bytes());
                    }
                    room = self.chunk_size;
                }
                let end = piece.len().min(at + room);
                match shared.filter(|_| end - at > COPY_BELOW) {
                    Some(body) => self.shared(body.slice(at..end)),
                    None => self.own(&piece[at..end]),
                }
                room -= end - at;
                at = end;
            }
        }
    }

    /// Writes the header of a message's first chunk. Returns the extended timestamp that the
    /// further chunks must repeat.
    fn header(
        &mut self,
        channel: u8,
        kind: u8,
        stream_id: u32,
        timestamp: u32,
        len: usize,
    ) -> Option<u32> {
        let slot = &mut self.last[usize::from(channel).min(LAST_CHANNEL)];
        let step = slot
            .filter(|last| last.stream_id == stream_id)
            .map(|last| timestamp.wrapping_sub(last.timestamp))
            .filter(|step| *step < EXTENDED);
        *slot = Some(Last { timestamp, stream_id });
        let (format, time) = step.map_or((0, timestamp), |step| (1, step));
        let mut header = [0u8; 16];
        let mut out = &mut header[..];
        out.put_u8(format << 6 | channel);
        out.put_uint(u64::from(time.min(EXTENDED)), 3);
        out.put_uint(len as u64, 3);
        out.put_u8(kind);
        if format == 0 {
            out.put_u32_le(stream_id);
        }
        let extended = (time >= EXTENDED).then_some(time);
        if let Some(time) = extended {
            out.put_u32(time);
        }
        let unused = out.len();
        self.own(&header[..header.len() - unused]);
        extended
    }

    fn own(&mut self, bytes: &[u8]) {
        self.own.extend_from_slice(bytes);
        self.len += bytes.len();
        match self.parts.back_mut() {
            Some(Part::Own(len)) => *len += bytes.len(),
            _ => self.parts.push_back(Part::Own(bytes.len())),
        }
    }

    fn shared(&mut self, bytes: Bytes) {
        self.len += bytes.len();
        self.parts.push_back(Part::Shared(bytes));
    }
}

impl Default for Writer {
    fn default() -> Self {
        Self::new()
    }
}

impl Buf for Writer {
    fn remaining(&self) -> usize {
        self.len
    }

    fn chunk(&self) -> &[u8] {
        match self.parts.front() {
            Some(Part::Own(len)) => &self.own[..*len],
            Some(Part::Shared(bytes)) => bytes,
            None => &[],
        }
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut own = &self.own[..];
        let mut count = 0;
        for (slice, part) in slices.iter_mut().zip(&self.parts) {
            let bytes = match part {
                Part::Own(len) => {
                    let (bytes, rest) = own.split_at(*len);
                    own = rest;
                    bytes
                }
                Part::Shared(bytes) => bytes,
            };
            *slice = IoSlice::new(bytes);
            count += 1;
        }
        count
    }

    fn advance(&mut self, mut count: usize) {
        assert!(count <= self.len, "advanced past the end");
        self.len -= count;
        while count > 0 {
            let Some(part) = self.parts.front_mut() else { return };
            let len = match part {
                Part::Own(len) => *len,
                Part::Shared(bytes) => bytes.len(),
            };
            let step = len.min(count);
            count -= step;
            match part {
                Part::Own(len) => {
                    self.own.advance(step);
                    *len -= step;
                }
                Part::Shared(bytes) => bytes.advance(step),
            }
            if step == len {
                self.parts.pop_front();
            }
        }
    }
}
