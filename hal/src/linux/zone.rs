//! The device's local time.
//!
//! The rules of its time zone come from the first of these that is there and can be understood: the environment's
//! `TZ`, `/etc/TZ` (uClibc, OpenWrt), `/etc/localtime`, `/etc/timezone`. Without any of them local time is UTC.

mod choice;

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ivt_base::wall_time::WallTime;
use tz::TimeZone;

pub use choice::Choice;

/// Longest file of rules that is read, in bytes; those of the world's zones have 4 KiB at most.
const LONGEST: u64 = 64 << 10;
/// How long rules are used before the files are looked at again.
const FRESH: Duration = Duration::from_secs(60);
/// Where the rules of named zones are.
const FOLDERS: [&str; 3] = ["usr/share/zoneinfo", "etc/zoneinfo", "share/zoneinfo"];
/// When daylight saving time begins and ends where `TZ` names it and does not tell, as the C libraries have it.
const USUAL_RULES: &str = ",M3.2.0,M11.1.0";
/// Seconds from 1970 to the end of the year 9999.
const LAST_SECOND: i64 = 253_402_300_799;
const DAY: i64 = 86_400;

/// The time zone of a device. Clones share what was read of it.
#[derive(Clone, Debug)]
pub struct Zone {
    root: PathBuf,
    variable: Option<OsString>,
    rules: Arc<Mutex<Option<Rules>>>,
}

/// Rules as they were read.
#[derive(Debug)]
struct Rules {
    zone: TimeZone,
    looked: Instant,
    /// Which files they may have come from.
    files: [Option<Stamp>; 3],
}

/// What tells one version of a file from another: device, inode, length, seconds and nanoseconds of its change.
type Stamp = (u64, u64, u64, i64, i64);

impl Zone {
    /// The zone of this device, as environment and files tell it. Changes of the files are noticed within a minute.
    pub fn system() -> Self {
        Self::of(Path::new("/"), std::env::var_os("TZ"))
    }

    /// The zone of a device whose files are in the folder `root`, and whose environment has `variable` as `TZ`.
    pub fn of(root: &Path, variable: Option<OsString>) -> Self {
        Self { root: root.to_owned(), variable, rules: Arc::default() }
    }

    /// What the device's clock on the wall shows at a moment. Moments before 1970 count as 1970, those after
    /// 9999 as its end. Reads small files once a minute.
    pub fn local(&self, moment: SystemTime) -> WallTime {
        let unix = match moment.duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_secs()).unwrap_or(LAST_SECOND).min(LAST_SECOND),
            Err(_) => 0,
        };
        let local = self.with(|zone| unix + offset(zone, unix)).clamp(0, LAST_SECOND);
        WallTime::from_seconds(local.unsigned_abs()).expect("a year from 1970 to 9999")
    }

    /// The moment at which the device's clock on the wall shows `wall`. Of the two moments of an hour that is
    /// repeated this is the first; a time that daylight saving time leaves out counts on from before it.
    /// Times before 1970 count as 1970. Reads small files once a minute.
    pub fn moment(&self, wall: WallTime) -> SystemTime {
        let local = wall.seconds().map_or(0, |seconds| i64::try_from(seconds).unwrap_or(0));
        let unix = self.with(|zone| {
            let before = offset(zone, local - DAY);
            let offsets = [before, offset(zone, local + DAY)];
            let real = offsets.into_iter().filter(|o| offset(zone, local - o) == *o);
            local - real.max().unwrap_or(before)
        });
        UNIX_EPOCH + Duration::from_secs(unix.max(0).unsigned_abs())
    }

    /// What `look` finds in the rules, which are read again where they have changed.
    fn with<T>(&self, look: impl FnOnce(&TimeZone) -> T) -> T {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let rules = match &mut *rules {
            Some(rules) if rules.looked.elapsed() < FRESH => rules,
            known => {
                let looked = Instant::now();
                let files =
                    ["etc/TZ", "etc/localtime", "etc/timezone"].map(|file| self.stamp(file));
                let same = known.take().filter(|rules| rules.files == files);
                let zone = same.map_or_else(|| self.read(), |rules| rules.zone);
                known.insert(Rules { zone, looked, files })
            }
        };
        look(&rules.zone)
    }

    fn stamp(&self, file: &str) -> Option<Stamp> {
        let file = fs::metadata(self.root.join(file)).ok()?;
        Some((file.dev(), file.ino(), file.len(), file.mtime(), file.mtime_nsec()))
    }

    fn read(&self) -> TimeZone {
        let variable = self.variable.as_ref().and_then(|text| {
            let zone = self.told(text.as_bytes());
            if zone.is_none() {
                log::warn!("TZ in the environment is no time zone that is known here");
            }
            zone
        });
        let line = |file: &str| {
            let text = read(&self.root.join(file))?;
            let line = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
            line.filter(|line| !line.is_empty()).find_map(|line| self.told(line))
        };
        variable
            .or_else(|| line("etc/TZ"))
            .or_else(|| read(&self.root.join("etc/localtime")).and_then(|file| binary(&file)))
            .or_else(|| line("etc/timezone"))
            .unwrap_or_else(TimeZone::utc)
    }

    /// The zone that a value of `TZ` means: the name of a file, or the rules themselves.
    fn told(&self, text: &[u8]) -> Option<TimeZone> {
        let text = std::str::from_utf8(text).ok()?.trim();
        let name = text.strip_prefix(':').unwrap_or(text);
        if name.is_empty() {
            return Some(TimeZone::utc());
        }
        let named = || {
            let inside = !name.split('/').any(|part| part == "..");
            let file = |path: PathBuf| read(&path).and_then(|file| binary(&file));
            match name.strip_prefix('/') {
                Some(path) => file(self.root.join(path)),
                None => FOLDERS
                    .iter()
                    .filter(|_| inside)
                    .find_map(|folder| file(self.root.join(folder).join(name))),
            }
        };
        named().or_else(|| posix(name))
    }
}

/// Seconds that local time is ahead of UTC at a moment.
fn offset(zone: &TimeZone, unix: i64) -> i64 {
    let zone = zone.as_ref();
    let kind = zone.find_local_time_type(unix).ok().or_else(|| {
        // After the last change of a zone that tells no rule for what follows, that change holds on.
        let last = zone.transitions().last()?;
        zone.local_time_types().get(last.local_time_type_index())
    });
    kind.map_or(0, |kind| kind.ut_offset().into())
}

/// Rules in the form of POSIX, such as `CET-1CEST,M3.5.0,M10.5.0/3`, with the hours up to 167 of RFC 8536.
fn posix(text: &str) -> Option<TimeZone> {
    /// A file of version 3 with one kind of time and no changes, after which the rules count.
    const HEAD: &[u8; 51] = b"TZif3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
        \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0";
    if matches!(text.rsplit('/').next(), Some("UTC" | "GMT")) {
        return Some(TimeZone::utc());
    }
    let whole = |rules: &str| {
        let footer = format!("\n{text}{rules}\n");
        TimeZone::from_tz_data(&[HEAD, HEAD, footer.as_bytes()].concat()).ok()
    };
    whole("").or_else(|| whole(USUAL_RULES))
}

/// Rules in the form of RFC 8536.
fn binary(file: &[u8]) -> Option<TimeZone> {
    // Counts beyond the file's length would overflow the library's sums on machines of 32 bits.
    let is_bounded = |at: usize| {
        let counts = file.get(at + 20..at + 44).unwrap_or_default();
        counts.chunks_exact(4).all(|count| count[..2] == [0, 0])
    };
    let mut heads = file.windows(4).enumerate().filter(|(_, magic)| magic == b"TZif");
    if !heads.all(|(at, _)| is_bounded(at)) {
        return None;
    }
    TimeZone::from_tz_data(file).ok().or_else(|| {
        // A version that the library does not know still ends with rules in the form of POSIX.
        let mut lines = file.rsplit(|byte| *byte == b'\n');
        let footer = lines.next().filter(|rest| rest.is_empty()).and(lines.next())?;
        posix(std::str::from_utf8(footer).ok().filter(|_| file.starts_with(b"TZif"))?)
    })
}

fn read(file: &Path) -> Option<Vec<u8>> {
    // A pipe or a device would block.
    if !fs::metadata(file).ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    let length = File::open(file).ok()?.take(LONGEST + 1).read_to_end(&mut bytes).ok()?;
    (length as u64 <= LONGEST).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::testing::device;

    fn at(unix: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(unix)
    }

    fn wall(text: &str) -> WallTime {
        text.parse().unwrap()
    }

    /// What a device with these files and this `TZ` shows at 2026-07-01T12:00:00Z.
    fn shown(variable: Option<&str>, files: &[(&str, &[u8])]) -> String {
        let root = device(files);
        let zone = Zone::of(root.path(), variable.map(OsString::from));
        zone.local(at(1_782_907_200)).to_string()
    }

    /// A file with one change, to `seconds` ahead of UTC, and the rules in `footer`.
    fn compiled(version: u8, seconds: i32, footer: &str) -> Vec<u8> {
        let part = |long: usize| {
            let mut part = b"TZif".to_vec();
            part.push(version);
            part.extend([0; 15]);
            part.extend([0_u32, 0, 0, 1, 2, 4].iter().flat_map(|count| count.to_be_bytes()));
            part.extend(&1_000_000_000_u64.to_be_bytes()[8 - long..]);
            part.push(1);
            part.extend([0; 6]);
            part.extend(seconds.to_be_bytes());
            part.extend([0, 0]);
            part.extend(b"XXX\0");
            part
        };
        if version == 0 { part(4) } else { [part(4), part(8), footer.into()].concat() }
    }

    #[test]
    fn the_first_source_that_is_understood_counts() {
        let china = compiled(b'2', 28_800, "\nXXX-8\n");
        let india = ("etc/TZ", &b"IST-5:30\n"[..]);
        let localtime = ("etc/localtime", &china[..]);
        let name = ("etc/timezone", &b"# a comment\nAsia/Shanghai\n"[..]);
        let named = ("usr/share/zoneinfo/Asia/Shanghai", &china[..]);
        for (variable, files, want) in [
            (None, &[][..], "2026-07-01T12:00:00"),
            (None, &[india, localtime], "2026-07-01T17:30:00"),
            (None, &[localtime], "2026-07-01T20:00:00"),
            (None, &[name, named], "2026-07-01T20:00:00"),
            (None, &[name], "2026-07-01T12:00:00"),
            (None, &[("etc/TZ", b"\n"), localtime], "2026-07-01T20:00:00"),
            (None, &[("etc/TZ", b"\xff\xfe\0"), localtime], "2026-07-01T20:00:00"),
            (None, &[("etc/TZ", b"UTC"), localtime], "2026-07-01T12:00:00"),
            (None, &[("etc/TZ", b"Asia/Shanghai"), named], "2026-07-01T20:00:00"),
            (Some("EST5EDT,M3.2.0,M11.1.0"), &[india], "2026-07-01T08:00:00"),
            (Some("EST5EDT"), &[], "2026-07-01T08:00:00"),
            (Some("<+0330>-3:30"), &[india], "2026-07-01T15:30:00"),
            (Some("IST-2IDT,M3.4.4/26,M10.5.0"), &[], "2026-07-01T15:00:00"),
            (Some("<-02>2<-01>,M3.5.0/-1,M10.5.0/0"), &[], "2026-07-01T11:00:00"),
            (Some(""), &[india], "2026-07-01T12:00:00"),
            (Some("Etc/UTC"), &[india], "2026-07-01T12:00:00"),
            (Some(":Asia/Shanghai"), &[named, india], "2026-07-01T20:00:00"),
            (Some("Asia/Shanghai"), &[named, india], "2026-07-01T20:00:00"),
            (Some("/usr/share/zoneinfo/Asia/Shanghai"), &[named], "2026-07-01T20:00:00"),
            (Some("Asia/../../../../etc/localtime"), &[localtime, india], "2026-07-01T17:30:00"),
            (Some("No/Where"), &[india], "2026-07-01T17:30:00"),
        ] {
            assert_eq!(shown(variable, files), want, "{variable:?} {files:?}");
        }
    }

    #[test]
    fn a_file_of_rules_may_be_old_new_cut_or_hostile() {
        let utc = "2026-07-01T12:00:00";
        let east = "2026-07-01T20:00:00";
        let good = compiled(b'2', 28_800, "\nXXX-8\n");
        let mut huge = good.clone();
        huge[28..32].copy_from_slice(&0x1555_5556_u32.to_be_bytes());
        let mut long = good.clone();
        long.resize(LONGEST as usize + 1, b' ');
        for (file, want) in [
            (compiled(0, 28_800, ""), east),
            (compiled(b'2', 28_800, "\n\n"), east),
            (compiled(b'4', 28_800, "\nXXX-8\n"), east),
            (compiled(b'2', 28_800, "\nYYY-9\n"), "2026-07-01T21:00:00"),
            (compiled(b'2', i32::MAX, "\n\n"), "2094-07-19T15:14:07"),
            (huge, utc),
            (long, utc),
            (Vec::new(), utc),
            (b"TZif".to_vec(), utc),
            (b"\nXXX-8\n".to_vec(), utc),
        ] {
            let text = String::from_utf8_lossy(&file[..file.len().min(200)]).into_owned();
            assert_eq!(shown(None, &[("etc/localtime", &file)]), want, "{text:?}");
        }
        for length in 0..good.len() - 1 {
            shown(None, &[("etc/localtime", &good[..length])]);
        }
    }

    #[test]
    fn summer_begins_and_ends_and_back_again() {
        let zone = Zone::of(Path::new("/nowhere"), Some("CET-1CEST,M3.5.0,M10.5.0/3".into()));
        for (unix, text) in [
            (1_774_745_999, "2026-03-29T01:59:59"),
            (1_774_746_000, "2026-03-29T03:00:00"),
            (1_792_889_999, "2026-10-25T02:59:59"),
            (1_792_893_600, "2026-10-25T03:00:00"),
        ] {
            assert_eq!(zone.local(at(unix)), wall(text));
        }
        assert_eq!(zone.moment(wall("2026-03-29T01:59:59")), at(1_774_745_999));
        assert_eq!(zone.moment(wall("2026-03-29T02:30:00")), at(1_774_747_800), "left out");
        assert_eq!(zone.moment(wall("2026-03-29T03:00:00")), at(1_774_746_000));
        assert_eq!(zone.moment(wall("2026-10-25T02:30:00")), at(1_792_888_200), "the first one");
        assert_eq!(zone.moment(wall("2026-10-25T03:00:00")), at(1_792_893_600));
    }

    #[test]
    fn moments_that_no_clock_shows_are_the_nearest_that_one_does() {
        let zone = Zone::of(Path::new("/nowhere"), Some("XXX-5".into()));
        assert_eq!(zone.local(UNIX_EPOCH - Duration::from_secs(9)), wall("1970-01-01T05:00:00"));
        assert_eq!(zone.local(at(1 << 50)), wall("9999-12-31T23:59:59"));
        assert_eq!(zone.moment(wall("0001-01-01T00:00:00")), at(0));
        assert_eq!(zone.moment(wall("9999-12-31T23:59:59")), at(253_402_300_799 - 18_000));
        let west = Zone::of(Path::new("/nowhere"), Some("XXX5".into()));
        assert_eq!(west.local(at(60)), wall("1970-01-01T00:00:00"));
    }

    #[test]
    fn files_that_change_are_read_again() {
        let root = device(&[("etc/TZ", b"XXX-1")]);
        let zone = Zone::of(root.path(), None);
        let later = || {
            let mut rules = zone.rules.lock().unwrap();
            let rules = rules.as_mut().unwrap();
            rules.looked = rules.looked.checked_sub(FRESH).unwrap();
        };
        assert_eq!(zone.local(at(0)), wall("1970-01-01T01:00:00"));
        fs::write(root.path().join("etc/TZ"), "XXX-02").unwrap();
        assert_eq!(zone.local(at(0)), wall("1970-01-01T01:00:00"), "within a minute");
        later();
        assert_eq!(zone.clone().local(at(0)), wall("1970-01-01T02:00:00"));
        fs::remove_file(root.path().join("etc/TZ")).unwrap();
        later();
        assert_eq!(zone.local(at(0)), wall("1970-01-01T00:00:00"));
    }
}
