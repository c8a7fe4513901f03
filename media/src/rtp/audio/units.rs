//! Access units on their way out: their bytes, their times and their order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::config::Config;
use super::rate::Rate;
use crate::frame::{AudioCodec, AudioParams};
use crate::rtp::Sound;

/// Largest access unit in bytes: AAC has at most 768 bytes per channel, and an RTP packet has less.
pub(super) const MAX_UNIT: usize = 64 << 10;
/// Most units that are taken from one packet.
pub(super) const MAX_IN_PACKET: usize = 128;
/// Most units that wait to be taken.
const MAX_WAITING: usize = 256;
/// Most bytes of units that wait to be taken.
const MAX_WAITING_BYTES: usize = 1 << 20;
/// Most interleaved units that wait for one that belongs before them.
const WINDOW: usize = 32;
/// Bytes allocated at once for units to come.
const CHUNK: usize = 4 << 10;

/// The access units that a depacketiser finds.
#[derive(Debug)]
pub(super) struct Units {
    /// Units that came broken or incomplete.
    pub(super) dropped: u64,
    /// The rate in which timestamps count.
    pub(super) rate: Rate,
    params: Option<Arc<AudioParams>>,
    config: Option<Config>,
    /// The unit that is being put together.
    partial: BytesMut,
    waiting: VecDeque<Unit>,
    waiting_bytes: usize,
    /// Interleaved units by time; `None` before the first packet that has any.
    interleaved: Option<Interleaved>,
}

/// When a unit is to be heard: `index` units after the timestamp of its packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UnitTime {
    /// RTP timestamp of the packet.
    pub(super) timestamp: u32,
    /// Units between the packet's timestamp and the unit.
    pub(super) index: u32,
}

#[derive(Debug)]
struct Unit {
    params: Arc<AudioParams>,
    place: UnitTime,
    received: Instant,
    data: Bytes,
}

#[derive(Debug, Default)]
struct Interleaved {
    held: VecDeque<Unit>,
    /// Timestamp of the unit that follows the last one given.
    next: Option<u32>,
}

impl Units {
    /// No units yet, of sound with `params`, if they are known, and timestamps of `clock_rate` Hz.
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

    /// Sets the configuration of the AAC that follows; `bytes` are the same as written.
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

    /// Whether the configuration in force says this of its core.
    pub(super) fn is_configured(&self, config: &Config) -> bool {
        self.config.as_ref() == Some(config)
    }

    /// Whether the configuration in force is written with these bytes.
    pub(super) fn is_written(&self, bytes: impl Iterator<Item = u8>) -> bool {
        self.params.as_ref().is_some_and(|params| params.config.iter().copied().eq(bytes))
    }

    /// Makes room for a unit of `len` bytes, so that it need not move while it grows.
    pub(super) fn reserve(&mut self, len: usize) {
        self.partial.reserve(len);
    }

    /// Adds bytes to the unit that is being put together.
    pub(super) fn append(&mut self, bytes: &[u8]) {
        self.partial.extend_from_slice(bytes);
    }

    /// Adds bytes to the unit that is being put together, one by one.
    pub(super) fn extend(&mut self, bytes: impl Iterator<Item = u8>) {
        self.partial.extend(bytes);
    }

    /// The bytes so far of the unit that is being put together.
    pub(super) fn partial(&self) -> &[u8] {
        &self.partial
    }

    /// Forgets the unit that is being put together.
    pub(super) fn clear(&mut self) {
        self.partial.clear();
    }

    /// Takes the bytes put together.
    pub(super) fn take(&mut self) -> Bytes {
        self.partial.split().freeze()
    }

    /// Gives the unit that was put together.
    pub(super) fn finish(&mut self, place: UnitTime, received: Instant) {
        let data = self.take();
        self.push(place, received, data);
    }

    /// Gives a complete unit. Without bytes there is none, and before its parameters are known it
    /// is dropped.
    pub(super) fn push(&mut self, place: UnitTime, received: Instant, data: Bytes) {
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

    /// Notes that units of this packet and of those that follow come out of order.
    pub(super) fn interleave(&mut self) {
        self.interleaved.get_or_insert_default();
        self.rate.settle();
    }

    /// Notes that units come in order after all; those held go out as they are.
    pub(super) fn straighten(&mut self) {
        let held = self.interleaved.take().map(|order| order.held).unwrap_or_default();
        held.into_iter().for_each(|unit| self.give(unit));
    }

    /// Notes that all units of a packet were pushed. Packets are in order by their first units (RFC
    /// 3640 3.2.3), so everything before this packet's first unit is complete.
    pub(super) fn end_packet(&mut self, timestamp: u32) {
        while let Some(unit) =
            self.interleaved.as_mut().and_then(|order| order.due(timestamp, &self.rate))
        {
            self.give(unit);
        }
    }

    /// The next unit; none before it is known in which rate timestamps count.
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

impl UnitTime {
    /// The unit's own timestamp.
    pub(super) fn at(self, rate: &Rate) -> u32 {
        self.timestamp.wrapping_add(rate.ticks(self.index))
    }
}

impl Interleaved {
    /// Holds a unit. Gives the first one where no more can be held.
    fn insert(&mut self, unit: Unit, rate: &Rate) -> Option<Unit> {
        let at = unit.place.at(rate);
        let before = self.held.iter().rposition(|held| !is_before(at, held.place.at(rate)));
        self.held.insert(before.map_or(0, |before| before + 1), unit);
        if self.held.len() <= WINDOW { None } else { self.first(rate) }
    }

    /// The first unit held, if no unit before it can follow a packet of this time.
    fn due(&mut self, timestamp: u32, rate: &Rate) -> Option<Unit> {
        let at = self.held.front()?.place.at(rate);
        // Rounding may put neighbours off by a tick.
        let adjoins = self.next.is_some_and(|next| at.wrapping_sub(next).wrapping_add(1) <= 2);
        // A unit is this far ahead only if the clock jumped back since.
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
