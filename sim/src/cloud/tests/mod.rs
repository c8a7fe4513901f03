//! The cloud over real sockets, with a hand-made device on the other side.

mod alarms;
mod device;
mod firmware;
mod ingest;
mod play;
mod record;
mod web;

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::*;

/// Far longer than anything in these tests takes.
const LONG: Duration = Duration::from_secs(20);

struct FakeDevice(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl FakeDevice {
    async fn login(cloud: &CloudSim, code: &str) -> Self {
        Self(connect_async(cloud.login_url(code, "pw").as_str()).await.unwrap().0)
    }

    async fn send(&mut self, packet: Value) {
        self.0.send(Message::text(packet.to_string())).await.unwrap();
    }

    /// The next text of the cloud; `None` when it closed the connection.
    async fn text(&mut self) -> Option<String> {
        loop {
            match timeout(LONG, self.0.next()).await.expect("the cloud says something") {
                Some(Ok(Message::Text(text))) => return Some(text.to_string()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    async fn packet(&mut self) -> Value {
        serde_json::from_str(&self.text().await.expect("open")).unwrap()
    }

    async fn keepalive(&mut self, seq: u64) {
        let channel = json!({ "channel": 0, "state": 1, "alarm": 0, "record_session": "" });
        let params = json!({ "state": 1, "channels": [channel] });
        self.send(json!({ "req": "Keepalive", "params": params, "seq": seq })).await;
    }
}

async fn cloud() -> CloudSim {
    CloudSim::start(CloudOptions::default()).await.unwrap()
}

async fn with_link_faults(link: LinkFaults) -> CloudSim {
    let cloud = cloud().await;
    cloud.set_faults(Faults { link, ..Faults::default() });
    cloud
}

/// Status, head and body of one plain HTTP exchange.
async fn http(
    cloud: &CloudSim,
    method: &str,
    path: &str,
    head: &str,
    body: &str,
) -> (u16, String, String) {
    let mut stream = TcpStream::connect(cloud.http_addr()).await.unwrap();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {length}\r\n{head}\r\n{body}",
        cloud.http_addr()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(LONG, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), head.to_lowercase(), body.to_owned())
}

async fn get(cloud: &CloudSim, path: &str) -> (u16, String, String) {
    http(cloud, "GET", path, "", "").await
}

async fn post(cloud: &CloudSim, path: &str, body: Value) -> (u16, Value) {
    let kind = "content-type: application/json\r\n";
    let (status, _, body) = http(cloud, "POST", path, kind, &body.to_string()).await;
    (status, serde_json::from_str(&body).unwrap_or(Value::Null))
}
