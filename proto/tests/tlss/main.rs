//! The hosted service's session from outside, in virtual time.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod rules;
mod splits;

use std::time::{Duration, Instant};

use ivt_proto::tlss::Session;

#[expect(clippy::disallowed_methods, reason = "an origin for virtual time")]
fn origin() -> Instant {
    Instant::now()
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A session whose identity was written at `now`.
fn identified(now: Instant) -> Session {
    let mut session = Session::default();
    session.handle_sent(now);
    session
}
