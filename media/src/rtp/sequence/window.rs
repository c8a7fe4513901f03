//! Puts packets in order again that overtook one another.

use std::collections::VecDeque;
use std::mem::replace;
use std::time::{Duration, Instant};

use super::{Doubt, History, JUMP};

/// Most numbers that are waited for, and most packets that are held.
const SPAN: u16 = 64;
/// Longest time that a packet is held.
const WAIT: Duration = Duration::from_millis(200);
/// Most bytes that are held. A packet has at most 64 KiB, and there must be room for one when the
/// waiting ends.
const BYTES: usize = 1 << 20;
const FULL: usize = BYTES - (64 << 10);

/// Puts the datagrams of one track in order. Those that come in order are never copied.
#[derive(Debug, Default)]
pub struct Window {
    /// The number that is waited for, once there is one.
    next: Option<u16>,
    /// Packets to hand out, then packets that wait, in the order of their numbers and all after
    /// `next`.
    held: VecDeque<Held>,
    /// How many of the packets held are to be handed out.
    ready: usize,
    /// Bytes of all packets held.
    bytes: usize,
    /// Number of the packet that came last.
    previous: u16,
    history: History,
    doubt: Doubt,
    dropped: u64,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The packet is the next one: use it now, then call [`Window::poll`].
    Now,
    /// The packet is held: [`Window::poll`] gives it back in its turn, which may be now.
    Hold,
    /// The packet came before, or comes too late.
    Drop,
}

#[derive(Debug)]
struct Held {
    sequence: u16,
    at: Instant,
    bytes: Vec<u8>,
}

impl Window {
    /// Tells the number of the first packet, as `RTP-Info` has it. It may be wrong.
    pub fn start_at(&mut self, sequence: u16) {
        if self.history.is_empty() {
            self.next = Some(sequence);
        }
    }

    /// Takes a packet and what its header says. Afterwards [`Window::poll`] must be called until it gives
    /// nothing.
    pub fn push(&mut self, bytes: &[u8], sequence: u16, timestamp: u32, now: Instant) -> Place {
        if self.held.len() >= SPAN.into() || self.bytes.saturating_add(bytes.len()) > BYTES {
            return self.refuse();
        }
        if self.bytes + bytes.len() > FULL
            && let Some(last) = self.held.back()
        {
            self.settle(last.sequence.wrapping_add(1));
        }
        let next = *self.next.get_or_insert(sequence);
        let mut ahead = sequence.wrapping_sub(next);
        let repeated = replace(&mut self.previous, sequence) == sequence;
        if self.history.is_empty() {
            // The number told is believed when it explains the first packet.
            ahead = if ahead < SPAN { ahead } else { self.begin(sequence) };
        } else if !self.doubt.weigh(!repeated) {
            // The camera repeats one number for ever.
            ahead = self.begin(sequence);
        } else if ahead > JUMP {
            let behind = ahead.wrapping_neg();
            if self.history.is_stale(sequence, timestamp, behind)
                || behind <= JUMP && self.history.is_overtaken(timestamp)
            {
                return self.refuse();
            }
            ahead = self.begin(sequence);
        }
        if ahead == 0 && self.ready == 0 {
            self.history.push(sequence, timestamp);
            self.settle(sequence.wrapping_add(1));
            return Place::Now;
        }
        if ahead >= SPAN {
            self.settle(sequence.wrapping_sub(SPAN - 1));
        }
        self.hold(bytes, sequence, timestamp, now)
    }

    /// The next packet that was held, if it is its turn.
    pub fn poll(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.ready == 0 {
            let waited = |held: &Held| now.saturating_duration_since(held.at) >= WAIT;
            let last = self.held.iter().rfind(|held| waited(held))?;
            self.settle(last.sequence.wrapping_add(1));
        }
        let held = self.held.pop_front()?;
        self.ready -= 1;
        self.bytes -= held.bytes.len();
        Some(held.bytes)
    }

    /// When [`Window::poll`] must be called at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.ready > 0 {
            return self.held.front().map(|held| held.at);
        }
        self.held.iter().map(|held| held.at + WAIT).min()
    }

    /// How many packets came twice or too late.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn refuse(&mut self) -> Place {
        self.dropped += 1;
        Place::Drop
    }

    /// Begins a numbering at `sequence`: nothing is waited for any longer. Returns how far ahead
    /// `sequence` is then.
    fn begin(&mut self, sequence: u16) -> u16 {
        self.ready = self.held.len();
        self.next = Some(sequence);
        self.history.clear();
        0
    }

    /// Waits for no number before `next`, and for none that is held already.
    fn settle(&mut self, mut next: u16) {
        while let Some(held) = self.held.get(self.ready) {
            match held.sequence.wrapping_sub(next) {
                0 => next = next.wrapping_add(1),
                1..0x8000 => break,
                _ => {}
            }
            self.ready += 1;
        }
        self.next = Some(next);
    }

    fn hold(&mut self, bytes: &[u8], sequence: u16, timestamp: u32, now: Instant) -> Place {
        let after = self.held.iter().skip(self.ready).rev();
        let after = after.take_while(|held| held.sequence.wrapping_sub(sequence) < 0x8000);
        let mut index = self.held.len();
        for held in after {
            if held.sequence == sequence {
                return self.refuse();
            }
            index -= 1;
        }
        self.held.insert(index, Held { sequence, at: now, bytes: bytes.to_vec() });
        self.bytes += bytes.len();
        self.history.push(sequence, timestamp);
        if let Some(next) = self.next {
            self.settle(next);
        }
        Place::Hold
    }
}

#[cfg(test)]
#[path = "window_tests.rs"]
mod tests;
