//! Single pictures from a camera's web server.

use async_trait::async_trait;
use bytes::Bytes;

use super::wire::Unexpected;
use super::{Http, Request};
use crate::{Error, Kind, Result, Snapshot, Stream};

const JPEG: &str = "snapshot jpeg";

/// The snapshots of a web server.
pub struct HttpSnapshot {
    http: Http,
    main: Request,
    sub: Option<Request>,
}

impl HttpSnapshot {
    /// Takes pictures at these paths, each with its query. Without `sub` both streams have the
    /// picture of `main`.
    pub fn new(http: Http, main: &str, sub: Option<&str>) -> Self {
        Self { http, main: Request::get(main), sub: sub.map(Request::get) }
    }
}

#[async_trait]
impl Snapshot for HttpSnapshot {
    async fn jpeg(&self, stream: Stream) -> Result<Bytes> {
        let request = match (stream, &self.sub) {
            (Stream::Sub, Some(sub)) => sub,
            _ => &self.main,
        };
        let answer = self.http.send(JPEG, request).await?;
        match answer.status {
            200 if answer.body.starts_with(&[0xff, 0xd8]) => Ok(answer.body),
            200 => Err(Error::new(JPEG, Kind::Other).because(Unexpected("no JPEG file".into()))),
            404 => Err(Error::new(JPEG, Kind::Unsupported)),
            status => {
                Err(Error::new(JPEG, Kind::Refused).because(Unexpected(format!("HTTP {status}"))))
            }
        }
    }
}
