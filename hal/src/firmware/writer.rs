//! Writes an image into a file or a block device, each byte once: what is on the disk for certain is noted in a journal,
//! and a later attempt with the same image goes on there.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::os::unix::fs::{FileExt as _, FileTypeExt as _};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::fs::{Advice, fadvise, fstatvfs};
use sha2::{Digest as _, Sha256};

use super::disk::{read, remove, replace};
use super::failure::Failure;
use super::sealed::{hex, or_none, seal, unseal, value};
use crate::Image;

/// Most bytes that one read gives.
const CHUNK: usize = 64 << 10;
/// Bytes after which the journal notes what is on the disk.
const NOTED: u64 = 1 << 20;
/// How long a write of before may take to end.
const PATIENCE: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(20);
const VERSION: &str = "ivt-journal 1";
const JOURNAL: &str = "journal";

/// An image that is being written.
pub struct Writer {
    file: File,
    /// Path of the file, for errors and the journal.
    path: PathBuf,
    /// The folder of the journal.
    folder: PathBuf,
    image: Image,
    /// Bytes that were written.
    written: u64,
    /// Bytes that are on the disk, as the journal says.
    noted: u64,
    /// The sum of what was written, where nobody said which it has to be.
    sum: Option<Sha256>,
}

impl Writer {
    /// Begins to write, or goes on with the same image. `file` is open for reading and writing, has room, and is locked.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn begin(file: File, path: &Path, folder: &Path, image: &Image) -> Result<Self, Failure> {
        let sum = image.sha256.is_none().then(Sha256::new);
        let (path, folder, image) = (path.to_owned(), folder.to_owned(), image.clone());
        let mut writer = Self { file, path, folder, image, written: 0, noted: 0, sum };
        let kept = if writer.sum.is_some() { None } else { writer.journal() };
        match kept {
            Some(kept) => (writer.written, writer.noted) = (kept, kept),
            None => writer.clear()?,
        }
        Ok(writer)
    }

    /// Bytes that were written.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// What was written from `offset` on, at most 64 KiB.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub fn read(&self, offset: u64) -> Result<Bytes, Failure> {
        let left = self.written.saturating_sub(offset);
        let mut bytes = vec![0; CHUNK.min(usize::try_from(left).unwrap_or(CHUNK))];
        self.file.read_exact_at(&mut bytes, offset).map_err(Failure::at(&self.path))?;
        Ok(bytes.into())
    }

    /// Writes the next bytes.
    ///
    /// # Errors
    /// More than the image has, or the disk does not take them; then none counts as written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let size = self.image.size;
        if bytes.len() as u64 > size - self.written {
            return Err(Failure::TooLong { size });
        }
        self.file.write_all_at(bytes, self.written).map_err(Failure::at(&self.path))?;
        self.written += bytes.len() as u64;
        if let Some(sum) = &mut self.sum {
            sum.update(bytes);
        }
        if self.written - self.noted >= NOTED { self.note() } else { Ok(()) }
    }

    /// Forgets what was written.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn clear(&mut self) -> Result<(), Failure> {
        (self.written, self.noted) = (0, 0);
        if let Some(sum) = &mut self.sum {
            *sum = Sha256::new();
        }
        self.write_journal()
    }

    /// Brings all to the disk and reads it back from there. What is not whole there is forgotten.
    ///
    /// # Errors
    /// The image is not whole, or the disk holds something else.
    pub fn verify(&mut self) -> Result<[u8; 32], Failure> {
        let Image { size, sha256, .. } = self.image;
        if self.written != size {
            return Err(Failure::NotWhole { written: self.written, size });
        }
        let at = |e: io::Error| Failure::at(&self.path)(e);
        let found = self.file.metadata().map_err(at)?;
        if found.is_file() && found.len() > size {
            self.file.set_len(size).map_err(at)?;
        }
        self.note()?;
        // Otherwise memory is read, which says nothing about the flash.
        fadvise(&self.file, 0, None, Advice::DontNeed)
            .map_err(|e| Failure::at(&self.path)(e.into()))?;
        let wanted = match self.sum.take() {
            Some(sum) => sum.finalize().into(),
            None => sha256.unwrap_or_default(),
        };
        let (mut sum, mut offset) = (Sha256::new(), 0);
        while offset < size {
            let bytes = self.read(offset)?;
            sum.update(&bytes);
            offset += bytes.len() as u64;
        }
        if wanted != <[u8; 32]>::from(sum.finalize()) {
            self.clear()?;
            return Err(Failure::ReadBack { path: self.path.clone() });
        }
        Ok(wanted)
    }

    /// Brings what was written to the disk, and notes it.
    fn note(&mut self) -> Result<(), Failure> {
        self.file.sync_all().map_err(Failure::at(&self.path))?;
        self.noted = self.written;
        self.write_journal()
    }

    fn write_journal(&self) -> Result<(), Failure> {
        let text = seal(&format!("{}kept={}\n", self.identity(), self.noted));
        replace(&self.folder, JOURNAL, &text).map_err(Failure::at(&self.folder.join(JOURNAL)))
    }

    /// How many bytes of this image are on the disk; `None` where the journal is about another one, or about none.
    fn journal(&self) -> Option<u64> {
        let text = read(&self.folder.join(JOURNAL)).ok()??;
        let rest = unseal(&text)?.strip_prefix(self.identity().as_str())?;
        let kept = value(&mut rest.lines(), "kept")?.parse().ok()?;
        let there = self.file.metadata().ok()?;
        let readable = !there.is_file() || there.len() >= kept;
        (kept <= self.image.size && readable).then_some(kept)
    }

    fn identity(&self) -> String {
        let Image { version, counter, size, sha256 } = &self.image;
        let sum = sha256.map_or_else(|| "none".to_owned(), |sum| hex(&sum));
        let (path, counter) = (self.path.display(), or_none(*counter));
        format!("{VERSION}\nplace={path:?}\nversion={version:?}\nimage={counter} {size} {sum}\n")
    }
}

/// Removes the journal: the image is installed, or refused, and nothing of it is to be written on.
pub fn forget(folder: &Path) {
    if let Err(e) = remove(folder, JOURNAL) {
        // The next image writes another.
        log::warn!("{}: {e}", folder.join(JOURNAL).display());
    }
}

/// Locks a file against another writer. A write that was given up may still be under way, which is waited for.
///
/// # Errors
/// `Refused` where another goes on writing.
pub fn lock(file: &File, path: &Path) -> Result<(), Failure> {
    let begun = Instant::now();
    while file.try_lock().is_err() {
        if begun.elapsed() > PATIENCE {
            return Err(Failure::Refused(format!(
                "{}: an image that was begun before is still written, or installed",
                path.display()
            )));
        }
        sleep(PAUSE);
    }
    Ok(())
}

/// Says whether an image of `size` bytes fits into a file.
///
/// # Errors
/// `NoRoom`, also for an image without a byte, or the system cannot tell.
pub fn fits(file: &File, path: &Path, size: u64) -> Result<(), Failure> {
    let room = capacity(file).map_err(Failure::at(path))?;
    let path = path.display();
    match size {
        0 => Err(Failure::NoRoom("an image of 0 bytes is none".to_owned())),
        _ if room < size => Err(Failure::NoRoom(format!(
            "{path}: has room for {room} bytes, and the image has {size}"
        ))),
        _ => Ok(()),
    }
}

/// How many bytes fit: the size of a block device; of a file its own size and what is free beside it.
fn capacity(mut file: &File) -> io::Result<u64> {
    let found = file.metadata()?;
    if found.file_type().is_block_device() {
        return file.seek(SeekFrom::End(0));
    }
    let system = fstatvfs(file)?;
    Ok(system.f_bavail.saturating_mul(system.f_frsize).saturating_add(found.len()))
}
