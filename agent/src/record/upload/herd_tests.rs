//! Many channels that record at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use rand::SeedableRng as _;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::fake::{Answer, Call, Fake};
use super::*;
use crate::record::backlog::BacklogOptions;
use crate::record::clock::Anchor;
use crate::record::{Segment, Start};

const LENGTH: Duration = Duration::from_secs(10);
const CHANNELS: u64 = 32;
const SEGMENTS: u64 = 12;

fn backlog() -> Arc<Backlog> {
    Backlog::new(BacklogOptions {
        name: "channel".into(),
        max_segments: SEGMENTS as usize,
        prerecord: Duration::ZERO,
        shelf: None,
        share: None,
        anchor: Arc::new(Anchor::new(Some(1_900_000_000), Instant::now(), SystemTime::now)),
    })
}

fn segment(number: u64) -> Segment {
    let chunks: Arc<[Bytes]> = (0..100u8).map(|i| Bytes::from(vec![i; 188])).collect();
    let start = Start::Media(LENGTH * number as u32);
    Segment { number, start, duration: LENGTH, discontinuity: number == 0, bytes: 18_800, chunks }
}

/// Records on all channels, cut at the same moments. The service is away while the first `outage`
/// segments come. Returns the most requests for an address within half a second once it is back.
async fn busiest(outage: u64) -> usize {
    let up = Arc::new(AtomicBool::new(outage == 0));
    let there = Arc::clone(&up);
    let fake = Fake::new(move |_| match there.load(Ordering::Relaxed) {
        true => Answer::Good,
        false => Answer::Bad(ServiceError::Transport("cut".into())),
    });
    let backlogs: Vec<_> = (0..CHANNELS).map(|_| backlog()).collect();
    let (mut uploads, back) = (JoinSet::new(), Instant::now() + LENGTH * outage as u32);
    for (channel, backlog) in backlogs.iter().cloned().enumerate() {
        let (fake, rng) = (fake.clone(), StdRng::seed_from_u64(channel as u64));
        uploads.spawn(async move { run(&backlog, fake, UploadOptions::default(), rng).await });
    }
    for number in 0..SEGMENTS {
        up.store(number >= outage, Ordering::Relaxed);
        sleep(LENGTH).await;
        backlogs.iter().for_each(|backlog| backlog.push(segment(number)));
    }
    backlogs.iter().for_each(Backlog::close);
    while uploads.join_next().await.is_some() {}
    assert_eq!(fake.recorded().len() as u64, CHANNELS * SEGMENTS);
    let asked = fake.times(|call| matches!(call, Call::Create(_)));
    let within = |from: &Instant| {
        let until = *from + Duration::from_millis(500);
        asked.iter().filter(|at| (*from..until).contains(at)).count()
    };
    asked.iter().filter(|at| **at >= back).map(within).max().unwrap()
}

#[tokio::test(start_paused = true)]
async fn many_channels_do_not_ask_for_addresses_in_one_burst() {
    for outage in [0, 1, 5] {
        let most = busiest(outage).await;
        assert!(most <= CHANNELS as usize / 2, "{most} at once, {outage} segments of outage");
    }
}
