//! How fast segments are sent: slowly enough to leave room for a live stream on the same uplink.
//!
//! A segment leaves in pieces, however large the chunks are in which it was recorded or stored. The
//! first piece goes at once, so a segment of one piece is paced by when the next segment begins.

use std::time::Duration;
use std::{iter, mem};

use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt as _};
use tokio::time::{Instant, sleep_until};

/// Shortest wait that is worth waking up for. Chunks that are due sooner go together.
const GRAIN: Duration = Duration::from_millis(50);
/// Most bytes that leave at once: what a live picture on a thin uplink can wait for.
const PIECE: usize = 16 << 10;
/// Longest wait: a piece in this time starves nobody, and what a file in the spool says of its
/// duration cannot hold up others.
const LONGEST: Duration = Duration::from_secs(10);
/// Most time that is made up for at full speed after a slow uplink.
const CATCH_UP: Duration = Duration::from_secs(1);

/// The schedule of one upload. Pure.
#[derive(Debug)]
pub struct Pace {
    duration: Duration,
    bytes: u64,
    due: Instant,
    /// Bytes that left since the last wait.
    burst: u64,
}

impl Pace {
    /// The schedule for a segment of `bytes` and `duration` whose upload began at `begun`.
    pub fn new(duration: Duration, bytes: u64, begun: Instant) -> Self {
        Self { duration, bytes, due: begun, burst: 0 }
    }

    /// Until when the next piece of `length` bytes has to wait, which comes `sent` bytes after the one
    /// before it, if the whole upload is to take `share` of the duration.
    pub fn next(&mut self, now: Instant, sent: u64, length: u64, share: f64) -> Option<Instant> {
        let part = sent as f64 / self.bytes.max(1) as f64;
        let earliest = now.checked_sub(CATCH_UP).unwrap_or(self.due);
        let step = self.duration.mul_f64((part * share).clamp(0.0, 1.0)).min(LONGEST);
        self.due = self.due.max(earliest).checked_add(step).unwrap_or(self.due);
        self.burst += sent;
        let full = self.burst.saturating_add(length) > PIECE as u64;
        let waits = self.due > now + if full { Duration::ZERO } else { GRAIN };
        if waits {
            self.burst = 0;
        }
        waits.then_some(self.due)
    }
}

/// When the next upload may begin, after one that began at `begun`; `None` if that is not worth
/// waiting for.
pub fn next_upload(begun: Instant, duration: Duration, share: f64) -> Option<Instant> {
    let (now, due) = (Instant::now(), begun.checked_add(duration.mul_f64(share))?);
    Some(due.min(now + LONGEST)).filter(|due| *due > now + GRAIN)
}

/// The chunks in pieces of at most 16 KiB, each at its time. `share` is asked before each piece.
pub fn paced(
    chunks: impl Stream<Item = Bytes> + Send + 'static,
    mut pace: Pace,
    share: impl Fn() -> f64 + Send + 'static,
) -> impl Stream<Item = Bytes> + Send + 'static {
    let mut sent = 0;
    chunks.flat_map(|chunk| stream::iter(pieces(chunk))).then(move |piece| {
        let length = piece.len() as u64;
        let due = pace.next(Instant::now(), mem::replace(&mut sent, length), length, share());
        async move {
            if let Some(due) = due {
                sleep_until(due).await;
            }
            piece
        }
    })
}

fn pieces(mut chunk: Bytes) -> impl Iterator<Item = Bytes> {
    iter::from_fn(move || (!chunk.is_empty()).then(|| chunk.split_to(chunk.len().min(PIECE))))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use tokio::time::sleep;

    use super::*;

    const TEN: Duration = Duration::from_secs(10);

    fn chunks(n: usize, size: usize) -> impl Stream<Item = Bytes> {
        stream::iter((0..n).map(move |_| Bytes::from(vec![0; size])))
    }

    fn whole(n: usize, size: usize) -> Pace {
        Pace::new(TEN, (n * size) as u64, Instant::now())
    }

    /// When each chunk came, in seconds after the first one.
    async fn times(stream: impl Stream<Item = Bytes>) -> Vec<f64> {
        let start = Instant::now();
        stream.map(|_| start.elapsed().as_secs_f64()).collect().await
    }

    #[tokio::test(start_paused = true)]
    async fn a_segment_takes_its_share_of_the_time_it_lasts() {
        for share in [0.8, 0.5, 0.4] {
            let times = times(paced(chunks(100, 1000), whole(100, 1000), move || share)).await;
            assert_eq!(times.len(), 100);
            assert_eq!(times[0], 0.0, "the first goes at once");
            for (i, time) in times.iter().enumerate() {
                let due = 10.0 * share * i as f64 / 100.0;
                assert!((time - due).abs() <= 0.051, "{share}: chunk {i} at {time}, not {due}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_wakes_up_no_more_than_twenty_times_a_second() {
        let times = times(paced(chunks(10_000, 100), whole(10_000, 100), || 0.8)).await;
        let mut wakes = times.clone();
        wakes.dedup();
        assert!(wakes.len() <= 161, "{} in 8 s", wakes.len());
        assert!((times[9_999] - 8.0).abs() < 0.1, "{}", times[9_999]);
    }

    #[tokio::test(start_paused = true)]
    async fn it_goes_faster_as_soon_as_more_waits() {
        let hurry = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&hurry);
        let share = move || if seen.load(Ordering::Relaxed) { 0.5 } else { 0.8 };
        let sent = AtomicUsize::new(0);
        let stream = paced(chunks(100, 1000), whole(100, 1000), share).inspect(|_| {
            if sent.fetch_add(1, Ordering::Relaxed) == 49 {
                hurry.store(true, Ordering::Relaxed);
            }
        });
        let times = times(stream).await;
        assert!((times[49] - 3.92).abs() < 0.06, "{}", times[49]);
        assert!((times[99] - 3.92 - 2.5).abs() < 0.1, "{}", times[99]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_uplink_is_made_good_up_to_a_second() {
        let stream = paced(chunks(100, 1000), whole(100, 1000), || 0.8);
        let stream = stream.enumerate().then(|(i, chunk)| async move {
            if i == 49 {
                sleep(Duration::from_secs(30)).await;
            }
            chunk
        });
        let times = times(stream).await;
        let (stalled, end) = (times[49], times[99]);
        assert!((end - stalled - (4.0 - 1.0)).abs() < 0.1, "{stalled} {end}");
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_sixteen_kibibytes_leave_at_once_however_large_the_chunks_are() {
        for (n, size) in
            [(1, 48 << 10), (3, 200 << 10), (160, 64 << 10), (700, 1500), (2, 16 << 10)]
        {
            let begun = Instant::now();
            let pieces = paced(chunks(n, size), whole(n, size), || 0.8);
            let pieces: Vec<_> = pieces.map(|piece| (begun.elapsed(), piece.len())).collect().await;
            let bytes: usize = pieces.iter().map(|(_, length)| length).sum();
            assert_eq!(bytes, n * size, "nothing is missing");
            let mut at_once = 0;
            for (i, (time, length)) in pieces.iter().enumerate() {
                at_once =
                    if i > 0 && pieces[i - 1].0 == *time { at_once + length } else { *length };
                assert!(at_once <= PIECE, "{n} of {size}: {at_once} at {time:?}");
            }
            // The time that the last piece takes is left to the next upload.
            let last = pieces.last().unwrap();
            let due = 8.0 * (1.0 - last.1 as f64 / bytes as f64);
            let took = last.0.as_secs_f64();
            assert!((took - due).abs() < 0.06, "{n} of {size}: {took} s, not {due}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_upload_waits_for_what_is_left_of_the_pace() {
        let begun = Instant::now();
        sleep(Duration::from_secs(1)).await;
        assert_eq!(next_upload(begun, TEN, 0.4), Some(begun + TEN.mul_f64(0.4)));
        sleep(Duration::from_secs(3)).await;
        assert_eq!(next_upload(begun, TEN, 0.4), None);
        assert_eq!(next_upload(begun, Duration::ZERO, 0.4), None);
        let (hours, now) = (Duration::from_secs(7200), Instant::now());
        assert_eq!(next_upload(now, hours, 0.4), Some(now + LONGEST), "others wait");
        assert_eq!(Pace::new(hours, 99, now).next(now, 90, 9, 0.4), Some(now + LONGEST));
    }

    #[test]
    fn nothing_is_too_odd_for_the_schedule() {
        let now = Instant::now();
        assert_eq!(Pace::new(TEN, 0, now).next(now, 0, 0, 0.8), None);
        assert_eq!(Pace::new(Duration::ZERO, 10, now).next(now, 10, 1, 0.8), None);
        assert_eq!(Pace::new(TEN, 1, now).next(now, 1 << 40, 1, 0.8), Some(now + TEN));
    }
}
