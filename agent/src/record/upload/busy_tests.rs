//! A service or a store that is busy and says so, and one that sends us elsewhere.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::sleep;

use super::fake::{Answer, Call, Fake};
use super::rig::Session;
use super::*;
use crate::config::Backfill;
use crate::record::clock::Anchor;
use crate::record::stock::StockOptions;
use crate::record::{Segment, Start};

const LENGTH: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_secs(45);

fn options(max_segments: usize) -> StockOptions {
    StockOptions {
        backfill: Backfill::default(),
        name: "channel 1".into(),
        recorder: None,
        max_segments,
        prerecord: Duration::ZERO,
        spool: None,
        share: None,
        anchor: Anchor::new(Some(1_900_000_000), Instant::now(), SystemTime::now),
        stats: watch::Sender::default(),
    }
}

fn segment(number: u64) -> Segment {
    let chunks: Arc<[Bytes]> = [Bytes::from(vec![number as u8; 188])].into();
    let start = Start::Media(LENGTH * number as u32);
    let (duration, discontinuity, bytes) = (LENGTH, number == 0, 188);
    Segment { number, start, duration, discontinuity, bytes, chunks }
}

/// Uploads two segments, and returns the service's calls as words.
async fn two(fake: &Fake) -> Vec<String> {
    let session = Session::new(options(20));
    (0..2).for_each(|number| session.push(segment(number)));
    session.close();
    let options = UploadOptions::default();
    session.upload(fake.clone(), options, 7, std::future::ready(())).await.unwrap();
    assert_eq!(session.stats().dropped.number, 0, "{:?}", fake.words());
    assert_eq!(fake.recorded().len(), 2, "{:?}", fake.words());
    fake.words()
}

/// Answers the first `times` requests for which `which` holds with this error.
fn failing(times: usize, error: &HttpError, which: fn(&Call) -> bool) -> Fake {
    let (left, error) = (AtomicUsize::new(times), error.clone());
    Fake::new(move |call| {
        let one = |n: usize| n.checked_sub(1);
        let fails =
            which(call) && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one).is_ok();
        if fails { Answer::Bad(error.clone()) } else { Answer::Good }
    })
}

fn is_create(call: &Call) -> bool {
    matches!(call, Call::Create(_))
}

fn is_put(call: &Call) -> bool {
    matches!(call, Call::Put { .. })
}

fn is_save(call: &Call) -> bool {
    matches!(call, Call::Save(_))
}

fn is_fail(call: &Call) -> bool {
    matches!(call, Call::Fail(_))
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_asks_for_a_pause_has_it() {
    let later = HttpError::Later("503".into(), PAUSE);
    for which in [is_create, is_put, is_save] {
        let fake = failing(2, &later, which);
        two(&fake).await;
        let asked = fake.times(which);
        for pair in asked[..3].windows(2) {
            let apart = pair[1] - pair[0];
            assert!(apart >= PAUSE && apart < PAUSE + LENGTH * 2, "{apart:?}: {:?}", fake.words());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_busy_store_is_not_asked_again_at_once() {
    let later = HttpError::Later("429".into(), Duration::ZERO);
    let words = two(&failing(1, &later, is_put)).await;
    let begin = ["create 1900000000", "put n0", "fail n0", "create 1900000000", "put n1"];
    assert_eq!(words[..5], begin);
}

#[tokio::test(start_paused = true)]
async fn a_name_is_taken_back_until_the_service_hears_of_it() {
    let fail = |call: &Call| is_put(call) || is_fail(call);
    for times in [1, 3] {
        // Both tries of the first upload fail, and so often the message of that.
        let (puts, fails) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let fake = Fake::new(move |call| {
            let (count, most) = match call {
                Call::Put { .. } => (&puts, 2),
                Call::Fail(_) => (&fails, times),
                _ => return Answer::Good,
            };
            match count.fetch_add(1, Ordering::Relaxed) < most {
                true => Answer::Bad(HttpError::Busy("500".into())),
                false => Answer::Good,
            }
        });
        let words = two(&fake).await;
        let told = words.iter().filter(|word| *word == "fail n0").count();
        assert_eq!(told, times + 1, "{words:?}");
        let next = words.iter().rposition(|word| word == "create 1900000000").unwrap();
        let first = words.iter().position(|word| word == "fail n0").unwrap();
        assert!(next > first, "{words:?}");
    }
    // A service that hangs up on this call alone still has an address for the next segment.
    let away = HttpError::Transport("cut".into());
    let words = two(&failing(4, &away, fail)).await;
    let begin = ["create 1900000000", "put n0", "put n0 again", "fail n0", "fail n0"];
    assert_eq!(words[..5], begin);
    assert_eq!(words[5], "create 1900000000", "{words:?}");
    assert_eq!(words.iter().filter(|word| *word == "fail n0").count(), 3, "{words:?}");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_hangs_or_hangs_up_when_a_name_is_taken_back_loses_nothing() {
    for hang in [Duration::ZERO, Duration::from_secs(10)] {
        let puts = AtomicUsize::new(0);
        let fake = Fake::new(move |call| match call {
            Call::Put { .. } if puts.fetch_add(1, Ordering::Relaxed) < 2 => {
                Answer::Bad(HttpError::Busy("500".into()))
            }
            Call::Fail(_) => Answer::Late(hang, HttpError::Transport("cut".into())),
            _ => Answer::Good,
        });
        let session = Session::new(options(3));
        let uploads =
            session.upload(fake.clone(), UploadOptions::default(), 7, std::future::ready(()));
        for number in 0..60 {
            session.push(segment(number));
            sleep(LENGTH).await;
        }
        session.close();
        let closed = Instant::now();
        uploads.await.unwrap();
        assert_eq!(session.stats().dropped.number, 0, "{hang:?}: {:?}", fake.words());
        assert_eq!(fake.recorded().len(), 60, "{hang:?}");
        assert!(closed.elapsed() < Duration::from_secs(120), "{hang:?}: {:?}", closed.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_that_the_service_refuses_to_take_back_is_told_once() {
    let refuses = AtomicUsize::new(0);
    let fake = Fake::new(move |call| match call {
        Call::Put { .. } if refuses.fetch_add(1, Ordering::Relaxed) < 2 => {
            Answer::Bad(HttpError::Busy("500".into()))
        }
        Call::Fail(_) => Answer::Bad(HttpError::Refused("400".into())),
        _ => Answer::Good,
    });
    let words = two(&fake).await;
    assert_eq!(words.iter().filter(|word| *word == "fail n0").count(), 1, "{words:?}");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_takes_no_name_back_holds_nothing_up() {
    let refuses = AtomicUsize::new(0);
    let fake = Fake::new(move |call| match call {
        Call::Put { .. } if refuses.fetch_add(1, Ordering::Relaxed) < 2 => {
            Answer::Bad(HttpError::Busy("500".into()))
        }
        Call::Fail(_) => Answer::Bad(HttpError::Busy("500".into())),
        _ => Answer::Good,
    });
    let words = two(&fake).await;
    let told = words.iter().filter(|word| *word == "fail n0").count();
    assert!((3..=20).contains(&told), "{told}: {words:?}");
    let saved = words.iter().position(|word| word.starts_with("save")).unwrap();
    let before = words[..saved].iter().filter(|word| *word == "fail n0").count();
    assert!(before <= 4, "{words:?}");
}

#[tokio::test(start_paused = true)]
async fn a_move_ends_the_pause_of_the_old_service_and_loses_nothing() {
    // The old service takes one segment, and then asks to be left alone or is dead.
    for error in [
        HttpError::Later("503".into(), Duration::from_secs(600)),
        HttpError::Transport("cut".into()),
    ] {
        let asked = AtomicUsize::new(0);
        let old = Fake::new(move |call| match call {
            Call::Put { .. } => Answer::Good,
            Call::Create(_) if asked.fetch_add(1, Ordering::Relaxed) == 0 => Answer::Good,
            _ => Answer::Bad(error.clone()),
        });
        let new = Fake::new(|call| match call {
            Call::Create(asked) if asked.last_file_name.as_deref() == Some("n0") => {
                Answer::Bad(HttpError::Refused("400".into()))
            }
            _ => Answer::Good,
        });
        // The names of the new service differ from those of the old.
        let first = Announcement {
            size: 0,
            start: 0,
            duration: LENGTH,
            last_file_name: None,
            discontinue: false,
        };
        new.create(&first).await.unwrap();
        let session = Session::new(options(3));
        let stock = session.take_stock();
        let rng = rand::SeedableRng::seed_from_u64(7);
        let mut uploader = Uploader::new(stock, old.clone(), UploadOptions::default(), rng);
        let moves = watch::Sender::new((old.clone(), Secret::from("old".to_owned())));
        let mut seen = moves.subscribe();
        seen.mark_unchanged();
        uploader.follow(seen);
        let uploads = tokio::spawn(async move { uploader.run().await });
        session.push(segment(0));
        sleep(LENGTH).await;
        session.push(segment(1));
        sleep(LENGTH).await;
        moves.send_replace((new.clone(), Secret::from("new".to_owned())));
        let moved = Instant::now();
        session.push(segment(2));
        session.close();
        uploads.await.unwrap();
        assert!(moved.elapsed() < LENGTH * 4, "{:?}", moved.elapsed());
        assert_eq!(session.stats().dropped.number, 0, "{:?}", new.words());
        assert_eq!(new.recorded().len(), 2, "{:?}", new.words());
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_goes_where_its_address_leads_once() {
    let moved = HttpError::Moved("307".into(), Secret::from("http://store/n0".to_owned()));
    let words = two(&failing(1, &moved, is_put)).await;
    assert_eq!(words[..3], ["create 1900000000", "put n0", "put n0"]);
    assert!(words[3].starts_with("create"), "{words:?}");
    let words = two(&failing(2, &moved, is_put)).await;
    assert_eq!(words[..4], ["create 1900000000", "put n0", "put n0", "fail n0"], "a circle");
}

#[tokio::test(start_paused = true)]
async fn what_is_at_an_address_is_only_ours_after_a_lost_answer() {
    for (first, ours) in [
        (HttpError::Unanswered("cut".into()), true),
        (HttpError::Transport("cut".into()), false),
        (HttpError::Busy("500".into()), false),
        (HttpError::Exists("412".into()), false),
    ] {
        let asked = AtomicUsize::new(0);
        let case = format!("{first:?}");
        let fake = Fake::new(move |call| match (call, asked.load(Ordering::Relaxed)) {
            (Call::Put { .. }, 0) => {
                asked.store(1, Ordering::Relaxed);
                Answer::Stored(first.clone())
            }
            (Call::Put { fresh: true, .. }, 1) => {
                asked.store(2, Ordering::Relaxed);
                Answer::Bad(HttpError::Exists("412".into()))
            }
            _ => Answer::Good,
        });
        let words = two(&fake).await;
        assert_eq!(!words.contains(&"fail n0".into()), ours, "{case}: {words:?}");
    }
}
