//! `/channels/{channel}/alarms/{trigger}`: how motion detection and tripwire of a channel are set up.

use std::time::Duration;

use futures::FutureExt as _;
use ivt_hal::{Area, Armed, Channel, Detection, Point, Trigger};
use serde_json::{Value, json};

use crate::alarm::arrange::{Arranged, Wish, arrange, can_be_set_up};
use crate::alarm::{By, SetUp};
use crate::console::Console;
use crate::settings::value::whole;
use crate::web::call::Call;
use crate::web::camera::told;
use crate::web::reply::{Refusal, Reply};
use crate::web::route::Route;

pub(super) const ROUTES: &[Route] = &[
    Route::get("/api/v1/channels/{channel}/alarms/{trigger}", |call| set_up(call).boxed()),
    Route::put("/api/v1/channels/{channel}/alarms/{trigger}", |call| change(call).boxed()),
];

/// Longest delay that can be set, in seconds.
const LONGEST_DELAY: u64 = 86_400;

/// Where a detection is, and its camera.
struct Place {
    channel: usize,
    trigger: Trigger,
    camera: Channel,
}

impl Place {
    fn of(call: &Call, console: &Console) -> Result<Self, Refusal> {
        let channel = call.number("channel")?;
        let trigger = match call.parameter("trigger") {
            "motion" => Trigger::Motion,
            "tripwire" => Trigger::Line,
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
    if let Some(area) = wanted.area {
        takes(camera, trigger, area).map_err(|why| {
            let refusal = Refusal::unsupported(why);
            Refusal { field: "area".into(), ..refusal }
        })?;
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

/// Whether an area can be set.
///
/// # Errors
/// Why it cannot.
fn takes(camera: &Channel, trigger: Trigger, area: Area) -> Result<(), &'static str> {
    let [upper, lower] = area.bounds();
    match trigger {
        Trigger::Motion => Err("motion is detected in the whole picture"),
        _ if !can_be_set_up(camera, trigger) => {
            Err("this camera does not take an area: draw it at the camera's own page")
        }
        _ if upper.x == lower.x || upper.y == lower.y => {
            Err("no camera takes an area that is a line or a point: draw a larger one")
        }
        _ => Ok(()),
    }
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
            let found =
                fields.get(name).and_then(whole).and_then(|found| u64::try_from(found).ok());
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
        let percent = whole(value).and_then(|percent| u8::try_from(percent).ok());
        percent.filter(|percent| *percent <= 100)
    };
    let corner = |value: &Value| match value.as_array().map(Vec::as_slice) {
        Some([x, y]) => Some(Point { x: percent(x)?, y: percent(y)? }),
        _ => None,
    };
    let corners = value.as_array().map(|corners| corners.iter().map(corner).collect::<Vec<_>>());
    match corners.as_deref() {
        Some([Some(a), Some(b), Some(c), Some(d)]) => Ok(Area([*a, *b, *c, *d])),
        _ => {
            let message = "four corners [x, y] in percent of the picture, 0 to 100, from the upper left one clockwise";
            Err(Refusal::invalid("area", message))
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::{Method, StatusCode};

    use super::*;
    use crate::web::testing::Bench;

    const CAMERA: &str = "[web]\nenable = true\n[[channel]]\nbackend = 'emulator'\n";
    const TRIPWIRE: &str = "/api/v1/channels/0/alarms/tripwire";

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
        wanted["delay_seconds"] = 7.0.into();
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
        for (trigger, corners) in [
            ("motion", json!([[0, 0], [50, 0], [50, 50], [0, 50]])),
            ("tripwire", json!([[0, 0], [50, 0], [50, 0], [0, 0]])),
        ] {
            let mut area = good.clone();
            area["area"] = corners;
            let path = format!("/api/v1/channels/0/alarms/{trigger}");
            let (status, error) = bench.call(Method::PUT, &path, &area.to_string()).await;
            assert_eq!((status.as_u16(), &error["error"]["field"]), (501, &"area".into()));
        }
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
}
