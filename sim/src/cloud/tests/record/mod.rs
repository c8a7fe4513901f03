//! The recording service over real sockets, with a small HTTP client of our own that shows the answers byte by
//! byte.

mod faults;
mod page;
mod service;

use tokio::io::AsyncBufReadExt;
use tokio::io::BufReader;

use super::*;

/// A connection that is kept for several requests.
pub(super) struct Client {
    stream: BufReader<TcpStream>,
    host: String,
}

#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    /// Status line and headers in lower case.
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn text(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_else(|| panic!("{name} in {self:?}")).to_owned()
    }
}

impl Client {
    pub(super) async fn connect(cloud: &CloudSim) -> Self {
        let stream = TcpStream::connect(cloud.http_addr()).await.unwrap();
        Self { stream: BufReader::new(stream), host: cloud.http_addr().to_string() }
    }

    /// The answer to a request; `None` when the connection ended before it was whole.
    pub(super) async fn request(
        &mut self,
        method: &str,
        path: &str,
        head: &str,
        body: &[u8],
    ) -> Option<Reply> {
        self.send(method, path, head, body).await?;
        timeout(LONG, self.reply()).await.expect("an answer or an end")
    }

    async fn send(&mut self, method: &str, path: &str, head: &str, body: &[u8]) -> Option<()> {
        let (host, length) = (&self.host, body.len());
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {length}\r\n{head}\r\n"
        );
        self.stream.write_all(&[head.as_bytes(), body].concat()).await.ok()
    }

    async fn reply(&mut self) -> Option<Reply> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            self.stream.read_line(&mut head).await.ok().filter(|read| *read > 0)?;
        }
        let head = head.to_lowercase();
        let status = head[9..12].parse().unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.stream.read_exact(&mut body).await.ok()?;
        Some(Reply { status, head, body })
    }

    async fn call(&mut self, session: &str, form: &str) -> Option<Reply> {
        let kind = "content-type: application/x-www-form-urlencoded\r\n";
        self.request("POST", &format!("/record/{session}"), kind, form.as_bytes()).await
    }

    /// Creates a segment of ten seconds that begin at `start`, in seconds.
    async fn create(
        &mut self,
        session: &str,
        start: u64,
        size: usize,
        more: &str,
    ) -> Option<Reply> {
        let form = format!(
            "op=create&content_type=video%2Fmp2t&size={size}&start={start}.000000\
             &duration=10.000000{more}"
        );
        self.call(session, &form).await
    }

    async fn put(&mut self, uri: &str, body: &[u8]) -> Option<Reply> {
        let path = uri.strip_prefix(&format!("http://{}", self.host)).expect("an address here");
        self.request("PUT", path, "content-type: video/mp2t\r\n", body).await
    }

    /// Creates and uploads a segment, and returns its name.
    async fn upload(&mut self, session: &str, start: u64, body: &[u8], more: &str) -> String {
        let made = self.create(session, start, body.len(), more).await.unwrap();
        assert_eq!(made.status, 200, "{made:?}");
        assert_eq!(self.put(&made.text("uri"), body).await.unwrap().status, 200);
        made.text("name")
    }
}

async fn with_faults(record: RecordFaults) -> CloudSim {
    let cloud = cloud().await;
    cloud.set_faults(Faults { record, ..Faults::default() });
    cloud
}
