use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::fake::{Answer, Call, Fake};
use super::rig::Session;
use super::*;
use crate::build_date::BUILT;
use crate::config::Backfill;
use crate::record::budget::Budget;
use crate::record::clock::Anchor;
use crate::record::stock::StockOptions;
use crate::record::{Segment, Start};

const LENGTH: Duration = Duration::from_secs(10);
/// When the first frame was taken, a multiple of a million seconds since 1970.
const ORIGIN: u64 = 1_900_000_000;

fn never_set() -> SystemTime {
    SystemTime::UNIX_EPOCH
}

fn options(max_segments: usize) -> StockOptions {
    StockOptions {
        name: "channel 1".into(),
        recorder: None,
        max_segments,
        prerecord: Duration::ZERO,
        backfill: Backfill::Beside,
        spool: None,
        share: None,
        anchor: Anchor::new(Some(ORIGIN), Instant::now(), never_set),
        stats: watch::Sender::default(),
    }
}

fn session(max_segments: usize) -> Session {
    Session::new(options(max_segments))
}

/// A segment of ten seconds in a hundred chunks. No two segments have the same bytes.
fn segment(number: u64) -> Segment {
    let chunks: Arc<[Bytes]> =
        (0..100u8).map(|i| Bytes::from(vec![i ^ number as u8; 188])).collect();
    Segment {
        number,
        start: Start::Media(LENGTH * number as u32),
        duration: LENGTH,
        discontinuity: number == 0,
        bytes: 18_800,
        chunks,
    }
}

fn content(number: u64) -> Vec<u8> {
    segment(number).chunks.concat()
}

/// Starts uploads beside the test. The task returns true, since there is no spool that could hold
/// anything.
fn start(session: &Session, fake: &Fake) -> JoinHandle<bool> {
    session.upload(fake.clone(), UploadOptions::default(), 7, std::future::ready(()))
}

/// Records this many segments at the speed of the camera.
async fn record(session: &Session, numbers: std::ops::Range<u64>) {
    for number in numbers {
        sleep(LENGTH).await;
        session.push(segment(number));
    }
}

/// The numbers of the segments that the service has, after comparing their bytes.
fn recorded(fake: &Fake) -> Vec<u64> {
    let number = |(announced, bytes): (Announcement, Vec<u8>)| {
        let number = (announced.start as u64 / 1_000_000 - ORIGIN) / 10;
        assert_eq!(bytes, content(number), "segment {number}");
        number
    };
    fake.recorded().into_iter().map(number).collect()
}

fn discontinued(fake: &Fake) -> Vec<bool> {
    fake.recorded().iter().map(|(announced, _)| announced.discontinue).collect()
}

fn good() -> Fake {
    Fake::new(|_| Answer::Good)
}

/// Answers the first requests for which `which` holds with these faults.
fn failing(times: usize, fault: HttpError, which: fn(&Call) -> bool) -> Fake {
    let left = AtomicUsize::new(times);
    Fake::new(move |call| {
        let fails = which(call)
            && left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
                .is_ok();
        if fails { Answer::Bad(fault.clone()) } else { Answer::Good }
    })
}

fn is_create(call: &Call) -> bool {
    matches!(call, Call::Create(_))
}

fn is_put(call: &Call) -> bool {
    matches!(call, Call::Put { .. })
}

fn transport() -> HttpError {
    HttpError::Transport("cut".into())
}

fn busy() -> HttpError {
    HttpError::Busy("503".into())
}

fn expired() -> HttpError {
    HttpError::Expired("403".into())
}

fn refused() -> HttpError {
    HttpError::Refused("400".into())
}

/// The requests of a session of two segments.
async fn two(fake: &Fake) -> Vec<String> {
    let session = session(4);
    let upload = start(&session, fake);
    record(&session, 0..2).await;
    session.close();
    upload.await.unwrap();
    fake.words()
}

#[tokio::test(start_paused = true)]
async fn each_upload_confirms_the_one_before_and_the_end_saves_the_last() {
    let fake = good();
    assert_eq!(
        two(&fake).await,
        ["create 1900000000", "put n0", "create 1900000010", "put n1", "save n1"]
    );
    assert_eq!(recorded(&fake), [0, 1]);
    assert_eq!(discontinued(&fake), [true, false], "as recorded");
    let Call::Create(second) = &fake.calls()[2] else { panic!("a create") };
    assert_eq!(
        *second,
        Announcement {
            size: 18_800,
            start: (ORIGIN as i64 + 10) * 1_000_000,
            duration: LENGTH,
            last_file_name: Some("n0".into()),
            discontinue: false,
        }
    );
}

#[tokio::test(start_paused = true)]
async fn a_peer_without_time_is_asked_again_until_it_has() {
    for fault in [transport(), busy()] {
        let fake = failing(3, fault.clone(), is_create);
        assert_eq!(
            two(&fake).await,
            [&["create 1900000000"; 4][..], &["put n0", "create 1900000010", "put n1", "save n1"]]
                .concat()
        );
        assert_eq!(recorded(&fake), [0, 1]);

        let fake = failing(3, fault, is_put);
        let first = ["create 1900000000", "put n0", "put n0 again", "fail n0"];
        let second = ["create 1900000000", "put n1", "put n1 again"];
        assert_eq!(
            two(&fake).await,
            [&first[..], &second, &["create 1900000010", "put n2", "save n2"]].concat()
        );
        assert_eq!(recorded(&fake), [0, 1]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_that_is_no_good_is_replaced_once() {
    for fault in [expired(), refused()] {
        let fake = failing(1, fault.clone(), is_put);
        assert_eq!(
            two(&fake).await,
            [
                "create 1900000000",
                "put n0",
                "fail n0",
                "create 1900000000",
                "put n1",
                "create 1900000010",
                "put n2",
                "save n2"
            ]
        );
        assert_eq!(recorded(&fake), [0, 1]);

        let fake = failing(2, fault, is_put);
        let lost =
            ["create 1900000000", "put n0", "fail n0", "create 1900000000", "put n1", "fail n1"];
        let kept = ["create 1900000010", "put n2", "stat 1 10", "save n2"];
        assert_eq!(two(&fake).await, [&lost[..], &kept].concat());
        assert_eq!(recorded(&fake), [1]);
        assert_eq!(discontinued(&fake), [true], "the one before it is not there");
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_refuses_a_segment_is_asked_twice() {
    for fault in [expired(), refused()] {
        let fake = failing(1, fault.clone(), is_create);
        let calls = two(&fake).await;
        assert_eq!(
            calls,
            [
                "create 1900000000",
                "create 1900000000",
                "put n0",
                "create 1900000010",
                "put n1",
                "save n1"
            ]
        );
        assert_eq!(recorded(&fake), [0, 1]);

        let fake = failing(2, fault, is_create);
        let calls = two(&fake).await;
        assert_eq!(
            calls,
            [
                "create 1900000000",
                "create 1900000000",
                "create 1900000010",
                "put n0",
                "stat 1 10",
                "save n0"
            ]
        );
        assert_eq!(recorded(&fake), [1]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_hole_is_marked() {
    let fake = failing(2, refused(), |call| match call {
        Call::Create(a) => a.start == (ORIGIN as i64 + 10) * 1_000_000,
        _ => false,
    });
    let session = session(4);
    let upload = start(&session, &fake);
    record(&session, 0..4).await;
    session.close();
    upload.await.unwrap();
    assert_eq!(recorded(&fake), [0, 2, 3]);
    assert_eq!(discontinued(&fake), [true, true, false]);
    let stats = session.stats();
    assert_eq!((stats.uploaded, stats.dropped.number, stats.dropped.time), (3, 1, LENGTH));
    assert_eq!((stats.waiting, stats.bytes, stats.last_error), (0, 0, None));
}

/// A service that is away from the start until `end`.
fn outage(end: Duration) -> Fake {
    let end = Instant::now() + end;
    Fake::new(move |_| if Instant::now() < end { Answer::Bad(transport()) } else { Answer::Good })
}

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_or_doubled_while_the_backlog_fits_and_it_drains_in_time() {
    for capacity in [3, 6, 20] {
        // One segment less than the capacity is complete when the outage ends.
        let length = LENGTH * (capacity as u32 - 1) + Duration::from_secs(1);
        let fake = outage(length);
        let back = Instant::now() + length;
        let session = session(capacity);
        let upload = start(&session, &fake);
        let count = 5 * capacity as u64;
        record(&session, 0..count).await;
        session.close();
        upload.await.unwrap();
        assert_eq!(recorded(&fake), (0..count).collect::<Vec<_>>());
        assert_eq!(session.stats().dropped.number, 0);

        let ends = fake.times(is_create).into_iter().filter(|at| *at >= back);
        let begun: Vec<Instant> = ends.collect();
        let drained = capacity - 1;
        let media = LENGTH * drained as u32;
        let took = begun[drained] - begun[0];
        let speed = media.as_secs_f64() / took.as_secs_f64();
        assert!(speed >= 1.8, "capacity {capacity}: {speed}");
        assert!(begun[0] - back <= LENGTH / 2 + fake::LATENCY, "noticed soon");
    }
}

#[tokio::test(start_paused = true)]
async fn the_oldest_go_when_the_outage_is_longer_and_the_service_hears_of_it() {
    let fake = outage(LENGTH * 10 + Duration::from_secs(1));
    let session = session(4);
    let upload = start(&session, &fake);
    record(&session, 0..14).await;
    session.close();
    upload.await.unwrap();
    let kept = recorded(&fake);
    let lost = 14 - kept.len() as u64;
    assert!((6..=7).contains(&lost), "{kept:?}");
    assert_eq!(kept, (lost..14).collect::<Vec<_>>(), "the newest, in order");
    let told: Vec<_> = fake.calls().into_iter().filter(|c| matches!(c, Call::Stat(..))).collect();
    assert_eq!(told, [Call::Stat(lost, LENGTH * lost as u32)], "once");
    assert_eq!(session.stats().dropped.number, lost);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_takes_no_statistics_is_not_asked_again() {
    let end = Instant::now() + LENGTH * 5 + Duration::from_secs(1);
    let fake = Fake::new(move |call| match call {
        Call::Stat(..) => Answer::Bad(refused()),
        _ if Instant::now() < end => Answer::Bad(busy()),
        _ => Answer::Good,
    });
    let session = session(2);
    let upload = start(&session, &fake);
    record(&session, 0..8).await;
    session.close();
    upload.await.unwrap();
    let told = fake.times(|call| matches!(call, Call::Stat(..)));
    assert_eq!(told.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_recorded_before_is_delivered_without_a_gap() {
    let wanted = Instant::now() + LENGTH * 8 + Duration::from_secs(5);
    let fake = Fake::new(move |call| match call {
        Call::Create(_) if Instant::now() < wanted => Answer::NotNow,
        _ => Answer::Good,
    });
    let session = Session::new(StockOptions { prerecord: Duration::from_secs(25), ..options(10) });
    let upload = start(&session, &fake);
    record(&session, 0..8).await;
    sleep(Duration::from_secs(4)).await;
    assert_eq!(fake.calls().len(), 8, "asked once for each segment: {:?}", fake.words());
    assert!(session.stats().not_now);
    assert_eq!(session.stats().waiting, 3, "enough for 25 s");
    record(&session, 8..12).await;
    session.close();
    upload.await.unwrap();
    let kept = recorded(&fake);
    assert_eq!(kept, (6..12).collect::<Vec<_>>(), "30 s were complete when it began");
    assert!(discontinued(&fake)[0], "what was before it is not there");
    assert!(discontinued(&fake)[1..].iter().all(|discontinued| !discontinued));
    let stats = session.stats();
    assert_eq!((stats.dropped.number, stats.not_now), (0, false), "nothing of it is a loss");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_nobody_wanted_ends_without_a_loss() {
    let fake = Fake::new(|_| Answer::NotNow);
    let calls = two(&fake).await;
    assert_eq!(calls, ["create 1900000000", "create 1900000010"]);
}

#[tokio::test(start_paused = true)]
async fn a_later_not_now_keeps_what_was_ordered() {
    for (prerecord, from) in [(0, 4), (25, 2)] {
        let asked = AtomicUsize::new(0);
        let fake = Fake::new(move |call| match call {
            Call::Create(_) if (1..4).contains(&asked.fetch_add(1, Ordering::Relaxed)) => {
                Answer::NotNow
            }
            _ => Answer::Good,
        });
        let prerecord = Duration::from_secs(prerecord);
        let session = Session::new(StockOptions { prerecord, ..options(6) });
        let upload = start(&session, &fake);
        record(&session, 0..8).await;
        session.close();
        upload.await.unwrap();
        let kept: Vec<u64> = std::iter::once(0).chain(from..8).collect();
        assert_eq!(recorded(&fake), kept, "{prerecord:?}");
        assert_eq!(session.stats().dropped.number, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_single_upload_starts_at_random_and_takes_its_share() {
    let fake = good();
    let session = session(4);
    let upload = start(&session, &fake);
    let origin = Instant::now();
    record(&session, 0..40).await;
    session.close();
    upload.await.unwrap();
    let creates = fake.times(is_create);
    let delays: Vec<f64> = creates
        .iter()
        .enumerate()
        .map(|(i, at)| (*at - origin - LENGTH * (i as u32 + 1)).as_secs_f64())
        .collect();
    assert!(delays.iter().all(|delay| *delay <= 2.3), "{delays:?}");
    assert!(delays.iter().any(|delay| *delay > 1.5), "{delays:?}");
    assert!(delays.iter().any(|delay| *delay < 0.5), "{delays:?}");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_keeps_failing_is_given_up_after_the_end() {
    let fake = outage(LENGTH * 1000);
    let session = session(4);
    let upload = start(&session, &fake);
    record(&session, 0..3).await;
    sleep(LENGTH * 100).await;
    assert!(!upload.is_finished(), "while it records, nothing is given up");
    assert!(session.stats().last_error.is_some());
    session.close();
    let closed = Instant::now();
    upload.await.unwrap();
    let patience = closed.elapsed().as_secs();
    assert!((600..620).contains(&patience), "{patience} s");
    let stats = session.stats();
    assert_eq!((stats.dropped.number, stats.waiting), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_last_segment_that_is_not_confirmed_is_asked_for_until_it_is() {
    let fake = failing(3, busy(), |call| matches!(call, Call::Save(_)));
    let calls = two(&fake).await;
    assert_eq!(calls[4..], ["save n1"; 4]);
    assert_eq!(recorded(&fake), [0, 1]);

    let fake = failing(1, expired(), |call| matches!(call, Call::Save(_)));
    assert_eq!(two(&fake).await[4..], ["save n1"], "it will not change its mind");
}

#[tokio::test(start_paused = true)]
async fn segments_wait_for_a_date() {
    let fake = good();
    let anchor = Anchor::new(None, Instant::now(), never_set);
    let session = Session::new(StockOptions { anchor, ..options(10) });
    let upload = start(&session, &fake);
    record(&session, 0..6).await;
    let asked = fake.times(|call| *call == Call::Time);
    assert!(asked.windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_secs(30)));
    assert_eq!(fake.words(), ["time"; 2]);
    fake.set_time((BUILT + 1_000_000) as f64);
    record(&session, 6..9).await;
    session.close();
    upload.await.unwrap();
    let starts: Vec<i64> = fake.recorded().iter().map(|(a, _)| a.start).collect();
    assert_eq!(starts.len(), 9);
    assert!(starts.windows(2).all(|pair| pair[1] - pair[0] == 10_000_000), "{starts:?}");
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_ends_confirms_what_is_uploaded() {
    let fake = good();
    let session = session(4);
    let upload = start(&session, &fake);
    record(&session, 0..2).await;
    sleep(LENGTH / 2).await;
    session.cut(upload).await;
    session.leave(&fake).await;
    assert_eq!(recorded(&fake), [0]);
}

#[tokio::test(start_paused = true)]
async fn what_drains_makes_room_for_a_new_session_oldest_first() {
    let size = segment(0).bytes;
    // Each share has half a megabyte of buffers beside the segments.
    let budget = Budget::new((1 << 20) + 10 * size);
    let share = Some(Arc::new(budget.share((1 << 19) + 10 * size, None).unwrap()));
    let fake = failing(5, HttpError::Busy("503".into()), is_create);
    let session = Session::new(StockOptions { share, ..options(10) });
    let (ready, before) = tokio::sync::oneshot::channel::<()>();
    let before = async { before.await.unwrap() };
    let upload = session.upload(fake.clone(), UploadOptions::default(), 7, before);
    (0..8).for_each(|number| session.push(segment(number)));
    session.close();
    sleep(LENGTH).await;
    let new = budget.share((1 << 19) + 5 * size, None).unwrap();
    ready.send(()).unwrap();
    upload.await.unwrap();
    assert_eq!(recorded(&fake), [3, 4, 5, 6, 7]);
    assert!(fake.words().contains(&"stat 3 30".into()), "{:?}", fake.words());
    drop(session);
    assert_eq!(new.allowed(), (1 << 19) + 5 * size);
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_at_the_end_is_told_to_the_service() {
    let fake = good();
    let session = session(4);
    (0..3).for_each(|number| session.push(segment(number)));
    session.leave(&fake).await;
    assert_eq!(fake.words(), ["stat 3 30"]);

    // The service gives no addresses any more, but it answers.
    let fake = Fake::new(|call| match call {
        Call::Create(_) => Answer::Bad(HttpError::Busy("503".into())),
        _ => Answer::Good,
    });
    let session = self::session(4);
    (0..2).for_each(|number| session.push(segment(number)));
    session.close();
    start(&session, &fake).await.unwrap();
    assert_eq!(fake.words().last().unwrap(), "stat 2 20");
    let told = fake.words().iter().filter(|word| word.starts_with("stat")).count();
    assert_eq!(told, 1);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_a_black_hole_does_not_keep_the_agent_from_ending() {
    let fake = Fake::new(|call| match call {
        Call::Save(_) => Answer::Never,
        _ => Answer::Good,
    });
    let session = session(4);
    let upload = start(&session, &fake);
    record(&session, 0..1).await;
    sleep(LENGTH).await;
    session.cut(upload).await;
    let begun = Instant::now();
    session.leave(&fake).await;
    assert_eq!(begun.elapsed(), Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_goes_on_begins_with_a_discontinuity() {
    let fake = good();
    let session = session(4);
    let upload = start(&session, &fake);
    record(&session, 7..9).await;
    session.close();
    upload.await.unwrap();
    assert_eq!((recorded(&fake), discontinued(&fake)), (vec![7, 8], vec![true, false]));
}

#[tokio::test(start_paused = true)]
async fn after_a_loss_the_one_before_is_confirmed_with_a_single_try() {
    let second = |call: &Call| match call {
        Call::Create(a) => a.start == (ORIGIN as i64 + 10) * 1_000_000,
        _ => false,
    };
    for fault in [transport(), busy(), refused()] {
        let (save, down) = (fault.clone(), AtomicUsize::new(1));
        let fake = Fake::new(move |call| match call {
            call if second(call) => Answer::Bad(refused()),
            Call::Save(_) if down.swap(0, Ordering::Relaxed) == 1 => Answer::Bad(save.clone()),
            _ => Answer::Good,
        });
        let session = session(4);
        let upload = start(&session, &fake);
        record(&session, 0..3).await;
        session.close();
        upload.await.unwrap();
        let begin = ["create 1900000000", "put n0", "create 1900000010", "create 1900000010"];
        let end = ["save n0", "create 1900000020", "put n1"];
        assert_eq!(fake.words()[..7], [&begin[..], &end].concat(), "{fault:?}");
        let Call::Create(third) = &fake.calls()[5] else { panic!("a create") };
        let kept = (fault != refused()).then(|| "n0".to_owned());
        assert_eq!(third.last_file_name, kept, "it is named again unless it was refused");
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_refuses_everything_is_asked_less_and_less() {
    let fake = Fake::new(|_| Answer::Bad(refused()));
    let session = session(100);
    let upload = start(&session, &fake);
    record(&session, 0..100).await;
    let creates = fake.times(is_create);
    assert!((10..60).contains(&creates.len()), "{} in 1000 s", creates.len());
    let pauses: Vec<Duration> = creates.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let longest = pauses.iter().max().unwrap();
    assert!(*longest > Duration::from_secs(30) && *longest < Duration::from_secs(121));
    upload.abort();
}

#[tokio::test(start_paused = true)]
async fn the_segment_being_uploaded_is_not_pushed_out() {
    let fake = good();
    let session = session(2);
    session.push(segment(0));
    let upload = start(&session, &fake);
    sleep(LENGTH / 2).await;
    (1..5).for_each(|number| session.push(segment(number)));
    session.close();
    upload.await.unwrap();
    assert_eq!(recorded(&fake), [0, 4]);
    assert_eq!(discontinued(&fake), [true, true]);
}
