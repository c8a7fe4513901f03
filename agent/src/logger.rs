//! The log on standard error. Libraries that print what they send or receive are limited: one of
//! their request lines would hold our password. Secrets in use are taken out of every line.

#[cfg(feature = "ui")]
mod ring;

use std::io::Write;
#[cfg(feature = "ui")]
use std::sync::LazyLock;
use std::time::SystemTime;

use ivt_base::date::Utc;
use ivt_base::mask::mask_line;
use log::{Level, LevelFilter, Log, Metadata, Record};
#[cfg(feature = "ui")]
pub(crate) use ring::{Line, Ring};

/// Crates whose records are written up to the level `warn` only, whatever level is asked for.
const CLAMPED: [&str; 4] = ["rustls", "tokio_rustls", "tokio_tungstenite", "tungstenite"];

/// The environment variable that wins over the configured level.
const VARIABLE: &str = "RUST_LOG";

/// Starts logging at `level`, or as `RUST_LOG` in the environment says. Later calls do nothing.
pub fn init(level: LevelFilter) {
    let mut builder = env_logger::Builder::new();
    builder.format(|out, record| {
        let (level, target) = (record.level(), record.target());
        let now = Utc::from(SystemTime::now());
        let line = mask_line(&record.args().to_string());
        #[cfg(feature = "ui")]
        ring().push(now, level, target, &line);
        writeln!(out, "[{now} {level:<5} {target}] {line}")
    });
    // Without the variable the global maximum alone limits the level, so that it can be changed.
    let logger = match overruled() {
        true => builder.filter_level(level).parse_env(VARIABLE).build(),
        false => builder.filter_level(LevelFilter::Trace).build(),
    };
    let level = if overruled() { logger.filter() } else { level };
    if log::set_boxed_logger(Box::new(Clamp(logger))).is_ok() {
        log::set_max_level(level);
    }
}

/// Logs at `level` from now on. False if `RUST_LOG` is set in the environment, which wins.
pub fn set_level(level: LevelFilter) -> bool {
    if !overruled() {
        log::set_max_level(level);
    }
    !overruled()
}

/// The newest lines of the log.
#[cfg(feature = "ui")]
pub(crate) fn ring() -> &'static Ring {
    static RING: LazyLock<Ring> = LazyLock::new(Ring::new);
    &RING
}

fn overruled() -> bool {
    std::env::var_os(VARIABLE).is_some_and(|value| !value.is_empty())
}

/// Whether a record may be written. A program with a logger of its own asks this for each record.
pub fn allows(metadata: &Metadata<'_>) -> bool {
    let krate = metadata.target().split("::").next().unwrap_or_default();
    metadata.level() <= Level::Warn || !CLAMPED.contains(&krate)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(target: &str, level: Level) -> bool {
        allows(&Metadata::builder().target(target).level(level).build())
    }

    #[test]
    fn libraries_that_print_requests_are_clamped_at_any_depth() {
        for target in ["tungstenite", "tungstenite::handshake::client", "rustls::conn"] {
            assert!(!allowed(target, Level::Info) && !allowed(target, Level::Trace), "{target}");
            assert!(allowed(target, Level::Warn), "{target}");
        }
        for target in ["ivt_agent::cloud", "rustlss", "ivt_media::rtsp"] {
            assert!(allowed(target, Level::Trace), "{target}");
        }
    }
}
