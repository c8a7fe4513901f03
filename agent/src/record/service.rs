//! The recording service of a session, and the object store it sends the segments to.
//!
//! Addresses of both carry signatures in their queries. No text here shows more of an address than
//! scheme, host and path.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use ivt_base::secret::Secret;
use serde_json::Value;
use url::form_urlencoded::Serializer;

use crate::http::address::{Address, LONGEST_URI};
use crate::http::{Body, Http, HttpError, Wanted, words};

/// Longest `cbk_url`, in bytes. The specification allows 256; deployed clouds send longer ones.
const LONGEST_CALLBACK: usize = 2048;
const LONGEST_NAME: usize = 1024;

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
    async fn create(&self, segment: &Announcement) -> Result<Option<Target>, HttpError>;
    /// Sends a segment within `deadline`. If it is `fresh`, the request has a connection of its
    /// own.
    async fn put(
        &self,
        uri: &str,
        body: Body,
        fresh: bool,
        deadline: Duration,
    ) -> Result<(), HttpError>;
    /// Confirms the last segment of a session.
    async fn save(&self, name: &str) -> Result<(), HttpError>;
    /// Tells the service that a segment could not be uploaded under its name.
    async fn fail(&self, name: &str) -> Result<(), HttpError>;
    /// Reports segments that were dropped since the last report.
    async fn stat(&self, dropped: u64, time: Duration) -> Result<(), HttpError>;
    /// The time of the service's clock, in seconds since 1970.
    async fn current_time(&self) -> Result<f64, HttpError>;
}

/// The service behind one `cbk_url`.
#[derive(Clone)]
pub struct Service {
    address: Secret<Address>,
    http: Http,
    /// Whether the log was told of an answer of an unknown form.
    told: Arc<AtomicBool>,
}

impl Service {
    /// Makes the service of an `address` that [`callback_url`] has accepted.
    pub fn new(http: Http, address: Secret<Address>) -> Self {
        Self { address, http, told: Arc::default() }
    }

    async fn call(
        &self,
        op: &str,
        fields: &[(&str, &str)],
        wanted: Wanted,
    ) -> Result<String, HttpError> {
        let form =
            Serializer::new(String::new()).append_pair("op", op).extend_pairs(fields).finish();
        // A second `create` leaves a name without a segment, and a second `stat` counts losses twice.
        let twice = !matches!(op, "create" | "stat");
        let answer = self.http.post_form(self.address.expose(), form, twice, wanted).await?;
        Ok(words::text(&answer))
    }

    /// Tells the service something to which any success is the answer.
    async fn tell(&self, op: &str, fields: &[(&str, &str)]) -> Result<(), HttpError> {
        self.call(op, fields, Wanted::Status).await.map(drop)
    }

    fn nonsense(&self, op: &str, what: &str) -> HttpError {
        HttpError::Busy(format!("{}: op={op}: {what}", self.address.expose().place()))
    }
}

#[async_trait]
impl RecordingApi for Service {
    async fn create(&self, segment: &Announcement) -> Result<Option<Target>, HttpError> {
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
        let answer = self.call("create", &fields, Wanted::Body).await?;
        let text = |member| match words::member(&answer, member) {
            Ok(None | Some(Value::Null)) => Ok(String::new()),
            Ok(Some(Value::String(text))) if !text.contains('\u{fffd}') => Ok(text),
            Ok(Some(_)) => Err(self.nonsense("create", &format!("{member} is no string"))),
            Err(_) => Err(self.nonsense("create", "the answer is no JSON object")),
        };
        let (name, uri) = (text("name")?, Secret::from(text("uri")?));
        if name.is_empty() || uri.expose().is_empty() {
            if let Some(answer) = words::outline(&answer)
                && !self.told.swap(true, Ordering::Relaxed)
            {
                let place = self.address.expose().place();
                log::warn!("{place}: op=create: not now, the service answered {answer}");
            }
            return Ok(None);
        }
        if name.len() > LONGEST_NAME {
            return Err(self.nonsense("create", "the name is longer than 1024 bytes"));
        }
        Address::parse(uri.expose(), LONGEST_URI)
            .map_err(|e| self.nonsense("create", &format!("uri {e}")))?;
        Ok(Some(Target { name, uri }))
    }

    async fn put(
        &self,
        uri: &str,
        body: Body,
        fresh: bool,
        deadline: Duration,
    ) -> Result<(), HttpError> {
        let to = Address::parse(uri, LONGEST_URI);
        let to = to.map_err(|e| HttpError::Refused(format!("uri {e}")))?;
        self.http.put(&to, body, fresh, deadline).await
    }

    async fn save(&self, name: &str) -> Result<(), HttpError> {
        self.tell("save", &[("name", name)]).await
    }

    async fn fail(&self, name: &str) -> Result<(), HttpError> {
        self.tell("fail", &[("name", name)]).await
    }

    async fn stat(&self, dropped: u64, time: Duration) -> Result<(), HttpError> {
        let (dropped, time) = (dropped.to_string(), seconds(micros(time)));
        self.tell("stat", &[("dropped_nb", &dropped), ("dropped_time", &time)]).await
    }

    async fn current_time(&self) -> Result<f64, HttpError> {
        let answer = self.call("getcurrenttime", &[], Wanted::Body).await?;
        let now = words::member(&answer, "currenttime").ok().flatten();
        now.and_then(|now| now.as_f64())
            .ok_or_else(|| self.nonsense("getcurrenttime", "currenttime is no number"))
    }
}

/// Reads the `cbk_url` of a StartCloudRecord. The error is for the cloud.
///
/// # Errors
///
/// What is wrong with the address.
pub fn callback_url(text: &str) -> Result<Address, String> {
    Address::parse(text, LONGEST_CALLBACK).map_err(|e| format!("cbk_url {e}"))
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
