//! AAC as RFC 6416 packs it (`MP4A-LATM`): the multiplex of ISO/IEC 14496-3, 1.7.3.

use std::time::Instant;

use super::bits::{BitCursor, Fault, shifted};
use super::config::{self, Config};
use super::units::{MAX_UNIT, UnitTime, Units};
use super::{Parameters, Unsupported};
use crate::rtp::Packet;

/// Takes access units out of `AudioMuxElement`s, each of which fills one or more packets.
#[derive(Debug)]
pub(super) struct Latm {
    /// Whether elements begin with their multiplex; `None` until the first whole element tells.
    in_band: Option<bool>,
    mux: Option<Mux>,
    /// Timestamp of the element of which a part has come.
    partial: Option<u32>,
    /// Whether the next packet begins an element, as far as one can know.
    aligned: bool,
    /// Access units of an element: the bit at which each begins, and its length in bytes.
    spans: Vec<(usize, usize)>,
}

/// What a `StreamMuxConfig` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mux {
    config: Config,
    /// First bit of the `AudioSpecificConfig` and the bit behind it.
    written: (usize, usize),
    /// Access units in an element.
    units: u32,
    /// Bytes of every unit, where units do not say their length.
    constant: Option<usize>,
    /// Bits of other data behind the units.
    other: usize,
}

impl Latm {
    /// A depacketiser for a payload with these parameters. Fails for sound the agent cannot carry.
    pub(super) fn new(
        clock_rate: u32,
        parameter: &Parameters<'_>,
    ) -> Result<(Self, Units), Unsupported> {
        // 90 kHz is the rate where none is said (RFC 6416 7.3).
        let mut units = Units::new(if clock_rate == 0 { 90_000 } else { clock_rate }, None);
        let declared = parameter("config").and_then(config::from_hex).unwrap_or_default();
        let mux = match Mux::declared(&declared) {
            Ok(mux) => Some(mux),
            Err(fault @ (Fault::Foreign(_) | Fault::Complex)) => {
                return Err(Unsupported::fault("MP4A-LATM", fault));
            }
            Err(Fault::Cut | Fault::Broken) => None,
        };
        if let Some(mux) = &mux {
            let bytes: Vec<u8> = mux.config_in(&declared).collect();
            units.configure(&mux.config, &bytes);
        }
        let in_band = match parameter("cpresent").map(str::trim) {
            Some("0") => Some(false),
            Some(_) => Some(true),
            // The default is 1, yet some cameras that say nothing mean 0.
            None => mux.is_none().then_some(true),
        };
        if in_band == Some(false) && mux.is_none() {
            return Err(Unsupported::aac("MP4A-LATM without its configuration".to_owned()));
        }
        Ok((Self { in_band, mux, partial: None, aligned: false, spans: Vec::new() }, units))
    }

    /// Takes a packet with a payload. `follows` tells that no packet was lost right before it.
    /// Lengths tell where an element ends; the marker bit, which not every camera sets right, only
    /// tells where one begins after a loss.
    pub(super) fn push(
        &mut self,
        packet: &Packet<'_>,
        follows: bool,
        received: Instant,
        units: &mut Units,
    ) {
        if self.partial.is_some_and(|timestamp| timestamp != packet.timestamp) {
            self.abandon(units);
            self.aligned = true;
        }
        self.partial = Some(packet.timestamp);
        let room = MAX_UNIT.saturating_sub(units.partial().len());
        let read = if packet.payload.len() <= room {
            units.append(packet.payload);
            self.read(units.partial(), packet.marker)
        } else {
            Err(Fault::Broken)
        };
        match read {
            Ok(mux) => {
                (self.partial, self.aligned) = (None, true);
                self.give(mux, packet, follows, received, units);
            }
            Err(Fault::Cut) => {}
            Err(_) => self.abandon(units),
        }
        self.aligned |= packet.marker;
    }

    /// Drops the unfinished element, since the rest of it is lost. The next packet may be from the
    /// middle of an element.
    pub(super) fn lose(&mut self, units: &mut Units) {
        self.abandon(units);
        self.aligned = false;
    }

    fn abandon(&mut self, units: &mut Units) {
        if self.partial.take().is_some() {
            units.clear();
            units.dropped += 1;
        }
    }

    /// Finds the access units of an element; [`Fault::Cut`] as long as more of the element must
    /// come. Returns the multiplex, and whether it stands in the element itself.
    fn read(&mut self, element: &[u8], marker: bool) -> Result<(Mux, bool), Fault> {
        let in_band = match (self.in_band, self.mux) {
            (None, Some(mux)) => {
                // An element begins with its own length only if its multiplex is elsewhere.
                let plain = match self.find(&mux, BitCursor::new(element)) {
                    Ok(left) => left < 8,
                    Err(fault) => fault == Fault::Cut && !marker,
                };
                self.in_band = self.aligned.then_some(!plain);
                !plain
            }
            (in_band, _) => in_band != Some(false),
        };
        let mut bits = BitCursor::new(element);
        let fresh = in_band && !bits.flag()?;
        let mux = if fresh { Mux::read(&mut bits)? } else { self.mux.ok_or(Fault::Broken)? };
        let left = self.find(&mux, bits)?;
        // From the middle of an element anything can be read, but hardly up to its last byte.
        if self.aligned || left < 8 { Ok((mux, fresh)) } else { Err(Fault::Broken) }
    }

    /// Notes where the access units lie. Returns the number of bits behind them.
    fn find(&mut self, mux: &Mux, mut bits: BitCursor<'_>) -> Result<usize, Fault> {
        self.spans.clear();
        for _ in 0..mux.units {
            let len = match mux.constant {
                Some(len) => len,
                None => read_length(&mut bits)?,
            };
            self.spans.push((bits.at(), len));
            bits.skip(len * 8)?;
        }
        bits.skip(mux.other)?;
        Ok(bits.left())
    }

    /// Gives the units of a complete element. A `fresh` multiplex stands in the element itself.
    fn give(
        &mut self,
        (mux, fresh): (Mux, bool),
        packet: &Packet<'_>,
        follows: bool,
        received: Instant,
        units: &mut Units,
    ) {
        let element = units.take();
        if fresh {
            if !units.is_written(mux.config_in(&element)) {
                units.configure(&mux.config, &mux.config_in(&element).collect::<Vec<u8>>());
            }
            self.mux = Some(mux);
        }
        units.rate.packet(packet.timestamp, mux.units, follows);
        for (index, (at, len)) in (0..).zip(&self.spans) {
            let place = UnitTime { timestamp: packet.timestamp, index };
            let unit = element.get(at / 8..).and_then(|rest| rest.get(..*len)).unwrap_or_default();
            if at % 8 == 0 {
                units.push(place, received, element.slice_ref(unit));
            } else {
                units.reserve(*len);
                units.extend(shifted(&element, *at).take(*len));
                units.finish(place, received);
            }
        }
    }
}

impl Mux {
    /// Reads the multiplex that `config=` holds, or the configuration of the sound alone, which
    /// some cameras give instead.
    fn declared(bytes: &[u8]) -> Result<Self, Fault> {
        let mut bits = BitCursor::new(bytes);
        Self::read(&mut bits).or_else(|fault| {
            let config = Config::read(&mut BitCursor::new(bytes)).map_err(|_| fault)?;
            Ok(Self { config, written: (0, bytes.len() * 8), units: 1, constant: None, other: 0 })
        })
    }

    /// Reads a `StreamMuxConfig` of one program with one layer, version 0 (ISO/IEC 14496-3 table
    /// 1.42).
    fn read(bits: &mut BitCursor<'_>) -> Result<Self, Fault> {
        let (second_version, same_time) = (bits.flag()?, bits.flag()?);
        let units = 1 + bits.read(6)?;
        let (more_programs, more_layers) = (bits.read(4)?, bits.read(3)?);
        if second_version || !same_time || more_programs > 0 || more_layers > 0 {
            return Err(Fault::Complex);
        }
        let start = bits.at();
        let config = Config::read(bits)?;
        let written = (start, bits.at());
        let constant = match bits.read(3)? {
            0 => {
                bits.read(8)?;
                None
            }
            1 => Some(20 + bits.read(9)? as usize),
            _ => return Err(Fault::Complex),
        };
        let mut other = 0;
        let mut more = bits.flag()?;
        while more {
            more = bits.flag()?;
            other = other << 8 | bits.read(8)? as usize;
            if other > 8 * MAX_UNIT {
                return Err(Fault::Broken);
            }
        }
        if bits.flag()? {
            bits.read(8)?;
        }
        Ok(Self { config, written, units, constant, other })
    }

    /// The `AudioSpecificConfig` in `source`, which the multiplex was read from, moved to begin at
    /// a byte.
    fn config_in(&self, source: &[u8]) -> impl Iterator<Item = u8> {
        let (start, end) = self.written;
        let len = end.saturating_sub(start);
        let unused = len.wrapping_neg() % 8;
        let last = len.div_ceil(8).saturating_sub(1);
        shifted(source, start)
            .take(last + 1)
            .enumerate()
            .map(move |(at, byte)| if at == last { byte >> unused << unused } else { byte })
    }
}

/// Reads a `PayloadLengthInfo` (ISO/IEC 14496-3 table 1.44).
fn read_length(bits: &mut BitCursor<'_>) -> Result<usize, Fault> {
    let mut len = 0;
    loop {
        let more = bits.read(8)?;
        len += more as usize;
        if len > MAX_UNIT {
            return Err(Fault::Broken);
        }
        if more < 255 {
            return Ok(len);
        }
    }
}

#[cfg(test)]
#[path = "latm_tests.rs"]
mod tests;
