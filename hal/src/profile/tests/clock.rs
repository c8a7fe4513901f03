//! Clocks of cameras that keep and tell the time as their families do.

use super::*;
use crate::{Clock, WallTime, conformance};

const TIME: &str = "2024-02-29T23:59:58";

fn wanted() -> WallTime {
    TIME.parse().unwrap()
}

fn clock(name: &str, camera: &Camera) -> Arc<dyn Clock> {
    channel(name, &camera.http(), 1).clock.unwrap()
}

/// A camera that answers `tell` with what it keeps, and keeps what `hear` finds in a request; `None` is another address.
async fn keeps(
    first: &str,
    tell: impl Fn(&str, &str) -> Option<String> + Send + Sync + 'static,
    hear: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
) -> Camera {
    let kept: Kept<String> = Arc::new(Mutex::new(first.to_owned()));
    Camera::start(move |request| {
        if let Some(time) = hear(request) {
            *kept.lock().unwrap() = time;
            return http(200, "OK");
        }
        match tell(request, &kept.lock().unwrap()) {
            Some(answer) => http(200, &answer),
            None => http(404, "404 Not Found"),
        }
    })
    .await
}

/// What stands behind `name` in a request, up to `end`.
fn behind(request: &str, name: &str, end: &str) -> Option<String> {
    let (_, rest) = request.split_once(name)?;
    Some(rest.split(end).next().unwrap().to_owned())
}

async fn passes(name: &str, camera: &Camera, last: &str) {
    conformance::clock(&*clock(name, camera)).await;
    clock(name, camera).set(wanted()).await.unwrap();
    assert_eq!(clock(name, camera).now().await.unwrap(), wanted(), "{name}");
    assert!(lines(camera).iter().any(|line| line == last), "{name}: {:?}", lines(camera));
}

#[tokio::test]
async fn dahuas_clock_is_set_with_an_escaped_blank() {
    let camera = keeps(
        "2026-11-30 1:02:03",
        |request, time| {
            request.contains("action=getCurrentTime").then(|| format!("result={time}\r\n"))
        },
        |request| {
            let time = behind(request, "setCurrentTime&time=", " ")?;
            Some(time.replace("%20", " "))
        },
    )
    .await;
    assert_eq!(clock("dahua", &camera).now().await.unwrap().to_string(), "2026-11-30T01:02:03");
    let last = "GET /cgi-bin/global.cgi?action=setCurrentTime&time=2024-02-29%2023:59:58";
    passes("dahua", &camera, last).await;
}

#[tokio::test]
async fn uapis_clock_is_told_by_variables_and_set_by_its_parts() {
    let tell = |request: &str, time: &str| {
        let time: WallTime = time.parse().ok()?;
        let ((year, month, day), (hour, minute, second)) = (time.date(), time.time());
        request.contains("/uapi-cgi/datetime.cgi?action=get&mode=js").then(|| {
            format!(
                "var DATETIME_DATE_YEAR = {year};\nvar DATETIME_DATE_MONTH=\"{month:02}\";\nvar DATETIME_DATE_DAY = {day};\n\
                 var DATETIME_TIME_HOUR = {hour};\nvar DATETIME_TIME_MINUTE = {minute};\nvar DATETIME_TIME_SECOND = '{second}';\n"
            )
        })
    };
    let hear = |request: &str| {
        request.contains("datetime.fcgi?action=set").then(|| {
            let part = |name: &str| behind(request, name, "&")?.split(' ').next()?.parse().ok();
            let small =
                |name: &str| part(name).and_then(|part: u16| u8::try_from(part).ok()).unwrap();
            let (date, year) = ((small("month="), small("day=")), part("year=").unwrap());
            let time = (small("hour="), small("minute="), small("second="));
            WallTime::new(year, date.0, date.1, time.0, time.1, time.2).unwrap().to_string()
        })
    };
    let camera = keeps("2026-11-30T01:02:03", tell, hear).await;
    let last = "GET /uapi-cgi/datetime.fcgi?action=set&year=2024&month=2&day=29&hour=23&minute=59&second=58";
    passes("uapi", &camera, last).await;
}

#[tokio::test]
async fn the_date_of_nvc_is_a_parameter_that_uapi_may_have_alone() {
    for (name, path) in [("nvc", "/nvc-cgi/admin/param.fcgi"), ("uapi", "/uapi-cgi/param.fcgi")] {
        let camera = keeps(
            "113001022026.03",
            move |request, time| {
                let is_list =
                    request.contains(&format!("{path}?action=list&group=SYSTEM.Datetime"));
                is_list.then(|| {
                    format!("SYSTEM.Datetime.Tz.name=x\nSYSTEM.Datetime.datetime={time}\n")
                })
            },
            move |request| {
                behind(
                    request,
                    &format!("{path}?action=update&group=System.DateTime&datetime="),
                    " ",
                )
            },
        )
        .await;
        let last =
            format!("GET {path}?action=update&group=System.DateTime&datetime=022923592024.58");
        passes(name, &camera, &last).await;
    }
}

#[tokio::test]
async fn merlins_clock_is_json() {
    let camera = keeps(
        r#"{"TimeCfg":{"year":2026,"month":11,"day":30,"hour":1,"minute":2,"second":3}}"#,
        |request, time| request.contains("GetTimeCfg").then(|| time.to_owned()),
        |request| {
            request.contains("SetTimeCfg").then(|| behind(request, "\r\n\r\n", "\0").unwrap())
        },
    )
    .await;
    let last = r#"POST /merlin/SetTimeCfg.cgi {"TimeCfg":{"year":2024,"month":2,"day":29,"hour":23,"minute":59,"second":58}}"#;
    passes("merlin", &camera, last).await;
}

#[tokio::test]
async fn hikvisions_time_goes_back_whole_and_in_its_form() {
    for zone in ["", "Z", "+08:00", "-03:30"] {
        let camera = keeps(
            &format!("2026-11-30T01:02:03{zone}"),
            |request, time| {
                request.starts_with("GET /ISAPI/System/time").then(|| {
                    format!("<?xml version=\"1.0\"?><Time version=\"2.0\" xmlns=\"http://www.hikvision.com/ver20/XMLSchema\"><timeMode>NTP</timeMode><localTime>{time}</localTime><timeZone>CST-8:00:00</timeZone><satelliteInterval>60</satelliteInterval></Time>")
                })
            },
            |request| request.starts_with("PUT").then(|| behind(request, "<localTime>", "<").unwrap()),
        )
        .await;
        conformance::clock(&*clock("hikvision", &camera)).await;
        clock("hikvision", &camera).set(wanted()).await.unwrap();
        assert_eq!(clock("hikvision", &camera).now().await.unwrap(), wanted());
        let requests = camera.requests();
        let put = requests.iter().rfind(|request| request.starts_with("PUT")).unwrap();
        for part in [
            "xmlns=\"http://www.hikvision.com/ver20/XMLSchema\"",
            "<timeMode>manual</timeMode>",
            &format!("<localTime>{TIME}{zone}</localTime>"),
            "<timeZone>CST-8:00:00</timeZone>",
            "<satelliteInterval>60</satelliteInterval>",
        ] {
            assert!(put.contains(part), "{zone}: {put}");
        }
    }
}

#[tokio::test]
async fn axis_is_set_in_utc_by_the_distance_it_tells() {
    for hours in [-8_i64, 0, 1, 14] {
        let camera = Camera::start(move |request| {
            let (_, body) = request.split_once("\r\n\r\n").unwrap();
            let utc = WallTime::new(2026, 11, 30, 12, 0, 0).unwrap().seconds().unwrap();
            let local = WallTime::from_seconds(utc.checked_add_signed(hours * 3600).unwrap()).unwrap();
            match body.contains("getDateTimeInfo") {
                true => http(200, &format!("{{\"apiVersion\":\"1.0\",\"data\":{{\"dateTime\":\"2026-11-30T12:00:00Z\",\"localDateTime\":\"{local}\"}}}}")),
                false => http(200, "{\"apiVersion\":\"1.0\",\"data\":{}}"),
            }
        })
        .await;
        clock("axis", &camera).set(wanted()).await.unwrap();
        let seconds = wanted().seconds().unwrap().checked_add_signed(-hours * 3600).unwrap();
        let utc = WallTime::from_seconds(seconds).unwrap();
        let last = format!("\"dateTime\":\"{utc}Z\"");
        assert!(lines(&camera).last().unwrap().contains(&last), "{:?}", lines(&camera));
    }
}

#[tokio::test]
async fn a_time_that_makes_no_sense_is_an_error() {
    for answer in
        ["result=", "result=never", "result=2026-02-30 00:00:00", "Error\r\nBad Request!", ""]
    {
        let camera = Camera::start(move |_| http(200, answer)).await;
        assert_eq!(clock("dahua", &camera).now().await.unwrap_err().kind, Kind::Other, "{answer}");
        let set = clock("dahua", &camera).set(wanted()).await;
        assert_eq!(set.unwrap_err().kind, Kind::Other, "no OK");
    }
    let camera = Camera::start(|_| http(404, "")).await;
    for name in ["uapi", "nvc", "hikvision", "dahua", "merlin", "axis"] {
        let clock = clock(name, &camera);
        assert_eq!(clock.now().await.unwrap_err().kind, Kind::Unsupported, "{name}");
        assert_eq!(clock.set(wanted()).await.unwrap_err().kind, Kind::Unsupported, "{name}");
    }
    for name in ["ipai", "majestic"] {
        assert!(channel(name, &camera.http(), 1).clock.is_none(), "{name}: not known");
    }
    let offline = Http::new("127.0.0.1", 1, None, crate::http::Limits::default());
    conformance::offline_clock(&*channel("dahua", &offline, 1).clock.unwrap()).await;
    conformance::offline_alarms(&*channel("dahua", &offline, 1).alarms.unwrap()).await;
}
