//! A call to the page, as its handler sees it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Limited};
use hyper::http::request::Parts;
use serde_json::Value;
use tokio::sync::OwnedMutexGuard;
use tokio::time::timeout;
use url::form_urlencoded;

use super::guard::Way;
use super::reply::Refusal;
use super::session::Key;
use super::site::Site;

/// Longest body that is read as a whole, in bytes.
const LONGEST: usize = 64 << 10;
/// How long such a body may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What comes in, piece by piece.
pub(crate) type Incoming = BoxBody<Bytes, hyper::Error>;

/// A call to the page.
pub(crate) struct Call {
    pub(crate) site: Arc<Site>,
    /// Where the call comes from.
    pub(crate) peer: IpAddr,
    /// How the call reached the device.
    pub(super) way: Way,
    /// Who is logged in there.
    pub(super) session: Option<Key>,
    pub(crate) parts: Parts,
    /// The parameters of the path.
    pub(super) parameters: Vec<(String, String)>,
    /// The body, for handlers that take it piece by piece: they bound its length and its time.
    pub(crate) body: Incoming,
}

impl Call {
    /// A parameter of the path; empty if the route has none of that name.
    pub(crate) fn parameter(&self, name: &str) -> &str {
        let found = self.parameters.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value)
    }

    /// A number in the path, such as that of a channel.
    ///
    /// # Errors
    /// It is no number: nothing is found there.
    pub(crate) fn number(&self, name: &str) -> Result<usize, Refusal> {
        self.parameter(name).parse().map_err(|_| Refusal::not_found())
    }

    /// A value of the query.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        let query = self.parts.uri.query().unwrap_or_default();
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// A turn to write what a reset of the device takes away; held until it is written.
    ///
    /// # Errors
    /// Who makes the call is not logged in any more.
    pub(crate) async fn turn(&self) -> Result<OwnedMutexGuard<()>, Refusal> {
        self.site.gate.turn_of(self.session).await
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// It is too long, too slow, or no JSON.
    pub(crate) async fn json(&mut self) -> Result<Value, Refusal> {
        let text = self.bytes(LONGEST).await?;
        serde_json::from_slice(&text).map_err(|e| Refusal::invalid("", format!("no JSON: {e}")))
    }

    /// The body as a whole, `longest` bytes at most.
    ///
    /// # Errors
    /// It is too long, too slow, or broken off.
    pub(crate) async fn bytes(&mut self, longest: usize) -> Result<Bytes, Refusal> {
        whole(std::mem::take(&mut self.body), longest).await
    }
}

async fn whole(body: Incoming, longest: usize) -> Result<Bytes, Refusal> {
    match timeout(PATIENCE, Limited::new(body, longest).collect()).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(_)) => Err(Refusal::too_long(longest)),
        Err(_) => Err(Refusal::too_slow()),
    }
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt as _, stream};
    use http_body_util::StreamBody;
    use hyper::body::Frame;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use tokio::time::sleep;

    use super::*;

    /// A body that comes in these pieces, each after a time.
    fn body(pieces: Vec<(Vec<u8>, u64)>) -> Incoming {
        let frames = stream::iter(pieces).then(|(piece, seconds)| async move {
            sleep(Duration::from_secs(seconds)).await;
            Ok(Frame::data(Bytes::from(piece)))
        });
        BoxBody::new(StreamBody::new(frames))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn a_body_is_read_whole_or_refused_for_its_length_or_its_time(
            pieces in vec((vec(any::<u8>(), 0..64), 0u64..4), 0..12),
            longest in 0usize..600,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .unwrap();
            let sent: Vec<u8> = pieces.iter().flat_map(|(piece, _)| piece.clone()).collect();
            let took: u64 = pieces.iter().map(|(_, seconds)| seconds).sum();
            let read = runtime.block_on(whole(body(pieces), longest));
            match read {
                Ok(read) => prop_assert!(read == sent && sent.len() <= longest),
                Err(refusal) if refusal.code == "too_slow" => prop_assert!(took >= PATIENCE.as_secs()),
                Err(refusal) => {
                    prop_assert!(refusal.code == "too_long" && sent.len() > longest);
                }
            }
        }
    }
}
