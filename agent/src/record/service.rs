//! The recording service of a session, and the object store it sends the segments to.
//!
//! Addresses of both carry signatures in their queries. No text here shows more of an address than
//! scheme, host and path.

mod body;
mod http;
#[cfg(test)]
pub(crate) mod scripted;

use std::time::Duration;

use async_trait::async_trait;
use ivt_base::secret::Secret;
use ivt_base::text::shorten;
use serde_json::{Map, Value};
use url::Url;
use url::form_urlencoded::Serializer;

pub use body::Body;
pub use http::{Deadlines, Http};

/// Longest `cbk_url`, in bytes. The specification allows 256; deployed clouds send longer ones.
const LONGEST_CALLBACK: usize = 2048;
const LONGEST_URI: usize = 8192;
const LONGEST_NAME: usize = 1024;

/// Why a request failed, by what can be done about it. The text holds no query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// There was no connection, or it did not last until the answer.
    #[error("{0}")]
    Transport(String),
    /// The peer is busy (5xx, 429, 408), or its answer cannot be read.
    #[error("{0}")]
    Busy(String),
    /// The address is no longer valid (403, 404, 410).
    #[error("{0}")]
    Expired(String),
    /// The peer refuses (any other 4xx) or redirects (3xx).
    #[error("{0}")]
    Refused(String),
}

impl ServiceError {
    /// Whether the peer may do the same request later, since it is away or busy now.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Transport(_) | Self::Busy(_))
    }
}

/// The question for an address for one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Length of the segment in bytes.
    pub size: u64,
    /// When the segment starts, in microseconds since 1970.
    pub start: i64,
    /// Time from the start of the segment to that of the next one.
    pub duration: Duration,
    /// The service's name of the segment uploaded before, which is confirmed thereby.
    pub last_file_name: Option<String>,
    /// Whether the time stamps do not continue those of the segment uploaded before.
    pub discontinue: bool,
}

/// The service's answer to the question for an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The service's name of the segment.
    pub name: String,
    /// The address to which the segment is sent by PUT.
    pub uri: Secret,
}

/// The requests to a recording service and its store.
#[async_trait]
pub trait RecordingApi: Send + Sync {
    /// Asks for an address for a segment; `None` means "not now".
    async fn create(&self, segment: &Announcement) -> Result<Option<Target>, ServiceError>;
    /// Sends a segment within `deadline`. If it is `fresh`, the request has a connection of its
    /// own.
    async fn put(
        &self,
        uri: &str,
        body: Body,
        fresh: bool,
        deadline: Duration,
    ) -> Result<(), ServiceError>;
    /// Confirms the last segment of a session.
    async fn save(&self, name: &str) -> Result<(), ServiceError>;
    /// Tells the service that a segment could not be uploaded under its name.
    async fn fail(&self, name: &str) -> Result<(), ServiceError>;
    /// Reports segments that were dropped since the last report.
    async fn stat(&self, dropped: u64, time: Duration) -> Result<(), ServiceError>;
    /// The time of the service's clock, in seconds since 1970.
    async fn current_time(&self) -> Result<f64, ServiceError>;
}

/// The service behind one `cbk_url`.
#[derive(Clone)]
pub struct Service {
    url: Secret<Url>,
    http: Http,
}

impl Service {
    /// Makes the service of a `url` that [`callback_url`] has accepted.
    pub fn new(http: Http, url: Secret<Url>) -> Self {
        Self { url, http }
    }

    async fn call(
        &self,
        op: &str,
        fields: &[(&str, &str)],
    ) -> Result<Map<String, Value>, ServiceError> {
        let form =
            Serializer::new(String::new()).append_pair("op", op).extend_pairs(fields).finish();
        let answer = self.http.post(self.url.expose(), form).await?;
        // The specification wants nothing in most answers, and some services send nothing at all.
        if answer.is_empty() && op != "create" {
            return Ok(Map::new());
        }
        match serde_json::from_slice(&answer) {
            Ok(Value::Object(members)) => Ok(members),
            _ => Err(self.nonsense(op, "the answer is no JSON object")),
        }
    }

    fn nonsense(&self, op: &str, what: &str) -> ServiceError {
        ServiceError::Busy(format!("{}: op={op}: {what}", place(self.url.expose())))
    }
}

#[async_trait]
impl RecordingApi for Service {
    async fn create(&self, segment: &Announcement) -> Result<Option<Target>, ServiceError> {
        let (size, start) = (segment.size.to_string(), seconds(segment.start));
        let duration = seconds(micros(segment.duration));
        let mut fields = vec![
            ("content_type", "video/mp2t"),
            ("size", &size),
            ("start", &start),
            ("duration", &duration),
        ];
        if let Some(name) = &segment.last_file_name {
            fields.push(("last_file_name", name));
        }
        fields.push(("discontinue", if segment.discontinue { "1" } else { "0" }));
        let mut answer = self.call("create", &fields).await?;
        let mut text = |member| match answer.remove(member) {
            None | Some(Value::Null) => Ok(String::new()),
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(self.nonsense("create", &format!("{member} is no string"))),
        };
        let (name, uri) = (text("name")?, text("uri")?);
        if name.is_empty() || uri.is_empty() {
            return Ok(None);
        }
        if name.len() > LONGEST_NAME {
            return Err(self.nonsense("create", "the name is longer than 1024 bytes"));
        }
        address(&uri, LONGEST_URI).map_err(|e| self.nonsense("create", &format!("uri {e}")))?;
        Ok(Some(Target { name, uri: uri.into() }))
    }

    async fn put(
        &self,
        uri: &str,
        body: Body,
        fresh: bool,
        deadline: Duration,
    ) -> Result<(), ServiceError> {
        let url =
            address(uri, LONGEST_URI).map_err(|e| ServiceError::Refused(format!("uri {e}")))?;
        self.http.put(&url, body, fresh, deadline).await
    }

    async fn save(&self, name: &str) -> Result<(), ServiceError> {
        self.call("save", &[("name", name)]).await.map(drop)
    }

    async fn fail(&self, name: &str) -> Result<(), ServiceError> {
        self.call("fail", &[("name", name)]).await.map(drop)
    }

    async fn stat(&self, dropped: u64, time: Duration) -> Result<(), ServiceError> {
        let (dropped, time) = (dropped.to_string(), seconds(micros(time)));
        self.call("stat", &[("dropped_nb", &dropped), ("dropped_time", &time)]).await.map(drop)
    }

    async fn current_time(&self) -> Result<f64, ServiceError> {
        let answer = self.call("getcurrenttime", &[]).await?;
        let now = answer.get("currenttime").and_then(Value::as_f64);
        now.ok_or_else(|| self.nonsense("getcurrenttime", "currenttime is no number"))
    }
}

/// Reads the `cbk_url` of a StartCloudRecord. The error is for the cloud.
///
/// # Errors
///
/// What is wrong with the address.
pub fn callback_url(text: &str) -> Result<Url, String> {
    address(text, LONGEST_CALLBACK).map_err(|e| format!("cbk_url {e}"))
}

/// The part of an address that an error may show.
fn place(url: &Url) -> String {
    let origin = url.origin().ascii_serialization();
    shorten(&format!("{origin}{}", url.path()))
}

fn address(text: &str, longest: usize) -> Result<Url, String> {
    if text.len() > longest {
        let length = text.len();
        return Err(format!("has {length} bytes: at most {longest} are taken"));
    }
    let url = Url::parse(text).map_err(|e| format!("is no URL ({e}): expected http(s)://..."))?;
    match url.scheme() {
        "http" | "https" if !url.username().is_empty() || url.password().is_some() => {
            Err("has a user name or password: expected http(s)://HOST...".into())
        }
        "http" | "https" => Ok(url),
        other => Err(format!("has scheme {:?}: expected http or https", shorten(other))),
    }
}

/// The duration in seconds, with six decimals.
fn seconds(micros: i64) -> String {
    let (sign, micros) = (if micros < 0 { "-" } else { "" }, micros.unsigned_abs());
    format!("{sign}{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

fn micros(duration: Duration) -> i64 {
    let rounded = duration.saturating_add(Duration::from_nanos(500));
    i64::try_from(rounded.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[path = "service/tests.rs"]
mod tests;
