//! What a stream did, in numbers.

use std::time::{Duration, Instant};

use crate::frame::{Frame, ticks_to_duration};
use crate::source::{Incidents, Losses};

/// Seconds the bitrate and the frame rate are averaged over.
const WINDOW: u64 = 4;
const BUCKETS: usize = WINDOW as usize + 1;
const MINUTE: u64 = 60;
/// A longer step between two frames is an outage, not content.
const LONGEST_STEP: Duration = Duration::from_secs(3);

/// Numbers of one stream, taken at one moment. Totals count since the pull was made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StreamStats {
    /// Bits per second over the last 4 s.
    pub bitrate: u64,
    /// Pictures per second over the last 4 s.
    pub fps: f64,
    /// Frames received, sound included.
    pub frames: u64,
    /// Bytes of those frames.
    pub bytes: u64,
    /// Media time those frames cover; outages are not counted.
    pub duration: Duration,
    /// Frames lost on the way or given up because they could not be decoded.
    pub drops: u64,
    /// Packets that never came.
    pub packets_lost: u64,
    /// Packets lost in the last full minute.
    pub packets_lost_per_minute: u64,
    /// Packets that were no part of any frame: empty, doubled, of a kind nobody asked for.
    pub packets_skipped: u64,
    /// Openings that showed no key frame within 10 s.
    pub pictures_late: u64,
    /// How often cameras were not as asked when the stream was opened.
    pub incidents: Incidents,
    /// Times the stream was opened again after a failure.
    pub reconnects: u64,
    /// The last failure, also when it is over.
    pub last_error: Option<String>,
}

impl StreamStats {
    /// Mean bits per second since an earlier reading, by media time, so that a burst of stored
    /// frames does not count double. `None` before 100 ms of media have come.
    pub fn mean_bitrate_since(&self, earlier: &StreamStats) -> Option<u64> {
        let duration = self.duration.saturating_sub(earlier.duration);
        let bits = self.bytes.saturating_sub(earlier.bytes).saturating_mul(8);
        (duration >= Duration::from_millis(100))
            .then(|| (bits as f64 / duration.as_secs_f64()) as u64)
    }
}

/// Counts for [`StreamStats`].
pub(crate) struct Meter {
    epoch: Instant,
    totals: StreamStats,
    /// What sources lost that are closed.
    past: Losses,
    /// Number of the present minute since the epoch.
    minute: u64,
    /// Packets lost in the present minute and in the one before.
    lost: [u64; 2],
    newest_dts: Option<i64>,
    /// One per second; a bucket is valid only for its own second.
    buckets: [Bucket; BUCKETS],
}

#[derive(Clone, Copy, Default)]
struct Bucket {
    second: u64,
    bytes: u64,
    pictures: u64,
}

impl Meter {
    /// A meter whose seconds and minutes count from `now`.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            epoch: now,
            totals: StreamStats::default(),
            past: Losses::default(),
            minute: 0,
            lost: [0; 2],
            newest_dts: None,
            buckets: [Bucket::default(); BUCKETS],
        }
    }

    /// Counts a frame placed on the timeline, and what its source lost so far. Returns the packets
    /// lost since the frame before.
    pub(crate) fn count(&mut self, frame: &Frame, losses: Losses) -> u64 {
        let bytes = frame.data.len() as u64;
        self.totals.frames += 1;
        self.totals.bytes += bytes;
        self.totals.drops = self.past.frames.saturating_add(losses.frames);
        self.totals.packets_skipped = self.past.skipped.saturating_add(losses.skipped);
        let packets = self.past.packets.saturating_add(losses.packets);
        let lost = packets.saturating_sub(self.totals.packets_lost);
        self.totals.packets_lost = packets;
        self.turn(frame.received);
        self.lost[0] = self.lost[0].saturating_add(lost);
        let newest = self.newest_dts.get_or_insert(frame.dts);
        if frame.dts > *newest {
            let step = ticks_to_duration(frame.dts - *newest);
            self.totals.duration += if step > LONGEST_STEP { Duration::ZERO } else { step };
            *newest = frame.dts;
        }
        let second = self.second(frame.received);
        let bucket = &mut self.buckets[second as usize % BUCKETS];
        if bucket.second != second {
            *bucket = Bucket { second, ..Bucket::default() };
        }
        bucket.bytes += bytes;
        bucket.pictures += u64::from(frame.is_video());
        lost
    }

    /// Begins the minute of the moment `now`, if another one is being counted.
    fn turn(&mut self, now: Instant) {
        let minute = self.second(now) / MINUTE;
        match minute.saturating_sub(self.minute) {
            0 => return,
            1 => self.lost = [0, self.lost[0]],
            _ => self.lost = [0; 2],
        }
        self.minute = minute;
    }

    /// Notes why a source ended; another will be opened.
    pub(crate) fn fail(&mut self, error: String) {
        self.past = Losses {
            frames: self.totals.drops,
            packets: self.totals.packets_lost,
            skipped: self.totals.packets_skipped,
        };
        self.totals.last_error = Some(error);
    }

    /// Counts an opening without a key frame within 10 s.
    pub(crate) fn picture_late(&mut self) {
        self.totals.pictures_late += 1;
    }

    /// Counts an opening after a failure.
    pub(crate) fn reconnected(&mut self) {
        self.totals.reconnects += 1;
    }

    /// The numbers of the moment `now`.
    pub(crate) fn read(&mut self, now: Instant) -> StreamStats {
        self.turn(now);
        let this = self.second(now);
        let window = this.saturating_sub(WINDOW)..this;
        let full = self.buckets.iter().filter(|b| window.contains(&b.second));
        let seconds = (window.end - window.start).max(1);
        let (bytes, pictures) =
            full.fold((0, 0), |(bytes, pictures), b| (bytes + b.bytes, pictures + b.pictures));
        StreamStats {
            bitrate: bytes * 8 / seconds,
            fps: pictures as f64 / seconds as f64,
            packets_lost_per_minute: self.lost[1],
            ..self.totals.clone()
        }
    }

    fn second(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.epoch).as_secs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::duration_to_ticks;
    use crate::testing::{picture, sound};

    const MS: Duration = Duration::from_millis(1);

    /// 25 pictures of 1000 bytes a second from `from` to `to`.
    fn feed(meter: &mut Meter, epoch: Instant, from: Duration, to: Duration) {
        let mut at = from;
        while at < to {
            meter
                .count(&picture(false, duration_to_ticks(at), 1000, epoch + at), Losses::default());
            at += 40 * MS;
        }
    }

    #[test]
    fn rates_cover_the_last_four_full_seconds() {
        let epoch = Instant::now();
        let mut meter = Meter::new(epoch);
        feed(&mut meter, epoch, Duration::ZERO, 2000 * MS);
        let young = meter.read(epoch + 2000 * MS);
        assert_eq!((young.bitrate, young.fps), (200_000, 25.0), "also when it is younger");
        feed(&mut meter, epoch, 2000 * MS, 60_000 * MS);
        assert_eq!(meter.read(epoch + 60_000 * MS).bitrate, 200_000);
        assert_eq!(meter.read(epoch + 62_500 * MS).bitrate, 100_000, "two seconds of four");
        assert_eq!(meter.read(epoch + 64_500 * MS).bitrate, 0);
        meter.count(&sound(0, epoch + 65_000 * MS), Losses::default());
        let after = meter.read(epoch + 66_000 * MS);
        assert_eq!((after.bitrate, after.fps), (320, 0.0), "sound counts as bytes only");
    }

    #[test]
    fn mean_bitrate_is_that_of_the_content() {
        let epoch = Instant::now();
        let mut meter = Meter::new(epoch);
        let start = meter.read(epoch);
        // Three seconds of content in one burst.
        for n in 0..75 {
            meter.count(&picture(false, n * 3600, 1000, epoch), Losses::default());
        }
        let burst = meter.read(epoch + 10 * MS);
        let mean = burst.mean_bitrate_since(&start).unwrap();
        assert!((200_000..205_000).contains(&mean), "{mean}");
        // An outage is no content.
        meter.count(&picture(true, 90_000_000, 1000, epoch + 60_000 * MS), Losses::default());
        assert_eq!(meter.read(epoch + 60_000 * MS).duration, burst.duration);
    }

    #[test]
    fn drops_of_each_source_add_up() {
        let epoch = Instant::now();
        let mut meter = Meter::new(epoch);
        let frames = |frames| Losses { frames, packets: 2 * frames, skipped: 3 * frames };
        assert_eq!(meter.count(&picture(true, 0, 10, epoch), frames(3)), 6);
        assert_eq!(meter.count(&picture(true, 1, 10, epoch), frames(5)), 4);
        meter.fail("gone".into());
        meter.reconnected();
        assert_eq!(meter.count(&picture(true, 2, 10, epoch), frames(1)), 2);
        let stats = meter.read(epoch);
        assert_eq!((stats.drops, stats.reconnects), (6, 1));
        assert_eq!((stats.packets_lost, stats.packets_skipped), (12, 18));
        assert_eq!(stats.last_error.as_deref(), Some("gone"));
        assert_eq!((stats.frames, stats.bytes), (3, 30));
    }

    #[test]
    fn packets_lost_are_counted_by_full_minutes() {
        let epoch = Instant::now();
        let mut meter = Meter::new(epoch);
        let mut lost = |second: u64, packets| {
            let at = epoch + Duration::from_secs(second);
            let losses = Losses { packets, ..Losses::default() };
            meter.count(&picture(false, second as i64 * 90_000, 10, at), losses);
            let stats = meter.read(at);
            (stats.packets_lost, stats.packets_lost_per_minute)
        };
        assert_eq!(lost(10, 3), (3, 0), "the minute is not over");
        assert_eq!(lost(59, 5), (5, 0));
        assert_eq!(lost(60, 6), (6, 5));
        assert_eq!(lost(119, 6), (6, 5));
        assert_eq!(lost(120, 6), (6, 1));
        assert_eq!(lost(180, 6), (6, 0));
        assert_eq!(lost(185, 16), (16, 0));
        assert_eq!(meter.read(epoch + Duration::from_secs(250)).packets_lost_per_minute, 10);
        assert_eq!(meter.read(epoch + Duration::from_secs(300)).packets_lost_per_minute, 0);
    }
}
