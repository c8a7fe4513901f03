//! The file of all decisions, and deciding them again from it.

use std::fs::{File, TryLockError};
use std::io::{self, BufRead, BufReader, LineWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::conditions::Conditions;
use super::plan::{Piece, Plan, Step};

/// Version of the file.
const VERSION: u32 = 1;
/// Longest line of the file, in bytes.
const MOST_LINE: u64 = 1 << 20;

/// A file to which decisions are written.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    /// `None` once the file could not be written.
    file: Mutex<Option<LineWriter<File>>>,
}

/// The first line of the file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Head {
    badnet: u32,
    seed: u64,
    lines: Vec<LineHead>,
}

/// A line, as it was at the start.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct LineHead {
    pub(super) name: String,
    pub(super) links: Vec<String>,
    pub(super) conditions: Conditions,
}

/// Each other line of the file.
#[derive(Debug, Serialize, Deserialize)]
struct Entry<S, P> {
    line: usize,
    /// Nanoseconds since the start.
    at: u64,
    step: S,
    pieces: P,
}

/// What a file says when it is decided again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Seed of the run.
    pub seed: u64,
    /// Number of steps that were decided again.
    pub steps: u64,
    /// Number of bytes and packets' bytes that they are about.
    pub bytes: u64,
}

/// The error for a file that cannot be decided again, or is decided otherwise.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The file cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A line is not as this program writes it.
    #[error("line {0} of the file is none that badnet writes: {1}")]
    Line(u64, String),
    /// A decision differs.
    #[error("line {line} is decided otherwise: the file has {logged}, and now it is {now}")]
    Differs {
        /// Number of the line in the file, from 1.
        line: u64,
        /// What the file has.
        logged: String,
        /// What is decided now.
        now: String,
    },
}

impl Journal {
    /// Makes the file, or empties it.
    ///
    /// # Errors
    /// When it cannot be written, or another badnet writes to it.
    pub(super) fn create(path: &Path, seed: u64, lines: Vec<LineHead>) -> io::Result<Self> {
        let file = File::options().write(true).create(true).truncate(false).open(path)?;
        if file.metadata()?.is_file() {
            if let Err(TryLockError::WouldBlock) = file.try_lock() {
                let kind = io::ErrorKind::ResourceBusy;
                return Err(io::Error::new(kind, "another badnet writes to it"));
            }
            file.set_len(0)?;
        }
        let mut file = LineWriter::new(file);
        writeln!(file, "{}", serde_json::to_string(&Head { badnet: VERSION, seed, lines })?)?;
        Ok(Self { path: path.to_owned(), file: Mutex::new(Some(file)) })
    }

    /// Writes a decision. A file that cannot be written, as on a full disk, is given up.
    pub(super) fn write(&self, line: usize, at: Duration, step: &Step, pieces: &[Piece]) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(open) = &mut *file else { return };
        let at = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
        let entry = serde_json::to_string(&Entry { line, at, step, pieces });
        let written = entry.map_err(io::Error::from).and_then(|entry| writeln!(open, "{entry}"));
        if let Err(error) = written {
            let path = self.path.display();
            let cure = cure(&error);
            log::warn!(target: "badnet", "no decision is written to {path} any more: {error}; {cure}, and start anew");
            *file = None;
        }
    }
}

/// What a person can do where the file cannot be written.
pub(super) fn cure(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "make room, or name a file on another disk"
        }
        io::ErrorKind::NotFound => "make its folder, or name another file",
        io::ErrorKind::IsADirectory => "name a file in it",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "name a file that you may write"
        }
        io::ErrorKind::ResourceBusy => "end that one, or name another file",
        _ => "name another file",
    }
}

/// Decides everything again that the file has, without a network, and compares.
///
/// # Errors
/// When the file cannot be read, or something is decided otherwise.
pub fn replay(path: &Path) -> Result<Replayed, ReplayError> {
    let mut file = BufReader::new(File::open(path)?);
    let wrong = |number, error: &dyn ToString| ReplayError::Line(number, error.to_string());
    let head = next_line(&mut file)?.ok_or_else(|| wrong(1, &"the file is empty"))?;
    let head: Head = serde_json::from_str(&head).map_err(|error| wrong(1, &error))?;
    if head.badnet != VERSION {
        return Err(wrong(1, &format!("its version is {}, and not {VERSION}", head.badnet)));
    }
    let plan = |line: LineHead| Plan::new(head.seed, &line.name, &line.links, line.conditions);
    let mut plans: Vec<Plan> = head.lines.into_iter().map(plan).collect();
    let mut replayed = Replayed { seed: head.seed, ..Replayed::default() };
    while let Some(text) = next_line(&mut file)? {
        let number = replayed.steps + 2;
        let Entry { line, at, step, pieces }: Entry<Step, Vec<Piece>> =
            serde_json::from_str(&text).map_err(|error| wrong(number, &error))?;
        let plan = plans
            .get_mut(line)
            .ok_or_else(|| wrong(number, &format!("there is no line {line}")))?;
        let now = plan.step(Duration::from_nanos(at), &step);
        if now != pieces {
            let [logged, now] = [pieces, now].map(|pieces| format!("{pieces:?}"));
            return Err(ReplayError::Differs { line: number, logged, now });
        }
        replayed.steps += 1;
        replayed.bytes += pieces.iter().map(|piece| piece.bytes).sum::<u64>();
    }
    Ok(replayed)
}

fn next_line(file: &mut BufReader<File>) -> io::Result<Option<String>> {
    let mut line = String::new();
    io::Read::take(file, MOST_LINE).read_line(&mut line)?;
    Ok((!line.is_empty()).then_some(line))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::plan::{Direction, Place};
    use super::super::profile::Profile;
    use super::*;

    /// Writes a run of a second, and returns its file.
    fn run(folder: &Path) -> PathBuf {
        let path = folder.join("log");
        let conditions = Profile::WifiEdge.conditions();
        let links = vec!["cloud".to_owned()];
        let head =
            LineHead { name: "wan".into(), links: links.clone(), conditions: conditions.clone() };
        let journal = Journal::create(&path, 42, vec![head]).unwrap();
        let mut plan = Plan::new(42, "wan", &links, conditions);
        let place = Place { link: 0, connection: 0 };
        let steps = (0..100).map(|_| Step::Bytes(place, Direction::Up, 5000));
        let set = Step::Set(Profile::Adsl512.conditions());
        for (ms, step) in (0..).zip([Step::Open(place)].into_iter().chain(steps).chain([set])) {
            let pieces = plan.step(Duration::from_millis(ms * 10), &step);
            journal.write(0, Duration::from_millis(ms * 10), &step, &pieces);
        }
        path
    }

    #[test]
    fn a_run_is_decided_again() {
        let folder = tempfile::tempdir().unwrap();
        let replayed = replay(&run(folder.path())).unwrap();
        assert_eq!(replayed, Replayed { seed: 42, steps: 102, bytes: 500_000 });
    }

    #[test]
    fn a_changed_file_is_noticed_and_its_line_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = run(folder.path());
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for (from, to, named) in [
            ("\"seed\":42", "\"seed\":43", "decided otherwise"),
            ("\"badnet\":1", "\"badnet\":2", "line 1 of the file"),
            (lines[50], "{}", "line 51 of the file"),
            ("\"line\":0", "\"line\":7", "there is no line 7"),
        ] {
            fs::write(&path, text.replacen(from, to, 1)).unwrap();
            let error = replay(&path).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
        fs::write(&path, "").unwrap();
        assert!(replay(&path).unwrap_err().to_string().contains("empty"));
        assert!(matches!(replay(&folder.path().join("none")), Err(ReplayError::Io(_))));
    }

    #[test]
    fn a_full_disk_ends_the_file_and_not_the_network() {
        let path = tempfile::NamedTempFile::new().unwrap();
        let journal = Journal::create(path.path(), 1, Vec::new()).unwrap();
        *journal.file.lock().unwrap() =
            Some(LineWriter::new(File::options().write(true).open("/dev/full").unwrap()));
        journal.write(0, Duration::ZERO, &Step::Close(Place { link: 0, connection: 0 }), &[]);
        assert!(journal.file.lock().unwrap().is_none());
    }
}
