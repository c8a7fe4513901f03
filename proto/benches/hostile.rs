//! What the dearest of the hostile packets cost, from text to answer: the fastest of some runs, as this thread
//! alone works in them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "the rows are those of the tests"
)]
#![allow(clippy::disallowed_methods, reason = "a clock is what it is about")]

#[path = "../tests/rpc/hostile.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod hostile;

use std::hint::black_box;
use std::time::Instant;

const RUNS: usize = 20;
const SHOWN: usize = 5;

fn main() {
    let cost = |text: &str| {
        let run = |_| {
            let began = origin();
            black_box(hostile::feed(text));
            began.elapsed()
        };
        (0..RUNS).map(run).min()
    };
    let rows = hostile::rows();
    let mut costs: Vec<_> = rows.iter().map(|(text, _)| (cost(text), text)).collect();
    costs.sort_by(|a, b| b.cmp(a));
    for (cost, text) in &costs[..SHOWN] {
        let ms = cost.unwrap_or_default().as_secs_f64() * 1e3;
        let start: String = hostile::head(text).chars().take(40).collect();
        println!("{ms:.3} ms for {} bytes: {start}", text.len());
    }
}

fn origin() -> Instant {
    Instant::now()
}
