//! Runs the agent's WebSocket client through every case of an Autobahn fuzzing server:
//! `autobahn ws://127.0.0.1:9001`. The server judges; see `tests/interop/autobahn`.
#![forbid(unsafe_code)]

use std::error::Error;
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use ivt_agent::cloud::dial::limits;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Longest time of a case; the server gives it up after ten seconds.
const CASE_LIMIT: Duration = Duration::from_secs(60);
/// Longest message: group 9 sends 16 MiB, which the agent's own limit refuses on purpose.
const LARGEST: usize = 32 << 20;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let server = std::env::args().nth(1).ok_or("usage: autobahn ws://HOST:PORT")?;
    let count = timeout(CASE_LIMIT, open(&server, "/getCaseCount").await?.next()).await?;
    let count: u32 = count.ok_or("no case count")??.to_text()?.parse()?;
    for case in 1..=count {
        let socket = open(&server, &format!("/runCase?case={case}&agent=ivt")).await?;
        timeout(CASE_LIMIT, echo(socket)).await?;
    }
    open(&server, "/updateReports?agent=ivt").await?.close(None).await?;
    println!("{count} cases run");
    Ok(())
}

async fn open(server: &str, path: &str) -> Result<WebSocketStream<TcpStream>> {
    let address = server.strip_prefix("ws://").ok_or("expected ws://")?;
    let tcp = TcpStream::connect(address).await?;
    let request = format!("{server}{path}").into_client_request()?;
    let config = limits()
        .max_message_size(Some(LARGEST))
        .max_frame_size(Some(LARGEST))
        .max_write_buffer_size(2 * LARGEST);
    Ok(client_async_with_config(request, tcp, Some(config)).await?.0)
}

/// Sends every message back until the connection ends; many cases end it by an error on purpose.
async fn echo(mut socket: WebSocketStream<TcpStream>) {
    while let Some(Ok(message)) = socket.next().await {
        let data = message.is_text() || message.is_binary();
        if data && socket.send(message).await.is_err() {
            break;
        }
    }
}
