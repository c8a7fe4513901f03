//! The page of a bad network, and its JSON interface.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use axum::{Json, Router};
use ivt_sim::host::{Hosts, own_host};
use ivt_sim::page::{
    self, Asset, CSS, HTML, MAX_BODY, Refusal, SCRIPT, harden, same_origin, whole_body,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::book::Event;
use super::conditions::Conditions;
use super::error::BadNetError;
use super::net::BadNet;
use super::outage::Cut;
use super::profile::Profile;

const ASSETS: [Asset; 4] = [
    ("/", HTML, include_str!("page/index.html")),
    ("/page/badnet.css", CSS, include_str!("page/badnet.css")),
    ("/page/badnet.js", SCRIPT, include_str!("page/badnet.js")),
    ("/page/way.js", SCRIPT, include_str!("page/way.js")),
];

/// Serves the page and its interface, which `docs/badnet.md` describes. `names` are further names of the page than the
/// machine's own.
pub fn router(net: Arc<BadNet>, names: &[String]) -> Router {
    page::assets(ASSETS.into_iter().chain(page::COMMON))
        .route("/api/status", get(status))
        .route("/api/events", get(events))
        .route("/api/profiles", get(profiles))
        .route("/api/set", post(set))
        .route("/api/profile", post(profile))
        .route("/api/cut", post(cut))
        .route("/api/heal", post(heal))
        .route("/api/reset", post(reset))
        .layer(from_fn(whole_body))
        .layer(from_fn(same_origin))
        .layer(from_fn_with_state(Hosts::new(names), own_host))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn(harden))
        .with_state(net)
}

/// The line that an order is for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LineOrder {
    line: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetOrder {
    line: String,
    conditions: Conditions,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProfileOrder {
    line: String,
    profile: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CutOrder {
    line: String,
    #[serde(default)]
    how: Cut,
}

/// The events that are wanted: those with a higher number.
#[derive(Deserialize)]
struct Since {
    #[serde(default)]
    since: u64,
}

type Net = State<Arc<BadNet>>;
type Answer = Result<Json<Value>, Refusal>;

async fn status(State(net): Net) -> Json<Value> {
    Json(json!({ "seed": net.seed(), "lines": net.status() }))
}

async fn events(State(net): Net, Query(wanted): Query<Since>) -> Json<Vec<Event>> {
    Json(net.events_since(wanted.since))
}

async fn profiles() -> Json<Value> {
    let row = |profile: Profile| json!({ "name": profile.name(), "what": profile.what(), "conditions": profile.conditions() });
    Json(Profile::ALL.into_iter().map(row).collect())
}

async fn set(State(net): Net, Json(order): Json<SetOrder>) -> Answer {
    done(&net, net.set(&order.line, order.conditions))
}

async fn profile(State(net): Net, Json(order): Json<ProfileOrder>) -> Answer {
    done(&net, net.profile(&order.line, &order.profile))
}

async fn cut(State(net): Net, Json(order): Json<CutOrder>) -> Answer {
    done(&net, net.cut(&order.line, order.how))
}

async fn heal(State(net): Net, Json(order): Json<LineOrder>) -> Answer {
    done(&net, net.heal(&order.line))
}

async fn reset(State(net): Net, Json(order): Json<LineOrder>) -> Answer {
    done(&net, net.reset(&order.line))
}

/// The answer to an order that was carried out or not: the lines as they are now, or why not.
fn done(net: &BadNet, outcome: Result<(), BadNetError>) -> Answer {
    match outcome {
        Ok(()) => Ok(Json(json!({ "lines": net.status() }))),
        Err(error) => {
            let status = match error {
                BadNetError::Unknown(..) => StatusCode::NOT_FOUND,
                _ => StatusCode::BAD_REQUEST,
            };
            Err(Refusal(status, error.to_string()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::super::options::{BadNetOptions, LinkOptions};
    use super::*;

    async fn start() -> (Arc<BadNet>, SocketAddr) {
        let links = vec!["wan/cloud=127.0.0.1:0,127.0.0.1:9".parse::<LinkOptions>().unwrap()];
        let options = BadNetOptions { seed: 42, links, ..BadNetOptions::default() };
        let net = Arc::new(BadNet::start(options).await.unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, router(net.clone(), &[])).into_future());
        (net, addr)
    }

    /// Sends a request with this head behind its first line, and returns the answer.
    async fn ask(addr: SocketAddr, line: &str, host: &str, more: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        let request = format!(
            "{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n{more}\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn orders_are_carried_out_and_told() {
        let (net, addr) = start().await;
        let post = async |path: &str, body: &str| {
            ask(addr, &format!("POST /api/{path}"), "localhost", "", body).await
        };
        let cut = post("cut", r#"{"line":"cloud","how":"half_open"}"#).await;
        assert!(cut.starts_with("HTTP/1.1 200") && cut.contains(r#""cut":"half_open""#), "{cut}");
        post("heal", r#"{"line":"wan"}"#).await;
        post("cut", r#"{"line":"wan"}"#).await;
        assert_eq!(net.status()[0].cut, Some(Cut::Hold));
        post("heal", r#"{"line":"wan"}"#).await;
        post("profile", r#"{"line":"wan","profile":"adsl-512"}"#).await;
        assert_eq!(net.status()[0].conditions.up.rate_kbit, 512);
        post("set", r#"{"line":"wan","conditions":{"up":{"loss":0.5}}}"#).await;
        assert_eq!(net.status()[0].conditions.up.loss, 0.5);
        post("reset", r#"{"line":"wan"}"#).await;
        let events = ask(addr, "GET /api/events?since=1", "localhost", "", "").await;
        for what in ["healed", "profile adsl-512", "all connections are reset"] {
            assert!(events.contains(what), "{events}");
        }
        assert!(!events.contains(r#""number":1,"#));
        let status = ask(addr, "GET /api/status", "localhost", "", "").await;
        assert!(status.contains(r#""seed":42"#) && status.contains(r#""bytes_up":0"#), "{status}");
        let profiles = ask(addr, "GET /api/profiles", "localhost", "", "").await;
        assert!(Profile::names().iter().all(|name| profiles.contains(name)), "{profiles}");
    }

    #[tokio::test]
    async fn wrong_orders_say_what_is_wrong() {
        let (_net, addr) = start().await;
        for (path, body, status, named) in [
            ("cut", r#"{"line":"clout"}"#, "404", "cloud, wan are"),
            ("cut", r#"{"line":"wan","how":"gently"}"#, "422", "half_open"),
            ("cut", r#"{"line":"wan","now":true}"#, "422", "unknown field"),
            ("profile", r#"{"line":"wan","profile":"adls"}"#, "400", "there is no profile"),
            ("set", r#"{"line":"wan","conditions":{"up":{"loss":2}}}"#, "400", "up.loss is 2"),
            ("set", r#"{"line":"wan","conditions":{"up":{"los":2}}}"#, "422", "unknown field"),
            ("set", "{", "400", ""),
        ] {
            let answer = ask(addr, &format!("POST /api/{path}"), "localhost", "", body).await;
            let first = answer.lines().next().unwrap_or_default();
            assert!(first.contains(status) && answer.contains(named), "{answer}");
        }
    }

    #[tokio::test]
    async fn pages_of_other_sites_steer_nothing_and_headers_keep_text_harmless() {
        let (net, addr) = start().await;
        let body = r#"{"line":"wan"}"#;
        let foreign =
            ask(addr, "POST /api/cut", "localhost", "Origin: http://evil.example\r\n", body).await;
        assert!(foreign.starts_with("HTTP/1.1 403"), "{foreign}");
        let rebound = ask(addr, "POST /api/cut", "evil.example", "", body).await;
        assert!(rebound.starts_with("HTTP/1.1 421"), "{rebound}");
        assert_eq!(net.status()[0].cut, None);
        let page = ask(addr, "GET /", "127.0.0.1", "", "").await;
        assert!(page.contains("content-security-policy") && page.contains("<h1"), "{page}");
        for (path, _, _) in ASSETS.into_iter().chain(page::COMMON) {
            let file = ask(addr, &format!("GET {path}"), "localhost", "", "").await;
            assert!(file.starts_with("HTTP/1.1 200"), "{path}");
        }
    }
}
