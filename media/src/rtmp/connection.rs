//! A connection after its handshake: messages both ways, and RTMP's control messages, which are
//! answered here.

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split};

use crate::rtmp::RtmpError;
use crate::rtmp::chunk::{ChunkLimits, ChunkReader, Message, Writer, kind};

/// Most unread bytes held. Further bytes wait in the socket.
const INBOX: usize = 64 << 10;
/// Replies to control messages are left out while this many bytes are unwritten, since a peer that
/// asks and never reads must not fill our memory.
const REPLIES_BELOW: usize = 16 << 10;

/// Both directions of a connection, in one task. Every `async fn` is cancel safe.
#[derive(Debug)]
pub struct Connection<S> {
    read: ReadHalf<S>,
    write: WriteHalf<S>,
    reader: ChunkReader,
    inbox: BytesMut,
    /// The bytes that are to be written.
    pub out: Writer,
    /// Bytes received in total, and their number when last acknowledged; both wrap.
    received: u32,
    acknowledged: u32,
    /// The peer wants an acknowledgement after this many bytes; 0 for never.
    window: u32,
}

impl<S: AsyncRead + AsyncWrite> Connection<S> {
    /// Takes the stream over after the handshake.
    pub fn new(io: S, limits: ChunkLimits) -> Self {
        let (read, write) = split(io);
        Self {
            read,
            write,
            reader: ChunkReader::new(limits),
            inbox: BytesMut::new(),
            out: Writer::new(),
            received: 0,
            acknowledged: 0,
            window: 0,
        }
    }

    /// The next message that is not a control message. Meanwhile what is to be written is written.
    /// `None` when the peer has closed.
    pub async fn message(&mut self) -> Result<Option<Message>, RtmpError> {
        loop {
            if let Some(message) = self.received()? {
                return Ok(Some(message));
            }
            match self.turn().await {
                Ok(()) => {}
                Err(RtmpError::Closed) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    /// The next message among the bytes that were read already.
    pub fn received(&mut self) -> Result<Option<Message>, RtmpError> {
        while let Some(message) = self.reader.read(&mut self.inbox)? {
            if !self.keep_house(&message) {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    /// Writes at least `goal` bytes, or all there are. Meanwhile what comes is read.
    pub async fn write(&mut self, goal: usize) -> Result<(), RtmpError> {
        let enough = self.out.remaining().saturating_sub(goal);
        while self.out.remaining() > enough {
            self.turn().await?;
        }
        Ok(())
    }

    /// Bytes that came and were not handed out yet.
    pub fn held(&self) -> usize {
        self.inbox.len() + self.reader.held()
    }

    /// Bytes still to be written.
    pub fn unwritten(&self) -> usize {
        self.out.remaining()
    }

    /// Writes everything and closes our direction.
    pub async fn close(&mut self) -> Result<(), RtmpError> {
        self.write(usize::MAX).await?;
        Ok(self.write.shutdown().await?)
    }

    /// Does one write or one read, whichever can happen first. Writing comes first, since replies
    /// must not wait until a peer falls silent. Polling the read side costs no system call while
    /// nothing has come.
    async fn turn(&mut self) -> Result<(), RtmpError> {
        let Self { read, write, inbox, out, .. } = self;
        let may_read = inbox.len() < INBOX;
        inbox.reserve(4096);
        let flushed = tokio::select! {
            biased;
            count = write.write_buf(out), if out.has_remaining() => {
                if count? == 0 {
                    return Err(RtmpError::Closed);
                }
                !out.has_remaining()
            }
            count = read.read_buf(inbox), if may_read => {
                let count = count?;
                if count == 0 {
                    return Err(RtmpError::Closed);
                }
                self.received = self.received.wrapping_add(count as u32);
                false
            }
        };
        if flushed {
            write.flush().await?;
        }
        self.acknowledge();
        Ok(())
    }

    fn acknowledge(&mut self) {
        let unacknowledged = self.received.wrapping_sub(self.acknowledged);
        if self.window > 0 && unacknowledged >= self.window && self.may_reply() {
            self.acknowledged = self.received;
            self.out.control(kind::ACKNOWLEDGEMENT, &self.received.to_be_bytes());
        }
    }

    /// Handles a control message. True if the message was one.
    fn keep_house(&mut self, message: &Message) -> bool {
        const PING: u16 = 6;
        const PONG: u16 = 7;
        let payload = &message.payload[..];
        match message.kind {
            kind::ACKNOWLEDGEMENT => {}
            kind::WINDOW_ACK_SIZE => {
                self.window = payload.first_chunk().map_or(0, |size| u32::from_be_bytes(*size));
            }
            kind::SET_PEER_BANDWIDTH => {
                if let Some(size) = payload.get(..4).filter(|_| self.may_reply()) {
                    self.out.control(kind::WINDOW_ACK_SIZE, size);
                }
            }
            kind::USER_CONTROL => {
                if let Some((event, data)) = payload.split_first_chunk()
                    && u16::from_be_bytes(*event) == PING
                    && self.may_reply()
                {
                    let data = &data[..data.len().min(4)];
                    self.out.control(kind::USER_CONTROL, &[&PONG.to_be_bytes(), data].concat());
                }
            }
            _ => return false,
        }
        true
    }

    fn may_reply(&self) -> bool {
        self.out.remaining() < REPLIES_BELOW
    }
}
