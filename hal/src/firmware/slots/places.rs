//! Where the slots are, and what keeps the one that runs from being written.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{OFlags, major, minor};

use super::marker::Slot;
use crate::firmware::disk;
use crate::firmware::failure::{Failure, SetupError};
use crate::firmware::writer;

/// The places of a device with two slots.
#[derive(Clone, Debug)]
pub struct Places {
    /// Slot A: a file or a block device, which has to be there.
    pub a: PathBuf,
    /// Slot B, likewise.
    pub b: PathBuf,
    /// The folder of the marker and of the journal, on a file system that keeps what is synced.
    pub marker: PathBuf,
    /// The file in which the boot script says which slot it has started, `a` or `b`. `None`: the marker is believed.
    pub started: Option<PathBuf>,
}

impl Places {
    /// The path of a slot.
    pub fn of(&self, slot: Slot) -> &Path {
        if slot == Slot::A { &self.a } else { &self.b }
    }

    /// Which slot the boot script has started, where it said so.
    ///
    /// # Errors
    /// The file cannot be read, or names no slot.
    pub fn started(&self) -> Result<Option<Slot>, Failure> {
        let Some(file) = &self.started else { return Ok(None) };
        let Some(text) = disk::read(file).map_err(Failure::at(file))? else { return Ok(None) };
        match Slot::named(text.trim_end()) {
            Some(slot) => Ok(Some(slot)),
            None => Err(Failure::Setup(format!("{}: expected a or b", file.display()))),
        }
    }

    /// Checks that the two slots are there and have nothing in common.
    ///
    /// # Errors
    /// Which setting is wrong, and why.
    pub fn check(&self) -> Result<(), SetupError> {
        let [a, b] = [metadata("a", &self.a)?, metadata("b", &self.b)?];
        if same(&a, &b) || holds(&a, &b) || holds(&b, &a) {
            return Err(SetupError(format!(
                "{} and {} are the same storage; the slots a and b have to be two",
                self.a.display(),
                self.b.display()
            )));
        }
        let folder = fs::metadata(&self.marker);
        if !folder.is_ok_and(|folder| folder.is_dir()) {
            return Err(SetupError(format!(
                "{}: the marker needs a folder that is there",
                self.marker.display()
            )));
        }
        Ok(())
    }

    /// Opens the slot beside `runs` for an image of `size` bytes. Whatever the configuration has become, it is not what
    /// runs.
    ///
    /// # Errors
    /// `NoRoom`; `Refused` where it is in use, or still written to; `Setup` and `Disk`.
    pub fn open(&self, runs: Slot, size: u64) -> Result<File, Failure> {
        self.check()?;
        let slot = runs.other();
        let path = self.of(slot);
        let found = fs::metadata(path).map_err(Failure::at(path))?;
        if let Some(user) = user(Path::new("/sys/block"), &found) {
            return Err(in_use(slot, path, &format!("by {user}")));
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        if found.file_type().is_block_device() {
            // The kernel opens no device so that is mounted, or a part of another.
            options.custom_flags(OFlags::EXCL.bits().cast_signed());
        }
        let file = match options.open(path) {
            Err(e) if e.kind() == io::ErrorKind::ResourceBusy => {
                return Err(in_use(slot, path, "as a file system"));
            }
            opened => opened.map_err(Failure::at(path))?,
        };
        let running = self.of(runs);
        let opened = file.metadata().map_err(Failure::at(path))?;
        if same(&opened, &fs::metadata(running).map_err(Failure::at(running))?) {
            return Err(in_use(slot, path, "as slot of what runs"));
        }
        writer::lock(&file, path)?;
        writer::fits(&file, path, size)?;
        Ok(file)
    }
}

fn metadata(slot: &str, path: &Path) -> Result<Metadata, SetupError> {
    let wrong = |why: String| SetupError(format!("slot {slot}: {}: {why}", path.display()));
    let found = fs::metadata(path).map_err(|e| {
        wrong(format!("{e}; the slot has to be there, a partition or a file, which may be empty"))
    })?;
    let kind = found.file_type();
    if kind.is_file() || kind.is_block_device() {
        return Ok(found);
    }
    Err(wrong(
        "neither a file nor a block device; raw flash and UBI need a program (install)".to_owned(),
    ))
}

fn in_use(slot: Slot, path: &Path, how: &str) -> Failure {
    Failure::Refused(format!(
        "slot {slot}: {} is in use {how}; are the two slots exchanged in the configuration?",
        path.display()
    ))
}

/// Whether two paths lead to the same file, or to the same device.
fn same(one: &Metadata, other: &Metadata) -> bool {
    let block = one.file_type().is_block_device() && other.file_type().is_block_device();
    (one.dev() == other.dev() && one.ino() == other.ino()) || (block && one.rdev() == other.rdev())
}

/// Whether one device is a whole disk and the other a part of it.
fn holds(disk: &Metadata, part: &Metadata) -> bool {
    let device = |found: &Metadata| {
        let number = found.file_type().is_block_device().then(|| found.rdev())?;
        fs::canonicalize(format!("/sys/dev/block/{}:{}", major(number), minor(number))).ok()
    };
    device(disk).zip(device(part)).is_some_and(|(disk, part)| part.starts_with(disk))
}

/// The loop device that shows a file, as one does whose file system runs from a file.
fn user(devices: &Path, found: &Metadata) -> Option<String> {
    for device in fs::read_dir(devices).ok()?.flatten() {
        let backing = device.path().join("loop/backing_file");
        let Ok(file) = fs::read_to_string(backing) else { continue };
        if fs::metadata(file.trim_end()).is_ok_and(|file| same(&file, found)) {
            return Some(device.file_name().display().to_string());
        }
    }
    None
}
