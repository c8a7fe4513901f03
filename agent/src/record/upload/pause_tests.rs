//! What a service says in the middle of a recording, and how fast small segments leave.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::SystemTime;

use tokio::sync::watch;
use tokio::time::sleep;

use super::fake::{Answer, Call, Fake, LATENCY};
use super::rig::{self, Card, Session, finished, numbers, recorded, until};
use super::*;
use crate::config::{Backfill, SpoolMode};
use crate::record::clock::Anchor;
use crate::record::spool::SegmentHead;
use crate::record::stock::StockOptions;
use crate::record::{Segment, Start};

const LENGTH: Duration = Duration::from_secs(10);

fn options(max_segments: usize, prerecord: Duration) -> StockOptions {
    StockOptions {
        name: "channel 1".into(),
        recorder: None,
        max_segments,
        prerecord,
        backfill: Backfill::Beside,
        spool: None,
        share: None,
        anchor: Anchor::new(Some(rig::ORIGIN), Instant::now(), || SystemTime::UNIX_EPOCH),
        stats: watch::Sender::default(),
    }
}

/// Ten seconds of a sub-stream in one chunk.
fn small(number: u64, bytes: usize) -> Segment {
    let chunks: Arc<[Bytes]> = [Bytes::from(vec![number as u8; bytes])].into();
    let start = Start::Media(LENGTH * number as u32);
    let (duration, discontinuity, bytes) = (LENGTH, number == 0, bytes as u64);
    Segment { number, start, duration, discontinuity, bytes, chunks }
}

/// The numbers of the segments that the service has.
fn kept(fake: &Fake) -> Vec<u64> {
    let number = |announced: &Announcement| {
        (announced.start as u64 / 1_000_000 - rig::ORIGIN) / LENGTH.as_secs()
    };
    fake.recorded().iter().map(|(announced, _)| number(announced)).collect()
}

fn upload(session: &Session, fake: &Fake) -> tokio::task::JoinHandle<bool> {
    session.upload(fake.clone(), UploadOptions::default(), 7, std::future::ready(()))
}

#[tokio::test(start_paused = true)]
async fn after_a_pause_of_eight_hours_only_the_newest_and_the_current_ones_are_sent() {
    let pause = Instant::now() + LENGTH * 5 - Duration::from_secs(5);
    let back = pause + Duration::from_secs(8 * 3600);
    let fake = Fake::new(move |call| match call {
        Call::Create(_) if (pause..back).contains(&Instant::now()) => Answer::NotNow,
        _ => Answer::Good,
    });
    let session = Session::new(options(6, Duration::from_secs(25)));
    let uploads = upload(&session, &fake);
    for number in 0..2900 {
        sleep(LENGTH).await;
        session.push(small(number, 9_000));
    }
    session.close();
    uploads.await.unwrap();
    let kept = kept(&fake);
    assert_eq!(kept[..4], [0, 1, 2, 3]);
    let after = kept[4];
    assert_eq!(kept[4..], (after..2900).collect::<Vec<_>>());
    let past = (LENGTH * (after as u32 + 1)).saturating_sub(Duration::from_secs(8 * 3600 + 45));
    assert!(past <= Duration::ZERO, "{after} is from before what was ordered");
    assert!(fake.calls().iter().all(|call| !matches!(call, Call::Stat(..))), "nothing is a loss");
    let stats = session.stats();
    assert_eq!((stats.dropped.number, stats.uploaded), (0, kept.len() as u64));
    let named = fake.calls().into_iter().filter_map(|call| match call {
        Call::Create(announced) => announced.last_file_name,
        _ => None,
    });
    let mut named: Vec<_> = named.collect();
    let all = named.len();
    named.dedup();
    assert_eq!(named.len(), all, "each name is told once");
    let marks = fake.recorded().into_iter().map(|(announced, _)| announced.discontinue);
    let marked: Vec<_> = marks.enumerate().filter(|(_, mark)| *mark).map(|(i, _)| i).collect();
    assert_eq!(marked, [0, 4]);
}

#[tokio::test(start_paused = true)]
async fn what_a_not_now_confirmed_is_saved_once_more_at_the_end() {
    let asked = AtomicU32::new(0);
    let fake = Fake::new(move |call| match call {
        Call::Create(_) if asked.fetch_add(1, Ordering::Relaxed) >= 2 => Answer::NotNow,
        _ => Answer::Good,
    });
    let session = Session::new(options(6, Duration::ZERO));
    let uploads = upload(&session, &fake);
    for number in 0..5 {
        sleep(LENGTH).await;
        session.push(small(number, 9_000));
    }
    session.close();
    uploads.await.unwrap();
    let words = fake.words();
    assert_eq!(words.last().unwrap(), "save n1", "{words:?}");
    assert_eq!(words.iter().filter(|word| word.starts_with("save")).count(), 1, "{words:?}");
    assert_eq!(kept(&fake), [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn segments_of_one_chunk_have_the_pace_of_their_duration() {
    for bytes in [4_000, 48 << 10] {
        let up = Arc::new(AtomicBool::new(false));
        let fake = rig::switched(&up);
        let session = Session::new(options(40, Duration::ZERO));
        let uploads = upload(&session, &fake);
        for number in 0..30 {
            sleep(LENGTH).await;
            session.push(small(number, bytes));
        }
        up.store(true, Ordering::Relaxed);
        session.close();
        uploads.await.unwrap();
        let puts = fake.times(|call| matches!(call, Call::Put { .. }));
        assert_eq!(puts.len(), 30);
        for pair in puts.windows(2) {
            let apart = pair[1] - pair[0];
            let due = LENGTH / 2;
            assert!(apart + LATENCY >= due && apart <= due + 5 * LATENCY, "{bytes}: {apart:?}");
        }
    }
}

#[tokio::test]
async fn a_service_that_cannot_take_a_name_back_holds_up_no_left_session() {
    let card = Card::new().await;
    card.store(4..6).await;
    card.pend(4, "old").await;
    let fake = Fake::new(|call| match call {
        Call::Put { name, .. } if name == "old" => Answer::Bad(HttpError::Expired("403".into())),
        Call::Fail(name) if name == "old" => Answer::Bad(HttpError::Busy("500".into())),
        _ => Answer::Good,
    });
    let session = card.leftover();
    let options = UploadOptions {
        patience: Duration::from_millis(1),
        card: None,
        ..UploadOptions::default()
    };
    let uploads = session.upload(fake.clone(), options, 7, std::future::ready(()));
    assert!(finished(uploads).await, "{:?}", fake.words());
    assert_eq!(numbers(&fake), [4, 5]);
}

#[tokio::test]
async fn the_losses_of_a_left_run_that_is_given_up_are_told_by_the_next() {
    let card = Card::new().await;
    card.store(0..4).await;
    let options =
        UploadOptions { patience: Duration::from_secs(3), card: None, ..UploadOptions::default() };
    let fake = Fake::new(|call| match call {
        Call::Create(a) if a.start == rig::date(0) => Answer::Good,
        Call::Create(a) if a.start == rig::date(1) => Answer::Bad(HttpError::Refused("400".into())),
        Call::Put { name, .. } if name == "n0" => Answer::Good,
        _ => Answer::Bad(HttpError::Transport("cut".into())),
    });
    let uploads = card.leftover().upload(fake.clone(), options, 7, std::future::ready(()));
    assert!(!finished(uploads).await, "the rest is left");
    let fake = fake.again(|_| Answer::Good);
    assert!(finished(rig::start(&card.leftover(), &fake)).await);
    let told: Vec<_> = fake.words().into_iter().filter(|word| word.starts_with("stat")).collect();
    assert_eq!(told, ["stat 1 0.06"]);
    assert_eq!(recorded(&fake), [(0, true), (2, true), (3, false)]);
}

#[tokio::test]
async fn a_damaged_segment_is_told_and_marked() {
    let card = Card::new().await;
    card.store(0..6).await;
    let files = files(&card);
    let mut bytes = std::fs::read(&files[2]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&files[2], bytes).unwrap();
    std::fs::remove_file(&files[4]).unwrap();
    let fake = Fake::new(|_| Answer::Good);
    assert!(finished(rig::start(&card.leftover(), &fake)).await);
    assert_eq!(recorded(&fake), [(0, true), (1, false), (3, true), (5, true)]);
    let told = fake.calls().into_iter().filter_map(|call| match call {
        Call::Stat(number, time) => Some((number, time)),
        _ => None,
    });
    let told: Vec<_> = told.collect();
    assert_eq!(told.iter().map(|(number, _)| number).sum::<u64>(), 2, "{told:?}");
    assert_eq!(told.iter().map(|(_, time)| *time).sum::<Duration>(), 2 * rig::LENGTH);
}

#[tokio::test]
async fn a_card_that_gives_nothing_does_not_keep_the_end_waiting() {
    let card = Card::new().await;
    let up = Arc::new(AtomicBool::new(false));
    let fake = rig::switched(&up);
    let session = card.session(SpoolMode::Overflow);
    let options =
        UploadOptions { card: Some(Duration::from_millis(300)), ..UploadOptions::default() };
    let uploads = session.upload(fake.clone(), options, 7, std::future::ready(()));
    for number in 0..8 {
        session.push(rig::segment(number));
        until("what is too much is stored", || {
            session.has_all() && session.stats().bytes <= 2 * 1880
        })
        .await;
    }
    let root = card.dir.path().join("spool");
    std::fs::rename(&root, card.dir.path().join("elsewhere")).unwrap();
    let lost = card.numbers().len() as u64;
    up.store(true, Ordering::Relaxed);
    until("what memory has is sent", || session.stats().uploaded == 8 - lost).await;
    session.close();
    let closed = Instant::now();
    assert!(!finished(uploads).await, "the card is left to a later run");
    assert!(closed.elapsed() < Duration::from_secs(30), "{:?}", closed.elapsed());
    let words = fake.words();
    assert!(words.iter().any(|word| word.starts_with("save")), "{words:?}");
    assert!(words.contains(&format!("stat {lost} {}", 0.06 * lost as f64)), "{words:?}");
    assert_eq!(session.stats().dropped.number, lost);
}

#[tokio::test]
async fn a_file_that_lost_its_end_is_told_and_marked_after_a_restart() {
    let card = Card::new().await;
    for number in 0..4 {
        let (start_micros, discontinuity) = (rig::date(number), number == 0);
        let mut writer = card.spool.begin(SegmentHead { number, start_micros, discontinuity });
        let segment = rig::segment(number);
        let (first, last) = segment.chunks.split_at(5);
        writer.append(first.to_vec(), rig::LENGTH / 2);
        writer.append(last.to_vec(), rig::LENGTH / 2);
        assert!(writer.finish());
    }
    until("all are stored", || card.numbers().len() == 4).await;
    let file = std::fs::OpenOptions::new().write(true).open(&files(&card)[1]).unwrap();
    file.set_len(file.metadata().unwrap().len() - 100).unwrap();
    let card = card.reopened().await;
    let fake = Fake::new(|_| Answer::Good);
    assert!(finished(rig::start(&card.leftover(), &fake)).await);
    let marks: Vec<_> = fake.recorded().into_iter().map(|(a, _)| (a.size, a.discontinue)).collect();
    assert_eq!(marks, [(1880, true), (940, false), (1880, true), (1880, false)]);
    assert!(fake.words().contains(&"stat 1 0.03".into()), "{:?}", fake.words());
}

/// The files of the segments on the card, the oldest first.
fn files(card: &Card) -> Vec<std::path::PathBuf> {
    let folder = std::fs::read_dir(card.dir.path().join("spool")).unwrap().next().unwrap().unwrap();
    let entries = std::fs::read_dir(folder.path()).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|kind| kind == "seg"));
    files.sort();
    files
}
