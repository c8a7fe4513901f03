//! `/api/v1/hosted`: the hosted service, what its server asked for, and the test of a server.

use std::sync::Arc;

use futures::FutureExt as _;
use ivt_base::date::Utc;
use ivt_base::task::spawn_blocking;
use serde_json::{Value, json};
use tokio::sync::mpsc::Sender;
use tokio::time::Instant;

use super::cloud::hop;
use crate::cloud::trial::{Server, Told, reach};
use crate::config::{self, Config};
use crate::settings::value::{of_json, quoted};
use crate::tls::TrustStore;
use crate::tlss::trial::{Greeting, greet, identity};
use crate::tlss::{Entry, HostedState};
use crate::web::call::Call;
use crate::web::reply::{Refusal, Reply};
use crate::web::route::Route;
use crate::web::task::{self, Event};

pub(super) const ROUTES: &[Route] = &[
    Route::get("/api/v1/hosted", |call| state(call).boxed()),
    Route::post("/api/v1/hosted/test", |call| test(call).boxed()),
];

/// Most commands that are shown, the newest ones.
const COMMANDS: usize = 100;
/// Most characters that are shown of a command.
const LONGEST: usize = 1000;
/// The settings that a test of a server needs.
const TRIED: [&str; 6] = ["server", "port", "tls", "mac", "brand", "model"];

async fn state(call: Call) -> Result<Reply, Refusal> {
    let console = call.site.console()?;
    let seen = console.view.hosted();
    let (state, audit) = match &seen {
        Some((state, audit)) => (Some(state.borrow().clone()), audit.entries()),
        None => (None, Vec::new()),
    };
    let (name, next, last) = match &state {
        None => ("off", None, None),
        Some(HostedState::Dialling) => ("dialling", None, None),
        Some(HostedState::InSession) => ("in_session", None, None),
        Some(HostedState::Waiting { until, last, .. }) => ("waiting", Some(until), Some(last)),
    };
    let next = next.map(|until| until.saturating_duration_since(Instant::now()).as_secs());
    let commands: Vec<_> = audit.iter().rev().take(COMMANDS).map(command).collect();
    Ok(Reply::json(
        &json!({ "state": name, "next_seconds": next, "last": last, "commands": commands }),
    ))
}

fn command(entry: &Entry) -> Value {
    let answered = entry.answered;
    json!({
        "at": Utc::from(entry.at).to_string(),
        "command": entry.command.chars().take(LONGEST).collect::<String>(),
        "writes": entry.writes,
        "refused": entry.refused.as_ref().map(ToString::to_string),
        "status": answered.map(|answered| answered.status),
        "bytes": answered.map(|answered| answered.bytes),
        "seconds": answered.map(|answered| answered.took.as_millis() as f64 / 1000.0),
    })
}

/// Tries a server, and tells of each hop. Nothing is saved, and no command is carried out.
async fn test(mut call: Call) -> Result<Reply, Refusal> {
    let body = call.json().await?;
    let console = call.site.console()?;
    let store = call.site.control.store().clone();
    let listed = spawn_blocking(move || store.list()).await.ok().and_then(Result::ok);
    let saved = listed.map(|listing| listing.values).unwrap_or_default();
    let config = wanted(&body, &saved, &console.config.cloud.hardware_model)?;
    let identity = identity(&config).await;
    let identity = identity.map_err(|e| Refusal::invalid("tlss.brand", e.to_string()))?;
    let Ok(turn) = Arc::clone(&call.site.trial).try_acquire_owned() else {
        return Err(Refusal::conflict("test_runs", "a test is under way; wait for its end"));
    };
    let trust = config.tls.then(|| console.trust.clone());
    Ok(task::events(move |tell| async move {
        let _turn = turn;
        run(&config, trust, &identity, &tell).await;
    }))
}

async fn run(
    config: &config::Tlss,
    trust: Option<TrustStore>,
    identity: &ivt_proto::tlss::Identity,
    tell: &Sender<Event>,
) {
    // The channel holds more than a test has to tell.
    let told = |told: Told| drop(tell.try_send(("hop", hop(&told))));
    let host = config.server.trim_matches(['[', ']']);
    let server = Server { host, port: config.port, trust: trust.as_ref() };
    let good = match reach(server, &told).await {
        Some(stream) => {
            tell.try_send(("hop", json!({ "hop": "session", "state": "running" }))).ok();
            let began = Instant::now();
            let greeting = greet(stream, identity).await;
            let (reason, state, said) = match &greeting {
                Greeting::Command(command) => ("session_command", "good", Some(command)),
                Greeting::Done => ("session_done", "good", None),
                Greeting::Silent => ("session_silent", "good", None),
                Greeting::Closed => ("session_closed", "bad", None),
                Greeting::Unreadable => ("session_unreadable", "bad", None),
            };
            let took = began.elapsed().as_millis() as f64 / 1000.0;
            let told = json!({
                "hop": "session", "state": state, "seconds": took, "reason": reason, "said": said,
            });
            tell.try_send(("hop", told)).ok();
            state == "good"
        }
        None => false,
    };
    tell.send(("end", json!({ "good": good }))).await.ok();
}

/// The settings that are to be tried; what is left out is as the device's files have it.
fn wanted(
    body: &Value,
    saved: &[(String, Value)],
    hardware_model: &str,
) -> Result<config::Tlss, Refusal> {
    let model = quoted(hardware_model);
    let mut text =
        format!("[web]\nenable = true\n[cloud]\nhardware_model = {model}\n[tlss]\nenable = true\n");
    for name in TRIED {
        let key = format!("tlss.{name}");
        let ours = || saved.iter().find(|(saved, _)| *saved == key).map(|(_, value)| value);
        let value = match body.get(name) {
            Some(Value::Null) => continue,
            Some(value) => value,
            None => match ours() {
                Some(value) => value,
                None => continue,
            },
        };
        let Some(value) = of_json(value) else {
            return Err(Refusal::invalid(key, "must be text, true, false or a whole number"));
        };
        text += &format!("{name} = {value}\n");
    }
    // The reader of the configuration judges the values, as when they are saved.
    let read: Config = text.parse()?;
    read.tlss.ok_or_else(|| Refusal::invalid("tlss.server", "enter a server"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hyper::{Method, StatusCode};
    use ivt_proto::tlss::frame;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;
    use crate::web::testing::Bench;

    /// A server that says this to every device; its port.
    async fn server(says: &'static [u8]) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            loop {
                let (mut tcp, _) = listener.accept().await.unwrap();
                assert!(tcp.read(&mut [0; 512]).await.unwrap() > 0);
                tcp.write_all(says).await.unwrap();
            }
        });
        port
    }

    async fn tried(bench: &Bench, body: Value) -> Vec<Value> {
        let body = body.to_string();
        let call = bench.bytes(Method::POST, "/api/v1/hosted/test", &body);
        let (status, text) = timeout(Duration::from_secs(60), call).await.unwrap();
        let text = String::from_utf8(text.to_vec()).unwrap();
        assert_eq!(status, StatusCode::OK, "{text}");
        let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
        let data = data.map(|data| serde_json::from_str::<Value>(data).unwrap());
        data.filter(|told| told["state"] != "running").collect()
    }

    #[tokio::test]
    async fn a_server_is_tried_up_to_its_first_command() {
        let bench = Bench::start("[web]\nenable = true\n[tlss]\nserver = '127.0.0.1'\n");
        let command = Box::leak(frame(b"/uapi-cgi/param.fcgi").into_boxed_slice());
        let port = server(command).await;
        let told = tried(&bench, json!({ "port": port })).await;
        let hops: Vec<_> = told.iter().filter_map(|told| told["hop"].as_str()).collect();
        assert_eq!(hops, ["name", "tcp", "session"]);
        assert_eq!(told[2]["reason"], "session_command");
        assert_eq!(told[2]["said"], "/uapi-cgi/param.fcgi");
        assert_eq!(told[3], json!({ "good": true }));
        let port = server(b"").await;
        let told = tried(&bench, json!({ "port": port })).await;
        assert_eq!(told[2]["reason"], "session_closed");
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let told = tried(&bench, json!({ "port": closed })).await;
        assert_eq!(told[1]["reason"], "connection_refused");
        let told = tried(&bench, json!({ "port": port, "tls": true })).await;
        assert_eq!((&told[2]["hop"], &told[2]["state"]), (&json!("tls"), &json!("bad")));
    }

    #[tokio::test]
    async fn a_wrong_form_is_refused() {
        let bench = Bench::start("[web]\nenable = true\n");
        for (body, field) in [
            (json!({}), "tlss.server"),
            (json!({ "server": "h" }), "tlss.port"),
            (json!({ "server": "h", "port": 0 }), "tlss.port"),
            (json!({ "server": "h", "port": {} }), "tlss.port"),
            (json!({ "server": "h", "port": 1, "mac": "x" }), "tlss.mac"),
            (json!([]), "tlss.server"),
        ] {
            let text = body.to_string();
            let (status, error) = bench.call(Method::POST, "/api/v1/hosted/test", &text).await;
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}: {error}");
            assert_eq!(error["error"]["field"], field, "{body}: {error}");
        }
    }

    #[tokio::test]
    async fn what_a_server_asked_for_is_shown() {
        let command = Box::leak(frame(b"/etc/passwd").into_boxed_slice());
        let port = server(command).await;
        let bench = Bench::start(&format!(
            "[web]\nenable = true\n[tlss]\nenable = true\nserver = '127.0.0.1'\nport = {port}\n\
             mac = '00:11:22:33:44:55'\n"
        ));
        let shown = async {
            loop {
                let (_, told) = bench.call(Method::GET, "/api/v1/hosted", "").await;
                if told["commands"] != json!([]) {
                    return told;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let told = timeout(Duration::from_secs(20), shown).await.unwrap();
        let first = &told["commands"][0];
        assert_eq!(first["command"], "/etc/passwd");
        assert!(first["refused"].is_string() && told["state"] != "off", "{told}");
        let bench = Bench::start("[web]\nenable = true\n");
        let (_, told) = bench.call(Method::GET, "/api/v1/hosted", "").await;
        assert_eq!((&told["state"], &told["commands"]), (&json!("off"), &json!([])));
    }
}
