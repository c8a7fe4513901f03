//! The two copies of the marker: a change is made by the first that is renamed, and either alone is enough to start.

use std::path::PathBuf;

use super::marker::{Marker, Slot};
use crate::firmware::disk::{read, replace};
use crate::firmware::failure::Failure;

/// The names of the copies, in the folder of the marker.
const NAMES: [&str; 2] = ["marker.1", "marker.2"];

/// The marker on the disk.
#[derive(Clone, Debug)]
pub struct Copies {
    folder: PathBuf,
}

/// A copy as it is found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Copy {
    Missing,
    Damaged,
    Good(Marker),
}

impl Copies {
    /// The copies in a folder.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The newest good copy. Without any, `runs` runs, and slot A where that is unknown: it is what the boot script starts.
    ///
    /// # Errors
    /// The folder cannot be read, or no copy is good and nobody knows what runs.
    pub fn read(&self, runs: Option<Slot>) -> Result<Marker, Failure> {
        let found = self.found()?;
        if let Some(newest) = newest(found) {
            return Ok(newest);
        }
        match runs {
            Some(runs) => Ok(Marker::first(runs)),
            None if found == [Copy::Missing; 2] => Ok(Marker::first(Slot::A)),
            None => Err(Failure::Refused(format!(
                "both copies of the marker in {} are damaged; the boot script writes them anew when the device starts",
                self.folder.display()
            ))),
        }
    }

    /// Makes `marker` the state. It is, once the first copy is on the disk; a second that cannot be written is told to the
    /// log.
    ///
    /// # Errors
    /// The first copy cannot be written; the state is the one before, unless the disk fails in the very last step.
    pub fn write(&self, marker: Marker) -> Result<(), Failure> {
        self.replace(marker, false)
    }

    /// Makes `marker` the state of both copies, so that the damage of one brings no older state back.
    ///
    /// # Errors
    /// One of them cannot be written.
    pub fn write_both(&self, mut marker: Marker) -> Result<(), Failure> {
        let found = self.found()?;
        if let Some(newest) = newest(found) {
            marker.serial = newest.serial;
            if found == [Copy::Good(marker); 2] {
                return Ok(());
            }
        }
        self.replace(marker, true)
    }

    fn replace(&self, mut marker: Marker, both: bool) -> Result<(), Failure> {
        let found = self.found()?;
        marker.serial = newest(found).map_or(1, |newest| newest.serial.saturating_add(1));
        let text = marker.to_string();
        // The copy that counts until then is written last.
        let counts = newest(found).map(Copy::Good);
        let [first, second] = if counts == Some(found[0]) { [1, 0] } else { [0, 1] };
        let write = |name: &str| {
            replace(&self.folder, name, &text).map_err(Failure::at(&self.folder.join(name)))
        };
        write(NAMES[first])?;
        match write(NAMES[second]) {
            Err(failure) if !both => log::warn!("{failure}; the other copy of the marker counts"),
            done => return done,
        }
        Ok(())
    }

    fn found(&self) -> Result<[Copy; 2], Failure> {
        let mut found = [Copy::Missing; 2];
        for (name, copy) in NAMES.iter().zip(&mut found) {
            let file = self.folder.join(name);
            *copy = match read(&file) {
                Ok(Some(text)) => Marker::parse(&text).map_or(Copy::Damaged, Copy::Good),
                Ok(None) => Copy::Missing,
                Err(e) if e.kind() == std::io::ErrorKind::InvalidData => Copy::Damaged,
                Err(e) => return Err(Failure::at(&file)(e)),
            };
        }
        Ok(found)
    }
}

/// The newest copy of those that are good; the first of two equal ones.
fn newest(found: [Copy; 2]) -> Option<Marker> {
    let good = |copy| if let Copy::Good(marker) = copy { Some(marker) } else { None };
    match found.map(good) {
        [Some(one), Some(other)] if other.serial > one.serial => Some(other),
        [Some(one), _] => Some(one),
        [None, other] => other,
    }
}
