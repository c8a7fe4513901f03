//! Reads the messages of a device, by silence as deployed servers do or by their length.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use ivt_proto::tlss::Decoder;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

const HEADER: usize = 4;
/// Most KiB of messages under way, in all sessions together.
const UNDER_WAY_KIB: usize = 24 << 10;
const PIECE_KIB: u32 = 64;
/// Least rate of a message in bytes per second, beyond the patience of the server.
const LEAST_RATE: u64 = 1 << 10;

/// How the end of a message is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// By silence, whatever the length says: the message ends when nothing came for this time, or for twice as
    /// long before the first byte. Deployed servers have 2 s.
    Silence(Duration),
    /// By the message's length.
    Length,
}

/// Reads messages, within the bounds of all sessions together.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) how: Reading,
    /// Longest wait for a byte.
    pub(super) patience: Duration,
    under_way: Arc<Semaphore>,
}

/// A message, and when it came.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) declared: u32,
    pub(super) bytes: Bytes,
    pub(super) longest_pause: Duration,
    /// When the last byte came.
    pub(super) ended: Instant,
}

/// Why a message was not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("the device closed the connection")]
    Closed,
    #[error("the device closed the connection inside a message")]
    Torn,
    #[error("the device was silent for {} s", .0.as_secs_f32())]
    Silent(Duration),
    #[error("the device sent less than {LEAST_RATE} bytes a second")]
    Slow,
    #[error("the device sent more than {0} bytes")]
    TooLong(usize),
    #[error("too many bytes are being received")]
    Full,
    #[error("connection: {0}")]
    Io(#[from] io::Error),
}

impl Message {
    fn came(&mut self, began: Instant) {
        self.ended = Instant::now();
        self.longest_pause = self.longest_pause.max(self.ended - began);
    }
}

impl Reader {
    pub(super) fn new(how: Reading, patience: Duration) -> Self {
        Self { how, patience, under_way: Arc::new(Semaphore::new(UNDER_WAY_KIB)) }
    }

    /// Reads one message of at most `limit` bytes; `how` may differ from the usual way.
    pub(super) async fn message(
        &self,
        stream: &mut (impl AsyncRead + Unpin),
        how: Reading,
        limit: usize,
    ) -> Result<Message, ReadError> {
        let mut header = [0; HEADER];
        let mut known = 0;
        let until = Instant::now() + self.patience;
        while known < HEADER {
            let left = until.duration_since(Instant::now());
            known += match self.some(stream, &mut header[known..], left).await? {
                0 if known == 0 => return Err(ReadError::Closed),
                0 => return Err(ReadError::Torn),
                count => count,
            };
        }
        let declared = u32::from_le_bytes(header);
        let message = Message {
            declared,
            bytes: Bytes::new(),
            longest_pause: Duration::ZERO,
            ended: Instant::now(),
        };
        match how {
            Reading::Silence(silence) => self.until_silence(stream, message, silence, limit).await,
            Reading::Length => self.counted(stream, message, header, limit).await,
        }
    }

    async fn until_silence(
        &self,
        stream: &mut (impl AsyncRead + Unpin),
        mut message: Message,
        silence: Duration,
        limit: usize,
    ) -> Result<Message, ReadError> {
        let mut room = Room::new(&self.under_way, limit);
        let begin = Instant::now();
        loop {
            let patience = if room.bytes.is_empty() { 2 * silence } else { silence };
            let began = Instant::now();
            match timeout(patience, stream.read_buf(&mut room.bytes)).await {
                Err(_) | Ok(Ok(0)) => break,
                Ok(read) => read?,
            };
            message.came(began);
            room.check()?;
            self.keeps_pace(begin, room.taken)?;
        }
        message.bytes = room.bytes.freeze();
        Ok(message)
    }

    async fn counted(
        &self,
        stream: &mut (impl AsyncRead + Unpin),
        mut message: Message,
        header: [u8; HEADER],
        limit: usize,
    ) -> Result<Message, ReadError> {
        let mut decoder = Decoder::new(limit);
        let too_long = |_| ReadError::TooLong(limit);
        let mut room = Room::new(&self.under_way, limit);
        let (_, mut whole) = decoder.take(&header).map_err(too_long)?;
        let mut missing = message.declared as usize;
        let mut piece = vec![0; missing.min(16 << 10)];
        let begin = Instant::now();
        while whole.is_none() {
            let began = Instant::now();
            let part = missing.min(piece.len());
            let count = self.some(stream, &mut piece[..part], self.patience).await?;
            if count == 0 {
                return Err(ReadError::Torn);
            }
            message.came(began);
            missing -= count;
            room.reserve(count)?;
            self.keeps_pace(begin, room.taken)?;
            (_, whole) = decoder.take(&piece[..count]).map_err(too_long)?;
        }
        message.bytes = whole.unwrap_or_default().into();
        Ok(message)
    }

    /// Whether so many bytes since `begin` are fast enough: one that drips would hold its place for ever.
    fn keeps_pace(&self, begin: Instant, bytes: usize) -> Result<(), ReadError> {
        let allowed = self.patience + Duration::from_secs(bytes as u64 / LEAST_RATE);
        if begin.elapsed() > allowed { Err(ReadError::Slow) } else { Ok(()) }
    }

    async fn some(
        &self,
        stream: &mut (impl AsyncRead + Unpin),
        buffer: &mut [u8],
        patience: Duration,
    ) -> Result<usize, ReadError> {
        match timeout(patience, stream.read(buffer)).await {
            Ok(read) => Ok(read?),
            Err(_) => Err(ReadError::Silent(patience)),
        }
    }
}

/// The bytes of one message, counted against the bound of all messages.
struct Room<'a> {
    all: &'a Arc<Semaphore>,
    bytes: BytesMut,
    taken: usize,
    limit: usize,
    permits: Vec<OwnedSemaphorePermit>,
}

impl<'a> Room<'a> {
    fn new(all: &'a Arc<Semaphore>, limit: usize) -> Self {
        Self { all, bytes: BytesMut::new(), taken: 0, limit, permits: Vec::new() }
    }

    fn check(&mut self) -> Result<(), ReadError> {
        let new = self.bytes.len() - self.taken;
        self.reserve(new)
    }

    fn reserve(&mut self, count: usize) -> Result<(), ReadError> {
        self.taken += count;
        if self.taken > self.limit {
            return Err(ReadError::TooLong(self.limit));
        }
        while self.permits.len() * (PIECE_KIB as usize * 1024) < self.taken {
            let permit = self.all.clone().try_acquire_many_owned(PIECE_KIB);
            self.permits.push(permit.map_err(|_| ReadError::Full)?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt, duplex};
    use tokio::time::sleep;

    use super::*;

    const TWO: Duration = Duration::from_secs(2);
    const LONG: Duration = Duration::from_secs(30);

    fn reader() -> Reader {
        Reader::new(Reading::Length, LONG)
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_a_message_whatever_its_length_says() {
        let (mut ours, mut theirs) = duplex(64);
        let device = async {
            theirs.write_all(b"\x02\0\0\0abc").await.unwrap();
            sleep(Duration::from_millis(1900)).await;
            theirs.write_all(b"def").await.unwrap();
            sleep(Duration::from_millis(2100)).await;
            theirs.write_all(b"late").await.unwrap();
        };
        let reader = reader();
        let read = reader.message(&mut ours, Reading::Silence(TWO), 100);
        let (message, ()) = tokio::join!(read, device);
        let message = message.unwrap();
        assert_eq!((message.declared, &message.bytes[..]), (2, &b"abcdef"[..]));
        assert_eq!(message.longest_pause.as_millis(), 1900);
    }

    #[tokio::test(start_paused = true)]
    async fn a_length_is_honoured_and_the_rest_left() {
        let (mut ours, mut theirs) = duplex(64);
        theirs.write_all(b"\x03\0\0\0abc\0\0\0\0\x01\0").await.unwrap();
        drop(theirs);
        let reader = reader();
        let mut next = async || reader.message(&mut ours, Reading::Length, 3).await;
        assert_eq!(next().await.unwrap().bytes, "abc");
        assert_eq!(next().await.unwrap().bytes, "");
        assert!(matches!(next().await, Err(ReadError::Torn)));
    }

    #[tokio::test(start_paused = true)]
    async fn silent_gone_and_talkative_devices_are_told_apart() {
        let reader = reader();
        let (mut ours, mut theirs) = duplex(64);
        let silent = reader.message(&mut ours, Reading::Length, 10).await;
        assert!(matches!(silent, Err(ReadError::Silent(LONG))), "{silent:?}");
        theirs.write_all(b"\xff\xff\xff\xff").await.unwrap();
        let long = reader.message(&mut ours, Reading::Length, 10).await;
        assert!(matches!(long, Err(ReadError::TooLong(10))), "{long:?}");
        theirs.write_all(b"\x01\0\0\0eleven bytes").await.unwrap();
        let long = reader.message(&mut ours, Reading::Silence(TWO), 11).await;
        assert!(matches!(long, Err(ReadError::TooLong(11))), "{long:?}");
        drop(theirs);
        let gone = reader.message(&mut ours, Reading::Length, 10).await;
        assert!(matches!(gone, Err(ReadError::Closed)), "{gone:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_drips_ends() {
        let reader = reader();
        for how in [Reading::Silence(TWO), Reading::Length] {
            let (mut ours, mut theirs) = duplex(64);
            let begin = Instant::now();
            let drip = async {
                theirs.write_all(b"\xff\xff\0\0").await.unwrap();
                while theirs.write_all(b"x").await.is_ok() {
                    sleep(Duration::from_secs(1)).await;
                }
            };
            let read = async {
                let read = reader.message(&mut ours, how, 1 << 20).await;
                drop(ours);
                read
            };
            let (read, ()) = tokio::join!(read, drip);
            assert!(matches!(read, Err(ReadError::Slow)), "{how:?}: {read:?}");
            assert!(begin.elapsed() < LONG + 2 * TWO, "{how:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn all_sessions_together_are_bounded_and_give_back() {
        let reader = reader();
        let most = UNDER_WAY_KIB * 1024;
        let mut room = Room::new(&reader.under_way, usize::MAX);
        room.reserve(most).unwrap();
        let mut other = Room::new(&reader.under_way, usize::MAX);
        assert!(matches!(other.reserve(1), Err(ReadError::Full)));
        drop(room);
        assert!(other.reserve(1).is_ok());
    }
}
