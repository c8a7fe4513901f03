//! The control page, over HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

use ivt_sim::camera::{CameraOptions, CameraSim, Stream, control};
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
