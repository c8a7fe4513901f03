//! The RPC peer from outside, in virtual time.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod hostile;
mod order;
mod pair;
mod peers;
mod roundtrip;

use std::time::Instant;

#[expect(clippy::disallowed_methods, reason = "an origin for virtual time")]
fn origin() -> Instant {
    Instant::now()
}
