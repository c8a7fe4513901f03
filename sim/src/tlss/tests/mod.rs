//! The server over real sockets, with a hand-made device on the other side.

mod session;
mod web;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::*;

/// Far longer than anything in these tests takes.
const LONG: Duration = Duration::from_secs(20);
const MAC: &str = "001323A007AD";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n";

/// A device that speaks the protocol by hand.
struct FakeDevice(TcpStream);

impl FakeDevice {
    async fn call(sim: &TlssSim) -> Self {
        let mut device = Self(TcpStream::connect(sim.addr()).await.unwrap());
        device.say(format!("mac={MAC}&brand=CAP&model=NS202HD").as_bytes()).await;
        device
    }

    async fn say(&mut self, message: &[u8]) {
        let length = u32::try_from(message.len()).unwrap();
        self.0.write_all(&[&length.to_le_bytes(), message].concat()).await.unwrap();
    }

    /// The next command; `None` when the server closed the connection.
    async fn command(&mut self) -> Option<String> {
        let mut header = [0; 4];
        timeout(LONG, self.0.read_exact(&mut header)).await.unwrap().ok()?;
        let mut command = vec![0; u32::from_le_bytes(header) as usize];
        timeout(LONG, self.0.read_exact(&mut command)).await.unwrap().ok()?;
        Some(String::from_utf8(command).unwrap())
    }

    /// Answers every command until `done`, and returns the commands.
    async fn answer_all(mut self, answer: impl Fn(&str) -> Vec<u8>) -> Vec<String> {
        let mut commands = Vec::new();
        while let Some(command) = self.command().await {
            commands.push(command.clone());
            if command.starts_with("done") {
                break;
            }
            self.say(&answer(&command)).await;
        }
        commands
    }
}

async fn sim(options: TlssOptions) -> TlssSim {
    TlssSim::start(options).await.unwrap()
}

/// Settings of a server that reads by length, which keeps tests short.
fn quick(script: Script) -> TlssOptions {
    TlssOptions { reading: Reading::Length, script, ..TlssOptions::default() }
}

fn ok(body: &str) -> Vec<u8> {
    format!("{OK}{body}").into_bytes()
}
