//! `/api/v1/discovery` and `/api/v1/probe`: cameras on the network, and what they can do.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::{FutureExt as _, StreamExt as _, stream};
use ivt_base::task::spawn_blocking;
use ivt_hal::Credentials;
use ivt_hal::onvif::{Found, MULTICAST, Search};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use crate::backend::onvif::address;
use crate::config::Config;
use crate::probe::{self, Ability, Described, Outcome, SeenStream, Target};
use crate::settings::value::whole;
use crate::web::call::Call;
use crate::web::reply::{Refusal, Reply};
use crate::web::route::Route;
use crate::web::task::{self, Event};

pub(super) const ROUTES: &[Route] = &[
    Route::post("/api/v1/discovery", |call| discover(call).boxed()),
    Route::post("/api/v1/probe", |call| probe(call).boxed()),
];

/// How long answers to a search are awaited.
const SEARCH: Duration = Duration::from_secs(3);
/// How long all cameras together are asked what they are, and a slow browser is awaited.
const ASKING: Duration = Duration::from_secs(25);
/// Most cameras that are asked what they are.
const ASKED: usize = 32;
/// Most addresses of one camera that are tried.
const ADDRESSES: usize = 3;
/// Cameras that are asked at a time.
const AT_ONCE: usize = 4;
/// Longest text of a login, in characters.
const LOGIN: usize = 256;
/// Longest picture that is shown of a probed camera, in bytes.
const PICTURE: usize = 1 << 20;
/// Searches and probes at a time: each holds a picture, and cameras bear little.
static TURNS: Semaphore = Semaphore::const_new(2);

/// Searches the network, tells of each camera at once and again when it has said more.
async fn discover(mut call: Call) -> Result<Reply, Refusal> {
    let body = call.json().await?;
    is_object(&body)?;
    let to = match &body["to"] {
        Value::Null => MULTICAST,
        to => {
            let to = to.as_str().and_then(|to| to.parse::<SocketAddr>().ok());
            to.ok_or_else(|| Refusal::invalid("to", "must be ADDRESS:PORT"))?
        }
    };
    let known = configured(&call).await?;
    Ok(task::long_events(move |tell| async move {
        let turn = TURNS.acquire().await;
        let search = Search { from: None, to, wait: SEARCH };
        let found = match probe::everywhere(&search).await {
            Ok(found) => found,
            Err(e) => return fail(&tell, &format!("the network takes no search: {e}")).await,
        };
        let telling = async {
            for camera in &found {
                tell.send(("camera", seen(camera, &known))).await.ok();
            }
            let asked: Vec<_> = found.iter().take(ASKED).cloned().map(|c| ask(c).boxed()).collect();
            let mut asked = stream::iter(asked).buffer_unordered(AT_ONCE);
            while let Some(said) = asked.next().await {
                tell.send(("camera", said)).await.ok();
            }
        };
        timeout(ASKING, telling).await.ok();
        drop(turn);
        tell.send(("end", json!({ "cameras": found.len() }))).await.ok();
    }))
}

/// Looks at one camera, and tells each step as it goes.
async fn probe(mut call: Call) -> Result<Reply, Refusal> {
    let body = call.json().await?;
    let target = match &body["channel"] {
        Value::Null => asked(&body)?,
        number => {
            let config = configured(&call).await?;
            let number = whole(number).and_then(|number| usize::try_from(number).ok());
            let channel = number.and_then(|number| config.channels.get(number));
            let none = || Refusal::invalid("channel", "there is no such channel");
            let alone = "the channel's camera is not on the network: there is nothing to probe";
            Target::configured(channel.ok_or_else(none)?)
                .ok_or_else(|| Refusal::unsupported(alone))?
        }
    };
    Ok(task::events(move |tell| async move {
        let _turn = TURNS.acquire().await;
        let mut say = |line: &str| {
            tell.try_send(("line", json!({ "text": line }))).ok();
        };
        let outcome = probe::probe(target, &mut say).await;
        tell.send(("result", result(&outcome))).await.ok();
    }))
}

/// The configuration as its files have it now: cameras may have changed since the agent was started.
async fn configured(call: &Call) -> Result<Config, Refusal> {
    let store = call.site.control.store().clone();
    let unreadable = |message| Refusal::unavailable("unreadable", message);
    let read = spawn_blocking(move || store.load()).await.map_err(|e| unreadable(e.to_string()))?;
    read.map_err(|e| unreadable(e.to_string()))
}

/// The camera that a call names.
fn asked(body: &Value) -> Result<Target, Refusal> {
    let wrong = |why: String| Refusal::invalid("address", why);
    let text = body["address"].as_str().filter(|text| (1..=512).contains(&text.chars().count()));
    let text = text.ok_or_else(|| wrong("the address of the camera is missing".into()))?;
    let input = match &body["input"] {
        Value::Null => 1,
        input => {
            let input = whole(input).filter(|input| (1..=256).contains(input));
            let input = input.and_then(|input| u16::try_from(input).ok());
            input.ok_or_else(|| Refusal::invalid("input", "must be a number from 1 to 256"))?
        }
    };
    Target::at(text.trim(), login(body)?, input).map_err(wrong)
}

fn is_object(body: &Value) -> Result<(), Refusal> {
    body.is_object().then_some(()).ok_or_else(|| Refusal::invalid("", "must be an object"))
}

/// The login that a call brings; `None` without a user name.
fn login(body: &Value) -> Result<Option<Credentials>, Refusal> {
    is_object(body)?;
    let [username, password] = ["username", "password"].map(|field| match &body[field] {
        Value::Null => Ok(String::new()),
        text => {
            let text = text.as_str().filter(|text| text.chars().count() <= LOGIN);
            let wrong =
                || Refusal::invalid(field, format!("must be text of {LOGIN} characters at most"));
            text.map(str::to_owned).ok_or_else(wrong)
        }
    });
    let (username, password) = (username?, password?);
    match (username.is_empty(), password.is_empty()) {
        (true, false) => Err(Refusal::invalid("username", "the user name is missing")),
        (true, true) => Ok(None),
        (false, _) => Ok(Some(Credentials { username, password })),
    }
}

/// What a camera's answer to the search says of it.
fn seen(camera: &Found, config: &Config) -> Value {
    let at = camera.addresses.first().map(String::as_str).unwrap_or_default();
    let place = address(at).ok();
    let is_there = |host: &str, port: u16| {
        place.as_ref().is_some_and(|place| (&*place.host, place.port) == (host, port))
    };
    let channel = config.channels.iter().position(|channel| {
        let mut servers = channel.backend.web_servers();
        servers.any(|(host, port)| is_there(host.trim_matches(['[', ']']), port))
    });
    json!({ "id": at, "address": at, "name": camera.name, "model": camera.hardware, "channel": channel })
}

/// Asks a camera what it is, at the first of its addresses where it answers.
async fn ask(camera: Found) -> Value {
    let id = camera.addresses.first().map(String::as_str).unwrap_or_default();
    let (mut at, mut said) = (id, Described::default());
    for address in camera.addresses.iter().take(ADDRESSES) {
        said = probe::described(address).await;
        if !said.is_silent {
            at = address;
            break;
        }
    }
    let Described { maker, model, picture, is_refused, .. } = said;
    let mut value = json!({ "id": id, "address": at, "maker": maker, "is_refused": is_refused });
    if !model.is_empty() {
        value["model"] = model.into();
    }
    if let Some(picture) = picture {
        value["picture"] = STANDARD.encode(picture).into();
    }
    value
}

fn result(outcome: &Outcome) -> Value {
    let stream = |seen: &SeenStream| {
        let SeenStream { stream, codec, size: (width, height), has_sound } = *seen;
        json!({ "stream": stream.to_string(), "codec": codec, "width": width, "height": height, "has_sound": has_sound })
    };
    let ability = |ability: &Ability| {
        let Ability { slot, is_there, said } = ability;
        json!({ "name": slot, "is_there": is_there, "said": said })
    };
    let Outcome { is_good, is_refused, wants_login, is_silent, maker, model, firmware, .. } =
        outcome;
    let settings = outcome.settings.iter().map(|(key, value)| ((*key).to_owned(), value.clone()));
    let settings: serde_json::Map<_, _> = settings.collect();
    let picture = outcome.picture.as_ref().filter(|picture| picture.len() <= PICTURE);
    json!({
        "is_good": is_good,
        "is_refused": is_refused,
        "wants_login": wants_login,
        "is_silent": is_silent,
        "maker": maker,
        "model": model,
        "firmware": firmware,
        "streams": outcome.streams.iter().map(stream).collect::<Vec<_>>(),
        "abilities": outcome.abilities.iter().map(ability).collect::<Vec<_>>(),
        "settings": settings,
        "picture": picture.map(|picture| STANDARD.encode(picture)),
    })
}

async fn fail(tell: &mpsc::Sender<Event>, message: &str) {
    tell.send(("failed", json!({ "message": message }))).await.ok();
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, UdpSocket};
    use std::thread::{JoinHandle, spawn};

    use hyper::{Method, StatusCode};

    use super::*;
    use crate::web::testing::Bench;

    const PAGE: &str = "[web]\nenable = true\n[[channel]]\nbackend = 'emulator'\n";

    /// The events of an answer: their names and their data.
    fn events(body: &[u8]) -> Vec<(String, Value)> {
        let text = String::from_utf8(body.to_vec()).unwrap();
        let event = |part: &str| {
            let (name, data) = part.split_once("\ndata: ").unwrap();
            (name["event: ".len()..].to_owned(), serde_json::from_str(data).unwrap())
        };
        text.split_terminator("\n\n").map(event).collect()
    }

    #[tokio::test]
    async fn a_wrong_wish_is_refused_at_its_field() {
        let bench = Bench::start(PAGE);
        for (path, body, status, field) in [
            ("probe", json!({}), 422, "address"),
            ("probe", json!({ "address": "http://user:Pr0be-canary@h/" }), 422, "address"),
            ("probe", json!({ "address": "rtsp://user:Pr0be-canary@h/" }), 422, "address"),
            ("probe", json!({ "address": "h", "input": 0 }), 422, "input"),
            ("probe", json!({ "address": "h", "password": "x" }), 422, "username"),
            ("probe", json!({ "address": "h", "username": 1 }), 422, "username"),
            ("probe", json!({ "channel": 1 }), 422, "channel"),
            ("probe", json!({ "channel": 1.0 }), 422, "channel"),
            ("probe", json!({ "channel": 0 }), 501, ""),
            ("probe", json!({ "channel": 0.0 }), 501, ""),
            ("probe", json!([]), 422, "address"),
            ("discovery", json!({ "to": "nowhere" }), 422, "to"),
            ("probe", json!({ "address": "h", "username": "u", "password": 7 }), 422, "password"),
            ("discovery", json!(null), 422, ""),
        ] {
            let (code, answer) =
                bench.call(Method::POST, &format!("/api/v1/{path}"), &body.to_string()).await;
            assert_eq!(
                (code.as_u16(), &answer["error"]["field"]),
                (status, &field.into()),
                "{body}"
            );
            assert!(!answer.to_string().contains("canary"), "{answer}");
        }
    }

    #[tokio::test]
    async fn an_address_where_nobody_answers_is_said_to_be_silent() {
        let bench = Bench::start(PAGE);
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let body = json!({ "address": closed.to_string(), "username": "u", "password": "Pr0be-0" });
        let (status, body) = bench.bytes(Method::POST, "/api/v1/probe", &body.to_string()).await;
        assert_eq!(status, StatusCode::OK);
        let events = events(&body);
        assert!(events.len() > 1 && events[0].0 == "line", "{events:?}");
        let (name, result) = events.last().unwrap();
        assert_eq!(name, "result");
        assert!(result["is_silent"] == true && result["is_good"] == false, "{result}");
        assert_eq!(result["settings"], json!({}));
    }

    /// A camera that answers one search by UDP and names its service at `at`; where it is searched.
    fn found_at(at: SocketAddr) -> (SocketAddr, JoinHandle<()>) {
        let camera = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = camera.local_addr().unwrap();
        let answers = spawn(move || {
            let (_, from) = camera.recv_from(&mut [0; 4096]).unwrap();
            let answer = format!(
                "<e:Envelope><e:Body><w:ProbeMatches><w:ProbeMatch><w:Types>dn:NetworkVideoTransmitter</w:Types>\
                 <w:Scopes>onvif://www.onvif.org/name/Door onvif://www.onvif.org/hardware/X-1</w:Scopes>\
                 <w:XAddrs>http://{at}/onvif/d</w:XAddrs></w:ProbeMatch></w:ProbeMatches></e:Body></e:Envelope>"
            );
            camera.send_to(answer.as_bytes(), from).unwrap();
        });
        (to, answers)
    }

    #[tokio::test]
    async fn a_search_gives_no_login_to_whoever_answers() {
        let bench = Bench::start(PAGE);
        let rogue = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = rogue.local_addr().unwrap();
        let (to, answers) = found_at(at);
        let heard = spawn(move || {
            let mut heard = String::new();
            loop {
                let (mut client, _) = rogue.accept().unwrap();
                let mut buffer = [0; 8192];
                let length = client.read(&mut buffer).unwrap();
                let said = String::from_utf8_lossy(&buffer[..length]).into_owned();
                if said == "end" {
                    return heard;
                }
                heard += &said;
                let refusal = "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=\"c\"\r\n\
                               Connection: close\r\nContent-Length: 0\r\n\r\n";
                client.write_all(refusal.as_bytes()).unwrap();
            }
        });
        let body = json!({ "to": to.to_string(), "username": "u", "password": "R0gue-canary" });
        let (status, body) =
            bench.bytes(Method::POST, "/api/v1/discovery", &body.to_string()).await;
        assert_eq!(status, StatusCode::OK);
        answers.join().unwrap();
        std::net::TcpStream::connect(at).unwrap().write_all(b"end").unwrap();
        let heard = heard.join().unwrap();
        assert!(heard.contains("GetDeviceInformation"), "{heard}");
        for word in ["authorization", "usernametoken", "canary"] {
            assert!(!heard.to_ascii_lowercase().contains(word), "{heard}");
        }
        let events = events(&body);
        assert_eq!(events[1].1["is_refused"], true, "{events:?}");
    }

    #[tokio::test]
    async fn a_camera_that_answers_the_search_is_told_of_at_once_and_asked() {
        let bench = Bench::start(PAGE);
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (to, answers) = found_at(closed);
        let body = json!({ "to": to.to_string() }).to_string();
        let (status, body) = bench.bytes(Method::POST, "/api/v1/discovery", &body).await;
        assert_eq!(status, StatusCode::OK);
        answers.join().unwrap();
        let events = events(&body);
        let names: Vec<_> = events.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["camera", "camera", "end"]);
        let first = &events[0].1;
        assert_eq!((&first["name"], &first["model"]), (&json!("Door"), &json!("X-1")));
        assert_eq!(first["address"], events[1].1["address"]);
        assert_eq!(first["channel"], Value::Null);
        assert_eq!(events[2].1["cameras"], 1);
    }
}
