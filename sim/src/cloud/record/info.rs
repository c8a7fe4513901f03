//! The state of recording sessions, as plain data.

use std::time::{Instant, SystemTime};

use serde::{Serialize, Serializer};

/// One recording session: what its device said and stored.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RecordingInfo {
    /// Name of the session: the last part of its `cbk_url`.
    pub session: String,
    /// All segments that were given a name, in the order of creation.
    pub segments: Vec<SegmentInfo>,
    /// How often each request came.
    pub calls: Calls,
    /// The reports of `op=stat`.
    pub drops: Vec<DropReport>,
    /// The shortest time from the end of a segment, by the device's clock, to a question about it that was answered "not
    /// now", by ours: in microseconds, and the difference of the clocks where the device asks at once.
    #[serde(skip)]
    pub lag_us: Option<i64>,
    /// Breaches of the protocol by the device, as the service sees them.
    pub violations: Vec<Violation>,
}

/// One segment of a session.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SegmentInfo {
    /// The name that the service gave.
    pub name: String,
    /// Time of the first picture, in microseconds since 1970.
    pub start_us: i64,
    /// Length in microseconds.
    pub duration_us: i64,
    /// Length in bytes, as announced.
    pub size: u64,
    /// The value of `discontinue`; `None` when the device did not say.
    pub discontinue: Option<bool>,
    /// The segment before, as the device named it.
    pub last_file_name: Option<String>,
    /// How far the upload has come.
    pub state: SegmentState,
    /// Number of complete `PUT`s of the segment.
    pub puts: u32,
    /// Length of the last `PUT` in bytes.
    pub received: u64,
    /// SHA-256 of the last `PUT` in hexadecimal; `None` where bodies are only counted.
    pub sha256: Option<String>,
    /// Whether the device got the answer to its `create`; a fault can lose it.
    pub heard: bool,
    /// When the segment was created.
    #[serde(skip)]
    pub created_at: Instant,
    /// The same time by the clock; in JSON `created_us`, microseconds since 1970.
    #[serde(rename = "created_us", serialize_with = "unix_micros")]
    pub created: SystemTime,
    /// When the last complete `PUT` began and ended.
    #[serde(skip)]
    pub put_at: Option<(Instant, Instant)>,
    #[serde(skip)]
    pub(super) token: String,
    #[serde(skip)]
    pub(super) put_answered: bool,
}

/// How far an upload has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SegmentState {
    /// The segment has a name and an address.
    Created,
    /// The bytes are stored.
    Uploaded,
    /// The device has confirmed the segment.
    Confirmed,
    /// The device has given the segment up.
    Failed,
}

/// Numbers of requests, whatever their outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Calls {
    /// Requests with `op=create`.
    pub create: u64,
    /// Requests with `op=create` that were answered "not now".
    pub not_now: u64,
    /// Requests with `PUT`.
    pub put: u64,
    /// Requests with `op=save`.
    pub save: u64,
    /// Requests with `op=fail`.
    pub fail: u64,
    /// Requests with `op=stat`.
    pub stat: u64,
    /// Requests with `op=getcurrenttime`.
    pub getcurrenttime: u64,
    /// Requests with `op=next_dts`, by which an older recorder begins.
    pub next_dts: u64,
    /// Forms that could not be read.
    pub malformed: u64,
}

/// The segments that the device dropped since its report before.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct DropReport {
    /// Number of segments dropped.
    pub dropped: u64,
    /// Seconds of recording dropped.
    pub seconds: f64,
}

/// A breach of the protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The broken rule.
    pub rule: Rule,
    /// What happened, in words.
    pub what: String,
}

/// A rule of the protocol for devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// A form is complete, and its numbers are numbers.
    Malformed,
    /// Only names that the service gave are used.
    UnknownName,
    /// Only a stored segment can be confirmed.
    NotUploaded,
    /// A confirmed segment is not given up.
    GivenUp,
    /// A segment is stored or given up before the next is created.
    Unfinished,
    /// A segment is not sent again once the device knows that it is stored.
    RepeatedPut,
    /// A segment sent again has the same bytes.
    ChangedBytes,
    /// The `PUT` is as long as was announced.
    Size,
    /// Segments are `video/mp2t`.
    ContentType,
    /// `discontinue=0` is only said of a segment that begins at the end of the one before.
    Discontinuity,
}

impl RecordingInfo {
    /// The segment of this name.
    pub fn segment(&self, name: &str) -> Option<&SegmentInfo> {
        self.segments.get(number_of(name)?).filter(|segment| segment.name == name)
    }

    /// Where the next segment goes on: ticks of 90 kHz from the first picture that is stored to the end of the last;
    /// 0 before there is one.
    pub fn next_dts(&self) -> i64 {
        let begin = self.stored().map(|segment| segment.start_us).min();
        let end = self.stored().map(SegmentInfo::end_us).max();
        begin.zip(end).map_or(0, |(begin, end)| (end - begin) * 9 / 100)
    }

    /// The segments that are stored and not given up, in the order of creation.
    pub fn stored(&self) -> impl Iterator<Item = &SegmentInfo> {
        self.segments.iter().filter(|segment| segment.is_stored())
    }
}

fn unix_micros<S: Serializer>(time: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    to.serialize_u64(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

impl SegmentInfo {
    /// End of the segment in microseconds since 1970.
    pub fn end_us(&self) -> i64 {
        self.start_us.saturating_add(self.duration_us)
    }

    /// Whether the segment is stored and not given up.
    pub fn is_stored(&self) -> bool {
        matches!(self.state, SegmentState::Uploaded | SegmentState::Confirmed)
    }
}

/// The session in which a name was given.
pub(super) fn session_of(name: &str) -> Option<&str> {
    name.rsplit_once('-').map(|(session, _)| session)
}

pub(super) fn name_of(session: &str, number: usize) -> String {
    format!("{session}-{number:06}.ts")
}

pub(super) fn number_of(name: &str) -> Option<usize> {
    name.rsplit_once('-')?.1.strip_suffix(".ts")?.parse().ok()
}
