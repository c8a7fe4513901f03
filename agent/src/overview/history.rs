//! Since when each hop has been as it is.

use std::collections::BTreeMap;
use std::time::SystemTime;

use ivt_base::date::Utc;
use tokio::time::Instant;

use super::hop::Hop;
use super::state::State;

/// Since when each hop has been in its state for its reason.
#[derive(Default)]
pub(super) struct History(BTreeMap<(Option<usize>, &'static str), (State, &'static str, Instant)>);

impl History {
    /// Notes a hop at a moment, and returns since when it has been as it is.
    pub(super) fn note(&mut self, hop: &Hop, now: Instant) -> Instant {
        let entry = self.0.entry((hop.channel, hop.name)).or_insert((hop.state, hop.reason, now));
        if (entry.0, entry.1) != (hop.state, hop.reason) {
            *entry = (hop.state, hop.reason, now);
        }
        entry.2
    }
}

/// Makes dates of moments by the device's clock. A moment keeps its date until the clock is set.
pub(super) struct Dates {
    moment: Instant,
    date: SystemTime,
}

impl Dates {
    pub(super) fn new() -> Self {
        Self { moment: Instant::now(), date: SystemTime::now() }
    }

    /// The dates of now on, which are others if the clock was set meanwhile.
    pub(super) fn renewed(&self) -> Self {
        let now = Self::new();
        let expected = self.of(now.moment);
        let apart = expected.duration_since(now.date).unwrap_or_else(|later| later.duration());
        match apart.as_secs() {
            0..2 => Self { ..*self },
            _ => now,
        }
    }

    /// The date of a moment as text.
    pub(super) fn text(&self, moment: Instant) -> String {
        Utc::from(self.of(moment)).to_string()
    }

    fn of(&self, moment: Instant) -> SystemTime {
        let later = moment.saturating_duration_since(self.moment);
        let earlier = self.moment.saturating_duration_since(moment);
        let date = self.date.checked_add(later).unwrap_or(self.date);
        date.checked_sub(earlier).unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_hop_has_been_so_since_its_state_or_its_reason_changed() {
        let (mut history, start) = (History::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(history.note(&Hop::ok("tls"), at(0)), at(0));
        assert_eq!(history.note(&Hop::ok("tls").with("fact", 1), at(1)), at(0), "a fact is new");
        assert_eq!(history.note(&Hop::because("tls", "no_tls"), at(2)), at(2));
        assert_eq!(history.note(&Hop::because("tls", "tls_silent"), at(3)), at(3));
        assert_eq!(history.note(&Hop::because("tls", "tls_silent").of_channel(1), at(4)), at(4));
        assert_eq!(history.note(&Hop::because("tls", "tls_silent"), at(5)), at(3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_moment_keeps_its_date_until_the_clock_is_set() {
        let (hour, now) = (Duration::from_secs(3600), Instant::now());
        let dates = Dates { moment: now, date: SystemTime::UNIX_EPOCH + hour };
        assert_eq!(dates.text(now + hour), "1970-01-01T02:00:00Z");
        assert_eq!(dates.text(now), "1970-01-01T01:00:00Z");
        let right = dates.renewed();
        assert!(right.text(now).as_str() > "2026", "the clock was set: {}", right.text(now));
        assert_eq!(right.renewed().date, right.date);
    }
}
