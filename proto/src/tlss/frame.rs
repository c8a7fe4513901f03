//! A message and the length in front of it: 4 bytes, little-endian, in both directions.

const HEADER: usize = 4;

/// Length field of a message of `length` bytes. No message is longer than the field can say.
pub fn header(length: usize) -> [u8; HEADER] {
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}

/// A whole message, ready to be written.
pub fn frame(message: &[u8]) -> Vec<u8> {
    [&header(message.len()), message].concat()
}

/// A message is declared longer than the reader takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("message too long: expected at most {limit} bytes, the server declares {declared}")]
pub struct TooLong {
    /// The most that is taken.
    pub limit: usize,
    /// What the length field says.
    pub declared: u32,
}

/// Puts messages together from bytes as they arrive. Memory grows with what arrived, never with what
/// was declared.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    header: [u8; HEADER],
    /// Bytes of the header that have come.
    known: usize,
    body: Vec<u8>,
}

impl Decoder {
    /// Takes messages of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, header: [0; HEADER], known: 0, body: Vec::new() }
    }

    /// Takes bytes up to the end of one message: how many, and the message when it is complete.
    ///
    /// # Errors
    ///
    /// The message is declared too long. Its end cannot be found: give the connection up.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(usize, Option<Vec<u8>>), TooLong> {
        let head = bytes.len().min(HEADER - self.known);
        self.header[self.known..][..head].copy_from_slice(&bytes[..head]);
        self.known += head;
        if self.known < HEADER {
            return Ok((head, None));
        }
        let declared = u32::from_le_bytes(self.header);
        let length = usize::try_from(declared).ok().filter(|length| *length <= self.limit);
        let length = length.ok_or(TooLong { limit: self.limit, declared })?;
        let rest = &bytes[head..];
        let part = rest.len().min(length - self.body.len());
        self.body.extend_from_slice(&rest[..part]);
        let message = (self.body.len() == length).then(|| {
            self.known = 0;
            std::mem::take(&mut self.body)
        });
        Ok((head + part, message))
    }

    /// Bytes of memory that the unfinished message takes.
    pub fn capacity(&self) -> usize {
        self.body.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_is_little_endian() {
        assert_eq!(frame(b"mac=1"), b"\x05\0\0\0mac=1");
        assert_eq!(header(0x0102_0304), [4, 3, 2, 1]);
    }

    #[test]
    fn a_message_ends_where_it_says() {
        let mut decoder = Decoder::new(5);
        let bytes = [frame(b"done\0"), frame(b"next")].concat();
        assert_eq!(decoder.take(&bytes), Ok((9, Some(b"done\0".to_vec()))));
        assert_eq!(decoder.take(&bytes[9..]), Ok((8, Some(b"next".to_vec()))));
        assert_eq!(decoder.take(&frame(b"")), Ok((4, Some(Vec::new()))));
    }

    #[test]
    fn a_length_above_the_limit_allocates_nothing() {
        let mut decoder = Decoder::new(5);
        let error = decoder.take(&[0xff; 4096]).unwrap_err();
        assert_eq!(error, TooLong { limit: 5, declared: u32::MAX });
        assert_eq!(decoder.capacity(), 0);
    }

    #[test]
    fn a_declared_length_costs_nothing_before_its_bytes() {
        let mut decoder = Decoder::new(usize::MAX);
        assert_eq!(decoder.take(&header(1 << 30)), Ok((4, None)));
        assert_eq!(decoder.take(b"abc"), Ok((3, None)));
        assert!(decoder.capacity() <= 64);
    }
}
