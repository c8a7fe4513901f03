//! What an agent needs of the system, by its configuration.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{self, Path, PathBuf};

use rustix::thread::CapabilitySet;

use crate::config::Config;
#[cfg(feature = "update")]
use crate::config::Place;

/// Folders of the system that every agent may read: the resolver's and the clock's settings, authorities, libraries that
/// the C library loads by itself, and what the kernel tells.
pub(super) const SYSTEM: [&str; 8] =
    ["/etc", "/lib", "/lib64", "/proc", "/run", "/sys", "/usr", "/var/run"];
/// Folders of programs and of what they load.
const PROGRAMS: [&str; 5] = ["/bin", "/lib", "/lib64", "/sbin", "/usr"];
/// Folders below which cards are mounted, also those that are not there at the start.
const CARDS: [&str; 2] = ["/media", "/mnt"];
/// The first port that everybody may listen on.
const FREE: u16 = 1024;

/// Names of the capabilities that an agent may need.
const NAMES: [(CapabilitySet, &str); 4] = [
    (CapabilitySet::KILL, "CAP_KILL"),
    (CapabilitySet::NET_BIND_SERVICE, "CAP_NET_BIND_SERVICE"),
    (CapabilitySet::SYS_BOOT, "CAP_SYS_BOOT"),
    (CapabilitySet::SYS_TIME, "CAP_SYS_TIME"),
];

/// What an agent needs of the system. Paths are absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rights {
    /// What may be read, beside [`SYSTEM`].
    pub(super) read: BTreeSet<PathBuf>,
    /// What may be read and written.
    pub(super) write: BTreeSet<PathBuf>,
    /// What may be run.
    pub(super) run: BTreeSet<PathBuf>,
    /// Files that may be links to other folders.
    pub(super) links: Vec<PathBuf>,
    /// Folders of what is written, which are made where they are missing.
    pub(super) folders: Vec<PathBuf>,
    /// What the agent itself may do.
    pub(super) capabilities: CapabilitySet,
    /// Which of this the programs may do that it starts.
    pub(super) inherited: CapabilitySet,
}

impl Rights {
    /// The rights of an agent with the configuration `config` in the files `named`.
    pub(super) fn of(config: &Config, named: &[PathBuf]) -> Self {
        let none = CapabilitySet::empty();
        let mut rights = Self {
            read: BTreeSet::new(),
            write: BTreeSet::new(),
            run: BTreeSet::new(),
            links: Vec::new(),
            folders: Vec::new(),
            capabilities: none,
            inherited: none,
        };
        named.iter().for_each(|file| rights.read_beside(file));
        let profile = config.tlss.as_ref().and_then(|tlss| tlss.profile.as_deref());
        let files = [config.cloud.ca_file.as_deref(), profile].into_iter().flatten();
        files.for_each(|file| rights.read_beside(file));
        for channel in &config.channels {
            let backend = &channel.backend;
            backend.files().into_iter().for_each(|file| rights.read_beside(file));
            backend.profiles().for_each(|file| rights.read_beside(file));
            backend.programs().for_each(|words| rights.run(&words));
            if backend.has_board() {
                rights.capabilities |= CapabilitySet::SYS_TIME;
                // The control socket of wpa_supplicant may be there.
                rights.read.insert("/tmp/wpa_supplicant".into());
            }
            if backend.restarts() {
                rights.restart_by_program();
            }
        }
        let spool = config.record.spool.as_ref().map(|spool| &spool.dir);
        let folders = [config.state_dir.as_ref(), spool];
        folders.into_iter().flatten().for_each(|folder| rights.write_in(folder));
        rights.write.extend(spool.and_then(|spool| above_card(&absolute(spool))));
        #[cfg(feature = "linux")]
        rights.write.extend(config.runtime.watchdog.clone());
        #[cfg(feature = "update")]
        rights.upgrade(config);
        #[cfg(feature = "ui")]
        rights.serve(config, named);
        if let Some(sandbox) = &config.sandbox {
            rights.read.extend(sandbox.read.iter().map(absolute));
            rights.write.extend(sandbox.write.iter().map(absolute));
        }
        rights
    }

    /// What `wanted` has beyond these rights; paths count where the kernel refuses those that were not named.
    pub(super) fn lacks(&self, wanted: &Self, has_files: bool) -> Vec<String> {
        let within = |path: &Path, sets: &[&BTreeSet<PathBuf>]| {
            !has_files || sets.iter().any(|set| set.iter().any(|known| path.starts_with(known)))
        };
        let told = |verb: &str, path: &Path| format!("{verb} {}", path.display());
        let written = wanted.write.iter().filter(|path| !within(path, &[&self.write]));
        let mut lacks: Vec<_> = written.map(|path| told("writing", path)).collect();
        let system = SYSTEM.map(PathBuf::from).into();
        let known = [&self.read, &self.write, &system];
        let read = wanted.read.iter().filter(|path| !within(path, &known));
        lacks.extend(read.map(|path| told("reading", path)));
        match self.run.is_empty() {
            true if !wanted.run.is_empty() => lacks.push("running programs".into()),
            _ => {
                let run = wanted.run.iter().filter(|path| !within(path, &[&self.run]));
                lacks.extend(run.map(|path| told("running", path)));
            }
        }
        let more = wanted.capabilities.difference(self.capabilities);
        lacks.extend(names(more).map(str::to_owned));
        lacks
    }

    /// What is kept, for the log.
    pub(super) fn summary(&self) -> String {
        let list = |set: &BTreeSet<PathBuf>| {
            let paths: Vec<_> = set.iter().map(|path| path.display().to_string()).collect();
            if paths.is_empty() { "nothing".to_owned() } else { paths.join(" ") }
        };
        let mut kept: Vec<_> = names(self.capabilities).collect();
        if kept.is_empty() {
            kept.push("no capability");
        }
        let programs = if self.run.is_empty() { "no programs" } else { "programs" };
        format!("writes {}; runs {programs}; keeps {}", list(&self.write), kept.join(" "))
    }

    /// Files are exchanged by renaming, so that their folder counts.
    fn read_beside(&mut self, file: &Path) {
        let file = absolute(file);
        self.read.insert(folder_of(&file));
        self.links.push(file);
    }

    fn write_in(&mut self, folder: &Path) {
        let folder = absolute(folder);
        self.write.insert(folder.clone());
        self.folders.push(folder);
    }

    fn run(&mut self, words: &[String]) {
        let Some(program) = words.first() else { return };
        self.run.extend(PROGRAMS.map(PathBuf::from));
        // A bare name is looked for in the system's folders.
        if program.contains('/') {
            self.run.insert(absolute(program));
        }
    }

    /// A program that restarts the device asks the kernel, or sends a signal to the first process.
    fn restart_by_program(&mut self) {
        self.inherited |= CapabilitySet::SYS_BOOT | CapabilitySet::KILL;
        self.capabilities |= self.inherited;
    }

    #[cfg(feature = "update")]
    fn upgrade(&mut self, config: &Config) {
        let Some(place) = &config.firmware.place else { return };
        match place {
            Place::Slots { a, b, marker, started } => {
                self.write.extend([a, b, marker].map(absolute));
                started.iter().for_each(|file| self.read_beside(file));
            }
            Place::Programs { folder, install, commit, rollback, running, limit: _ } => {
                self.write_in(folder);
                [install, commit, rollback, running].into_iter().for_each(|words| self.run(words));
            }
        }
        match &config.firmware.restart {
            None => self.capabilities |= CapabilitySet::SYS_BOOT,
            Some(words) if words.is_empty() => {}
            Some(words) => {
                self.run(words);
                self.restart_by_program();
            }
        }
    }

    /// The page changes the configuration, whose files are exchanged in their folder.
    #[cfg(feature = "ui")]
    fn serve(&mut self, config: &Config, named: &[PathBuf]) {
        let Some(web) = &config.web else { return };
        for file in named {
            // Where the path is a link, the file that it leads to is exchanged.
            let real = file.canonicalize().unwrap_or_else(|_| file.clone());
            self.write.insert(folder_of(&absolute(real)));
        }
        if let Some((certificate, key)) = &web.certificate {
            [certificate, key].into_iter().for_each(|file| self.read_beside(file));
        }
        let reset = folder_of(&absolute(&web.reset_file));
        self.write_in(&reset);
        if web.listen.port < FREE {
            self.capabilities |= CapabilitySet::NET_BIND_SERVICE;
        }
    }
}

/// The names of capabilities.
fn names(capabilities: CapabilitySet) -> impl Iterator<Item = &'static str> {
    NAMES.into_iter().filter(move |(one, _)| capabilities.contains(*one)).map(|(_, name)| name)
}

fn absolute(path: impl AsRef<Path>) -> PathBuf {
    let path = path.as_ref();
    path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The folder above the mount point of a card, which may be changed while the agent runs: what is allowed below a mount
/// point is allowed on the card that is mounted now, and on no other. `None` for a folder of the system's own disk, and
/// where the card is mounted in the root of all folders.
fn above_card(spool: &Path) -> Option<PathBuf> {
    if let Some(usual) = CARDS.iter().find(|usual| spool.starts_with(usual)) {
        return Some(PathBuf::from(usual));
    }
    let device = |folder: &Path| folder.metadata().ok().map(|metadata| metadata.dev());
    let mut folders = spool.ancestors().zip(spool.ancestors().skip(1));
    let (_, above) = folders.find(|(folder, above)| {
        device(folder).is_some_and(|device_of| device(above) != Some(device_of))
    })?;
    above.parent().is_some().then(|| above.to_owned())
}

/// The folder of a file; the file itself where that is the root of all folders.
fn folder_of(file: &Path) -> PathBuf {
    let folder = file.parent().filter(|folder| folder.parent().is_some());
    folder.unwrap_or(file).to_owned()
}
