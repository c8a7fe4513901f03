//! What a bad card, service or moment must not cost.

use tokio::time::timeout;

use super::card::*;
use super::fake::{Answer, Call, Fake};
use super::*;
use crate::config::SpoolMode;
use crate::record::Segment;
use crate::record::spool::SegmentHead;

#[tokio::test]
async fn a_card_that_was_pulled_is_no_fault_of_the_services() {
    let card = Card::new().await;
    card.store(0..3).await;
    let (root, pocket) = (card.dir.path().join("spool"), card.dir.path().join("pocket"));
    std::fs::rename(&root, &pocket).unwrap();
    let fake = Fake::new(|_| Answer::Good);
    let backlog = card.backlog(SpoolMode::Overflow);
    let upload = start(&backlog, &fake);
    for number in 3..6u64 {
        backlog.push(segment(number));
        until("live ones go on", || backlog.stats().borrow().uploaded == number - 2).await;
        assert_eq!(backlog.stats().borrow().last_error, None);
    }
    backlog.close();
    assert!(!finished(upload).await);
    let only = ["create 1900000000.18", "put n0", "create 1900000000.24", "put n1"];
    let rest = ["create 1900000000.3", "put n2", "save n2"];
    assert_eq!(fake.words(), [&only[..], &rest].concat(), "the service hears of none of it");
    std::fs::rename(&pocket, &root).unwrap();
    assert_eq!(card.numbers(), [0, 1, 2]);
    assert!(finished(start(&card.leftover(), &fake)).await);
    assert_eq!(numbers(&fake), [3, 4, 5, 0, 1, 2]);
}

/// Nothing comes to its end.
fn black_hole() -> Fake {
    Fake::new(|_| Answer::Never)
}

#[tokio::test]
async fn a_black_hole_keeps_nothing_from_the_card_when_the_agent_ends() {
    let card = Card::new().await;
    let fake = Fake::new(|_| Answer::Good);
    let backlog = cut_off(&card, &fake).await;
    // As much as the agent gives its sessions.
    timeout(Duration::from_millis(2_500), leave(&backlog, &black_hole())).await.unwrap();
    assert_eq!(card.numbers(), [1, 2]);
    assert_eq!(backlog.stats().borrow().dropped.number, 0);
}

#[tokio::test]
async fn a_black_hole_leaves_nothing_on_the_card_that_is_done_with() {
    let card = Card::new().await;
    card.store(0..20).await;
    let backlog = card.leftover();
    let last = backlog.next().await.unwrap();
    (0..20).for_each(|number| backlog.drop_segment(&Job { number, ..last.clone() }));
    timeout(Duration::from_millis(2_500), leave(&backlog, &black_hole())).await.unwrap();
    assert!(std::fs::read_dir(card.dir.path().join("spool")).unwrap().next().is_none());
}

#[tokio::test]
async fn what_was_kept_only_to_look_back_is_not_on_the_card_afterwards() {
    for leaves in [false, true] {
        let card = Card::new().await;
        let fake = Fake::new(|_| Answer::NotNow);
        let backlog = card.backlog(SpoolMode::Always);
        let upload = start(&backlog, &fake);
        for number in 0..2 {
            card.store(number..number + 1).await;
            backlog.push(segment(number));
        }
        until("it is asked", || backlog.stats().borrow().not_now).await;
        if leaves {
            upload.abort();
            assert!(upload.await.unwrap_err().is_cancelled());
            leave(&backlog, &fake).await;
        } else {
            backlog.close();
            finished(upload).await;
        }
        drop(backlog);
        assert!(std::fs::read_dir(card.dir.path().join("spool")).unwrap().next().is_none());
    }
}

#[tokio::test]
async fn a_service_that_refuses_everything_does_not_empty_the_card() {
    let card = Card::new().await;
    card.store(0..6).await;
    let refused = || Answer::Bad(ServiceError::Expired("403".into()));
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
                Answer::Bad(ServiceError::Refused("400".into()))
            }
            _ => Answer::Good,
        });
        let backlog = card.leftover();
        finished(start(&backlog, &fake)).await;
        assert_eq!(numbers(&fake), (0..6).filter(|n| *n != refused).collect::<Vec<_>>());
        assert_eq!(backlog.stats().borrow().dropped.number, 1);
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
    let backlog = card.backlog(SpoolMode::Always);
    let upload = start(&backlog, &fake);
    let Segment { duration, chunks, .. } = segment(0);
    let head = SegmentHead { number: 0, start_micros: date(0), discontinuity: true };
    let mut writer = card.shelf.begin(head);
    writer.append(chunks.to_vec(), duration);
    writer.finish();
    // Nothing has run since: the disk is yet to write it.
    assert!(card.numbers().is_empty());
    backlog.push(segment(0));
    until("it is sent", || fake.words().contains(&"put n0".into())).await;
    upload.abort();
    assert!(upload.await.unwrap_err().is_cancelled());
    drop(backlog);

    let card = card.reopened().await;
    assert_eq!(card.shelf.pending().map(|pending| pending.name).as_deref(), Some("n0"));
    let fake = fake.again(|_| Answer::Good);
    finished(start(&card.leftover(), &fake)).await;
    assert_eq!((fake.words(), numbers(&fake)), (vec!["put n0".into(), "save n0".into()], vec![0]));
}
