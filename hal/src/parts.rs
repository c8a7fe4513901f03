//! Event streams of cameras, cut into their parts: bytes go in as they come, parts come out. Multipart framing is not
//! trusted, as boundaries, blank lines and lengths are wrong on many cameras: parts are known by what they hold. What is
//! held of a part is bounded, and what belongs to none, such as pictures, is passed over without being held.

mod elements;
mod messages;
mod pairs;
#[cfg(test)]
mod tests;

pub use elements::Elements;
pub use messages::Messages;
pub use pairs::Pairs;

/// Most bytes of one part. A longer one is dropped, or cut where its beginning says enough.
pub const LONGEST_PART: usize = 256 * 1024;

/// What cuts one kind of stream.
pub enum Splitter {
    /// XML elements of one name.
    Elements(Elements),
    /// Texts that begin with `Code=`.
    Pairs(Pairs),
    /// Messages of HTTP.
    Messages(Messages),
}

impl Splitter {
    /// Takes the next bytes and hands over the parts that end in them.
    pub fn push(&mut self, bytes: &[u8], part: &mut dyn FnMut(&[u8])) {
        match self {
            Self::Elements(elements) => elements.push(bytes, part),
            Self::Pairs(pairs) => pairs.push(bytes, part),
            Self::Messages(messages) => messages.push(bytes, part),
        }
    }

    /// Whether what is held is probably a whole part whose end the camera has not marked.
    pub fn awaits_end(&self) -> bool {
        matches!(self, Self::Pairs(pairs) if pairs.awaits_end())
    }

    /// Hands over what is held as a part, when nothing followed it for a while.
    pub fn flush(&mut self, part: &mut dyn FnMut(&[u8])) {
        if let Self::Pairs(pairs) = self {
            pairs.flush(part);
        }
    }

    /// How many bytes are held.
    pub fn held(&self) -> usize {
        match self {
            Self::Elements(elements) => elements.held(),
            Self::Pairs(pairs) => pairs.held(),
            Self::Messages(messages) => messages.held(),
        }
    }
}
