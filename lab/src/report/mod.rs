//! What a run found, whatever ran: a scenario, or the conformance of a device.

use std::time::Duration;

use serde::Serialize;

/// The outcome of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// What ran, as a person says it: `IVR RPC conformance`.
    pub title: String,
    /// The device or the files that it was run on, with model and version where they are known.
    pub subject: String,
    /// When it began, as text of RFC 3339 in UTC.
    pub started: String,
    /// What random choices came from, where there were any.
    pub seed: Option<u64>,
    /// The cases in their order.
    pub cases: Vec<Case>,
}

/// One thing that was tried.
#[derive(Clone, Debug, Serialize)]
pub struct Case {
    /// A name for programs, in lower case with dots: `rpc.order`. It stays the same from release to release.
    pub id: String,
    /// The rule in a sentence.
    pub name: String,
    /// The section of the specification or the file that the rule stands in; empty for none.
    pub section: String,
    /// The outcome.
    pub verdict: Verdict,
    /// Why it is no plain pass, in a sentence that tells what was expected and what came; empty for a pass.
    pub reason: String,
    /// How long it took.
    pub took: Duration,
    /// What was said and seen meanwhile, in the order of time.
    pub evidence: Vec<Evidence>,
}

/// The outcome of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As the rule says.
    Pass,
    /// Against the rule.
    Fail,
    /// Against the letter of the rule, in a way that deployed peers are known for and ours lives with.
    Deviation,
    /// The device says that it does not do this.
    NotSupported,
}

/// Something that was said or seen during a case.
#[derive(Clone, Debug, Serialize)]
pub struct Evidence {
    /// Since the begin of the run.
    pub at: Duration,
    /// What it is.
    #[serde(flatten)]
    pub what: Seen,
}

/// What was said or seen. Secrets are masked by who makes it.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Seen {
    /// A packet from the device.
    Received {
        /// The text of the packet, shortened where it is long.
        text: String,
    },
    /// A packet to the device.
    Sent {
        /// The text of the packet, shortened where it is long.
        text: String,
    },
    /// What the runner did or noticed, in a sentence.
    Note {
        /// The sentence.
        text: String,
    },
    /// A picture, as JPEG.
    Picture {
        /// What it shows.
        text: String,
        /// Its bytes as Base64.
        jpeg: String,
    },
}

impl Report {
    /// The number of cases with this verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.cases.iter().filter(|case| case.verdict == verdict).count()
    }

    /// Whether no case failed, and there was one at all.
    pub fn passed(&self) -> bool {
        !self.cases.is_empty() && self.count(Verdict::Fail) == 0
    }
}
