//! Spools that somebody made to do harm: whatever they hold, the spool opens in bounded time and memory, follows no
//! links, and what it hands out cannot overflow.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use super::fixture::{TestDisk, group, payload, pending, second, segment, session};
use super::format::{self, Groups};
use super::store::Store;
use super::{SessionHead, names};

const LIMIT: u64 = 1 << 24;

/// Opens a spool, which must not take for ever.
fn open(root: &Path) -> Store {
    let root = root.to_owned();
    let (sender, opened) = mpsc::channel();
    thread::spawn(move || {
        let store = Store::open(root, LIMIT, Box::new(TestDisk::default()));
        let _ = sender.send(store);
    });
    opened.recv_timeout(Duration::from_secs(60)).expect("it opens in time").unwrap()
}

fn folder(root: &Path, id: u64) -> std::path::PathBuf {
    let folder = root.join(names::folder(id));
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// A record as the format has it, with any content.
fn record(tag: &[u8; 4], meta: u64, payload: &[u8]) -> Vec<u8> {
    let mut record = tag.to_vec();
    record.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_le_bytes());
    record.extend_from_slice(&meta.to_le_bytes());
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&record);
    hasher.update(payload);
    record.extend_from_slice(&hasher.finalize().to_le_bytes());
    record.extend_from_slice(payload);
    record
}

fn head(number: Value, start: Value) -> Value {
    json!({
        "session_id": "s", "channel": 1, "cbk_url": "https://cloud.example/record",
        "number": number, "start_micros": start, "discontinuity": false,
    })
}

/// A finished segment's file.
fn file(head: &Value, duration: u64) -> Vec<u8> {
    let mut file = record(b"IVS1", 0, head.to_string().as_bytes());
    let begin = file.len();
    file.extend(record(b"GRUP", duration, &[7; 188]));
    let (end, bytes) = ((file.len() as u64).to_le_bytes(), 188_u64.to_le_bytes());
    assert!(file.len() > begin);
    file.extend(record(b"DONE", duration, &[end, bytes].concat()));
    file
}

/// Whether a spool with this file as its only segment has the segment after it was opened.
fn is_taken(content: &[u8]) -> bool {
    let dir = tempdir().unwrap();
    fs::write(folder(dir.path(), 0).join(names::file(0)), content).unwrap();
    let store = open(dir.path());
    let stored = store.index().lock().unwrap().stored(0);
    !stored.is_empty()
}

#[test]
fn numbers_dates_and_durations_are_bounded() {
    const HOUR: u64 = 3_600_000_000_000;
    let now = || json!(1_700_000_000_000_000_i64);
    assert!(is_taken(&file(&head(json!(4), now()), HOUR)));
    assert!(is_taken(&file(&head(json!(0), json!(0)), 0)));
    assert!(is_taken(&file(&head(json!(1), json!(-1)), 1)));
    for number in [
        json!(u64::MAX),
        json!(u64::MAX - 1),
        json!(1_u64 << 63),
        json!(1_u64 << 48),
        json!(-1),
        json!(1e300),
        json!("4"),
        Value::Null,
    ] {
        assert!(!is_taken(&file(&head(number.clone(), now()), HOUR)), "{number}");
    }
    for start in
        [json!(i64::MAX), json!(i64::MIN), json!(u64::MAX), json!((1_i64 << 53) + 1), json!(1e300)]
    {
        assert!(!is_taken(&file(&head(json!(4), start.clone()), HOUR)), "{start}");
    }
    for duration in [u64::MAX, u64::MAX / 2, 24 * HOUR] {
        assert!(!is_taken(&file(&head(json!(4), now()), duration)), "{duration} ns");
    }
    let mut long = head(json!(4), now());
    for (name, length) in [("session_id", 2_000), ("cbk_url", 20_000)] {
        long[name] = json!("x".repeat(length));
        assert!(!is_taken(&file(&long, HOUR)), "{name} of {length} bytes");
        long[name] = json!("x");
    }
}

#[test]
fn groups_that_last_for_ages_together_are_cut() {
    let dir = tempdir().unwrap();
    let mut bytes = record(b"IVS1", 0, head(json!(4), json!(0)).to_string().as_bytes());
    for _ in 0..100 {
        bytes.extend(record(b"GRUP", 600_000_000_000, &[7; 188]));
    }
    fs::write(folder(dir.path(), 0).join(names::file(0)), bytes).unwrap();
    let mut store = open(dir.path());
    let stored = store.index().lock().unwrap().stored(0);
    assert_eq!((stored.len(), stored[0].bytes), (1, 12 * 188));
    assert_eq!(stored[0].duration, Duration::from_secs(7200));
    assert_eq!(payload(&mut store, 0, 4).map(|payload| payload.len()), Some(12 * 188));
}

#[test]
fn a_pending_upload_is_bounded_as_well() {
    for (number, name, uri, taken) in [
        (json!(7), 10, 100, true),
        (json!(u64::MAX), 10, 100, false),
        (json!(7), 5_000, 100, false),
        (json!(7), 10, 20_000, false),
    ] {
        let dir = tempdir().unwrap();
        let note = json!({
            "session_id": "s", "channel": 1, "cbk_url": "https://cloud.example/record",
            "number": number, "name": "n".repeat(name), "uri": "u".repeat(uri),
        });
        let path = folder(dir.path(), 0).join(names::PENDING);
        fs::write(&path, record(b"IVP1", 0, note.to_string().as_bytes())).unwrap();
        let store = open(dir.path());
        let index = store.index();
        let index = index.lock().unwrap();
        let session = index.session(0);
        assert_eq!(session.is_some_and(|session| session.pending.is_some()), taken, "{note}");
        assert!(index.session(0).is_none_or(|session| session.next_number() == 8));
    }
}

/// A spool with one segment, a folder outside of it, and what is in that.
fn with_segment() -> (TempDir, TempDir) {
    let (dir, outside) = (tempdir().unwrap(), tempdir().unwrap());
    let mut store = open(dir.path());
    let id = store.index().lock().unwrap().begin(session("a"));
    store.store(id, segment(4), second(), &group(1, 1)).unwrap();
    fs::write(outside.path().join("theirs"), "not ours").unwrap();
    (dir, outside)
}

fn is_as_it_was(outside: &Path) -> bool {
    let names: Vec<_> =
        fs::read_dir(outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names == ["theirs"] && fs::read(outside.join("theirs")).unwrap() == b"not ours"
}

#[test]
fn no_link_leads_a_recording_out_of_the_spool() {
    let (dir, outside) = with_segment();
    for id in 1..4 {
        symlink(outside.path(), dir.path().join(names::folder(id))).unwrap();
    }
    symlink(outside.path(), dir.path().join(names::PROBE)).unwrap();
    let mut store = open(dir.path());
    let id = store.index().lock().unwrap().begin(session("b"));
    assert_eq!(id, 4, "the numbers of the links are taken");
    store.store(id, segment(0), second(), &group(1, 1)).unwrap();
    store.set_pending(id, Some(pending(0))).unwrap();
    assert!(is_as_it_was(outside.path()));

    // The folder is exchanged while the agent runs.
    let path = dir.path().join(names::folder(id));
    fs::rename(&path, dir.path().join("elsewhere")).unwrap();
    symlink(outside.path(), &path).unwrap();
    assert!(store.store(id, segment(1), second(), &group(1, 1)).is_err());
    assert!(is_as_it_was(outside.path()));
}

#[test]
fn a_link_pipe_or_device_in_the_place_of_a_file_is_left_alone() {
    let (dir, outside) = with_segment();
    let folder = dir.path().join(names::folder(0));
    let content = fs::read(folder.join(names::file(0))).unwrap();
    let theirs = outside.path().join("theirs");
    fs::write(&theirs, &content[..content.len() - 1]).unwrap();
    symlink(&theirs, folder.join(names::file(5))).unwrap();
    symlink("/dev/zero", folder.join(names::file(6))).unwrap();
    let pipe = folder.join(names::file(7));
    assert!(
        Command::new("mkfifo")
            .args([&pipe, &folder.join(names::PENDING)])
            .status()
            .unwrap()
            .success()
    );
    let socket = std::os::unix::net::UnixListener::bind(folder.join(names::file(8))).unwrap();
    let mut store = open(dir.path());
    assert_eq!(store.index().lock().unwrap().count(), 1);
    assert!(payload(&mut store, 0, 4).is_some());
    assert_eq!(fs::read(&theirs).unwrap(), content[..content.len() - 1]);
    drop(socket);

    // The file is exchanged after it was found.
    for place in ["/dev/zero", theirs.to_str().unwrap()] {
        fs::remove_file(folder.join(names::file(0))).unwrap();
        symlink(place, folder.join(names::file(0))).unwrap();
        assert!(store.open_segment(0, 4).is_err(), "{place}");
    }
    fs::remove_file(folder.join(names::file(0))).unwrap();
    fs::rename(&pipe, folder.join(names::file(0))).unwrap();
    let (sender, refused) = mpsc::channel();
    thread::spawn(move || sender.send(store.open_segment(0, 4).is_err()));
    assert!(refused.recv_timeout(Duration::from_secs(30)).expect("no pipe is waited for"));
}

#[test]
fn a_file_with_a_second_name_is_not_cut() {
    let (dir, outside) = with_segment();
    let folder = dir.path().join(names::folder(0));
    let mut content = fs::read(folder.join(names::file(0))).unwrap();
    content.extend_from_slice(b"and more that is not ours");
    let theirs = outside.path().join("theirs");
    fs::write(&theirs, &content).unwrap();
    fs::hard_link(&theirs, folder.join(names::file(9))).unwrap();
    open(dir.path());
    assert_eq!(fs::read(theirs).unwrap(), content);
}

#[test]
fn files_made_of_holes_are_not_read_for_ever() {
    let dir = tempdir().unwrap();
    let folder = folder(dir.path(), 0);
    // Each claims one group as long as the whole spool, and there are four terabytes of holes beside them.
    for number in 0..300 {
        let file = File::create(folder.join(names::file(number))).unwrap();
        let head = format::head(&session("a"), &segment(number)).unwrap();
        let mut group = b"GRUP".to_vec();
        let length = LIMIT - head.len() as u64 - format::PREFIX;
        group.extend_from_slice(&u32::try_from(length).unwrap().to_le_bytes());
        group.extend_from_slice(&[0; 12]);
        file.write_all_at(&[&head[..], &group].concat(), 0).unwrap();
        file.set_len(LIMIT).unwrap();
    }
    for number in 300..304 {
        let file = File::create(folder.join(names::file(number))).unwrap();
        file.write_all_at(&format::head(&session("a"), &segment(number)).unwrap(), 0).unwrap();
        // Some file systems have no such long files.
        let _ = file.set_len(1 << 40);
    }
    let store = open(dir.path());
    assert_eq!(store.index().lock().unwrap().stats().bytes, 0);
}

#[test]
fn an_end_that_lies_about_the_groups_is_found_out_when_they_are_read() {
    let (dir, _outside) = with_segment();
    let path = dir.path().join(names::folder(0)).join(names::file(0));
    let content = fs::read(&path).unwrap();
    let body = content.len() - usize::try_from(format::DONE).unwrap();
    let begin = format::head(&session("a"), &segment(4)).unwrap().len() as u64;
    for bytes in [0, 1, 187, 189, body as u64 - begin] {
        let end = body as u64;
        let lie = Groups { begin, end, duration: second(), bytes, done: true };
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, [&content[..body], &format::done(&lie).unwrap()].concat()).unwrap();
        let mut store = open(dir.path());
        let (file, entry) = store.open_segment(0, 4).unwrap();
        let found = format::walk(&file, entry.groups.begin, entry.groups.end);
        assert_eq!((found.bytes, found.end), (188, end), "{bytes}");
        store.repair(0, 4).unwrap();
        assert_eq!(payload(&mut store, 0, 4), Some(group(1, 1).concat()), "{bytes}");
    }
}

#[test]
fn numbers_at_their_end_leave_room_for_those_to_come() {
    let (dir, _outside) = with_segment();
    let content = fs::read(dir.path().join(names::folder(0)).join(names::file(0))).unwrap();
    for id in [u64::MAX, u64::MAX - 1, 1 << 63] {
        fs::write(folder(dir.path(), id).join(names::file(0)), &content).unwrap();
    }
    for file in [u64::MAX, u64::MAX - 1, 1 << 63] {
        fs::write(dir.path().join(names::folder(0)).join(names::file(file)), &content).unwrap();
    }
    let mut store = open(dir.path());
    assert_eq!(store.index().lock().unwrap().sessions(), 1);
    let id = store.index().lock().unwrap().begin(session("b"));
    assert_eq!(id, 1);
    store.store(id, segment(0), second(), &group(1, 1)).unwrap();
    let oldest = store.index().lock().unwrap().oldest().map(|(id, file, _)| (id, file));
    assert_eq!(oldest, Some((0, 0)), "what arrived first goes first");
    assert!(dir.path().join(names::folder(u64::MAX)).is_dir());
}

#[test]
fn more_recordings_than_there_can_be_are_left_for_later() {
    let dir = tempdir().unwrap();
    for id in 0..1_200 {
        let name = session(&format!("session {id}"));
        let mut file = format::head(&name, &segment(0)).unwrap();
        file.extend(record(b"GRUP", 1_000, &[7; 188]));
        fs::write(folder(dir.path(), id).join(names::file(id)), file).unwrap();
    }
    assert_eq!(open(dir.path()).index().lock().unwrap().sessions(), 1_000);
}

#[test]
fn a_folder_in_the_place_of_a_note_costs_its_session_alone() {
    let (dir, _outside) = with_segment();
    for (id, name) in [(1, names::PENDING), (2, names::NEW_PENDING)] {
        fs::create_dir_all(folder(dir.path(), id).join(name).join("full")).unwrap();
    }
    let mut store = open(dir.path());
    assert!(store.index().lock().unwrap().stats().healthy);
    store.set_pending(0, Some(pending(4))).unwrap();
    let id = store.index().lock().unwrap().begin(session("b"));
    store.set_pending(id, Some(pending(0))).unwrap();
    assert!(store.index().lock().unwrap().stats().healthy);
}

fn any_json() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop_oneof![Just(u64::MAX), Just(0), Just(1 << 48), Just((1 << 48) - 1)]
            .prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,40}".prop_map(Value::from),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Files that are right but for what stands in their fields.
    #[test]
    fn whatever_the_fields_say_the_spool_works(
        fields in proptest::collection::vec((0..6_usize, any_json()), 0..4),
        groups in proptest::collection::vec((any::<u64>(), 0..400_usize), 0..4),
        done in proptest::option::of((any::<u64>(), any::<u64>(), any::<u64>())),
    ) {
        let dir = tempdir().unwrap();
        let names = ["session_id", "channel", "cbk_url", "number", "start_micros", "discontinuity"];
        let mut head = head(json!(3), json!(0));
        for (name, value) in fields {
            head[names[name]] = value;
        }
        let mut file = record(b"IVS1", 0, head.to_string().as_bytes());
        for (duration, length) in groups {
            file.extend(record(b"GRUP", duration, &vec![1; length]));
        }
        if let Some((duration, end, bytes)) = done {
            let end = if end % 2 == 0 { file.len() as u64 } else { end };
            file.extend(record(b"DONE", duration, &[end.to_le_bytes(), bytes.to_le_bytes()].concat()));
        }
        fs::write(folder(dir.path(), 0).join(names::file(0)), file).unwrap();
        let mut store = open(dir.path());
        let stored = store.index().lock().unwrap().stored(0);
        for stored in stored {
            prop_assert!(stored.duration <= Duration::from_secs(7200));
            prop_assert!(stored.head.number.checked_add(1).is_some());
            prop_assert!(stored.head.start_micros.checked_add(7_200_000_000).is_some());
            payload(&mut store, 0, stored.head.number);
        }
        let session = SessionHead { session_id: "new".into(), channel: 0, cbk_url: "http://h".to_owned().into() };
        let id = store.index().lock().unwrap().begin(session);
        store.store(id, segment(0), second(), &group(1, 1)).unwrap();
    }
}
