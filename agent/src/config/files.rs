//! The files that a configuration is made of: the one that is named at the start, those below it that `base` names, the one
//! above it that `changes` names, and the credentials file.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

#[cfg(feature = "ui")]
use toml::de::DeTable;

use super::access::{Access, directory, read, unwritable_folder};
use super::error::Error;
use super::section::{File, PATH, text};

/// Keys that name a further file.
pub(super) const NAMES: [&str; 3] = [BASE, CHANGES, CREDENTIALS];
const BASE: &str = "base";
const CHANGES: &str = "changes";
const CREDENTIALS: &str = "credentials";
/// Most files from the one that is named at the start down to the last base.
const DEEPEST: usize = 8;

/// The texts of a configuration's files. They hold passwords in clear, so there is no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Files {
    /// The files that are never written, the last base first. Empty where there is neither a base nor a file of changes.
    pub(crate) below: Vec<Text>,
    /// The file that changes are written into: that of `changes`, else the one that is named at the start.
    pub(crate) main: Text,
    /// The credentials file.
    pub(crate) apart: Option<Text>,
}

/// The text of a file. The text is empty where a file of changes is not there yet.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// The files that a file names.
struct Named {
    base: Option<PathBuf>,
    changes: Option<PathBuf>,
    credentials: Option<PathBuf>,
}

impl Files {
    /// Reads `file` and those that it names.
    ///
    /// # Errors
    /// A file is no TOML, cannot be read, or may be read or written by more people than `access` allows.
    pub(crate) fn read(file: &Path, access: Access) -> Result<Self, Error> {
        Self::of(Text::read(file, access)?, access)
    }

    /// Reads what `top` names.
    ///
    /// # Errors
    /// As for [`Files::read`].
    pub(super) fn of(top: Text, access: Access) -> Result<Self, Error> {
        let mut named = Named::by(&top, &[])?;
        let mut below: Vec<Text> = Vec::new();
        while let Some(path) = named.base.take() {
            let text = Text::read(&path, access)?;
            below.insert(0, text);
            let above: Vec<_> = below.iter().chain([&top]).map(|text| &*text.path).collect();
            let lower = Named::by(&below[0], &above)?;
            named = Named {
                base: lower.base,
                changes: named.changes.or(lower.changes),
                credentials: named.credentials.or(lower.credentials),
            };
        }
        let main = match named.changes {
            Some(path) => {
                let changes = Text::changes(path, access)?;
                changes.name_nothing(&top.path)?;
                below.push(top);
                changes
            }
            None => top,
        };
        let apart = named.credentials.map(|path| Text::read(&path, access)).transpose()?;
        Ok(Self { below, main, apart })
    }

    /// The files but that of the credentials, the lowest first.
    pub(crate) fn layers(&self) -> impl Iterator<Item = &Text> {
        self.below.iter().chain([&self.main])
    }

    /// Shows the table of all layers, and then that of the credentials file.
    ///
    /// # Errors
    /// A file is no TOML, or leaves out what is not there.
    #[cfg(feature = "ui")]
    pub(crate) fn tables(&self, mut show: impl FnMut(&DeTable<'_>)) -> Result<(), Error> {
        let texts = self.padded();
        let layers = File::layered(texts.iter().map(|(path, text)| (path.clone(), &**text)));
        show(&layers.root()?.into_table());
        if let Some(apart) = &self.apart {
            show(&File::new(&*apart.path, &apart.text).root()?.into_table());
        }
        Ok(())
    }

    /// The texts of the layers for [`File::layered`].
    pub(super) fn padded(&self) -> Vec<(PathBuf, String)> {
        let mut padded: Vec<(PathBuf, String)> = Vec::new();
        for Text { path, text } in self.layers() {
            let start = padded.last().map_or(0, |(_, below)| below.len() + 1);
            // A byte order mark is one at the start alone.
            let text = if start == 0 { text } else { text.trim_start_matches('\u{feff}') };
            padded.push((path.clone(), " ".repeat(start) + text));
        }
        padded
    }
}

impl Text {
    fn read(path: &Path, access: Access) -> Result<Self, Error> {
        Ok(Self { path: path.to_owned(), text: read(path, access)? })
    }

    /// The file of changes, which is made when something is changed first.
    fn changes(path: PathBuf, access: Access) -> Result<Self, Error> {
        match read(&path, access) {
            Err(Error::Read { source, .. }) if source.kind() == ErrorKind::NotFound => {
                if access == Access::Private {
                    unwritable_folder(&path, directory(&path))?;
                }
                Ok(Self { path, text: String::new() })
            }
            read => Ok(Self { path, text: read? }),
        }
    }

    /// Refuses a file of changes that says which files there are.
    fn name_nothing(&self, top: &Path) -> Result<(), Error> {
        let file = File::new(&*self.path, &self.text);
        let mut root = file.lowest()?;
        let place = format!("in {}: this file holds changes alone", top.display());
        NAMES
            .into_iter()
            .try_for_each(|key| root.insist(key, |_| Err::<(), _>(place.clone())).map(drop))
    }
}

impl Named {
    /// What `by` names, which `above` have led to.
    fn by(by: &Text, above: &[&Path]) -> Result<Self, Error> {
        let folder = directory(&by.path);
        let file = File::new(&*by.path, &by.text);
        let mut root = file.lowest()?;
        let mut path = |key| Ok(root.insist(key, text(1..=PATH))?.map(|path| folder.join(path)));
        let (changes, credentials) = (path(CHANGES)?, path(CREDENTIALS)?);
        let base = root.insist(BASE, |value| {
            let path = folder.join(text(1..=PATH)(value)?);
            let real = |path: &Path| path.canonicalize().ok();
            if path.metadata().is_err() {
                return Err(format!("a file, and there is no {}", path.display()));
            }
            if above.iter().chain([&&*by.path]).any(|above| real(above) == real(&path)) {
                return Err("another file: this one is read already".to_owned());
            }
            if above.len() + 1 >= DEEPEST {
                return Err(format!("left out: {DEEPEST} files are the most"));
            }
            // Without the dots that lead there, which would stand in every message.
            let real = directory(&path).canonicalize().ok().zip(path.file_name());
            Ok(real.map_or(path.clone(), |(folder, name)| folder.join(name)))
        })?;
        Ok(Self { base, changes, credentials })
    }
}
