//! The recording service of a session, and the object store it sends the segments to.
//!
//! Addresses of both carry signatures in their queries, so no text in here says more of one than
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

/// 256 is the specification's; deployed clouds send longer ones.
const LONGEST_CALLBACK: usize = 2048;
const LONGEST_URI: usize = 8192;
const LONGEST_NAME: usize = 1024;

/// Why a request came to nothing, by what helps. The text holds no query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// No connection, or none that lived until the answer.
    #[error("{0}")]
    Transport(String),
    /// The peer cannot at the moment (5xx, 429, 408), or what it answers is none.
    #[error("{0}")]
    Busy(String),
    /// The address is no longer good (403, 404, 410).
    #[error("{0}")]
    Expired(String),
    /// The peer will not (any other 4xx), or sends us elsewhere (3xx).
    #[error("{0}")]
    Refused(String),
}

impl ServiceError {
    /// The peer is not there, or has no time: it may do the same a little later.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Transport(_) | Self::Busy(_))
    }
}

/// A segment for which an address is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Bytes.
    pub size: u64,
    /// Microseconds since 1970.
    pub start: i64,
    /// Up to the next segment.
    pub duration: Duration,
    /// The segment uploaded before, which is confirmed hereby.
    pub last_file_name: Option<String>,
    /// The time stamps do not continue those of the segment uploaded before.
    pub discontinue: bool,
}

/// Where a segment goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What the service calls it.
    pub name: String,
    /// The address to put it to.
    pub uri: Secret,
}

/// What an uploader asks of the other side.
#[async_trait]
pub trait RecordingApi: Send + Sync {
    /// An address for a segment, or `None`: not now.
    async fn create(&self, segment: &Announcement) -> Result<Option<Target>, ServiceError>;
    /// Sends a segment within `deadline`. `fresh`: over a connection of its own.
    async fn put(
        &self,
        uri: &str,
        body: Body,
        fresh: bool,
        deadline: Duration,
    ) -> Result<(), ServiceError>;
    /// Confirms the last segment of a session.
    async fn save(&self, name: &str) -> Result<(), ServiceError>;
    /// Takes a segment back that could not be uploaded.
    async fn fail(&self, name: &str) -> Result<(), ServiceError>;
    /// Reports segments that were dropped since the last report.
    async fn stat(&self, dropped: u64, time: Duration) -> Result<(), ServiceError>;
    /// The service's clock, in seconds since 1970.
    async fn current_time(&self) -> Result<f64, ServiceError>;
}

/// The service behind one `cbk_url`.
#[derive(Clone)]
pub struct Service {
    url: Secret<Url>,
    http: Http,
}

impl Service {
    /// `url` is one that [`callback_url`] has accepted.
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
        // Nothing is expected of most answers, and some services take that literally.
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

/// The `cbk_url` of a StartCloudRecord. The error is for the cloud.
///
/// # Errors
///
/// What is wrong with the address.
pub fn callback_url(text: &str) -> Result<Url, String> {
    address(text, LONGEST_CALLBACK).map_err(|e| format!("cbk_url {e}"))
}

/// What an error may say of an address.
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
        "http" | "https" => Ok(url),
        other => Err(format!("has scheme {:?}: expected http or https", shorten(other))),
    }
}

/// As `%.6f` seconds.
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
