//! A program of the device that installs a firmware: RAUC, SWUpdate or a script of the vendor.

mod noted;

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rustix::fs::OFlags;

use self::noted::{BOOT, Noted, Phase};
use super::disk::remove;
use super::failure::{Checked, Failure, SetupError};
use super::on_disk::{Coming, Installer, OnDisk, blocking};
use super::restart::Restart;
use super::run::{End, run};
use super::writer::{Writer, fits, forget, lock};
use crate::{Error, Firmware, Image, Incoming, Installed, Kind, Result, Running};

/// What stands for the path of the image in the words of `install`.
const PLACE: &str = "{image}";
/// The image, in the folder.
const IMAGE: &str = "image";
/// What keeps two installations apart: locked by whoever writes the image or installs it.
const LOCK: &str = "lock";
/// How long a program may take that does not install.
const LIMIT: Duration = Duration::from_secs(60);

/// The programs of a device, each with its arguments. None of them is given to a shell.
#[derive(Clone, Debug)]
pub struct Programs {
    /// Where the image is until it is installed; the folder has to be there.
    pub folder: PathBuf,
    /// Installs the image whose path stands for `{image}` in one of its words.
    pub install: Vec<String>,
    /// Keeps what runs. Without it no image is on trial.
    pub commit: Vec<String>,
    /// Makes the image before the one that runs start next.
    pub roll_back: Vec<String>,
    /// Prints the counter of the image that runs; required with `commit`, since a boot loader goes back without a word.
    /// Without it the image that was installed last is believed to run.
    pub running: Vec<String>,
    /// How long `install` may take.
    pub limit: Duration,
}

/// A device with a program that installs.
pub struct Program {
    device: Arc<Device>,
    restart: Restart,
}

struct Device {
    programs: Programs,
    /// The file that names this start of the device.
    boot: PathBuf,
}

impl Program {
    /// The programs of a device, after a look at the folder.
    ///
    /// # Errors
    /// What is missing.
    pub fn new(programs: Programs, restart: Restart) -> std::result::Result<Self, SetupError> {
        if programs.install.first().is_none_or(String::is_empty) {
            return Err(SetupError("install names no program".to_owned()));
        }
        if !programs.install.iter().any(|word| word.contains(PLACE)) {
            return Err(SetupError(format!(
                "install has no {PLACE} among its words, where the path of the image is to stand"
            )));
        }
        if programs.running.is_empty() && !programs.commit.is_empty() {
            return Err(SetupError(
                "commit needs running, too, a program that prints the counter of the firmware that runs: otherwise \
                 the old one is taken for the new one where the boot loader has gone back to it"
                    .to_owned(),
            ));
        }
        if !fs::metadata(&programs.folder).is_ok_and(|folder| folder.is_dir()) {
            return Err(SetupError(format!(
                "{}: the image needs a folder that is there",
                programs.folder.display()
            )));
        }
        Ok(Self { device: Arc::new(Device { programs, boot: PathBuf::from(BOOT) }), restart })
    }

    async fn noted<T: Send + 'static>(
        &self,
        op: &'static str,
        work: impl FnOnce(&Arc<Device>) -> Checked<T> + Send + 'static,
    ) -> Result<T> {
        let device = self.device.clone();
        blocking(op, move || work(&device)).await
    }

    /// What is noted, after a look at what really runs: its counter, where the device tells it.
    async fn look(&self, op: &'static str) -> Result<(Noted, Option<u64>)> {
        let told = match self.device.programs.running.as_slice() {
            [] => None,
            words => {
                let said = run(op, words, LIMIT, Stdio::null()).await?;
                let wrong = || Error::new(op, Kind::Other).because(NoNumber(said.clone()));
                Some(said.trim().parse().map_err(|_| wrong())?)
            }
        };
        let noted = self.noted(op, move |device| {
            let Programs { folder, commit, .. } = &device.programs;
            Ok(Noted::read(folder)?.seen(told, !commit.is_empty(), &device.boot()?))
        });
        Ok((noted.await?, told))
    }
}

/// What the program `running` printed.
#[derive(Debug, thiserror::Error)]
#[error(
    "running has to print the counter of the image, a number in decimal digits, and printed {0:?}"
)]
struct NoNumber(String);

#[async_trait]
impl Firmware for Program {
    async fn open(&self, image: &Image) -> Result<Box<dyn Incoming>> {
        const OP: &str = "firmware open";
        let (noted, _) = self.look(OP).await?;
        let image = image.clone();
        let restarts = self.restart != Restart::Nothing;
        self.noted(OP, move |device| {
            noted.free(&device.boot()?)?;
            let folder = &device.programs.folder;
            let path = folder.join(LOCK);
            let locked = open(&path)?;
            lock(&locked, &path)?;
            let path = folder.join(IMAGE);
            let file = open(&path)?;
            fits(&file, &path, image.size)?;
            let disk = OnDisk::new(Writer::begin(file, &path, folder, &image)?);
            let device = device.clone();
            let installer = Handover { device, image, noted, locked, restarts };
            Ok(Box::new(Coming { disk, installer }) as Box<dyn Incoming>)
        })
        .await
    }

    async fn running(&self) -> Result<Running> {
        const OP: &str = "firmware running";
        let (noted, told) = self.look(OP).await?;
        let counter = told.or(noted.counter);
        Ok(Running { trial: noted.on_trial(), counter, failed: noted.failed })
    }

    async fn commit(&self) -> Result<()> {
        const OP: &str = "firmware commit";
        let (noted, told) = self.look(OP).await?;
        if !noted.on_trial() {
            return Ok(());
        }
        run(OP, &self.device.programs.commit, LIMIT, Stdio::null()).await?;
        self.noted(OP, move |device| noted.committed(told).write(&device.programs.folder)).await
    }

    async fn roll_back(&self) -> Result<()> {
        const OP: &str = "firmware roll back";
        let (noted, _) = self.look(OP).await?;
        if !noted.on_trial() {
            return Err(Failure::Refused("no firmware is on trial".to_owned()).of(OP));
        }
        run(OP, &self.device.programs.roll_back, LIMIT, Stdio::null()).await?;
        self.noted(OP, move |device| {
            noted.rolled_back(device.boot()?).write(&device.programs.folder)
        })
        .await
    }

    async fn restart(&self) -> Result<()> {
        self.restart.restart().await
    }
}

/// Gives an image to the program.
struct Handover {
    device: Arc<Device>,
    image: Image,
    /// What was noted when it was opened.
    noted: Noted,
    /// Stays locked while the program runs, even when the agent ends: it is its standard input, an empty one.
    locked: File,
    restarts: bool,
}

#[async_trait]
impl Installer for Handover {
    async fn install(self, disk: OnDisk) -> Result<Installed> {
        const OP: &str = "firmware install";
        let Self { device, image, noted, locked, restarts } = self;
        let (counter, same, before) = (image.counter, device.clone(), noted.clone());
        disk.end(move |mut writer| {
            writer.verify()?;
            // A power cut from here on leaves what the program has left, and the agent has to find out.
            before.trying(counter, Phase::Installing, same.boot()?).write(&same.programs.folder)
        })
        .await?;
        let programs = &device.programs;
        let path = programs.folder.join(IMAGE).display().to_string();
        let words: Vec<_> =
            programs.install.iter().map(|word| word.replace(PLACE, &path)).collect();
        let verdict = run(OP, &words, programs.limit, Stdio::from(locked)).await;
        let end = End::of(&verdict);
        blocking(OP, move || {
            let programs = &device.programs;
            let noted = match end {
                // What was installed before in this start of the device still starts next.
                End::Refused => Some(noted),
                End::Taken if programs.commit.is_empty() => Some(noted.taken(counter)),
                End::Taken => Some(noted.trying(counter, Phase::Installed, device.boot()?)),
                // A service may go on with it: the next start of the device tells.
                End::Unknown => None,
            };
            if let Some(noted) = noted {
                noted.write(&programs.folder)?;
            }
            forget(&programs.folder);
            if let Err(e) = remove(&programs.folder, IMAGE) {
                // The next image is written over it.
                log::warn!("{}: {e}", programs.folder.join(IMAGE).display());
            }
            Ok(())
        })
        .await?;
        verdict?;
        Ok(if restarts { Installed::Restart } else { Installed::Done })
    }
}

impl Device {
    /// What names this start of the device.
    fn boot(&self) -> Checked<String> {
        let text = fs::read_to_string(&self.boot).map_err(Failure::at(&self.boot))?;
        Ok(text.trim().to_owned())
    }
}

/// Opens a file that only the agent's user may read, and makes it where there is none. A link is not followed.
fn open(path: &Path) -> Checked<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
        .map_err(Failure::at(path))
}

#[cfg(test)]
mod tests;
