//! `[firmware]`: where a new firmware of the device goes, and whose is taken.

use std::path::PathBuf;
use std::time::Duration;

use toml::de::DeValue;

use super::error::Error;
use super::section::{PATH, Section, boolean, integer, list, path, seconds, text, word};
use crate::minisign::PublicKey;

/// Most keys whose signatures are taken.
const KEYS: usize = 16;
/// Most words of a program and its arguments.
const WORDS: usize = 64;

/// The firmware of the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firmware {
    /// `backend` and what goes with it; default "none".
    pub place: Option<Place>,
    /// `restart`: program with its arguments that restarts the device; empty where the installer does, default the
    /// kernel.
    pub restart: Option<Vec<String>>,
    /// Which firmware is taken, and when.
    pub rules: Rules,
}

/// Where a new firmware goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Two files or block devices.
    Slots {
        /// `slot_a`, required.
        a: PathBuf,
        /// `slot_b`, required.
        b: PathBuf,
        /// `marker`, required: a folder of its own for the file that says which of them is started.
        marker: PathBuf,
        /// `started`: a file in which the boot script wrote the letter of the slot that it started; default none.
        started: Option<PathBuf>,
    },
    /// A program of the vendor, or of an update system.
    Programs {
        /// `folder`, required: where an image is kept until it is installed.
        folder: PathBuf,
        /// `install`, required: program with its arguments, of which one holds `{image}`.
        install: Vec<String>,
        /// `commit`: program that keeps the firmware on trial; default none, there is no trial.
        commit: Vec<String>,
        /// `rollback`: program that goes back to the firmware before; default none.
        rollback: Vec<String>,
        /// `running`: program that prints the counter of the firmware that runs; default none.
        running: Vec<String>,
        /// `time_limit`, in seconds: how long `install` may take; default 600.
        limit: Duration,
    },
}

/// Which firmware is taken, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// `keys`: whose signatures count; default none.
    pub keys: Vec<Key>,
    /// `model`: what the signature has to name; default `cloud.hardware_model`.
    pub model: Option<String>,
    /// `allow_unsigned`: images without a signature that counts are installed, too; default false.
    pub allow_unsigned: bool,
    /// `max_size`: most bytes of an image; default 64 MiB.
    pub max_size: u64,
    /// `daily`: the cloud is asked for a firmware each night; default true.
    pub daily: bool,
    /// `defer_for_recording` and `defer_hours`: how long the restart waits at most for recordings to end; default
    /// zero.
    pub defer: Duration,
    /// `commit_minutes`: how long a new firmware has to be connected to the cloud before it stays; default 5 minutes.
    pub commit: Duration,
    /// `rollback_minutes`: when a new firmware that did not come so far gives way to the one before; default 15
    /// minutes.
    pub rollback: Duration,
}

/// A public key of minisign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The key as its file has it, in base64.
    pub text: String,
    /// The same, read.
    pub public: PublicKey,
}

impl Key {
    /// Reads a key as its file has it, in base64.
    ///
    /// # Errors
    /// What it should be.
    pub fn parse(text: &str) -> Result<Self, String> {
        match PublicKey::read(text) {
            Some(public) => Ok(Self { text: text.to_owned(), public }),
            None => Err("a public key of minisign, \"RW...\" of 56 characters: the second line \
                           of its .pub file"
                .into()),
        }
    }
}

pub(super) fn firmware(
    mut section: Section<'_, '_>,
    hardware_model: &str,
) -> Result<Firmware, Error> {
    let slots = word(&[("none", None), ("slots", Some(true)), ("command", Some(false))]);
    let backend = section.insist("backend", slots)?.flatten();
    let [a, b] = [path(&mut section, "slot_a")?, path(&mut section, "slot_b")?];
    let (marker, started) = (path(&mut section, "marker")?, path(&mut section, "started")?);
    let folder = path(&mut section, "folder")?;
    let mut words = |key| program(&mut section, key);
    let (install, commit) = (words("install")?, words("commit")?);
    let (rollback, running, restart) = (words("rollback")?, words("running")?, words("restart")?);
    let [install, commit, rollback, running] =
        [install, commit, rollback, running].map(Option::unwrap_or_default);
    let limit = section.read("time_limit", integer(10..=7200))?.unwrap_or(600);
    let rules = rules(&mut section, hardware_model, backend.is_some())?;
    let need = |value: Option<PathBuf>, key| value.ok_or_else(|| section.missing(key));
    let place = match backend {
        None => None,
        Some(true) if restart.as_ref().is_some_and(Vec::is_empty) => {
            let cure = "firmware.restart must not be empty with backend \"slots\": leave it out, or name a program";
            return Err(section.error(cure));
        }
        Some(true) => {
            let (a, b) = (need(a, "slot_a")?, need(b, "slot_b")?);
            Some(Place::Slots { a, b, marker: need(marker, "marker")?, started })
        }
        Some(false) if install.iter().any(|word| word.contains("{image}")) => {
            let (folder, limit) = (need(folder, "folder")?, seconds(limit));
            Some(Place::Programs { folder, install, commit, rollback, running, limit })
        }
        Some(false) => {
            let needs =
                "firmware.install must be a program with its arguments, of which one holds {image}";
            return Err(section.error(needs));
        }
    };
    section.finish()?;
    Ok(Firmware { place, restart, rules })
}

fn rules(section: &mut Section<'_, '_>, hardware_model: &str, used: bool) -> Result<Rules, Error> {
    let keys = section.insist("keys", list(|key| Key::parse(&text(0..=PATH)(key)?)))?;
    let keys = keys.unwrap_or_default();
    if keys.len() > KEYS {
        return Err(section.error(format!("firmware.keys has more than {KEYS} keys")));
    }
    let model = section.insist("model", model)?;
    if used && model.is_none() && !nameable(hardware_model) {
        let cure = "no signature can name cloud.hardware_model: set firmware.model";
        return Err(section.error(cure));
    }
    let allow_unsigned = section.insist("allow_unsigned", boolean)?.unwrap_or(false);
    let max_size = section.read("max_size", integer(1..=1 << 32))?.unwrap_or(64 << 20);
    let daily = section.read("daily", boolean)?.unwrap_or(true);
    let deferred = section.read("defer_for_recording", boolean)?.unwrap_or(false);
    let hours = section.read("defer_hours", integer(1..=24))?.unwrap_or(4);
    let commit = section.read("commit_minutes", integer(1..=60))?.unwrap_or(5);
    let rollback = section.read("rollback_minutes", integer(1..=1440))?.unwrap_or(15);
    if rollback < commit {
        let error = section.error("firmware.rollback_minutes is less than firmware.commit_minutes");
        section.pass(error, "the firmware on trial has the longer time")?;
    }
    Ok(Rules {
        keys,
        model,
        allow_unsigned,
        max_size,
        daily,
        defer: seconds(if deferred { hours * 3600 } else { 0 }),
        commit: seconds(commit * 60),
        rollback: seconds(rollback.max(commit) * 60),
    })
}

/// Reads a program with its arguments.
fn program(section: &mut Section<'_, '_>, key: &'static str) -> Result<Option<Vec<String>>, Error> {
    let words = section.insist(key, list(|word| text(0..=PATH)(word)))?;
    let fits = |words: &Vec<String>| words.len() <= WORDS && words.first() != Some(&String::new());
    if !words.as_ref().is_none_or(fits) {
        let begin =
            format!("firmware.{key} must begin with a program, and have {WORDS} words at most");
        return Err(section.error(begin));
    }
    Ok(words)
}

fn model(value: &DeValue<'_>) -> Result<String, String> {
    let text = text(1..=PATH)(value)?;
    match nameable(&text) {
        true => Ok(text),
        false => Err("1 to 128 printable ASCII characters without a space".into()),
    }
}

/// Whether the comment of a signature can hold this model.
fn nameable(model: &str) -> bool {
    (1..=128).contains(&model.len()) && model.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    /// Two keys that were made for this test.
    const KEYS: [&str; 2] = [
        "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3",
        "RWTZZfvPE1TJHG3lThEPMbNFAWYlpdORNWAFdGQ1y8NqOzDH8tEyfYKv",
    ];
    const SLOTS: &str = "backend = 'slots'\nslot_a = '/a'\nslot_b = '/b'\nmarker = 'm'\n";

    fn read(keys: &str) -> Result<Firmware, String> {
        let cloud = "[cloud]\nurl = 'ws://h/ivc'\nlogin_code = 'c'\nlogin_passwd = 'p'\nhardware_model = 'IPC-1'\n";
        let text = format!("{cloud}[[channel]]\nbackend = 'emulator'\n[firmware]\n{keys}");
        text.parse::<Config>().map(|config| config.firmware).map_err(|e| e.to_string())
    }

    #[test]
    fn nothing_is_installed_unless_it_is_said_where() {
        let Firmware { place, restart, rules } = read("").unwrap();
        assert_eq!((place, restart), (None, None));
        assert_eq!((rules.model, rules.keys.len(), rules.allow_unsigned), (None, 0, false));
        assert_eq!((rules.max_size, rules.daily, rules.defer), (64 << 20, true, seconds(0)));
        assert_eq!((rules.commit, rules.rollback), (seconds(300), seconds(900)));
    }

    #[test]
    fn slots_programs_and_several_keys_are_read() {
        let slots =
            read(&format!("{SLOTS}keys = {KEYS:?}\nmodel = 'X'\ndefer_for_recording = true\n"))
                .unwrap();
        let [a, b, marker] = ["/a", "/b", "m"].map(PathBuf::from);
        assert_eq!(slots.place, Some(Place::Slots { a, b, marker, started: None }));
        let texts: Vec<_> = slots.rules.keys.iter().map(|key| &*key.text).collect();
        assert_eq!((&texts[..], slots.rules.model.as_deref()), (&KEYS[..], Some("X")));
        assert_eq!(slots.rules.defer, seconds(4 * 3600));
        let rauc = "backend = 'command'\nfolder = '/data'\ninstall = ['rauc', 'install', '{image}']\n\
                    commit = ['rauc', 'status', 'mark-good']\nrestart = ['reboot']\n";
        let programs = read(rauc).unwrap();
        assert_eq!(programs.restart.as_deref(), Some(&["reboot".to_owned()][..]));
        let Some(Place::Programs { install, commit, rollback, limit, .. }) = programs.place else {
            panic!("no programs");
        };
        assert_eq!((install.len(), commit.len(), rollback.len()), (3, 3, 0));
        assert_eq!(limit, seconds(600));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (keys, want) in [
            ("backend = 'slot'".into(), "\"slots\""),
            (
                "backend = 'slots'\nslot_a = '/a'\nmarker = '/m'".into(),
                "firmware.slot_b is missing",
            ),
            ("backend = 'command'\nfolder = '/d'".into(), "{image}"),
            ("backend = 'command'\nfolder = '/d'\ninstall = ['rauc']".into(), "{image}"),
            (
                "backend = 'command'\ninstall = ['r', '{image}']".into(),
                "firmware.folder is missing",
            ),
            (format!("{SLOTS}restart = []"), "firmware.restart must not be empty"),
            ("restart = ['']".into(), "must begin with a program"),
            ("keys = ['RWQf6LRC']".into(), "second line of its .pub file"),
            ("keys = ['untrusted comment: minisign public key']".into(), "second line"),
            (format!("keys = {:?}", [KEYS[0]; 17]), "more than 16 keys"),
            ("model = 'IPC 1'".into(), "without a space"),
            ("commit_minutes = 20".into(), "less than firmware.commit_minutes"),
            ("max_size = 0".into(), "a whole number from 1"),
            ("alow_unsigned = true".into(), "\"allow_unsigned\"?"),
        ] {
            let error = read(&keys).unwrap_err();
            assert!(error.contains(want), "{keys}: {error}");
        }
        let cloud = "[cloud]\nurl = 'ws://h/ivc'\nlogin_code = 'c'\nlogin_passwd = 'p'\nhardware_model = 'IPC 1'\n";
        let text = format!("{cloud}[[channel]]\nbackend = 'emulator'\n[firmware]\n");
        assert!(text.parse::<Config>().is_ok(), "no firmware is to be installed");
        let error = format!("{text}{SLOTS}").parse::<Config>().unwrap_err().to_string();
        assert!(error.contains("set firmware.model"), "{error}");
    }
}
