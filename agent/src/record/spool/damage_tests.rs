//! Whatever the folder holds, the spool opens, and every whole segment can be read.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::{Just, Strategy as _, any, prop_oneof, proptest};
use proptest::sample::select;
use tempfile::{TempDir, tempdir};

use super::damage::{self, Fault};
use super::fixture::{TestDisk, group, payload, second, segment, session};
use super::format;
use super::index::{Entry, Index, State};
use super::store::Store;
use super::{News, SegmentHead, names};

const LIMIT: u64 = 1 << 30;

fn open(root: &Path) -> Store {
    Store::open(root.to_owned(), LIMIT, Box::new(TestDisk::default())).unwrap()
}

/// A spool with a segment of three groups: the segment's file, and where each group ends.
fn three_groups(finished: bool) -> (TempDir, PathBuf, Vec<u64>) {
    let dir = tempdir().unwrap();
    let mut store = open(dir.path());
    let id = store.index().lock().unwrap().begin(session("a"));
    store.begin(id, segment(4), &group(1, 1), second()).unwrap();
    store.append(id, 4, &group(2, 2), second()).unwrap();
    store.append(id, 4, &group(3, 1), second()).unwrap();
    if finished {
        store.finish(id, 4).unwrap();
    }
    let begin = format::head(&session("a"), &segment(4)).unwrap().len() as u64;
    let lengths = [1, 2, 1].map(|pieces| format::PREFIX + pieces * 188);
    let ends = lengths.iter().scan(begin, |at, length| {
        *at += length;
        Some(*at)
    });
    let path = dir.path().join(names::folder(0)).join(names::file(0));
    (dir, path, ends.collect())
}

/// What is left if only the groups that end by `end` are whole.
fn whole(ends: &[u64], end: u64) -> Option<Vec<u8>> {
    let groups = [group(1, 1), group(2, 2), group(3, 1)];
    let whole = groups.iter().zip(ends).filter(|(_, at)| **at <= end);
    let groups: Vec<_> = whole.map(|(group, _)| group.concat()).collect();
    (!groups.is_empty()).then(|| groups.concat())
}

/// Opens the spool twice, since the first opening may have repaired it, and reads the segment.
fn reopen(root: &Path) -> Option<Vec<u8>> {
    let mut first = open(root);
    let found = payload(&mut first, 0, 4);
    let stored = first.index().lock().unwrap().stored(0);
    drop(first);
    let mut second = open(root);
    assert_eq!(payload(&mut second, 0, 4), found);
    assert_eq!(second.index().lock().unwrap().stored(0), stored);
    for stored in stored {
        assert_eq!(stored.head, segment(4));
        assert_eq!(Some(stored.bytes), found.as_ref().map(|found| found.len() as u64));
    }
    found
}

#[test]
fn a_file_cut_anywhere_yields_its_complete_groups() {
    for finished in [false, true] {
        let (dir, path, ends) = three_groups(finished);
        let bytes = fs::read(&path).unwrap();
        for length in 0..=bytes.len() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &bytes[..length]).unwrap();
            assert_eq!(reopen(dir.path()), whole(&ends, length as u64), "{length}");
            let end = ends.iter().rfind(|end| **end <= length as u64);
            let left = path.metadata().map(|metadata| metadata.len()).ok();
            assert_eq!(left, end.map(|end| end + format::DONE), "{length}: cut and ended");
        }
    }
}

#[test]
fn a_flipped_bit_costs_its_group_and_those_after_it() {
    for finished in [false, true] {
        let (dir, path, ends) = three_groups(finished);
        let bytes = fs::read(&path).unwrap();
        let head = ends[0] - format::PREFIX - 188;
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &damaged).unwrap();
            let readable = if (at as u64) < head { 0 } else { at as u64 };
            assert_eq!(reopen(dir.path()), whole(&ends, readable), "{at}");
        }
    }
}

#[test]
fn the_groups_of_an_unfinished_file_have_their_durations() {
    let (dir, path, ends) = three_groups(false);
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(ends[1] + 3).unwrap();
    let stored = open(dir.path()).index().lock().unwrap().stored(0);
    assert_eq!((stored[0].duration, stored[0].bytes), (2 * second(), 3 * 188));
}

#[test]
fn a_huge_length_is_not_believed() {
    let (dir, path, ends) = three_groups(false);
    let mut bytes = fs::read(&path).unwrap();
    let second = ends[0] as usize;
    bytes[second + 4..second + 8].copy_from_slice(&u32::MAX.to_le_bytes());
    fs::write(&path, &bytes).unwrap();
    assert_eq!(reopen(dir.path()), whole(&ends, ends[0]));

    bytes[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    fs::write(&path, &bytes).unwrap();
    assert_eq!(reopen(dir.path()), None);
    assert!(!path.exists());
}

#[test]
fn what_others_put_there_stays() {
    let (dir, path, ends) = three_groups(true);
    let (folder, other) = (path.parent().unwrap(), tempdir().unwrap());
    let outside = other.path().join("outside");
    fs::write(&outside, "not ours").unwrap();
    let theirs = [
        dir.path().join("holiday.jpg"),
        dir.path().join("session-1"),
        folder.join("notes.txt"),
        folder.join("00.seg"),
    ];
    for path in &theirs {
        fs::write(path, "not ours").unwrap();
    }
    let links = [
        folder.join(names::file(7)),
        folder.join(names::PENDING),
        dir.path().join(names::folder(8)),
    ];
    for link in &links {
        symlink(&outside, link).unwrap();
    }
    fs::create_dir(folder.join(names::file(9))).unwrap();
    fs::write(dir.path().join(names::folder(10)), "a file").unwrap();
    let newer = folder.join(names::file(11));
    fs::write(&newer, b"IVS2 is what comes after this version").unwrap();

    assert_eq!(reopen(dir.path()), whole(&ends, u64::MAX));
    let mut store = open(dir.path());
    store.remove(0, 4).unwrap();
    store.close(0).unwrap();
    for path in theirs.iter().chain(&links).chain([&newer, &outside]) {
        assert!(path.symlink_metadata().is_ok(), "{}", path.display());
    }
    assert_eq!(fs::read(outside).unwrap(), b"not ours");
}

#[test]
fn a_damaged_note_of_an_upload_is_dropped() {
    let (dir, path, ends) = three_groups(true);
    let note = path.with_file_name(names::PENDING);
    for bytes in [&b""[..], b"IVP1", &[0; 200], &[0xff; 200]] {
        fs::write(&note, bytes).unwrap();
        assert_eq!(reopen(dir.path()), whole(&ends, u64::MAX));
        assert!(!note.exists());
    }
}

#[test]
fn files_beyond_the_limit_go_when_it_is_opened() {
    let dir = tempdir().unwrap();
    let mut store = open(dir.path());
    let id = store.index().lock().unwrap().begin(session("a"));
    for number in 0..5 {
        store.store(id, segment(number), second(), &group(1, 10)).unwrap();
    }
    let bytes = store.index().lock().unwrap().stats().bytes;
    drop(store);
    let store =
        Store::open(dir.path().to_owned(), bytes * 3 / 5 + 10, Box::new(TestDisk::default()))
            .unwrap();
    let index = store.index();
    let mut index = index.lock().unwrap();
    let numbers: Vec<_> = index.stored(id).iter().map(|stored| stored.head.number).collect();
    assert_eq!(numbers, [2, 3, 4]);
    let evicted = [0, 1].map(|number| News::Evicted(number, second()));
    assert_eq!(index.take_news(id), evicted);
}

#[test]
fn only_this_user_reads_what_is_stored() {
    let parent = tempdir().unwrap();
    let root = parent.path().join("spool");
    let mut store = open(&root);
    let id = store.index().lock().unwrap().begin(session("a"));
    store.store(id, segment(1), second(), &group(1, 1)).unwrap();
    store.set_pending(id, Some(super::fixture::pending(1))).unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let folder = root.join(names::folder(id));
    assert_eq!((mode(&root), mode(&folder)), (0o700, 0o700));
    for name in [names::PENDING.to_owned(), names::file(0)] {
        assert_eq!(mode(&folder.join(name)), 0o600);
    }
}

/// Segments of a second whose times follow each other, one file each: the files, the oldest first.
fn row(dir: &Path, count: u64) -> Vec<PathBuf> {
    let mut store = open(dir);
    let id = store.index().lock().unwrap().begin(session("a"));
    for number in 0..count {
        let start_micros = 1_700_000_000_000_000 + number as i64 * 1_000_000;
        let head = super::SegmentHead { number, start_micros, discontinuity: number == 0 };
        store.begin(id, head, &group(1, 1), second() / 2).unwrap();
        store.append(id, number, &group(2, 1), second() / 2).unwrap();
        store.finish(id, number).unwrap();
    }
    let path = |number| dir.join(names::folder(id)).join(names::file(number));
    (0..count).map(path).collect()
}

/// What opening the folder finds lost, once.
fn lost(dir: &Path) -> (u64, std::time::Duration) {
    let index = open(dir).index();
    let lost = index.lock().unwrap().take_lost(0);
    assert_eq!(open(dir).index().lock().unwrap().take_lost(0).0, 0, "told once");
    lost
}

fn cut(path: &Path, by: u64) {
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(file.metadata().unwrap().len() - by).unwrap();
}

#[test]
fn what_damage_has_cost_is_known_when_it_is_opened() {
    const NONE: Duration = Duration::ZERO;
    let half = second() / 2;
    // Without its end record a file is whole all the same: a power cut may cost that.
    let all = format::DONE + 2 * (format::PREFIX + 188);
    for (by, expected) in [(1, (0, NONE)), (format::DONE + 1, (1, half)), (all, (1, 2 * half))] {
        for file in [0, 2, 5] {
            let dir = tempdir().unwrap();
            let files = row(dir.path(), 6);
            cut(&files[file], by);
            // The newest may be what a crash has cut off. Nobody knows what was before the oldest.
            let expected = match (file, by) {
                (5, _) => (0, NONE),
                (0, _) if by == all => (1, NONE),
                _ => expected,
            };
            let length = fs::metadata(&files[file]).unwrap().len();
            assert_eq!(lost(dir.path()), expected, "file {file} without {by}, {length} left");
        }
    }
    let dir = tempdir().unwrap();
    let files = row(dir.path(), 8);
    fs::write(&files[2], "nonsense").unwrap();
    fs::write(&files[3], "").unwrap();
    cut(&files[5], format::DONE + 1);
    fs::write(&files[7], "nonsense").unwrap();
    assert_eq!(lost(dir.path()), (4, 5 * half));
    // What was uploaded from the middle is not missing.
    let dir = tempdir().unwrap();
    let files = row(dir.path(), 6);
    fs::remove_file(&files[2]).unwrap();
    assert_eq!(lost(dir.path()), (0, NONE));
}

/// What the faults have lost, where each file is asked of each fault.
fn each_of_each(files: &[(u64, Entry)], faults: &[(u64, Fault)]) -> (u64, Duration) {
    let count = |from: u64, to: u64, wanted: &dyn Fn(Fault) -> bool| {
        faults.iter().filter(|(n, fault)| (from..to).contains(n) && wanted(*fault)).count() as u64
    };
    let (mut number, mut lost) = (0, 0);
    for pair in files.windows(2) {
        let ((from, a), (to, b)) = (pair[0], pair[1]);
        let between = count(from, to, &|_| true);
        let missing = count(from, to, &|fault| fault != Fault::Cut);
        let end = a.segment.start_micros + i64::try_from(a.groups.duration.as_micros()).unwrap();
        let gap = b.segment.start_micros - end;
        let next = a.segment.number + missing + 1 == b.segment.number;
        if next && gap > 1_000 && between > 0 && !b.segment.discontinuity {
            (number, lost) = (number + between, lost + gap.unsigned_abs());
        } else {
            number += missing;
        }
    }
    if let (Some((first, _)), Some((last, _))) = (files.first(), files.last()) {
        number += count(0, *first, &|fault| fault != Fault::Cut);
        number += count(*last, u64::MAX, &|fault| fault == Fault::Head);
    }
    (number, Duration::from_micros(lost))
}

proptest! {
    #[test]
    fn faults_are_counted_as_if_each_file_were_asked_of_each(
        // What each number of a file has: a fault, a segment so many after the last, or both.
        numbers in proptest::collection::vec((
            prop_oneof![Just(None), select(vec![Some(Fault::Head), Some(Fault::Empty), Some(Fault::Cut)])],
            prop_oneof![Just(None), (1_u64..4, -1_i64..3, any::<bool>()).prop_map(Some)],
        ), 0..40),
        first in select(vec![0, 7, u64::MAX - 39]),
    ) {
        let mut index = Index::new(u64::MAX);
        let id = index.begin(session("a"));
        let (mut faults, mut number, mut start_micros) = (Vec::new(), 0, 0);
        for (file, (fault, found)) in (first..=u64::MAX).zip(numbers) {
            faults.extend(fault.map(|fault| (file, fault)));
            let Some((step, gap, discontinuity)) = found else { continue };
            number += step;
            start_micros += 10_000 + gap * 1_000;
            let duration = Duration::from_millis(10);
            let groups = format::Groups { begin: 10, end: 90, duration, bytes: 60, done: false };
            let segment = SegmentHead { number, start_micros, discontinuity };
            index.put(id, file, Entry { segment, groups, length: 100, state: State::Complete });
        }
        let files = index.session(id).unwrap().files();
        damage::count(&mut index, id, &faults, |file| names::file(file).into());
        assert_eq!(index.take_lost(id), each_of_each(&files, &faults));
    }
}

#[test]
fn a_card_full_of_faults_is_counted_without_delay() {
    let mut index = Index::new(u64::MAX);
    let id = index.begin(session("a"));
    for number in 0..10_000 {
        let groups =
            format::Groups { begin: 10, end: 90, duration: second(), bytes: 60, done: false };
        let entry = Entry { segment: segment(number), groups, length: 9, state: State::Complete };
        index.put(id, number * 10, entry);
    }
    let faults: Vec<_> = (0..100_000).map(|file| (file, Fault::Empty)).collect();
    let begin = std::time::Instant::now();
    damage::count(&mut index, id, &faults, |file| names::file(file).into());
    // Comparing each of 10,000 files with each of 100,000 faults takes a minute; the search takes a tenth of a second.
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    assert_eq!(index.take_lost(id).0, 10 * 9_999);
}
