//! Files that are fetched as a stream, also from where an earlier attempt ended.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::StatusCode;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_ENCODING, CONTENT_RANGE, ETAG, HeaderName, LAST_MODIFIED};
use hyper::http::response::Parts;
use ivt_base::secret::Secret;
use tokio::time::timeout;

use super::address::Address;
use super::answer::Answer;
use super::body::{Outgoing, Resume};
use super::client::{Http, REST, late, read};
use super::connections::{Connection, broken};
use super::error::HttpError;

/// Longest `ETag` that is kept, in bytes.
const LONGEST_VALIDATOR: usize = 200;

/// A file on its way. Its connection is closed when this is dropped.
pub struct Download {
    /// Where the bytes begin in the file: where it was asked to be resumed, or 0 when it begins anew.
    pub from: u64,
    /// Length of the whole file in bytes, where the server tells it.
    pub length: Option<u64>,
    /// What [`Resume`] needs to go on with this file; `None` where the server gives nothing to tell it by.
    pub validator: Option<String>,
    body: Incoming,
    /// Where it comes from, for errors.
    from_where: Address,
    _connection: Connection,
}

impl Http {
    /// Asks for a file, from its beginning or from where an earlier attempt ended, through one redirect at most, which
    /// has to stay on the host. Returns when the answer begins.
    ///
    /// # Errors
    /// There is no connection or no answer in time, the server may not be asked, or it does not give the file. A part
    /// that the server does not have (416), or another one than was asked for, is `Refused`: begin anew. So is a file that is packed for the way.
    pub async fn get(&self, to: &Address, resume: Option<&Resume>) -> Result<Download, HttpError> {
        let mut next: Option<Secret<Address>> = None;
        loop {
            let to = next.as_ref().map_or(to, |next| next.expose());
            let limit = self.0.deadlines.connect + self.0.deadlines.call;
            let asked = Outgoing::Nothing(resume.cloned());
            let answered = timeout(limit, self.0.connections.send(to, asked, false)).await;
            let (connection, response) =
                answered.unwrap_or_else(|_| Err(late(to, "no answer in time")))?;
            let (head, mut body) = response.into_parts();
            if head.status.is_success() {
                return Download::new(to, connection, &head, body, resume);
            }
            let mut words = BytesMut::new();
            // The status says enough, even if the rest cannot be read.
            timeout(REST, read(&mut body, &mut words)).await.ok();
            let answer = Answer::new(&head, words);
            let location = answer.location.as_ref().map(|location| to.join(location.expose()));
            if location.and_then(Result::ok).is_some_and(|further| !stays(to, &further)) {
                let text =
                    format!("{}: redirects to another server, which is not followed", to.place());
                return Err(HttpError::Refused(text));
            }
            match self.redirect(to, &answer, &[301, 302, 303, 307, 308])? {
                None => return Err(answer.refusal(to)),
                Some(_) if next.is_some() => {
                    return Err(HttpError::Refused(format!("{}: redirects again", to.place())));
                }
                further => next = further,
            }
        }
    }
}

impl Download {
    fn new(
        to: &Address,
        connection: Connection,
        head: &Parts,
        body: Incoming,
        resume: Option<&Resume>,
    ) -> Result<Self, HttpError> {
        let told = |what: &str| format!("{}: {}: {what}", to.place(), head.status);
        let odd = |what: &str| HttpError::Busy(told(what));
        if header(head, CONTENT_ENCODING)
            .is_some_and(|coding| !coding.eq_ignore_ascii_case("identity"))
        {
            return Err(HttpError::Refused(told(
                "it is packed (Content-Encoding), which nobody asked for",
            )));
        }
        let (from, length) = match (head.status, resume) {
            (StatusCode::OK, _) => (0, body.size_hint().exact()),
            (StatusCode::PARTIAL_CONTENT, Some(resume)) => {
                let range = header(head, CONTENT_RANGE).and_then(content_range);
                let other = |what: &str| HttpError::Refused(told(what));
                let (from, length) = range.ok_or_else(|| other("no Content-Range to read"))?;
                if from != resume.from {
                    return Err(other(&format!("from byte {from} instead of {}", resume.from)));
                }
                (from, length)
            }
            _ => return Err(odd("expected 200 with the file")),
        };
        Ok(Self {
            from,
            length,
            validator: validator(head),
            body,
            from_where: to.clone(),
            _connection: connection,
        })
    }

    /// The next bytes, 64 KiB at most; `None` at the end. Waits as long as the server does: the caller sets the limit.
    ///
    /// # Errors
    /// The connection broke before the end that the server announced.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, HttpError> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|e| broken(&self.from_where, &e))?;
            if let Ok(data) = frame.into_data()
                && !data.is_empty()
            {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }
}

/// Whether a redirect stays on its server, or leads to the same host with encryption.
fn stays(from: &Address, to: &Address) -> bool {
    let encrypts = to.is_encrypted() && !from.is_encrypted();
    from.host() == to.host() && (from.port() == to.port() || encrypts)
}

fn header(head: &Parts, name: HeaderName) -> Option<&str> {
    head.headers.get(name)?.to_str().ok()
}

/// First byte and whole length of `bytes 5-99/100`, whose length may be `*`.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (unit, range) = text.trim().split_once(' ')?;
    let (range, length) = range.split_once('/')?;
    let (first, last) = range.trim().split_once('-')?;
    let (first, last): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    let length = match length.trim() {
        "*" => None,
        length => Some(length.parse::<u64>().ok()?),
    };
    let sound = first <= last && length.is_none_or(|length| last < length);
    (sound && unit.eq_ignore_ascii_case("bytes")).then_some((first, length))
}

/// A strong `ETag`, or the date of the last change: what `If-Range` may carry (RFC 9110, section 13.1.5).
fn validator(head: &Parts) -> Option<String> {
    let tag = header(head, ETAG).filter(|tag| tag.starts_with('"'));
    let validator = tag.or_else(|| header(head, LAST_MODIFIED))?;
    (validator.len() <= LONGEST_VALIDATOR).then(|| validator.to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ivt_base::address_rule::AddressRule;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::super::Deadlines;
    use super::super::address::LONGEST_URI;
    use super::super::scripted::{Reply, Scripted, Seen};
    use super::*;
    use crate::tls::TrustStore;

    fn http() -> Http {
        let rule = AddressRule::for_cloud("127.0.0.1");
        Http::new(TrustStore::new(None).unwrap(), rule, Deadlines::default())
    }

    fn resume(from: u64) -> Resume {
        Resume { from, validator: Some("\"v1\"".into()) }
    }

    async fn whole(mut download: Download) -> Result<Vec<u8>, HttpError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = download.chunk().await? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    #[tokio::test]
    async fn a_file_comes_whole_and_from_where_it_ended() {
        let server = Scripted::new(|seen: &Seen| match seen.header("range") {
            None => Reply::Answer(200, "etag: \"v1\"\r\n", "0123456789".into()),
            Some(_) => Reply::Answer(206, "content-range: bytes 4-9/10\r\n", "456789".into()),
        })
        .await;
        let url = server.url("/image?sign=geheim");
        let download = http().get(&url, None).await.unwrap();
        assert_eq!((download.from, download.length), (0, Some(10)));
        assert_eq!(download.validator.as_deref(), Some("\"v1\""));
        assert_eq!(whole(download).await.unwrap(), b"0123456789");
        let download = http().get(&url, Some(&resume(4))).await.unwrap();
        assert_eq!((download.from, download.length), (4, Some(10)));
        assert_eq!(whole(download).await.unwrap(), b"456789");
        let unnamed = Resume { from: 4, validator: None };
        assert_eq!(http().get(&url, Some(&unnamed)).await.unwrap().from, 4);
        let seen = server.seen();
        assert_eq!(seen[0].line, "GET /image?sign=geheim");
        let mut names: Vec<&str> = seen[0].headers.iter().map(|(name, _)| &**name).collect();
        names.sort_unstable();
        assert_eq!(names, ["accept", "host"]);
        assert_eq!(seen[1].header("range"), Some("bytes=4-"));
        assert_eq!(seen[1].header("if-range"), Some("\"v1\""));
        assert_eq!((seen[2].header("range"), seen[2].header("if-range")), (Some("bytes=4-"), None));
    }

    #[tokio::test]
    async fn a_file_that_changed_begins_anew_and_an_odd_part_is_refused() {
        for (status, headers, from) in [
            (200, "", Some(0)),
            (206, "content-range: bytes 4-5/*\r\n", Some(4)),
            (206, "content-range: bytes 5-6/9\r\n", None),
            (206, "content-range: bytes 4-9/9\r\n", None),
            (206, "content-type: multipart/byteranges; boundary=x\r\n", None),
            (204, "", None),
            (416, "content-range: bytes */3\r\n", None),
            (206, "content-range: bytes 4-5/6\r\ncontent-encoding: identity\r\n", Some(4)),
            (206, "content-range: bytes 4-5/6\r\ncontent-encoding: gzip\r\n", None),
            (200, "content-encoding: br\r\n", None),
            (404, "", None),
            (503, "retry-after: 7\r\n", None),
        ] {
            let server = Scripted::new(move |_| Reply::Answer(status, headers, "ab".into())).await;
            let got = http().get(&server.url("/x?sign=geheim"), Some(&resume(4))).await;
            assert_eq!(got.as_ref().ok().map(|download| download.from), from, "{status} {headers}");
            if let Err(error) = got {
                assert!(!format!("{error:?}").contains("geheim"), "{error:?}");
            }
        }
        let server =
            Scripted::new(|_| Reply::Answer(206, "content-range: bytes 0-1/2\r\n", "ab".into()))
                .await;
        assert!(http().get(&server.url("/x"), None).await.is_err(), "no part was asked for");
    }

    #[tokio::test]
    async fn redirects_are_followed_by_the_rule_and_have_an_end() {
        let server = Scripted::new(|seen: &Seen| match &*seen.line {
            "GET /a" => Reply::Answer(302, "location: b?sign=geheim\r\n", String::new()),
            "GET /b?sign=geheim" => Reply::json("file"),
            "GET /c" => Reply::Answer(301, "location: /a\r\n", String::new()),
            "GET /host" => {
                Reply::Answer(302, "location: http://127.0.0.2:9/geheim\r\n", String::new())
            }
            "GET /name" => {
                Reply::Answer(302, "location: http://localhost/geheim\r\n", String::new())
            }
            "GET /port" => Reply::Answer(308, "location: //127.0.0.1:9/geheim\r\n", String::new()),
            _ => Reply::Answer(307, "location: /loop\r\n", String::new()),
        })
        .await;
        let download = http().get(&server.url("/a"), None).await.unwrap();
        assert_eq!(whole(download).await.unwrap(), b"file");
        for path in ["/host", "/name", "/port"] {
            let evil = http().get(&server.url(path), None).await.err().unwrap();
            assert!(
                matches!(&evil, HttpError::Refused(text) if text.ends_with("not followed")),
                "{evil:?}"
            );
        }
        for path in ["/loop", "/c"] {
            let before = server.seen().len();
            let turning = http().get(&server.url(path), None).await.err().unwrap();
            assert!(matches!(turning, HttpError::Refused(_)), "{turning:?}");
            assert_eq!(server.seen().len() - before, 2, "{path}");
        }
    }

    #[tokio::test]
    async fn a_file_that_is_cut_off_is_no_whole_one() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/x", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let _asked = socket.read(&mut [0; 4096]).await.unwrap();
            let head = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n01234";
            socket.write_all(head).await.unwrap();
        });
        let url = Address::parse(&url, LONGEST_URI).unwrap();
        let download = http().get(&url, None).await.unwrap();
        assert!(matches!(whole(download).await, Err(HttpError::Transport(_))));
    }

    #[tokio::test]
    async fn a_server_that_does_not_answer_is_left() {
        let server = Scripted::new(|_| Reply::Silence).await;
        let short = Duration::from_millis(200);
        let deadlines = Deadlines { connect: short, call: short, stall: short, answer: short };
        let rule = AddressRule::for_cloud("127.0.0.1");
        let hasty = Http::new(TrustStore::new(None).unwrap(), rule, deadlines);
        let error = hasty.get(&server.url("/x"), None).await.err().unwrap();
        assert!(matches!(error, HttpError::Transport(_)), "{error:?}");
    }
}
