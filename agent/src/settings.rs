//! The settings store: changes values in the configuration's files.
//!
//! A change is written only if the reader of the configuration accepts the result. Comments, order
//! and all other values stay byte for byte. A crash at any moment leaves the old file or the new
//! one. A change of the credentials file as well leaves both files old, both new, or one of them
//! new, in an order in which the agent starts from that state, too.

mod channels;
mod difference;
mod edit;
mod files;
#[cfg(feature = "ui")]
mod guard;
pub(crate) mod hidden;
mod key;
mod lines;
#[cfg(feature = "ui")]
pub(crate) mod listing;
mod place;
#[cfg(feature = "ui")]
pub(crate) mod proposed;
#[cfg(feature = "ui")]
mod removal;
#[cfg(feature = "ui")]
pub(crate) mod settable;
pub(crate) mod value;
#[cfg(feature = "ui")]
mod wipe;

use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

use ivt_base::secret::Secret;
use sha2::{Digest as _, Sha256};

pub use self::files::WriteError;
pub use difference::Differences;
#[cfg(feature = "ui")]
pub(crate) use guard::Guard;
pub use key::{Key, KeyError};
pub use place::EditError;
pub use value::ValueError;

use self::files::{Draft, Target, Turn};
use crate::check;
use crate::config::{self, Access, Config, Files};
#[cfg(feature = "sandbox")]
use crate::sandbox::{Confined, Named};

/// Keys that a credentials file may have. A new one of these keys goes there where a credentials
/// file is named.
const LOGINS: &[&str] = &[
    "cloud.login_code",
    "cloud.login_passwd",
    "channel.username",
    "channel.password",
    #[cfg(feature = "ui")]
    "web.first_password",
];
/// Keys about the file itself, which the store does not change.
const FIXED: [&str; 5] = ["base", "changes", "credentials", "version", "without"];
/// The array of tables that may stand in both files.
const CHANNEL: &str = "channel";

/// One value to write, or to take out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    key: Key,
    /// The value as TOML; `None` removes the key, so that its default counts.
    value: Option<Secret>,
}

/// The files of a configuration.
#[derive(Clone, Debug)]
pub struct Store {
    file: PathBuf,
    access: Access,
    #[cfg(feature = "ui")]
    guard: Option<Guard>,
    /// What the process may do that reads and changes the files.
    #[cfg(feature = "sandbox")]
    confined: Option<Confined>,
}

/// What a change came to.
#[derive(Debug)]
pub struct Changed {
    /// The keys that were asked for.
    pub keys: Vec<Key>,
    /// The configuration after the change.
    pub config: Config,
    /// The configuration before the change; `None` where the reader refused it.
    pub before: Option<Config>,
    /// SHA-256 of the files' texts, in hexadecimal digits.
    pub version: String,
    /// The files that have a new text; empty when every value was there already.
    pub files: Vec<PathBuf>,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The reader refuses what the files would say, or says now.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// A file that the configuration would name cannot be used.
    #[error(transparent)]
    Check(#[from] check::Error),
    /// The name is not that of a setting.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The value cannot be written as TOML.
    #[error("{key}: {source}")]
    Value {
        /// Key of the value.
        key: Key,
        /// What is wrong with the value.
        source: ValueError,
    },
    /// The key cannot be written into the file's text.
    #[error("{key}: {source}")]
    Edit {
        /// Name of the key.
        key: Key,
        /// Why the key cannot be written.
        source: EditError,
    },
    /// The key describes the file itself, such as `version`.
    #[error("{0} is about the file itself: change it with an editor")]
    Fixed(Key),
    /// A file that only the device's own files may name.
    #[cfg(feature = "ui")]
    #[error("{0} names a file: it cannot be set here, change it in the device's own file")]
    OwnFile(String),
    /// The saved password, whose key this is, would go to another server, or to one for which others vouch.
    #[cfg(feature = "ui")]
    #[error(
        "{0}: enter the password again: the one that is saved is for another address, or for other authorities (CA)"
    )]
    PasswordNeeded(String),
    /// It needs more rights than the process has.
    #[cfg(feature = "sandbox")]
    #[error("{0}")]
    Confined(String),
    /// Another writer changed the files after they were read.
    #[error("the settings were changed since they were read: read them again, nothing was changed")]
    Outdated,
    /// With either of the two files written first, the agent would not start after a crash in
    /// between.
    #[error(
        "nothing was changed: this concerns both files, and with either of them written alone the agent \
         would not start; make the changes one after the other"
    )]
    Apart,
    /// The files cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The second of two files cannot be written, and the first cannot be taken back.
    #[error("{} has its new text, and the other file cannot be written: check the disk", .file.display())]
    Half {
        /// Path of the file that has its new text.
        file: PathBuf,
    },
}

/// A file's new text, written beside it and not yet in force.
struct Write<'a> {
    file: &'a Path,
    target: &'a Target,
    draft: Draft<'a>,
    old: &'a str,
}

impl Change {
    /// Sets `key`, such as `channel.0.main`, to what a person typed: TOML, or anything else as a
    /// string.
    ///
    /// # Errors
    /// The key is not that of a setting, or the value begins like TOML and is not TOML.
    pub fn set(key: &str, typed: &str) -> Result<Self, Error> {
        let key = key.parse::<Key>()?;
        match value::toml(typed) {
            Ok(value) => Ok(Self { key, value: Some(Secret::untold(value)) }),
            Err(source) => Err(Error::Value { key, source }),
        }
    }

    /// Sets `key` to a string.
    ///
    /// # Errors
    /// The key is not that of a setting.
    pub fn text(key: &str, text: &str) -> Result<Self, Error> {
        Ok(Self { key: key.parse()?, value: Some(Secret::untold(value::quoted(text))) })
    }

    /// Sets `key` to a value in JSON: a string, a boolean, a whole number, or a list of these; `null` removes the key.
    /// `None` for any other value.
    #[cfg(feature = "ui")]
    pub(crate) fn json(key: Key, value: &serde_json::Value) -> Option<Self> {
        let value = match value {
            serde_json::Value::Null => None,
            value => Some(Secret::untold(value::of_json(value)?)),
        };
        Some(Self { key, value })
    }

    /// Removes `key`, so that its default counts.
    ///
    /// # Errors
    /// The key is not that of a setting.
    pub fn unset(key: &str) -> Result<Self, Error> {
        Ok(Self { key: key.parse()?, value: None })
    }

    /// What is changed.
    pub fn key(&self) -> &Key {
        &self.key
    }
}

impl Store {
    /// The store of the configuration in `file`, and of the files it names.
    pub fn new(file: impl Into<PathBuf>, access: Access) -> Self {
        Self {
            file: file.into(),
            access,
            #[cfg(feature = "ui")]
            guard: None,
            #[cfg(feature = "sandbox")]
            confined: None,
        }
    }

    /// The same store, which takes nothing that needs more rights than the process has.
    #[cfg(feature = "sandbox")]
    pub fn confined(self, confined: Confined) -> Self {
        Self { confined: Some(confined), ..self }
    }

    /// The files of the configuration.
    ///
    /// # Errors
    /// A file cannot be read, or is no TOML.
    #[cfg(feature = "sandbox")]
    pub fn files(&self) -> Result<Named, config::Error> {
        let files = self.texts()?;
        let below = files.below.into_iter().map(|text| text.path).collect();
        let written = [Some(files.main), files.apart].into_iter().flatten();
        Ok(Named { below, written: written.map(|text| text.path).collect() })
    }

    /// The same store, whose changes `guard` looks at.
    #[cfg(feature = "ui")]
    pub(crate) fn guarded(self, guard: Guard) -> Self {
        Self { guard: Some(guard), ..self }
    }

    /// The configuration in the files, for an agent to start by.
    ///
    /// # Errors
    /// What is wrong, with file and line.
    pub fn load(&self) -> Result<Config, config::Error> {
        Config::load(&self.file, self.access)
    }

    /// The configuration in the files, checked together with the files it names, and the version
    /// for [`Store::change`].
    ///
    /// # Errors
    /// Whatever `--check-config` complains of.
    pub fn read(&self) -> Result<(Config, String), Error> {
        let files = self.texts()?;
        let config = self.config(&files)?;
        self.check(&config)?;
        Ok((config, version(&files)))
    }

    /// Writes all of the changes, or none. `seen` is the version that the changes were made from:
    /// if the files have another version by now, nothing is written. Waits for other writers, 5 s
    /// at most, and for the disk.
    ///
    /// # Errors
    /// Nothing was written; the error says why.
    pub fn change(&self, changes: &[Change], seen: Option<&str>) -> Result<Changed, Error> {
        let keys = changes.iter().map(|change| change.key.clone()).collect();
        let edit = |files: &mut Files| changes.iter().try_for_each(|change| apply(files, change));
        self.exchange(keys, seen, edit, |_, _| Ok(()))
    }

    /// Writes what `edit` makes of the texts, unless `look` refuses it, which is given the old texts and the new ones.
    fn exchange(
        &self,
        keys: Vec<Key>,
        seen: Option<&str>,
        edit: impl Fn(&mut Files) -> Result<(), Error>,
        look: impl Fn(&Files, &Files) -> Result<(), Error>,
    ) -> Result<Changed, Error> {
        let paths = |files: &Files| {
            (files.main.path.clone(), files.apart.as_ref().map(|apart| apart.path.clone()))
        };
        let named = paths(&self.texts()?);
        let main = Target::new(&named.0)?;
        let apart = named.1.as_deref().map(Target::new).transpose()?;
        let targets: Vec<_> = [Some(&main), apart.as_ref()].into_iter().flatten().collect();
        let _turn = Turn::wait(&targets)?;

        let old = self.texts()?;
        if paths(&old) != named || seen.is_some_and(|seen| seen != version(&old)) {
            return Err(Error::Outdated);
        }
        let mut new = old.clone();
        edit(&mut new)?;
        let config = self.config(&new)?;
        self.check(&config)?;
        look(&old, &new)?;
        #[cfg(feature = "ui")]
        if let Some(guard) = self.guard.as_ref().filter(|_| new != old) {
            let file = old.main.path.display().to_string();
            guard.check(file, self.config(&old).ok().as_ref(), &config)?;
        }

        let mut writes = Vec::new();
        if new.main != old.main {
            let (draft, old) = (main.draft(&new.main.text)?, &old.main.text);
            writes.push(Write { file: &new.main.path, target: &main, draft, old });
        }
        if let (Some(target), Some(before), Some(new_apart)) = (&apart, &old.apart, &new.apart)
            && before != new_apart
        {
            let draft = target.draft(&new_apart.text)?;
            writes.push(Write { file: &new_apart.path, target, draft, old: &before.text });
            if writes.len() > 1 && !self.main_goes_first(&old, &new)? {
                writes.reverse();
            }
        }
        // An editor takes no part in the writers' lock, and may have written since the files were
        // read.
        if self.texts()? != old {
            return Err(Error::Outdated);
        }
        let files = writes.iter().map(|write| write.file.to_owned()).collect();
        place(writes)?;
        let before = self.config(&old).ok();
        Ok(Changed { keys, config, before, version: version(&new), files })
    }

    /// Whether the main file is exchanged before the credentials file: what stands on the disk in
    /// between has to be a configuration, too.
    fn main_goes_first(&self, old: &Files, new: &Files) -> Result<bool, Error> {
        let main = Files { main: new.main.clone(), ..old.clone() };
        let apart = Files { apart: new.apart.clone(), ..old.clone() };
        match (self.config(&main), self.config(&apart)) {
            (Ok(_), _) => Ok(true),
            (_, Ok(_)) => Ok(false),
            _ => Err(Error::Apart),
        }
    }

    fn check(&self, config: &Config) -> Result<(), Error> {
        #[cfg(feature = "sandbox")]
        if let Some(confined) = &self.confined {
            confined.allows(config).map_err(Error::Confined)?;
        }
        Ok(check::check(config)?)
    }

    fn texts(&self) -> Result<Files, config::Error> {
        Files::read(&self.file, self.access)
    }

    fn config(&self, files: &Files) -> Result<Config, config::Error> {
        Config::of(files, self.access)
    }
}

impl Error {
    /// Whether the change itself is at fault, so that trying it again does not help.
    pub fn is_wrong(&self) -> bool {
        !matches!(self, Self::Outdated | Self::Write(_) | Self::Half { .. })
    }
}

impl fmt::Display for Changed {
    /// Describes the change for a person: what was written, what a running agent applies and what
    /// needs a restart.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.files.is_empty() {
            return f.write_str("nothing was written: it is so already");
        }
        let files: Vec<_> = self.files.iter().map(|file| file.display().to_string()).collect();
        let keys: Vec<_> = self.keys.iter().map(Key::to_string).collect();
        write!(f, "{}: changed {}", files.join(" and "), keys.join(", "))?;
        let Some(before) = &self.before else {
            return f.write_str("\nneeds a restart: what was there before was refused");
        };
        let found = Differences::between(before, &self.config);
        let now = found.now();
        if !now.is_empty() {
            write!(f, "\napplies at once, on SIGHUP: {}", now.join(", "))?;
        }
        if !found.restart.is_empty() {
            write!(f, "\nneeds a restart: {}", found.restart.join(", "))?;
        }
        Ok(())
    }
}

fn apply(files: &mut Files, change: &Change) -> Result<(), Error> {
    let key = &change.key;
    if FIXED.contains(&&*key.general()) {
        return Err(Error::Fixed(key.clone()));
    }
    edited(files, change).map_err(|source| Error::Edit { key: key.clone(), source })
}

fn edited(files: &mut Files, change: &Change) -> Result<(), EditError> {
    let Change { key, value } = change;
    if key.number().is_some() {
        channels::own(files)?;
    }
    let is_apart = belongs(key, files)?;
    let text = match &mut files.apart {
        Some(apart) if is_apart => {
            // A channel has the same number in both files.
            let wanted = key.number().map_or(0, |number| number.saturating_add(1));
            let wanted = wanted.min(edit::count(&files.main.text, CHANNEL)?);
            while value.is_some() && edit::count(&apart.text, CHANNEL)? < wanted {
                apart.text = edit::extend(&apart.text, CHANNEL);
            }
            &mut apart.text
        }
        _ => &mut files.main.text,
    };
    *text = match value {
        Some(value) => edit::set(text, key, value.expose())?,
        None => edit::unset(text, key)?,
    };
    Ok(())
}

/// Whether a key belongs into the credentials file.
fn belongs(key: &Key, files: &Files) -> Result<bool, EditError> {
    let Some(apart) = &files.apart else { return Ok(false) };
    let mut elsewhere = false;
    for layer in files.layers() {
        elsewhere |= edit::has(&layer.text, key)?;
    }
    Ok(edit::has(&apart.text, key)? || LOGINS.contains(&&*key.general()) && !elsewhere)
}

/// Puts one text after the other in force. When one cannot be, the earlier ones are taken back.
fn place(writes: Vec<Write<'_>>) -> Result<(), Error> {
    let mut placed = Vec::new();
    for Write { file, target, draft, old } in writes {
        if let Err(error) = draft.place() {
            for (file, target, old) in placed {
                let back = Target::draft(target, old).and_then(Draft::place);
                back.map_err(|_| Error::Half { file: Path::to_owned(file) })?;
            }
            return Err(error.into());
        }
        placed.push((file, target, old));
    }
    Ok(())
}

/// SHA-256 over all texts, which differs for any other texts.
fn version(files: &Files) -> String {
    let mut hash = Sha256::new();
    for layer in files.layers() {
        hash.update(layer.text.len().to_le_bytes());
        hash.update(&layer.text);
    }
    if let Some(apart) = &files.apart {
        hash.update(&apart.text);
    }
    let mut version = String::new();
    for byte in hash.finalize() {
        // Writing to a string cannot fail.
        write!(version, "{byte:02x}").ok();
    }
    version
}

#[cfg(test)]
mod layers_tests;
#[cfg(test)]
mod tests;
