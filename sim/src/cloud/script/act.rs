//! One thing that a person did.

use ivt_proto::rpc::RpcError;
use serde_json::Value;

use crate::cloud::answers::Answers;
use crate::cloud::faults::Faults;

/// One thing that a person did, and what came of it.
#[derive(Clone)]
pub(in crate::cloud) enum Act {
    Call { method: String, params: Option<Value>, outcome: Result<Value, RpcError> },
    Notify { event: String, params: Option<Value> },
    Raw { text: String },
    HangUp,
    Faults(Box<Faults>),
    Answers(Box<Answers>),
}

impl Act {
    /// About how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        let of = |value: &Option<Value>| value.as_ref().map_or(0, |value| value.to_string().len());
        match self {
            Self::Call { method, params, outcome } => {
                let outcome = outcome.as_ref().map_or(0, |value| value.to_string().len());
                method.len() + of(params) + outcome
            }
            Self::Notify { event, params } => event.len() + of(params),
            Self::Raw { text } => text.len(),
            Self::HangUp => 0,
            Self::Faults(_) | Self::Answers(_) => 2000,
        }
    }
}
