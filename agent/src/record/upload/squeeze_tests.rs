//! What an old session still holds when a new one needs the memory.

use super::card::*;
use super::fake::{Answer, Call, Fake};
use super::*;
use crate::config::SpoolMode;
use crate::record::backlog::BacklogOptions;
use crate::record::budget::{Budget, Share};

/// Buffers in each share, beside the segments.
const BUFFERS: u64 = 1 << 19;
const SIZE: u64 = 1880;

/// An ended session of so many segments, and a budget in which it and a new one have room for ten.
fn ended(options: BacklogOptions, segments: u64) -> (Arc<Budget>, Arc<Backlog>) {
    let budget = Budget::new(2 * BUFFERS + 10 * SIZE);
    let share = Some(Arc::new(budget.share(BUFFERS + 10 * SIZE, None).unwrap()));
    let backlog = Backlog::new(BacklogOptions { share, max_segments: 10, ..options });
    (0..segments).for_each(|number| backlog.push(segment(number)));
    backlog.close();
    (budget, backlog)
}

async fn has(share: &Share, bytes: u64) {
    until("it has its memory", || share.allowed() == bytes).await;
}

#[tokio::test]
async fn an_upload_that_hangs_holds_its_segment_and_no_other() {
    let card = Card::new().await;
    let fake = Fake::new(|call| match call {
        Call::Put { .. } => Answer::Never,
        _ => Answer::Good,
    });
    let (budget, backlog) = ended(card.options(), 8);
    let upload = start(&backlog, &fake);
    until("it hangs", || fake.words().contains(&"put n0".into())).await;
    let rest = BUFFERS + 9 * SIZE;
    let error = budget.share(rest + 1, None).unwrap_err().to_string();
    assert!(error.contains(&format!("{rest} of the")), "{error}");
    let new = budget.share(rest, None).unwrap();
    has(&new, rest).await;
    assert_eq!(backlog.stats().borrow().dropped.number, 7);
    upload.abort();
}

#[tokio::test]
async fn what_gives_way_goes_to_the_card() {
    let card = Card::new().await;
    let shelf = Some((card.shelf.clone(), SpoolMode::Overflow));
    let (budget, backlog) = ended(BacklogOptions { shelf, ..card.options() }, 8);
    let new = budget.share(BUFFERS + 10 * SIZE, None).unwrap();
    has(&new, BUFFERS + 10 * SIZE).await;
    assert_eq!(card.numbers(), (0..8).collect::<Vec<_>>());
    let fake = Fake::new(|_| Answer::Good);
    assert!(finished(start(&backlog, &fake)).await);
    assert_eq!(numbers(&fake), (0..8).collect::<Vec<_>>());
    assert_eq!(backlog.stats().borrow().dropped.number, 0);
}
