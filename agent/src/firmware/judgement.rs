//! What became of the firmware that was installed last, as far as device and journal tell.

use ivt_hal::Running;

use super::journal::Installed;

/// What became of the firmware that was installed last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// The device was to restart, and has not done so.
    RestartOwed,
    /// What runs is on trial.
    OnTrial,
    /// It runs, and nothing is on trial.
    Stays,
    /// It does not run: it did not start, or it was left.
    Failed,
    /// There is none, or the device never said that it took it.
    Unknown,
}

/// Judges by what runs, what was installed `last`, and whether the device has `owed` a restart since it started.
pub(super) fn judge(running: &Running, last: Option<&Installed>, owed: bool) -> Judgement {
    let Some(last) = last else {
        return if running.trial { Judgement::OnTrial } else { Judgement::Unknown };
    };
    let same = last.counter.is_some() && running.counter == last.counter;
    let known = last.counter.is_some() && running.counter.is_some();
    let gave_up = last.counter.is_some() && running.failed == last.counter;
    match (owed, running.trial) {
        // What is on trial and has not been given up runs only after a restart.
        (true, trial) if !trial || last.failed => Judgement::RestartOwed,
        (_, true) => Judgement::OnTrial,
        _ if last.failed => Judgement::Failed,
        // The device may tell of a failure before the one that it has made good.
        _ if same => Judgement::Stays,
        _ if gave_up || known && last.done => Judgement::Failed,
        _ if last.done && running.counter.is_none() => Judgement::Stays,
        _ => Judgement::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_and_journal_tell_what_became_of_it() {
        use Judgement::{Failed, OnTrial, RestartOwed, Stays, Unknown};
        let runs = |trial, counter| Running { trial, counter, failed: None };
        let left = |counter| Running { trial: false, counter, failed: Some(42) };
        let last =
            |done, failed| Installed { counter: Some(42), done, failed, ..Installed::default() };
        let unsigned = Installed { done: true, ..Installed::default() };
        for (running, last, owed, want) in [
            (runs(false, Some(41)), None, false, Unknown),
            (runs(true, Some(42)), None, false, OnTrial),
            // It was taken, and the device has not restarted.
            (runs(false, Some(41)), Some(last(true, false)), true, RestartOwed),
            (runs(false, None), Some(last(true, false)), true, RestartOwed),
            (runs(false, Some(42)), Some(last(true, false)), true, RestartOwed),
            // It gave way, and the device has not restarted.
            (runs(true, Some(42)), Some(last(true, true)), true, RestartOwed),
            (left(Some(42)), Some(last(true, true)), true, RestartOwed),
            // Where a restart is none of the kernel's.
            (runs(true, Some(42)), Some(last(true, false)), true, OnTrial),
            (runs(true, Some(42)), Some(last(true, false)), false, OnTrial),
            (runs(true, None), Some(last(false, false)), false, OnTrial),
            (runs(false, Some(42)), Some(last(true, false)), false, Stays),
            (runs(false, None), Some(last(true, false)), false, Stays),
            (runs(false, None), Some(unsigned.clone()), false, Stays),
            // A second try has made good the first.
            (left(Some(42)), Some(last(true, false)), false, Stays),
            // The program restarted the device before it ended.
            (runs(false, Some(42)), Some(last(false, false)), false, Stays),
            (runs(false, Some(41)), Some(last(true, false)), false, Failed),
            (left(Some(41)), Some(last(false, false)), false, Failed),
            (left(None), Some(last(true, false)), false, Failed),
            (runs(false, None), Some(last(true, true)), false, Failed),
            // The device refused it, or nobody knows whether it took it.
            (runs(false, None), Some(last(false, false)), false, Unknown),
            (runs(false, Some(41)), Some(last(false, false)), false, Unknown),
            (runs(false, Some(41)), Some(unsigned), false, Unknown),
        ] {
            assert_eq!(judge(&running, last.as_ref(), owed), want, "{running:?} {last:?} {owed}");
        }
    }
}
