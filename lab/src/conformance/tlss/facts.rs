//! What is seen of a device beside the case that is run: of every identity, reply and pause.

use std::collections::BTreeMap;
use std::time::Duration;

use ivt_sim::tlss::Reply;

use super::check::Check;
use super::timing::Timing;
use crate::report::{Seen, Verdict};

/// The outcome of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) verdict: Verdict,
    /// Why it is no plain pass.
    pub(super) reason: String,
}

impl Finding {
    pub(super) fn pass() -> Self {
        Self { verdict: Verdict::Pass, reason: String::new() }
    }

    pub(super) fn fail(reason: impl Into<String>) -> Self {
        Self { verdict: Verdict::Fail, reason: reason.into() }
    }

    pub(super) fn deviation(reason: impl Into<String>) -> Self {
        Self { verdict: Verdict::Deviation, reason: reason.into() }
    }

    pub(super) fn not_supported(reason: impl Into<String>) -> Self {
        Self { verdict: Verdict::NotSupported, reason: reason.into() }
    }

    /// How bad it is: of several findings of one rule the worst counts.
    fn weight(&self) -> u8 {
        match self.verdict {
            Verdict::Pass => 1,
            Verdict::NotSupported => 0,
            Verdict::Deviation => 2,
            Verdict::Fail => 3,
        }
    }
}

/// The worst finding of each rule that is watched all the time, and the bytes that show it.
#[derive(Debug, Default)]
pub(super) struct Facts(BTreeMap<Check, (Finding, Vec<Seen>)>);

impl Facts {
    /// Adds a finding. The evidence of the worst, and of the first pass, is kept.
    pub(super) fn note(&mut self, check: Check, finding: Finding, evidence: Seen) {
        let known = self.0.get(&check).map_or(0, |(known, _)| known.weight() + 1);
        if finding.weight() + 1 > known {
            self.0.insert(check, (finding, vec![evidence]));
        }
    }

    /// The finding of a rule so far.
    pub(super) fn take(&mut self, check: Check) -> Option<(Finding, Vec<Seen>)> {
        self.0.remove(&check)
    }

    /// Whether the rule has a finding.
    pub(super) fn has(&self, check: Check) -> bool {
        self.0.contains_key(&check)
    }

    /// Judges the form of a reply, its lengths and its pauses.
    pub(super) fn reply(&mut self, reply: &Reply, timing: &Timing) {
        let seen = || Seen::Received { text: shown(&reply.raw) };
        self.note(Check::ReplyForm, form(reply), seen());
        self.note(Check::ReplyLength, length(reply), seen());
        self.note(Check::ReplyWhole, whole(reply.longest_pause, timing), seen());
    }
}

fn form(reply: &Reply) -> Finding {
    let http = reply.status_line.starts_with("HTTP/1.");
    match (reply.status(), reply.blank_line) {
        (Some(_), true) if http => Finding::pass(),
        (Some(_), true) => Finding::deviation(format!(
            "the status line is {:?}, as in the document's example, without HTTP/1.1",
            reply.status_line
        )),
        (Some(_), false) if http => Finding::fail(
            "there is no blank line (CR LF CR LF) behind the headers: deployed servers find no body",
        ),
        _ => Finding::deviation(
            "a bare body without status line and headers, as devices of the IPAI family send",
        ),
    }
}

fn length(reply: &Reply) -> Finding {
    let declared = reply.header("Content-Length").map(str::parse::<usize>);
    match declared {
        Some(Ok(length)) if length != reply.body.len() => Finding::fail(format!(
            "Content-Length is {length}, and the body has {} bytes",
            reply.body.len()
        )),
        Some(Err(_)) => Finding::fail("Content-Length is no number"),
        _ => Finding::pass(),
    }
}

fn whole(pause: Duration, timing: &Timing) -> Finding {
    match pause > timing.pause {
        true => Finding::fail(format!(
            "a pause of {:.1} s in a reply: servers that read until 2 s of silence miss the rest",
            pause.as_secs_f32()
        )),
        false => Finding::pass(),
    }
}

/// Bytes as the report shows them.
pub(super) fn shown(bytes: &[u8]) -> String {
    const MOST: usize = 1500;
    let text = bytes[..bytes.len().min(MOST)].escape_ascii().to_string();
    let text = text.replace("\\r\\n", "\\r\\n\n").replace("\\n\n\\n", "\\n\n\\n\n");
    match bytes.len() > MOST {
        true => format!("{text} … ({} bytes in all)", bytes.len()),
        false => text,
    }
}
