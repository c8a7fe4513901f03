//! The reply to a command, in the form of a web server's answer and in one piece.

use bytes::Bytes;
use ivt_base::mask::Known;
use ivt_base::text::shorten;
use ivt_hal::Answer;

/// Headers of a camera that are not passed on: they belong to the camera's connection, to the framing, or to the
/// agent's login at the camera, which a server must not learn.
const DROPPED: &[&str] = &[
    "authentication-info",
    "authorization",
    "connection",
    "content-length",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "set-cookie",
    "set-cookie2",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "www-authenticate",
];

/// The words by which servers see that a device is not of the line whose command they tried, and try the next.
const MISSING: &str = "No input file specified.\r\n";
/// Longest text of a camera that is searched for our login, in bytes.
const LONGEST_MASKED: usize = 128 << 10;
/// Longest text that is searched on the thread that asks, in bytes. A longer one is searched beside other work.
const QUICK: usize = 16 << 10;

/// Status line, headers, blank line, and the body behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) head: Vec<u8>,
    pub(super) body: Bytes,
}

impl Reply {
    /// A camera's answer to a command by which a server may try whether the device is of a line. To the page of a
    /// command that the camera lacks the words are added that servers look for.
    pub(super) fn to_probe(mut answer: Answer, login: &Known) -> Self {
        if is_missing(&answer) {
            let encoded = |(name, _): &(String, _)| name.eq_ignore_ascii_case("content-encoding");
            if answer.headers.iter().any(encoded) {
                return Self::error(404, "This camera has no such command.");
            }
            answer.body = [&answer.body, &b"\r\n"[..], MISSING.as_bytes()].concat().into();
        }
        Self::of(answer, login)
    }

    /// A camera's answer passed on, its body byte for byte but for our `login`, which some commands repeat.
    /// Other secrets are the camera's own settings, which servers read.
    pub(super) fn of(answer: Answer, login: &Known) -> Self {
        let said =
            answer.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("connection"));
        let named: Vec<_> = said
            .flat_map(|(_, value)| value.split(|byte| *byte == b','))
            .map(|name| name.trim_ascii().to_ascii_lowercase())
            .collect();
        let mut head = Head::new(answer.status, &shorten(&answer.reason));
        for (name, value) in &answer.headers {
            let lower = name.to_ascii_lowercase();
            let ends = DROPPED.contains(&&*lower) || named.contains(&lower.clone().into_bytes());
            if !ends {
                head.field(name, &login.mask_bytes(value));
            }
        }
        head.end(without_login(answer.body, login))
    }

    /// What a trace shows of the reply: its head, and the beginning of a body that is a list of parameters.
    #[cfg(feature = "ui")]
    pub(super) fn shown(&self) -> Vec<u8> {
        let body = &self.body[..self.body.len().min(1024)];
        let is_list = body.is_ascii() && !body.iter().any(|byte| b"<{\0".contains(byte));
        [&*self.head, if is_list { body } else { b"(not shown)" }].concat()
    }

    /// An answer of the agent's own; `kind` is the content type.
    pub(super) fn new(status: u16, kind: &str, body: Bytes) -> Self {
        let mut head = Head::new(status, reason(status));
        head.field("Content-Type", kind.as_bytes());
        head.end(body)
    }

    /// An error page of the agent's own. Its body repeats the status line, which older servers look for, and says
    /// of a command that is missing or refused what newer ones look for.
    pub(super) fn error(status: u16, why: &str) -> Self {
        let missing = if matches!(status, 403 | 404) { MISSING } else { "" };
        let text = format!("{status} - {}\r\n{why}\r\n{missing}", reason(status));
        Self::new(status, "text/plain", text.into())
    }

    /// Whether the camera has the command and carried it out.
    pub(super) fn is_found(&self) -> bool {
        self.status == 200 && !self.body.ends_with(MISSING.as_bytes())
    }

    pub(super) fn len(&self) -> usize {
        self.head.len() + self.body.len()
    }
}

/// A camera's list of parameters without the lines that name users or hold passwords, which no list of another group
/// has either.
pub(super) fn without_secret_parameters(mut answer: Answer) -> Answer {
    if is_searched(&answer.body) {
        let lines = answer.body.split_inclusive(|byte| *byte == b'\n');
        let kept: Vec<_> = lines.filter(|line| !names_secret(line)).collect();
        if kept.iter().map(|line| line.len()).sum::<usize>() < answer.body.len() {
            answer.body = kept.concat().into();
        }
    }
    answer
}

fn names_secret(line: &[u8]) -> bool {
    let Some(end) = line.iter().position(|byte| *byte == b'=') else { return false };
    let name = line[..end].trim_ascii().to_ascii_lowercase();
    let holds = |word: &&[u8]| name.windows(word.len()).any(|part| part == *word);
    let words: [&[u8]; 3] = [b"passw", b"pwd", b"secret"];
    name.starts_with(b"user.") || words.iter().any(holds)
}

/// Whether a reply of this answer takes so long to make that other work has to go on meanwhile.
pub(super) fn takes_long(answer: &Answer) -> bool {
    answer.body.len() > QUICK && is_searched(&answer.body)
}

/// Pictures have zeros in them, and lists of parameters are far shorter.
fn is_searched(body: &[u8]) -> bool {
    body.len() <= LONGEST_MASKED && !body.contains(&0)
}

fn without_login(body: Bytes, login: &Known) -> Bytes {
    if !is_searched(&body) {
        return body;
    }
    match login.mask_bytes(&body) {
        masked if masked == body[..] => body,
        masked => masked.into(),
    }
}

struct Head {
    status: u16,
    text: Vec<u8>,
}

impl Head {
    fn new(status: u16, reason: &str) -> Self {
        let reason: String = reason.chars().filter(|c| matches!(c, ' '..='~')).collect();
        Self { status, text: format!("HTTP/1.1 {status} {reason}\r\n").into_bytes() }
    }

    fn field(&mut self, name: &str, value: &[u8]) {
        // A line break in a value could begin the body.
        if value.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
            return;
        }
        self.text.extend_from_slice(usual(name).as_bytes());
        self.text.extend_from_slice(b": ");
        self.text.extend_from_slice(value);
        self.text.extend_from_slice(b"\r\n");
    }

    fn end(mut self, body: Bytes) -> Reply {
        self.text.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
        Reply { status: self.status, head: self.text, body }
    }
}

/// Whether a camera says that it lacks a command: by the status, or in the family's words. That it does not take
/// our login says nothing of the command.
fn is_missing(answer: &Answer) -> bool {
    let words: [&[u8]; 3] = [b"#404|", b"#400|ILLEGAL SYNTAX", b"No input file specified"];
    (300..500).contains(&answer.status) && answer.status != 401
        || words.iter().any(|words| answer.body.starts_with(words))
}

/// `content-type` as `Content-Type`: not every server ignores the case of a header's name.
fn usual(name: &str) -> String {
    let words: Vec<_> = name
        .split('-')
        .map(|word| match word.split_at_checked(1) {
            Some((first, rest)) => first.to_ascii_uppercase() + rest,
            None => word.to_owned(),
        })
        .collect();
    words.join("-")
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        403 => "Forbidden",
        404 => "Not Found",
        502 => "Bad Gateway",
        504 => "Gateway Timeout",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(headers: &[(&str, &str)], body: &'static [u8]) -> Answer {
        let field = |(name, value): &(&str, &str)| ((*name).to_owned(), value.as_bytes().to_vec());
        let headers = headers.iter().map(field).collect();
        Answer { status: 200, reason: "OK".into(), headers, body: Bytes::from_static(body) }
    }

    fn head(reply: &Reply) -> &str {
        std::str::from_utf8(&reply.head).unwrap()
    }

    #[test]
    fn a_list_of_parameters_names_no_users_and_no_passwords() {
        let list = "VERSION.firmware=1.9\r\nUSER.User0.name=admin\r\nUSER.User0.level=9\r\n\
                    NETWORK.Pppoe.Password=x\r\nEVENT.Ftp.passwd=y\r\nVIDEO.keyframe=25\r\n";
        let kept = without_secret_parameters(answer(&[], list.as_bytes()));
        assert_eq!(&kept.body[..], b"VERSION.firmware=1.9\r\nVIDEO.keyframe=25\r\n");
        let picture = b"user.\0=\n";
        assert_eq!(&without_secret_parameters(answer(&[], picture)).body[..], picture);
    }

    #[test]
    fn our_login_at_the_camera_is_not_passed_on() {
        let login = ivt_base::mask::learn_login("admin", "passed-on-to-nobody");
        // "admin:passed-on-to-nobody" as Basic sends it.
        const BASIC: &str = "YWRtaW46cGFzc2VkLW9uLXRvLW5vYm9keQ==";
        let body = "GET /a HTTP/1.1\r\nauthorization: Digest username=\"admin\", response=\"5f3a\"\r\nhost: cam\r\n\
                    x=passed-on-to-nobody&y=passed%2Don-to%2Dnobody\r\n\
                    env=YWRtaW46cGFzc2VkLW9uLXRvLW5vYm9keQ==\r\n";
        let reply = Reply::of(
            answer(
                &[("Authorization", BASIC), ("X-Request", BASIC), ("Content-Type", "text/plain")],
                body.as_bytes(),
            ),
            &login,
        );
        let text = std::str::from_utf8(&reply.body).unwrap();
        assert_eq!(
            text,
            "GET /a HTTP/1.1\r\nauthorization: ***\r\nhost: cam\r\nx=***&y=***\r\nenv=YWRtaW46***==\r\n"
        );
        let head = head(&reply);
        assert!(
            !head.contains("uthorization") && head.contains("X-Request: YWRtaW46***=="),
            "{head}"
        );
        assert!(head.contains(&format!("Content-Length: {}\r\n", text.len())), "{head}");
    }

    #[test]
    fn settings_that_look_like_secrets_of_others_are_passed_on() {
        let _key = ivt_base::mask::learn("rtmp://cloud.example/live/stream1?token=cam01");
        let login = ivt_base::mask::learn_login("admin", "adm1n-of-this-camera");
        let list = "VIDEO.stream1.enable=yes\r\nBRAND.name=cam01\r\nUSER.adm1n=1\r\n".repeat(40);
        let headers = [("X-Stream", "stream1"), ("X-Pw", "adm1n-of-this-camera")];
        let body = Bytes::from(list.clone());
        let reply = Reply::of(Answer { body, ..answer(&headers, b"") }, &login);
        assert_eq!(reply.body, list);
        assert!(head(&reply).contains("X-Stream: stream1\r\nX-Pw: ***\r\n"), "{}", head(&reply));
    }

    #[test]
    fn an_answer_keeps_its_end_to_end_headers_and_every_byte_of_its_body() {
        let body = b"\xff\xd8\r\n\r\n\0\xff\xd9";
        let reply = Reply::of(
            answer(
                &[
                    ("content-type", "image/jpeg"),
                    ("Transfer-Encoding", "chunked"),
                    ("content-encoding", "gzip"),
                    ("Connection", "close, X-Hop"),
                    ("x-hop", "1"),
                    ("ETag", "\"a\""),
                    ("Content-Length", "999"),
                ],
                body,
            ),
            &Known::default(),
        );
        assert_eq!(
            head(&reply),
            "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Encoding: gzip\r\nETag: \"a\"\r\n\
             Content-Length: 9\r\n\r\n"
        );
        assert_eq!(&reply.body[..], body);
        assert_eq!(reply.len(), reply.head.len() + 9);
    }

    #[test]
    fn what_our_login_got_stays_here() {
        let reply = Reply::of(
            answer(
                &[
                    ("Set-Cookie", "session=canary"),
                    ("WWW-Authenticate", "Digest nonce=canary"),
                    ("Authorization", "Basic canary"),
                ],
                b"",
            ),
            &Known::default(),
        );
        assert!(!head(&reply).contains("canary"), "{}", head(&reply));
    }

    #[test]
    fn no_answer_can_end_its_head_early() {
        let mut sly = answer(&[("X-A", "1\r\n\r\n<body>"), ("X-B", "2")], b"b");
        sly.reason = "OK\r\n\r\n".into();
        let text = Reply::of(sly, &Known::default()).head;
        let ends = text.windows(4).filter(|four| four == b"\r\n\r\n").count();
        assert_eq!(ends, 1, "{}", text.escape_ascii());
        assert!(text.starts_with(b"HTTP/1.1 200 OK\r\nX-B: 2\r\n"));
    }

    #[test]
    fn a_missing_page_has_the_words_that_servers_look_for() {
        let reply = Reply::error(404, "none");
        assert!(head(&reply).starts_with("HTTP/1.1 404 Not Found\r\n"));
        assert!(reply.body.starts_with(b"404 - Not Found"));
        assert!(reply.body.ends_with(b"No input file specified.\r\n") && !reply.is_found());
        for (status, line) in
            [(403, "403 Forbidden"), (502, "502 Bad Gateway"), (504, "504 Gateway Timeout")]
        {
            let reply = Reply::error(status, "");
            assert!(head(&reply).starts_with(&format!("HTTP/1.1 {line}\r\n")), "{}", head(&reply));
        }
    }

    #[test]
    fn to_the_cameras_own_page_the_words_are_added() {
        let lacks = |status, body| {
            let kind = [("content-type", "text/html")];
            Reply::to_probe(Answer { status, ..answer(&kind, body) }, &Known::default())
        };
        for (status, page) in [
            (404, &b"<h1>404</h1>"[..]),
            (404, b""),
            (302, b"moved"),
            (403, b"no"),
            (200, b"#404|NOT FOUND\n"),
            (200, b"#400|ILLEGAL SYNTAX\n"),
            (200, b"No input file specified.\n"),
        ] {
            let reply = lacks(status, page);
            assert_eq!(reply.body, [page, b"\r\nNo input file specified.\r\n"].concat());
            let length = format!("Content-Length: {}\r\n", reply.body.len());
            assert!(head(&reply).contains(&length) && head(&reply).contains("text/html"));
            assert!(!reply.is_found());
        }
        for (status, page) in [(200, &b"VERSION.firmware=1\n"[..]), (200, b"#400|BAD REQUEST\n")] {
            assert_eq!(lacks(status, page).body, page);
            assert!(lacks(status, page).is_found());
        }
        for status in [401, 500] {
            assert_eq!(lacks(status, b"page").body, "page");
            assert!(!lacks(status, b"page").is_found());
        }
    }

    #[test]
    fn a_compressed_page_gives_way_to_our_own() {
        let packed = answer(&[("Content-Encoding", "gzip")], b"\x1f\x8b");
        let reply = Reply::to_probe(Answer { status: 404, ..packed }, &Known::default());
        assert!(!head(&reply).contains("gzip"), "{}", head(&reply));
        assert!(reply.body.ends_with(b"No input file specified.\r\n"));
    }
}
