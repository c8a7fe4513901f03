//! Alarms that the camera's channels raise by themselves.

use std::str::FromStr;
use std::sync::Arc;

use ivt_hal::emulator::{self, ScheduledAlarm};

use super::world::World;

/// An alarm that a channel raises, once or again and again. Written as [`ScheduledAlarm`], with the channel where it is
/// not the first: `input:at=10s,for=2s,channel=1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// What is raised, and when.
    pub alarm: ScheduledAlarm,
    /// Number of the channel, from 0.
    pub channel: usize,
}

/// The error for text that is no [`Alarm`]; it names the part that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongAlarm {
    /// The alarm cannot be read.
    #[error("{0}; beside them channel=N, a number from 0")]
    Alarm(#[from] emulator::WrongAlarm),
    /// The channel cannot be read, or is given twice.
    #[error("`{0}`: expected channel=N once, a number from 0 to 255")]
    Channel(String),
}

impl Alarm {
    /// Raises it at its times, for ever or once.
    pub(super) async fn run(self, world: Arc<World>) {
        if let Some(unit) = world.unit(self.channel) {
            self.alarm.run(&unit.emulator.world).await;
        }
    }
}

impl FromStr for Alarm {
    type Err = WrongAlarm;

    fn from_str(text: &str) -> Result<Self, WrongAlarm> {
        let Some((name, pairs)) = text.split_once(':') else {
            return Ok(Self { alarm: text.parse()?, channel: 0 });
        };
        let (channels, others): (Vec<_>, Vec<_>) =
            pairs.split(',').partition(|pair| pair.starts_with("channel="));
        let channel = match *channels {
            [] => 0,
            [pair] => pair["channel=".len()..]
                .parse::<u8>()
                .map_err(|_| WrongAlarm::Channel(pair.to_owned()))?,
            [_, pair, ..] => return Err(WrongAlarm::Channel(pair.to_owned())),
        };
        let alarm = format!("{name}:{}", others.join(",")).parse()?;
        Ok(Self { alarm, channel: channel.into() })
    }
}

#[cfg(test)]
mod tests {
    use ivt_hal::Trigger;
    use tokio::time::Instant;

    use super::*;

    #[test]
    fn alarms_are_read() {
        for (text, alarm, channel) in [
            ("motion:every=30s,for=5s", "motion:every=30s,for=5s", 0),
            ("input:channel=3,at=0.5s", "input:at=500ms", 3),
            ("line:at=1s,channel=255,for=2s", "line:at=1s,for=2s", 255),
        ] {
            let alarm = alarm.parse().unwrap();
            assert_eq!(text.parse(), Ok(Alarm { alarm, channel }), "{text}");
        }
        for (text, named, expected) in [
            ("motion", "`motion`", "every=TIME"),
            ("smoke:at=1s", "`smoke`", "channel=N"),
            ("motion:channel=1", "``", "every=TIME"),
            ("motion:at=25h,channel=1", "`at=25h`", "every=TIME"),
            ("motion:at=1s,channel=x", "`channel=x`", "channel=N"),
            ("motion:at=1s,channel=300", "`channel=300`", "channel=N"),
            ("motion:at=1s,channel=1,channel=2", "`channel=2`", "once"),
        ] {
            let error = text.parse::<Alarm>().unwrap_err().to_string();
            assert!(error.starts_with(named) && error.contains(expected), "{text}: {error}");
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
