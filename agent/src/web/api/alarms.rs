//! `/alarms`: the newest alarms with their pictures.

use std::collections::VecDeque;
use std::time::SystemTime;

use bytes::Bytes;
use futures::{FutureExt as _, Stream, stream};
use hyper::header::{CACHE_CONTROL, HeaderValue};
use ivt_hal::Trigger;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::alarm::Desk;
use crate::alarm::book::{Noted, Picture, Told};
use crate::web::call::Call;
use crate::web::moment::utc;
use crate::web::reply::{Refusal, Reply};
use crate::web::route::Route;

pub(super) const ROUTES: &[Route] = &[
    Route::get("/api/v1/alarms", |call| newest(call).boxed()),
    Route::get("/api/v1/alarms/events", |call| events(call).boxed()).endless(),
    Route::get("/api/v1/alarms/{id}/picture.jpg", |call| picture(call).boxed()),
];

/// The names of the triggers.
const TRIGGERS: [(&str, Trigger); 3] =
    [("external", Trigger::Input), ("motion", Trigger::Motion), ("tripwire", Trigger::Line)];

/// The newest alarms, the newest first.
async fn newest(call: Call) -> Result<Reply, Refusal> {
    let desk = &call.site.console()?.view.alarms;
    let alarms: Vec<_> = desk.newest(0).iter().rev().map(alarm_json).collect();
    let counts = desk.counts();
    Ok(Reply::json(&json!({
        "alarms": alarms,
        "counts": {
            "heard": counts.heard,
            "begun": counts.begun,
            "reported": counts.reported,
            "late": counts.late,
            "refused": counts.refused,
            "missed": counts.missed,
            "pictures_sent": counts.pictures_sent,
            "pictures_dropped": counts.pictures_dropped,
        },
    })))
}

/// `begin` as the agent that runs is looked at, then each alarm as it is and at each change. Ends with the agent.
async fn events(call: Call) -> Result<Reply, Refusal> {
    let mut consoles = call.site.consoles();
    consoles.mark_unchanged();
    let desk = call.site.console()?.view.alarms.clone();
    Ok(Reply::events(follow(desk, consoles)))
}

/// What [`follow`] has to tell.
struct Following<T> {
    desk: Desk,
    changes: watch::Receiver<u64>,
    /// Changes when another agent runs.
    agents: watch::Receiver<T>,
    version: u64,
    due: VecDeque<(&'static str, Value)>,
}

fn follow<T: Send + Sync>(
    desk: Desk,
    agents: watch::Receiver<T>,
) -> impl Stream<Item = (&'static str, Value)> {
    let changes = desk.changes();
    let due = VecDeque::from([("begin", json!({}))]);
    let following = Following { desk, changes, agents, version: 0, due };
    stream::unfold(following, |mut following| async {
        loop {
            if let Some(event) = following.due.pop_front() {
                return Some((event, following));
            }
            following.changes.mark_unchanged();
            let changed = following.desk.newest(following.version);
            if let Some(newest) = changed.iter().map(|noted| noted.version).max() {
                following.version = newest;
                following.due = changed.iter().map(|noted| ("alarm", alarm_json(noted))).collect();
                continue;
            }
            tokio::select! {
                Ok(()) = following.changes.changed() => {}
                _ = following.agents.changed() => return None,
            }
        }
    })
}

async fn picture(call: Call) -> Result<Reply, Refusal> {
    let id = call.parameter("id").parse().map_err(|_| Refusal::not_found())?;
    let picture: Bytes =
        call.site.console()?.view.alarms.picture(id).ok_or_else(Refusal::not_found)?;
    // Another agent counts from the beginning.
    let fresh = HeaderValue::from_static("no-store");
    Ok(Reply::bytes("image/jpeg", picture).with_header(CACHE_CONTROL, fresh))
}

fn alarm_json(noted: &Noted) -> Value {
    let Noted { id, place: (channel, trigger), what, shown, begun, told, end, picture, .. } = noted;
    let name = TRIGGERS.iter().find(|(_, known)| known == trigger).map(|(name, _)| *name);
    json!({
        "id": id,
        "channel": channel,
        "trigger": name,
        "what": what,
        "begun": date(*begun),
        "camera_time": shown.to_string(),
        "ended": end.map(|end| date(end.at)),
        "told": told_name(*told),
        "end_told": end.map(|end| told_name(end.told)),
        "picture": match picture {
            Picture::None => "none",
            Picture::Expected => "expected",
            Picture::Taken(_) => "taken",
            Picture::Failed => "failed",
            Picture::Dropped => "dropped",
        },
    })
}

fn told_name(told: Told) -> &'static str {
    match told {
        Told::Waiting => "waiting",
        Told::InTime => "reported",
        Told::Late => "late",
        Told::Refused => "refused",
        Told::Missed => "missed",
        Told::Withdrawn => "withdrawn",
    }
}

/// When a moment was, by the device's clock of now.
fn date(moment: Instant) -> Value {
    utc(SystemTime::now().checked_sub(moment.elapsed()).unwrap_or(SystemTime::UNIX_EPOCH))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use futures::StreamExt as _;
    use hyper::{Method, StatusCode};
    use ivt_base::wall_time::WallTime;
    use tokio::time::sleep;

    use super::*;
    use crate::web::testing::Bench;

    const CAMERA: &str = "[web]\nenable = true\n[[channel]]\nbackend = 'emulator'\n";

    fn noon() -> WallTime {
        "2026-11-30T12:00:00".parse().unwrap()
    }

    fn desk() -> Desk {
        Desk::new(vec![watch::Sender::new(0)], [2, 3, 4])
    }

    #[tokio::test]
    async fn an_alarm_is_listed_with_its_picture_while_the_cloud_is_away() {
        let alarms = "alarms = ['motion:at=100ms,for=200ms']\n[alarm]\nenable = ['motion']\ndelay_seconds = 1\n";
        let bench = Bench::start(&format!("{CAMERA}{alarms}"));
        let over = async {
            loop {
                let (_, told) = bench.call(Method::GET, "/api/v1/alarms", "").await;
                let alarm = &told["alarms"][0];
                if alarm["ended"].is_string() && alarm["picture"] == "taken" {
                    return told;
                }
                sleep(Duration::from_millis(50)).await;
            }
        };
        let told = tokio::time::timeout(Duration::from_secs(60), over).await.unwrap();
        let alarm = &told["alarms"][0];
        assert_eq!((&alarm["trigger"], &alarm["channel"]), (&"motion".into(), &0.into()));
        assert_eq!((&alarm["told"], &alarm["end_told"]), (&"waiting".into(), &"waiting".into()));
        assert_eq!((&told["counts"]["begun"], &told["counts"]["reported"]), (&1.into(), &0.into()));
        let path = format!("/api/v1/alarms/{}/picture.jpg", alarm["id"]);
        let (status, picture) = bench.bytes(Method::GET, &path, "").await;
        assert!(status == StatusCode::OK && picture.starts_with(&[0xff, 0xd8]));
        for other in ["99", "x", "-1"] {
            let path = format!("/api/v1/alarms/{other}/picture.jpg");
            assert_eq!(bench.call(Method::GET, &path, "").await.0.as_u16(), 404);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_change_is_told_as_it_comes_until_another_agent_runs() {
        let (desk, agents) = (desk(), watch::Sender::new(Arc::new(1)));
        let first = desk.begin((0, Trigger::Motion), "yard", noon(), false);
        desk.show(first, (0, Trigger::Motion), "yard", noon(), true);
        let mut events = Box::pin(follow(desk.clone(), agents.subscribe()));
        assert_eq!(events.next().await, Some(("begin", json!({}))));
        let (name, alarm) = events.next().await.unwrap();
        assert_eq!(
            (name, &alarm["what"], &alarm["picture"]),
            ("alarm", &"yard".into(), &"expected".into())
        );
        desk.show_picture(first, Some(Bytes::from_static(b"\xff\xd8")));
        desk.end((0, Trigger::Motion), noon());
        let (_, alarm) = events.next().await.unwrap();
        assert_eq!((&alarm["picture"], &alarm["end_told"]), (&"taken".into(), &"waiting".into()));
        agents.send_replace(Arc::new(2));
        assert_eq!(events.next().await, None);
    }
}
