//! The log on standard error. Libraries that print what they send or receive are kept short: a
//! request line of theirs would hold our password.

use std::fmt::{self, Display, Formatter};
use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use log::{Level, LevelFilter, Log, Metadata, Record};

/// Never more than warnings from these, whatever level is asked for.
const CLAMPED: [&str; 5] =
    ["http_auth", "rustls", "tokio_rustls", "tokio_tungstenite", "tungstenite"];
/// Nothing from this one: its warnings quote addresses, which hold a password on some cameras, and
/// whatever a camera sent. Its errors reach us as values.
const SILENT: &str = "retina";

/// Starts logging at `level`; `RUST_LOG` in the environment wins over it. Later calls do nothing.
pub fn init(level: LevelFilter) {
    let mut builder = env_logger::Builder::new();
    builder.format(|out, record| {
        let (level, target) = (record.level(), record.target());
        writeln!(out, "[{} {level:<5} {target}] {}", Utc::now(), record.args())
    });
    let logger = Clamp(builder.filter_level(level).parse_env("RUST_LOG").build());
    let level = logger.0.filter();
    if log::set_boxed_logger(Box::new(logger)).is_ok() {
        log::set_max_level(level);
    }
}

/// True when a record may be written: wrap a logger of your own in this.
pub fn allows(metadata: &Metadata<'_>) -> bool {
    let krate = metadata.target().split("::").next().unwrap_or_default();
    krate != SILENT && (metadata.level() <= Level::Warn || !CLAMPED.contains(&krate))
}

struct Clamp(env_logger::Logger);

impl Log for Clamp {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        allows(metadata) && self.0.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if allows(record.metadata()) {
            self.0.log(record);
        }
    }

    fn flush(&self) {
        self.0.flush();
    }
}

/// A date as logs have it: `2026-11-21T12:40:11Z`.
struct Utc(Duration);

impl Utc {
    /// By the device's clock; one before 1970 counts as 1970.
    fn now() -> Self {
        Self(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
    }
}

impl Display for Utc {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (days, second) = (self.0.as_secs() / 86_400, self.0.as_secs() % 86_400);
        let (year, month, day) = civil(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

/// Year, month and day of a day since 1970. Years are counted from March here, so that a leap day
/// is the last one of its year.
fn civil(days: u64) -> (u64, u64, u64) {
    const YEAR: u64 = 365;
    const CENTURY: u64 = 100 * YEAR + 24;
    const FOUR_CENTURIES: u64 = 4 * CENTURY + 1;
    // From 1 March of the year 0.
    let days = days + 719_468;
    let (era, day) = (days / FOUR_CENTURIES, days % FOUR_CENTURIES);
    let year = (day - day / (4 * YEAR) + day / CENTURY - day / (FOUR_CENTURIES - 1)) / YEAR;
    let day = day - (year * YEAR + year / 4 - year / 100);
    // March to July, and August to December, take 153 days each.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_in_utc_also_after_2038() {
        for (seconds, date) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_265_611, "2026-11-21T12:53:31Z"),
            (2_147_483_648, "2038-01-19T03:14:08Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(Utc(Duration::from_secs(seconds)).to_string(), date);
        }
    }

    #[test]
    fn every_day_follows_the_one_before_it() {
        let mut before = civil(0);
        for days in 1..200_000 {
            let (year, month, day) = civil(days);
            let follows = match before {
                (y, m, d) if (year, month) == (y, m) => day == d + 1,
                (y, m, d) if year == y => month == m + 1 && day == 1 && d >= 28,
                (y, m, d) => (year, month, day) == (y + 1, 1, 1) && (m, d) == (12, 31),
            };
            assert!(follows, "{before:?} is followed by {year}-{month}-{day}");
            before = (year, month, day);
        }
    }

    fn allowed(target: &str, level: Level) -> bool {
        allows(&Metadata::builder().target(target).level(level).build())
    }

    #[test]
    fn libraries_that_print_requests_are_clamped_at_any_depth() {
        for target in ["tungstenite", "tungstenite::handshake::client", "rustls::conn"] {
            assert!(!allowed(target, Level::Info) && !allowed(target, Level::Trace), "{target}");
            assert!(allowed(target, Level::Warn), "{target}");
        }
        for target in ["retina", "retina::client"] {
            assert!(!allowed(target, Level::Error), "{target}");
        }
        for target in ["ivt_agent::cloud", "retinas", "ivt_media::rtsp"] {
            assert!(allowed(target, Level::Trace), "{target}");
        }
    }
}
