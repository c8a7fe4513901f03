//! AAC as RFC 3640 packs it (`mpeg4-generic`), and as cameras do in its place.

use std::time::Instant;

use super::adts::Header;
use super::bits::{BitCursor, Fault};
use super::config::{self, Config};
use super::headers::{Layout, unquoted};
use super::units::{MAX_IN_PACKET, MAX_UNIT, UnitTime, Units};
use super::{Parameters, Unsupported};
use crate::rtp::Packet;

/// Takes access units out of packets.
///
/// The marker bit is not looked at: cameras set it on every packet, on the last ones or never. Sizes
/// tell where a unit ends.
#[derive(Debug)]
pub(super) struct Generic {
    layout: Layout,
    partial: Option<Partial>,
    /// Timestamp and number of units of the newest packet, if its units are interleaved.
    spread: Option<(u32, u32)>,
    /// Whether the camera was seen not to interleave, whatever its index deltas say.
    ordered: bool,
}

/// An access unit whose end has not come.
#[derive(Clone, Copy, Debug)]
struct Partial {
    /// When the unit is to be heard, by its first packet.
    place: UnitTime,
    /// Bytes of the whole unit, as the headers of all its packets say.
    size: usize,
    /// Bytes that have not come.
    missing: usize,
    /// Whether the unit is an ADTS frame, whose later packets have no headers.
    framed: bool,
}

/// One packet on its way through.
struct Arrival<'a> {
    units: &'a mut Units,
    timestamp: u32,
    received: Instant,
}

impl Generic {
    /// A depacketiser for a payload with these parameters. Fails for sound the agent cannot carry.
    pub(super) fn new(
        clock_rate: u32,
        channels: u16,
        parameter: &Parameters<'_>,
    ) -> Result<(Self, Units), Unsupported> {
        let mode = parameter("mode").map(unquoted).unwrap_or_default().to_ascii_lowercase();
        if mode.starts_with("celp") {
            return Err(Unsupported::encoding("mpeg4-celp"));
        }
        let declared = parameter("config").and_then(config::from_hex);
        let read = declared.as_deref().map(|bytes| Config::read(&mut BitCursor::new(bytes)));
        let mut units = Units::new(clock_rate, None);
        match (read, declared) {
            (Some(Ok(config)), Some(bytes)) => units.configure(&config, &bytes),
            (Some(Err(fault @ (Fault::Foreign(_) | Fault::Complex))), _) => {
                return Err(Unsupported::fault("MPEG4-GENERIC", fault));
            }
            _ => {
                let bytes = config::make(clock_rate, channels);
                let config = Config::read(&mut BitCursor::new(&bytes));
                let config = config.map_err(|_| {
                    Unsupported::aac("MPEG4-GENERIC without a sampling rate".to_owned())
                })?;
                units.configure(&config, &bytes);
            }
        }
        let layout = Layout::new(&mode, parameter);
        Ok((Self { layout, partial: None, spread: None, ordered: false }, units))
    }

    /// Takes a packet with a payload. `follows` tells that no packet was lost right before it.
    pub(super) fn push(
        &mut self,
        packet: &Packet<'_>,
        follows: bool,
        received: Instant,
        units: &mut Units,
    ) {
        if self.partial.is_some_and(|partial| !partial.goes_on_at(packet.timestamp, units)) {
            self.lose(units);
        }
        // No interleaved packet begins exactly where the one before would end if it were not
        // interleaved.
        if let Some((timestamp, count)) = self.spread.take().filter(|_| follows)
            && packet.timestamp == timestamp.wrapping_add(units.rate.ticks(count))
        {
            self.ordered = true;
            units.straighten();
        }
        let mut arrival = Arrival { units, timestamp: packet.timestamp, received };
        let resumes = self.partial.is_some();
        let headed = match self.partial {
            Some(Partial { framed: true, .. }) => None,
            _ => self.layout.sections(packet.payload),
        };
        let begun = match headed {
            Some((headers, data)) => self.headed(headers, data, &mut arrival),
            None => self.headless(packet.payload, &mut arrival),
        };
        if !resumes && begun > 0 {
            units.rate.packet(packet.timestamp, begun, follows);
        }
        units.end_packet(packet.timestamp);
    }

    /// Drops the unfinished unit, since the rest of it is lost.
    pub(super) fn lose(&mut self, units: &mut Units) {
        if self.partial.take().is_some() {
            units.clear();
            units.dropped += 1;
        }
    }

    /// Takes access units and their headers. Returns how many units begin in this packet.
    fn headed(
        &mut self,
        mut headers: BitCursor<'_>,
        mut data: &[u8],
        arrival: &mut Arrival<'_>,
    ) -> u32 {
        let (mut begun, mut index, mut spread) = (0, 0u32, false);
        for n in 0.. {
            let Ok((size, delta)) = self.layout.header(&mut headers, n == 0) else { break };
            if n >= MAX_IN_PACKET {
                arrival.units.dropped += 1;
                break;
            }
            if n > 0 {
                let delta = if self.ordered { 0 } else { delta };
                spread |= delta > 0;
                index = index.saturating_add(1).saturating_add(delta);
            }
            if spread {
                arrival.units.interleave();
            }
            let size = size.unwrap_or(data.len());
            match self.partial.filter(|_| n == 0) {
                Some(partial) if partial.size == size => {
                    data = self.resume(partial, data, arrival);
                    if self.partial.is_none() {
                        continue;
                    }
                    if self.layout.has_header(&headers) {
                        self.lose(arrival.units);
                    }
                    break;
                }
                Some(_) => self.lose(arrival.units),
                None => {}
            }
            begun += 1;
            let place = UnitTime { timestamp: arrival.timestamp, index };
            if let Some((unit, rest)) = data.split_at_checked(size) {
                data = rest;
                self.whole(unit, place, arrival);
            } else {
                if size <= MAX_UNIT && !self.layout.has_header(&headers) {
                    self.begin(data, size, place, arrival);
                } else {
                    arrival.units.dropped += 1;
                }
                break;
            }
        }
        self.spread = spread.then_some((arrival.timestamp, begun));
        begun
    }

    /// Takes a packet without headers of RFC 3640: ADTS frames, or more of a unit. Returns how many
    /// units begin in it.
    fn headless(&mut self, payload: &[u8], arrival: &mut Arrival<'_>) -> u32 {
        let place = UnitTime { timestamp: arrival.timestamp, index: 0 };
        for frames in [Some(payload), payload.strip_prefix(&[0, 0])].into_iter().flatten() {
            if Header::read(frames).is_some() {
                self.lose(arrival.units);
                return self.frames(frames, place, arrival);
            }
        }
        if let Some(partial) = self.partial {
            let rest = self.resume(partial, payload, arrival);
            if partial.framed {
                self.frames(rest, UnitTime { index: 1, ..place }, arrival);
            }
        } else {
            arrival.units.dropped += 1;
        }
        0
    }

    /// Takes ADTS frames, one after the other. Returns how many begin here.
    fn frames(&mut self, mut data: &[u8], place: UnitTime, arrival: &mut Arrival<'_>) -> u32 {
        let mut begun = 0;
        while let Some(header) = Header::read(data) {
            if begun as usize >= MAX_IN_PACKET {
                arrival.units.dropped += 1;
                break;
            }
            let place = UnitTime { index: place.index.saturating_add(begun), ..place };
            begun += 1;
            let rest = match data.split_at_checked(header.frame) {
                Some((_, rest)) => rest,
                None if header.single => {
                    self.begin(data, header.frame, place, arrival);
                    self.partial.iter_mut().for_each(|partial| partial.framed = true);
                    break;
                }
                None => &[],
            };
            // Only a decoder knows where one of several access units in a frame ends.
            if header.single {
                adopt(&header, arrival.units);
                let unit = data.get(header.len..header.frame).unwrap_or_default();
                arrival.units.append(unit);
                arrival.units.finish(place, arrival.received);
            } else {
                arrival.units.dropped += 1;
            }
            data = rest;
        }
        begun
    }

    /// Takes a complete unit. It is ADTS if it begins like that: the first element of such a raw
    /// access unit would be its end.
    fn whole(&mut self, unit: &[u8], place: UnitTime, arrival: &mut Arrival<'_>) {
        if Header::read(unit).is_some_and(|header| header.frame <= unit.len()) {
            self.frames(unit, place, arrival);
            // A frame that is cut off here has no rest in later packets.
            self.lose(arrival.units);
        } else {
            arrival.units.append(unit);
            arrival.units.finish(place, arrival.received);
        }
    }

    /// Begins a unit of `size` bytes with its first part.
    fn begin(&mut self, data: &[u8], size: usize, place: UnitTime, arrival: &mut Arrival<'_>) {
        let header = Header::read(data).filter(|header| header.single && header.frame == size);
        let skip = header.map_or(0, |header| header.len.min(data.len()));
        if let Some(header) = header {
            adopt(&header, arrival.units);
        }
        arrival.units.reserve(size);
        arrival.units.append(data.get(skip..).unwrap_or_default());
        let missing = size.saturating_sub(data.len());
        self.partial = Some(Partial { place, size, missing, framed: false });
    }

    /// Takes more of a unit. Returns the bytes behind the unit.
    fn resume<'d>(
        &mut self,
        partial: Partial,
        data: &'d [u8],
        arrival: &mut Arrival<'_>,
    ) -> &'d [u8] {
        let (more, rest) = data.split_at(partial.missing.min(data.len()));
        arrival.units.append(more);
        let missing = partial.missing - more.len();
        self.partial = (missing > 0).then_some(Partial { missing, ..partial });
        if missing == 0 {
            arrival.units.finish(partial.place, arrival.received);
        }
        rest
    }
}

impl Partial {
    /// Whether a packet of this time may hold more: later parts have the time of the first packet,
    /// or the unit's own.
    fn goes_on_at(&self, timestamp: u32, units: &Units) -> bool {
        timestamp == self.place.timestamp || timestamp == self.place.at(&units.rate)
    }
}

/// Takes over the configuration in an ADTS header where it tells of another core than the one in
/// force.
fn adopt(header: &Header, units: &mut Units) {
    let Some(bytes) = header.config else { return };
    let Ok(config) = Config::read(&mut BitCursor::new(&bytes)) else { return };
    if !units.is_configured(&config) {
        units.configure(&config, &bytes);
    }
}

#[cfg(test)]
#[path = "aac_tests.rs"]
mod tests;
