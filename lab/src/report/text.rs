//! A report for the terminal.

use std::fmt::Write as _;

use super::{Report, Verdict, printable};

/// Most bytes of a text of a device in a line.
const MOST: usize = 400;

/// What did not simply pass, a line each, and the sums.
pub fn summary(report: &Report) -> String {
    let mut out = String::new();
    for verdict in Verdict::ALL.into_iter().filter(|verdict| *verdict != Verdict::Pass) {
        for case in report.cases.iter().filter(|case| case.verdict == verdict) {
            let (id, reason) = (printable(&case.id, MOST), printable(&case.reason, MOST));
            let reason = reason.replace(['\n', '\r'], " ");
            let _ = writeln!(out, "{:<13} {id}{}: {reason}", verdict.word(), case.seed_told());
        }
    }
    let count = |verdict: Verdict| format!("{} {}", report.count(verdict), verdict.word());
    let sums: Vec<String> =
        [Verdict::Pass, Verdict::Fail, Verdict::Deviation, Verdict::NotSupported].map(count).into();
    let subject = printable(&report.subject, MOST).replace(['\n', '\r'], " ");
    let _ = writeln!(out, "{} of {subject}: {}", report.title, sums.join(", "));
    out
}
