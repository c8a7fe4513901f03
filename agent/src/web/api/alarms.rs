//! `/alarms`: the newest alarms with their pictures, and how each channel's detections are set up.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::{FutureExt as _, Stream, stream};
use hyper::header::{CACHE_CONTROL, HeaderValue};
use ivt_hal::{Area, Armed, Channel, Detection, Point, Trigger};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::alarm::arrange::{Arranged, Wish, arrange, can_be_set_up};
use crate::alarm::book::{Noted, Picture, Told};
use crate::alarm::{By, Desk, SetUp};
use crate::console::Console;
use crate::web::call::Call;
use crate::web::camera::told;
use crate::web::moment::utc;
use crate::web::reply::{Refusal, Reply};
use crate::web::route::Route;

pub(super) const ROUTES: &[Route] = &[
    Route::get("/api/v1/alarms", |call| newest(call).boxed()),
    Route::get("/api/v1/alarms/events", |call| events(call).boxed()),
    Route::get("/api/v1/alarms/{id}/picture.jpg", |call| picture(call).boxed()),
    Route::get("/api/v1/channels/{channel}/alarms/{trigger}", |call| set_up(call).boxed()),
    Route::put("/api/v1/channels/{channel}/alarms/{trigger}", |call| change(call).boxed()),
];

/// Time between two signs of life, by which a browser that has gone is noticed.
const ALIVE: Duration = Duration::from_secs(15);
/// Longest delay that can be set, in seconds.
const LONGEST_DELAY: u64 = 86_400;

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
                () = sleep(ALIVE) => following.due.push_back(("alive", json!({}))),
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

/// Where a detection is, and its camera.
struct Place {
    channel: usize,
    trigger: Trigger,
    camera: Channel,
}

impl Place {
    fn of(call: &Call, console: &Console) -> Result<Self, Refusal> {
        let channel = call.number("channel")?;
        let named = TRIGGERS.iter().find(|(name, _)| *name == call.parameter("trigger"));
        let trigger = match named {
            Some((_, trigger)) if *trigger != Trigger::Input => *trigger,
            _ => return Err(Refusal::not_found()),
        };
        let device = console.device.now();
        let camera = device.channels.get(channel).cloned().ok_or_else(Refusal::not_found)?;
        Ok(Self { channel, trigger, camera })
    }
}

/// How a detection is set up.
async fn set_up(call: Call) -> Result<Reply, Refusal> {
    let console = call.site.console()?;
    let place = Place::of(&call, &console)?;
    Ok(Reply::json(&set_up_json(&place, &console)))
}

fn set_up_json(place: &Place, console: &Console) -> Value {
    let Place { channel, trigger, camera } = place;
    let set_up = console.arming.of(*channel, *trigger);
    let SetUp { enable, armed: Armed { start, end }, delay, sensitivity, area, by } = set_up;
    let heard = camera.alarms.is_some();
    let told = can_be_set_up(camera, *trigger);
    let lacks = lacks(camera, *trigger);
    let takes = |name| told && !lacks.contains(&name);
    json!({
        "channel": channel,
        "trigger": if *trigger == Trigger::Motion { "motion" } else { "tripwire" },
        "revision": revision(&set_up),
        "enable": enable,
        "start_seconds": start,
        "end_seconds": end,
        "delay_seconds": delay.as_secs(),
        "sensitivity": sensitivity,
        "area": area.map(|Area(corners)| corners.map(|corner| [corner.x, corner.y])),
        "set_by": match by {
            None => "configuration",
            Some(By::Cloud) => "cloud",
            Some(By::Page) => "page",
            Some(By::Other) => "other",
        },
        "can": {
            "be_heard": heard,
            "be_set_up": told || heard,
            "enable": told || heard,
            "window": told || heard,
            "delay": heard || takes("delay"),
            "sensitivity": takes("sensitivity"),
            "area": *trigger == Trigger::Line && takes("area"),
        },
    })
}

/// What of a detection the camera has no place for.
fn lacks(camera: &Channel, trigger: Trigger) -> Vec<&'static str> {
    #[cfg(feature = "profiles")]
    return match trigger {
        Trigger::Motion => camera.motion.as_ref().map(|motion| motion.lacks()),
        _ => camera.tripwire.as_ref().map(|tripwire| tripwire.lacks()),
    }
    .unwrap_or_default();
    #[cfg(not(feature = "profiles"))]
    {
        let _ = (camera, trigger);
        Vec::new()
    }
}

/// Names how something is set up: another name stands for another set-up.
fn revision(set_up: &SetUp) -> String {
    format!("{:08x}", crc32fast::hash(format!("{set_up:?}").as_bytes()))
}

/// Sets a detection up.
async fn change(mut call: Call) -> Result<Reply, Refusal> {
    let console = call.site.console()?;
    let place = Place::of(&call, &console)?;
    let wanted = call.json().await?;
    let wanted = Wanted::read(&wanted)?;
    let Place { channel, trigger, ref camera } = place;
    let set_up = console.arming.of(channel, trigger);
    if wanted.revision.is_some_and(|seen| seen != revision(&set_up)) {
        let message = "the cloud or somebody else has set this up meanwhile: look at it again";
        return Err(Refusal::conflict("outdated", message));
    }
    if !(can_be_set_up(camera, trigger) || camera.alarms.is_some()) {
        let message =
            "this camera has no such detection: choose another backend for it under Channels";
        return Err(Refusal::unsupported(message));
    }
    if wanted.area.is_some() && trigger != Trigger::Line {
        return Err(Refusal::invalid("area", "motion is detected in the whole picture"));
    }
    if wanted.area.is_some() && !can_be_set_up(camera, trigger) {
        let refusal = Refusal::unsupported(
            "this camera does not take an area: draw it at the camera's own page",
        );
        return Err(Refusal { field: "area".into(), ..refusal });
    }
    let Wanted { detection, area, .. } = wanted;
    let wish = Wish { channel, trigger, detection, area, by: By::Page };
    let arranged = told(arrange(camera, Some(&console.arming), wish)).await?;
    let mut answer = set_up_json(&place, &console);
    answer["arranged"] = match arranged {
        Arranged::Camera => "camera",
        Arranged::AllDay => "camera_all_day",
        Arranged::Reports => "reports",
    }
    .into();
    Ok(Reply::json(&answer))
}

/// What somebody wants.
struct Wanted<'a> {
    revision: Option<&'a str>,
    detection: Detection,
    area: Option<Area>,
}

impl<'a> Wanted<'a> {
    fn read(body: &'a Value) -> Result<Self, Refusal> {
        let fields =
            body.as_object().ok_or_else(|| Refusal::invalid("", "a JSON object is expected"))?;
        const KNOWN: [&str; 7] = [
            "revision",
            "enable",
            "start_seconds",
            "end_seconds",
            "delay_seconds",
            "sensitivity",
            "area",
        ];
        if let Some(other) = fields.keys().find(|name| !KNOWN.contains(&name.as_str())) {
            return Err(Refusal::invalid(ivt_base::text::shorten(other), "is not known here"));
        }
        let number = |name: &str, least: u64, most: u64| {
            let found = fields.get(name).and_then(Value::as_u64);
            let found = found.filter(|number| (least..=most).contains(number));
            found.ok_or_else(|| {
                Refusal::invalid(name, format!("a whole number from {least} to {most}"))
            })
        };
        let second =
            |name| number(name, 0, 86_400).map(|second| u32::try_from(second).unwrap_or(0));
        let enable = fields.get("enable").and_then(Value::as_bool);
        let revision = match fields.get("revision") {
            None | Some(Value::Null) => None,
            Some(seen) => {
                Some(seen.as_str().ok_or_else(|| Refusal::invalid("revision", "a text"))?)
            }
        };
        let area = fields.get("area").filter(|area| !area.is_null()).map(area).transpose()?;
        Ok(Self {
            revision,
            detection: Detection {
                enable: enable.ok_or_else(|| Refusal::invalid("enable", "true or false"))?,
                armed: Armed { start: second("start_seconds")?, end: second("end_seconds")? },
                sensitivity: u8::try_from(number("sensitivity", 0, 100)?).unwrap_or(100),
                delay: Duration::from_secs(number("delay_seconds", 1, LONGEST_DELAY)?),
            },
            area,
        })
    }
}

/// An area by its corners: upper left, upper right, lower right, lower left.
fn area(value: &Value) -> Result<Area, Refusal> {
    let percent = |value: &Value| {
        value
            .as_u64()
            .filter(|percent| *percent <= 100)
            .and_then(|percent| u8::try_from(percent).ok())
    };
    let corner = |value: &Value| match value.as_array().map(Vec::as_slice) {
        Some([x, y]) => Some(Point { x: percent(x)?, y: percent(y)? }),
        _ => None,
    };
    let corners = value.as_array().map(|corners| corners.iter().map(corner).collect::<Vec<_>>());
    let area = match corners.as_deref() {
        Some([Some(a), Some(b), Some(c), Some(d)]) => Area([*a, *b, *c, *d]),
        _ => {
            let message = "four corners [x, y] in percent of the picture, 0 to 100, from the upper left one clockwise";
            return Err(Refusal::invalid("area", message));
        }
    };
    let [upper, lower] = area.bounds();
    match upper.x < lower.x && upper.y < lower.y {
        true => Ok(area),
        false => Err(Refusal::invalid("area", "the area is empty: draw a larger one")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::StreamExt as _;
    use hyper::{Method, StatusCode};
    use ivt_base::wall_time::WallTime;

    use super::*;
    use crate::web::testing::Bench;

    const CAMERA: &str = "[web]\nenable = true\n[[channel]]\nbackend = 'emulator'\n";
    const TRIPWIRE: &str = "/api/v1/channels/0/alarms/tripwire";

    fn noon() -> WallTime {
        "2026-11-30T12:00:00".parse().unwrap()
    }

    fn desk() -> Desk {
        Desk::new(vec![watch::Sender::new(0)], [2, 3, 4])
    }

    #[tokio::test]
    async fn a_detection_is_shown_set_up_and_shown_again() {
        let bench = Bench::start(CAMERA);
        let (status, before) = bench.call(Method::GET, TRIPWIRE, "").await;
        assert_eq!(status, StatusCode::OK, "{before}");
        let by = |said: &Value| (said["set_by"].clone(), said["enable"].clone());
        assert_eq!(by(&before), ("configuration".into(), false.into()));
        assert_eq!(
            (&before["end_seconds"], &before["sensitivity"]),
            (&86_400.into(), &Value::Null)
        );
        let mut wanted = json!({
            "revision": before["revision"], "enable": true, "start_seconds": 79_200, "end_seconds": 21_600,
            "delay_seconds": 20, "sensitivity": 70, "area": [[10, 20], [60, 20], [60, 90], [10, 90]],
        });
        let (status, after) = bench.call(Method::PUT, TRIPWIRE, &wanted.to_string()).await;
        assert_eq!((status, &after["arranged"]), (StatusCode::OK, &"camera".into()), "{after}");
        let (_, shown) = bench.call(Method::GET, TRIPWIRE, "").await;
        assert_eq!(by(&shown), ("page".into(), true.into()));
        for (name, value) in wanted.as_object().unwrap() {
            assert!(name == "revision" || shown[name] == *value, "{name}: {shown}");
        }
        // Somebody else has looked at it before.
        let (status, error) = bench.call(Method::PUT, TRIPWIRE, &wanted.to_string()).await;
        assert_eq!((status, &error["error"]["code"]), (StatusCode::CONFLICT, &"outdated".into()));
        wanted["revision"] = shown["revision"].clone();
        wanted["area"] = Value::Null;
        wanted["enable"] = false.into();
        assert_eq!(bench.call(Method::PUT, TRIPWIRE, &wanted.to_string()).await.0, StatusCode::OK);
        let (_, shown) = bench.call(Method::GET, TRIPWIRE, "").await;
        assert_eq!(shown["area"], after["area"], "the one of before stays");
        let motion = "/api/v1/channels/0/alarms/motion";
        assert_eq!(bench.call(Method::GET, motion, "").await.1["set_by"], "configuration");
    }

    #[tokio::test]
    async fn what_makes_no_sense_is_refused_at_its_field() {
        let bench = Bench::start(CAMERA);
        let good = json!({
            "enable": true, "start_seconds": 0, "end_seconds": 86_400, "delay_seconds": 5, "sensitivity": 50,
        });
        for (field, value) in [
            ("enable", json!("yes")),
            ("start_seconds", json!(86_401)),
            ("end_seconds", json!(-1)),
            ("end_seconds", json!(null)),
            ("delay_seconds", json!(0)),
            ("delay_seconds", json!(1.5)),
            ("sensitivity", json!(101)),
            ("area", json!([[0, 0], [100, 0], [100, 100]])),
            ("area", json!([[0, 0], [101, 0], [100, 100], [0, 100]])),
            ("area", json!([[0, 0], [50, 0], [50, 0], [0, 0]])),
            ("area", json!("all")),
            ("revision", json!(5)),
            ("colour", json!(1)),
        ] {
            let mut wanted = good.clone();
            wanted[field] = value.clone();
            let (status, error) = bench.call(Method::PUT, TRIPWIRE, &wanted.to_string()).await;
            assert_eq!(
                (status.as_u16(), &error["error"]["field"]),
                (422, &field.into()),
                "{value}"
            );
        }
        for body in ["", "[]", "null", "{"] {
            assert_eq!(bench.call(Method::PUT, TRIPWIRE, body).await.0.as_u16(), 422, "{body}");
        }
        let mut area = good.clone();
        area["area"] = json!([[0, 0], [50, 0], [50, 50], [0, 50]]);
        let motion = "/api/v1/channels/0/alarms/motion";
        assert_eq!(bench.call(Method::PUT, motion, &area.to_string()).await.0.as_u16(), 422);
        for nowhere in ["0/alarms/external", "0/alarms/x", "1/alarms/motion", "x/alarms/motion"] {
            let path = format!("/api/v1/channels/{nowhere}");
            assert_eq!(bench.call(Method::GET, &path, "").await.0.as_u16(), 404, "{path}");
            assert_eq!(bench.call(Method::PUT, &path, &good.to_string()).await.0.as_u16(), 404);
        }
    }

    #[tokio::test]
    async fn what_the_camera_lacks_is_said() {
        let bench = Bench::start(
            "[web]\nenable = true\n[[channel]]\nbackend = 'rtsp'\nmain = 'rtsp://127.0.0.1:9/'\n",
        );
        let (_, shown) = bench.call(Method::GET, TRIPWIRE, "").await;
        let can = shown["can"].as_object().unwrap();
        assert!(!can.is_empty() && can.values().all(|can| *can == false), "{shown}");
        let wanted = json!({
            "enable": true, "start_seconds": 0, "end_seconds": 86_400, "delay_seconds": 5, "sensitivity": 50,
        });
        let (status, error) = bench.call(Method::PUT, TRIPWIRE, &wanted.to_string()).await;
        assert_eq!((status.as_u16(), &error["error"]["code"]), (501, &"unsupported".into()));
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
        assert_eq!(events.next().await.unwrap().0, "alive", "nothing has changed for a while");
        desk.show_picture(first, Some(Bytes::from_static(b"\xff\xd8")));
        desk.end((0, Trigger::Motion), noon());
        let (_, alarm) = events.next().await.unwrap();
        assert_eq!((&alarm["picture"], &alarm["end_told"]), (&"taken".into(), &"waiting".into()));
        agents.send_replace(Arc::new(2));
        assert_eq!(events.next().await, None);
    }
}
