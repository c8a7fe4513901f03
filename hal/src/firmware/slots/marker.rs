//! Which slot starts next, which one started last, and what lies in both: the text that the boot script reads, too.
//!
//! ```text
//! ivt-slots 1
//! serial=7
//! runs=a
//! boot=b
//! trial=3
//! fallback=a
//! a=image 41 16777216 9f86…
//! b=image 42 16777216 1b4f…
//! failed=none
//! sum=5e88…
//! ```
//!
//! `runs` is the slot that was started last, `boot` the one that starts next. `trial` is how often `boot` may still be
//! started before `fallback` is, or `no`. A slot holds an image (its counter, size and SHA-256), `unknown`, which is what a
//! device is made with, or `empty`, which must not start. `failed` is the counter of the image that was tried last and did
//! not stay. The order of the lines is fixed.

use std::fmt;

use crate::Image;
use crate::firmware::failure::Failure;
use crate::firmware::sealed::{hex, number, or_none, seal, unhex, unseal, value};

/// How often an image on trial is started before the one before it is started again.
pub const STARTS: u8 = 3;
const VERSION: &str = "ivt-slots 1";

/// One of the two slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// The one a device without a marker starts.
    A,
    /// The other one.
    B,
}

/// What lies in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing that may start.
    Empty,
    /// What the device was made with.
    Unknown,
    /// An image that is whole.
    Image { counter: Option<u64>, size: u64, sha256: [u8; 32] },
}

/// The state of the two slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marker {
    /// Grows with each change; the newer of two copies counts.
    pub serial: u32,
    /// Which slot was started last.
    pub runs: Slot,
    /// Which slot starts next.
    pub boot: Slot,
    /// How often `boot` may still be started before it is committed; `None` where it is not on trial.
    pub trial: Option<u8>,
    /// What lies in slot A and in slot B.
    pub content: [Content; 2],
    /// The counter of the image that was tried last, where it did not stay.
    pub failed: Option<u64>,
}

impl Slot {
    /// The slot beside this one.
    pub fn other(self) -> Self {
        if self == Self::A { Self::B } else { Self::A }
    }

    /// The slot that a text names.
    pub fn named(text: &str) -> Option<Self> {
        match text {
            "a" => Some(Self::A),
            "b" => Some(Self::B),
            _ => None,
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::A { "a" } else { "b" })
    }
}

impl Content {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "empty" => return Some(Self::Empty),
            "unknown" => return Some(Self::Unknown),
            _ => {}
        }
        let mut words = text.strip_prefix("image ")?.split(' ');
        let counter = number(words.next()?)?;
        let size = words.next()?.parse().ok()?;
        Some(Self::Image { counter, size, sha256: unhex(words.next()?)? })
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("empty"),
            Self::Unknown => f.write_str("unknown"),
            Self::Image { counter, size, sha256 } => {
                write!(f, "image {} {size} {}", or_none(*counter), hex(sha256))
            }
        }
    }
}

impl Marker {
    /// The state of a device whose slot `runs` is all that is known.
    pub fn first(runs: Slot) -> Self {
        let mut content = [Content::Empty; 2];
        content[runs as usize] = Content::Unknown;
        Self { serial: 0, runs, boot: runs, trial: None, content, failed: None }
    }

    /// The state that a text tells; `None` where it is damaged, or tells what no state is.
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = unseal(text)?.lines();
        if lines.next()? != VERSION {
            return None;
        }
        let serial = value(&mut lines, "serial")?.parse().ok()?;
        let runs = Slot::named(value(&mut lines, "runs")?)?;
        let boot = Slot::named(value(&mut lines, "boot")?)?;
        let trial = match value(&mut lines, "trial")? {
            "no" => None,
            starts => Some(starts.parse().ok().filter(|starts| *starts <= STARTS)?),
        };
        value(&mut lines, "fallback")?;
        let a = Content::parse(value(&mut lines, "a")?)?;
        let b = Content::parse(value(&mut lines, "b")?)?;
        let failed = number(value(&mut lines, "failed")?)?;
        let marker = Self { serial, runs, boot, trial, content: [a, b], failed };
        let empty = |slot| marker.of(slot) == Content::Empty;
        let startable = !empty(boot) && (trial.is_none() || !empty(boot.other()));
        // The text has no other spelling, and its fallback follows from the rest.
        (startable && marker.to_string() == text).then_some(marker)
    }

    /// What lies in a slot.
    pub fn of(&self, slot: Slot) -> Content {
        self.content[slot as usize]
    }

    /// Whether what runs is on trial.
    pub fn on_trial(&self) -> bool {
        self.trial.is_some() && self.runs == self.boot
    }

    /// The counter of the image in a slot.
    pub fn counter(&self, slot: Slot) -> Option<u64> {
        match self.of(slot) {
            Content::Image { counter, .. } => counter,
            Content::Empty | Content::Unknown => None,
        }
    }

    /// The state while the slot that does not run is written: it must not start.
    ///
    /// # Errors
    /// `Refused` while the other slot is what the device falls back to, or goes back to.
    pub fn writing(mut self) -> Result<Self, Failure> {
        if self.on_trial() {
            return Err(Failure::Refused(
                "the firmware that runs is on trial; it has to be committed or rolled back first"
                    .to_owned(),
            ));
        }
        if self.trial.is_none() && self.runs != self.boot {
            return Err(Failure::Refused(
                "the firmware was rolled back; the device has to be restarted first".to_owned(),
            ));
        }
        self.boot = self.runs;
        self.trial = None;
        self.content[self.runs.other() as usize] = Content::Empty;
        Ok(self)
    }

    /// The state in which an image in the slot that does not run starts next, on trial.
    pub fn installed(mut self, image: &Image, sha256: [u8; 32]) -> Self {
        self.boot = self.runs.other();
        self.trial = Some(STARTS);
        self.content[self.boot as usize] =
            Content::Image { counter: image.counter, size: image.size, sha256 };
        self
    }

    /// The state in which what runs stays.
    pub fn committed(mut self) -> Self {
        self.trial = None;
        self.failed = None;
        self
    }

    /// The state in which the slot before the one on trial starts next.
    pub fn rolled_back(mut self) -> Self {
        self.failed = self.counter(self.runs);
        self.boot = self.runs.other();
        self.trial = None;
        self
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { serial, runs, boot, trial, content: [a, b], failed } = self;
        let failed = or_none(*failed);
        let (trial, fallback) = match trial {
            Some(starts) => (starts.to_string(), boot.other().to_string()),
            None => ("no".to_owned(), "none".to_owned()),
        };
        f.write_str(&seal(&format!(
            "{VERSION}\nserial={serial}\nruns={runs}\nboot={boot}\ntrial={trial}\nfallback={fallback}\n\
             a={a}\nb={b}\nfailed={failed}\n"
        )))
    }
}
