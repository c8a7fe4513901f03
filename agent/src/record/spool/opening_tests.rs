//! Disks that are damaged or locked when the spool is opened.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use tempfile::tempdir;
use tokio::time::{advance, sleep, timeout};

use super::fixture::{TestDisk, group, second, segment, session};
use super::store::REST;
use super::*;

const LIMIT: u64 = 1 << 20;

async fn open(disk: &TestDisk, root: &Path) -> (Spool, Vec<SpoolSession>) {
    Spool::open_on(Box::new(disk.clone()), root.to_owned(), LIMIT).await.unwrap()
}

async fn store(part: &SpoolSession, number: u64) -> Result<Stored, SpoolError> {
    part.store(segment(number), second(), group(number as u8, 1).into()).await
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_an_error() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    for path in [file.clone(), file.join("spool")] {
        let error = Spool::open(path, LIMIT).await.unwrap_err();
        assert!(error.to_string().contains("file"), "{error}");
        assert_eq!(error.cure(), "record.spool_dir must name a directory");
    }
    let spool = dir.path().join("card/spool");
    let error = Spool::open(spool.clone(), LIMIT).await.unwrap_err();
    assert_eq!(error.cure(), "put the card back, or mount it");
    assert!(!dir.path().join("card").exists());
    std::fs::create_dir(dir.path().join("card")).unwrap();
    open(&TestDisk::default(), &spool).await;
    assert!(spool.is_dir(), "what is missing on the card is made");
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_cannot_be_written_opens_and_works_once_it_can() {
    for fault in [ErrorKind::ReadOnlyFilesystem, ErrorKind::PermissionDenied] {
        let dir = tempdir().unwrap();
        let disk = TestDisk::default();
        store(&open(&disk, dir.path()).await.0.session(session("a")), 0).await.unwrap();
        disk.fail(Some(fault));
        let (spool, leftovers) = open(&disk, dir.path()).await;
        assert!(!spool.stats().healthy, "{fault}: known before anything is recorded");
        let left = leftovers[0].read(0).await.unwrap();
        assert_eq!(left.concat(), group(0, 1).concat(), "what is there can be uploaded");
        let part = spool.session(session("b"));
        assert!(matches!(store(&part, 1).await, Err(SpoolError::Resting)));

        disk.fail(None);
        advance(REST).await;
        store(&part, 1).await.unwrap();
        assert!(spool.stats().healthy);
    }
}

#[tokio::test]
async fn a_folder_is_used_by_one_at_a_time() {
    let dir = tempdir().unwrap();
    let (first, _) = Spool::open(dir.path().into(), LIMIT).await.unwrap();
    let part = first.session(session("a"));
    store(&part, 0).await.unwrap();
    let error = Spool::open(dir.path().into(), LIMIT).await.unwrap_err();
    assert!(error.to_string().contains("another process uses it"), "{error}");
    assert_eq!(error.cure(), "give each agent a record.spool_dir of its own");
    assert_eq!(part.read(0).await.unwrap().concat(), group(0, 1).concat());
    drop((first, part));
    let opened = async {
        loop {
            if let Ok(opened) = Spool::open(dir.path().into(), LIMIT).await {
                return opened;
            }
        }
    };
    assert_eq!(timeout(second() * 30, opened).await.expect("it is let go of").1.len(), 1);
}

/// Whether this process has a file open below a folder.
fn is_open(folder: &Path) -> bool {
    let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    open.flat_map(|entry| entry.path().read_link()).any(|path| path.starts_with(folder))
}

async fn is_let_go(folder: &Path) {
    let wait = async {
        while is_open(folder) {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(second() * 30, wait).await.expect("it is let go of");
}

#[tokio::test]
async fn a_card_with_nothing_on_it_can_be_taken_out() {
    let dir = tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap().join("spool");
    let (spool, _) = Spool::open(root.clone(), LIMIT).await.unwrap();
    assert!(!is_open(&root), "nothing is recorded yet");
    let part = spool.session(session("a"));
    store(&part, 0).await.unwrap();
    assert!(Spool::open(root.clone(), LIMIT).await.is_err(), "it is in use");
    part.remove(0);
    part.close().await.unwrap();
    is_let_go(&root).await;

    std::fs::remove_dir(&root).unwrap();
    store(&part, 1).await.unwrap();
    assert_eq!(part.read(1).await.unwrap().concat(), group(1, 1).concat(), "on another card");
    std::fs::remove_dir_all(&root).unwrap();
    assert!(store(&part, 2).await.is_err(), "something is on the former one");
    assert!(!root.exists());
    is_let_go(&root).await;
}

#[tokio::test(start_paused = true)]
async fn what_lies_on_a_card_that_was_put_in_stays_for_the_next_start() {
    let dir = tempdir().unwrap();
    let (root, disk) = (dir.path().join("spool"), TestDisk::default());
    let spool = open(&disk, &root).await.0;
    std::fs::remove_dir(&root).unwrap();
    store(&open(&disk, &root).await.0.session(session("a")), 0).await.unwrap();
    // The folder of the other session has the same number.
    let part = spool.session(session("b"));
    let error = store(&part, 0).await.unwrap_err().to_string();
    assert!(error.ends_with("other recordings are there, restart the agent"), "{error}");
    drop(part);
    advance(REST).await;
    store(&spool.session(session("c")), 0).await.unwrap();
    let left = open(&disk, &root).await.1.into_iter().map(|left| left.head().session_id);
    assert_eq!(left.collect::<Vec<_>>(), ["a", "c"], "each in a folder of its own");
}

#[tokio::test]
async fn a_full_disk_is_no_fault_when_it_is_opened() {
    let dir = tempdir().unwrap();
    let disk = TestDisk::default();
    disk.fail(Some(ErrorKind::StorageFull));
    assert!(open(&disk, dir.path()).await.0.stats().healthy);
}

#[tokio::test]
async fn a_probe_that_a_power_cut_left_is_in_nobodys_way() {
    let dir = tempdir().unwrap();
    std::fs::create_dir(dir.path().join(names::PROBE)).unwrap();
    assert!(open(&TestDisk::default(), dir.path()).await.0.stats().healthy);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn each_fault_of_a_disk_has_its_cure() {
    let cure = |kind: ErrorKind| {
        let path = "/mnt/sd".into();
        SpoolError::Io { action: "write to", path, source: kind.into() }.cure()
    };
    assert_eq!(cure(ErrorKind::ReadOnlyFilesystem), "mount it writable");
    assert_eq!(cure(ErrorKind::PermissionDenied), "let the agent's user write there");
    assert_eq!(cure(ErrorKind::NotFound), "put the card back, or mount it");
}
