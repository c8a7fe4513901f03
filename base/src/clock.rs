//! The device's clock. Many devices have none that runs on without power, and start in 1970.

use std::time::{SystemTime, UNIX_EPOCH};

/// The device's clock, and a date that has passed for certain.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    device: fn() -> SystemTime,
    passed: SystemTime,
}

impl Clock {
    /// A clock that reads `device` and is never earlier than `passed`.
    pub fn new(device: fn() -> SystemTime, passed: SystemTime) -> Self {
        Self { device, passed }
    }

    /// What the device believes.
    pub fn device(&self) -> SystemTime {
        (self.device)()
    }

    /// The device's clock, or the date that has passed while the clock is behind it.
    pub fn now(&self) -> SystemTime {
        self.device().max(self.passed)
    }
}

impl Default for Clock {
    /// A clock that believes the device, whatever it says.
    fn default() -> Self {
        Self::new(SystemTime::now, UNIX_EPOCH)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_device_is_believed_from_the_date_that_has_passed() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let clock = |passed| Clock::new(|| UNIX_EPOCH + Duration::from_secs(100), passed);
        assert_eq!(clock(at(90)).now(), at(100));
        assert_eq!(clock(at(110)).now(), at(110));
        assert_eq!(clock(at(110)).device(), at(100));
        let before_1970 = Clock::new(|| UNIX_EPOCH - Duration::from_secs(5), UNIX_EPOCH);
        assert_eq!(before_1970.now(), UNIX_EPOCH);
    }
}
