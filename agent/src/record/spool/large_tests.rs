//! Files longer than 32 bits can count, which consist of holes.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use tempfile::tempfile;

use super::fixture::{group, second, segment, session};
use super::format::{self, Contents, Found, Groups, Payload};

const LONG: u64 = 5 << 30;

/// A segment's file with a group at its beginning, and an end record at `LONG` that claims
/// everything in between.
fn long() -> (File, Groups) {
    let file = tempfile().unwrap();
    let head = format::head(&session("a"), &segment(4)).unwrap();
    let chunks = group(7, 3);
    let prefix = format::group(&chunks, second()).unwrap();
    file.write_all_at(&[&head[..], &prefix, &chunks.concat()].concat(), 0).unwrap();
    let begin = head.len() as u64;
    let bytes = LONG - begin - format::PREFIX;
    let groups = Groups { begin, end: LONG, duration: second(), bytes, done: true };
    file.write_all_at(&format::done(&groups).unwrap(), LONG).unwrap();
    (file, groups)
}

fn inspect(file: &File) -> Contents {
    match format::inspect(file, &mut 0).unwrap() {
        Found::Ours(contents) => contents,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_end_of_a_long_segment_is_found() {
    let (file, groups) = long();
    assert_eq!(inspect(&file).groups, groups);
}

#[test]
fn a_long_segment_is_checked_up_to_its_first_hole() {
    let (file, groups) = long();
    let end = groups.begin + format::PREFIX + 3 * 188;
    let whole = Groups { end, bytes: 3 * 188, done: false, ..groups };
    assert_eq!(format::walk(&file, groups.begin, LONG + format::DONE), whole);
}

#[test]
fn a_group_beyond_four_gigabytes_is_read() {
    let (file, groups) = long();
    let chunks = group(9, 2);
    let prefix = format::group(&chunks, second()).unwrap();
    file.write_all_at(&[&prefix[..], &chunks.concat()].concat(), LONG - 1000).unwrap();
    let mut payload = Payload::new(file, &Groups { begin: LONG - 1000, ..groups });
    assert_eq!(payload.next().unwrap().unwrap(), chunks.concat());
}
