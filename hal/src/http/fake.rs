//! A camera's web server for tests.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{Http, Limits};
use crate::Credentials;

/// An answer that is being made.
pub(crate) type Answering = Pin<Box<dyn Future<Output = Vec<u8>> + Send>>;

/// Answers one request for each connection, several at a time, and keeps what was asked.
pub(crate) struct Camera {
    pub(crate) port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Camera {
    /// `answer` is given the head of a request with the body behind it. For an empty answer the
    /// camera sends nothing and keeps the connection open.
    pub(crate) async fn start(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::start_slow(move |request| {
            let answer = answer(&request);
            Box::pin(async move { answer })
        })
        .await
    }

    /// As [`start`](Self::start), by a camera that may take its time.
    pub(crate) async fn start_slow(
        answer: impl Fn(String) -> Answering + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let (seen, answer) = (Arc::clone(&requests), Arc::new(answer));
        tokio::spawn(async move {
            loop {
                let (mut tcp, _) = listener.accept().await.unwrap();
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                tokio::spawn(async move {
                    let Ok(request) = request(&mut tcp).await else { return };
                    seen.lock().unwrap().push(request.clone());
                    let answer = tokio::select! {
                        answer = answer(request) => answer,
                        // The client has gone.
                        _ = tcp.read_u8() => return,
                    };
                    if answer.is_empty() {
                        // Nothing is sent, and the connection stays open while the client waits.
                        tcp.read_u8().await.ok();
                    }
                    // A client that has read enough closes the connection.
                    tcp.write_all(&answer).await.ok();
                });
            }
        });
        Self { port, requests }
    }

    pub(crate) fn http(&self) -> Http {
        Http::new("127.0.0.1", self.port, None, Limits::default())
    }

    pub(crate) fn http_as(&self, username: &str, password: &str) -> Http {
        let credentials = Credentials { username: username.into(), password: password.into() };
        Http::new("127.0.0.1", self.port, Some(credentials), Limits::default())
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// The value of a header in a request.
pub(crate) fn header<'r>(request: &'r str, name: &str) -> Option<&'r str> {
    let head = request.split("\r\n\r\n").next()?;
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

async fn request(tcp: &mut TcpStream) -> io::Result<String> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(tcp.read_u8().await?);
    }
    let mut request = String::from_utf8(request).unwrap();
    let length = header(&request, "Content-Length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    tcp.read_exact(&mut body).await?;
    request += &String::from_utf8(body).unwrap();
    Ok(request)
}
