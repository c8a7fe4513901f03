//! Judges the device's clock by the date of the build, which has passed wherever the program runs.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ivt_base::clock::Clock;
use ivt_base::date::Utc;

/// When this program was built, in seconds since 1970.
pub const BUILT: u64 = parse(env!("IVT_BUILT"));
/// How far a right clock may be behind the date of the build, as the builder's own clock may be
/// ahead.
const TOLERANCE: Duration = Duration::from_secs(24 * 3600);

/// The clock by which certificates are judged: the device's clock, but never earlier than the build.
pub fn clock() -> Clock {
    Clock::new(SystemTime::now, built())
}

/// Whether a time of the device's clock can be right; false while the clock was never set.
pub fn plausible(clock: SystemTime) -> bool {
    clock.checked_add(TOLERANCE).is_some_and(|clock| clock >= built())
}

/// What is wrong with a time of the device's clock, and what does not work until the clock is set; `None`
/// if the time can be right.
pub fn complaint(clock: SystemTime) -> Option<String> {
    let words = || {
        format!(
            "the device's clock says {}, and this program was made on {}: set the clock. Until then \
             certificates are judged as on that day, recordings without a date wait for one, and \
             the dates of the log are wrong",
            Utc::from(clock),
            Utc::from(built())
        )
    };
    (!plausible(clock)).then(words)
}

fn built() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(BUILT)
}

const fn parse(digits: &str) -> u64 {
    let (digits, mut number, mut i) = (digits.as_bytes(), 0, 0);
    while i < digits.len() {
        number = number * 10 + (digits[i] - b'0') as u64;
        i += 1;
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clock_that_cannot_be_right_is_complained_of() {
        let hour = Duration::from_secs(3600);
        for good in [built(), built() + 1_000_000 * hour, built() - 23 * hour] {
            assert_eq!(complaint(good), None, "{good:?}");
        }
        for wrong in [UNIX_EPOCH - hour, UNIX_EPOCH, UNIX_EPOCH + hour, built() - 25 * hour] {
            let said = complaint(wrong).expect("behind the build");
            assert!(said.contains(&Utc::from(wrong).to_string()), "{said}");
            assert!(said.contains(&Utc::from(built()).to_string()), "{said}");
        }
    }
}
