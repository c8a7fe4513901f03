//! The rules that a device must keep in a recording session. Pure.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::faults::Step;
use super::form::Create;
use super::info::{
    DropReport, RecordingInfo, Rule, SegmentInfo, SegmentState, Violation, name_of, number_of,
};

/// Times that differ by no more are equal, in microseconds.
pub(super) const TOLERANCE: i64 = 1_000;
/// Most violations and reports kept of one session.
const MAX_NOTES: usize = 1_000;
/// The content type of a segment.
pub(super) const CONTENT_TYPE_TS: &str = "video/mp2t";

/// A refusal: an HTTP status and the text for `info`.
pub(in crate::cloud) type Refused = (u16, String);

/// The bytes of one `PUT`.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) received: u64,
    pub(super) sha256: Option<String>,
    pub(super) put_at: (Instant, Instant),
    /// Whether the device will get the answer; a fault can lose it.
    pub(super) answered: bool,
}

impl RecordingInfo {
    pub(super) fn count(&mut self, step: Step) {
        let calls = &mut self.calls;
        *match step {
            Step::Create => &mut calls.create,
            Step::Put => &mut calls.put,
            Step::Save => &mut calls.save,
            Step::Fail => &mut calls.fail,
            Step::Stat => &mut calls.stat,
            Step::CurrentTime => &mut calls.getcurrenttime,
            Step::NextDts => &mut calls.next_dts,
        } += 1;
    }

    /// Notes how long after its end a segment is asked about.
    pub(super) fn note_lag(&mut self, create: &Create) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(now.as_micros()).unwrap_or(i64::MAX);
        let lag = now.saturating_sub(create.start.saturating_add(create.duration));
        self.lag_us = Some(self.lag_us.map_or(lag, |least| least.min(lag)));
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
            created: SystemTime::now(),
            put_at: None,
            token,
            put_answered: false,
        });
        name
    }

    /// Confirms the segment before. A mistake in that does not keep the new segment from being created.
    pub(super) fn confirm_last(&mut self, create: &Create) {
        if let Some(last) = &create.last_file_name {
            let _ = self.confirm(last);
        }
    }

    /// Notes that the answer to a `create` is lost.
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

    /// Confirms a segment, by `save` or by `last_file_name` of the next.
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
        if segment.state != SegmentState::Confirmed {
            segment.state = SegmentState::Failed;
            return Ok(());
        }
        let what = format!("{name} was given up and is confirmed");
        self.violate(Rule::GivenUp, what.clone());
        Err((409, what))
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

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
