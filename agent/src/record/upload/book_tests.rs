//! What the book shows of uploads that go well and badly.

use std::sync::atomic::AtomicBool;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::fake::{Answer, Call, Fake};
use super::rig::{Card, Session, finished, segment, switched, until};
use super::*;
use crate::record::book::{Book, State};
use crate::record::clock::Anchor;
use crate::record::ledger::{Mark, Reason};
use crate::record::stock::StockOptions;

const LENGTH: Duration = super::rig::LENGTH;

/// A session without a spool that began a minute ago, its book and its uploads.
fn noted(options: StockOptions, fake: &Fake) -> (Session, Book, i64, JoinHandle<bool>) {
    let book = Book::default();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() - 60;
    let anchor = Anchor::new(Some(now), Instant::now(), || UNIX_EPOCH);
    let session = Session::new(StockOptions { anchor, spool: None, ..options });
    let stock = session.take_stock().noting(&book, 1, "s");
    let ready = std::future::ready(());
    let upload = session.upload_of(stock, fake.clone(), UploadOptions::default(), 7, ready);
    (session, book, now as i64 * 1_000_000, upload)
}

/// The numbers of the first and the last segment of each span, and what became of them.
fn spans(book: &Book, first: i64) -> Vec<(i64, i64, Mark)> {
    let number = |at: i64| (at - first) / LENGTH.as_micros() as i64;
    let day = &book.channels()[0].day;
    day.iter().map(|span| (number(span.from), number(span.to) - 1, span.mark)).collect()
}

#[tokio::test]
async fn what_was_lost_in_an_outage_is_told_with_its_reason_and_what_waits_is_shown() {
    let card = Card::new().await;
    let up = Arc::new(AtomicBool::new(true));
    let (session, book, first, upload) = noted(card.options(), &switched(&up));
    session.push(segment(0));
    until("the first is uploaded", || session.stats().uploaded == 1).await;
    assert_eq!(spans(&book, first), [(0, 0, Mark::Uploaded)]);
    let shown = &book.channels()[0].sessions[0];
    assert_eq!(shown.state, State::Recording);
    assert!(shown.last_upload.is_some() && shown.next_try.is_none());

    up.store(false, Ordering::Relaxed);
    for number in 1..8 {
        session.push(segment(number));
        until("it is taken", || session.has_all()).await;
        sleep(LENGTH).await;
    }
    until("some are lost", || session.stats().dropped.number > 0).await;
    let all = spans(&book, first);
    let count = |mark| -> i64 {
        all.iter().filter(|span| span.2 == mark).map(|(from, to, _)| to - from + 1).sum()
    };
    let lost = session.stats().dropped.number;
    assert_eq!((all[0].2, count(Mark::Uploaded)), (Mark::Uploaded, 1), "{all:?}");
    assert_eq!(count(Mark::Lost(Reason::Memory)), lost as i64, "{all:?}");
    assert_eq!(count(Mark::Waiting), 7 - lost as i64, "{all:?}");
    let day = &book.channels()[0].day;
    assert!(day[1].detail.as_ref().is_some_and(|why| why.contains("cut")), "{day:?}");
    until("the next try is told", || book.channels()[0].sessions[0].next_try.is_some()).await;

    up.store(true, Ordering::Relaxed);
    until("the others are uploaded", || session.stats().waiting == 0).await;
    let now = spans(&book, first);
    assert!(now.iter().all(|span| span.2 != Mark::Waiting), "{now:?}");
    let gone = |all: &[(i64, i64, Mark)]| -> Vec<_> {
        all.iter().filter(|span| span.2 == Mark::Lost(Reason::Memory)).copied().collect()
    };
    assert_eq!(gone(&now), gone(&all), "what is lost stays lost");
    session.close();
    assert!(finished(upload).await);
    assert_eq!(book.channels()[0].sessions[0].state, State::Uploading, "it is still held");
    drop(session.take_stock());
    assert_eq!(book.channels()[0].sessions[0].state, State::Ended);
    assert_eq!(book.channels()[0].sessions[0].losses[&Reason::Memory].number, lost);
}

#[tokio::test]
async fn what_the_service_refuses_and_what_it_does_not_want_is_told_apart() {
    let card = Card::new().await;
    let refuses = Fake::new(|call| match call {
        Call::Create(_) => Answer::Bad(HttpError::Refused("no such session".into())),
        _ => Answer::Good,
    });
    let (session, book, first, _upload) = noted(card.options(), &refuses);
    session.push(segment(0));
    until("it is refused", || session.stats().dropped.number == 1).await;
    assert_eq!(spans(&book, first), [(0, 0, Mark::Lost(Reason::Refused))]);

    let declines = Fake::new(|call| match call {
        Call::Create(_) => Answer::NotNow,
        _ => Answer::Good,
    });
    let (session, book, first, _upload) = noted(card.options(), &declines);
    for number in 0..5 {
        session.push(segment(number));
        until("it is taken", || session.has_all()).await;
        sleep(LENGTH).await;
    }
    until("the newest waits alone", || spans(&book, first) == [(4, 4, Mark::Waiting)]).await;
    assert_eq!(book.channels()[0].sessions[0].state, State::Standby);
    assert_eq!(session.stats().dropped.number, 0);
}
