//! What is known of one recording session, and the rules a device must keep. Pure.

use std::time::Instant;

use serde::Serialize;

use super::faults::Step;
use super::form::Create;

/// Times that agree this closely are equal, in microseconds.
pub(super) const TOLERANCE: i64 = 1_000;
/// Violations and reports kept of one session.
const MAX_NOTES: usize = 1_000;
/// What a device uploads.
pub(super) const CONTENT_TYPE_TS: &str = "video/mp2t";

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
    put_answered: bool,
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

/// Why a call is refused: an HTTP status and the text for `info`.
pub(super) type Refused = (u16, String);

/// The bytes of one `PUT`.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) received: u64,
    pub(super) sha256: Option<String>,
    pub(super) put_at: (Instant, Instant),
    /// False: the answer will be lost on request.
    pub(super) answered: bool,
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

    pub(super) fn count(&mut self, step: Step) {
        let calls = &mut self.calls;
        *match step {
            Step::Create => &mut calls.create,
            Step::Put => &mut calls.put,
            Step::Save => &mut calls.save,
            Step::Fail => &mut calls.fail,
            Step::Stat => &mut calls.stat,
            Step::CurrentTime => &mut calls.getcurrenttime,
        } += 1;
    }

    /// Names a new segment; `token` is the secret of its address.
    pub(super) fn create(&mut self, create: Create, token: String, now: Instant) -> String {
        self.confirm_last(&create);
        if create.content_type.as_deref().is_some_and(|kind| kind != CONTENT_TYPE_TS) {
            let what = format!("create of content_type {:?}", create.content_type);
            self.violate(Rule::ContentType, what);
        }
        let name = name_of(&self.session, self.segments.len());
        let unfinished = self.segments.iter().rev().find(|segment| segment.heard);
        if let Some(last) = unfinished.filter(|last| last.state == SegmentState::Created) {
            let what = format!("{name} was created, {} neither stored nor given up", last.name);
            self.violate(Rule::Unfinished, what);
        }
        self.check_continuity(&name, &create);
        self.segments.push(SegmentInfo {
            name: name.clone(),
            start_us: create.start,
            duration_us: create.duration,
            size: create.size,
            discontinue: create.discontinue,
            last_file_name: create.last_file_name,
            state: SegmentState::Created,
            puts: 0,
            received: 0,
            sha256: None,
            heard: true,
            created_at: now,
            put_at: None,
            token,
            put_answered: false,
        });
        name
    }

    /// Confirms the segment before. A mistake there does not keep the one at hand from being created.
    pub(super) fn confirm_last(&mut self, create: &Create) {
        if let Some(last) = &create.last_file_name {
            let _ = self.confirm(last);
        }
    }

    /// The answer to a `create` is lost.
    pub(super) fn lose_create(&mut self, name: &str) {
        if let Some(segment) = self.find(name) {
            segment.heard = false;
        }
    }

    pub(super) fn store(&mut self, name: &str, stored: Stored) {
        let Some(segment) = self.find(name) else { return };
        let mut broken = Vec::new();
        let known = segment.put_answered && segment.state == SegmentState::Uploaded;
        if known || segment.state == SegmentState::Confirmed {
            broken.push((Rule::RepeatedPut, format!("{name} was sent again though it was stored")));
        } else if segment.state == SegmentState::Failed {
            broken.push((Rule::RepeatedPut, format!("{name} was sent after it was given up")));
        }
        let different = segment.puts > 0 && segment.sha256 != stored.sha256;
        if different || segment.puts > 0 && segment.received != stored.received {
            broken.push((Rule::ChangedBytes, format!("{name} was sent again with other bytes")));
        }
        if stored.received != segment.size {
            let what = format!("{name}: {} bytes, announced {}", stored.received, segment.size);
            broken.push((Rule::Size, what));
        }
        segment.puts += 1;
        segment.received = stored.received;
        segment.sha256 = stored.sha256;
        segment.put_at = Some(stored.put_at);
        segment.put_answered = stored.answered;
        if segment.state == SegmentState::Created {
            segment.state = SegmentState::Uploaded;
        }
        broken.into_iter().for_each(|(rule, what)| self.violate(rule, what));
    }

    /// `save`, or `last_file_name` of the next.
    pub(super) fn confirm(&mut self, name: &str) -> Result<(), Refused> {
        let Some(segment) = self.find(name) else { return Err(self.unknown("confirmed", name)) };
        if segment.is_stored() {
            segment.state = SegmentState::Confirmed;
            return Ok(());
        }
        let what = format!("{name} was confirmed and is not stored");
        self.violate(Rule::NotUploaded, what.clone());
        Err((409, what))
    }

    pub(super) fn give_up(&mut self, name: &str) -> Result<(), Refused> {
        let Some(segment) = self.find(name) else { return Err(self.unknown("given up", name)) };
        segment.state = SegmentState::Failed;
        Ok(())
    }

    pub(super) fn report(&mut self, dropped: u64, seconds: f64) {
        if self.drops.len() < MAX_NOTES {
            self.drops.push(DropReport { dropped, seconds });
        }
    }

    pub(super) fn violate(&mut self, rule: Rule, what: String) {
        if self.violations.len() < MAX_NOTES {
            self.violations.push(Violation { rule, what });
        }
    }

    fn check_continuity(&mut self, name: &str, create: &Create) {
        let delivered =
            |segment: &&SegmentInfo| segment.heard && segment.state != SegmentState::Failed;
        let Some(before) = self.segments.iter().rev().find(delivered) else { return };
        let off = create.start - before.end_us();
        if create.discontinue == Some(false) && off.abs() > TOLERANCE {
            let what = format!("{name} starts {off} µs after the end of {}", before.name);
            self.violate(Rule::Discontinuity, what);
        }
    }

    fn find(&mut self, name: &str) -> Option<&mut SegmentInfo> {
        self.segments.get_mut(number_of(name)?).filter(|segment| segment.name == name)
    }

    fn unknown(&mut self, done: &str, name: &str) -> Refused {
        let shown: String = name.chars().take(64).collect();
        let what = format!("{shown:?} was {done} and is no name of this session");
        self.violate(Rule::UnknownName, what.clone());
        (404, what)
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

fn name_of(session: &str, number: usize) -> String {
    format!("{session}-{number:06}.ts")
}

fn number_of(name: &str) -> Option<usize> {
    name.rsplit_once('-')?.1.strip_suffix(".ts")?.parse().ok()
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
