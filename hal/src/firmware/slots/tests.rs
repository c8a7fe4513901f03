use std::error::Error as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::script_tests::start;
use super::*;
use crate::{Error, Kind, conformance};

/// A device whose slots are two files in a folder.
struct Board {
    folder: TempDir,
}

impl Board {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("marker")).unwrap();
        fs::write(folder.path().join("a"), "what the device was made with").unwrap();
        fs::write(folder.path().join("b"), "").unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn places(&self) -> Places {
        let started = Some(self.path("marker/started"));
        Places { a: self.path("a"), b: self.path("b"), marker: self.path("marker"), started }
    }

    fn slots(&self) -> Slots {
        Slots::new(self.places(), Restart::Nothing).unwrap()
    }

    fn start(&self) -> Slot {
        start(&self.path("marker"))
    }
}

fn image(counter: u64, bytes: &[u8]) -> Image {
    let sha256 = Some(Sha256::digest(bytes).into());
    Image { version: counter.to_string(), counter: Some(counter), size: bytes.len() as u64, sha256 }
}

async fn install(slots: &Slots, counter: u64, bytes: &[u8]) -> Result<Installed> {
    let mut incoming = slots.open(&image(counter, bytes)).await?;
    incoming.write(Bytes::copy_from_slice(bytes)).await?;
    incoming.install().await
}

fn why(error: Option<Error>) -> (Kind, String) {
    let error = error.expect("it was taken");
    (error.kind, error.source().map(ToString::to_string).unwrap_or_default())
}

#[tokio::test]
async fn slots_are_firmware_whose_images_are_on_trial() {
    let board = Board::new();
    board.start();
    conformance::firmware(&board.slots(), true, || {
        board.start();
    })
    .await;
}

#[tokio::test]
async fn what_does_not_start_is_told_as_failed_and_its_slot_is_written_again() {
    let board = Board::new();
    let slots = board.slots();
    install(&slots, 5, b"does not start").await.unwrap();
    assert_eq!([(); 4].map(|()| board.start()), [Slot::B, Slot::B, Slot::B, Slot::A]);
    let running = slots.running().await.unwrap();
    assert_eq!(running, Running { trial: false, counter: None, failed: Some(5) });
    install(&slots, 6, b"starts").await.unwrap();
    assert_eq!(board.start(), Slot::B);
    slots.commit().await.unwrap();
    assert_eq!(fs::read(board.path("b")).unwrap(), b"starts", "what was longer before is cut");
    assert_eq!(slots.running().await.unwrap().failed, None);
}

#[tokio::test]
async fn an_installation_before_the_restart_is_replaced_by_the_next() {
    let board = Board::new();
    let slots = board.slots();
    install(&slots, 5, b"first").await.unwrap();
    let mut incoming = slots.open(&image(6, b"second")).await.unwrap();
    assert_eq!(board.start(), Slot::A, "a slot that is being written does not start");
    incoming.write(Bytes::from_static(b"second")).await.unwrap();
    incoming.install().await.unwrap();
    assert_eq!(board.start(), Slot::B);
    assert_eq!(slots.running().await.unwrap().counter, Some(6));
}

#[tokio::test]
async fn the_slot_that_runs_is_never_the_one_that_is_written() {
    let board = Board::new();
    let same = |places: Places| {
        let error =
            Slots::new(places, Restart::Nothing).err().expect("the same storage").to_string();
        assert!(error.contains("have to be two"), "{error}");
    };
    same(Places { b: board.path("a"), ..board.places() });
    same(Places { b: board.path("marker/../a"), ..board.places() });
    symlink("a", board.path("link")).unwrap();
    same(Places { b: board.path("link"), ..board.places() });
    fs::hard_link(board.path("a"), board.path("hard")).unwrap();
    same(Places { b: board.path("hard"), ..board.places() });
    same(Places { a: board.path("hard"), b: board.path("link"), ..board.places() });

    // What was right at the start is looked at again.
    let slots = board.slots();
    fs::remove_file(board.path("b")).unwrap();
    symlink("a", board.path("b")).unwrap();
    let (kind, words) = why(install(&slots, 5, b"new").await.err());
    assert!(kind == Kind::Other && words.contains("have to be two"), "{words}");
    assert_eq!(fs::read(board.path("a")).unwrap(), b"what the device was made with");
}

#[tokio::test]
async fn nothing_is_written_or_committed_while_boot_script_and_marker_disagree() {
    let board = Board::new();
    let slots = board.slots();
    install(&slots, 5, b"new").await.unwrap();
    assert_eq!(board.start(), Slot::B);
    fs::write(board.path("marker/started"), "a\n").unwrap();
    assert!(!slots.running().await.unwrap().trial, "slot A runs, which is not on trial");
    slots.commit().await.unwrap();
    let (kind, words) = why(install(&slots, 6, b"newer").await.err());
    assert!(kind == Kind::Refused && words.contains("the marker says that slot b runs"), "{words}");
    assert_eq!(fs::read(board.path("b")).unwrap(), b"new", "either may be the one that runs");
    assert_eq!(fs::read(board.path("a")).unwrap(), b"what the device was made with");
    assert_eq!(board.start(), Slot::B, "it was not committed");
    assert!(slots.running().await.unwrap().trial);
    fs::write(board.path("marker/started"), "c\n").unwrap();
    assert!(why(slots.running().await.err()).1.ends_with("started: expected a or b"));
}

#[tokio::test]
async fn what_is_missing_or_no_slot_is_told_at_the_start() {
    let board = Board::new();
    let told = |places: Places, words: &str| {
        let error = Slots::new(places, Restart::Nothing).err().expect(words).to_string();
        assert!(error.contains(words), "{error}");
    };
    told(Places { b: board.path("none"), ..board.places() }, "slot b: ");
    told(Places { b: board.path("none"), ..board.places() }, "has to be there");
    told(Places { a: board.path("marker"), ..board.places() }, "neither a file nor a block device");
    told(Places { a: "/dev/null".into(), ..board.places() }, "neither a file nor a block device");
    told(Places { marker: board.path("a"), ..board.places() }, "needs a folder");
}

#[tokio::test]
async fn a_byte_that_the_flash_has_changed_is_found_before_the_flip() {
    let board = Board::new();
    let slots = board.slots();
    let mut incoming = slots.open(&image(5, b"an image")).await.unwrap();
    incoming.write(Bytes::from_static(b"an image")).await.unwrap();
    fs::write(board.path("b"), "an imagf").unwrap();
    let (kind, words) = why(incoming.install().await.err());
    assert!(kind == Kind::Other && words.contains("bad block"), "{words}");
    assert_eq!(board.start(), Slot::A);
    assert_eq!(slots.open(&image(5, b"an image")).await.unwrap().kept(), 0, "it is written anew");
}

#[tokio::test]
async fn an_image_that_is_still_being_written_is_not_begun_a_second_time() {
    let board = Board::new();
    let slots = board.slots();
    let incoming = slots.open(&image(5, b"an image")).await.unwrap();
    let (kind, words) = why(slots.open(&image(5, b"an image")).await.err());
    assert!(kind == Kind::Refused && words.contains("still written"), "{words}");
    drop(incoming);
    slots.open(&image(5, b"an image")).await.unwrap();
}

#[test]
fn a_write_that_is_given_up_ends_the_attempt_and_not_the_next() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    runtime.block_on(async {
        let board = Board::new();
        let slots = board.slots();
        let mut incoming = slots.open(&image(5, b"an image")).await.unwrap();
        let (release, held) = std::sync::mpsc::channel::<()>();
        // The only thread that may wait for the disk has to wait for this.
        let holder = tokio::task::spawn_blocking(move || held.recv());
        let write = incoming.write(Bytes::from_static(b"an "));
        assert!(tokio::time::timeout(std::time::Duration::ZERO, write).await.is_err());
        release.send(()).unwrap();
        holder.await.unwrap().unwrap();
        let (kind, words) = why(incoming.write(Bytes::from_static(b"image")).await.err());
        assert!(kind == Kind::Other && words.contains("open the image again"), "{words}");
        drop(incoming);
        install(&slots, 5, b"an image").await.unwrap();
    });
}

#[tokio::test]
async fn a_slot_or_marker_without_permission_is_told_and_nothing_changes() {
    if !Path::new("/proc/self").metadata().is_ok_and(|found| found.uid() != 0) {
        // Root may do all; `tests/interop/slots` runs this as nobody.
        return;
    }
    let board = Board::new();
    let slots = board.slots();
    fs::set_permissions(board.path("b"), Permissions::from_mode(0o400)).unwrap();
    assert!(why(install(&slots, 5, b"new").await.err()).1.contains("Permission denied"));
}

#[tokio::test]
async fn a_folder_that_takes_no_marker_leaves_the_slot_alone() {
    let board = Board::new();
    let slots = board.slots();
    install(&slots, 5, b"first").await.unwrap();
    board.start();
    slots.commit().await.unwrap();
    for name in ["marker/marker.1.new", "marker/marker.2.new"] {
        // A folder in its place, as a full disk is for root, too.
        fs::create_dir(board.path(name)).unwrap();
    }
    let (kind, words) = why(install(&slots, 6, b"second").await.err());
    assert!(kind == Kind::Other && words.contains("marker."), "{words}");
    assert_eq!(fs::read(board.path("a")).unwrap(), b"what the device was made with");
    fs::remove_dir(board.path("marker/marker.1.new")).unwrap();
    let (_, words) = why(install(&slots, 6, b"second").await.err());
    assert!(words.contains("marker.2"), "one copy alone is not enough to write a slot: {words}");
    assert_eq!(fs::read(board.path("a")).unwrap(), b"what the device was made with");
    fs::remove_dir(board.path("marker/marker.2.new")).unwrap();
    install(&slots, 6, b"second").await.unwrap();
    assert_eq!(board.start(), Slot::A);
}

#[tokio::test]
async fn a_damaged_copy_is_mended_before_a_slot_is_written() {
    let board = Board::new();
    let slots = board.slots();
    install(&slots, 5, b"first").await.unwrap();
    board.start();
    slots.commit().await.unwrap();
    for name in ["marker/marker.1", "marker/marker.2"] {
        fs::write(board.path(name), "damaged").unwrap();
        assert_eq!(slots.running().await.unwrap().counter, Some(5), "the other copy counts");
        drop(slots.open(&image(6, b"second")).await.unwrap());
        let [one, other] =
            ["marker/marker.1", "marker/marker.2"].map(|name| fs::read(board.path(name)));
        assert_eq!(one.unwrap(), other.unwrap());
    }
    for name in ["marker/marker.1", "marker/marker.2"] {
        fs::write(board.path(name), "damaged").unwrap();
    }
    fs::remove_file(board.path("marker/started")).unwrap();
    let (kind, words) = why(install(&slots, 6, b"second").await.err());
    assert!(kind == Kind::Refused && words.contains("the boot script writes them anew"), "{words}");
    fs::write(board.path("marker/started"), "b\n").unwrap();
    install(&slots, 6, b"second").await.unwrap();
    assert_eq!(fs::read(board.path("a")).unwrap(), b"second");
}

#[tokio::test]
async fn a_journal_that_is_damaged_or_about_more_than_there_is_keeps_nothing() {
    let board = Board::new();
    let slots = board.slots();
    let bytes = vec![7; 3 << 20];
    let wanted = image(5, &bytes);
    let mut incoming = slots.open(&wanted).await.unwrap();
    incoming.write(Bytes::copy_from_slice(&bytes[..2 << 20])).await.unwrap();
    drop(incoming);
    let journal = fs::read(board.path("marker/journal")).unwrap();
    let kept = async |journal: &[u8]| {
        fs::write(board.path("marker/journal"), journal).unwrap();
        slots.open(&wanted).await.unwrap().kept()
    };
    assert_eq!(kept(&journal).await, 2 << 20);
    for at in 0..journal.len() {
        let mut damaged = journal.clone();
        damaged[at] ^= 0x11;
        assert_eq!(kept(&damaged).await, 0, "byte {at}");
    }
    fs::write(board.path("b"), vec![7; 1 << 20]).unwrap();
    assert_eq!(kept(&journal).await, 0, "the file is shorter");
}
