//! The files that reports go to: `--html FILE`, `--json FILE`, `--junit FILE`.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use ivt_sim::args::{Args, ArgsError};
use tempfile::NamedTempFile;

use super::{Report, html, json, junit};

type Form = fn(&Report) -> String;

/// The files to write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outputs {
    /// The file for one page of HTML.
    pub html: Option<PathBuf>,
    /// The file for JSON.
    pub json: Option<PathBuf>,
    /// The file for JUnit XML.
    pub junit: Option<PathBuf>,
}

/// Why a report is not written, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("the report cannot be written to {}: {what}", path.display())]
pub struct OutputError {
    path: PathBuf,
    what: String,
}

impl Outputs {
    /// The lines for `--help`.
    // A backslash before the first line would take the blanks of that line, too.
    pub const HELP: &str = "  --html FILE             write the report as one page of HTML
  --json FILE             write the report as JSON
  --junit FILE            write the report as JUnit XML
";

    /// Takes the value of `flag` where it is one of these options; false where it is not.
    ///
    /// # Errors
    /// When the value is missing.
    pub fn take<I>(&mut self, flag: &str, args: &mut Args<I>) -> Result<bool, ArgsError>
    where
        I: Iterator<Item = String>,
    {
        let place = match flag {
            "--html" => &mut self.html,
            "--json" => &mut self.json,
            "--junit" => &mut self.junit,
            _ => return Ok(false),
        };
        *place = Some(args.value()?);
        Ok(true)
    }

    /// Looks whether the files can be written, before a long run and not after it.
    ///
    /// # Errors
    /// When a folder does not exist or refuses files, the file is a folder, or two reports go to the same file.
    pub fn check(&self) -> Result<(), OutputError> {
        let mut taken = HashSet::new();
        self.files().try_for_each(|(path, _)| {
            writable(path).map_err(|error| refusal(path, &error))?;
            if place(path).is_some_and(|place| !taken.insert(place)) {
                return Err(OutputError::new(
                    path,
                    "another report goes there: name a file for each",
                ));
            }
            Ok(())
        })
    }

    /// Looks whether a report would take the place of a file that is read.
    ///
    /// # Errors
    /// The first of the reports that would.
    pub fn spare<'a>(&self, inputs: impl IntoIterator<Item = &'a Path>) -> Result<(), OutputError> {
        let inputs: HashSet<_> = inputs.into_iter().filter_map(place).collect();
        match self.files().find(|(path, _)| place(path).is_some_and(|at| inputs.contains(&at))) {
            Some((path, _)) => {
                Err(OutputError::new(path, "this file is read for the run: name another"))
            }
            None => Ok(()),
        }
    }

    /// Writes the report to each file. A file that was there before is replaced once the new one is whole.
    ///
    /// # Errors
    /// When a file cannot be written; those after it are written all the same.
    pub fn write(&self, report: &Report) -> Result<(), OutputError> {
        let write = |(path, form): (&PathBuf, Form)| {
            store(path, form(report).as_bytes()).map_err(|error| refusal(path, &error))
        };
        let outcomes: Vec<_> = self.files().map(write).collect();
        outcomes.into_iter().collect()
    }

    fn files(&self) -> impl Iterator<Item = (&PathBuf, Form)> {
        let html = self.html.iter().map(|path| (path, html as Form));
        let json = self.json.iter().map(|path| (path, json as Form));
        html.chain(json).chain(self.junit.iter().map(|path| (path, junit as Form)))
    }
}

impl OutputError {
    fn new(path: &Path, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), what: what.into() }
    }
}

fn writable(path: &Path) -> io::Result<()> {
    if path.as_os_str().is_empty() {
        return Err(io::ErrorKind::InvalidFilename.into());
    }
    if path.is_dir() || path.as_os_str().as_bytes().ends_with(b"/") {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    match fs::symlink_metadata(path) {
        // Whatever is wrong with the folder is found by making a file in it.
        Err(error) if error.kind() == io::ErrorKind::InvalidFilename => Err(error),
        _ if replaceable(path) => NamedTempFile::new_in(folder(path)).map(drop),
        _ => File::options().write(true).open(path).map(drop),
    }
}

/// Where a file is, by whatever name it is called; `None` for what holds no file, such as a terminal.
fn place(path: &Path) -> Option<PathBuf> {
    match fs::canonicalize(path) {
        Ok(place) => place.is_file().then_some(place),
        Err(_) => Some(fs::canonicalize(folder(path)).ok()?.join(path.file_name()?)),
    }
}

fn store(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if !replaceable(path) {
        return fs::write(path, bytes);
    }
    let mut file = NamedTempFile::new_in(folder(path))?;
    file.write_all(bytes)?;
    // Temporary files are private; a report is for whoever may read the folder.
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    file.as_file().set_permissions(readable)?;
    file.persist(path)?;
    Ok(())
}

/// Whether a new file may take the place of what is at `path`: not that of a device such as `/dev/stdout`.
fn replaceable(path: &Path) -> bool {
    fs::symlink_metadata(path).map_or(true, |there| there.is_file())
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn refusal(path: &Path, error: &io::Error) -> OutputError {
    let folder = folder(path).display();
    let what = match error.kind() {
        io::ErrorKind::NotFound if self::folder(path).is_dir() => {
            format!("no files can be made in {folder}: name a folder of your own")
        }
        io::ErrorKind::InvalidFilename if path.as_os_str().is_empty() => {
            "no file is named: write its name behind the option".into()
        }
        io::ErrorKind::NotFound => format!("there is no folder {folder}: make it, or name another"),
        io::ErrorKind::NotADirectory => format!("{folder} is no folder: name another"),
        io::ErrorKind::IsADirectory => "it is a folder: name a file in it".into(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            format!("the disk of {folder} is full: make room, or name a folder on another disk")
        }
        io::ErrorKind::PermissionDenied => {
            format!("no files may be written in {folder}: name a folder of your own")
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            format!("{folder} is read-only: name a folder that can be written")
        }
        _ => error.to_string(),
    };
    OutputError::new(path, what)
}
