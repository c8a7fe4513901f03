//! Faults of the recording service and of the object store, on request.

use serde::{Deserialize, Serialize};

/// All faults of the recording service. The default is a healthy service that wants to be uploaded to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecordFaults {
    /// Every `create` is answered "not now": the pre-record state.
    pub not_now: bool,
    /// Seconds for which an upload address is good; after them it answers 403.
    pub url_seconds: Option<u64>,
    /// Every answer of the service begins with a byte order mark.
    pub bom: bool,
    /// A `PUT` of a segment that is stored is answered with this HTTP status (409, 412), as by a store whose
    /// addresses are good for one object. `None` takes the bytes again.
    pub stored_again: Option<u16>,
    /// Bytes at the end of the query of each upload address. A `PUT` with any other query is answered 403, as
    /// by a store that checks a signature.
    pub odd_query: Option<String>,
    /// Faults of `op=create`.
    pub create: Option<StepFault>,
    /// Faults of the object store.
    pub put: Option<StepFault>,
    /// Faults of `op=save`.
    pub save: Option<StepFault>,
    /// Faults of `op=fail`.
    pub fail: Option<StepFault>,
    /// Faults of `op=stat`.
    pub stat: Option<StepFault>,
    /// Faults of `op=getcurrenttime`.
    pub getcurrenttime: Option<StepFault>,
    /// Faults of `op=next_dts`.
    pub next_dts: Option<StepFault>,
}

/// A fault of one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepFault {
    /// The fault.
    pub fault: RecordFault,
    /// Number of requests that meet the fault, which counts down; `None` until it is switched off.
    #[serde(default)]
    pub times: Option<u32>,
}

/// A fault of a request. The request is not carried out unless the fault says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordFault {
    /// The request is answered with this HTTP status (400 to 599).
    Status(u16),
    /// The request is answered with 307 to this address.
    Redirect(String),
    /// The request is answered with this status (301 to 308) and a relative `Location` that serves it: its own
    /// path and query, and `hop=1`.
    Hop(u16),
    /// The request is answered with a status (429, 503) and a `Retry-After`.
    Busy {
        /// The HTTP status.
        status: u16,
        /// The value of `Retry-After`, seconds or a date.
        retry_after: String,
    },
    /// The request is answered with an error as object stores write it, in XML.
    Xml {
        /// The HTTP status.
        status: u16,
        /// The error's code, as `RequestTimeTooSkewed`.
        code: String,
        /// The error's message.
        message: String,
        /// Seconds by which the answer's `Date` is off the clock.
        #[serde(default)]
        date_off: i64,
    },
    /// The request is answered 200 with this text.
    Body(String),
    /// The request is carried out and answered 200 with this text.
    Odd(String),
    /// The request is carried out, and its answer has further members in front of its own: JSON text such as
    /// `"fee":1e400,"city":"Köln"`, which is written in Latin-1 where that has the characters.
    Beside(String),
    /// The request is carried out after so many milliseconds.
    DelayMs(u64),
    /// The request is carried out. A `PUT` is read, and any other answer written, at so many bytes per second.
    Slow(u64),
    /// Nothing more is read and no answer is given; the connection stays for five minutes.
    Stall,
    /// The connection is reset, in the middle of the body or before the answer.
    Reset,
    /// The connection is closed, in the middle of the body or before the answer.
    Close,
    /// The request is carried out, then the connection is closed before the answer.
    LoseAnswer,
    /// The request is answered 200 with a page instead of JSON.
    NotJson,
    /// The request is answered 200 with `{}`.
    EmptyObject,
    /// The request is answered 200 with a body of 1 GB that is no JSON until its end.
    Huge,
    /// A `create` is answered with a name and no address.
    NoUri,
    /// A `create` is carried out and gives this address to upload to.
    Uri(String),
}

/// The requests of an upload, each with its own fault and counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Create,
    Put,
    Save,
    Fail,
    Stat,
    CurrentTime,
    NextDts,
}

impl StepFault {
    /// The fault until it is switched off.
    pub fn always(fault: RecordFault) -> Option<Self> {
        Some(Self { fault, times: None })
    }

    /// The fault for the next `times` requests.
    pub fn times(times: u32, fault: RecordFault) -> Option<Self> {
        Some(Self { fault, times: Some(times) })
    }

    /// The fault of the next request, counted down.
    pub(in crate::cloud) fn take(slot: &mut Option<Self>) -> Option<RecordFault> {
        let Self { fault, times } = slot.as_mut()?;
        let fault = fault.clone();
        match times {
            None => Some(fault),
            Some(left) => {
                let due = *left > 0;
                *left = left.saturating_sub(1);
                if *left == 0 {
                    *slot = None;
                }
                due.then_some(fault)
            }
        }
    }
}

impl RecordFaults {
    /// The fault of the next request of this step, counted down.
    pub(super) fn take(&mut self, step: Step) -> Option<RecordFault> {
        let slot = match step {
            Step::Create => &mut self.create,
            Step::Put => &mut self.put,
            Step::Save => &mut self.save,
            Step::Fail => &mut self.fail,
            Step::Stat => &mut self.stat,
            Step::CurrentTime => &mut self.getcurrenttime,
            Step::NextDts => &mut self.next_dts,
        };
        StepFault::take(slot)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_counted_fault_happens_that_often_and_is_gone() {
        let mut faults = RecordFaults {
            put: StepFault::times(2, RecordFault::Status(503)),
            save: StepFault::times(0, RecordFault::Stall),
            stat: StepFault::always(RecordFault::Reset),
            ..RecordFaults::default()
        };
        assert_eq!(faults.take(Step::Create), None);
        for left in [Some(1), None] {
            assert_eq!(faults.take(Step::Put), Some(RecordFault::Status(503)));
            assert_eq!(faults.put.as_ref().and_then(|put| put.times), left);
        }
        assert_eq!((faults.take(Step::Put), faults.put.clone()), (None, None));
        assert_eq!(faults.take(Step::Save), None);
        for _ in 0..3 {
            assert_eq!(faults.take(Step::Stat), Some(RecordFault::Reset));
        }
    }

    #[test]
    fn faults_are_written_as_scripts_write_them() {
        let text = json!({
            "not_now": true,
            "create": { "fault": "huge" },
            "put": { "fault": { "status": 503 }, "times": 3 },
            "save": { "fault": { "redirect": "http://elsewhere/" } },
        });
        let faults: RecordFaults = serde_json::from_value(text).unwrap();
        assert!(faults.not_now);
        assert_eq!(faults.create, StepFault::always(RecordFault::Huge));
        assert_eq!(faults.put, StepFault::times(3, RecordFault::Status(503)));
        let written = serde_json::to_value(&faults).unwrap();
        assert_eq!(serde_json::from_value::<RecordFaults>(written).unwrap(), faults);
        assert!(serde_json::from_str::<RecordFaults>(r#"{"put":{"fault":"rain"}}"#).is_err());
    }
}
