//! What an old session still holds when a new session needs the memory.

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::fake::{Answer, Call, Fake};
use super::rig::*;
use super::*;
use crate::config::SpoolMode;
use crate::record::budget::{Budget, Share};
use crate::record::stock::StockOptions;

/// Bytes of buffers in each share, beside the segments.
const BUFFERS: u64 = 1 << 19;
const SIZE: u64 = 1880;

/// An ended session of eight segments, and a budget with room for ten segments, its own and those
/// of a new session. Uploads begin when `before` is ready.
async fn ended(
    options: StockOptions,
    fake: &Fake,
    before: impl Future<Output = ()> + Send + 'static,
) -> (Arc<Budget>, Session, JoinHandle<bool>) {
    let budget = Budget::new(2 * BUFFERS + 10 * SIZE);
    let share = Some(Arc::new(budget.share(BUFFERS + 10 * SIZE, None).unwrap()));
    let session = Session::new(StockOptions { share, max_segments: 10, ..options });
    (0..8).for_each(|number| session.push(segment(number)));
    let upload = start_after(&session, fake, before);
    until("all are there", || session.has_all()).await;
    session.close();
    until("it drains", || budget.share(BUFFERS + SIZE, None).is_ok()).await;
    (budget, session, upload)
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
    let (budget, session, upload) = ended(card.options(), &fake, std::future::ready(())).await;
    until("it hangs", || fake.words().contains(&"put n0".into())).await;
    let rest = BUFFERS + 9 * SIZE;
    let error = budget.share(rest + 1, None).unwrap_err().to_string();
    assert!(error.contains(&format!("{rest} of the")), "{error}");
    let new = budget.share(rest, None).unwrap();
    has(&new, rest).await;
    until("the others went", || session.stats().dropped.number == 7).await;
    upload.abort();
}

#[tokio::test]
async fn what_gives_way_goes_to_the_card() {
    let card = Card::new().await;
    let spool = Some((card.spool.clone(), SpoolMode::Overflow));
    let fake = Fake::new(|_| Answer::Good);
    let (ready, before) = oneshot::channel();
    let before = async { before.await.unwrap() };
    let options = StockOptions { spool, ..card.options() };
    let (budget, session, upload) = ended(options, &fake, before).await;
    let new = budget.share(BUFFERS + 10 * SIZE, None).unwrap();
    has(&new, BUFFERS + 10 * SIZE).await;
    assert_eq!(card.numbers(), (0..8).collect::<Vec<_>>());
    ready.send(()).unwrap();
    assert!(finished(upload).await);
    assert_eq!(numbers(&fake), (0..8).collect::<Vec<_>>());
    assert_eq!(session.stats().dropped.number, 0);
}
