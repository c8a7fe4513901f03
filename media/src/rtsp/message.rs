//! What travels on an RTSP connection: answers and requests (RFC 2326 4 to 6) and interleaved packets
//! (10.12), cut from bytes. Lenient in what may be wrong, strict in how much of it there may be.

use ivt_base::text::shorten;

/// Longest block of header lines, in bytes.
pub const MAX_HEADER: usize = 64 << 10;
/// Most header lines of a message.
pub const MAX_LINES: usize = 128;
/// Longest body, in bytes. The only one there is a use for is a session description.
pub const MAX_BODY: usize = super::sdp::MAX_BYTES;
/// Most bytes in a row that are neither message nor packet, once either was there.
const MAX_NOISE: usize = 64 << 10;
/// Longest name of a method, in bytes.
const MAX_METHOD: usize = 24;

/// A message with its header lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What kind it is, from its first line.
    pub start: StartLine,
    headers: Vec<(String, String)>,
    /// The body, at most [`MAX_BODY`] bytes; empty where the length is no number.
    pub body: Vec<u8>,
}

/// The first line of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartLine {
    /// An answer.
    Response {
        /// The status, 100 to 999.
        status: u16,
        /// What the peer says of the status, fit for a log.
        reason: String,
        /// Whether the answer is HTTP's, so that a web server answers.
        http: bool,
    },
    /// A request.
    Request {
        /// The method.
        method: String,
    },
}

/// What begins the bytes at hand.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Something that is not complete: read more.
    Partial,
    /// An interleaved packet.
    Packet {
        /// The channel.
        channel: u8,
        /// The packet without its framing.
        data: &'a [u8],
        /// Bytes of the packet with its framing.
        len: usize,
    },
    /// A message, and how many bytes it takes.
    Message(Box<Message>, usize),
    /// Bytes that are neither: leave so many out.
    Noise(usize),
}

/// The peer goes beyond what can be borne.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooMuch {
    /// Header lines without end.
    #[error("expected at most {MAX_HEADER} bytes of header lines, got more without an empty line")]
    Header,
    /// Too many header lines.
    #[error("expected at most {MAX_LINES} header lines, got more")]
    Lines,
    /// A body that is too long.
    #[error("expected a body of at most {MAX_BODY} bytes, got one of {0}")]
    Body(u64),
    /// The peer sent nothing that could be understood for too long.
    #[error("expected RTSP, got something else: {0:?}")]
    Noise(String),
}

/// Cuts bytes into pieces. Keeps how far it has looked, so that no byte is looked at twice however
/// small the steps in which a message comes.
#[derive(Debug, Default)]
pub struct PieceReader {
    /// No line of the message at hand ends before this place.
    scanned: usize,
    /// Where the line at hand begins.
    line: usize,
    lines: usize,
    /// Length of the header block, once it is complete, with what it says of the body.
    header: Option<(usize, usize)>,
    /// Bytes in a row that were neither message nor packet. Until they end, a `$` may be one of
    /// them.
    noise: usize,
    /// Whether the noise so far ends with a line feed, so that a request may follow.
    after_line: bool,
    /// Whether a message or a packet came before: a peer that begins with noise speaks something
    /// else.
    heard: bool,
}

impl PieceReader {
    /// The piece that `bytes` begin with. They must begin where the last piece ended, and grow
    /// until the piece is more than [`Piece::Partial`].
    ///
    /// # Errors
    ///
    /// The peer exceeds a bound on header, body or noise, or speaks no RTSP.
    pub fn next<'a>(&mut self, bytes: &'a [u8]) -> Result<Piece<'a>, TooMuch> {
        match bytes {
            [] => return Ok(Piece::Partial),
            [b'$', rest @ ..] => match (self.noise, rest) {
                (0, _) | (_, [_, _, _, 0x80..=0xbf, ..]) => return Ok(self.packet(rest)),
                (_, [_, _, _, _, ..]) => return self.noise(bytes),
                _ => return Ok(Piece::Partial),
            },
            _ => {}
        }
        match begins_message(bytes, self.noise == 0 || self.after_line) {
            Some(true) => self.message(bytes),
            Some(false) => self.noise(bytes),
            None => Ok(Piece::Partial),
        }
    }

    fn packet<'a>(&mut self, rest: &'a [u8]) -> Piece<'a> {
        let [channel, high, low, rest @ ..] = rest else { return Piece::Partial };
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        let Some(data) = rest.get(..len) else { return Piece::Partial };
        (self.noise, self.heard) = (0, true);
        Piece::Packet { channel: *channel, data, len: len + 4 }
    }

    fn message<'a>(&mut self, bytes: &[u8]) -> Result<Piece<'a>, TooMuch> {
        let (header, body) = match self.header {
            Some(known) => known,
            None => {
                let Some(header) = self.header_end(bytes)? else { return Ok(Piece::Partial) };
                let head = read_head(bytes.get(..header).unwrap_or_default());
                let rtsp = head.as_ref().filter(|head| !head.is_http());
                let body = rtsp.map_or(Ok(0), Message::body_length)?;
                *self.header.insert((header, body))
            }
        };
        let Some(whole) = bytes.get(..header + body) else { return Ok(Piece::Partial) };
        let (head, body) = whole.split_at(header);
        let Self { noise, after_line, heard, .. } = std::mem::take(self);
        match read_head(head) {
            Some(mut message) => {
                self.heard = true;
                message.body = body.to_vec();
                Ok(Piece::Message(Box::new(message), whole.len()))
            }
            None => {
                (self.noise, self.after_line, self.heard) = (noise, after_line, heard);
                self.count_noise(whole.len(), whole)
            }
        }
    }

    /// Finds the end of the header block, its empty line included.
    fn header_end(&mut self, bytes: &[u8]) -> Result<Option<usize>, TooMuch> {
        while let Some(found) = bytes.get(self.scanned..).and_then(end_of_line) {
            let end = self.scanned + found + 1;
            let empty = matches!(bytes.get(self.line..end), Some(b"\n" | b"\r\n"));
            (self.scanned, self.line) = (end, end);
            self.lines += 1;
            if end > MAX_HEADER {
                return Err(TooMuch::Header);
            }
            if empty {
                return Ok(Some(end));
            }
            if self.lines > MAX_LINES {
                return Err(TooMuch::Lines);
            }
        }
        self.scanned = bytes.len();
        if bytes.len() > MAX_HEADER { Err(TooMuch::Header) } else { Ok(None) }
    }

    /// Takes noise up to where a piece may begin: at a packet, an answer, or the end of a line.
    fn noise<'a>(&mut self, bytes: &[u8]) -> Result<Piece<'a>, TooMuch> {
        if self.noise == 0 {
            let white = bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n' | b' ' | 0)).count();
            if white > 0 {
                return Ok(Piece::Noise(white));
            }
        }
        // Line feeds are taken together, or each would be a piece of its own.
        let lines = bytes.iter().take_while(|b| **b == b'\n').count();
        let end = if lines > 0 { lines } else { Self::end_of_noise(bytes) };
        self.after_line = bytes.get(..end).is_some_and(|noise| noise.ends_with(b"\n"));
        self.count_noise(end, bytes)
    }

    fn count_noise<'a>(&mut self, len: usize, bytes: &[u8]) -> Result<Piece<'a>, TooMuch> {
        self.noise = self.noise.saturating_add(len);
        if self.noise > MAX_NOISE || !self.heard {
            let shown = bytes.get(..bytes.len().min(40)).unwrap_or_default();
            return Err(TooMuch::Noise(shorten(&String::from_utf8_lossy(shown))));
        }
        Ok(Piece::Noise(len))
    }

    fn end_of_noise(bytes: &[u8]) -> usize {
        let mut rest = bytes.iter().enumerate().skip(1);
        let found = rest.find_map(|(at, byte)| match byte {
            b'$' | b'R' => Some(at),
            b'\n' => Some(at + 1),
            _ => None,
        });
        found.unwrap_or(bytes.len())
    }
}

impl Message {
    /// The first header line of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).next()
    }

    /// Every header line of this name.
    pub fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        let same = move |(key, _): &&(String, String)| key.eq_ignore_ascii_case(name);
        self.headers.iter().filter(same).map(|(_, value)| value.as_str())
    }

    fn is_http(&self) -> bool {
        matches!(self.start, StartLine::Response { http: true, .. })
    }

    fn body_length(&self) -> Result<usize, TooMuch> {
        let Some(value) = self.header("Content-Length") else { return Ok(0) };
        let Ok(length) = value.parse::<u64>() else { return Ok(0) };
        let fits = usize::try_from(length).ok().filter(|length| *length <= MAX_BODY);
        fits.ok_or(TooMuch::Body(length))
    }
}

/// Whether a message begins here, `any` or only an answer; `None` where too little is there to tell.
fn begins_message(bytes: &[u8], any: bool) -> Option<bool> {
    for start in [&b"RTSP/"[..], b"HTTP/"].into_iter().take(if any { 2 } else { 1 }) {
        let len = start.len().min(bytes.len());
        if bytes.get(..len) == start.get(..len) {
            return (len == start.len()).then_some(true);
        }
    }
    if !any {
        return Some(false);
    }
    let name = bytes.iter().take_while(|b| b.is_ascii_uppercase() || **b == b'_').count();
    match bytes.get(name) {
        _ if name > MAX_METHOD => Some(false),
        Some(after) => Some(name > 2 && *after == b' '),
        None => None,
    }
}

fn end_of_line(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|&byte| byte == b'\n')
}

/// Reads a header block; `None` where its first line is none.
fn read_head(block: &[u8]) -> Option<Message> {
    let text = String::from_utf8_lossy(block);
    let mut lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    let start = start_line(lines.next()?)?;
    let mut headers: Vec<(String, String)> = Vec::new();
    for line in lines.filter(|line| !line.is_empty()) {
        if line.starts_with([' ', '\t']) {
            // A folded line continues the one before (RFC 2616 4.2).
            if let Some((_, value)) = headers.last_mut() {
                let gap = if value.is_empty() { "" } else { " " };
                value.push_str(gap);
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            headers.push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
    Some(Message { start, headers, body: Vec::new() })
}

fn start_line(line: &str) -> Option<StartLine> {
    let (first, rest) = line.split_once(' ')?;
    if !first.starts_with("RTSP/") && !first.starts_with("HTTP/") {
        return Some(StartLine::Request { method: first.to_owned() });
    }
    let rest = rest.trim_start();
    let (status, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    let status = status.trim().parse().ok().filter(|status| (100..1000).contains(status))?;
    let (reason, http) = (shorten(reason.trim()), first.starts_with("HTTP/"));
    Some(StartLine::Response { status, reason, http })
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
