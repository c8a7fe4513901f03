//! What must not be lost to a bad card, a bad service or a bad moment.

use rand::SeedableRng as _;
use tokio::time::{advance, timeout};

use super::fake::{Answer, Call, Fake};
use super::rig::*;
use super::*;
use crate::config::SpoolMode;
use crate::record::ledger::OnCard;
use crate::record::spool::QUEUE_BYTES;
use crate::record::spool::fixture::TestDisk;

#[tokio::test]
async fn a_card_that_was_pulled_is_no_fault_of_the_services() {
    let card = Card::new().await;
    card.store(0..3).await;
    let (root, pocket) = (card.dir.path().join("spool"), card.dir.path().join("pocket"));
    std::fs::rename(&root, &pocket).unwrap();
    let fake = Fake::new(|_| Answer::Good);
    let session = card.session(SpoolMode::Overflow);
    let upload = start(&session, &fake);
    for number in 3..6u64 {
        session.push(segment(number));
        until("live ones go on", || session.stats().uploaded == number - 2).await;
        assert_eq!(session.stats().last_error, None);
    }
    session.close();
    assert!(!finished(upload).await);
    let only = ["create 1900000000.18", "put n0", "create 1900000000.24", "put n1"];
    let rest = ["create 1900000000.3", "put n2", "save n2", "stat 3 0.18"];
    assert_eq!(fake.words(), [&only[..], &rest].concat(), "only what is lost with it is told");
    std::fs::rename(&pocket, &root).unwrap();
    assert_eq!(card.numbers(), [0, 1, 2]);
    assert!(finished(start(&card.leftover(), &fake)).await);
    assert_eq!(numbers(&fake), [3, 4, 5, 0, 1, 2]);
}

/// A request that never ends.
fn black_hole() -> Fake {
    Fake::new(|_| Answer::Never)
}

#[tokio::test]
async fn a_black_hole_keeps_nothing_from_the_card_when_the_agent_ends() {
    let card = Card::new().await;
    let fake = Fake::new(|_| Answer::Good);
    let session = cut_off(&card, &fake).await;
    // As much time as the agent gives its sessions to end.
    timeout(Duration::from_millis(2_500), session.leave(&black_hole())).await.unwrap();
    assert_eq!(card.numbers(), [1, 2]);
    assert_eq!(session.stats().dropped.number, 0);
}

#[tokio::test]
async fn a_black_hole_leaves_nothing_on_the_card_that_is_done_with() {
    let card = Card::new().await;
    card.store(0..20).await;
    let session = card.leftover();
    let mut stock = session.take_stock();
    while let Some(upload) = stock.next().await {
        stock.tell(|ledger| ledger.refused(&upload, false));
    }
    assert_eq!(session.stats().dropped.number, 20);
    let (options, rng) = (UploadOptions::default(), StdRng::seed_from_u64(1));
    let mut uploader = Uploader::new(stock, black_hole(), options, rng);
    timeout(Duration::from_millis(2_500), uploader.leave()).await.unwrap();
    assert!(std::fs::read_dir(card.dir.path().join("spool")).unwrap().next().is_none());
}

#[tokio::test]
async fn what_was_kept_only_to_look_back_is_not_on_the_card_afterwards() {
    for leaves in [false, true] {
        let card = Card::new().await;
        let fake = Fake::new(|_| Answer::NotNow);
        let session = card.session(SpoolMode::Always);
        let upload = start(&session, &fake);
        for number in 0..2 {
            session.push(segment(number));
            until("it is stored", || card.numbers().contains(&number)).await;
        }
        until("it is asked", || session.stats().not_now).await;
        if leaves {
            session.cut(upload).await;
            session.leave(&fake).await;
        } else {
            session.close();
            finished(upload).await;
        }
        drop(session);
        assert!(std::fs::read_dir(card.dir.path().join("spool")).unwrap().next().is_none());
    }
}

#[tokio::test]
async fn a_service_that_refuses_everything_does_not_empty_the_card() {
    let card = Card::new().await;
    card.store(0..6).await;
    let refused = || Answer::Bad(HttpError::Expired("403".into()));
    let mut fake = Fake::new(move |_| refused());
    for _ in 0..3 {
        fake = fake.again(move |_| refused());
        assert!(!finished(start(&card.leftover(), &fake)).await);
        assert_eq!(card.numbers(), [0, 1, 2, 3, 4, 5]);
    }
    let fake = fake.again(|_| Answer::Good);
    assert!(finished(start(&card.leftover(), &fake)).await);
    assert_eq!(numbers(&fake), [0, 1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a_segment_that_alone_is_refused_is_lost_as_soon_as_others_are_not() {
    for refused in [0, 2, 5] {
        let card = Card::new().await;
        card.store(0..6).await;
        let fake = Fake::new(move |call| match call {
            Call::Create(a) if a.start == date(refused) => {
                Answer::Bad(HttpError::Refused("400".into()))
            }
            _ => Answer::Good,
        });
        let session = card.leftover();
        finished(start(&session, &fake)).await;
        assert_eq!(numbers(&fake), (0..6).filter(|n| *n != refused).collect::<Vec<_>>());
        assert_eq!(session.stats().dropped.number, 1);
        let told: Vec<_> =
            fake.calls().into_iter().filter(|c| matches!(c, Call::Stat(..))).collect();
        assert_eq!(told, [Call::Stat(1, LENGTH)]);
        assert!(card.numbers().is_empty());
    }
}

#[tokio::test]
async fn a_crash_while_the_disk_is_behind_doubles_nothing() {
    let card = Card::new().await;
    let fake = Fake::new(|call| match call {
        Call::Put { .. } => Answer::Never,
        _ => Answer::Good,
    });
    let session = card.session(SpoolMode::Always);
    let mut stock = session.take_stock();
    session.push(segment(0));
    while !session.has_all() {
        stock.during(tokio::task::yield_now()).await;
    }
    // The disk has the segment, and has not told yet that it is written.
    assert_eq!(stock.ledger().on_card(0), OnCard::Writing);
    let upload =
        session.upload_of(stock, fake.clone(), UploadOptions::default(), 7, std::future::ready(()));
    until("it is sent", || fake.words().contains(&"put n0".into())).await;
    session.cut(upload).await;
    drop(session);

    let card = card.reopened().await;
    assert_eq!(card.spool.pending().map(|pending| pending.name).as_deref(), Some("n0"));
    let fake = fake.again(|_| Answer::Good);
    finished(start(&card.leftover(), &fake)).await;
    assert_eq!((fake.words(), numbers(&fake)), (vec!["put n0".into(), "save n0".into()], vec![0]));
}

#[tokio::test]
async fn a_segment_that_a_slow_disk_has_only_begun_goes_when_it_is_confirmed() {
    let disk = TestDisk::default();
    let card = Card::on(&disk).await;
    let session = card.session(SpoolMode::Always);
    let mut stock = session.take_stock();
    disk.hang(true);
    // The first group waits for the disk, and there is no room beside it for the second.
    let second = vec![Bytes::from(vec![0; QUEUE_BYTES])];
    session.push_groups(segment(0), vec![segment(0).chunks.to_vec(), second]);
    session.close();
    let upload = stock.next().await.unwrap();
    assert!(stock.tell(|ledger| ledger.sending(&upload)));
    stock.tell(|ledger| ledger.sent(&upload, "n0".into()));
    stock.tell(Ledger::confirmed);
    disk.hang(false);
    assert_eq!(upload.source, Source::Memory);
    stock.close().await;
    let left = std::fs::read_dir(card.dir.path().join("spool")).unwrap().count();
    assert_eq!(left, 0, "the next start would upload it once more");
}

#[tokio::test(start_paused = true)]
async fn a_last_write_that_ends_late_is_left_for_another_run() {
    let disk = TestDisk::default();
    let card = Card::on(&disk).await;
    let down = switched(&Arc::default());
    let session = card.session(SpoolMode::Overflow);
    session.push(segment(0));
    session.close();
    disk.hang(true);
    let upload = start(&session, &down);
    for _ in 0..600 {
        advance(Duration::from_secs(1)).await;
    }
    let over = upload.is_finished();
    disk.hang(false);
    assert!(over, "nobody waits for the disk for ever");
    assert!(!upload.await.unwrap(), "something is on its way to the card");
    until("it is there", || card.numbers() == [0]).await;
    assert!(finished(start(&card.leftover(), &down.again(|_| Answer::Good))).await);
}
