//! Checks of the camera's clock.

use super::{done, offline};
use crate::{Clock, WallTime};

/// How far a clock may have gone on between two questions, in seconds.
const WHILE: u64 = 10;

/// Checks the clock of a camera that is there. It shows about what it did when this ends.
pub async fn clock(clock: &dyn Clock) {
    let before = done("clock now", clock.now()).await;
    for time in ["2024-02-29T12:34:56", "2025-12-31T23:59:30", "2026-07-01T00:00:00"] {
        set(clock, time.parse().expect("it is written as times are")).await;
    }
    set(clock, before).await;
}

/// Checks the clock of a camera that is away.
pub async fn offline_clock(clock: &dyn Clock) {
    offline("clock now", clock.now()).await;
    let time = "2026-07-01T00:00:00".parse().expect("it is written as times are");
    offline("clock set", clock.set(time)).await;
}

async fn set(clock: &dyn Clock, time: WallTime) {
    done(&format!("clock set {time}"), clock.set(time)).await;
    let shown = done("clock now", clock.now()).await;
    let seconds = |time: WallTime| time.seconds().expect("it is after 1970");
    let passed = seconds(shown).checked_sub(seconds(time));
    let is_right = passed.is_some_and(|passed| passed <= WHILE);
    assert!(is_right, "clock: it was set to {time}, and shows {shown}");
}
