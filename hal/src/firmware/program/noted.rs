//! What is kept of the installations of a device whose own program installs: the program knows nothing of counters.

use std::path::Path;

use crate::firmware::disk::{read, replace};
use crate::firmware::failure::Failure;
use crate::firmware::sealed::{number, or_none, seal, unseal, value};

const NAME: &str = "installed";
const VERSION: &str = "ivt-installed 1";
/// What names this start of the device: the kernel makes another one up at each start.
pub const BOOT: &str = "/proc/sys/kernel/random/boot_id";

/// What is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Noted {
    /// The counter of the image that was installed, or committed, last.
    pub counter: Option<u64>,
    /// The counter of the image that was tried last, where it did not stay.
    pub failed: Option<u64>,
    /// The image that is tried.
    pub tried: Option<Tried>,
    /// Whether the device has started since.
    restarted: bool,
}

/// An image that is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// Its counter.
    pub counter: Option<u64>,
    /// How far it came.
    pub phase: Phase,
    /// The start of the device in which it came so far.
    boot: String,
}

/// How far an image came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The program was started, and what came of it is not known.
    Installing,
    /// The program took it.
    Installed,
    /// The device goes back to what was before.
    RolledBack,
}

impl Noted {
    /// What is noted in a folder; nothing where the note is missing or damaged.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub fn read(folder: &Path) -> Result<Self, Failure> {
        let file = folder.join(NAME);
        let text = match read(&file) {
            Err(e) if e.kind() == std::io::ErrorKind::InvalidData => Some(String::new()),
            text => text.map_err(Failure::at(&file))?,
        };
        let Some(text) = text else { return Ok(Self::default()) };
        Ok(Self::parse(&text).unwrap_or_else(|| {
            log::warn!("{}: damaged; which image runs is no longer known", file.display());
            Self::default()
        }))
    }

    /// Notes it in a folder.
    ///
    /// # Errors
    /// The disk does not take it.
    pub fn write(&self, folder: &Path) -> Result<(), Failure> {
        replace(folder, NAME, &self.text()).map_err(Failure::at(&folder.join(NAME)))
    }

    /// What is true in this start of the device, where the image with the counter `told` runs, if it says so. `trials`
    /// says whether the device has images on trial.
    #[must_use]
    pub fn seen(mut self, told: Option<u64>, trials: bool, boot: &str) -> Self {
        let Some(tried) = &self.tried else { return self };
        self.restarted = tried.boot != boot;
        if !self.restarted {
            return self;
        }
        // An image that nobody has signed has no counter to tell it by.
        let another = tried.counter.is_some() && told.is_some() && told != tried.counter;
        match tried.phase {
            Phase::RolledBack => {}
            // It never came to a start.
            Phase::Installing if another => {}
            // The device has gone back by itself.
            Phase::Installed if another => self.failed = tried.counter,
            Phase::Installing | Phase::Installed if trials => return self,
            // It is not known whether it was complete, so that only the device can tell what runs.
            Phase::Installing => self.counter = told,
            Phase::Installed => self.counter = tried.counter,
        }
        self.tried = None;
        self
    }

    /// Whether what runs is on trial. An image whose installation has no known end is tried, too: it may be complete.
    pub fn on_trial(&self) -> bool {
        self.restarted && self.tried.as_ref().is_some_and(|tried| tried.phase != Phase::RolledBack)
    }

    /// Says whether another image may be installed.
    ///
    /// # Errors
    /// `Refused` on trial, and until the restart after it was rolled back.
    pub fn free(&self, boot: &str) -> Result<(), Failure> {
        let why = match &self.tried {
            Some(_) if self.on_trial() => {
                "the firmware that runs is on trial; it has to be committed or rolled back first"
            }
            Some(Tried { phase: Phase::RolledBack, boot: then, .. }) if then == boot => {
                "the firmware was rolled back; the device has to be restarted first"
            }
            _ => return Ok(()),
        };
        Err(Failure::Refused(why.to_owned()))
    }

    /// An image is tried.
    #[must_use]
    pub fn trying(mut self, counter: Option<u64>, phase: Phase, boot: String) -> Self {
        self.tried = Some(Tried { counter, phase, boot });
        self
    }

    /// An image is installed for good.
    #[must_use]
    pub fn taken(self, counter: Option<u64>) -> Self {
        Self { counter, ..Self::default() }
    }

    /// What was on trial stays; `told` is its counter as the device tells it.
    #[must_use]
    pub fn committed(self, told: Option<u64>) -> Self {
        let tried = self.tried.as_ref().and_then(|tried| tried.counter);
        self.taken(told.or(tried))
    }

    /// What was on trial does not stay.
    #[must_use]
    pub fn rolled_back(mut self, boot: String) -> Self {
        let counter = self.tried.take().and_then(|tried| tried.counter);
        self.failed = counter;
        self.trying(counter, Phase::RolledBack, boot)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = unseal(text)?.lines();
        if lines.next()? != VERSION {
            return None;
        }
        let counter = number(value(&mut lines, "counter")?)?;
        let failed = number(value(&mut lines, "failed")?)?;
        let tried = match value(&mut lines, "tried")? {
            "none" => None,
            words => {
                let mut words = words.split(' ');
                let phase = match words.next()? {
                    "installing" => Phase::Installing,
                    "installed" => Phase::Installed,
                    "rolled-back" => Phase::RolledBack,
                    _ => return None,
                };
                let counter = number(words.next()?)?;
                Some(Tried { counter, phase, boot: words.next()?.to_owned() })
            }
        };
        Some(Self { counter, failed, tried, restarted: false })
    }

    /// The text that is kept.
    pub fn text(&self) -> String {
        let tried = match &self.tried {
            None => "none".to_owned(),
            Some(Tried { counter, phase, boot }) => {
                let phase = match phase {
                    Phase::Installing => "installing",
                    Phase::Installed => "installed",
                    Phase::RolledBack => "rolled-back",
                };
                format!("{phase} {} {boot}", or_none(*counter))
            }
        };
        let (counter, failed) = (or_none(self.counter), or_none(self.failed));
        seal(&format!("{VERSION}\ncounter={counter}\nfailed={failed}\ntried={tried}\n"))
    }
}
