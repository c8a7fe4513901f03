//! Finds the rate in which timestamps count, where the session description and the sound disagree.

use super::config::Config;

/// Steps between packets that must fit a rate before it is taken.
const ENOUGH: u8 = 2;
/// Packets to decide from; the declared rate is taken if they tell nothing.
const PATIENCE: u8 = 6;
/// A step fits a rate if it is off by at most one part in so many: timestamps may be rounded to
/// milliseconds.
const TOLERANCE: u64 = 32;

/// The rate of the timestamps, and how far apart access units are in it.
#[derive(Debug)]
pub(super) struct Rate {
    declared: u32,
    /// Samples per second of the sound; 0 as long as they are not known, and for sound without
    /// access units.
    core: u32,
    /// Samples in an access unit; 0 as long as `core` is.
    samples: u32,
    used: u32,
    open: Option<Open>,
}

#[derive(Debug, Default)]
struct Open {
    /// Timestamp and number of access units of the newest packet.
    last: Option<(u32, u32)>,
    votes: [u8; 3],
    packets: u8,
}

impl Rate {
    /// A rate of `declared` Hz by the session description; 0 where it declares none.
    pub(super) fn new(declared: u32) -> Self {
        Self { declared, core: 0, samples: 0, used: declared, open: None }
    }

    /// Takes the sound's own rate, which is known now or has changed.
    pub(super) fn configure(&mut self, config: &Config) {
        if (self.core, self.samples) == (config.rate, config.samples) {
            return;
        }
        (self.core, self.samples) = (config.rate, config.samples);
        if self.declared == 0 {
            self.declared = self.core;
        }
        self.used = self.declared;
        self.open = (self.declared != self.core).then(Open::default);
    }

    /// Ticks per second.
    pub(super) fn used(&self) -> u32 {
        self.used
    }

    /// Whether the rate may yet change with the next few packets.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Stays with the rate that is used now.
    pub(super) fn settle(&mut self) {
        self.open = None;
    }

    /// The duration of so many access units in ticks, modulo 2³².
    pub(super) fn ticks(&self, units: u32) -> u32 {
        span(units, self.samples, self.used, self.core) as u32
    }

    /// Learns from a packet in which so many access units begin. `follows` tells that no packet was
    /// lost before it.
    pub(super) fn packet(&mut self, timestamp: u32, units: u32, follows: bool) {
        let Some(open) = &mut self.open else { return };
        let last = open.last.replace((timestamp, units));
        // The rate of HE-AAC is twice that of its core.
        let rates = [self.declared, self.core, self.core.saturating_mul(2)];
        if let Some((before, units)) = last.filter(|_| follows) {
            let step = u64::from(timestamp.wrapping_sub(before));
            let fits = rates.iter().position(|rate| {
                let want = span(units, self.samples, *rate, self.core);
                want > 0 && want.abs_diff(step) <= want / TOLERANCE
            });
            if let Some((rate, votes)) =
                fits.and_then(|at| rates.get(at).zip(open.votes.get_mut(at)))
            {
                *votes += 1;
                if *votes >= ENOUGH {
                    self.used = *rate;
                    return self.settle();
                }
            }
        }
        open.packets += 1;
        if open.packets >= PATIENCE {
            self.settle();
        }
    }
}

fn span(units: u32, samples: u32, rate: u32, core: u32) -> u64 {
    let samples = u64::from(units).saturating_mul(samples.into());
    samples.saturating_mul(rate.into()).checked_div(core.into()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(declared: u32, core: u32) -> Rate {
        let mut rate = Rate::new(declared);
        rate.configure(&Config { object_type: 2, rate: core, channels: 1, samples: 1024 });
        rate
    }

    fn after(declared: u32, core: u32, step: u32, units: u32) -> (u32, bool) {
        let mut rate = rate(declared, core);
        for n in 0..3u32 {
            rate.packet((u32::MAX - 500).wrapping_add(n * step), units, true);
        }
        (rate.used(), rate.is_open())
    }

    #[test]
    fn rates_that_agree_are_not_doubted() {
        assert!(!rate(16000, 16000).is_open());
        assert_eq!(after(16000, 16000, 777, 1), (16000, false));
        assert_eq!(rate(0, 16000).used(), 16000, "none is declared");
    }

    #[test]
    fn two_steps_decide_between_rates_that_differ() {
        assert_eq!(after(8000, 16000, 1024, 1), (16000, false));
        assert_eq!(after(8000, 16000, 512, 1), (8000, false));
        assert_eq!(after(8000, 16000, 4 * 1024, 4), (16000, false));
        assert_eq!(after(90000, 16000, 5760, 1), (90000, false));
        assert_eq!(after(90000, 16000, 64 * 90, 1), (90000, false));
        // HE-AAC on a core of 16 kHz may count in the rate of its core, or in the rate it plays at.
        assert_eq!(after(32000, 16000, 2048, 1), (32000, false));
        assert_eq!(after(32000, 16000, 1024, 1), (16000, false));
        assert_eq!(after(16001, 16000, 2048, 1), (32000, false));
    }

    #[test]
    fn steps_that_tell_nothing_leave_the_declared_rate() {
        let mut rate = rate(8000, 16000);
        for n in 0..6 {
            assert!(rate.is_open(), "after {n} packets");
            rate.packet(n * 100, 1, true);
        }
        assert_eq!((rate.used(), rate.is_open()), (8000, false));
    }

    #[test]
    fn steps_over_a_loss_do_not_count() {
        let mut rate = rate(8000, 16000);
        for n in 0..4 {
            rate.packet(n * 1024, 1, false);
        }
        assert!(rate.is_open());
    }

    #[test]
    fn access_units_are_as_far_apart_as_their_samples() {
        assert_eq!(rate(48000, 48000).ticks(3), 3072);
        assert_eq!(rate(90000, 48000).ticks(1), 1920);
        assert_eq!(
            rate(u32::MAX, 4000).ticks(u32::MAX),
            u64::MAX.checked_div(4000).unwrap() as u32
        );
        assert_eq!(Rate::new(48000).ticks(1), 0);
    }
}
