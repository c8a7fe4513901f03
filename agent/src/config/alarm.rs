//! `[alarm]`: which alarms of the cameras are reported to the cloud.

use std::time::Duration;

use ivt_hal::Trigger;

use super::error::Error;
use super::section::{Section, integer, list, seconds, word};

const TRIGGERS: &[(&str, Trigger)] =
    &[("external", Trigger::Input), ("motion", Trigger::Motion), ("line", Trigger::Line)];

/// Reporting alarms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// `enable`: the alarms that are reported although the cloud has not set them up: "external", "motion", "line";
    /// default "external" alone. What the cloud sets up counts from then on.
    pub enable: Vec<Trigger>,
    /// `delay_seconds`: how long nothing may be detected before an alarm ends that the cloud has not set up, 1 to 86400;
    /// default 10.
    pub delay: Duration,
    /// `bits`: numbers of the bits in the Keepalive's `alarm` for an external alarm, motion and a crossed line, 0 to 31
    /// each; default 2, 3 and 4, as the specification has them. The C SDK sends 1, 2 and 3.
    pub bits: [u8; 3],
}

impl Default for Alarm {
    fn default() -> Self {
        Self { enable: vec![Trigger::Input], delay: seconds(10), bits: [2, 3, 4] }
    }
}

pub(super) fn alarm(mut section: Section<'_, '_>) -> Result<Alarm, Error> {
    let default = Alarm::default();
    let bits = section.read("bits", |value| {
        let bits = list(|bit| integer(0..=31)(bit))(value)?;
        let bits: Vec<u8> = bits.into_iter().filter_map(|bit| bit.try_into().ok()).collect();
        bits.try_into().map_err(|bits: Vec<u8>| format!("a list of three, found {}", bits.len()))
    })?;
    let alarm = Alarm {
        enable: section.read("enable", list(word(TRIGGERS)))?.unwrap_or(default.enable),
        delay: section.read("delay_seconds", integer(1..=86_400))?.map_or(default.delay, seconds),
        bits: bits.unwrap_or(default.bits),
    };
    section.finish()?;
    Ok(alarm)
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn read(alarm: &str) -> Result<Alarm, String> {
        let cloud = "[cloud]\nurl = 'ws://h/ivc'\nlogin_code = 'c'\nlogin_passwd = 'p'\n";
        let text = format!("{cloud}[[channel]]\nbackend = 'emulator'\n[alarm]\n{alarm}");
        text.parse::<Config>().map(|config| config.alarm).map_err(|e| e.to_string())
    }

    #[test]
    fn alarms_are_chosen_by_name() {
        assert_eq!(read(""), Ok(Alarm::default()));
        let alarm = read("enable = ['motion', 'line']\ndelay_seconds = 3\nbits = [1, 2, 3]");
        let enable = vec![Trigger::Motion, Trigger::Line];
        assert_eq!(alarm, Ok(Alarm { enable, delay: Duration::from_secs(3), bits: [1, 2, 3] }));
        assert_eq!(read("enable = []").unwrap().enable, []);
        for (wrong, words) in [
            ("enable = ['movement']", "\"external\" or \"motion\" or \"line\""),
            ("enable = 'motion'", "a list"),
            ("delay_seconds = 0", "1 to 86400"),
            ("bits = [2, 3]", "a list of three, found 2"),
            ("bits = [2, 3, 32]", "0 to 31"),
            ("bits = 4", "a list"),
            ("delay = 3", "delay_seconds"),
        ] {
            let error = read(wrong).unwrap_err();
            assert!(error.contains(words), "{wrong}: {error}");
        }
    }
}
