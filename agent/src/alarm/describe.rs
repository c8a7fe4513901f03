//! What a report says to the person who reads it. Pure.

use std::time::Duration;

use ivt_base::text::shorten;
use ivt_hal::Trigger;
use tokio::time::Instant;

use super::outbox::Report;

/// A report that leaves later than this after its alarm says so.
pub(super) const LATE: Duration = Duration::from_secs(10);

/// The `desc` of a report that leaves now: what happened, the camera's words, the camera's local time, and how late it is.
pub(super) fn describe(report: &Report, now: Instant) -> String {
    let event = match (report.place.1, report.begins) {
        (Trigger::Input, true) => "Alarm input",
        (Trigger::Input, false) => "Alarm input ended",
        (Trigger::Motion, true) => "Motion detected",
        (Trigger::Motion, false) => "Motion ended",
        (Trigger::Line, true) => "Line crossed",
        (Trigger::Line, false) => "Line crossing ended",
    };
    let mut text = event.to_owned();
    let what = shorten(report.what.trim());
    if !what.is_empty() {
        text += &format!(" ({what})");
    }
    text += &format!(", {}", report.shown.to_string().replace('T', " "));
    if is_late(report, now) {
        let seconds = now.saturating_duration_since(report.happened).as_secs();
        let late = match seconds {
            7200.. => format!("{} h", seconds / 3600),
            120.. => format!("{} min", seconds / 60),
            _ => format!("{seconds} s"),
        };
        text += &format!(", reported {late} late");
    }
    text
}

/// Whether a report that leaves now is late.
pub(super) fn is_late(report: &Report, now: Instant) -> bool {
    now.saturating_duration_since(report.happened) > LATE
}

#[cfg(test)]
mod tests {
    use super::super::outbox::Outbox;
    use super::*;

    #[test]
    fn a_person_is_told_what_happened_and_when() {
        let now = Instant::now();
        let said = |trigger, begins: bool, what: &str, late| {
            let mut outbox = Outbox::default();
            let shown = "2026-11-30T22:05:09".parse().unwrap();
            outbox.begin((0, trigger), what, shown, now);
            if !begins {
                outbox.send(now).unwrap();
                outbox.done();
                outbox.end((0, trigger), shown, now);
            }
            describe(&outbox.send(now).unwrap(), now + Duration::from_secs(late))
        };
        for (trigger, begins, what, late, text) in [
            (
                Trigger::Motion,
                true,
                "Front door",
                0,
                "Motion detected (Front door), 2026-11-30 22:05:09",
            ),
            (
                Trigger::Motion,
                false,
                "Front door",
                10,
                "Motion ended (Front door), 2026-11-30 22:05:09",
            ),
            (Trigger::Input, true, " ", 90, "Alarm input, 2026-11-30 22:05:09, reported 90 s late"),
            (
                Trigger::Line,
                true,
                "",
                3600,
                "Line crossed, 2026-11-30 22:05:09, reported 60 min late",
            ),
            (
                Trigger::Line,
                false,
                "",
                9000,
                "Line crossing ended, 2026-11-30 22:05:09, reported 2 h late",
            ),
            (Trigger::Input, false, "a\nb", 0, "Alarm input ended (ab), 2026-11-30 22:05:09"),
        ] {
            assert_eq!(said(trigger, begins, what, late), text);
        }
        let long = said(Trigger::Input, true, &"录".repeat(5_000), 0);
        assert!(long.chars().count() < 300, "{long}");
    }
}
