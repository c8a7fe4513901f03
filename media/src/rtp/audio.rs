//! Sound out of RTP packets: AAC (RFC 3640, RFC 6416) and G.711 (RFC 3551).
//!
//! A fault of the sound never costs the picture: once made, nothing here fails. What cannot be read
//! is dropped and counted.

mod aac;
mod adts;
mod bits;
mod config;
mod g711;
mod headers;
mod latm;
mod rate;
#[cfg(test)]
mod testing;
mod units;

use std::time::Instant;

use thiserror::Error;

use self::aac::Generic;
use self::bits::Fault;
use self::g711::G711;
use self::latm::Latm;
use self::units::Units;
use crate::g711::Law;
use crate::rtp::{Packet, Sound};

/// Parameters of a payload (`a=fmtp`), by their names in lower case.
pub type Parameters<'a> = dyn Fn(&str) -> Option<&'a str> + 'a;

/// Takes packets of one sound track in the order of their numbers and gives pieces of sound.
#[derive(Debug)]
pub struct Audio {
    form: Form,
    units: Units,
}

/// Sound the agent cannot carry; says what the camera offers and what to set instead.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{offer}: set the camera's sound to {instead}")]
pub struct Unsupported {
    /// What the camera offers.
    pub offer: String,
    /// What to set.
    pub instead: &'static str,
}

#[derive(Debug)]
enum Form {
    Generic(Generic),
    Latm(Latm),
    G711(G711),
}

impl Audio {
    /// A depacketiser for a payload as the session description has it: `encoding` in lower case,
    /// `clock_rate` in Hz and `channels`, each 0 where it is not said.
    ///
    /// # Errors
    ///
    /// The agent cannot carry this sound.
    pub fn new(
        encoding: &str,
        clock_rate: u32,
        channels: u16,
        parameter: &Parameters<'_>,
    ) -> Result<Self, Unsupported> {
        let (form, units) = match encoding {
            "mpeg4-generic" => {
                let (form, units) = Generic::new(clock_rate, channels, parameter)?;
                (Form::Generic(form), units)
            }
            "mp4a-latm" => {
                let (form, units) = Latm::new(clock_rate, parameter)?;
                (Form::Latm(form), units)
            }
            "pcma" | "pcmu" => {
                let law = if encoding == "pcma" { Law::A } else { Law::Mu };
                let (form, units) = G711::new(law, clock_rate, channels)?;
                (Form::G711(form), units)
            }
            _ => return Err(Unsupported::encoding(encoding)),
        };
        Ok(Self { form, units })
    }

    /// Takes a packet that came at `received`. `lost` is how many packets were lost right before it.
    pub fn push(&mut self, packet: &Packet<'_>, lost: u32, received: Instant) {
        let units = &mut self.units;
        if lost > 0 {
            self.form.lose(units);
        }
        if packet.payload.is_empty() {
            return;
        }
        match &mut self.form {
            Form::Generic(form) => form.push(packet, lost == 0, received, units),
            Form::Latm(form) => form.push(packet, lost == 0, received, units),
            Form::G711(form) => form.push(packet, received, units),
        }
    }

    /// The next piece of sound, in order of time. To be called after each packet until it gives
    /// `None`: of what waits, only the newest few hundred pieces are kept.
    pub fn poll(&mut self) -> Option<Sound> {
        self.units.poll()
    }

    /// Packets and access units that came broken or incomplete.
    pub fn dropped(&self) -> u64 {
        self.units.dropped
    }

    /// Ticks per second of [`Sound::timestamp`]: the declared rate, unless it differs from that of
    /// the sound and the first timestamps advance by the latter. Final when the first piece of
    /// sound is given, as long as the camera does not change its configuration.
    pub fn clock_rate(&self) -> u32 {
        self.units.rate.used()
    }
}

impl Form {
    /// Notes that packets were lost: what they would have completed is given up.
    fn lose(&mut self, units: &mut Units) {
        match self {
            Self::Generic(form) => form.lose(units),
            Self::Latm(form) => form.lose(units),
            Self::G711(form) => form.lose(),
        }
    }
}

impl Unsupported {
    /// The refusal of a compression, named as the camera does, without what could confuse a log.
    fn encoding(name: &str) -> Self {
        let name = name.chars().filter(char::is_ascii_graphic).take(32);
        let offer: String = name.map(|c| c.to_ascii_uppercase()).collect();
        let offer = if offer.is_empty() { "sound without a name".to_owned() } else { offer };
        Self { offer, instead: "AAC or G.711" }
    }

    fn fault(name: &str, fault: Fault) -> Self {
        Self::aac(match fault {
            Fault::Foreign(number) => format!("{name} with audio object type {number}"),
            _ => format!("{name} with several streams or error protection"),
        })
    }

    fn aac(offer: String) -> Self {
        Self { offer, instead: "AAC-LC or G.711" }
    }
}

#[cfg(test)]
#[path = "audio/tests.rs"]
mod tests;
