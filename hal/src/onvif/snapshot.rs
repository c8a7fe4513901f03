//! Single pictures, which the camera's web server has.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::timeout;

use super::address::{Address, Endpoint};
use super::encoder::uri;
use super::{Onvif, within};
use crate::http::{HttpSnapshot, Limits};
use crate::{Error, Kind, Result, Snapshot, Stream};

const JPEG: &str = "snapshot jpeg";
/// How long a picture may take, with all questions before it.
const PICTURE: Duration = Duration::from_millis(9_500);
/// How long a port may take that is not the only one.
const FIRST_PORT: Duration = Duration::from_secs(3);

/// Where the pictures of a stream are.
pub(super) struct Picture(Endpoint);

#[async_trait]
impl Snapshot for Onvif {
    async fn jpeg(&self, stream: Stream) -> Result<Bytes> {
        let jpeg = async {
            let kept = &self.pictures[stream as usize];
            let picture = within(JPEG, kept.or_ask(self.ask_picture(stream))).await?;
            let outcome = self.fetch(&picture.0, stream).await;
            if outcome.is_err() {
                kept.forget();
            }
            outcome
        };
        timeout(PICTURE, jpeg).await.unwrap_or_else(|_| Err(Error::new(JPEG, Kind::Timeout)))
    }
}

impl Onvif {
    /// Asks where the pictures of a stream are.
    pub(super) async fn ask_picture(&self, stream: Stream) -> Result<Picture> {
        let answer = self.ask_uri(JPEG, "GetSnapshotUri", stream, ["", ""]).await?;
        let told =
            Address::read(uri(&answer)).ok_or_else(|| Error::new(JPEG, Kind::Unsupported))?;
        Ok(Picture(told.endpoint(self.client.http())))
    }

    async fn fetch(&self, at: &Endpoint, stream: Stream) -> Result<Bytes> {
        let last = at.ports.len().saturating_sub(1);
        let mut outcome = Err(Error::new(JPEG, Kind::Unsupported));
        for (tried, (number, port)) in at.order().enumerate() {
            let deadline = if tried < last { FIRST_PORT } else { PICTURE };
            let http =
                self.client.http_at(port).with_limits(Limits { body: self.longest, deadline });
            outcome = HttpSnapshot::new(http, &at.target, None).jpeg(stream).await;
            if outcome.is_ok() {
                at.works(number);
                break;
            }
        }
        outcome
    }
}
