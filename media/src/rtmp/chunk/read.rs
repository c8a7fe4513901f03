//! Chunks to messages, for input that may be hostile: no length is believed before its bytes came.

use bytes::{Buf, BytesMut};

use crate::rtmp::chunk::{DEFAULT_CHUNK_SIZE, EXTENDED, Message, kind};

/// What a peer may make us hold: at most `message` times `streams` bytes, twice that while a
/// buffer grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest message in bytes.
    pub message: usize,
    /// Most chunk streams.
    pub streams: usize,
}

/// Why bytes are no chunk stream; the connection is beyond repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// A message above the limit.
    #[error("message of {len} bytes, expected at most {limit}")]
    TooLong {
        /// As announced.
        len: usize,
        /// As allowed.
        limit: usize,
    },
    /// One chunk stream too many.
    #[error("more than {limit} chunk streams")]
    TooManyStreams {
        /// As allowed.
        limit: usize,
    },
    /// A header that leans on an earlier one which never came.
    #[error("chunk stream {id} begins without a full header")]
    NoHeader {
        /// The chunk stream.
        id: u32,
    },
    /// A new message before the last one of that chunk stream was whole.
    #[error("chunk stream {id}: new message inside another")]
    Interrupted {
        /// The chunk stream.
        id: u32,
    },
    /// A chunk size of 0 or above 2^31 - 1, or a control message without its number.
    #[error("bad chunk size or control message")]
    BadControl,
}

/// Puts the chunks of one direction of one connection together. Set Chunk Size and Abort are
/// obeyed here and not handed out.
#[derive(Debug)]
pub struct Reader {
    limits: Limits,
    chunk_size: usize,
    streams: Vec<Stream>,
    /// The chunk being read: index of its stream, payload bytes still to come.
    open: Option<(usize, usize)>,
}

#[derive(Debug)]
struct Stream {
    id: u32,
    kind: u8,
    stream_id: u32,
    len: usize,
    timestamp: u32,
    /// The last timestamp field: what a header without one adds.
    delta: u32,
    /// `delta` came as an extended timestamp, so bare headers repeat it.
    extended: bool,
    /// What of the message has come.
    partial: BytesMut,
    /// A message has begun and is not yet whole.
    inside: bool,
}

impl Limits {
    /// For what a server sends to a publisher: commands and control messages.
    pub const CLIENT: Self = Self { message: 64 << 10, streams: 8 };
    /// For what a publisher sends to a server.
    pub const SERVER: Self = Self { message: 2 << 20, streams: 16 };
}

impl Reader {
    /// A reader at the start of a connection, after the handshake.
    pub fn new(limits: Limits) -> Self {
        Self { limits, chunk_size: DEFAULT_CHUNK_SIZE, streams: Vec::new(), open: None }
    }

    /// Takes bytes off `input` until a message is whole; `None` when it wants more.
    ///
    /// # Errors
    ///
    /// A chunk that breaks the format, or one beyond the limits.
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

    /// Reads a chunk's headers, all or nothing. The chunk's stream and payload length.
    fn begin_chunk(&mut self, input: &mut BytesMut) -> Result<Option<(usize, usize)>, ChunkError> {
        let Some((format, id, basic)) = basic_header(input) else { return Ok(None) };
        let mut used = basic + [11, 7, 3, 0][usize::from(format)];
        let Some(header) = input.get(basic..used) else { return Ok(None) };
        let known = self.streams.iter().position(|stream| stream.id == id);

        // Some clients begin with format 1: all but the message stream is there.
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
            // Some peers leave the repetition out: then these four bytes are payload already.
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

/// Format, chunk stream id and length of a basic header.
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
