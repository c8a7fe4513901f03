//! What a run found, whatever ran: a scenario, or the conformance of a device.

mod html;
mod json;
mod junit;
mod output;
mod text;
mod timeline;

use std::time::Duration;

use serde::{Serialize, Serializer};

pub use html::html;
pub use json::json;
pub use junit::junit;
pub use output::{OutputError, Outputs};
pub use text::summary;
pub use timeline::Moment;

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
    /// How long it took; in JSON, seconds.
    #[serde(serialize_with = "seconds")]
    pub took: Duration,
    /// What was said and seen meanwhile, in the order of time.
    pub evidence: Vec<Evidence>,
    /// What happened when, for a drawing; empty where time does not matter.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub timeline: Vec<Moment>,
    /// What random choices of this case alone came from, where there were any; in JSON the evidence tells it.
    #[serde(skip)]
    pub seed: Option<u64>,
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

impl Verdict {
    /// Every verdict, the worst first.
    pub const ALL: [Self; 4] = [Self::Fail, Self::Deviation, Self::NotSupported, Self::Pass];

    /// The verdict as a person reads it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Deviation => "deviation",
            Self::NotSupported => "not supported",
        }
    }
}

/// Something that was said or seen during a case.
#[derive(Clone, Debug, Serialize)]
pub struct Evidence {
    /// Since the begin of the run; in JSON, seconds.
    #[serde(serialize_with = "seconds")]
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
    /// A picture of a stream, as MP4 that holds this picture alone.
    Still {
        /// What it shows.
        text: String,
        /// Its bytes as Base64.
        mp4: String,
    },
}

impl Seen {
    /// A mark of the direction and the text, as one line of a protocol.
    fn line(&self) -> (&'static str, &str) {
        match self {
            Self::Received { text } => ("<-", text),
            Self::Sent { text } => ("->", text),
            Self::Note { text } => ("--", text),
            Self::Picture { text, .. } | Self::Still { text, .. } => ("[]", text),
        }
    }
}

impl Case {
    /// The seed behind a name, where there is one: ` (seed 7)`.
    pub fn seed_told(&self) -> String {
        self.seed.map_or_else(String::new, |seed| format!(" (seed {seed})"))
    }
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

/// A time as seconds, to the millisecond.
fn seconds<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(time.as_millis() as f64 / 1000.0)
}

/// The text without what neither HTML nor XML can hold, and with a mark where it was longer than `most` bytes.
fn printable(text: &str, most: usize) -> String {
    let held = |c: &char| !matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}');
    let short = &text[..text.floor_char_boundary(most)];
    let mut clean: String = short.chars().filter(held).collect();
    if short.len() < text.len() {
        clean.push_str(&format!(" … ({} bytes in all)", text.len()));
    }
    clean
}

#[cfg(test)]
mod tests;
