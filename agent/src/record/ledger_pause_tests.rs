//! The ledger while the service wants nothing.

use super::*;

#[test]
fn what_nobody_asked_for_does_not_wait_on_the_card() {
    let mut ledger = ledger(OVERFLOW, 3, 30 * SECOND);
    ledger.inherit(&whole(0, MIB, 10 * SECOND));
    for number in 1..100 {
        ledger.completed(segment(number, MIB, 10 * SECOND), OnCard::Nothing);
        while let Some(store) = settle(&mut ledger, u64::MAX).store {
            ledger.found(store, Holding::Whole(whole(store, MIB, 10 * SECOND)));
        }
        // The service is not there.
        let Next::Upload(upload) = ledger.next_upload(Instant::now()) else { panic!("none") };
        assert!(ledger.sending(&upload));
        ledger.failed(upload.number);
    }
    let Next::Upload(upload) = ledger.next_upload(Instant::now()) else { panic!("none") };
    assert!(ledger.sending(&upload));
    ledger.not_now(upload.number);
    let removed = settle(&mut ledger, u64::MAX).removed;
    assert_eq!(removed, (1..97).collect::<Vec<_>>(), "the last 30 s are kept");
    assert_eq!(ledger.losses.dropped().number, 0);
    ledger.close(Instant::now());
    assert!(ledger.insists(), "what an earlier run stored was wanted");
    ledger.give_up();
    settle(&mut ledger, u64::MAX);
    assert_eq!(ledger.waiting(), 1, "only that is left for another run");
}

#[test]
fn while_nobody_wants_it_as_much_is_kept_as_was_ordered() {
    for (prerecord, kept) in [(0, 1), (10, 1), (11, 2), (25, 3), (30, 3), (1000, 5)] {
        let mut ledger = ledger(None, 5, prerecord * SECOND);
        ledger.completed(segment(0, 100, 10 * SECOND), OnCard::Nothing);
        assert!(take(&mut ledger, 0));
        ledger.not_now(0);
        let dropped = push_all(&mut ledger, 1..20, 100);
        assert_eq!(dropped.number, 0, "nothing of it is a loss");
        assert_eq!(numbers(&ledger), (20 - kept..20).collect::<Vec<_>>(), "{prerecord} s");
    }
}

#[test]
fn a_question_in_flight_keeps_what_follows_it() {
    let mut ledger = ledger(None, 10, 20 * SECOND);
    push_all(&mut ledger, 0..1, 100);
    ledger.not_now(0);
    push_all(&mut ledger, 1..3, 100);
    assert!(take(&mut ledger, 1));
    push_all(&mut ledger, 3..6, 100);
    assert_eq!(numbers(&ledger), [1, 2, 3, 4, 5], "the answer may be an address");
    ledger.created();
    push_all(&mut ledger, 6..8, 100);
    assert_eq!(numbers(&ledger), [1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn it_is_asked_again_when_the_next_is_complete() {
    let mut ledger = ledger(None, 5, Duration::ZERO);
    push_all(&mut ledger, 0..1, 100);
    assert_eq!(first(&ledger), Some(0));
    ledger.not_now(0);
    assert_eq!(first(&ledger), None);
    push_all(&mut ledger, 1..2, 100);
    assert!(first(&ledger).is_some());
}

#[test]
fn a_pause_of_eight_hours_keeps_what_was_ordered_and_stores_nothing() {
    for mode in [None, OVERFLOW, Some(SpoolMode::Always)] {
        for (prerecord, kept) in [(0, 1), (10, 1), (11, 2), (25, 3), (1000, 5)] {
            let mut ledger = ledger(mode, 5, prerecord * SECOND);
            let card =
                if mode == Some(SpoolMode::Always) { OnCard::Whole } else { OnCard::Nothing };
            ledger.completed(segment(0, MIB, 10 * SECOND), card);
            assert!(take(&mut ledger, 0));
            ledger.created();
            let upload = ledger.upload(0, &ledger.entries[&0], Source::Memory);
            ledger.sent(&upload, "n".into());
            for number in 1..2880 {
                ledger.completed(segment(number, MIB, 10 * SECOND), card);
                if let Some(asked) = first(&ledger) {
                    assert!(take(&mut ledger, asked));
                    ledger.not_now(asked);
                }
                assert_eq!(ledger.unconfirmed(), None, "the question confirmed it");
                assert_eq!(settle(&mut ledger, u64::MAX).store, None);
            }
            assert_eq!(ledger.stats().dropped, Dropped::default(), "nothing of it is a loss");
            let newest: Vec<u64> = (2880 - kept..2880).collect();
            assert_eq!(numbers(&ledger), newest, "{mode:?}, {prerecord} s");
            assert_eq!(ledger.waiting() as u64, kept, "the card has no more than that");
            ledger.close(Instant::now());
            assert!(!ledger.insists());
        }
    }
}

#[test]
fn what_waited_because_uploads_failed_stays_wanted() {
    let mut ledger = ledger(OVERFLOW, 3, Duration::ZERO);
    push_all(&mut ledger, 0..1, MIB);
    assert!(take(&mut ledger, 0));
    ledger.created();
    ledger.failed(0);
    for number in 1..6 {
        push(&mut ledger, number, MIB);
        if let Some(given) = settle(&mut ledger, u64::MAX).store {
            stored(&mut ledger, given);
        }
        assert!(take(&mut ledger, number));
        ledger.failed(number);
    }
    let memory = numbers(&ledger);
    assert_eq!(ledger.waiting(), 6);
    // The service is there again, and wants nothing at first.
    for number in 6..100 {
        push(&mut ledger, number, MIB);
        let Some(asked) = first(&ledger) else { panic!("it is asked with each segment") };
        ledger.not_now(asked);
        if let Some(given) = settle(&mut ledger, u64::MAX).store {
            assert!(given < 6, "{given} goes to the card");
            stored(&mut ledger, given);
        }
    }
    assert_eq!(ledger.waiting(), 7, "{memory:?} and the newest");
    assert_eq!(ledger.stats().dropped.number, 0);
    assert!(numbers(&ledger).ends_with(&[99]));
    ledger.close(Instant::now());
    assert!(ledger.insists());
}

#[test]
fn an_outage_within_a_pause_changes_nothing() {
    let mut ledger = ledger(OVERFLOW, 5, 25 * SECOND);
    push_all(&mut ledger, 0..1, MIB);
    ledger.created();
    ledger.not_now(0);
    for number in 1..50 {
        push_all(&mut ledger, number..number + 1, MIB);
        let asked = first(&ledger).unwrap();
        assert!(take(&mut ledger, asked));
        if number % 7 == 0 { ledger.not_now(asked) } else { ledger.failed(asked) }
    }
    assert_eq!(push_all(&mut ledger, 50..51, MIB), Dropped::default());
    assert_eq!(numbers(&ledger), [48, 49, 50]);
}
