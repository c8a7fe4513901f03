//! Values that several messages share.

use serde::{Deserialize, Serialize};

/// How fine a picture is asked for; cameras usually have a sub stream (`Ld`, `Sd`) and a main stream
/// (`Hd`, `Fhd`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Quality {
    /// Low definition.
    Ld,
    /// Standard definition.
    Sd,
    /// High definition.
    Hd,
    /// Full high definition.
    Fhd,
}

/// Whether a tour or a patrol is to start or to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StartStop {
    /// Start it.
    Start,
    /// Stop it.
    Stop,
}

/// 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64")]
pub struct Percent(u8);

impl Percent {
    /// The value, or the nearest one there is.
    pub fn clamp(value: i64) -> Self {
        Self(value.clamp(0, 100) as u8)
    }

    /// 0 to 100.
    pub fn value(self) -> u8 {
        self.0
    }
}

impl TryFrom<u64> for Percent {
    type Error = &'static str;

    fn try_from(value: u64) -> Result<Self, Self::Error> {
        match u8::try_from(value) {
            Ok(percent @ 0..=100) => Ok(Self(percent)),
            _ => Err("expected an integer from 0 to 100"),
        }
    }
}

/// Seconds since 00:00, up to 86400 (the next day's 00:00).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64")]
pub struct DaySeconds(u32);

impl DaySeconds {
    /// 00:00.
    pub const START: Self = Self(0);
    /// 24:00.
    pub const END: Self = Self(86_400);

    /// 0 to 86400.
    pub fn value(self) -> u32 {
        self.0
    }

    pub(super) fn start() -> Self {
        Self::START
    }

    pub(super) fn end() -> Self {
        Self::END
    }
}

impl TryFrom<u64> for DaySeconds {
    type Error = &'static str;

    fn try_from(value: u64) -> Result<Self, Self::Error> {
        match u32::try_from(value) {
            Ok(seconds @ 0..=86_400) => Ok(Self(seconds)),
            _ => Err("expected an integer from 0 to 86400"),
        }
    }
}

/// Declares an enum whose wire form is a number.
macro_rules! numbered {
    ($(#[$doc:meta])* $Enum:ident { $($(#[$variant_doc:meta])* $Variant:ident = $number:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(try_from = "u64", into = "u8")]
        pub enum $Enum {
            $($(#[$variant_doc])* $Variant = $number,)*
        }

        impl TryFrom<u64> for $Enum {
            type Error = &'static str;

            fn try_from(number: u64) -> Result<Self, Self::Error> {
                match number {
                    $($number => Ok(Self::$Variant),)*
                    _ => Err(concat!("expected one of", $(" ", $number,)*)),
                }
            }
        }

        impl From<$Enum> for u8 {
            fn from(value: $Enum) -> Self {
                value as Self
            }
        }
    };
}

numbered! {
    /// How the device is.
    DeviceState {
        /// All is well.
        Online = 1,
        /// Firmware is being installed.
        Upgrading = 2,
        /// Something is wrong.
        Abnormal = 3,
    }
}

numbered! {
    /// How a channel is.
    ChannelState {
        /// The camera cannot be reached.
        Offline = 0,
        /// The camera can be reached.
        Online = 1,
        /// A stream is being published.
        Live = 2,
    }
}

numbered! {
    /// What raised an alarm.
    AlarmKind {
        /// A contact outside.
        External = 2,
        /// Motion detection.
        Motion = 3,
        /// The tripwire.
        Tripwire = 4,
    }
}
