//! What a card does for the uploads of a session.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::fake::{Answer, Call, Fake};
use super::rig::*;
use super::*;
use crate::config::SpoolMode;
use crate::record::budget::Budget;
use crate::record::ledger::least_segments;
use crate::record::stock::StockOptions;

#[tokio::test]
async fn an_outage_beyond_memory_is_backfilled_between_the_live_ones() {
    let card = Card::new().await;
    let up = Arc::new(AtomicBool::new(false));
    let fake = switched(&up);
    let session = card.session(SpoolMode::Overflow);
    let upload = start(&session, &fake);
    for number in 0..12u64 {
        session.push(segment(number));
        until("what is too much is stored", || {
            session.has_all() && session.stats().bytes <= 2 * 1880
        })
        .await;
    }
    let held = session.stats();
    assert_eq!((held.waiting, held.dropped.number), (12, 0), "2 in memory, 10 on the card");
    let stored = card.numbers();

    up.store(true, Ordering::Relaxed);
    for number in 12..18 {
        until("it keeps up", || session.has_all() && session.stats().waiting < 10).await;
        session.push(segment(number));
    }
    session.close();
    finished(upload).await;
    let recorded = recorded(&fake);
    let mut sorted: Vec<u64> = recorded.iter().map(|(number, _)| *number).collect();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..18).collect::<Vec<_>>(), "none lost, none twice: {recorded:?}");
    let old: Vec<u64> = recorded.iter().map(|(n, _)| *n).filter(|n| stored.contains(n)).collect();
    assert_eq!(old, stored, "in order among themselves");
    for pair in recorded.windows(2) {
        let ((before, _), (number, marked)) = (pair[0], pair[1]);
        let switch = stored.contains(&before) != stored.contains(&number);
        assert!(marked || !switch && number == before + 1, "{recorded:?}");
    }
    assert!(card.is_empty(), "the card is empty");
    assert_eq!(session.stats().dropped.number, 0);
}

fn uploaded(stock: &mut Stock, upload: &Upload) {
    assert!(stock.tell(|ledger| ledger.sending(upload)));
    stock.tell(|ledger| ledger.sent(upload, "n".into()));
    stock.tell(Ledger::confirmed);
}

#[tokio::test]
async fn live_ones_and_those_from_the_card_take_turns() {
    let card = Card::new().await;
    card.store(0..5).await;
    let session = card.session(SpoolMode::Overflow);
    let mut stock = session.take_stock();
    let mut turns = Vec::new();
    (5..7).for_each(|number| session.push(segment(number)));
    stock.during(until("they are there", || session.has_all())).await;
    for next in 7..10 {
        for _ in 0..2 {
            let upload = stock.next().await.unwrap();
            turns.push(upload.number);
            uploaded(&mut stock, &upload);
        }
        session.push(segment(next));
        stock.during(until("it is there", || session.has_all())).await;
    }
    session.close();
    while let Some(upload) = stock.next().await {
        turns.push(upload.number);
        uploaded(&mut stock, &upload);
    }
    assert_eq!(turns, [5, 0, 6, 1, 7, 2, 8, 3, 9, 4]);
}

#[tokio::test]
async fn those_from_the_card_go_on_when_no_live_one_waits() {
    let card = Card::new().await;
    card.store(0..3).await;
    let fake = Fake::new(|_| Answer::Good);
    let session = card.session(SpoolMode::Overflow);
    session.push(segment(3));
    let upload = start(&session, &fake);
    until("all are uploaded", || session.stats().uploaded == 4).await;
    session.close();
    finished(upload).await;
    assert_eq!(recorded(&fake), [(3, true), (0, true), (1, false), (2, false)]);
}

#[tokio::test]
async fn an_upload_cut_off_by_a_crash_is_repeated_to_the_same_address() {
    let card = Card::new().await;
    card.store(0..3).await;
    let fake = Fake::new(|call| match call {
        Call::Put { name, .. } if name == "n1" => Answer::Never,
        _ => Answer::Good,
    });
    let session = card.leftover();
    let upload = start(&session, &fake);
    until("the second is sent", || fake.words().contains(&"put n1".into())).await;
    session.cut(upload).await;
    assert_eq!(numbers(&fake), [0]);
    drop(session);

    let card = card.reopened().await;
    assert_eq!(card.numbers(), [1, 2], "the first was confirmed");
    let fake = fake.again(|_| Answer::Good);
    finished(start(&card.leftover(), &fake)).await;
    assert_eq!(fake.words(), ["put n1", "create 1900000000.12", "put n2", "save n2"]);
    assert_eq!(numbers(&fake), [0, 1, 2]);
    assert!(card.is_empty());
}

#[tokio::test]
async fn a_pending_upload_whose_address_is_no_good_is_created_anew() {
    let card = Card::new().await;
    card.store(4..6).await;
    card.pend(4, "old").await;
    let fake = Fake::new(|call| match call {
        Call::Put { name, .. } if name == "old" => Answer::Bad(HttpError::Expired("403".into())),
        _ => Answer::Good,
    });
    finished(start(&card.leftover(), &fake)).await;
    let words = fake.words();
    assert_eq!(words[..3], ["put old", "fail old", "create 1900000000.24"]);
    assert_eq!(numbers(&fake), [4, 5]);
    assert!(card.is_empty());
}

#[tokio::test]
async fn nothing_is_noted_any_more_under_a_name_that_is_taken_back() {
    for is_left in [true, false] {
        let card = Card::new().await;
        let noted = Arc::new(AtomicUsize::new(0));
        let (spool, seen, refused) = (card.spool.clone(), noted.clone(), AtomicUsize::new(0));
        let fake = Fake::new(move |call| {
            match call {
                // A crash at this moment leaves on the card what is noted now.
                Call::Fail(name) => {
                    let noted = spool.pending().is_some_and(|pending| pending.name == *name);
                    seen.fetch_add(if noted { 100 } else { 1 }, Ordering::Relaxed);
                }
                Call::Put { .. } if refused.fetch_add(1, Ordering::Relaxed) < 2 => {
                    return Answer::Bad(HttpError::Expired("403".into()));
                }
                _ => {}
            }
            Answer::Good
        });
        if is_left {
            card.store(4..6).await;
            card.pend(4, "old").await;
            finished(start(&card.leftover(), &fake)).await;
        } else {
            let session = card.session(SpoolMode::Always);
            let upload = start(&session, &fake);
            session.push(segment(0));
            until("it is stored", || {
                !card.numbers().is_empty() || noted.load(Ordering::Relaxed) > 0
            })
            .await;
            session.close();
            finished(upload).await;
        }
        let noted = noted.load(Ordering::Relaxed);
        assert!((1..100).contains(&noted), "left {is_left}: {noted}");
    }
}

#[tokio::test]
async fn an_address_that_is_dead_keeps_nobody_waiting() {
    // A service that does not know the question for the time answers it all the same.
    for unknown in [false, true] {
        let card = Card::new().await;
        card.store(4..7).await;
        card.pend(4, "old").await;
        let fake = Fake::new(move |call| match call {
            Call::Put { name, .. } if name == "old" => {
                Answer::Bad(HttpError::Transport("no such host".into()))
            }
            Call::Time if unknown => Answer::Bad(HttpError::Busy("500".into())),
            _ => Answer::Good,
        });
        finished(start(&card.leftover(), &fake)).await;
        let words = fake.words();
        let silent = ["put old", "time", "put old", "fail old", "create 1900000000.24"];
        assert_eq!(words[..5], silent);
        assert_eq!(recorded(&fake), [(4, true), (5, false), (6, false)]);
        assert!(card.is_empty());
    }
}

#[tokio::test]
async fn a_store_that_is_busy_costs_no_name() {
    let card = Card::new().await;
    let first = Fake::new(|_| Answer::Good);
    let session = card.session(SpoolMode::Overflow);
    session.push(segment(0));
    session.close();
    finished(start(&session, &first)).await;
    card.store(0..2).await;
    card.pend(0, "n0").await;
    let asked = AtomicUsize::new(0);
    let fake = first.again(move |call| match call {
        Call::Put { name, .. } if name == "n0" && asked.fetch_add(1, Ordering::Relaxed) < 4 => {
            Answer::Bad(HttpError::Busy("503".into()))
        }
        _ => Answer::Good,
    });
    finished(start(&card.leftover(), &fake)).await;
    let words = fake.words();
    assert!(!words.contains(&"fail n0".to_owned()), "{words:?}");
    assert_eq!(words.iter().filter(|word| *word == "put n0").count(), 5, "{words:?}");
    assert_eq!(numbers(&fake), [0, 1], "none is there twice");
    assert!(card.is_empty());
}

#[tokio::test]
async fn a_network_that_comes_up_late_costs_no_name() {
    let faults = [HttpError::Transport("no route".into()), HttpError::Busy("503".into())];
    let outages = faults.iter().flat_map(|fault| (1..12).map(move |calls| (fault, calls)));
    for (fault, calls) in outages {
        let fault = fault.clone();
        let card = Card::new().await;
        let first = Fake::new(|_| Answer::Good);
        let session = card.session(SpoolMode::Overflow);
        session.push(segment(0));
        session.close();
        finished(start(&session, &first)).await;
        assert_eq!(recorded(&first), [(0, true)]);
        // The answer to the confirmation was lost, so for us it is still to be done.
        card.store(0..2).await;
        card.pend(0, "n0").await;
        let asked = AtomicUsize::new(0);
        let fake = first.again(move |_| match asked.fetch_add(1, Ordering::Relaxed) < calls {
            true => Answer::Bad(fault.clone()),
            false => Answer::Good,
        });
        finished(start(&card.leftover(), &fake)).await;
        let once = |what: &str| fake.words().iter().filter(|word| *word == what).count();
        assert_eq!(once(&format!("create {}", date(0) as f64 / 1e6)), 0, "{:?}", fake.words());
        assert_eq!(numbers(&fake), [0, 1], "none is there twice");
        assert!(card.is_empty());
    }
}

#[tokio::test]
async fn a_service_that_cannot_take_a_name_back_keeps_nobody_waiting_for_ever() {
    let card = Card::new().await;
    card.store(4..6).await;
    card.pend(4, "old").await;
    let fake = Fake::new(|call| match call {
        Call::Put { name, .. } | Call::Fail(name) if name == "old" => {
            Answer::Bad(HttpError::Busy("500".into()))
        }
        _ => Answer::Good,
    });
    let session = card.session(SpoolMode::Overflow);
    session.push(segment(6));
    let upload = start(&session, &fake);
    until("all are uploaded", || session.stats().uploaded == 3).await;
    session.close();
    finished(upload).await;
    assert_eq!(numbers(&fake), [6, 4, 5]);
}

#[tokio::test]
async fn what_was_confirmed_just_before_a_crash_is_confirmed_again() {
    let card = Card::new().await;
    card.store(1..2).await;
    let first = Fake::new(|_| Answer::Good);
    let announced = Announcement {
        size: 0,
        start: date(0),
        duration: LENGTH,
        last_file_name: None,
        discontinue: false,
    };
    first.create(&announced).await.unwrap();
    card.pend(0, "n0").await;
    let fake = first.again(|_| Answer::Good);
    finished(start(&card.leftover(), &fake)).await;
    assert_eq!(fake.words(), ["create 1900000000.06", "put n1", "save n1"]);
    let Call::Create(create) = &fake.calls()[0] else { panic!("a create") };
    assert_eq!(create.last_file_name.as_deref(), Some("n0"));
}

#[tokio::test]
async fn everything_on_the_card_is_uploaded_from_memory_and_removed_when_confirmed() {
    let card = Card::new().await;
    let fake = Fake::new(|_| Answer::Good);
    let session = card.session(SpoolMode::Always);
    let upload = start(&session, &fake);
    for number in 0..6u64 {
        session.push(segment(number));
        until("it is uploaded", || session.stats().uploaded > number).await;
        // Only the last segment waits for its confirmation.
        until("it is stored", || card.numbers() == [number]).await;
        assert_eq!(card.spool.pending().unwrap().number, number);
    }
    session.close();
    finished(upload).await;
    let continued: Vec<_> = (0..6).map(|number| (number, number == 0)).collect();
    assert_eq!(recorded(&fake), continued, "all were live");
    assert!(card.is_empty());
}

#[tokio::test]
async fn what_memory_lets_go_is_no_loss_when_it_is_on_the_card() {
    let card = Card::new().await;
    let up = Arc::new(AtomicBool::new(false));
    let fake = switched(&up);
    let session = card.session(SpoolMode::Always);
    let upload = start(&session, &fake);
    for number in 0..9 {
        session.push(segment(number));
        until("it is stored", || card.numbers().contains(&number)).await;
    }
    up.store(true, Ordering::Relaxed);
    session.close();
    finished(upload).await;
    let mut numbers = numbers(&fake);
    numbers.sort_unstable();
    assert_eq!(numbers, (0..9).collect::<Vec<_>>());
    assert_eq!(session.stats().dropped.number, 0);
}

#[tokio::test]
async fn what_nobody_takes_stays_on_the_card_for_the_next_start() {
    let card = Card::new().await;
    let down = switched(&Arc::default());
    let session = card.session(SpoolMode::Overflow);
    (0..3).for_each(|number| session.push(segment(number)));
    session.close();
    finished(start(&session, &down)).await;
    assert_eq!(session.stats().dropped.number, 0, "nothing is lost");
    drop(session);
    let card = card.reopened().await;
    let fake = Fake::new(|_| Answer::Good);
    finished(start(&card.leftover(), &fake)).await;
    assert_eq!(numbers(&fake), [0, 1, 2]);
}

#[tokio::test]
async fn what_waits_when_the_agent_ends_is_stored() {
    let card = Card::new().await;
    let fake = Fake::new(|_| Answer::Good);
    let session = cut_off(&card, &fake).await;
    session.leave(&fake).await;
    assert_eq!((numbers(&fake), card.numbers()), (vec![0], vec![1, 2]));
}

#[tokio::test]
async fn a_left_segment_that_is_not_wanted_now_is_asked_for_again() {
    let card = Card::new().await;
    card.store(0..2).await;
    let asked = AtomicUsize::new(0);
    let fake = Fake::new(move |call| match call {
        Call::Create(_) if asked.fetch_add(1, Ordering::Relaxed) < 3 => Answer::NotNow,
        _ => Answer::Good,
    });
    finished(start(&card.leftover(), &fake)).await;
    assert_eq!(numbers(&fake), [0, 1]);
}

#[tokio::test]
async fn a_service_that_wants_nothing_is_asked_with_rests_and_given_up() {
    let card = Card::new().await;
    card.store(0..2).await;
    let fake = Fake::new(|_| Answer::NotNow);
    let session = card.session(SpoolMode::Overflow);
    session.push(segment(2));
    session.close();
    let options = UploadOptions { patience: Duration::from_secs(1), ..UploadOptions::default() };
    let upload = session.upload(fake.clone(), options, 7, std::future::ready(()));
    let empty = tokio::time::timeout(Duration::from_secs(30), upload).await;
    assert!(!empty.expect("it ends").unwrap());
    assert_eq!(card.numbers(), [0, 1]);
    assert_eq!(session.stats().dropped.number, 0, "nobody ever wanted the third");
    let begin = ["create 1900000000.12", "create 1900000000", "create 1900000000.12"];
    assert_eq!(fake.words()[..3], begin, "the card has its turn");
}

#[tokio::test]
async fn what_is_left_is_uploaded_by_a_later_run_with_the_same_shelf() {
    let card = Card::new().await;
    card.store(0..3).await;
    let down = || Answer::Bad(HttpError::Transport("cut".into()));
    // The first upload succeeds; then every request fails, also the confirmation.
    let fake = Fake::new(move |call| match call {
        Call::Create(a) if a.start == date(0) => Answer::Good,
        Call::Put { name, .. } if name == "n0" => Answer::Good,
        _ => down(),
    });
    let options = UploadOptions { patience: Duration::ZERO, ..UploadOptions::default() };
    let upload = card.leftover().upload(fake.clone(), options, 1, std::future::ready(()));
    let empty = finished(upload).await;
    assert!(!empty);
    assert_eq!(card.numbers(), [0, 1, 2]);
    let fake = fake.again(|_| Answer::Good);
    assert!(finished(start(&card.leftover(), &fake)).await);
    assert_eq!(fake.words()[0], "put n0", "its name is kept, so it is not there twice");
    assert_eq!(recorded(&fake), [(0, true), (1, false), (2, false)]);
}

#[tokio::test]
async fn what_the_card_had_no_room_for_is_told_to_the_service() {
    let card = Card::of(12_000).await;
    let up = Arc::new(AtomicBool::new(false));
    let fake = switched(&up);
    let session = card.session(SpoolMode::Overflow);
    let upload = start(&session, &fake);
    for number in 0..20u64 {
        session.push(segment(number));
        until("what is too much is stored", || {
            session.has_all() && session.stats().bytes <= 2 * 1880
        })
        .await;
    }
    session.close();
    up.store(true, Ordering::Relaxed);
    assert!(finished(upload).await);
    let mut numbers = numbers(&fake);
    numbers.sort_unstable();
    let lost = 20 - numbers.len() as u64;
    assert!((12..=16).contains(&lost), "{numbers:?}");
    // A segment that was being uploaded could not be dropped although it was the oldest.
    assert!(numbers.ends_with(&[15, 16, 17, 18, 19]), "{numbers:?}");
    let told: u64 =
        fake.calls().iter().map(|c| if let Call::Stat(n, _) = c { *n } else { 0 }).sum();
    assert_eq!((told, session.stats().dropped.number), (lost, lost));
}

#[tokio::test]
async fn the_smallest_buffers_lose_nothing() {
    for (count, mode) in [1, 2].into_iter().flat_map(|count| {
        [None, Some(SpoolMode::Overflow), Some(SpoolMode::Always)].map(|mode| (count, mode))
    }) {
        let card = Card::new().await;
        let up = Arc::new(AtomicBool::new(true));
        let fake = switched(&up);
        let most = u64::from(least_segments(mode).max(count)) * 1880;
        let session = Session::new(StockOptions {
            max_segments: count as usize,
            share: Some(Arc::new(Budget::new(1 << 30).share(most + (2 << 20), None).unwrap())),
            spool: mode.map(|mode| (card.spool.clone(), mode)),
            ..card.options()
        });
        let upload = start(&session, &fake);
        for number in 0..30u64 {
            // Without a card there is room for one segment while nobody takes it.
            let outage = 10..if mode.is_some() { 20 } else { 11 };
            if number == outage.start {
                until("nothing waits", || session.has_all() && session.stats().bytes == 0).await;
            }
            up.store(!outage.contains(&number), Ordering::Relaxed);
            session.push(segment(number));
            let stored = || mode != Some(SpoolMode::Always) || session.stats().bytes <= most;
            let room = || mode == Some(SpoolMode::Always) || session.stats().bytes <= most - 1880;
            until("there is room", || session.has_all() && stored() && room()).await;
        }
        session.close();
        assert!(finished(upload).await);
        let mut numbers = numbers(&fake);
        numbers.sort_unstable();
        assert_eq!(numbers, (0..30).collect::<Vec<_>>(), "{count}, {mode:?}");
        assert_eq!(session.stats().dropped.number, 0, "{count}, {mode:?}");
    }
}
