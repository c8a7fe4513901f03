//! Decides when a technician is told of lost packets: soon, with a count, and not all the time.

use std::time::{Duration, Instant};

/// Time from the first loss to the log line that tells of it, so that there is something to count.
const SOON: Duration = Duration::from_secs(10);
/// Shortest time between two log lines about lost packets.
const MINUTE: Duration = Duration::from_secs(60);

/// Packets of one stream that were lost and not told of.
#[derive(Debug, Default)]
pub(crate) struct LossAlert {
    lost: u64,
    /// When the first of the packets was lost.
    since: Option<Instant>,
    /// When the log was told last.
    told: Option<Instant>,
}

impl LossAlert {
    /// Notes that `lost` packets were lost, which may be none. When a log line is due, gives how
    /// many were lost and within what time.
    pub(crate) fn note(&mut self, lost: u64, now: Instant) -> Option<(u64, Duration)> {
        self.lost = self.lost.saturating_add(lost);
        if self.lost == 0 {
            return None;
        }
        let since = *self.since.get_or_insert(now);
        let span = now.saturating_duration_since(since);
        let quiet = self.told.is_none_or(|told| now.saturating_duration_since(told) >= MINUTE);
        if span < SOON || !quiet {
            return None;
        }
        (self.since, self.told) = (None, Some(now));
        Some((std::mem::take(&mut self.lost), span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_comes_soon_and_then_once_a_minute_while_packets_are_lost() {
        let epoch = Instant::now();
        let mut alert = LossAlert::default();
        let mut lines = Vec::new();
        for second in 0..300u64 {
            // One a second from 5 to 100, one at 200, and nothing.
            let lost = u64::from((5..100).contains(&second) || second == 200);
            if let Some((lost, span)) = alert.note(lost, epoch + Duration::from_secs(second)) {
                lines.push((second, lost, span.as_secs()));
            }
        }
        assert_eq!(lines, [(15, 11, 10), (75, 60, 59), (135, 24, 59), (210, 1, 10)]);
    }
}
