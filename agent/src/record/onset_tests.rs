use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ivt_media::frame::{AudioCodec, AudioParams, Track, VideoCodec, VideoParams};
use proptest::prelude::*;

use super::*;

const MS: i64 = CLOCK_HZ / 1000;

fn picture(pts: i64, received: Instant) -> Frame {
    let params = VideoParams {
        codec: VideoCodec::H264,
        record: Bytes::new(),
        dimensions: (640, 360),
        frame_rate: None,
    };
    let (track, data) = (Track::Video(Arc::new(params)), Bytes::new());
    let (key, discontinuity, leading, dts) = (false, false, false, pts);
    Frame { track, key, discontinuity, leading, pts, dts, received, data }
}

fn sound(pts: i64, received: Instant) -> Frame {
    let params = AudioParams {
        codec: AudioCodec::Pcma,
        sample_rate: 8000,
        channels: 1,
        config: Bytes::new(),
    };
    Frame { track: Track::Audio(Arc::new(params)), ..picture(pts, received) }
}

/// Pictures at 25 fps, where `frame` gives media time and arrival of the n-th in ms. The result is
/// how many ms before its arrival the first one was taken, and after how many ms that was known.
fn measure(hasty: bool, frame: impl Fn(i64) -> (i64, i64)) -> (i64, i64) {
    let start = Instant::now() + Duration::from_secs(1000);
    let at = |n| {
        let (media, arrival) = frame(n);
        picture(media * MS, start + Duration::from_millis(arrival as u64))
    };
    let first = at(0);
    let mut onset = Onset::new(&first);
    let mut n = 0;
    while !onset.is_known(hasty) {
        onset.note(&at(n));
        n += 1;
    }
    let early = first.received.saturating_duration_since(onset.taken()).as_millis() as i64;
    let late = onset.taken().saturating_duration_since(first.received).as_millis() as i64;
    (early - late, frame(n - 1).1 - frame(0).1)
}

#[test]
fn a_burst_of_stored_pictures_was_taken_before_it_came() {
    assert_eq!(measure(false, |n| (40 * n, (40 * n - 2000).max(n / 10))).0, 2000);
}

#[test]
fn a_large_key_picture_was_taken_when_it_was_due() {
    let late = |n| if n % 50 == 0 { 300 } else { 10 };
    assert_eq!(measure(false, |n| (40 * n, 40 * n + late(n))).0, 290);
}

#[test]
fn a_stream_that_is_even_need_not_be_watched_for_long() {
    let jitter = |n| 40 * n + n * 7919 % 15;
    let (early, took) = measure(false, |n| (40 * n, jitter(n)));
    assert!((-15..=0).contains(&early) && took < 4300, "{early} ms after {took} ms");
    let (early, took) = measure(true, |n| (40 * n, jitter(n)));
    assert!((-15..=0).contains(&early) && took < 2200, "{early} ms after {took} ms");
}

#[test]
fn what_the_timeline_takes_back_counts_no_more() {
    // The clock is fast until it is found out; the lead that counts is the one from the beginning.
    let rising = |n: i64| (8 * n).min(200) + 3 * (n - 50).max(0);
    let lead = |n: i64| if n < 65 { rising(n) } else { (245 - 10 * (n - 65)).max(0) };
    let (early, took) = measure(false, |n| (40 * n + lead(n), 40 * n));
    assert!((0..=10).contains(&early) && took > 5000, "{early} ms after {took} ms");
    // The clock is slow and is corrected in one step.
    let lead = |n: i64| if n < 88 { -8 * n } else { 0 };
    assert_eq!(measure(false, |n| (40 * n + lead(n), 40 * n)).0, 0);
}

#[test]
fn a_pause_ends_no_window_by_itself() {
    // Nothing comes between the first and the sixth second; then everything comes at once, the
    // oldest first.
    let arrival = |n: i64| if (25..150).contains(&n) { 6000 + n / 10 } else { 40 * n };
    assert_eq!(measure(false, |n| (40 * n, arrival(n))).0, 0);
}

#[test]
fn sound_does_not_date_pictures() {
    let start = Instant::now() + Duration::from_secs(1000);
    let mut onset = Onset::new(&picture(0, start));
    for n in 0..250 {
        let now = start + Duration::from_millis(40 * n);
        onset.note(&picture(40 * MS * n as i64, now));
        onset.note(&sound(40 * MS * n as i64 + 5 * CLOCK_HZ, now));
    }
    assert_eq!(onset.taken(), start);
}

proptest! {
    #[test]
    fn any_times_are_survived(times in prop::collection::vec((any::<i64>(), any::<u32>()), 1..50)) {
        let start = Instant::now();
        let at = |(pts, ms): (i64, u32)| picture(pts, start + Duration::from_millis(ms.into()));
        let mut onset = Onset::new(&at(times[0]));
        for time in times {
            onset.note(&at(time));
            onset.is_known(true);
            onset.taken();
        }
    }
}
