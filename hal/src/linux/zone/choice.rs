//! Which time zone a device has, and the choice of another one.
//!
//! Another one is written where this program, and the system's libraries, look first: into `/etc/TZ` as rules, where
//! the device has that file or knows no names, else as the link `/etc/localtime`.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use super::{FOLDERS, Zone, posix, read};
use crate::{Error, Kind, Result};

/// Most zones that are named; the world has 600 with all their older names.
const MOST: usize = 1000;
/// Longest name, or rules, in bytes.
const LONGEST: usize = 64;
/// How deep the folders of zones are.
const DEEPEST: usize = 3;

/// What decides a device's time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Name or rules, such as `Asia/Shanghai` or `CST-8`; empty for UTC by default.
    pub zone: String,
    /// The environment's `TZ` decides, which nobody can change while the program runs.
    pub is_fixed: bool,
}

impl Zone {
    /// What the device's time zone is called. Blocks.
    pub fn choice(&self) -> Choice {
        let variable = self.variable.as_ref().and_then(|text| text.to_str());
        if let Some(text) = variable.filter(|text| self.told(text.as_bytes()).is_some()) {
            return Choice { zone: text.trim_start_matches(':').to_owned(), is_fixed: true };
        }
        let line = |file: &str| {
            let text = String::from_utf8(read(&self.root.join(file))?).ok()?;
            let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            lines.find(|line| self.told(line.as_bytes()).is_some()).map(str::to_owned)
        };
        let linked = || {
            let target = fs::read_link(self.root.join("etc/localtime")).ok()?;
            let target = target.to_str()?;
            let (_, name) = target.split_once("zoneinfo/")?;
            Some(name.to_owned())
        };
        let zone = line("etc/TZ").or_else(linked).or_else(|| line("etc/timezone"));
        Choice { zone: zone.unwrap_or_default(), is_fixed: false }
    }

    /// The names of the zones that the device knows, in their order; none where it knows rules alone. Blocks.
    pub fn names(&self) -> Vec<String> {
        let folders = FOLDERS.iter().map(|folder| self.root.join(folder));
        let named = folders.map(|folder| {
            let mut names = Vec::new();
            collect(&folder, "", DEEPEST, &mut names);
            names
        });
        let mut names = named.into_iter().find(|names| !names.is_empty()).unwrap_or_default();
        names.sort();
        names
    }

    /// Gives the device this time zone, by its name or by rules. Blocks.
    ///
    /// # Errors
    /// `Invalid` for a zone that the device does not know, `Refused` where the environment decides or the device's
    /// files cannot be written.
    pub fn choose(&self, zone: &str) -> Result<()> {
        let op = "time zone";
        let plain = zone.bytes().all(|byte| byte.is_ascii_graphic());
        let is_fit = (1..=LONGEST).contains(&zone.len()) && plain && !zone.starts_with([':', '/']);
        if !is_fit || self.told(zone.as_bytes()).is_none() {
            return Err(Error::new(op, Kind::Invalid));
        }
        if self.choice().is_fixed {
            return Err(Error::new(op, Kind::Refused).because(Fixed));
        }
        let written =
            self.write(zone).map_err(|source| Error::new(op, Kind::Refused).because(source));
        // It counts at once, whatever was read a moment ago.
        *self.rules.lock().unwrap_or_else(PoisonError::into_inner) = None;
        written
    }

    fn write(&self, zone: &str) -> std::result::Result<(), NotWritten> {
        let rules = self.root.join("etc/TZ");
        let (file, has_rules) = (self.file(zone), rules.exists());
        let fails = |path: &Path| {
            let path = path.to_owned();
            move |source| NotWritten { path, source }
        };
        let text = match &file {
            // C libraries that read this file understand rules alone.
            Some(file) if has_rules => footer(file).unwrap_or_else(|| zone.to_owned()),
            Some(file) => {
                let link = self.root.join("etc/localtime");
                exchange(&link, |new| symlink(file, new)).map_err(fails(&link))?;
                let name = self.root.join("etc/timezone");
                return match name.exists() {
                    true => written(&name, zone).map_err(fails(&name)),
                    false => Ok(()),
                };
            }
            None => zone.to_owned(),
        };
        written(&rules, &text).map_err(fails(&rules))
    }

    /// The file of a zone that has a name, as the device itself finds it.
    fn file(&self, zone: &str) -> Option<PathBuf> {
        let inside = !zone.split('/').any(|part| part == "..");
        let found = |folder: &&&str| inside && self.root.join(folder).join(zone).is_file();
        let folder = FOLDERS.iter().find(found)?;
        Some(Path::new("/").join(folder).join(zone)).map(|file| {
            // The link has to lead there for the device, and for this program in the folder of a test.
            if self.root == Path::new("/") { file } else { self.root.join(folder).join(zone) }
        })
    }
}

/// The environment decides.
#[derive(Debug, thiserror::Error)]
#[error("TZ in the agent's environment decides: take it out of the start script of the agent")]
struct Fixed;

/// A file of the system is not written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}; run the agent as a user that may write it, on a file system that is not read-only", .path.display())]
struct NotWritten {
    path: PathBuf,
    source: io::Error,
}

/// Adds the names of the zones below a folder. What begins with a small letter is none.
fn collect(folder: &Path, prefix: &str, deeper: usize, names: &mut Vec<String>) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().take(MOST);
    for entry in entries {
        let Ok(name) = entry.file_name().into_string() else { continue };
        if names.len() == MOST || !name.starts_with(|first: char| first.is_ascii_uppercase()) {
            continue;
        }
        let (path, name) = (entry.path(), format!("{prefix}{name}"));
        if path.is_dir() {
            if deeper > 1 {
                collect(&path, &format!("{name}/"), deeper - 1, names);
            }
        } else if is_compiled(&path) && name.len() <= LONGEST {
            names.push(name);
        }
    }
}

fn is_compiled(file: &Path) -> bool {
    // A pipe or a device would block.
    if !fs::metadata(file).is_ok_and(|found| found.is_file()) {
        return false;
    }
    let mut magic = [0; 4];
    let begun = File::open(file).and_then(|mut file| file.read_exact(&mut magic));
    begun.is_ok() && magic == *b"TZif"
}

/// The rules at the end of a zone's file (RFC 8536, section 3.3).
fn footer(file: &Path) -> Option<String> {
    let bytes = read(file)?;
    let mut lines = bytes.rsplit(|byte| *byte == b'\n');
    let rules = lines.next().filter(|rest| rest.is_empty()).and(lines.next())?;
    let rules = std::str::from_utf8(rules).ok().filter(|rules| !rules.is_empty())?;
    posix(rules).map(|_| rules.to_owned())
}

fn written(path: &Path, text: &str) -> io::Result<()> {
    exchange(path, |new| {
        let mut file = File::create(new)?;
        file.write_all(format!("{text}\n").as_bytes())?;
        file.sync_all()
    })
}

/// Makes a file beside `path`, and puts it into its place in one step. What a link of that name leads to is replaced.
fn exchange(path: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let is_text =
        fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) && path.ends_with("TZ");
    // OpenWrt keeps /etc/TZ in memory.
    let path = if is_text { fs::canonicalize(path)? } else { path.to_owned() };
    let new = path.with_extension("ivt-new");
    match fs::remove_file(&new) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    make(&new)?;
    fs::rename(&new, &path)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::linux::testing::device;

    /// A file of version 2 without changes, with these rules at its end.
    fn compiled(rules: &str) -> Vec<u8> {
        const HEAD: &[u8; 51] = b"TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
            \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0";
        [HEAD, HEAD, format!("\n{rules}\n").as_bytes()].concat()
    }

    fn shown(zone: &Zone) -> String {
        zone.local(UNIX_EPOCH + Duration::from_secs(1_782_907_200)).to_string()
    }

    #[test]
    fn a_zone_is_chosen_by_its_name_or_by_rules_and_counts_at_once() {
        let china = compiled("CST-8");
        let known = ("usr/share/zoneinfo/Asia/Shanghai", &china[..]);
        for (files, zone, want, link, rules) in [
            (
                &[known, ("etc/timezone", b"Etc/UTC\n")][..],
                "Asia/Shanghai",
                "Asia/Shanghai",
                true,
                None,
            ),
            (&[known, ("etc/TZ", b"UTC0\n")], "Asia/Shanghai", "CST-8", false, Some("CST-8\n")),
            (&[("etc/hosts", b"")], "<+08>-8", "<+08>-8", false, Some("<+08>-8\n")),
        ] {
            let root = device(files);
            let system = Zone::of(root.path(), None);
            assert_eq!(shown(&system), "2026-07-01T12:00:00");
            system.choose(zone).unwrap();
            assert_eq!(shown(&system), "2026-07-01T20:00:00", "{zone}");
            assert_eq!(system.choice(), Choice { zone: want.to_owned(), is_fixed: false });
            let at = |name: &str| root.path().join(name);
            assert_eq!(at("etc/localtime").exists(), link, "{zone}");
            assert_eq!(fs::read_to_string(at("etc/TZ")).ok().as_deref(), rules);
            if at("etc/timezone").exists() {
                assert_eq!(fs::read_to_string(at("etc/timezone")).unwrap(), "Asia/Shanghai\n");
            }
            assert!(
                fs::read_dir(at("etc")).unwrap().flatten().all(|e| e.path().extension().is_none())
            );
        }
    }

    #[test]
    fn a_file_that_is_kept_in_memory_stays_there() {
        let root = device(&[("tmp/TZ", b"UTC0\n"), ("etc/hosts", b"")]);
        symlink("../tmp/TZ", root.path().join("etc/TZ")).unwrap();
        Zone::of(root.path(), None).choose("CST-8").unwrap();
        assert_eq!(fs::read_to_string(root.path().join("tmp/TZ")).unwrap(), "CST-8\n");
        assert!(root.path().join("etc/TZ").is_symlink());
    }

    #[test]
    fn what_is_no_zone_or_is_decided_elsewhere_is_refused() {
        let root = device(&[("etc/hosts", b""), ("etc/secret", &compiled("CST-8"))]);
        let zone = Zone::of(root.path(), None);
        let long = format!("CST-8,{}", "x".repeat(LONGEST));
        for no in [
            "",
            "Asia/Shanghai",
            "no zone",
            ":UTC",
            "/etc/secret",
            "../../etc/secret",
            "CST\n-8",
            &long,
        ] {
            assert_eq!(zone.choose(no).unwrap_err().kind, Kind::Invalid, "{no:?}");
        }
        assert!(!root.path().join("etc/TZ").exists());
        let fixed = Zone::of(root.path(), Some(OsString::from("CST-8")));
        assert_eq!(fixed.choice(), Choice { zone: "CST-8".into(), is_fixed: true });
        assert_eq!(fixed.choose("UTC0").unwrap_err().kind, Kind::Refused);
        let bare = tempfile::tempdir().unwrap();
        let error = Zone::of(bare.path(), None).choose("CST-8").unwrap_err();
        let reason = std::error::Error::source(&error).unwrap().to_string();
        assert!(error.kind == Kind::Refused && reason.contains("etc/TZ"), "{reason}");
    }

    #[test]
    fn the_zones_that_a_device_knows_are_listed_by_their_names() {
        let (zone, none) = (compiled("CST-8"), b"no zone".to_vec());
        let folder = "usr/share/zoneinfo";
        let files = ["Asia/Shanghai", "America/Indiana/Knox", "UTC", "posix/UTC", "A/B/C/D"];
        let files = files.map(|name| format!("{folder}/{name}"));
        let table = format!("{folder}/Zones.tab");
        let mut files: Vec<_> = files.iter().map(|file| (&**file, &zone[..])).collect();
        files.push((&table, &none));
        let root = device(&files);
        let names = Zone::of(root.path(), None).names();
        assert_eq!(names, ["America/Indiana/Knox", "Asia/Shanghai", "UTC"]);
        assert!(Zone::of(&root.path().join("etc"), None).names().is_empty());
    }
}
