//! `/api/v1/time`: the clocks of the device and of its cameras, the time zone, and what is known of NTP.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::FutureExt as _;
use ivt_base::date::Utc;
use ivt_base::task::spawn_blocking;
use ivt_hal::WallTime;
use serde_json::{Value, json};

use super::network::{lacking, refused, trouble};
use crate::build_date;
use crate::dispatch::{ByHand, Wanted};
use crate::local_time;
use crate::web::call::Call;
use crate::web::reply::{Refusal, Reply};
use crate::web::route::Route;

pub(super) const ROUTES: &[Route] = &[
    Route::get("/api/v1/time", |call| time(call).boxed()),
    Route::put("/api/v1/time", |call| set(call).boxed()),
    Route::get("/api/v1/time/zones", |call| zones(call).boxed()),
    Route::put("/api/v1/time/zone", |call| choose(call).boxed()),
];

async fn time(call: Call) -> Result<Reply, Refusal> {
    let console = call.site.console()?;
    let clocks = console.clocks.look().await;
    let may_choose = clocks.iter().any(|clock| clock.is_the_systems);
    let system = spawn_blocking(move || (zone(may_choose), ntp())).await;
    let (zone, ntp) = system.unwrap_or_default();
    let now = SystemTime::now();
    let local = local_time::local(now);
    let cameras: Vec<_> = clocks.into_iter().map(|it| clock(it, Some(local))).collect();
    Ok(Reply::json(&json!({
        "utc": Utc::from(now).to_string(),
        "local": local.to_string(),
        // A clock before the date of the build was never set.
        "is_believed": build_date::plausible(now),
        "built": Utc::from(UNIX_EPOCH + Duration::from_secs(build_date::BUILT)).to_string(),
        "zone": zone,
        "ntp": ntp,
        "cameras": cameras,
    })))
}

async fn set(mut call: Call) -> Result<Reply, Refusal> {
    let console = call.site.console()?;
    let body = call.json().await?;
    let utc = body["utc"].as_str().and_then(moment);
    let utc = utc.ok_or_else(|| Refusal::invalid("utc", "must be like 2026-11-30T13:37:00Z"))?;
    let system = local_time::local(utc);
    // Cameras go by the time of where they are, as the browser beside them does.
    let cameras = match body.get("local") {
        None => Some(system),
        Some(local) => local.as_str().and_then(|local| local.parse().ok()),
    };
    let cameras = cameras.filter(|local: &WallTime| local.seconds().is_some());
    let cameras =
        cameras.ok_or_else(|| Refusal::invalid("local", "must be like 2026-11-30T21:37:00"))?;
    let confirmed = match body.get("confirmed") {
        None => false,
        Some(confirmed) => confirmed
            .as_bool()
            .ok_or_else(|| Refusal::invalid("confirmed", "must be true or false"))?,
    };
    let set = console.clocks.set_by_hand(Wanted { system, cameras }, confirmed).await;
    let set = set.map_err(|(channel, shown)| {
        let message = format!(
            "the clock of channel {channel} shows {shown}: that is more than a day away; confirm it"
        );
        Refusal::conflict("long_step", message)
    })?;
    if set.is_empty() {
        return Err(lacking("no_clock", "no clock of this device can be set here"));
    }
    if set.iter().all(|clock| clock.shown.is_err()) {
        let error = set.into_iter().find_map(|clock| clock.shown.err());
        return Err(error.map_or_else(Refusal::not_found, refused));
    }
    let cameras: Vec<_> = set.into_iter().map(|it| clock(it, None)).collect();
    Ok(Reply::json(&json!({ "cameras": cameras })))
}

async fn zones(call: Call) -> Result<Reply, Refusal> {
    drop(call);
    let names = spawn_blocking(names).await.unwrap_or_default();
    Ok(Reply::json(&json!({ "names": names })))
}

async fn choose(mut call: Call) -> Result<Reply, Refusal> {
    let console = call.site.console()?;
    let body = call.json().await?;
    let Some(zone) = body["zone"].as_str().map(str::to_owned) else {
        return Err(Refusal::invalid("zone", "must be text, such as Asia/Shanghai or CST-8"));
    };
    if !console.clocks.look().await.iter().any(|clock| clock.is_the_systems) {
        return Err(lacking(
            "no_zone",
            "the agent is not this device's system: name \"linux\" in backend of a channel",
        ));
    }
    spawn_blocking(move || chosen(&zone)).await.unwrap_or_else(|_| Err(Refusal::not_found()))?;
    // The hours of arming are those of the cameras, and of the device.
    console.clocks.was_changed();
    Ok(Reply::nothing())
}

/// What a clock shows, and by how many seconds that is ahead of the device's local time.
fn clock(clock: ByHand, local: Option<WallTime>) -> Value {
    let ByHand { channel, is_the_systems, shown } = clock;
    let seconds = |time: WallTime| time.seconds().and_then(|at| i64::try_from(at).ok());
    let (shows, error) = match shown {
        Ok(shown) => (Some(shown), None),
        Err(error) => (None, Some(trouble(error))),
    };
    let ahead = shows.zip(local).and_then(|(shown, local)| Some(seconds(shown)? - seconds(local)?));
    json!({
        "channel": channel,
        "is_the_devices": is_the_systems,
        "shows": shows.map(|shown| shown.to_string()),
        "ahead_seconds": ahead,
        "error": error,
    })
}

/// A moment as RFC 3339 has it, in UTC, from 1970 on.
fn moment(text: &str) -> Option<SystemTime> {
    let text = text.strip_suffix('Z')?;
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = (1..=9).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    let wall: WallTime = whole.parse().ok().filter(|_| digits)?;
    Some(UNIX_EPOCH + Duration::from_secs(wall.seconds()?))
}

#[cfg(feature = "linux")]
fn zone(may_choose: bool) -> Value {
    let choice = local_time::zone().choice();
    json!({ "name": choice.zone, "is_fixed": choice.is_fixed, "may_choose": may_choose && !choice.is_fixed })
}

#[cfg(not(feature = "linux"))]
fn zone(_: bool) -> Value {
    json!({ "name": "UTC", "is_fixed": true, "may_choose": false })
}

#[cfg(feature = "linux")]
fn ntp() -> Value {
    let ntp = ivt_hal::linux::Ntp::look(std::path::Path::new("/"));
    json!({ "program": ntp.program, "servers": ntp.servers, "is_synchronized": ntp.synchronized })
}

#[cfg(not(feature = "linux"))]
fn ntp() -> Value {
    json!({ "program": null, "servers": [], "is_synchronized": null })
}

#[cfg(feature = "linux")]
fn names() -> Vec<String> {
    local_time::zone().names()
}

#[cfg(not(feature = "linux"))]
fn names() -> Vec<String> {
    Vec::new()
}

#[cfg(feature = "linux")]
fn chosen(zone: &str) -> Result<(), Refusal> {
    use std::error::Error as _;
    local_time::zone().choose(zone).map_err(|e| match (e.kind, e.source()) {
        (ivt_hal::Kind::Invalid, _) => Refusal::invalid(
            "zone",
            "this device does not know the zone: take one of its list, or rules such as CST-8",
        ),
        (_, reason) => Refusal::failed(
            "zone_not_written",
            reason.map_or_else(|| e.to_string(), ToString::to_string),
        ),
    })
}

#[cfg(not(feature = "linux"))]
fn chosen(_: &str) -> Result<(), Refusal> {
    Err(lacking("no_zone", "this program is built without its part for the board"))
}

#[cfg(test)]
mod tests {
    use hyper::{Method, StatusCode};

    use super::*;
    use crate::web::testing::Bench;

    const CAMERA: &str = "[web]\nenable = true\n[[channel]]\nbackend = 'emulator'\n";

    /// The clock of channel 0, as the interface tells it.
    async fn shown(bench: &Bench) -> SystemTime {
        let (status, told) = bench.call(Method::GET, "/api/v1/time", "").await;
        assert_eq!(status, StatusCode::OK, "{told}");
        assert_eq!(told["is_believed"], true);
        moment(&format!("{}Z", told["cameras"][0]["shows"].as_str().unwrap())).unwrap()
    }

    #[tokio::test]
    async fn a_person_sets_the_cameras_clocks_to_any_time_after_a_confirmation() {
        let bench = Bench::start(CAMERA);
        let set =
            async |body: Value| bench.call(Method::PUT, "/api/v1/time", &body.to_string()).await;
        let now = Utc::from(SystemTime::now() + Duration::from_secs(3600)).to_string();
        let local = now.trim_end_matches('Z');
        let (status, said) = set(json!({ "utc": now, "local": local })).await;
        assert_eq!((status, &said["cameras"][0]["error"]), (StatusCode::OK, &Value::Null));
        assert!(shown(&bench).await >= moment(&now).unwrap());

        let (early, at) = ("2001-02-03T04:05:06.789Z", "2001-02-03T12:05:06");
        let (status, error) = set(json!({ "utc": early, "local": at })).await;
        assert_eq!((status, &error["error"]["code"]), (StatusCode::CONFLICT, &json!("long_step")));
        let (status, _) = set(json!({ "utc": early, "local": at, "confirmed": true })).await;
        assert_eq!(status, StatusCode::OK);
        let since = shown(&bench).await.duration_since(moment(&format!("{at}Z")).unwrap());
        assert!(since.unwrap() < Duration::from_secs(60));
    }

    #[tokio::test]
    async fn what_is_no_time_or_no_zone_is_refused_at_its_field() {
        let bench = Bench::start(CAMERA);
        for (path, body, status, field) in [
            ("", r#"{}"#, 422, "utc"),
            ("", r#"{"utc":"2026-11-30T13:37:00"}"#, 422, "utc"),
            ("", r#"{"utc":"2026-11-30T13:37:00.+1Z"}"#, 422, "utc"),
            ("", r#"{"utc":"1969-11-30T13:37:00Z"}"#, 422, "utc"),
            ("", r#"{"utc":1}"#, 422, "utc"),
            ("", r#"{"utc":"2026-11-30T13:37:00Z","local":"x"}"#, 422, "local"),
            ("", r#"{"utc":"2026-11-30T13:37:00Z","confirmed":1}"#, 422, "confirmed"),
            ("/zone", r#"{"zone":7}"#, 422, "zone"),
            ("/zone", r#"{"zone":"CST-8"}"#, 501, ""),
        ] {
            let (code, error) = bench.call(Method::PUT, &format!("/api/v1/time{path}"), body).await;
            let found = error["error"]["field"].as_str();
            assert_eq!((code.as_u16(), found), (status, Some(field)), "{body}: {error}");
        }
        let none = Bench::start("[web]\nenable = true\n");
        let body = r#"{"utc":"2026-11-30T13:37:00Z"}"#;
        let (status, _) = none.call(Method::PUT, "/api/v1/time", body).await;
        assert_eq!(status, StatusCode::NOT_IMPLEMENTED);
        let (status, zones) = none.call(Method::GET, "/api/v1/time/zones", "").await;
        assert!(status == StatusCode::OK && zones["names"].is_array());
    }

    #[cfg(feature = "linux")]
    #[tokio::test]
    async fn the_zone_may_be_chosen_where_the_agent_is_the_system() {
        let bench = Bench::start(
            "[web]\nenable = true\n[[channel]]\nbackend = ['emulator', 'linux']\nabilities = { clock = 'linux' }\n",
        );
        let (_, told) = bench.call(Method::GET, "/api/v1/time", "").await;
        assert_eq!(told["cameras"][0]["is_the_devices"], true, "{told}");
        assert_eq!(
            told["zone"]["may_choose"].as_bool(),
            told["zone"]["is_fixed"].as_bool().map(|is| !is)
        );
        let ahead = told["cameras"][0]["ahead_seconds"].as_i64().unwrap();
        assert!((-1..=0).contains(&ahead), "{told}");
        let (status, error) =
            bench.call(Method::PUT, "/api/v1/time/zone", r#"{"zone":"no zone"}"#).await;
        assert_eq!((status.as_u16(), &error["error"]["field"]), (422, &json!("zone")));
    }
}
