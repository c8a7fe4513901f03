//! The page and the JSON API.

use std::io::Read as _;

use flate2::read::GzDecoder;
use ivt_page::PARTS;
use serde_json::{Value, json};

use super::*;
use crate::page::tests::named;

/// Status, head and body of one plain HTTP exchange.
async fn http(
    sim: &TlssSim,
    method: &str,
    path: &str,
    head: &str,
    body: &str,
) -> (u16, String, Vec<u8>) {
    let mut stream = TcpStream::connect(sim.http_addr()).await.unwrap();
    let (host, length) = (sim.http_addr(), body.len());
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {length}\r\n{head}\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    timeout(LONG, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    (head[9..12].parse().unwrap(), head.to_lowercase(), answer[end + 4..].to_vec())
}

async fn get(sim: &TlssSim, path: &str) -> (u16, Value) {
    let (status, _, body) = http(sim, "GET", path, "", "").await;
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

async fn post(sim: &TlssSim, path: &str, body: Value) -> (u16, Value) {
    let kind = "content-type: application/json\r\n";
    let (status, _, body) = http(sim, "POST", path, kind, &body.to_string()).await;
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

#[tokio::test]
async fn the_page_is_served_with_a_policy_and_without_foreign_hosts() {
    let sim = sim(TlssOptions::default()).await;
    let mut paths = vec!["/?mac=001323A007AD".to_owned()];
    let mut seen = 0;
    while let Some(path) = paths.pop() {
        let (status, head, body) = http(&sim, "GET", &path, "", "").await;
        let text = String::from_utf8(body).unwrap();
        assert!(status == 200 && !text.is_empty(), "{path}");
        assert!(head.contains("content-security-policy: default-src 'self';"), "{head}");
        assert!(head.contains("x-content-type-options: nosniff"), "{head}");
        for forbidden in ["https://", "innerHTML", "style=", "eval("] {
            assert!(!text.contains(forbidden), "{path}: {forbidden}");
        }
        paths.extend(named(&text));
        seen += 1;
    }
    assert!(seen >= 8, "{seen} parts");
}

#[tokio::test]
async fn the_parts_of_all_pages_are_served_compressed() {
    let sim = sim(TlssOptions::default()).await;
    for part in PARTS {
        let (status, head, body) = http(&sim, "GET", part.path, "", "").await;
        assert!(status == 200 && head.contains("content-encoding: gzip"), "{head}");
        assert!(head.contains(&format!("content-type: {}", part.kind)), "{head}");
        let mut text = String::new();
        GzDecoder::new(&body[..]).read_to_string(&mut text).unwrap();
        for forbidden in ["https://", "innerHTML", "style=", "eval("] {
            assert!(!text.contains(forbidden), "{}: {forbidden}", part.path);
        }
        assert_eq!(named(&text.replace("\"./", "\"/parts/")), [""; 0], "{}", part.path);
    }
    assert!(PARTS.len() >= 15, "{} parts", PARTS.len());
}

#[tokio::test]
async fn a_page_is_served_by_the_servers_own_names_only() {
    let options = TlssOptions { hosts: vec!["qa.example".into()], ..TlssOptions::default() };
    let sim = sim(options).await;
    for (host, status) in [
        ("localhost:1", 200),
        ("127.0.0.1", 200),
        ("qa.example", 200),
        ("evil.example", 421),
        ("evil.example:8082", 421),
        ("10.0.0.1", 200),
    ] {
        for path in ["/", "/api/devices", "/api/script", "/page/tlss.js"] {
            let mut stream = TcpStream::connect(sim.http_addr()).await.unwrap();
            let head = format!("host: {host}\r\norigin: http://{host}\r\nconnection: close\r\n");
            let request = format!("GET {path} HTTP/1.1\r\n{head}\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            timeout(LONG, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
            assert_eq!(answer[9..12].parse(), Ok(status), "{path} of {host}");
        }
    }
}

#[tokio::test]
async fn a_session_is_told_with_parameters_picture_and_raw_bytes() {
    let sim = sim(quick(Script::of(&["/list", "/picture", "/page", "/none"]))).await;
    let fake = FakeDevice::call(&sim).await;
    let answer = |command: &str| match command {
        "/list" => ok("BRAND.brand=CAP\r\nVERSION.firmware=<b>1</b>\r\n"),
        "/picture" => [&ok("")[..], b"\xff\xd8\xff\xe0\0"].concat(),
        "/page" => ok("<script>alert(1)</script>"),
        _ => b"nothing".to_vec(),
    };
    fake.answer_all(answer).await;
    timeout(LONG, sim.device(MAC).wait_done(1)).await.unwrap();

    let (_, devices) = get(&sim, "/api/devices").await;
    assert_eq!((&devices[0]["mac"], &devices[0]["sessions"]), (&json!(MAC), &json!(1)));
    assert!(devices[0]["address"].as_str().unwrap().starts_with("127.0.0.1:"));
    let (_, rows) = get(&sim, &format!("/api/exchanges?mac={MAC}")).await;
    let kinds: Vec<_> = (0..4).map(|i| rows[i]["reply"]["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["parameters", "jpeg", "text", "empty"]);
    assert_eq!(rows[0]["reply"]["parameters"][1], json!(["VERSION.firmware", "<b>1</b>"]));
    assert_eq!(rows[0]["reply"]["headers"], json!([["Content-Type", "text/plain"]]));
    assert_eq!(
        (&rows[3]["reply"]["blank_line"], &rows[3]["reply"]["status"]),
        (&json!(false), &Value::Null)
    );

    let number = rows[1]["number"].as_u64().unwrap();
    let (_, later) = get(&sim, &format!("/api/exchanges?mac={MAC}&after={number}")).await;
    assert_eq!(later.as_array().unwrap().len(), 2);
    let (_, head, body) = http(&sim, "GET", &format!("/api/exchanges/{number}/body"), "", "").await;
    assert!(head.contains("content-type: image/jpeg"), "{head}");
    assert_eq!(body, b"\xff\xd8\xff\xe0\0");
    let page = number + 1;
    for part in ["body", "raw"] {
        let (_, head, body) =
            http(&sim, "GET", &format!("/api/exchanges/{page}/{part}"), "", "").await;
        assert!(head.contains("content-type: application/octet-stream"), "{head}");
        assert!(body.ends_with(b"</script>") && (part == "raw") == body.starts_with(b"HTTP/1.1"));
    }
    assert_eq!(get(&sim, "/api/exchanges/99/raw").await.0, 404);
}

#[tokio::test]
async fn scripts_commands_and_faults_are_set_over_the_api() {
    let sim = sim(quick(Script::typical())).await;
    assert_eq!(get(&sim, &format!("/api/script?mac={MAC}")).await.0, 404);
    assert_eq!(post(&sim, "/api/command", json!({ "mac": MAC, "command": "/x" })).await.0, 404);
    let own = json!({ "mac": MAC, "script": "/own\\0\ndone" });
    assert_eq!(post(&sim, "/api/script", own).await.0, 200);
    assert_eq!(post(&sim, "/api/script", json!({ "script": "/all\n" })).await.0, 200);
    assert_eq!(sim.script().text(), "/all\n");
    let (_, script) = get(&sim, &format!("/api/script?mac={MAC}")).await;
    assert_eq!(script, json!({ "script": "/own\\0\ndone", "own": true }));
    let (_, waits) = post(&sim, "/api/command", json!({ "mac": MAC, "command": "/first" })).await;
    assert_eq!(waits, json!({ "open": false, "waiting": 1 }));
    assert_eq!(post(&sim, "/api/faults", json!({ "ending": "newline" })).await.0, 200);

    let commands = FakeDevice::call(&sim).await.answer_all(|_| ok("")).await;
    assert_eq!(commands, ["/first\n", "/own\0\n", "done"]);

    assert_eq!(post(&sim, "/api/script", json!({ "mac": MAC, "script": null })).await.0, 200);
    assert_eq!(sim.device(MAC).script(), None);
    assert_eq!(post(&sim, "/api/script", json!({ "script": null })).await.0, 200);
    assert_eq!(sim.script(), Script::typical());
    let (status, error) = post(&sim, "/api/script", json!({ "script": "a\n\\q" })).await;
    assert!(status == 422 && error["error"].as_str().unwrap().contains("line 2"), "{error}");
    assert_eq!(post(&sim, "/api/faults", json!({ "wire": "rain" })).await.0, 422);
    assert_eq!(post(&sim, "/api/faults", json!({})).await.0, 200);
    assert_eq!(sim.faults(), TlssFaults::default());
}

#[tokio::test]
async fn a_device_is_hung_up_on_over_the_api() {
    let faults = TlssFaults { never_done: true, ..TlssFaults::default() };
    let sim = sim(TlssOptions { faults, ..quick(Script::of(&[])) }).await;
    let mut fake = FakeDevice::call(&sim).await;
    timeout(LONG, sim.device(MAC).wait_for(|info| info.open == 1)).await.unwrap();
    assert_eq!(post(&sim, "/api/hang_up", json!({ "mac": MAC })).await.0, 200);
    assert_eq!(fake.command().await, None);
}

#[tokio::test]
async fn pages_of_other_sites_may_not_steer_the_server() {
    let sim = sim(TlssOptions::default()).await;
    let foreign = "origin: http://evil.example\r\ncontent-type: application/json\r\n";
    for path in ["/api/faults", "/api/script", "/api/command", "/api/hang_up"] {
        assert_eq!(http(&sim, "POST", path, foreign, "{}").await.0, 403, "{path}");
    }
    let plain = "content-type: text/plain\r\n";
    assert_eq!(http(&sim, "POST", "/api/faults", plain, "{}").await.0, 415);
}
