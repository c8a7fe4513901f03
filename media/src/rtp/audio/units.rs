//! Access units on their way out: their bytes, their times and their order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::config::Config;
use super::rate::Rate;
use crate::frame::{AudioCodec, AudioParams};
use crate::rtp::Sound;

/// A larger unit is none: AAC has at most 768 bytes per channel, and an RTP packet has less.
pub(super) const MAX_UNIT: usize = 64 << 10;
/// More units in one packet are dropped.
pub(super) const MAX_IN_PACKET: usize = 128;
/// Units that wait to be taken.
const MAX_WAITING: usize = 256;
/// Their bytes.
const MAX_WAITING_BYTES: usize = 1 << 20;
/// Interleaved units that wait for one that belongs before them.
const WINDOW: usize = 32;
/// Bytes allocated at once for units to come.
const CHUNK: usize = 4 << 10;

/// Where the depacketisers put what they find.
#[derive(Debug)]
pub(super) struct Units {
    /// Units that came broken or incomplete.
    pub(super) dropped: u64,
    pub(super) rate: Rate,
    params: Option<Arc<AudioParams>>,
    config: Option<Config>,
    /// The unit that is being put together.
    partial: BytesMut,
    waiting: VecDeque<Unit>,
    waiting_bytes: usize,
    /// Interleaved units by time, from the first packet with such on.
    interleaved: Option<Interleaved>,
}

/// When a unit is to be heard: so many units after the packet's timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) timestamp: u32,
    pub(super) index: u32,
}

#[derive(Debug)]
struct Unit {
    params: Arc<AudioParams>,
    place: Place,
    received: Instant,
    data: Bytes,
}

#[derive(Debug, Default)]
struct Interleaved {
    held: VecDeque<Unit>,
    /// Where the unit lies that follows the last one given.
    next: Option<u32>,
}

impl Units {
    pub(super) fn new(clock_rate: u32, params: Option<AudioParams>) -> Self {
        Self {
            dropped: 0,
            rate: Rate::new(clock_rate),
            params: params.map(Arc::new),
            config: None,
            partial: BytesMut::with_capacity(CHUNK),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            interleaved: None,
        }
    }

    /// Units from here on are AAC of this configuration, written out in `bytes`.
    pub(super) fn configure(&mut self, config: &Config, bytes: &[u8]) {
        self.rate.configure(config);
        self.config = Some(*config);
        self.params = Some(Arc::new(AudioParams {
            codec: AudioCodec::Aac,
            sample_rate: config.rate,
            channels: config.channels,
            config: Bytes::copy_from_slice(bytes),
        }));
    }

    /// The configuration in force says this of its core.
    pub(super) fn is_configured(&self, config: &Config) -> bool {
        self.config.as_ref() == Some(config)
    }

    /// The configuration in force has these bytes.
    pub(super) fn is_written(&self, bytes: impl Iterator<Item = u8>) -> bool {
        self.params.as_ref().is_some_and(|params| params.config.iter().copied().eq(bytes))
    }

    /// Room for a unit of `len` bytes, so that it need not move while it grows.
    pub(super) fn reserve(&mut self, len: usize) {
        self.partial.reserve(len);
    }

    pub(super) fn append(&mut self, bytes: &[u8]) {
        self.partial.extend_from_slice(bytes);
    }

    pub(super) fn extend(&mut self, bytes: impl Iterator<Item = u8>) {
        self.partial.extend(bytes);
    }

    /// What is there of the unit that is being put together.
    pub(super) fn partial(&self) -> &[u8] {
        &self.partial
    }

    /// Forgets the unit that is being put together.
    pub(super) fn clear(&mut self) {
        self.partial.clear();
    }

    /// The bytes put together.
    pub(super) fn take(&mut self) -> Bytes {
        self.partial.split().freeze()
    }

    /// The unit put together is complete.
    pub(super) fn finish(&mut self, place: Place, received: Instant) {
        let data = self.take();
        self.push(place, received, data);
    }

    /// A unit is complete. Nothing is one without bytes, nor before its parameters are known.
    pub(super) fn push(&mut self, place: Place, received: Instant, data: Bytes) {
        if data.is_empty() {
            return;
        }
        let Some(params) = self.params.clone() else {
            self.dropped += 1;
            return;
        };
        let unit = Unit { params, place, received, data };
        let unit = match &mut self.interleaved {
            Some(order) => order.insert(unit, &self.rate),
            None => Some(unit),
        };
        unit.into_iter().for_each(|unit| self.give(unit));
    }

    /// Units of this packet and of those that follow come out of order.
    pub(super) fn interleave(&mut self) {
        self.interleaved.get_or_insert_default();
        self.rate.settle();
    }

    /// Units come in order after all; those held go out as they are.
    pub(super) fn straighten(&mut self) {
        let held = self.interleaved.take().map(|order| order.held).unwrap_or_default();
        held.into_iter().for_each(|unit| self.give(unit));
    }

    /// All units of a packet were pushed. Packets are in order by their first units, RFC 3640 3.2.3:
    /// what lies before this one's is complete.
    pub(super) fn end_packet(&mut self, timestamp: u32) {
        while let Some(unit) =
            self.interleaved.as_mut().and_then(|order| order.due(timestamp, &self.rate))
        {
            self.give(unit);
        }
    }

    /// The next unit. None is given before it is known in which rate its time counts.
    pub(super) fn poll(&mut self) -> Option<Sound> {
        if self.rate.is_open() {
            return None;
        }
        let Unit { params, place, received, data } = self.next()?;
        Some(Sound { params, timestamp: place.at(&self.rate), received, data })
    }

    fn give(&mut self, unit: Unit) {
        let most = MAX_WAITING_BYTES.saturating_sub(unit.data.len());
        while (self.waiting.len() >= MAX_WAITING || self.waiting_bytes > most)
            && self.next().is_some()
        {
            self.dropped += 1;
        }
        self.waiting_bytes += unit.data.len();
        self.waiting.push_back(unit);
    }

    fn next(&mut self) -> Option<Unit> {
        let unit = self.waiting.pop_front()?;
        self.waiting_bytes = self.waiting_bytes.saturating_sub(unit.data.len());
        Some(unit)
    }
}

impl Place {
    pub(super) fn at(self, rate: &Rate) -> u32 {
        self.timestamp.wrapping_add(rate.ticks(self.index))
    }
}

impl Interleaved {
    /// Holds a unit; gives one that cannot be held any longer.
    fn insert(&mut self, unit: Unit, rate: &Rate) -> Option<Unit> {
        let at = unit.place.at(rate);
        let before = self.held.iter().rposition(|held| !is_before(at, held.place.at(rate)));
        self.held.insert(before.map_or(0, |before| before + 1), unit);
        if self.held.len() <= WINDOW { None } else { self.first(rate) }
    }

    /// The first unit held, if nothing can come before it after a packet of this time.
    fn due(&mut self, timestamp: u32, rate: &Rate) -> Option<Unit> {
        let at = self.held.front()?.place.at(rate);
        // Rounding puts neighbours off by a tick.
        let adjoins = self.next.is_some_and(|next| at.wrapping_sub(next).wrapping_add(1) <= 2);
        // So far ahead only before a clock jumped back.
        let reach = rate.ticks(2 * WINDOW as u32);
        let stale = at.wrapping_sub(timestamp) > reach;
        if adjoins || stale || !is_before(timestamp, at) { self.first(rate) } else { None }
    }

    fn first(&mut self, rate: &Rate) -> Option<Unit> {
        let unit = self.held.pop_front()?;
        self.next = Some(unit.place.at(rate).wrapping_add(rate.ticks(1)));
        Some(unit)
    }
}

/// Whether `a` lies before `b`, both modulo 2³².
fn is_before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}
