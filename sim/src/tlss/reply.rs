//! A device's reply, taken apart as deployed servers understand it.

use std::time::Duration;

use bytes::Bytes;

/// Words by which deployed servers see that a camera is of another family.
const ERROR_PAGES: [&[u8]; 3] = [b"No input file specified", b"404 - Not Found", b"404 Not Found"];
/// Most parameters that are read from a reply.
const MAX_PARAMETERS: usize = 4096;

/// The reply to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The value of the length field.
    pub declared: u32,
    /// All bytes behind the length field.
    pub raw: Bytes,
    /// The first line of the reply.
    pub status_line: String,
    /// The headers in their order, as they are spelt.
    pub headers: Vec<(String, String)>,
    /// The bytes behind the blank line.
    pub body: Bytes,
    /// Whether there is a blank line; without it a deployed server finds no body, unless the reply is bare.
    pub blank_line: bool,
    /// Whether all of the reply is the body, as deployed servers take the replies of IPAI devices.
    pub bare: bool,
    /// The longest time without a byte inside the reply.
    pub longest_pause: Duration,
}

impl Reply {
    /// Takes a reply apart as deployed servers do: the body is what follows `\n\r`, and its `\n`; or all of it.
    pub fn parse(declared: u32, raw: Bytes, longest_pause: Duration, bare: bool) -> Self {
        if bare {
            let (status_line, headers, body) = (String::new(), Vec::new(), raw.clone());
            let blank_line = false;
            return Self {
                declared,
                raw,
                status_line,
                headers,
                body,
                blank_line,
                bare,
                longest_pause,
            };
        }
        let end = raw.windows(2).position(|pair| pair == b"\n\r");
        let (head, mut body) = match end {
            Some(end) => (raw.slice(..end), raw.slice(end + 2..)),
            None => (raw.clone(), Bytes::new()),
        };
        if body.starts_with(b"\n") {
            body = body.slice(1..);
        }
        let head = head.split(|byte| *byte == b'\n').map(|line| String::from_utf8_lossy(line));
        let mut lines = head.map(|line| line.trim().to_owned());
        let status_line = lines.next().unwrap_or_default();
        let header = |line: String| {
            let (name, value) = line.split_once(':')?;
            Some((name.trim().to_owned(), value.trim().to_owned()))
        };
        let headers = if end.is_some() { lines.filter_map(header).collect() } else { Vec::new() };
        let blank_line = end.is_some();
        Self { declared, raw, status_line, headers, body, blank_line, bare, longest_pause }
    }

    /// The status of the status line, with or without `HTTP/1.1` before it.
    pub fn status(&self) -> Option<u16> {
        let mut words = self.status_line.split_ascii_whitespace();
        let first = words.next()?;
        if first.starts_with("HTTP/") { words.next()?.parse().ok() } else { first.parse().ok() }
    }

    /// The value of the first header of this name, in upper or lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let same = |(key, _): &&(String, String)| key.eq_ignore_ascii_case(name);
        self.headers.iter().find(same).map(|(_, value)| value.as_str())
    }

    /// Whether deployed servers take the reply for the page of a missing CGI.
    pub fn is_error_page(&self) -> bool {
        ERROR_PAGES.iter().any(|words| self.raw.windows(words.len()).any(|part| part == *words))
    }

    /// Whether the body is a JPEG file, by its first bytes.
    pub fn is_jpeg(&self) -> bool {
        self.body.starts_with(&[0xff, 0xd8, 0xff])
    }

    /// The body as text; `None` when it is no UTF-8.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.body).ok().filter(|text| !text.contains('\0'))
    }

    /// The lines of `Group.name=value`; empty when the body has other lines.
    pub fn parameters(&self) -> Vec<(&str, &str)> {
        let lines = self.text().unwrap_or_default().lines().filter(|line| !line.trim().is_empty());
        let pairs = lines.map(|line| line.split_once('=').filter(|(name, _)| is_name(name)));
        pairs.take(MAX_PARAMETERS).collect::<Option<_>>().unwrap_or_default()
    }
}

fn is_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    !text.is_empty() && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(raw: &'static [u8]) -> Reply {
        Reply::parse(0, Bytes::from_static(raw), Duration::ZERO, false)
    }

    #[test]
    fn the_body_is_behind_the_blank_line() {
        let reply =
            reply(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX: a:b\r\n\r\nA.b=c\n\r\nd");
        assert_eq!((reply.status(), reply.status_line.as_str()), (Some(200), "HTTP/1.1 200 OK"));
        assert_eq!(
            (reply.header("content-type"), reply.header("x")),
            (Some("text/plain"), Some("a:b"))
        );
        assert_eq!(reply.body, "A.b=c\n\r\nd");
    }

    #[test]
    fn without_a_blank_line_there_is_no_body() {
        let reply = reply(b"200 OK \nRecords:60\n");
        assert_eq!((reply.status(), reply.blank_line), (Some(200), false));
        assert!(reply.body.is_empty() && reply.headers.is_empty());
        assert_eq!(super::tests::reply(b"").status(), None);
    }

    #[test]
    fn all_of_a_bare_reply_is_its_body() {
        let raw = b"A.b=c\n\r\nHTTP/1.1 200 OK\r\n\r\n";
        let reply = Reply::parse(0, Bytes::from_static(raw), Duration::ZERO, true);
        assert_eq!((&reply.body[..], reply.status(), reply.blank_line), (&raw[..], None, false));
    }

    #[test]
    fn error_pages_are_known_by_their_words() {
        assert!(reply(b"HTTP/1.1 404 Not Found\r\n\r\n").is_error_page());
        assert!(reply(b"HTTP/1.1 200 OK\r\n\r\nNo input file specified.\n").is_error_page());
        assert!(!reply(b"HTTP/1.1 200 OK\r\n\r\nVERSION.firmware=1\n").is_error_page());
    }

    #[test]
    fn parameters_are_told_from_other_text() {
        let plain = reply(b"200 OK\r\n\r\nA.b=c=d\r\nA.e=\n\n");
        assert_eq!(plain.parameters(), [("A.b", "c=d"), ("A.e", "")]);
        for other in
            [&b"200 OK\r\n\r\nRecords:1 a=b\n"[..], b"200 OK\r\n\r\n\xff\xd8=1", b"200 OK\r\n\r\n"]
        {
            assert!(reply(other).parameters().is_empty());
        }
        assert!(reply(b"200 OK\r\n\r\n\xff\xd8\xff\xe0").is_jpeg());
    }
}
