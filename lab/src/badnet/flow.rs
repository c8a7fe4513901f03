//! What is drawn for one direction of a connection: losses and ends, and the rate and the jitter that a line has.

use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};

use super::conditions::{Shape, Way};
use super::dice::{share, stream};

/// Time for which a rate stays the same, in nanoseconds.
pub(super) const RATE_SLOT: u64 = 1_000_000_000;
/// Most times that one packet is lost again.
const MOST_AGAIN: u32 = 5;

/// One direction of a connection.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) dice: Pcg64,
    /// Bytes that came.
    pub(super) offset: u64,
    /// Nothing goes on before this moment.
    pub(super) floor: u64,
    /// Whether packets are being lost.
    pub(super) losing: bool,
    /// The rate at which the present packet leaves, in bit/s.
    pub(super) rate: u64,
    pub(super) ended: bool,
}

/// What becomes of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Fate {
    /// It goes on.
    Pass,
    /// It begins with a lost packet, which was sent again.
    Late,
    /// The connection is reset in its place.
    Reset,
    /// The connection is forgotten in its place.
    HalfOpen,
    /// The packet is lost.
    Lost,
    /// The packet is lost, since too many wait.
    Overflow,
    /// The packet is overtaken.
    Overtaken,
    /// The packet is one that went on already.
    Copy,
}

impl Flow {
    /// What becomes of the next packet of a stream, and how long it takes to be sent again.
    pub(super) fn packet(&mut self, way: &Way, retry: u64) -> (Fate, u64) {
        let lost = self.loses(way);
        let [ends, again] = [(); 2].map(|()| share(&mut self.dice));
        if ends < way.reset {
            return (Fate::Reset, 0);
        }
        if ends < way.reset + way.half_open {
            return (Fate::HalfOpen, 0);
        }
        if !lost {
            return (Fate::Pass, 0);
        }
        // Each time that it is lost again, TCP waits twice as long.
        let (mut times, mut chance) = (1, way.loss);
        while again < chance && times <= MOST_AGAIN {
            (times, chance) = (times + 1, chance * way.loss);
        }
        (Fate::Late, retry.saturating_mul((1 << times) - 1))
    }

    /// Whether the next packet of UDP is lost, and what is drawn for it otherwise.
    pub(super) fn datagram(&mut self, way: &Way) -> (bool, [f64; 4]) {
        (self.loses(way), [(); 4].map(|()| share(&mut self.dice)))
    }

    /// Whether the next packet is lost. Packets are lost in bursts, as in the model of Gilbert and Elliott.
    pub(super) fn loses(&mut self, way: &Way) -> bool {
        let draw = share(&mut self.dice);
        let leave = 1.0 / way.burst;
        self.losing = match self.losing {
            true => draw >= leave,
            false => draw < way.loss * leave / (1.0 - way.loss),
        };
        self.losing
    }
}

/// The rate at this moment, in bit/s; 0 is no limit.
pub(super) fn rate(way: &Way, seed: u64, [line, what, direction]: [u64; 3], at: u64) -> u64 {
    let high = u64::from(way.rate_kbit) * 1000;
    match u64::from(way.rate_low_kbit) * 1000 {
        0 => high,
        low => {
            let draw = share(&mut stream(seed, &[line, what, direction, at / RATE_SLOT]));
            low + ((high - low) as f64 * draw) as u64
        }
    }
}

/// A jitter for an even draw, in nanoseconds.
pub(super) fn shaped(shape: Shape, draw: f64, most_ms: u32) -> u64 {
    let shaped = match shape {
        Shape::Uniform => draw,
        // The sum of several parts of one draw is as good as that of several draws.
        Shape::Normal => {
            (0..4).map(|i| (draw * f64::from(1 << (i * 8))).fract()).sum::<f64>() / 4.0
        }
        // Bounded by 1, from a twentieth on, with an exponent of 1.
        Shape::Pareto => {
            const LEAST: f64 = 0.05;
            (LEAST / (1.0 - draw * (1.0 - LEAST)) - LEAST) / (1.0 - LEAST)
        }
    };
    (shaped * f64::from(most_ms) * 1e6) as u64
}
