//! Finds by the numbers of packets what is missing, what came twice, and where a camera began to
//! count anew.

use std::mem::replace;

mod window;

pub use window::{Place, Window};

/// Furthest that a number may be ahead; beyond that it belongs to another numbering.
const JUMP: u16 = 3000;
/// Number of packets that are remembered.
const MEMORY: u8 = 64;
/// Furthest that a late packet may be older than those that came in its stead, in ticks: 2 s of a
/// picture's clock.
const AGE: u32 = 180_000;

/// Counts the packets of one track, which come in order.
///
/// Where nearly no number follows the one before it (a camera that repeats one number for ever, counts by
/// two, or swaps the bytes), numbers are disbelieved: all packets are taken, and nothing is called lost.
#[derive(Clone, Debug, Default)]
pub struct Sequence {
    counts: Counts,
    /// Number of the packet taken last, extended by how often numbers began again.
    extended: u32,
    ssrc: u32,
    /// Number of the packet that came last, taken or not.
    previous: u16,
    history: History,
    doubt: Doubt,
}

/// What to do with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Take the packet.
    Next {
        /// Packets missing right before this one.
        lost: u32,
    },
    /// Leave the packet out: it came before, or comes too late.
    Stale,
}

/// Numbers of packets since the track began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets taken.
    pub received: u64,
    /// Packets missing.
    pub lost: u64,
    /// Packets left out, because they came before or too late.
    pub stale: u64,
    /// How often the numbering began anew.
    pub restarts: u64,
}

impl Sequence {
    /// Judges a packet by its header. A changed `ssrc` alone means nothing: there are cameras that change it
    /// with each group of pictures.
    pub fn accept(&mut self, sequence: u16, timestamp: u32, ssrc: u32) -> Verdict {
        let mut lost = 0;
        if self.counts.received == 0 {
            self.extended = sequence.into();
            self.previous = sequence;
        } else {
            let step = sequence.wrapping_sub(self.extended as u16);
            let regular = sequence.wrapping_sub(replace(&mut self.previous, sequence)) == 1;
            if self.doubt.weigh(regular) && step != 1 {
                if (2..=JUMP).contains(&step) && ssrc == self.ssrc {
                    lost = u32::from(step) - 1;
                } else if self.history.is_stale(sequence, timestamp, step.wrapping_neg()) {
                    self.counts.stale += 1;
                    return Verdict::Stale;
                } else {
                    self.counts.restarts += 1;
                    self.history.clear();
                }
            }
            self.extended = self.extended.wrapping_add(step.into());
        }
        self.ssrc = ssrc;
        self.history.push(sequence, timestamp);
        self.counts.received += 1;
        self.counts.lost += u64::from(lost);
        Verdict::Next { lost }
    }

    /// The numbers so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Number of the newest packet in the low 16 bits, how often numbers began again in the high ones (RFC 3550
    /// 6.4.1).
    pub fn extended_highest(&self) -> u32 {
        self.extended
    }

    /// Synchronisation source of the newest packet.
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }
}

/// The packets that were taken last, in one numbering.
#[derive(Clone, Debug)]
struct History {
    /// Number and timestamp of each packet.
    ring: [(u16, u32); MEMORY as usize],
    at: u8,
    filled: u8,
}

impl Default for History {
    fn default() -> Self {
        Self { ring: [(0, 0); MEMORY as usize], at: 0, filled: 0 }
    }
}

impl History {
    fn push(&mut self, sequence: u16, timestamp: u32) {
        self.ring[usize::from(self.at % MEMORY)] = (sequence, timestamp);
        self.at = (self.at + 1) % MEMORY;
        self.filled = MEMORY.min(self.filled + 1);
    }

    fn clear(&mut self) {
        self.filled = 0;
        self.at = 0;
    }

    fn is_empty(&self) -> bool {
        self.filled == 0
    }

    fn packets(&self) -> impl Iterator<Item = (u16, u32)> {
        self.ring.iter().take(self.filled.into()).copied()
    }

    /// Whether a packet that is `behind` the newest one was seen, or fills a hole. The time decides: a camera
    /// may begin to count anew just behind the number that it had reached, but its clock goes on.
    fn is_stale(&self, sequence: u16, timestamp: u32, behind: u16) -> bool {
        let mut hole = behind <= MEMORY.into();
        let mut above = (u16::MAX, 0);
        for (number, time) in self.packets() {
            if number != sequence {
                above = above.min((number.wrapping_sub(sequence), time));
            } else if time == timestamp {
                return true;
            } else {
                hole = false;
            }
        }
        hole && above.0 <= MEMORY.into() && above.1.wrapping_sub(timestamp) <= AGE
    }

    /// Whether a packet of this time was overtaken by all that are remembered.
    fn is_overtaken(&self, timestamp: u32) -> bool {
        !self.is_empty()
            && self.packets().all(|(_, time)| (1..=AGE).contains(&time.wrapping_sub(timestamp)))
    }
}

/// How far numbers are to be doubted: they are believed below `LIMIT`.
#[derive(Clone, Debug, Default)]
struct Doubt(u16);

impl Doubt {
    const LIMIT: u16 = 32;
    const FULL: u16 = 1024;

    /// Notes whether a number was as it should be. True if numbers are believed: belief is lost
    /// when 7 of 8 numbers are wrong, and comes back when fewer than 1 in 9 are.
    fn weigh(&mut self, regular: bool) -> bool {
        self.0 = match (self.0 < Self::LIMIT, regular) {
            (true, true) => self.0.saturating_sub(7),
            (true, false) if self.0 + 1 < Self::LIMIT => self.0 + 1,
            (true, false) => Self::FULL,
            (false, true) => self.0 - 1,
            (false, false) => Self::FULL.min(self.0 + 8),
        };
        self.0 < Self::LIMIT
    }
}

#[cfg(test)]
#[path = "sequence_tests.rs"]
mod tests;
