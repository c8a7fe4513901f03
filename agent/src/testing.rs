//! A camera's web server for tests.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Starts a web server on a socket of the loopback interface and returns its port. `answer` makes the bytes of
/// each response from the head of the request; every connection carries one of each.
pub(crate) async fn web_server(answer: impl Fn(&str) -> Vec<u8> + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut tcp, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(tcp.read_u8().await.unwrap());
            }
            let answer = answer(std::str::from_utf8(&request).unwrap());
            // A client that has read enough closes the connection.
            tcp.write_all(&answer).await.ok();
        }
    });
    port
}
