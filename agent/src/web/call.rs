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
        let body = std::mem::take(&mut self.body);
        match timeout(PATIENCE, Limited::new(body, longest).collect()).await {
            Ok(Ok(whole)) => Ok(whole.to_bytes()),
            Ok(Err(_)) => Err(Refusal::too_long(longest)),
            Err(_) => Err(Refusal::too_slow()),
        }
    }
}
