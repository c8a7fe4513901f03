//! The device's local time: by the rules of its own time zone, or UTC in a program that is built without them.

use std::time::SystemTime;

use ivt_base::wall_time::WallTime;

/// What the device's clock on the wall shows at a moment.
pub fn local(moment: SystemTime) -> WallTime {
    rules::local(moment)
}

/// The moment at which the device's clock on the wall shows `wall`; times before 1970 count as 1970.
pub fn moment(wall: WallTime) -> SystemTime {
    rules::moment(wall)
}

/// The rules of the device's own time zone.
#[cfg(feature = "linux")]
pub fn zone() -> ivt_hal::linux::zone::Zone {
    rules::zone()
}

#[cfg(feature = "linux")]
mod rules {
    use std::sync::LazyLock;
    use std::time::SystemTime;

    use ivt_base::wall_time::WallTime;
    use ivt_hal::linux::zone::Zone;

    static ZONE: LazyLock<Zone> = LazyLock::new(Zone::system);

    pub(super) fn zone() -> Zone {
        ZONE.clone()
    }

    pub(super) fn local(moment: SystemTime) -> WallTime {
        ZONE.local(moment)
    }

    pub(super) fn moment(wall: WallTime) -> SystemTime {
        ZONE.moment(wall)
    }
}

#[cfg(not(feature = "linux"))]
mod rules {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use ivt_base::wall_time::WallTime;

    pub(super) fn local(moment: SystemTime) -> WallTime {
        let seconds = moment.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let shown = WallTime::from_seconds(seconds).or_else(|| WallTime::from_seconds(0));
        shown.expect("1970 has a date")
    }

    pub(super) fn moment(wall: WallTime) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(wall.seconds().unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn a_moment_and_what_the_clock_on_the_wall_shows_are_the_same() {
        for seconds in [86_400 * 2, 1_480_904_132, 1_782_907_200] {
            let at = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(moment(local(at)), at);
        }
    }
}
