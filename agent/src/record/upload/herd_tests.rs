//! Many channels that record at once.

use std::sync::atomic::{AtomicBool, Ordering};
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
const CHANNELS: u64 = 32;
const SEGMENTS: u64 = 12;

fn session() -> Session {
    Session::new(StockOptions {
        name: "channel".into(),
        recorder: None,
        max_segments: SEGMENTS as usize,
        prerecord: Duration::ZERO,
        backfill: Backfill::Beside,
        spool: None,
        share: None,
        anchor: Anchor::new(Some(1_900_000_000), Instant::now(), SystemTime::now),
        stats: watch::Sender::default(),
    })
}

fn segment(number: u64) -> Segment {
    let chunks: Arc<[Bytes]> = (0..100u8).map(|i| Bytes::from(vec![i; 188])).collect();
    let start = Start::Media(LENGTH * number as u32);
    Segment { number, start, duration: LENGTH, discontinuity: number == 0, bytes: 18_800, chunks }
}

/// Records on all channels, cut at the same moments. The service is away while the first `outage`
/// segments come. Returns the most requests for an address within half a second after it is back.
async fn busiest(outage: u64) -> usize {
    let up = Arc::new(AtomicBool::new(outage == 0));
    let there = Arc::clone(&up);
    let fake = Fake::new(move |_| match there.load(Ordering::Relaxed) {
        true => Answer::Good,
        false => Answer::Bad(HttpError::Transport("cut".into())),
    });
    let sessions: Vec<_> = (0..CHANNELS).map(|_| session()).collect();
    let back = Instant::now() + LENGTH * outage as u32;
    let uploads: Vec<_> = (0..CHANNELS)
        .map(|channel| {
            let (fake, before) = (fake.clone(), std::future::ready(()));
            sessions[channel as usize].upload(fake, UploadOptions::default(), channel, before)
        })
        .collect();
    for number in 0..SEGMENTS {
        up.store(number >= outage, Ordering::Relaxed);
        sleep(LENGTH).await;
        sessions.iter().for_each(|session| session.push(segment(number)));
    }
    sessions.iter().for_each(Session::close);
    for upload in uploads {
        assert!(upload.await.unwrap());
    }
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
