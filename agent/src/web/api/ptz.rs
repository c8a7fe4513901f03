//! Moves a camera by hand. A movement goes on while its order is given again, so that it ends with the browser.

use futures::FutureExt as _;
use hyper::StatusCode;
use ivt_hal::{Direction, Kind, MOST_NAMED, Movement, Named};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::ptz::{Order, Outcome};
use crate::settings::value::whole;
use crate::web::call::Call;
use crate::web::camera;
use crate::web::reply::{Refusal, Reply};
use crate::web::route::Route;

pub(super) const ROUTES: &[Route] = &[
    Route::post("/api/v1/channels/{channel}/ptz", |call| order(call).boxed()),
    Route::get("/api/v1/channels/{channel}/presets", |call| presets(call).boxed()),
    Route::get("/api/v1/channels/{channel}/tours", |call| tours(call).boxed()),
];

/// Longest token of a preset or tour, in characters.
const TOKEN: usize = 256;
/// The speed of a movement whose order names none.
const SPEED: i64 = 50;

/// The words for directions.
const DIRECTIONS: [(&str, Direction); 10] = [
    ("up", Direction::Up),
    ("down", Direction::Down),
    ("left", Direction::Left),
    ("right", Direction::Right),
    ("upleft", Direction::UpLeft),
    ("upright", Direction::UpRight),
    ("downleft", Direction::DownLeft),
    ("downright", Direction::DownRight),
    ("zoomin", Direction::ZoomIn),
    ("zoomout", Direction::ZoomOut),
];

async fn order(mut call: Call) -> Result<Reply, Refusal> {
    camera::channel(&call)?;
    let order = read(&call.json().await?)?;
    let (number, console) = (call.number("channel")?, call.site.console()?);
    let remote = console.remotes.get(number).ok_or_else(Refusal::not_found)?;
    let (tell, told) = oneshot::channel();
    remote.give(order, Box::new(move |outcome| drop(tell.send(outcome))));
    let gone = || Refusal::unavailable("agent_stopped", "the agent ends, or is started anew");
    match told.await.map_err(|_| gone())? {
        Outcome::Done(done) => done.map_err(|error| refused(&error))?,
        Outcome::Replaced => {
            return Err(Refusal::conflict("replaced", "a newer order took the place of this one"));
        }
    }
    Ok(Reply::nothing())
}

async fn presets(call: Call) -> Result<Reply, Refusal> {
    let presets = camera::slot(&camera::channel(&call)?.1.presets, "presets")?;
    Ok(list("presets", camera::told(presets.list()).await?))
}

async fn tours(call: Call) -> Result<Reply, Refusal> {
    let tours = camera::slot(&camera::channel(&call)?.1.tours, "tours")?;
    Ok(list("tours", camera::told(tours.list()).await?))
}

fn list(name: &str, named: Vec<Named>) -> Reply {
    let named = named.into_iter().take(MOST_NAMED);
    let named = named.map(|one| json!({ "token": one.token, "name": one.name }));
    Reply::json(&json!({ name: named.collect::<Vec<_>>() }))
}

/// Reads an order: a word, with a speed where it is a direction, and with a token where it is a preset or a tour.
fn read(body: &Value) -> Result<Order, Refusal> {
    let keys = body.as_object().ok_or_else(|| Refusal::invalid("", "an object is expected"))?;
    let op = keys.get("op").and_then(Value::as_str).unwrap_or_default();
    let direction = DIRECTIONS.iter().find(|(word, _)| *word == op);
    let also = match op {
        _ if direction.is_some() => "speed",
        "preset" | "tour" | "end_tour" => "token",
        _ => "op",
    };
    if let Some(other) = keys.keys().find(|key| *key != "op" && *key != also) {
        return Err(Refusal::invalid(other, format!("not known here: {op:?} has op and {also}")));
    }
    if let Some((_, direction)) = direction {
        let speed = keys.get("speed").map_or(Some(SPEED), whole).filter(|speed| *speed <= 100);
        let speed = speed.and_then(|speed| u8::try_from(speed).ok());
        let speed = speed.ok_or_else(|| Refusal::invalid("speed", "a whole number up to 100"))?;
        return Ok(Order::Hold(Movement { direction: *direction, speed }));
    }
    let token = || match keys.get("token") {
        Some(Value::String(token)) if (1..=TOKEN).contains(&token.chars().count()) => {
            Ok(token.clone())
        }
        _ => Err(Refusal::invalid("token", format!("a text of 1 to {TOKEN} characters"))),
    };
    Ok(match op {
        "stop" => Order::Stop,
        "preset" => Order::Preset(token()?),
        "tour" => Order::Tour(token()?),
        "end_tour" if !keys.contains_key("token") => Order::EndTour(None),
        "end_tour" => Order::EndTour(Some(token()?)),
        "patrol" => Order::Patrol,
        "end_patrol" => Order::EndPatrol,
        _ => return Err(Refusal::invalid("op", "a direction, stop, preset, tour or patrol")),
    })
}

/// Why a camera did not obey. It does not know every preset that somebody may name.
fn refused(error: &ivt_hal::Error) -> Refusal {
    let refusal = camera::refused(error);
    match error.kind {
        Kind::Invalid => Refusal { status: StatusCode::NOT_FOUND, ..refusal },
        _ => refusal,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use hyper::Method;
    use tokio::time::sleep;

    use super::*;
    use crate::web::testing::Bench;

    const EMULATOR: &str = "[web]\nenable = true\n[[channel]]\nbackend = 'emulator'\n";
    const PATH: &str = "/api/v1/channels/0/ptz";

    #[tokio::test]
    async fn the_camera_moves_and_stops_by_itself_when_nobody_asks_again() {
        let bench = Bench::start(EMULATOR);
        let device = bench.site.console().unwrap().device.now();
        let picture = async || {
            let source = device.channels[0].encoder.source(ivt_hal::Stream::Main).await.unwrap();
            let ivt_hal::Source::Pattern { world, .. } = source else { panic!("a pattern") };
            world.position()
        };
        let body = r#"{"op":"left","speed":100}"#;
        assert_eq!(bench.call(Method::POST, PATH, body).await.0, StatusCode::NO_CONTENT);
        let began = Instant::now();
        let mut last = picture().await;
        assert!(last.moving);
        while last.moving {
            assert!(began.elapsed() < Duration::from_secs(5), "it goes on");
            sleep(Duration::from_millis(20)).await;
            last = picture().await;
        }
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        assert!(last.pan < 0.0, "{last:?}");
    }

    #[tokio::test]
    async fn presets_and_tours_are_listed_and_begun() {
        let bench = Bench::start(EMULATOR);
        let (_, presets) = bench.call(Method::GET, "/api/v1/channels/0/presets", "").await;
        let token = presets["presets"][0]["token"].clone();
        assert!(presets["presets"][0]["name"].is_string(), "{presets}");
        let (_, tours) = bench.call(Method::GET, "/api/v1/channels/0/tours", "").await;
        let tour = tours["tours"][0]["token"].clone();
        for body in [
            json!({ "op": "preset", "token": token }),
            json!({ "op": "tour", "token": tour }),
            json!({ "op": "end_tour", "token": tour }),
            json!({ "op": "end_tour" }),
            json!({ "op": "patrol" }),
            json!({ "op": "end_patrol" }),
            json!({ "op": "zoomin", "speed": 0 }),
            json!({ "op": "zoomout", "speed": 100.0 }),
            json!({ "op": "stop" }),
        ] {
            let (status, error) = bench.call(Method::POST, PATH, &body.to_string()).await;
            assert_eq!(status, StatusCode::NO_CONTENT, "{body}: {error}");
        }
        let (status, error) =
            bench.call(Method::POST, PATH, r#"{"op":"preset","token":"none"}"#).await;
        let told = (status, &error["error"]["code"]);
        assert_eq!(told, (StatusCode::NOT_FOUND, &json!("camera_invalid")));
    }

    #[tokio::test]
    async fn orders_that_make_no_sense_are_refused_by_their_field() {
        let bench = Bench::start(EMULATOR);
        for (body, field) in [
            ("[]", ""),
            ("{", ""),
            ("{}", "op"),
            (r#"{"op":"Up"}"#, "op"),
            (r#"{"op":7}"#, "op"),
            (r#"{"op":"up","speed":101}"#, "speed"),
            (r#"{"op":"up","speed":-1}"#, "speed"),
            (r#"{"op":"up","speed":50.5}"#, "speed"),
            (r#"{"op":"up","speed":null}"#, "speed"),
            (r#"{"op":"preset"}"#, "token"),
            (r#"{"op":"tour","token":""}"#, "token"),
            (r#"{"op":"tour","token":3}"#, "token"),
            (r#"{"op":"up","speeed":1}"#, "speeed"),
            (r#"{"op":"up","token":"1"}"#, "token"),
            (r#"{"op":"stop","speed":1}"#, "speed"),
            (r#"{"op":"end_tour","token":""}"#, "token"),
        ] {
            let (status, error) = bench.call(Method::POST, PATH, body).await;
            let told = (status, &error["error"]["field"]);
            assert_eq!(told, (StatusCode::UNPROCESSABLE_ENTITY, &json!(field)), "{body}");
        }
        let nobody = bench.call(Method::POST, "/api/v1/channels/9/ptz", r#"{"op":"up"}"#).await;
        assert_eq!(nobody.0, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn a_camera_that_cannot_move_says_so() {
        let text = "[web]\nenable = true\n[[channel]]\nbackend = 'rtsp'\nmain = 'rtsp://h/a'\n";
        let bench = Bench::start(text);
        for (method, path, body) in [
            (Method::POST, PATH, r#"{"op":"up"}"#),
            (Method::GET, "/api/v1/channels/0/presets", ""),
            (Method::GET, "/api/v1/channels/0/tours", ""),
        ] {
            let (status, error) = bench.call(method, path, body).await;
            let told = (status, &error["error"]["code"]);
            assert_eq!(told, (StatusCode::NOT_IMPLEMENTED, &json!("unsupported")), "{path}");
        }
    }
}
