//! The device's own clock, in the device's local time.

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use ivt_base::wall_time::WallTime;
use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_settime};

use super::zone::Zone;
use crate::{Clock, Error, Kind, Result};

/// The clock of the system that the agent runs on. A clock that goes on without power is left to the system: the kernel
/// sets it where NTP is in use, or the device's scripts do with `hwclock`.
#[derive(Debug)]
pub struct SystemClock {
    zone: Zone,
    set: fn(Duration) -> nix::Result<()>,
}

impl SystemClock {
    /// The clock of a device in `zone`.
    pub fn new(zone: Zone) -> Self {
        Self { zone, set }
    }
}

#[async_trait]
impl Clock for SystemClock {
    async fn now(&self) -> Result<WallTime> {
        Ok(self.zone.local(SystemTime::now()))
    }

    async fn set(&self, time: WallTime) -> Result<()> {
        let op = "clock set";
        let since = self.zone.moment(time).duration_since(UNIX_EPOCH).unwrap_or_default();
        // Nothing but a time before 1970 becomes 1970.
        if time.seconds().is_none() {
            return Err(Error::new(op, Kind::Invalid));
        }
        (self.set)(since).map_err(|errno| match errno {
            Errno::EPERM => Error::new(op, Kind::Refused).because(NotAllowed),
            Errno::EINVAL => Error::new(op, Kind::Invalid).because(io::Error::from(errno)),
            _ => Error::new(op, Kind::Other).because(io::Error::from(errno)),
        })
    }

    fn is_the_systems(&self) -> bool {
        true
    }
}

/// The system does not let this process set its clock.
#[derive(Debug, thiserror::Error)]
#[error(
    "the agent may not set the system's clock: run it as root, or give its service the capability CAP_SYS_TIME \
     (systemd: AmbientCapabilities=CAP_SYS_TIME)"
)]
struct NotAllowed;

fn set(since: Duration) -> nix::Result<()> {
    let time = TimeSpec::from(since);
    // Some systems of 32 bits know no time after 2038.
    if Duration::from(time) != since {
        return Err(Errno::EINVAL);
    }
    clock_settime(ClockId::CLOCK_REALTIME, time)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn clock(set: fn(Duration) -> nix::Result<()>) -> SystemClock {
        SystemClock { zone: Zone::of(Path::new("/nowhere"), Some("XXX-8".into())), set }
    }

    #[tokio::test]
    async fn it_shows_local_time() {
        let clock = clock(|_| Ok(()));
        let before = clock.zone.local(SystemTime::now());
        let now = clock.now().await.unwrap();
        assert!(before <= now && now <= clock.zone.local(SystemTime::now()));
    }

    #[tokio::test]
    async fn local_time_is_set_and_refusals_say_what_to_do() {
        let wall = |text: &str| text.parse::<WallTime>().unwrap();
        let eight = clock(|since| {
            assert_eq!(since.as_secs(), 1_480_904_132 - 8 * 3600);
            Ok(())
        });
        eight.set(wall("2016-12-05T02:15:32")).await.unwrap();
        let never = clock(|_| unreachable!());
        assert_eq!(never.set(wall("1969-12-31T23:59:59")).await.unwrap_err().kind, Kind::Invalid);
        let forbidden = clock(|_| Err(Errno::EPERM)).set(wall("2016-12-05T02:15:32")).await;
        let forbidden = forbidden.unwrap_err();
        assert_eq!(forbidden.kind, Kind::Refused);
        let reason = std::error::Error::source(&forbidden).unwrap().to_string();
        assert!(reason.contains("CAP_SYS_TIME"), "{reason}");
        for (errno, kind) in [(Errno::EINVAL, Kind::Invalid), (Errno::ENOSYS, Kind::Other)] {
            let set = if errno == Errno::EINVAL {
                clock(|_| Err(Errno::EINVAL))
            } else {
                clock(|_| Err(Errno::ENOSYS))
            };
            assert_eq!(set.set(wall("2016-12-05T02:15:32")).await.unwrap_err().kind, kind);
        }
    }
}
