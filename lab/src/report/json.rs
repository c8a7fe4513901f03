//! A report for programs.

use serde::Serialize;
use serde_json::Value;

use super::{Report, Verdict};

#[derive(Serialize)]
struct Whole<'a> {
    passed: bool,
    sums: serde_json::Map<String, Value>,
    #[serde(flatten)]
    report: &'a Report,
}

/// The report as JSON: that of the model, with the sums before.
pub fn json(report: &Report) -> String {
    let sum = |verdict: Verdict| {
        let name = serde_json::to_value(verdict).expect("a verdict is a word");
        (name.as_str().unwrap_or_default().to_owned(), report.count(verdict).into())
    };
    let sums = Verdict::ALL.map(sum).into_iter().collect();
    let whole = Whole { passed: report.passed(), sums, report };
    serde_json::to_string_pretty(&whole).expect("a report has text keys only") + "\n"
}
