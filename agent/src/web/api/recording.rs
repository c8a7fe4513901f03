//! `/recording`: what is recorded and uploaded, what became of the last day, and the spool. Its events tell the same
//! again whenever it has changed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::{FutureExt as _, Stream, stream};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::config::{Backfill, SpoolMode};
use crate::console::Console;
use crate::record::book::{ChannelRecord, SessionRecord, Span, State};
use crate::record::ledger::{Dropped, Mark, Reason};
use crate::web::call::Call;
use crate::web::moment::{utc, utc_of_micros};
use crate::web::reply::{Refusal, Reply};
use crate::web::route::Route;
use crate::web::site::Site;

pub(super) const ROUTES: &[Route] = &[
    Route::get("/api/v1/recording", |call| recording(call).boxed()),
    Route::get("/api/v1/recording/events", |call| events(call).boxed()).endless(),
];

/// How often it is looked whether something has changed.
const LOOK: Duration = Duration::from_secs(2);

async fn recording(call: Call) -> Result<Reply, Refusal> {
    let console = call.site.console()?;
    Ok(Reply::json(&state(&console, SystemTime::now())))
}

async fn events(call: Call) -> Result<Reply, Refusal> {
    call.site.console()?;
    Ok(Reply::events(follow(call.site)))
}

/// `state` at once and after each change. Ends when no agent runs.
fn follow(site: Arc<Site>) -> impl Stream<Item = (&'static str, Value)> {
    stream::unfold((site, Value::Null), |(site, before)| async move {
        let mut is_first = before.is_null();
        loop {
            if !std::mem::take(&mut is_first) {
                sleep(LOOK).await;
            }
            // Its own time is no change.
            let state_at = |time| Some(state(&*site.console().ok()?, time));
            let seen = state_at(SystemTime::UNIX_EPOCH)?;
            if seen != before {
                return Some((("state", state_at(SystemTime::now())?), (site, seen)));
            }
        }
    })
}

fn state(console: &Console, now: SystemTime) -> Value {
    let channels = console.book.channels().into_iter();
    let mut known: BTreeMap<_, _> =
        channels.map(|channel| (channel.number, channel_json(channel))).collect();
    for number in 0..console.channels.len() {
        let none =
            || ChannelRecord { number, sessions: Vec::new(), day: Vec::new(), dropped: None };
        known.entry(number).or_insert_with(|| channel_json(none()));
    }
    json!({
        "now": utc(now),
        "since": utc(console.book.since()),
        "memory_bytes": console.config.budget.recordings,
        "channels": known.into_values().collect::<Vec<_>>(),
        "spool": spool_json(console),
    })
}

fn channel_json(channel: ChannelRecord) -> Value {
    let ChannelRecord { number, sessions, day, dropped } = channel;
    json!({
        "channel": number,
        "sessions": sessions.into_iter().map(session_json).collect::<Vec<_>>(),
        "day": day.into_iter().map(span_json).collect::<Vec<_>>(),
        "day_missing_until": dropped.map(utc_of_micros),
    })
}

fn session_json(session: SessionRecord) -> Value {
    let SessionRecord { name, left, state, since, counts, last_upload, next_try, before, losses } =
        session;
    let state = match state {
        State::Recording => "recording",
        State::Standby => "standby",
        State::Uploading => "uploading",
        State::Ended => "ended",
    };
    let lost = losses.into_iter().map(|(why, lost)| loss_json(reason(why), lost));
    let before = (before.number > 0).then(|| loss_json("earlier", before));
    json!({
        "session": name,
        "left": left,
        "state": state,
        "since": utc(since),
        "segments": {
            "uploaded": counts.uploaded,
            "waiting": counts.waiting,
            "lost": counts.dropped.number,
        },
        "lost_seconds": counts.dropped.time.as_secs_f64(),
        "lost": before.into_iter().chain(lost).collect::<Vec<_>>(),
        "memory_bytes": counts.bytes,
        "last_upload": last_upload.map(utc),
        "error": counts.last_error.map(|error| ivt_base::text::shorten(&error)),
        "next_try_seconds": next_try.as_ref().map(Duration::as_secs_f64),
    })
}

fn loss_json(reason: &str, Dropped { number, time }: Dropped) -> Value {
    json!({ "reason": reason, "segments": number, "seconds": time.as_secs_f64() })
}

fn span_json(span: Span) -> Value {
    let Span { from, to, mark, detail } = span;
    let (state, why) = match mark {
        Mark::Uploaded => ("uploaded", None),
        Mark::Lost(why) => ("lost", Some(reason(why))),
        Mark::Waiting | Mark::Unwanted => ("waiting", None),
    };
    let (from, to) = (utc_of_micros(from), utc_of_micros(to));
    json!({ "from": from, "to": to, "state": state, "reason": why, "detail": detail.as_deref() })
}

fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Memory => "memory_full",
        Reason::Spool => "spool_full",
        Reason::Disk => "disk_failed",
        Reason::Refused => "refused",
        Reason::GivenUp => "given_up",
        Reason::Camera => "camera_silent",
    }
}

/// The spool; `null` where none is configured.
fn spool_json(console: &Console) -> Value {
    let Some(config) = &console.config.record.spool else { return Value::Null };
    let stats = console.view.device().spool;
    let trouble = console.book.trouble();
    let state = match (&stats, &trouble) {
        (Some(stats), _) if stats.healthy => "open",
        (Some(_), _) => "failing",
        (None, Some(_)) => "closed",
        (None, None) => "opening",
    };
    json!({
        "folder": config.dir.display().to_string(),
        "mode": match config.mode {
            SpoolMode::Overflow => "overflow",
            SpoolMode::Always => "always",
        },
        "backfill": match console.config.record.backfill {
            Backfill::Beside => "beside",
            Backfill::Before => "before",
        },
        "state": state,
        "error": trouble.map(|trouble| ivt_base::text::shorten(&trouble)),
        "bytes": stats.map(|stats| stats.bytes),
        "limit_bytes": config.limit,
        "segments": stats.map(|stats| stats.segments),
    })
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;
    use hyper::{Method, StatusCode};
    use ivt_base::secret::Secret;
    use tokio::sync::watch;

    use super::*;
    use crate::record::Start;
    use crate::record::ledger::Marked;
    use crate::web::testing::Bench;

    const CAMERA: &str = "[web]\nenable = true\n[[channel]]\nbackend = 'emulator'\n";

    async fn told(bench: &Bench) -> Value {
        let (status, body) = bench.call(Method::GET, "/api/v1/recording", "").await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body
    }

    #[tokio::test]
    async fn a_device_that_records_nothing_says_so() {
        let bench = Bench::start(CAMERA);
        let told = told(&bench).await;
        let channel = json!({ "channel": 0, "sessions": [], "day": [], "day_missing_until": null });
        assert_eq!(told["channels"], json!([channel]));
        assert_eq!(told["spool"], Value::Null);
    }

    #[tokio::test]
    async fn a_change_is_told_within_seconds_until_no_agent_runs() {
        let bench = Bench::start(CAMERA);
        let mut events = Box::pin(follow(Arc::clone(&bench.site)));
        let (name, state) = events.next().await.unwrap();
        assert_eq!((name, &state["channels"][0]["sessions"]), ("state", &json!([])));
        let stats = watch::Sender::default();
        let console = bench.site.console().unwrap();
        let _notes = console.book.begin(0, "s", false, stats.subscribe());
        let (_, state) = events.next().await.unwrap();
        assert_eq!(state["channels"][0]["sessions"][0]["session"], "s");
        bench.site.show(None);
        assert_eq!(events.next().await, None);
    }

    #[tokio::test]
    async fn sessions_are_shown_with_their_queue_their_losses_and_their_day() {
        let bench = Bench::start(CAMERA);
        let console = bench.site.console().unwrap();
        let secret = Secret::from("Hunt3r-77-Q9".to_owned());
        let stats = watch::Sender::default();
        let mut notes = console.book.begin(0, "s", false, stats.subscribe());
        stats.send_modify(|stats| {
            (stats.waiting, stats.bytes, stats.uploaded) = (3, 4096, 2);
            stats.dropped = Dropped { number: 1, time: Duration::from_secs(10) };
            stats.last_error = Some(format!("{} is refused", secret.expose()));
        });
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let first = i64::try_from(now.as_secs()).unwrap() - 600;
        let marks = [(0, Mark::Uploaded), (10, Mark::Lost(Reason::Memory)), (20, Mark::Waiting)];
        let marks = marks.map(|(second, mark)| {
            let start = Start::Unix((first + second) * 1_000_000);
            Marked { start, duration: Duration::from_secs(10), mark }
        });
        let date = |start| match start {
            Start::Unix(at) => Some(at),
            Start::Media(_) => None,
        };
        notes.note(marks.into(), date, Some("no route"));
        let told = told(&bench).await;
        let channel = &told["channels"][0];
        let at = |second: i64| utc_of_micros((first + second) * 1_000_000);
        let span = |from: i64, state: &str, reason: Option<&str>, detail: Option<&str>| json!({ "from": at(from), "to": at(from + 10), "state": state, "reason": reason, "detail": detail });
        assert_eq!(
            channel["day"],
            json!([
                span(0, "uploaded", None, None),
                span(10, "lost", Some("memory_full"), Some("no route")),
                span(20, "waiting", None, None),
            ])
        );
        let session = &channel["sessions"][0];
        assert_eq!(session["state"], "recording");
        assert_eq!(session["segments"], json!({ "uploaded": 2, "waiting": 3, "lost": 1 }));
        let lost = json!([{ "reason": "memory_full", "segments": 1, "seconds": 10.0 }]);
        assert_eq!((&session["lost"], &session["memory_bytes"]), (&lost, &4096.into()));
        assert!(session["last_upload"].is_string() && session["next_try_seconds"].is_null());
        assert!(!session.to_string().contains(secret.expose()), "{session}");
    }

    #[tokio::test]
    async fn a_spool_is_shown_with_its_room_and_why_it_does_not_open() {
        let folder = tempfile::tempdir().unwrap();
        let spool = |at: &str| {
            let at = folder.path().join(at);
            Bench::start(&format!("{CAMERA}[record]\nspool_dir = '{}'\n", at.display()))
        };
        let bench = spool("card");
        let opened = async {
            loop {
                let told = told(&bench).await;
                if told["spool"]["state"] == "open" {
                    return told;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let opened = tokio::time::timeout(Duration::from_secs(60), opened).await.unwrap();
        assert_eq!(
            (&opened["spool"]["segments"], &opened["spool"]["mode"]),
            (&0.into(), &"overflow".into())
        );
        assert!(opened["spool"]["limit_bytes"].as_u64().is_some_and(|limit| limit > 0));

        let bench = spool("no/such/card");
        let closed = async {
            loop {
                let told = told(&bench).await;
                if told["spool"]["state"] == "closed" {
                    return told;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let closed = tokio::time::timeout(Duration::from_secs(60), closed).await.unwrap();
        assert!(
            closed["spool"]["error"].as_str().is_some_and(|why| why.contains("card")),
            "{closed}"
        );
    }
}
