//! `/api/v1/log`: the newest lines of the log, once, as they come, and as a file.

use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt as _, Stream, stream};
use hyper::header::{CONTENT_DISPOSITION, HeaderValue};
use ivt_base::mask::mask_line;
use log::Level;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep};

use crate::logger::{self, Line};
use crate::web::call::Call;
use crate::web::reply::{Refusal, Reply};
use crate::web::route::Route;
use crate::web::viewers;

pub(super) const ROUTES: &[Route] = &[
    Route::get("/api/v1/log", |call| lines(call).boxed()),
    Route::get("/api/v1/log/events", |call| events(call).boxed()).endless(),
    Route::get("/api/v1/log/download", |call| download(call).boxed()),
];

/// Most lines in one answer or event.
const LINES: usize = 500;
/// Least time between two events to one viewer.
const PACE: Duration = Duration::from_millis(300);

async fn lines(call: Call) -> Result<Reply, Refusal> {
    let (level, since) = (level(&call)?, since(&call)?);
    let next = *logger::ring().next().borrow();
    let lines = logger::ring().lines(since, level, LINES);
    Ok(Reply::json(&shown(&lines, next)))
}

async fn events(call: Call) -> Result<Reply, Refusal> {
    let (level, since) = (level(&call)?, since(&call)?);
    let tail =
        Tail { next: logger::ring().next(), since, level, at: None, _permit: viewers::permit()? };
    Ok(Reply::events(tail.events()))
}

async fn download(call: Call) -> Result<Reply, Refusal> {
    let reply = Reply::bytes("text/plain; charset=utf-8", text(level(&call)?));
    let name = HeaderValue::from_static("attachment; filename=\"ivt-log.txt\"");
    Ok(reply.with_header(CONTENT_DISPOSITION, name))
}

/// The log as text, without the secrets that have become known meanwhile.
pub(super) fn text(level: Level) -> String {
    let mut text = String::new();
    for line in logger::ring().lines(0, level, usize::MAX) {
        text += &mask_line(&line.to_string());
        text.push('\n');
    }
    text
}

/// The lines of the log as they come.
struct Tail {
    next: watch::Receiver<u64>,
    since: u64,
    level: Level,
    /// When the viewer was told something for the last time; `None` until then.
    at: Option<Instant>,
    _permit: OwnedSemaphorePermit,
}

impl Tail {
    fn events(self) -> impl Stream<Item = (&'static str, Value)> + Send + 'static {
        stream::unfold(self, |mut tail| async move {
            let lines = tail.lines().await;
            tail.at = Some(Instant::now());
            Some((("lines", lines), tail))
        })
    }

    /// What is there at first, and then what is new.
    async fn lines(&mut self) -> Value {
        if let Some(at) = self.at {
            sleep((at + PACE).saturating_duration_since(Instant::now())).await;
            let lines = self.news().await;
            return shown(&lines, self.since);
        }
        let next = *self.next.borrow_and_update();
        let lines = logger::ring().lines(self.since, self.level, LINES);
        self.since = next;
        shown(&lines, next)
    }

    /// New lines of the level, at least one.
    async fn news(&mut self) -> Vec<Arc<Line>> {
        loop {
            let next = *self.next.borrow_and_update();
            if next > self.since {
                let lines = logger::ring().lines(self.since, self.level, LINES);
                // A line that came after `next` was read is told of now, and not again.
                self.since = lines.last().map_or(next, |line| next.max(line.number + 1));
                if !lines.is_empty() {
                    return lines;
                }
            }
            // The sender lives as long as the process.
            self.next.changed().await.ok();
        }
    }
}

fn shown(lines: &[Arc<Line>], next: u64) -> Value {
    let line = |line: &Arc<Line>| {
        let Line { number, at, level, target, text } = &**line;
        json!({
            "number": number,
            "at": at.to_string(),
            "level": level.as_str().to_ascii_lowercase(),
            "target": target,
            "text": mask_line(text),
        })
    };
    let next = lines.last().map_or(next, |line| next.max(line.number + 1));
    json!({ "lines": lines.iter().map(line).collect::<Vec<_>>(), "next": next })
}

/// The least grave level that is wanted; `trace` unless the query names one.
fn level(call: &Call) -> Result<Level, Refusal> {
    let Some(level) = call.query("level") else { return Ok(Level::Trace) };
    let known = Level::iter().find(|known| known.as_str().to_ascii_lowercase() == level);
    let message = "must be error, warn, info, debug or trace";
    known.ok_or_else(|| Refusal::invalid("level", message))
}

/// The number of the first line that is wanted; 0 unless the query names one.
fn since(call: &Call) -> Result<u64, Refusal> {
    let Some(since) = call.query("since") else { return Ok(0) };
    since.parse().map_err(|_| Refusal::invalid("since", "must be the number of a line"))
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;
    use hyper::{Method, StatusCode};
    use ivt_base::date::Utc;
    use ivt_base::secret::Secret;

    use super::*;
    use crate::web::testing::Bench;

    fn note(level: Level, text: &str) {
        logger::ring().push(Utc::from(std::time::SystemTime::now()), level, "room", text);
    }

    #[tokio::test]
    async fn lines_are_read_from_a_number_on_and_by_their_level() {
        let bench = Bench::start("[web]\nenable = true\n");
        note(Level::Debug, "lines: one");
        note(Level::Warn, "lines: two <b>");
        let (status, all) = bench.call(Method::GET, "/api/v1/log", "").await;
        assert_eq!(status, StatusCode::OK);
        let ours = |answer: &Value| {
            let lines = answer["lines"].as_array().unwrap().clone();
            let ours = lines.into_iter();
            ours.filter(|line| line["text"].as_str().unwrap().starts_with("lines: "))
                .collect::<Vec<_>>()
        };
        let found = ours(&all);
        assert_eq!((found.len(), &found[1]["level"]), (2, &json!("warn")));
        let second = found[1]["number"].as_u64().unwrap();
        let (_, warned) = bench.call(Method::GET, "/api/v1/log?level=warn", "").await;
        assert_eq!(ours(&warned), &found[1..]);
        let path = format!("/api/v1/log?since={second}");
        assert_eq!(ours(&bench.call(Method::GET, &path, "").await.1), &found[1..]);
        for wrong in ["level=loud", "level=", "since=-1", "since=x"] {
            let path = format!("/api/v1/log?{wrong}");
            let (status, _) = bench.call(Method::GET, &path, "").await;
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
        }
    }

    #[tokio::test]
    async fn the_file_hides_a_secret_that_became_known_after_the_line() {
        let bench = Bench::start("[web]\nenable = true\n");
        note(Level::Info, "download: wQ7-canary-4411");
        let _secret = Secret::from("wQ7-canary-4411");
        let (_, text) = bench.bytes(Method::GET, "/api/v1/log/download?level=info", "").await;
        let text = String::from_utf8(text.to_vec()).unwrap();
        assert!(text.contains("INFO  room] download: ***\n"), "{text}");
        let (_, lines) = bench.call(Method::GET, "/api/v1/log", "").await;
        assert!(!lines.to_string().contains("canary-4411"));
    }

    #[tokio::test]
    async fn a_tail_tells_each_line_once() {
        let tail = Tail {
            next: logger::ring().next(),
            since: *logger::ring().next().borrow(),
            level: Level::Info,
            at: None,
            _permit: viewers::permit().unwrap(),
        };
        let mut events = Box::pin(tail.events());
        let mut next = async || {
            let (name, lines) = events.next().await.unwrap();
            assert_eq!(name, "lines");
            lines.to_string()
        };
        next().await;
        note(Level::Debug, "tail: unseen");
        note(Level::Info, "tail: seen");
        let mut told = String::new();
        // Other tests write into the log, too.
        while !told.contains("tail: seen") {
            told += &next().await;
        }
        note(Level::Info, "tail: last");
        while !told.contains("tail: last") {
            told += &next().await;
        }
        assert_eq!((told.matches("tail: seen").count(), told.contains("unseen")), (1, false));
    }
}
