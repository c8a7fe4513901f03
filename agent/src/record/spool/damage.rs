//! What damaged files have cost, found out when the spool is opened.

use std::path::PathBuf;
use std::time::Duration;

use super::index::Index;

/// What is wrong with the file of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The head cannot be read, so nobody knows which segment it was.
    Head,
    /// There is no whole group. That is all that a crash leaves of a segment that has just begun.
    Empty,
    /// The end is missing: a crash has cut the file off, or a part of it was lost later.
    Cut,
}

/// Longest gap between two segments, in microseconds, that is none.
const TOLERANCE: i64 = 1_000;

/// Notes in the index what the faults of a session's files have lost: as much time as is missing up to
/// the segment after them, where nothing else can be missing there. The `faults` ascend by the number of
/// the file. The log is told of the files, by their `path`, that have lost their end. The newest file may
/// have been cut off by a crash, which is no damage.
pub fn count(index: &mut Index, id: u64, faults: &[(u64, Fault)], path: impl Fn(u64) -> PathBuf) {
    let files = index.session(id).map(|session| session.files()).unwrap_or_default();
    // A card may hold so many of both that each file cannot be asked of each fault.
    let place = |end: u64| faults.partition_point(|(file, _)| *file < end);
    let within = |from: u64, to: u64| &faults[place(from)..place(to)];
    let gone = |fault: Fault| fault != Fault::Cut;
    let (mut number, mut lost) = (0, 0);
    for pair in files.windows(2) {
        let ((from, before), (to, after)) = (pair[0], pair[1]);
        let (between, missing) = (
            within(from, to).len() as u64,
            within(from, to).iter().filter(|(_, fault)| gone(*fault)).count() as u64,
        );
        let micros = i64::try_from(before.groups.duration.as_micros()).unwrap_or(i64::MAX);
        let end = before.segment.start_micros.saturating_add(micros);
        let gap = after.segment.start_micros.saturating_sub(end);
        let next = before.segment.number.saturating_add(missing + 1) == after.segment.number;
        if next && gap > TOLERANCE && between > 0 && !after.segment.discontinuity {
            (number, lost) = (number + between, gap.saturating_add(lost));
            if between > missing {
                let seconds = Duration::from_micros(gap.unsigned_abs()).as_secs_f64();
                log::warn!("{} is damaged: its end, {seconds:.1} s, is lost", path(from).display());
            }
        } else {
            number += missing;
        }
    }
    if let (Some((first, _)), Some((last, _))) = (files.first(), files.last()) {
        let outside = within(0, *first).iter().filter(|(_, fault)| gone(*fault)).count();
        let behind =
            within(*last, u64::MAX).iter().filter(|(_, fault)| *fault == Fault::Head).count();
        number += (outside + behind) as u64;
    }
    index.lost(id, number, Duration::from_micros(lost.unsigned_abs()));
}
