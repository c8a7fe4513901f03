//! Alarms that the camera raises by itself.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use ivt_hal::Trigger;
use tokio::time::{Instant, sleep, sleep_until};

use super::world::World;

/// How long an alarm lasts that does not say.
const USUAL: Duration = Duration::from_secs(1);
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(86_400);

/// An alarm that a channel raises, once or again and again. Written `motion:every=30s,for=5s` or
/// `input:at=10s,for=2s,channel=1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// What is set off.
    pub trigger: Trigger,
    /// Number of the channel, from 0.
    pub channel: usize,
    /// Time from the start of the camera to the first one.
    pub first: Duration,
    /// Time from one to the next; `None` for a single one.
    pub every: Option<Duration>,
    /// How long each lasts; shorter than `every`.
    pub lasts: Duration,
}

/// The error for text that is no [`Alarm`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0}: expected motion, line or input, a colon, and of at=TIME, every=TIME, for=TIME, channel=N at least one of \
     the first two; times such as 500ms, 30s or 2m, from 100ms to a day, and `for` shorter than `every`"
)]
pub struct WrongAlarm(String);

impl Alarm {
    /// Raises it at its times, for ever or once.
    pub(super) async fn run(self, world: Arc<World>) {
        let Some(unit) = world.unit(self.channel) else { return };
        let mut at = Instant::now() + self.first;
        loop {
            sleep_until(at).await;
            unit.emulator.world.trigger(self.trigger, true);
            sleep(self.lasts).await;
            unit.emulator.world.trigger(self.trigger, false);
            match self.every {
                Some(every) => at += every,
                None => return,
            }
        }
    }
}

impl FromStr for Alarm {
    type Err = WrongAlarm;

    fn from_str(text: &str) -> Result<Self, WrongAlarm> {
        let wrong = |what: &str| WrongAlarm(format!("`{what}`"));
        let (name, rest) = text.split_once(':').ok_or_else(|| wrong(text))?;
        let trigger = trigger(name).ok_or_else(|| wrong(name))?;
        let (mut at, mut every, mut lasts, mut channel) = (None, None, None, None);
        for pair in rest.split(',') {
            let (key, value) = pair.split_once('=').ok_or_else(|| wrong(pair))?;
            let place = match key {
                "at" => &mut at,
                "every" => &mut every,
                "for" => &mut lasts,
                "channel" if channel.is_none() => {
                    channel = Some(value.parse::<u8>().map_err(|_| wrong(pair))?);
                    continue;
                }
                _ => return Err(wrong(pair)),
            };
            let time = time(value).ok_or_else(|| wrong(pair))?;
            if place.replace(time).is_some() {
                return Err(wrong(pair));
            }
        }
        let lasts = lasts.unwrap_or(USUAL);
        let first = at.or(every).ok_or_else(|| wrong(rest))?;
        if every.is_some_and(|every| every <= lasts) {
            return Err(wrong(rest));
        }
        let channel = channel.unwrap_or_default().into();
        Ok(Self { trigger, channel, first, every, lasts })
    }
}

/// The trigger of this name: `motion`, `line` or `input`.
pub(super) fn trigger(name: &str) -> Option<Trigger> {
    Some(match name {
        "motion" => Trigger::Motion,
        "line" => Trigger::Line,
        "input" => Trigger::Input,
        _ => return None,
    })
}

/// A time such as `500ms`, `1.5s` or `2m`.
fn time(text: &str) -> Option<Duration> {
    let unit = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit);
    let seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        _ => return None,
    };
    let plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number = number.parse::<f64>().ok().filter(|_| plain)?;
    let time = Duration::try_from_secs_f64(number * seconds).ok()?;
    (SHORTEST..=LONGEST).contains(&time).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn alarms_are_read() {
        let motion = Alarm {
            trigger: Trigger::Motion,
            channel: 0,
            first: seconds(30.0),
            every: Some(seconds(30.0)),
            lasts: seconds(5.0),
        };
        let single = Alarm { first: seconds(0.5), every: None, lasts: USUAL, ..motion };
        for (text, alarm) in [
            ("motion:every=30s,for=5s", motion),
            ("motion:for=5s,every=30s,at=2m", Alarm { first: seconds(120.0), ..motion }),
            ("line:at=500ms", Alarm { trigger: Trigger::Line, ..single }),
            ("input:channel=3,at=0.5s", Alarm { trigger: Trigger::Input, channel: 3, ..single }),
        ] {
            assert_eq!(text.parse(), Ok(alarm), "{text}");
        }
        for (text, named) in [
            ("motion", "`motion`"),
            ("smoke:at=1s", "`smoke`"),
            ("motion:for=5s", "`for=5s`"),
            ("motion:", "``"),
            ("motion:at", "`at`"),
            ("motion:at=5", "`at=5`"),
            ("motion:at=5h", "`at=5h`"),
            ("motion:at=-5s", "`at=-5s`"),
            ("motion:at=1e9s", "`at=1e9s`"),
            ("motion:at=10ms", "`at=10ms`"),
            ("motion:at=1s,at=2s", "`at=2s`"),
            ("motion:every=5s,for=5s", "`every=5s,for=5s`"),
            ("motion:at=1s,channel=x", "`channel=x`"),
            ("motion:at=1s,channel=300", "`channel=300`"),
            ("motion:at=1s,until=2s", "`until=2s`"),
        ] {
            let error = text.parse::<Alarm>().unwrap_err().to_string();
            assert!(error.starts_with(named) && error.contains("every=TIME"), "{text}: {error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn alarms_come_at_their_times() {
        let world = Arc::new(World::new(2));
        let mut changes = world.units()[1].emulator.world.changes();
        let began = Instant::now();
        for text in ["motion:every=30s,for=5s,channel=1", "input:at=12s,for=2s,channel=1"] {
            tokio::spawn(text.parse::<Alarm>().unwrap().run(world.clone()));
        }
        for (trigger, active, at) in [
            (Trigger::Input, true, 12),
            (Trigger::Input, false, 14),
            (Trigger::Motion, true, 30),
            (Trigger::Motion, false, 35),
            (Trigger::Motion, true, 60),
        ] {
            assert_eq!(changes.recv().await, Ok((trigger, active)));
            assert_eq!(began.elapsed().as_secs(), at);
        }
        assert_eq!(world.units()[0].emulator.world.triggers().active().count(), 0);
    }
}
