//! Faults of the web server's answers, on request.

use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::{sleep, timeout};

use super::wire::{Answer, write};

/// Longest time that a client is left without an answer: connections must not pile up.
const MAX_HANG: Duration = Duration::from_secs(300);
/// Length of a body that is too long, in bytes.
const HUGE: u64 = 4 << 30;
const PIECE: usize = 64 << 10;
const TICKS_PER_SECOND: u32 = 10;
/// Entities of XML, each of which is ten times the one before.
const ENTITIES: u32 = 9;

/// A fault of the camera's web server. The request is read and carried out in any case but
/// [`Status`](Self::Status).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebFault {
    /// The answer comes after so many milliseconds.
    DelayMs(u64),
    /// The body is written at so many bytes per second.
    Slow(u64),
    /// No answer comes; the connection stays for five minutes.
    Hang,
    /// The connection is closed before the answer.
    Close,
    /// The connection is closed in the middle of the body.
    CloseMidBody,
    /// The body is in chunks, which is no fault, only rare.
    Chunked,
    /// The body is 4 GiB long, as its declared length says.
    Huge,
    /// The body is 4 GiB long, in chunks and without a declared length.
    Endless,
    /// The body is labelled as gzip but is plain.
    Gzip,
    /// `Content-Length` is wrong by so many bytes, either way.
    Length(i64),
    /// The answer is bytes that are no HTTP.
    Garbage,
    /// The body is XML of less than 1 KiB, whose entities stand for 3 GB.
    Bomb,
    /// The answer has this status, and the request is not carried out.
    Status(u16),
}

/// A fault, and the requests that it is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebFaultRule {
    /// Text that the request's path and query contain; empty for every request.
    #[serde(default)]
    pub path: String,
    /// The fault of the answer.
    pub fault: WebFault,
}

/// The fault of the first rule that fits the target.
pub fn find(rules: &[WebFaultRule], target: &str) -> Option<WebFault> {
    rules.iter().find(|rule| target.contains(&rule.path)).map(|rule| rule.fault)
}

/// Writes an answer with the fault in it. `false` means that the connection has to end.
///
/// # Errors
/// When the connection is lost, or the fault breaks it.
pub async fn respond(
    stream: &mut (impl AsyncWrite + Unpin),
    answer: &Answer,
    fault: Option<WebFault>,
    last: bool,
) -> io::Result<bool> {
    let body = &answer.body;
    let length = body.len().to_string();
    let counted = [("Content-Length", length.as_str())];
    let chunked = [("Transfer-Encoding", "chunked")];
    match fault {
        None | Some(WebFault::Status(_)) => {
            write(stream, &[&answer.head(&counted, last), &body[..]].concat()).await?;
            return Ok(!last);
        }
        Some(WebFault::DelayMs(ms)) => {
            sleep(Duration::from_millis(ms)).await;
            write(stream, &[&answer.head(&counted, last), &body[..]].concat()).await?;
            return Ok(!last);
        }
        Some(WebFault::Chunked) => {
            write(stream, &answer.head(&chunked, last)).await?;
            for piece in body.chunks(1000) {
                write(stream, &chunk(piece)).await?;
            }
            write(stream, b"0\r\n\r\n").await?;
            return Ok(!last);
        }
        Some(WebFault::Gzip) => {
            let framing = [("Content-Encoding", "gzip"), counted[0]];
            write(stream, &[&answer.head(&framing, last), &body[..]].concat()).await?;
            return Ok(!last);
        }
        Some(WebFault::Slow(rate)) => {
            write(stream, &answer.head(&counted, true)).await?;
            let step = rate.div_ceil(u64::from(TICKS_PER_SECOND)).max(1);
            for piece in body.chunks(usize::try_from(step).unwrap_or(usize::MAX)) {
                sleep(Duration::from_secs(1) / TICKS_PER_SECOND).await;
                write(stream, piece).await?;
            }
        }
        Some(WebFault::Hang) => sleep(MAX_HANG).await,
        Some(WebFault::Close) => {}
        Some(WebFault::CloseMidBody) => {
            write(stream, &answer.head(&counted, true)).await?;
            write(stream, &body[..body.len() / 2]).await?;
        }
        Some(WebFault::Huge) => {
            let length = HUGE.to_string();
            write(stream, &answer.head(&[("Content-Length", &length)], true)).await?;
            flood(stream, &[b'x'; PIECE]).await?;
        }
        Some(WebFault::Endless) => {
            write(stream, &answer.head(&chunked, true)).await?;
            flood(stream, &chunk(&[b'x'; PIECE])).await?;
            write(stream, b"0\r\n\r\n").await?;
        }
        Some(WebFault::Length(by)) => {
            let length = body.len().saturating_add_signed(isize::try_from(by).unwrap_or(0));
            let framing = [("Content-Length", &*length.to_string())];
            write(stream, &[&answer.head(&framing, true), &body[..]].concat()).await?;
        }
        Some(WebFault::Bomb) => {
            let bomb = Answer::new(200, "text/xml", bomb());
            let length = bomb.body.len().to_string();
            let head = bomb.head(&[("Content-Length", &length)], true);
            write(stream, &[&head, &bomb.body[..]].concat()).await?;
        }
        Some(WebFault::Garbage) => write(stream, &rand::random::<[u8; 512]>()).await?,
    }
    Ok(false)
}

fn bomb() -> String {
    let entity = |n: u32| format!("<!ENTITY e{n} \"{}\">", format!("&e{};", n - 1).repeat(10));
    let entities: String = (1..=ENTITIES).map(entity).collect();
    format!(
        "<?xml version=\"1.0\"?><!DOCTYPE b [<!ENTITY e0 \"lol\">{entities}]><b>&e{ENTITIES};</b>"
    )
}

fn chunk(piece: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()
}

async fn flood(stream: &mut (impl AsyncWrite + Unpin), piece: &[u8]) -> io::Result<()> {
    for _ in 0..HUGE / PIECE as u64 {
        // Slower than the loopback could, so that the client gives up and not the machine.
        timeout(MAX_HANG, stream.write_all(piece)).await??;
        tokio::task::yield_now().await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sent(fault: Option<WebFault>) -> String {
        let (mut ours, mut theirs) = tokio::io::duplex(64 << 10);
        let answer = Answer::new(200, "text/plain", "0123456789");
        respond(&mut ours, &answer, fault, false).await.unwrap();
        drop(ours);
        let mut all = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut theirs, &mut all).await.unwrap();
        String::from_utf8_lossy(&all).to_lowercase()
    }

    #[tokio::test(start_paused = true)]
    async fn each_fault_shows_on_the_wire() {
        let rows = [
            (None, "content-length: 10\r\n", "\r\n\r\n0123456789"),
            (Some(WebFault::DelayMs(3000)), "content-length: 10\r\n", "\r\n\r\n0123456789"),
            (Some(WebFault::Slow(10)), "content-length: 10\r\n", "\r\n\r\n0123456789"),
            (Some(WebFault::CloseMidBody), "content-length: 10\r\n", "\r\n\r\n01234"),
            (Some(WebFault::Chunked), "chunked\r\n", "a\r\n0123456789\r\n0\r\n\r\n"),
            (Some(WebFault::Gzip), "content-encoding: gzip\r\n", "\r\n\r\n0123456789"),
            (Some(WebFault::Bomb), "content-type: text/xml", "&e8;\">]><b>&e9;</b>"),
            (Some(WebFault::Length(-3)), "content-length: 7\r\n", "\r\n\r\n0123456789"),
            (Some(WebFault::Length(90)), "content-length: 100\r\n", "\r\n\r\n0123456789"),
        ];
        for (fault, head, end) in rows {
            let text = sent(fault).await;
            assert!(text.contains(head) && text.ends_with(end), "{fault:?}: {text}");
        }
        assert_eq!(sent(Some(WebFault::Close)).await, "");
        assert!(!sent(Some(WebFault::Garbage)).await.starts_with("http"));
    }

    #[tokio::test(start_paused = true)]
    async fn faults_take_their_time() {
        for (fault, least) in
            [(WebFault::DelayMs(3000), 3), (WebFault::Slow(10), 1), (WebFault::Hang, 300)]
        {
            let began = tokio::time::Instant::now();
            sent(Some(fault)).await;
            assert_eq!(began.elapsed().as_secs(), least, "{fault:?}");
        }
    }

    #[test]
    fn a_rule_is_for_requests_that_hold_its_text() {
        let rules: Vec<WebFaultRule> = serde_json::from_str(
            r#"[{"path": "snapshot", "fault": {"delay_ms": 5}}, {"fault": "close"}]"#,
        )
        .unwrap();
        assert_eq!(find(&rules, "/a/snapshot.fcgi"), Some(WebFault::DelayMs(5)));
        assert_eq!(find(&rules, "/b"), Some(WebFault::Close));
        assert_eq!(find(&rules[..1], "/b"), None);
    }
}
