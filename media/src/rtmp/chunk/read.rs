//! Joins chunks to messages. The input may be hostile: no length is believed before its bytes have
//! come.

use bytes::{Buf, BytesMut};

use crate::rtmp::chunk::{DEFAULT_CHUNK_SIZE, EXTENDED, Message, kind};

/// What a peer may make us hold: at most `message` times `streams` bytes, and twice that while a
/// buffer grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkLimits {
    /// Longest message in bytes.
    pub message: usize,
    /// Most chunk streams.
    pub streams: usize,
}

/// Why bytes are no chunk stream. The connection cannot be repaired then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// A message is longer than the limit.
    #[error("message of {len} bytes, expected at most {limit}")]
    TooLong {
        /// Length of the message as announced, in bytes.
        len: usize,
        /// Longest message that is allowed, in bytes.
        limit: usize,
    },
    /// There is one chunk stream more than the limit.
    #[error("more than {limit} chunk streams")]
    TooManyStreams {
        /// Most chunk streams that are allowed.
        limit: usize,
    },
    /// A header refers to an earlier header of its chunk stream that never came.
    #[error("chunk stream {id} begins without a full header")]
    NoHeader {
        /// Number of the chunk stream.
        id: u32,
    },
    /// A new message begins before the last one of its chunk stream is complete.
    #[error("chunk stream {id}: new message inside another")]
    Interrupted {
        /// Number of the chunk stream.
        id: u32,
    },
    /// A chunk size of 0 or above 2^31 - 1, or a control message without its number.
    #[error("bad chunk size or control message")]
    BadControl,
}

/// Joins the chunks of one direction of one connection. Set Chunk Size and Abort are obeyed here
/// and not handed out.
#[derive(Debug)]
pub struct ChunkReader {
    limits: ChunkLimits,
    chunk_size: usize,
    streams: Vec<Stream>,
    /// The chunk being read: the index of its stream, and the payload bytes still to come.
    open: Option<(usize, usize)>,
}

#[derive(Debug)]
struct Stream {
    id: u32,
    kind: u8,
    stream_id: u32,
    len: usize,
    timestamp: u32,
    /// The newest timestamp field, which a header without one adds again.
    delta: u32,
    /// Whether `delta` came as an extended timestamp, so that headers without a field repeat it.
    extended: bool,
    /// The bytes of the message that have come.
    partial: BytesMut,
    /// Whether a message has begun and is not complete yet.
    inside: bool,
}

impl ChunkLimits {
    /// Limits for what a server sends to a publisher: commands and control messages.
    pub const CLIENT: Self = Self { message: 64 << 10, streams: 8 };
    /// Limits for what a publisher sends to a server.
    pub const SERVER: Self = Self { message: 2 << 20, streams: 16 };
}

impl ChunkReader {
    /// A reader at the start of a connection, after the handshake.
    pub fn new(limits: ChunkLimits) -> Self {
        Self { limits, chunk_size: DEFAULT_CHUNK_SIZE, streams: Vec::new(), open: None }
    }

    /// Bytes of messages that are not complete yet.
    pub fn held(&self) -> usize {
        self.streams.iter().map(|stream| stream.partial.len()).sum()
    }

    /// Takes bytes off `input` until a message is complete; `None` if more bytes are needed.
    ///
    /// # Errors
    ///
    /// A chunk breaks the format, or is beyond the limits.
    pub fn read(&mut self, input: &mut BytesMut) -> Result<Option<Message>, ChunkError> {
        loop {
            let (index, missing) = match self.open {
                Some(open) => open,
                None => match self.begin_chunk(input)? {
                    Some(open) => open,
                    None => return Ok(None),
                },
            };
            let stream = &mut self.streams[index];
            let taken = missing.min(input.len());
            stream.partial.extend_from_slice(&input[..taken]);
            input.advance(taken);
            if taken < missing {
                self.open = Some((index, missing - taken));
                return Ok(None);
            }
            self.open = None;
            if stream.partial.len() == stream.len {
                stream.inside = false;
                let message = Message {
                    kind: stream.kind,
                    stream_id: stream.stream_id,
                    timestamp: stream.timestamp,
                    payload: stream.partial.split().freeze(),
                };
                match message.kind {
                    kind::SET_CHUNK_SIZE | kind::ABORT => self.obey(&message)?,
                    _ => return Ok(Some(message)),
                }
            }
        }
    }

    /// Reads the headers of a chunk, or nothing while they are incomplete. Returns the index of the
    /// chunk's stream and the length of its payload.
    fn begin_chunk(&mut self, input: &mut BytesMut) -> Result<Option<(usize, usize)>, ChunkError> {
        let Some((format, id, basic)) = basic_header(input) else { return Ok(None) };
        let mut used = basic + [11, 7, 3, 0][usize::from(format)];
        let Some(header) = input.get(basic..used) else { return Ok(None) };
        let known = self.streams.iter().position(|stream| stream.id == id);

        // Some clients begin a stream with format 1, which lacks only the message stream.
        let (field, extended) = match (header.first_chunk(), known) {
            (Some([a, b, c]), _) => {
                let field = u32::from_be_bytes([0, *a, *b, *c]);
                (field, field == EXTENDED)
            }
            (None, Some(index)) => (self.streams[index].delta, self.streams[index].extended),
            (None, None) => return Err(ChunkError::NoHeader { id }),
        };
        if known.is_none() && format > 1 {
            return Err(ChunkError::NoHeader { id });
        }
        let mut delta = field;
        if extended {
            let Some(raw) = input.get(used..).and_then(|rest| rest.first_chunk()) else {
                return Ok(None);
            };
            let raw = u32::from_be_bytes(*raw);
            // Some peers do not repeat an extended timestamp; then these four bytes are payload
            // already.
            if format < 3 || raw == field {
                delta = raw;
                used += 4;
            }
        }

        let header = &input[basic..];
        let message = (format < 2).then(|| {
            let len = u32::from_be_bytes([0, header[3], header[4], header[5]]) as usize;
            (len, header[6])
        });
        let stream_id = (format == 0)
            .then(|| u32::from_le_bytes([header[7], header[8], header[9], header[10]]));
        if let Some((len, _)) = message
            && len > self.limits.message
        {
            return Err(ChunkError::TooLong { len, limit: self.limits.message });
        }
        let index = match known {
            Some(index) => index,
            None if self.streams.len() >= self.limits.streams => {
                return Err(ChunkError::TooManyStreams { limit: self.limits.streams });
            }
            None => {
                self.streams.push(Stream::new(id));
                self.streams.len() - 1
            }
        };
        let stream = &mut self.streams[index];
        if format < 3 && stream.inside {
            return Err(ChunkError::Interrupted { id });
        }
        (stream.len, stream.kind) = message.unwrap_or((stream.len, stream.kind));
        stream.stream_id = stream_id.unwrap_or(stream.stream_id);
        (stream.delta, stream.extended) = (delta, extended);
        if !stream.inside {
            let from = if format == 0 { 0 } else { stream.timestamp };
            stream.timestamp = from.wrapping_add(delta);
            stream.inside = true;
        }
        let payload = self.chunk_size.min(stream.len - stream.partial.len());
        input.advance(used);
        Ok(Some((index, payload)))
    }

    fn obey(&mut self, message: &Message) -> Result<(), ChunkError> {
        let number = message.payload.first_chunk().ok_or(ChunkError::BadControl)?;
        let number = u32::from_be_bytes(*number);
        if message.kind == kind::ABORT {
            if let Some(stream) = self.streams.iter_mut().find(|stream| stream.id == number) {
                stream.partial.clear();
                stream.inside = false;
            }
            return Ok(());
        }
        if number == 0 || number > i32::MAX as u32 {
            return Err(ChunkError::BadControl);
        }
        self.chunk_size = number as usize;
        Ok(())
    }
}

impl Stream {
    fn new(id: u32) -> Self {
        Self {
            id,
            kind: 0,
            stream_id: 0,
            len: 0,
            timestamp: 0,
            delta: 0,
            extended: false,
            partial: BytesMut::new(),
            inside: false,
        }
    }
}

/// Format, chunk stream number and length of a basic header.
fn basic_header(input: &[u8]) -> Option<(u8, u32, usize)> {
    let (&first, rest) = input.split_first()?;
    let (id, len) = match first & 0x3f {
        0 => (64 + u32::from(*rest.first()?), 2),
        1 => {
            let [low, high] = rest.first_chunk()?;
            (64 + u32::from(u16::from_le_bytes([*low, *high])), 3)
        }
        id => (u32::from(id), 1),
    };
    Some((first >> 6, id, len))
}
