//! Bodies and queries that nobody meant, sent to every call of somebody who is logged in.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::Method;
use hyper::header::CONTENT_TYPE;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use super::api;
use super::route::{Route, Verb};
use super::testing::{Bench, slots};
use crate::settings::settable;

/// Calls of each route.
const CALLS: usize = 32;
/// Longest time that a call may take by the clock of the test.
const PATIENCE: Duration = Duration::from_secs(120);
/// What breaks readers that expect something else.
const ODD: [&str; 16] = [
    "",
    " ",
    "0",
    "-1",
    "18446744073709551616",
    "null",
    "RESET",
    "127.0.0.1:9",
    "ws://127.0.0.1:9/",
    "rtsp://u:p@[::1]:99999/a",
    "rtmp://127.0.0.1:9/a/b",
    "2026-11-30T24:60:60Z",
    "-----BEGIN CERTIFICATE-----\n=\n-----END CERTIFICATE-----\n",
    "a\u{0}b\r\nc: d",
    "\u{202e}<img src=x onerror=x>\u{1f4f7}",
    "../../etc/passwd",
];

/// The names that the description gives to values, and those of the settings.
fn names() -> Vec<String> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../page/openapi.json");
    let whole: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let mut names = BTreeSet::new();
    collect(&whole, &mut names);
    assert!(names.contains("login_passwd"), "{names:?}");
    names.extend(settable::defaults().map(|(key, _)| key.to_owned()));
    names.extend(["channel.0.main", "channel.1.backend"].map(str::to_owned));
    names.into_iter().collect()
}

fn collect(part: &Value, names: &mut BTreeSet<String>) {
    match part {
        Value::Object(members) => {
            let own = members.get("properties").and_then(Value::as_object);
            names.extend(own.into_iter().flat_map(Map::keys).cloned());
            members.values().for_each(|member| collect(member, names));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, names)),
        _ => {}
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(&ODD[..]).prop_map(str::to_owned),
        4 => "\\PC{0,40}",
        1 => (1usize..6000).prop_map(|length| "x".repeat(length)),
    ]
}

fn json_value(names: Vec<String>) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        1 => Just(Value::Null),
        2 => any::<bool>().prop_map(Value::from),
        2 => any::<i64>().prop_map(Value::from),
        2 => (-2i64..90_000).prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        5 => text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 8, move |inner| {
        let name = prop_oneof![9 => select(names.clone()), 1 => text()];
        prop_oneof![
            1 => vec(inner.clone(), 0..6).prop_map(Value::from),
            3 => vec((name, inner), 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A body, which may be no JSON at all.
fn body(names: Vec<String>) -> impl Strategy<Value = Value> {
    let value = json_value(names);
    prop_oneof![
        12 => value,
        1 => text().prop_map(|text| json!({ "raw": text })),
        1 => (1usize..70_000).prop_map(|depth| json!({ "raw": "[".repeat(depth) })),
        1 => (1usize..70_000).prop_map(|length| json!({ "raw": format!("\"{}\"", "y".repeat(length)) })),
    ]
}

/// The bench, and a card beside it to which firmware can be written.
fn start() -> (Bench, tempfile::TempDir) {
    let device = tempfile::tempdir().unwrap();
    let slots = slots(device.path());
    let config = format!(
        "[web]\nenable = true\nreset_file = {:?}\n[device]\nmodel = 'nvr'\nstate_dir = {:?}\n\
         [cloud]\nhardware_model = 'IPC-1'\n{slots}[[channel]]\nbackend = 'emulator'\n[[channel]]\nbackend = 'emulator'\n",
        device.path().join("reset"),
        device.path().join("state"),
    );
    (Bench::start(&config), device)
}

/// Sends a body to a route, and looks whether the answer is one of the interface; its status.
async fn send(bench: &Bench, route: &Route, query: &str, body: &str) -> u16 {
    let path = route.path.replace("{channel}", "0").replace("{trigger}", "motion");
    let path = format!("{}?{query}", path.replace(['{', '}'], ""));
    let shown: String = body.chars().take(2000).collect();
    let name = format!("{} {path} {shown}", route.verb.name());
    let method = Method::from_bytes(route.verb.name().as_bytes()).unwrap();
    let answered = timeout(PATIENCE, bench.open(method, &path, body)).await;
    let answer = answered.unwrap_or_else(|_| panic!("no answer: {name}"));
    let status = answer.status().as_u16();
    let is_json = answer.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    if !is_json {
        // Events are told for as long as somebody listens.
        assert!(status < 300, "{status}: {name}");
        return status;
    }
    let text = answer.into_body().collect().await.unwrap().to_bytes();
    let told: Value = serde_json::from_slice(&text).unwrap();
    let code = told["error"]["code"].as_str().unwrap_or_default();
    assert!(status < 300 || !code.is_empty(), "{status} {told}: {name}");
    assert!(status < 500 || [501, 502, 503, 504].contains(&status), "{status} {told}: {name}");
    // The disk takes everything, so that only a task that panicked is lost.
    assert!(!["not_written", "unreadable"].contains(&code), "{told}: {name}");
    status
}

#[tokio::test(start_paused = true)]
async fn no_body_and_no_query_brings_the_page_down() {
    let (bench, _device) = start();
    let names = names();
    let mut runner = TestRunner::default();
    let bodies = body(names.clone());
    let query = vec((select(names), text()), 0..4);
    let mut taken = BTreeSet::new();
    for route in api::routes().filter(|route| route.verb != Verb::Get) {
        for _ in 0..CALLS {
            let mut sent = bodies.new_tree(&mut runner).unwrap().current();
            // With the version that counts, what is wrong behind it is read, too.
            if sent.get("version").is_some() || route.path.ends_with("/settings") {
                let (_, seen) = bench.call(Method::GET, "/api/v1/settings", "").await;
                let changes = sent.get("changes").filter(|changes| changes.is_object()).cloned();
                let changes = changes.unwrap_or_else(|| sent.clone());
                if sent.is_object() {
                    sent["version"] = seen["version"].clone();
                    sent["changes"] = changes;
                }
            }
            let text = match sent.get("raw") {
                Some(Value::String(raw)) => raw.clone(),
                _ => sent.to_string(),
            };
            let pairs = query.new_tree(&mut runner).unwrap().current();
            let query = url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs(
                    pairs.iter().map(|(k, v)| (k, v.chars().take(200).collect::<String>())),
                )
                .finish();
            if send(&bench, route, &query, &text).await < 300 {
                taken.insert(route.path);
            }
        }
    }
    assert!(taken.contains("/api/v1/system/restart"), "{taken:?}");
    bench.reload.control().store().load().unwrap();
    let (status, _) = bench.call(Method::GET, "/api/v1/system", "").await;
    assert_eq!(status, 200);
}
