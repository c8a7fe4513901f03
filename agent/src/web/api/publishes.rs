//! `/api/v1/publishes`: the constant publishes, which the platform sets by SetRTMPPublishConfig, too. Their addresses hold
//! stream keys and are never shown.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use futures::FutureExt as _;
use ivt_proto::rpc::message::{RtmpPublishConfig, SetRtmpPublishConfig};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::timeout;
use url::Url;

use crate::settings::value::whole;
use crate::web::call::Call;
use crate::web::reply::{Refusal, Reply};
use crate::web::route::Route;

pub(super) const ROUTES: &[Route] = &[
    Route::get("/api/v1/publishes", |call| read(call).boxed()),
    Route::put("/api/v1/publishes", |call| change(call).boxed()),
];

/// Most rows.
const ROWS: usize = 256;
/// How long the names of the servers may take to be looked up, and the list to be kept.
const PATIENCE: Duration = Duration::from_secs(8);

/// Held from the comparison of versions until the list is another one.
static TURN: Mutex<()> = Mutex::const_new(());

async fn read(call: Call) -> Result<Reply, Refusal> {
    Ok(described(&call.site.console()?.publishes.list()))
}

/// Puts another list in the place of the one with the version that the caller has seen.
async fn change(mut call: Call) -> Result<Reply, Refusal> {
    let body = call.json().await?;
    let publishes = call.site.console()?.publishes.clone();
    let _turn = timeout(PATIENCE, TURN.lock()).await.map_err(|_| too_slow())?;
    let known = publishes.list();
    let rows = body["rows"].as_array().filter(|rows| rows.len() <= ROWS);
    let rows = rows.ok_or_else(|| {
        Refusal::invalid("rows", format!("must be a list of {ROWS} rows at most"))
    })?;
    if body["version"].as_str() != Some(&version(&known)) {
        let message = "the list was changed since it was read: read it again, nothing was changed";
        return Err(Refusal::conflict("outdated", message));
    }
    let list: Result<Vec<_>, _> =
        rows.iter().enumerate().map(|(index, row)| wanted(index, row, &known)).collect();
    let request = SetRtmpPublishConfig { list: list? };
    let reset_waits = timeout(PATIENCE, call.turn()).await.map_err(|_| too_slow())??;
    let replaced = timeout(PATIENCE, publishes.replace(request)).await;
    drop(reset_waits);
    match replaced {
        Ok(Ok(())) => Ok(described(&publishes.list())),
        Ok(Err(error)) => Err(refused(&error.msg)),
        Err(_) => Err(too_slow()),
    }
}

fn too_slow() -> Refusal {
    Refusal::unavailable("too_slow", "the list was not kept in time: try again")
}

fn described(rows: &[RtmpPublishConfig]) -> Reply {
    let row = |row: &RtmpPublishConfig| {
        json!({
            "enable": row.enable,
            "channel": row.channel,
            "quality": row.quality,
            "server": server(row.url.expose()),
        })
    };
    let rows_shown: Vec<_> = rows.iter().map(row).collect();
    Reply::json(&json!({ "version": version(rows), "rows": rows_shown }))
}

/// What of an address is no secret: its server, and the name of the application there.
fn server(address: &str) -> String {
    let Ok(url) = Url::parse(address) else { return String::new() };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let mut parts = url.path_segments().into_iter().flatten();
    // A path of one part alone is a stream key as likely as an application.
    let application = match (parts.next(), parts.next()) {
        (Some(first), Some(_)) => format!("{first}/"),
        _ => String::new(),
    };
    let host = url.host_str().unwrap_or_default();
    format!("{}://{host}{port}/{application}***", url.scheme())
}

/// Differs for any other list.
fn version(rows: &[RtmpPublishConfig]) -> String {
    let mut hasher = DefaultHasher::new();
    json!(rows).to_string().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// A row as it is wanted: with a new address, or with that of the row whose place it names.
fn wanted(
    index: usize,
    row: &Value,
    known: &[RtmpPublishConfig],
) -> Result<RtmpPublishConfig, Refusal> {
    let wrong = |name: &str, why: &str| Refusal::invalid(format!("rows.{index}.{name}"), why);
    let enable = row["enable"].as_bool().ok_or_else(|| wrong("enable", "must be true or false"))?;
    let channel = whole(&row["channel"]).and_then(|number| u32::try_from(number).ok());
    let channel = channel.ok_or_else(|| wrong("channel", "must be the number of a channel"))?;
    let quality = serde_json::from_value(row["quality"].clone());
    let quality = quality.map_err(|_| wrong("quality", "must be ld, sd, hd or fhd"))?;
    let url = match (&row["url"], whole(&row["keep"])) {
        (Value::String(url), _) => url.clone().into(),
        (Value::Null, Some(place)) => {
            let place = usize::try_from(place).ok().and_then(|place| known.get(place));
            place.ok_or_else(|| wrong("keep", "there is no such row"))?.url.clone()
        }
        _ => return Err(wrong("url", "give an address rtmp://, or the row whose address is kept")),
    };
    Ok(RtmpPublishConfig { enable, channel, quality, url })
}

/// Names the field that an error of SetRTMPPublishConfig is about.
fn refused(message: &str) -> Refusal {
    let Some((_, about)) = message.split_once("params[") else {
        return Refusal::unavailable("not_kept", message);
    };
    let (place, why) = about.split_once(": ").unwrap_or((about, message));
    Refusal::invalid(format!("rows.{}", place.replace(']', "")), why)
}

#[cfg(test)]
mod tests {
    use hyper::{Method, StatusCode};

    use super::*;
    use crate::web::testing::Bench;

    const PATH: &str = "/api/v1/publishes";

    #[test]
    fn of_an_address_the_server_alone_is_shown() {
        for (address, want) in [
            ("rtmp://192.0.2.1/live/K3y-of-it", "rtmp://192.0.2.1/live/***"),
            ("rtmps://u:p@h:1936/a/b?token=x", "rtmps://h:1936/a/***"),
            ("rtmp://h/K3y", "rtmp://h/***"),
            ("", ""),
        ] {
            assert_eq!(server(address), want);
        }
    }

    #[tokio::test]
    async fn the_list_is_changed_and_addresses_are_kept_without_being_shown() {
        let bench = Bench::start("[web]\nenable = true\n[[channel]]\nbackend = 'emulator'\n");
        let put = |version: &Value, rows: Value| {
            let body = json!({ "version": version, "rows": rows }).to_string();
            let bench = &bench;
            async move { bench.call(Method::PUT, PATH, &body).await }
        };
        let (_, empty) = bench.call(Method::GET, PATH, "").await;
        assert_eq!(empty["rows"], json!([]));
        let row = |url: &str| json!({ "enable": true, "channel": 0, "quality": "hd", "url": url });
        let version = &empty["version"];
        let (status, one) = put(version, json!([row("rtmp://192.0.2.1/live/Push-K3y")])).await;
        assert_eq!(
            (status, &one["rows"][0]["server"]),
            (StatusCode::OK, &json!("rtmp://192.0.2.1/live/***"))
        );
        assert!(!one.to_string().contains("Push-K3y"));
        let off = json!([{ "enable": false, "channel": 0, "quality": "sd", "keep": 0 }]);
        assert_eq!(put(version, off.clone()).await.0, StatusCode::CONFLICT, "it was changed");
        let (status, two) = put(&one["version"], off).await;
        assert_eq!((status, &two["rows"][0]["quality"]), (StatusCode::OK, &json!("sd")), "{two}");
        let kept = bench.agent.console().publishes.list();
        assert_eq!(kept[0].url.expose(), "rtmp://192.0.2.1/live/Push-K3y");
        for (rows, field) in [
            (json!([row("http://192.0.2.1/a/b")]), "rows.0.url"),
            (json!([row("rtmp://127.0.0.1/a/b")]), "rows.0.url"),
            (json!([{ "enable": true, "channel": 0, "quality": "hd" }]), "rows.0.url"),
            (json!([{ "enable": true, "channel": 0, "quality": "hd", "keep": 1 }]), "rows.0.keep"),
            (
                json!([{ "enable": true, "channel": 5, "quality": "hd", "keep": 0 }]),
                "rows.0.channel",
            ),
            (
                json!([{ "enable": true, "channel": 0, "quality": "4k", "keep": 0 }]),
                "rows.0.quality",
            ),
            (json!([{ "enable": 1 }]), "rows.0.enable"),
            (json!([1]), "rows.0.enable"),
            (json!(1), "rows"),
        ] {
            let (status, answer) = put(&two["version"], rows.clone()).await;
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{rows}: {answer}");
            assert_eq!(answer["error"]["field"], field, "{rows}: {answer}");
        }
    }

    #[tokio::test]
    async fn of_two_at_once_the_second_is_told_of_the_first() {
        let bench = Bench::start("[web]\nenable = true\n[[channel]]\nbackend = 'emulator'\n");
        let (_, empty) = bench.call(Method::GET, PATH, "").await;
        let body = |name: &str| {
            let url = format!("rtmp://192.0.2.1/live/At0nce-{name}");
            let row = json!({ "enable": true, "channel": 0, "quality": "hd", "url": url });
            json!({ "version": empty["version"], "rows": [row] }).to_string()
        };
        let (one, two) = (body("one"), body("two"));
        let (one, two) =
            tokio::join!(bench.call(Method::PUT, PATH, &one), bench.call(Method::PUT, PATH, &two));
        let mut statuses = [one.0, two.0];
        statuses.sort();
        assert_eq!(statuses, [StatusCode::OK, StatusCode::CONFLICT]);
    }
}
