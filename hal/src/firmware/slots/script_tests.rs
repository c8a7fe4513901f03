//! The boot script of `configs/boot` and the marker: both read what the other writes.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::marker::{Content, Marker, STARTS, Slot};
use crate::Image;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/boot/pick-slot");
const NAMES: [&str; 2] = ["marker.1", "marker.2"];

/// What the boot script starts. It runs in BusyBox where there is one.
pub fn start(folder: &Path) -> Slot {
    let busybox = Path::new("/bin/busybox").exists() || Path::new("/usr/bin/busybox").exists();
    let mut shell = Command::new(if busybox { "busybox" } else { "sh" });
    if busybox {
        shell.arg("sh");
    }
    let started = folder.join("started");
    let said = shell.arg(SCRIPT).arg(folder).arg(&started).output().unwrap();
    assert!(said.status.success(), "{said:?}");
    let slot = String::from_utf8(said.stdout).unwrap();
    assert_eq!(fs::read_to_string(started).unwrap(), slot);
    Slot::named(slot.trim_end()).unwrap_or_else(|| panic!("{slot:?}"))
}

fn put(folder: &Path, markers: [Option<Marker>; 2]) {
    for (name, marker) in NAMES.iter().zip(markers) {
        fs::remove_file(folder.join(name)).ok();
        if let Some(marker) = marker {
            fs::write(folder.join(name), marker.to_string()).unwrap();
        }
    }
}

/// The two copies, which have to be good.
fn copies(folder: &Path) -> [Marker; 2] {
    NAMES.map(|name| Marker::parse(&fs::read_to_string(folder.join(name)).unwrap()).unwrap())
}

fn image(counter: u64) -> Image {
    Image { version: "1".into(), counter: Some(counter), size: 5, sha256: None }
}

/// Slot A was committed and runs; an image lies in slot B, on trial.
fn installed() -> Marker {
    let mut marker = Marker::first(Slot::A);
    marker.serial = 9;
    marker.content[0] = Content::Image { counter: Some(41), size: 3, sha256: [1; 32] };
    marker.installed(&image(42), [0xa5; 32])
}

#[test]
fn an_image_on_trial_starts_three_times_and_then_the_one_before() {
    let folder = TempDir::new().unwrap();
    put(folder.path(), [Some(installed()); 2]);
    for left in (0..STARTS).rev() {
        assert_eq!(start(folder.path()), Slot::B);
        let [one, other] = copies(folder.path());
        assert_eq!(one, other);
        assert_eq!(
            (one.trial, one.runs, one.boot, one.on_trial()),
            (Some(left), Slot::B, Slot::B, true)
        );
        assert_eq!((one.counter(Slot::A), one.counter(Slot::B)), (Some(41), Some(42)));
    }
    for _ in 0..2 {
        assert_eq!(start(folder.path()), Slot::A);
        let [one, other] = copies(folder.path());
        assert_eq!(one, other);
        assert_eq!((one.trial, one.runs, one.boot), (None, Slot::A, Slot::A));
        assert_eq!((one.failed, one.of(Slot::B)), (Some(42), Content::Empty));
        assert_eq!(one.counter(Slot::A), Some(41));
    }
}

#[test]
fn the_same_holds_the_other_way_round_and_without_counters() {
    let folder = TempDir::new().unwrap();
    let unsigned = Image { counter: None, ..image(0) };
    put(folder.path(), [Some(Marker::first(Slot::B).installed(&unsigned, [7; 32])), None]);
    let starts: Vec<_> = (0..5).map(|_| start(folder.path())).collect();
    assert_eq!(starts, [Slot::A, Slot::A, Slot::A, Slot::B, Slot::B]);
    let [one, other] = copies(folder.path());
    assert_eq!((one, one.failed, one.of(Slot::A)), (other, None, Content::Empty));
}

#[test]
fn a_committed_image_starts_for_ever_and_nothing_is_written() {
    let folder = TempDir::new().unwrap();
    put(folder.path(), [Some(installed()); 2]);
    assert_eq!(start(folder.path()), Slot::B);
    let committed = copies(folder.path())[0].committed();
    put(folder.path(), [Some(committed); 2]);
    for _ in 0..5 {
        assert_eq!(start(folder.path()), Slot::B);
        assert_eq!(copies(folder.path()), [committed; 2]);
    }
}

#[test]
fn what_was_rolled_back_does_not_start_again() {
    let folder = TempDir::new().unwrap();
    put(folder.path(), [Some(installed()); 2]);
    assert_eq!(start(folder.path()), Slot::B);
    put(folder.path(), [Some(copies(folder.path())[0].rolled_back()); 2]);
    for _ in 0..2 {
        assert_eq!(start(folder.path()), Slot::A);
        let marker = copies(folder.path())[0];
        assert_eq!((marker.runs, marker.trial, marker.failed), (Slot::A, None, Some(42)));
        assert!(marker.writing().is_ok(), "the slot is free for another image");
    }
}

#[test]
fn a_device_without_a_marker_starts_slot_a() {
    let folder = TempDir::new().unwrap();
    assert_eq!(start(folder.path()), Slot::A);
    let mut first = Marker::first(Slot::A);
    first.serial = 1;
    assert_eq!(copies(folder.path()), [first; 2]);
}

#[test]
fn every_damaged_byte_of_a_copy_leaves_the_state_to_the_other() {
    let folder = TempDir::new().unwrap();
    let marker = installed();
    let mut older = marker;
    older.serial -= 1;
    older.trial = Some(1);
    let text = marker.to_string();
    for at in 0..text.len() {
        let flipped = |bit: usize| {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            bytes
        };
        for bit in 0..8 {
            let read = String::from_utf8(flipped(bit)).ok();
            assert_eq!(read.and_then(|text| Marker::parse(&text)), None, "bit {bit} of byte {at}");
        }
        // The script takes longer: it is asked about every eighth byte, in either copy, with an older and a newer one
        // beside it.
        if at % 8 == 0 {
            let good = if at % 16 == 0 { marker } else { older };
            put(folder.path(), [Some(good); 2]);
            fs::write(folder.path().join(NAMES[at / 16 % 2]), flipped(at / 8 % 8)).unwrap();
            assert_eq!(start(folder.path()), Slot::B, "byte {at}");
            let left = good.trial.map(|starts| starts - 1);
            assert_eq!(copies(folder.path()).map(|copy| copy.trial), [left; 2], "byte {at}");
        }
    }
}

#[test]
fn two_damaged_copies_start_what_ran_last() {
    let folder = TempDir::new().unwrap();
    for runs in [Slot::A, Slot::B] {
        let text = Marker { runs, boot: runs, ..Marker::first(runs) }.to_string();
        for name in NAMES {
            fs::write(folder.path().join(name), text.replace("serial=0", "serial=8")).unwrap();
        }
        assert_eq!(start(folder.path()), runs);
        let mut anew = Marker::first(runs);
        anew.serial = 1;
        assert_eq!(copies(folder.path()), [anew; 2]);
    }
    for garbage in ["", "\n", "ivt-slots 1\n", "runs=c\n", "\u{0}\u{0}", "ivt-slots 2\nruns=a\n"] {
        for name in NAMES {
            fs::write(folder.path().join(name), garbage).unwrap();
        }
        assert_eq!(start(folder.path()), Slot::A, "{garbage:?}");
    }
}

#[test]
fn a_start_on_trial_that_cannot_be_noted_does_not_happen() {
    let folder = TempDir::new().unwrap();
    put(folder.path(), [Some(installed()); 2]);
    for name in NAMES {
        // A folder in the place of the new copy, as a full disk is for root, too.
        fs::create_dir(folder.path().join(format!("{name}.new"))).unwrap();
    }
    assert_eq!(start(folder.path()), Slot::A);
    assert_eq!(copies(folder.path()), [installed(); 2]);
    for name in NAMES {
        fs::remove_dir(folder.path().join(format!("{name}.new"))).unwrap();
    }
    assert_eq!(start(folder.path()), Slot::B);
}
