use std::io::ErrorKind;
use std::path::Path;

use bytes::Bytes;
use tempfile::tempdir;
use tokio::time::{Instant, advance};

use super::fixture::{TestDisk, evicted, group, pending, second, segment, session, size};
use super::store::{REST, Store};
use super::*;

const LIMIT: u64 = 1 << 30;

/// A spool on a disk without locks, since a process that was killed holds none.
async fn open(root: &Path) -> (Spool, Vec<SpoolSession>) {
    Spool::open_on(Box::new(TestDisk::default()), root.to_owned(), LIMIT).await.unwrap()
}

async fn open_on(disk: &TestDisk, root: &Path, limit: u64) -> Spool {
    Spool::open_on(Box::new(disk.clone()), root.to_owned(), limit).await.unwrap().0
}

/// Returns when all jobs of the spool are done.
async fn settle(part: &SpoolSession) {
    part.close().await.unwrap();
}

fn numbers(part: &SpoolSession) -> Vec<u64> {
    part.stored().iter().map(|stored| stored.head.number).collect()
}

/// Writes a segment of one group, in pieces of 188 bytes.
async fn store(part: &SpoolSession, number: u64, pieces: usize) -> Result<Stored, SpoolError> {
    part.store(segment(number), second(), group(number as u8, pieces).into()).await
}

#[tokio::test]
async fn what_is_written_as_it_records_is_read_again() {
    let dir = tempdir().unwrap();
    let (spool, leftovers) = open(dir.path()).await;
    assert!(leftovers.is_empty());
    let part = spool.session(session("a"));
    assert_eq!(size(dir.path()), 0, "nothing is written before there is something");

    let mut writer = part.begin(segment(6));
    let long = vec![Bytes::from(vec![7; 150_000])];
    writer.append(group(1, 3), second());
    writer.append(long.clone(), 2 * second());
    settle(&part).await;
    assert!(part.stored().is_empty(), "it is not complete yet");
    writer.finish();
    settle(&part).await;

    let bytes = 3 * 188 + 150_000;
    let stored = Stored { head: segment(6), duration: 3 * second(), bytes };
    assert_eq!(part.stored(), [stored]);
    let chunks = part.read(6).await.unwrap();
    assert!(chunks.iter().all(|chunk| chunk.len() <= 64 * 1024));
    assert_eq!(chunks.concat(), [group(1, 3).concat(), long.concat()].concat());
    let stats = spool.stats();
    assert_eq!(stats, Stats { bytes: size(dir.path()), limit: LIMIT, segments: 1, healthy: true });

    part.remove(6);
    assert!(matches!(part.read(6).await, Err(SpoolError::Missing(6))));
    settle(&part).await;
    assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none());
    assert_eq!(spool.stats().bytes, 0);
}

#[tokio::test]
async fn who_watches_hears_how_full_it_is_and_how_well() {
    let dir = tempdir().unwrap();
    let disk = TestDisk::default();
    let spool = open_on(&disk, dir.path(), LIMIT).await;
    let (mut stats, part) = (spool.watch(), spool.session(session("a")));
    assert_eq!(*stats.borrow(), Stats { bytes: 0, limit: LIMIT, segments: 0, healthy: true });
    store(&part, 0, 1).await.unwrap();
    stats.wait_for(|stats| stats.segments == 1).await.unwrap();
    assert_eq!(stats.borrow().bytes, size(dir.path()));
    disk.fail(Some(ErrorKind::ReadOnlyFilesystem));
    store(&part, 1, 1).await.unwrap_err();
    stats.wait_for(|stats| !stats.healthy).await.unwrap();
}

#[tokio::test]
async fn a_whole_segment_is_stored_once() {
    let dir = tempdir().unwrap();
    let (spool, _) = open(dir.path()).await;
    let part = spool.session(session("a"));
    let stored = store(&part, 3, 5).await.unwrap();
    assert_eq!((stored.bytes, stored.duration), (5 * 188, second()));
    let bytes = size(dir.path());
    assert_eq!(store(&part, 3, 5).await.unwrap(), stored);
    assert_eq!(size(dir.path()), bytes);
    assert_eq!(part.read(3).await.unwrap().concat(), group(3, 5).concat());
}

#[tokio::test]
async fn sessions_of_an_earlier_run_are_found_with_what_they_hold() {
    let dir = tempdir().unwrap();
    let name = "../../etc/passwd\0\u{1f4f7}".to_owned() + &"x".repeat(110);
    let unfinished = {
        let (spool, _) = open(dir.path()).await;
        let (first, second_) = (spool.session(session(&name)), spool.session(session("b")));
        store(&first, 1, 1).await.unwrap();
        first.set_pending(Some(pending(1))).await.unwrap();
        let mut writer = second_.begin(segment(9));
        writer.append(group(1, 2), second());
        writer.append(group(2, 2), second());
        settle(&second_).await;
        store(&spool.session(session("c")), 1, 1).await.unwrap();
        writer
    };
    // Nothing is finished, as if the process had been killed.
    std::mem::forget(unfinished);

    let (spool, leftovers) = open(dir.path()).await;
    let heads: Vec<_> = leftovers.iter().map(|leftover| leftover.head()).collect();
    assert_eq!(heads, [session(&name), session("b"), session("c")]);
    assert_eq!(leftovers[0].pending(), Some(pending(1)));
    assert_eq!(leftovers[1].pending(), None);
    let part = &leftovers[1];
    assert_eq!(part.stored()[0].duration, 2 * second());
    assert_eq!(part.read(9).await.unwrap().concat(), [group(1, 2), group(2, 2)].concat().concat());

    let same = spool.session(session("b"));
    store(&same, 9, 1).await.unwrap();
    assert_eq!(part.stored()[0].bytes, 4 * 188, "a new session is another part");
    for leftover in &leftovers {
        leftover.set_pending(None).await.unwrap();
        for number in numbers(leftover) {
            leftover.remove(number);
        }
        leftover.close().await.unwrap();
    }
    drop((spool, leftovers, same));
    let (_, leftovers) = open(dir.path()).await;
    assert_eq!(leftovers.len(), 1);
    assert_eq!(numbers(&leftovers[0]), [9]);
}

#[tokio::test]
async fn the_oldest_goes_when_it_is_full_but_not_the_pending_one() {
    let dir = tempdir().unwrap();
    let disk = TestDisk::default();
    let spool = open_on(&disk, dir.path(), 10_000).await;
    let (first, other) = (spool.session(session("a")), spool.session(session("b")));
    store(&first, 0, 10).await.unwrap();
    first.set_pending(Some(pending(0))).await.unwrap();
    store(&other, 0, 10).await.unwrap();
    for number in 1..20 {
        store(&first, number, 10).await.unwrap();
        assert!(size(dir.path()) <= 10_000 && size(dir.path()) == spool.stats().bytes);
    }
    assert_eq!(numbers(&first), [0, 17, 18, 19]);
    let evicted: Vec<_> = (1..17).map(|number| News::Evicted(number, second())).collect();
    let is_eviction = |news: &News| matches!(news, News::Evicted(..));
    assert_eq!(first.news().into_iter().filter(is_eviction).collect::<Vec<_>>(), evicted);
    assert!(first.news().is_empty());
    assert!(other.stored().is_empty());
    assert_eq!(other.resume(), (vec![], vec![second()]), "whoever takes over hears of it");

    let mut writer = first.begin(segment(20));
    for seed in 0..3 {
        writer.append(group(seed, 10), second());
    }
    settle(&first).await;
    assert_eq!(numbers(&first), [0]);
    let much = store(&first, 21, 1000).await;
    assert!(matches!(much, Err(SpoolError::Full { limit: 10_000, .. })), "{much:?}");
    writer.finish();
    settle(&first).await;
    assert_eq!(numbers(&first), [0, 20], "nothing was deleted in vain");
    assert!(spool.stats().healthy && size(dir.path()) <= 10_000);
}

#[tokio::test]
async fn a_disk_that_is_full_before_the_limit_makes_room() {
    let dir = tempdir().unwrap();
    let disk = TestDisk::default();
    let spool = open_on(&disk, dir.path(), LIMIT).await;
    disk.shrink(dir.path(), 10_000);
    let part = spool.session(session("a"));
    for number in 0..10 {
        store(&part, number, 10).await.unwrap();
    }
    assert_eq!(numbers(&part).last(), Some(&9));
    assert_eq!(evicted(&part), 10 - numbers(&part).len());
    assert!(numbers(&part).len() >= 3, "{:?}", numbers(&part));

    // Another process takes the rest of the disk.
    disk.shrink(dir.path(), 0);
    assert!(store(&part, 11, 1000).await.is_err());
    assert!(!spool.stats().healthy);
    assert!(numbers(&part).len() >= 3, "what could not help was not deleted");
    assert_eq!(size(dir.path()), spool.stats().bytes, "nothing half-written stays");
}

#[tokio::test]
async fn a_segment_given_up_is_replaced_by_the_whole_one() {
    let dir = tempdir().unwrap();
    let disk = TestDisk::default();
    let spool = open_on(&disk, dir.path(), LIMIT).await;
    let part = spool.session(session("a"));
    let mut writer = part.begin(segment(0));
    writer.append(group(1, 1), second());
    settle(&part).await;
    let one = size(dir.path());
    disk.shrink(dir.path(), one + 250);
    writer.append(group(2, 5), second());
    writer.finish();
    settle(&part).await;
    assert_eq!(size(dir.path()), one, "half a group does not stay");
    assert!(part.stored().is_empty() && !spool.stats().healthy);

    let spool = open_on(&disk, dir.path(), LIMIT).await;
    disk.shrink(dir.path(), LIMIT);
    let part = spool.session(session("b"));
    let mut writer = part.begin(segment(0));
    writer.append(group(1, 1), second());
    drop(writer);
    settle(&part).await;
    assert!(part.stored().is_empty());
    store(&part, 0, 6).await.unwrap();
    assert_eq!(size(dir.path()), spool.stats().bytes);
    assert_eq!(spool.stats().segments, 2);
    part.remove(0);
    part.close().await.unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "only the first session's");
}

#[tokio::test(start_paused = true)]
async fn a_failing_disk_is_left_alone_for_thirty_seconds() {
    for fault in [ErrorKind::ReadOnlyFilesystem, ErrorKind::StorageFull, ErrorKind::Other] {
        let dir = tempdir().unwrap();
        let disk = TestDisk::default();
        let spool = open_on(&disk, dir.path(), LIMIT).await;
        let part = spool.session(session("a"));
        let mut writer = part.begin(segment(0));
        writer.append(group(1, 1), second());
        settle(&part).await;

        disk.fail(Some(fault));
        writer.append(group(2, 1), second());
        writer.append(group(3, 1), second());
        writer.finish();
        assert!(matches!(store(&part, 1, 1).await, Err(SpoolError::Resting)), "{fault}");
        assert!(part.stored().is_empty() && !spool.stats().healthy);

        disk.fail(None);
        let before = disk.journal().len();
        advance(REST - second()).await;
        assert!(matches!(store(&part, 1, 1).await, Err(SpoolError::Resting)));
        assert_eq!(disk.journal().len(), before);
        advance(2 * second()).await;
        store(&part, 1, 1).await.unwrap();
        assert!(spool.stats().healthy);

        // The segment that was given up is elsewhere, but a crash would have left its group.
        assert_eq!(numbers(&part), [1]);
        let (_, leftovers) = open(dir.path()).await;
        assert_eq!(numbers(&leftovers[0]), [0, 1]);
        assert_eq!(leftovers[0].read(0).await.unwrap().concat(), group(1, 1).concat());
    }
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_removed_goes_when_the_disk_works_again() {
    let dir = tempdir().unwrap();
    let disk = TestDisk::default();
    let spool = open_on(&disk, dir.path(), LIMIT).await;
    let part = spool.session(session("a"));
    store(&part, 0, 1).await.unwrap();
    disk.fail(Some(ErrorKind::ReadOnlyFilesystem));
    part.remove(0);
    settle(&part).await;
    assert!(!spool.stats().healthy);
    assert!(part.stored().is_empty() && spool.stats().bytes > 0);
    assert!(part.set_pending(Some(pending(1))).await.is_err());
    assert_eq!(part.pending(), Some(pending(1)), "it is known, if only in memory");

    disk.fail(None);
    advance(REST).await;
    part.set_pending(None).await.unwrap();
    part.close().await.unwrap();
    assert_eq!((spool.stats().bytes, size(dir.path())), (0, 0));
    assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_card_may_be_pulled_and_put_back() {
    let (dir, away) = (tempdir().unwrap(), tempdir().unwrap());
    let (card, pocket) = (dir.path().join("card"), away.path().join("card"));
    let (spool, _) = open(&card).await;
    let part = spool.session(session("a"));
    store(&part, 0, 1).await.unwrap();
    std::fs::rename(&card, &pocket).unwrap();
    assert!(matches!(store(&part, 1, 1).await, Err(SpoolError::Io { .. })));
    assert!(!card.exists(), "it is not made on the disk below");

    std::fs::rename(&pocket, &card).unwrap();
    advance(REST).await;
    store(&part, 1, 1).await.unwrap();
    assert_eq!(numbers(&part), [0, 1]);

    let folder = std::fs::read_dir(&card).unwrap().next().unwrap().unwrap().path();
    std::fs::rename(&card, &pocket).unwrap();
    assert!(matches!(part.read(0).await, Err(SpoolError::Io { .. })));
    part.remove(1);
    settle(&part).await;
    std::fs::rename(&pocket, &card).unwrap();
    assert_eq!(part.read(0).await.unwrap().concat(), group(0, 1).concat());
    advance(REST).await;
    part.set_pending(Some(pending(0))).await.unwrap();
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2, "what was not wanted is gone");

    std::fs::remove_dir_all(folder).unwrap();
    assert!(matches!(part.read(0).await, Err(SpoolError::Missing(0))));
    assert!(numbers(&part).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_hangs_keeps_nobody_waiting() {
    let dir = tempdir().unwrap();
    let disk = TestDisk::default();
    let spool = open_on(&disk, dir.path(), LIMIT).await;
    let part = spool.session(session("a"));
    store(&part, 0, 1).await.unwrap();
    disk.hang(true);

    let mut writer = part.begin(segment(1));
    let chunk = Bytes::from(vec![0; 1 << 20]);
    for _ in 0..1000 {
        writer.append(vec![chunk.clone()], second());
    }
    assert_eq!(numbers(&part), [0]);
    let request = tokio::spawn({
        let part = part.clone();
        async move { store(&part, 2, 1).await }
    });
    tokio::task::yield_now().await;
    advance(31 * second()).await;
    assert!(matches!(request.await.unwrap(), Err(SpoolError::Stalled)));
    drop(chunk.try_into_mut().expect_err("some wait for the disk"));

    // From here on nobody waits for the result.
    let begun = Instant::now();
    assert!(!spool.stats().healthy);
    assert!(matches!(part.set_pending(Some(pending(0))).await, Err(SpoolError::Stalled)));
    assert_eq!(part.pending(), Some(pending(0)), "it is known, if only in memory");
    assert!(matches!(part.read(0).await, Err(SpoolError::Stalled)));
    assert!(matches!(store(&part, 3, 1).await, Err(SpoolError::Stalled)));
    part.remove(7);
    part.remove(0);
    assert!(numbers(&part).is_empty() && begun.elapsed() < second());

    disk.hang(false);
    writer.finish();
    while !spool.stats().healthy {
        tokio::task::yield_now().await;
    }
    store(&part, 3, 1).await.unwrap();
    assert_eq!(numbers(&part), [2, 3], "a segment with a hole is not complete");
}

#[tokio::test]
async fn what_is_being_written_is_not_forgotten_and_its_number_not_given_again() {
    let dir = tempdir().unwrap();
    let disk = TestDisk::default();
    let shelf = open_on(&disk, dir.path(), LIMIT).await.session(session("a"));
    assert!(shelf.is_empty() && shelf.next_number() == 0);
    disk.hang(true);
    let mut writer = shelf.begin(segment(4));
    writer.append(group(4, 1), second());
    writer.finish();
    let seen = (shelf.is_empty(), shelf.next_number());
    disk.hang(false);
    assert_eq!(seen, (false, 5));
    settle(&shelf).await;
    store(&shelf, 6, 1).await.unwrap();
    for number in [4, 6] {
        assert!(!shelf.is_empty());
        shelf.remove(number);
    }
    settle(&shelf).await;
    assert!(shelf.is_empty() && shelf.next_number() == 7);
}

#[tokio::test(start_paused = true)]
async fn a_read_that_hangs_holds_one_thread_however_often_it_is_tried() {
    let dir = tempdir().unwrap();
    let worker =
        DiskThread::new(Store::open(dir.path().into(), LIMIT, Box::new(SystemDisk)).unwrap());
    let (release, hung) = std::sync::mpsc::channel::<()>();
    let (reader, begun) = (Arc::clone(&worker), Arc::new(Mutex::new(0)));
    let counted = Arc::clone(&begun);
    let first = tokio::spawn(async move {
        let hang = move || {
            *counted.lock().unwrap() += 1;
            hung.recv().ok()
        };
        reader.read(hang).await
    });
    while *begun.lock().unwrap() == 0 {
        tokio::task::yield_now().await;
    }
    advance(31 * second()).await;
    assert!(matches!(first.await.unwrap(), Err(SpoolError::Stalled)));
    for _ in 0..100 {
        let counted = Arc::clone(&begun);
        let again = worker.read(move || *counted.lock().unwrap() += 1).await;
        assert!(matches!(again, Err(SpoolError::Stalled)));
    }
    assert_eq!(*begun.lock().unwrap(), 1);
    drop(release);
    while worker.stalled() {
        tokio::task::yield_now().await;
    }
    assert_eq!(worker.read(|| 5).await.unwrap(), 5);
}

#[tokio::test]
async fn what_is_on_its_way_to_the_disk_can_be_relied_on_and_counts_when_it_fails() {
    let dir = tempdir().unwrap();
    let disk = TestDisk::default();
    let spool = open_on(&disk, dir.path(), LIMIT).await;
    let part = spool.session(session("a"));
    let write = |number, fails| {
        disk.hang(true);
        disk.fail(fails);
        let mut writer = part.begin(segment(number));
        assert!(part.holding(number) == Holding::Nothing);
        writer.append(group(1, 1), second());
        assert!(writer.finish(), "it is on its way");
        assert!(part.news().is_empty(), "nothing is known yet");
    };
    let whole =
        |number| Holding::Whole(Stored { head: segment(number), duration: second(), bytes: 188 });
    write(0, None);
    assert!(part.stored().is_empty());
    disk.hang(false);
    settle(&part).await;
    assert_eq!((numbers(&part), part.news()), (vec![0], vec![News::Written(0, whole(0))]));

    write(1, None);
    part.remove(1);
    disk.hang(false);
    settle(&part).await;
    assert_eq!(numbers(&part), [0], "it was not wanted");
    assert!(!part.news().iter().any(|news| matches!(news, News::Evicted(..))));

    write(2, Some(ErrorKind::ReadOnlyFilesystem));
    disk.hang(false);
    settle(&part).await;
    assert_eq!(part.news(), [News::Written(2, Holding::Nothing)]);
    assert_eq!(part.holding(2), Holding::Nothing);
}

#[tokio::test]
async fn a_damaged_segment_is_cut_when_it_is_read() {
    let dir = tempdir().unwrap();
    let (spool, _) = open(dir.path()).await;
    let part = spool.session(session("a"));
    let mut writer = part.begin(segment(0));
    writer.append(group(1, 1), second());
    writer.append(group(2, 1), second());
    writer.finish();
    settle(&part).await;
    let folder = std::fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
    let path = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 40;
    bytes[last] ^= 1;
    std::fs::write(&path, bytes).unwrap();

    assert!(matches!(part.read(0).await, Err(SpoolError::Damaged(0))));
    assert_eq!(part.stored()[0].duration, second());
    assert_eq!(part.read(0).await.unwrap().concat(), group(1, 1).concat());
}

#[tokio::test]
async fn an_idle_spool_writes_nothing() {
    let dir = tempdir().unwrap();
    let disk = TestDisk::default();
    let spool = open_on(&disk, dir.path(), LIMIT).await;
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    let opened = disk.journal().len();
    let part = spool.session(session("a"));
    part.set_pending(None).await.unwrap();
    assert!(!part.begin(segment(0)).finish());
    part.remove(5);
    assert!(matches!(part.read(5).await, Err(SpoolError::Missing(5))));
    assert_eq!(disk.journal().len(), opened);
    part.set_pending(Some(pending(1))).await.unwrap();
    let before = disk.journal().len();
    part.set_pending(Some(pending(1))).await.unwrap();
    assert_eq!(disk.journal().len(), before);
}

#[test]
fn addresses_are_not_printed() {
    let text = format!("{:?} {:?}", session("a"), pending(1));
    assert!(text.contains("1.ts") && !text.contains("sign") && !text.contains("http"), "{text}");
}
