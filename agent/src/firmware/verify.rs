//! What a device would say to a firmware that lies on a disk.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use ivt_hal::Running;

use super::journal::Journal;
use super::place;
use super::policy::{Situation, fits};
use super::refusal::{Refusal, device};
use super::signature::{Check, LONGEST, Signed};
use crate::build_date;
use crate::config::{Config, Key};
use crate::state::StateStore;

/// Most bytes that are read at once.
const CHUNK: usize = 64 * 1024;

/// A device that is asked.
pub struct Terms {
    keys: Vec<Key>,
    model: Option<String>,
    most: u64,
    allow_unsigned: bool,
    floor: Option<u64>,
    /// What is not known of the device.
    note: Option<String>,
}

impl Terms {
    /// A device that trusts these keys, of which nothing else is known.
    ///
    /// # Errors
    /// A text that is no key.
    pub fn of_keys(keys: &[String]) -> Result<Self, String> {
        let keys = keys.iter().map(|key| Key::parse(key)).collect::<Result<_, _>>();
        let keys = keys.map_err(|e| format!("--key must be {e}"))?;
        let note = Some("model and counter are not compared: no configuration is given".to_owned());
        let (model, floor) = (None, None);
        Ok(Self { keys, model, most: u64::MAX, allow_unsigned: false, floor, note })
    }

    /// The device of a configuration: this one, as far as what it remembers is found here.
    pub async fn of_device(config: &Config) -> Self {
        let rules = config.firmware.rules.clone();
        let (running, note) = match place::open(&config.firmware) {
            Ok(Some(firmware)) => match firmware.running().await {
                Ok(running) => (running, None),
                Err(e) => (Running::default(), Some(device(&e))),
            },
            Ok(None) => (Running::default(), Some("firmware.backend is \"none\"".to_owned())),
            Err(e) => (Running::default(), Some(e.to_string())),
        };
        let journal = Journal::open(StateStore::new(config.state_dir.clone()), 0, None);
        let note = note.map(|why| format!("what runs is not known here: {why}"));
        Self {
            floor: journal.floor(&running, &rules.keys),
            model: Some(rules.model.unwrap_or_else(|| config.cloud.hardware_model.clone())),
            keys: rules.keys,
            most: rules.max_size,
            allow_unsigned: rules.allow_unsigned,
            note,
        }
    }

    /// Says what the device would say to UpgradeFirmware with an image, beside which its signature lies. True where
    /// it would install it.
    ///
    /// # Errors
    /// The image cannot be read.
    pub fn judge(&self, image: &Path) -> io::Result<(bool, String)> {
        let mut file = File::open(image)?;
        let mut said = String::new();
        let mut refused = match self.signed(image, &mut said) {
            Ok(signed) => check(&mut file, Some(&signed))?.err(),
            Err(refusal) => Some(refusal),
        };
        if let Some(refusal) =
            refused.as_ref().filter(|it| it.is_of_signature() && self.allow_unsigned)
        {
            line(
                &mut said,
                "unsigned",
                &format!("{refusal}; taken nevertheless, by firmware.allow_unsigned"),
            );
            refused = fits(file.metadata()?.len(), self.most).err();
        }
        if let Some(note) = &self.note {
            line(&mut said, "note", note);
        }
        match &refused {
            None => line(&mut said, "verdict", "it would be installed"),
            Some(refusal) => line(&mut said, "verdict", &format!("it would be refused: {refusal}")),
        }
        Ok((refused.is_none(), said))
    }

    /// Reads the signature beside an image, says what it says, and compares that.
    fn signed(&self, image: &Path, said: &mut String) -> Result<Signed, Refusal> {
        let mut beside = image.as_os_str().to_owned();
        beside.push(".minisig");
        let beside = PathBuf::from(beside);
        let mut text = Vec::new();
        let read = File::open(&beside)
            .and_then(|file| file.take(LONGEST as u64 + 1).read_to_end(&mut text));
        read.map_err(|e| Refusal::Unsigned(format!("{}: {e}", beside.display())))?;
        let signed = Signed::read(&text, &self.keys)?;
        let manifest = &signed.manifest;
        let floor =
            self.floor.map_or_else(String::new, |floor| format!(", and {floor} or more is taken"));
        for (what, value) in [
            ("key", signed.key.text.clone()),
            ("model", manifest.model.clone()),
            ("version", manifest.version.clone()),
            ("counter", format!("{}{floor}", manifest.counter)),
            ("size", format!("{} bytes", manifest.size)),
            ("sha256", manifest.sha256.iter().map(|byte| format!("{byte:02x}")).collect()),
            ("expires", manifest.last_day()),
        ] {
            line(said, what, &value);
        }
        let (model, most, floor) = (self.model.as_deref(), self.most, self.floor);
        let now = build_date::clock().now();
        Situation { model, most, floor, forced: true, now }.judge(manifest)?;
        Ok(signed)
    }
}

/// Checks the bytes of an image.
fn check(file: &mut File, signed: Option<&Signed>) -> io::Result<Result<(), Refusal>> {
    let (mut check, mut buffer) = (Check::new(signed), vec![0; CHUNK]);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(check.finish()),
            Ok(bytes) => check.update(&buffer[..bytes]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

fn line(said: &mut String, what: &str, value: &str) {
    // Writing to a string does not fail.
    writeln!(said, "{what:9} {value}").unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::super::rig::{Signer, comment, image};
    use super::*;

    /// A folder with an image of 100,000 bytes and a signature.
    fn folder(signature: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.img");
        std::fs::write(&path, image(100_000)).unwrap();
        std::fs::write(folder.path().join("a.img.minisig"), signature).unwrap();
        (folder, path)
    }

    fn config(keys: &str) -> Config {
        let cloud = "[cloud]\nurl = 'ws://h/ivc'\nlogin_code = 'c'\nlogin_passwd = 'p'\nhardware_model = 'IPC-1'\n";
        format!("{cloud}[[channel]]\nbackend = 'emulator'\n[firmware]\n{keys}").parse().unwrap()
    }

    #[tokio::test]
    async fn it_says_what_the_device_would_say() {
        let (signer, file) = (Signer::new(), image(100_000));
        let key = signer.key().text;
        let good = signer.sign(&file, &comment(&file, &[]));
        let other = signer.sign(&file, &comment(&file, &[("model", "IPC-2")]));
        let old = signer.sign(&file, &comment(&file, &[("expires", "2020-02-29")]));
        let forged = signer.sign(&file[1..], &comment(&file, &[]));
        let trusting = format!("keys = ['{key}']\n");
        let unsigned = format!("{trusting}allow_unsigned = true\n");
        let small = format!("{trusting}max_size = 99999\n");
        for (signature, keys, want) in [
            (&good, &trusting, None),
            (&good, &String::new(), Some("firmware.keys")),
            (&other, &trusting, Some("made for model \"IPC-2\", and this is \"IPC-1\"")),
            (&old, &trusting, Some("until 2020-02-29")),
            (&forged, &trusting, Some("not those that were signed")),
            (&good, &small, Some("max_size")),
            (&String::new(), &trusting, Some("four lines")),
            (&String::new(), &unsigned, None),
            (&forged, &unsigned, None),
            (&other, &unsigned, Some("IPC-2")),
        ] {
            let (_folder, path) = folder(signature);
            let terms = Terms::of_device(&config(keys)).await;
            let (is_good, said) = terms.judge(&path).unwrap();
            assert_eq!(is_good, want.is_none(), "{said}");
            let verdict = said.lines().last().unwrap();
            let refused = format!("would be {}", want.map_or("installed", |_| "refused"));
            assert!(verdict.contains(&refused) && verdict.contains(want.unwrap_or("")), "{said}");
        }
        let (_folder, path) = folder(&good);
        let (is_good, said) =
            Terms::of_keys(std::slice::from_ref(&key)).unwrap().judge(&path).unwrap();
        assert!(is_good, "{said}");
        for part in
            [&*key, "IPC-1", "1.5.0", "42", "100000 bytes", "2099-12-31", "no configuration"]
        {
            assert!(said.contains(part), "{part}: {said}");
        }
        std::fs::remove_file(path.with_extension("img.minisig")).unwrap();
        let (is_good, said) = Terms::of_keys(&[key]).unwrap().judge(&path).unwrap();
        assert!(
            !is_good && said.contains("not signed") && said.contains("a.img.minisig"),
            "{said}"
        );
        assert!(Terms::of_keys(&["RW".into()]).is_err());
        assert!(Terms::of_device(&config("")).await.judge(Path::new("/nonexistent")).is_err());
    }
}
