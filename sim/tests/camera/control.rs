//! The control page, over HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

use ivt_hal::Trigger;
use ivt_sim::camera::{AlarmQuirk, CameraOptions, CameraSim, Stream, control, onvif};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::client::Client;
use crate::player::channel;

async fn page() -> (Arc<CameraSim>, SocketAddr) {
    let options = CameraOptions::new(vec![channel("main", "sub")]);
    let camera = Arc::new(CameraSim::start(options).await.unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, control::router(camera.clone())).into_future());
    (camera, address)
}

/// Status line, headers and body of an answer.
async fn http(address: SocketAddr, method: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn the_page_and_its_data_are_served() {
    let (camera, address) = page().await;
    let mut client = Client::play(&camera, 0, Stream::Main, "tcp").await;
    client.picture().await;
    let html = http(address, "GET", "/").await;
    assert!(html.starts_with("HTTP/1.1 200 OK") && html.contains("text/html"));
    let status = http(address, "GET", "/status").await;
    let (_, body) = status.split_once("\r\n\r\n").unwrap();
    let status: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(status["channels"][0]["counters"]["sessions"], 1);
    assert_eq!(status["channels"][0]["urls"][1], camera.rtsp_url(0, Stream::Sub));
    assert_eq!(status["connections"], 1);
}

#[tokio::test]
async fn a_button_disturbs_the_stream() {
    let (camera, address) = page().await;
    let mut client = Client::play(&camera, 0, Stream::Main, "tcp").await;
    client.picture().await;
    let answer = http(address, "POST", "/fault/reboot?channel=0&seconds=0").await;
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    while client.next().await.is_ok() {}
}

#[tokio::test]
async fn a_wrong_order_is_refused_with_its_reason() {
    let (_camera, address) = page().await;
    for (path, status, reason) in [
        ("/fault/explode", 404, "there is no fault `explode`"),
        ("/fault/garbage?channel=7", 404, "there is no channel 7"),
        ("/fault/freeze?seconds=-1", 400, "expected seconds from 0"),
        ("/fault/freeze?seconds=x", 400, "invalid"),
    ] {
        let answer = http(address, "POST", path).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        assert!(answer.contains(reason), "{answer}");
    }
    assert!(http(address, "GET", "/fault/garbage").await.starts_with("HTTP/1.1 405"));
}

#[tokio::test]
async fn faults_of_the_web_server_are_set_and_its_requests_shown() {
    let (camera, address) = page().await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let rules = r#"[{"path": "netinfo", "fault": {"status": 503}}]"#;
    let request = format!(
        "POST /web HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{rules}",
        rules.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    let refused = http(camera.http_addr(), "GET", "/uapi-cgi/netinfo.cgi").await;
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    let status = http(address, "GET", "/status").await;
    let (_, body) = status.split_once("\r\n\r\n").unwrap();
    let web = &serde_json::from_str::<serde_json::Value>(body).unwrap()["web"];
    assert_eq!(web["requests"][0]["target"], "/uapi-cgi/netinfo.cgi");
    assert_eq!(
        (&web["counters"]["requests"], &web["requests"][0]["status"]),
        (&1.into(), &503.into())
    );
}

#[tokio::test]
async fn emulated_cameras_are_shown_and_triggered_by_the_pages_own_names_only() {
    let (camera, address) = page().await;
    let status = http(address, "GET", "/status").await;
    assert!(status.contains("\"presets\":[\"door\""), "{status}");
    let triggered = || camera.unit(0).unwrap().emulator.world.triggers().motion;
    http(address, "POST", "/trigger/0/motion").await;
    assert!(triggered());
    http(address, "POST", "/trigger/0/motion?on=false").await;
    assert!(!triggered());
    assert!(http(address, "POST", "/trigger/1/motion").await.starts_with("HTTP/1.1 404"));

    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = b"GET /status HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 421"), "{answer}");
}

#[tokio::test]
async fn a_pulse_ends_by_itself() {
    let (camera, address) = page().await;
    let mut changes = camera.unit(0).unwrap().emulator.world.changes();
    http(address, "POST", "/trigger/0/input?seconds=0.05").await;
    assert_eq!(changes.recv().await, Ok((Trigger::Input, true)));
    assert_eq!(changes.recv().await, Ok((Trigger::Input, false)));
    for (path, status) in [
        ("/trigger/0/input?seconds=-1", "400"),
        ("/trigger/0/input?seconds=3601", "400"),
        ("/trigger/0/smoke", "404"),
        ("/trigger/7/input", "404"),
    ] {
        let answer = http(address, "POST", path).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {answer}");
    }
    assert!(!camera.unit(0).unwrap().emulator.world.triggers().input);
}

#[tokio::test]
async fn quirks_are_switched_while_the_camera_runs() {
    let (camera, address) = page().await;
    let post = async |path: &str, body: &str| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answer = post("/alarm/quirks", r#"["pulse", "no_stop"]"#).await;
    assert!(answer.ends_with(r#"["pulse","no_stop"]"#), "{answer}");
    assert_eq!(camera.alarm_quirks(), [AlarmQuirk::Pulse, AlarmQuirk::NoStop]);
    let answer = post("/onvif/quirks", r#"["forgets=3"]"#).await;
    assert!(answer.ends_with(r#"["forgets=3"]"#), "{answer}");
    assert!(post("/alarm/quirks", r#"["ok"]"#).await.starts_with("HTTP/1.1 400"));
    for (path, on, count) in [
        ("/alarm/quirks/all", "pulse", AlarmQuirk::ALL.len()),
        ("/onvif/quirks/all", "forgets", onvif::Quirk::ALL.len()),
    ] {
        let answer = http(address, "GET", path).await;
        let all: serde_json::Value =
            serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        let all = all.as_array().unwrap();
        let row = all.iter().find(|row| row["name"] == on).unwrap();
        assert_eq!((all.len(), row["on"].as_bool()), (count, Some(true)));
    }
}

#[tokio::test]
async fn the_page_runs_its_own_script_only() {
    let (_camera, address) = page().await;
    for path in ["/", "/status", "/page/control.js", "/picture/0", "/nothing"] {
        let answer = http_bytes(address, path).await;
        let head = answer.split("\r\n\r\n").next().unwrap().to_lowercase();
        assert!(head.contains("content-security-policy: default-src 'self'"), "{path}: {head}");
        assert!(head.contains("x-frame-options: deny"), "{path}: {head}");
    }
    let page = http(address, "GET", "/").await;
    let inline = ["<style", "<script>", "onclick=", "style=", "data:"];
    assert!(inline.iter().all(|inline| !page.contains(inline)), "{page}");
    for (path, kind) in [("/page/control.css", "text/css"), ("/parts/icon.svg", "image/svg+xml")] {
        let answer = http_bytes(address, path).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(kind), "{path}");
    }
}

/// As [`http`], for an answer that is no text.
async fn http_bytes(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}
