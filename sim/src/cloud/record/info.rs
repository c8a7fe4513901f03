//! What is known of recording sessions: plain data.

use std::time::Instant;

use serde::Serialize;

/// One recording session: what a device said and what it stored.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RecordingInfo {
    /// The last part of its `cbk_url`.
    pub session: String,
    /// Every segment that was given a name, in the order of creation.
    pub segments: Vec<SegmentInfo>,
    /// How often each request came.
    pub calls: Calls,
    /// Reports of `op=stat`.
    pub drops: Vec<DropReport>,
    /// Where the device broke the protocol, as the service sees it; empty is well.
    pub violations: Vec<Violation>,
}

/// One segment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SegmentInfo {
    /// The name the service gave it.
    pub name: String,
    /// First picture, microseconds since 1970.
    pub start_us: i64,
    /// Length in microseconds.
    pub duration_us: i64,
    /// Bytes, as announced.
    pub size: u64,
    /// `discontinue` as announced; `None`: the device did not say.
    pub discontinue: Option<bool>,
    /// The segment before, as the device named it.
    pub last_file_name: Option<String>,
    /// How far its upload came.
    pub state: SegmentState,
    /// Complete `PUT`s of it.
    pub puts: u32,
    /// Bytes of the last `PUT`.
    pub received: u64,
    /// SHA-256 of the last `PUT` in hexadecimal; `None` where bodies are only counted.
    pub sha256: Option<String>,
    /// False: the answer to its `create` was lost on request, the device never heard of it.
    pub heard: bool,
    /// When it was created.
    #[serde(skip)]
    pub created_at: Instant,
    /// When its last complete `PUT` began and ended.
    #[serde(skip)]
    pub put_at: Option<(Instant, Instant)>,
    #[serde(skip)]
    pub(super) token: String,
    #[serde(skip)]
    pub(super) put_answered: bool,
}

/// How far an upload came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SegmentState {
    /// It has a name and an address.
    Created,
    /// Its bytes are stored.
    Uploaded,
    /// The device confirmed it.
    Confirmed,
    /// The device gave it up.
    Failed,
}

/// How often each request came, whatever became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Calls {
    /// `op=create`.
    pub create: u64,
    /// `op=create` that were answered "not now".
    pub not_now: u64,
    /// `PUT`.
    pub put: u64,
    /// `op=save`.
    pub save: u64,
    /// `op=fail`.
    pub fail: u64,
    /// `op=stat`.
    pub stat: u64,
    /// `op=getcurrenttime`.
    pub getcurrenttime: u64,
    /// Forms that could not be read.
    pub malformed: u64,
}

/// Segments the device dropped since its report before.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct DropReport {
    /// How many.
    pub dropped: u64,
    /// How many seconds of recording.
    pub seconds: f64,
}

/// The protocol was broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Which rule.
    pub rule: Rule,
    /// What happened.
    pub what: String,
}

/// What a device must keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Forms are complete, numbers are numbers.
    Malformed,
    /// Only names that the service gave are used.
    UnknownName,
    /// Only what is stored can be confirmed.
    NotUploaded,
    /// What is confirmed is not given up.
    GivenUp,
    /// A segment is stored or given up before the next is created.
    Unfinished,
    /// A segment is not sent again once the device knows that it is stored.
    RepeatedPut,
    /// A segment sent again has the same bytes.
    ChangedBytes,
    /// As many bytes come as were announced.
    Size,
    /// Segments are `video/mp2t`.
    ContentType,
    /// `discontinue=0` only where a segment begins at the end of the one before.
    Discontinuity,
}

impl RecordingInfo {
    /// The segment of this name.
    pub fn segment(&self, name: &str) -> Option<&SegmentInfo> {
        self.segments.get(number_of(name)?).filter(|segment| segment.name == name)
    }

    /// Segments whose bytes are stored and not given up, in the order of creation.
    pub fn stored(&self) -> impl Iterator<Item = &SegmentInfo> {
        self.segments.iter().filter(|segment| segment.is_stored())
    }
}

impl SegmentInfo {
    /// End, in microseconds since 1970.
    pub fn end_us(&self) -> i64 {
        self.start_us.saturating_add(self.duration_us)
    }

    /// True if its bytes are stored and it was not given up.
    pub fn is_stored(&self) -> bool {
        matches!(self.state, SegmentState::Uploaded | SegmentState::Confirmed)
    }
}

/// The session a name was given in.
pub(super) fn session_of(name: &str) -> Option<&str> {
    name.rsplit_once('-').map(|(session, _)| session)
}

pub(super) fn name_of(session: &str, number: usize) -> String {
    format!("{session}-{number:06}.ts")
}

pub(super) fn number_of(name: &str) -> Option<usize> {
    name.rsplit_once('-')?.1.strip_suffix(".ts")?.parse().ok()
}
