//! What the tests of sound have in common.

use std::time::Instant;

use super::{Audio, Parameters, Unsupported};
use crate::rtp::{Packet, Sound};

/// A track with these parameters.
pub(super) fn open(
    encoding: &str,
    clock_rate: u32,
    channels: u16,
    parameters: &[(&str, &str)],
) -> Result<Audio, Unsupported> {
    let find: &Parameters<'_> =
        &|name| parameters.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
    Audio::new(encoding, clock_rate, channels, find)
}

/// A packet with its marker bit set.
pub(super) fn packet(timestamp: u32, payload: &[u8]) -> Packet<'_> {
    Packet { marker: true, payload_type: 97, sequence: 0, timestamp, ssrc: 1, payload }
}

impl Audio {
    /// Pushes a packet that follows the one before.
    pub(super) fn take(&mut self, timestamp: u32, payload: &[u8]) {
        self.push(&packet(timestamp, payload), 0, Instant::now());
    }

    /// Timestamp and bytes of every piece of sound that waits.
    pub(super) fn drain(&mut self) -> Vec<(u32, Vec<u8>)> {
        self.sounds().into_iter().map(|sound| (sound.timestamp, sound.data.to_vec())).collect()
    }

    /// Every piece of sound that waits.
    pub(super) fn sounds(&mut self) -> Vec<Sound> {
        std::iter::from_fn(|| self.poll()).collect()
    }
}

/// Writes fields of any width, most significant bit first.
#[derive(Clone, Default)]
pub(super) struct Writer {
    /// The bytes so far; zeros fill the last one.
    pub(super) bytes: Vec<u8>,
    len: usize,
}

impl Writer {
    /// Appends `value` as a field of `width` bits.
    pub(super) fn put(mut self, width: u32, value: u32) -> Self {
        for at in (0..width).rev() {
            if self.len.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let bit = (value >> at & 1) as u8;
            *self.bytes.last_mut().unwrap() |= bit << (7 - self.len % 8);
            self.len += 1;
        }
        self
    }

    /// Appends whole bytes.
    pub(super) fn put_all(self, bytes: &[u8]) -> Self {
        bytes.iter().fold(self, |bits, byte| bits.put(8, (*byte).into()))
    }

    /// Bits written so far.
    pub(super) fn bits(&self) -> usize {
        self.len
    }
}

/// `len` bytes that look like nothing else, different for each `seed`.
pub(super) fn noise(seed: u8, len: usize) -> Vec<u8> {
    (0..len).map(|n| 0x21 ^ (n as u8).wrapping_mul(31) ^ seed.wrapping_mul(7)).collect()
}
