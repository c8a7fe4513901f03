use std::pin::pin;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::StreamExt as _;
use ivt_media::clip::{BuiltIn, ClipOpener};
use ivt_media::hub;
use ivt_media::pull::{Pull, PullConfig};
use ivt_media::reserve::Reserve;
use ivt_media::source::{FrameSource, Opener, SourceError};
use tokio::time::timeout;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const LIMITS: Limits = Limits { duration: Duration::from_secs(2), max_bytes: 4 << 20 };

/// Everything that a recorder told.
#[derive(Default)]
struct Seen(Vec<Recorded>);

impl Seen {
    fn note(&mut self, recorded: Recorded) {
        match recorded {
            Recorded::Forming(bytes) => assert!(bytes <= LIMITS.max_bytes + (1 << 20), "{bytes}"),
            Recorded::Taken(_) => {
                assert!(self.0.is_empty(), "dated before it was known when: {:?}", self.0);
                self.0.push(recorded);
            }
            recorded => self.0.push(recorded),
        }
    }

    fn segments(&self) -> Vec<Segment> {
        let end = |recorded: &Recorded| match recorded {
            Recorded::End(segment) => Some(segment.clone()),
            _ => None,
        };
        self.0.iter().filter_map(end).collect()
    }
}

/// Records the stream of `opener` for this time.
async fn record(opener: impl Opener + 'static, time: Duration) -> Seen {
    record_from(0, opener, time).await
}

async fn record_from(number: u64, opener: impl Opener + 'static, time: Duration) -> Seen {
    record_with(PullConfig::default(), number, opener, time).await
}

async fn record_with(
    config: PullConfig,
    number: u64,
    opener: impl Opener + 'static,
    time: Duration,
) -> Seen {
    let pull = Pull::new(Arc::new(opener), config);
    let (mut input, mut seen) = (pull.subscribe(hub::Start::Live), Seen::default());
    let Some(Item::Frame(first)) = input.next().await else { panic!("no frame") };
    let recorder = Recorder::new(0, LIMITS, &first, number, false);
    let recorded = recorder.run(
        Item::Frame(first),
        input,
        pull.state(),
        sleep(time),
        watch::Sender::default(),
    );
    let mut recorded = pin!(recorded);
    while let Some(recorded) = recorded.next().await {
        seen.note(recorded);
    }
    seen
}

fn start(segment: &Segment) -> Duration {
    let Start::Media(start) = segment.start else { panic!("{:?}", segment.start) };
    start
}

#[tokio::test(start_paused = true)]
async fn what_is_to_outlive_a_crash_is_not_held_back_until_its_date_is_sure() {
    for urgent in [true, false] {
        let opener = Arc::new(ClipOpener::built_in(BuiltIn::Sub));
        let pull = Pull::new(opener, PullConfig::default());
        let mut input = pull.subscribe(hub::Start::Live);
        let mut seen = Seen::default();
        let Some(Item::Frame(first)) = input.next().await else { panic!("no frame") };
        let recorder = Recorder::new(0, LIMITS, &first, 0, urgent);
        let (stop, through) = (std::future::pending(), watch::Sender::default());
        let run = recorder.run(Item::Frame(first), input, pull.state(), stop, through);
        let mut run = pin!(run);
        let noted = async {
            while let Some(recorded) = run.next().await {
                seen.note(recorded);
            }
        };
        // A key-frame group takes one second.
        assert!(timeout(SECOND * 3 / 2, noted).await.is_err());
        let group = |recorded: &Recorded| matches!(recorded, Recorded::Group(..));
        assert_eq!(seen.0.iter().any(group), urgent);
    }
}

#[tokio::test(start_paused = true)]
async fn segments_follow_one_another_without_a_gap() {
    let seen = record(ClipOpener::built_in(BuiltIn::Sub), 21 * SECOND).await;
    let segments = seen.segments();
    assert!((10..=12).contains(&segments.len()), "{}", segments.len());
    assert_eq!(start(&segments[0]), Duration::ZERO);
    for (n, segment) in segments.iter().enumerate() {
        assert_eq!(segment.number, n as u64);
        assert!(!segment.discontinuity);
        assert_eq!(segment.bytes, segment.chunks.iter().map(|c| c.len() as u64).sum::<u64>());
    }
    for pair in segments.windows(2) {
        let gap = start(&pair[1]).abs_diff(start(&pair[0]) + pair[0].duration);
        assert!(gap < Duration::from_millis(1), "{gap:?}");
    }
    let last = segments.last().unwrap();
    let recorded = start(last) + last.duration;
    assert!(recorded.abs_diff(21 * SECOND) < SECOND / 2, "{recorded:?}: nothing is left behind");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_goes_on_after_a_restart_says_so_once() {
    let segments = record_from(7, ClipOpener::built_in(BuiltIn::Sub), 9 * SECOND).await.segments();
    let seen: Vec<_> = segments.iter().take(3).map(|s| (s.number, s.discontinuity)).collect();
    assert_eq!(seen, [(7, true), (8, false), (9, false)]);
}

#[tokio::test(start_paused = true)]
async fn a_segment_is_told_of_as_it_grows() {
    let seen = record(ClipOpener::built_in(BuiltIn::Sub), 9 * SECOND).await;
    let (mut number, mut bytes) = (None, 0);
    for recorded in &seen.0 {
        match recorded {
            Recorded::Begin { number: n, start, discontinuity: false } => {
                assert_eq!(*start == Start::Media(Duration::ZERO), *n == 0);
                (number, bytes) = (Some(*n), 0);
            }
            Recorded::Taken(_) => {}
            Recorded::Begin { .. } | Recorded::Forming(_) => panic!("{recorded:?}"),
            Recorded::Group(chunks, _) => {
                bytes += chunks.iter().map(|chunk| chunk.len() as u64).sum::<u64>();
            }
            Recorded::End(segment) => {
                assert_eq!((number.take(), bytes), (Some(segment.number), segment.bytes));
            }
        }
    }
    assert_eq!(number, None, "the last one is complete, too");
}

/// A camera that is lost after three seconds and away for a minute.
struct Shaky(ClipOpener, Mutex<Option<tokio::time::Instant>>);

struct Until(Box<dyn FrameSource>, tokio::time::Instant);

#[async_trait]
impl Opener for Shaky {
    async fn open(&self) -> Result<Box<dyn FrameSource>, SourceError> {
        let now = tokio::time::Instant::now();
        let first = *self.1.lock().unwrap().get_or_insert(now);
        let away = SourceError::Silent { peer: "c".into(), seconds: 1 };
        match now - first {
            Duration::ZERO => Ok(Box::new(Until(self.0.open().await?, now + 3 * SECOND))),
            since if since < 60 * SECOND => Err(away),
            _ => Ok(Box::new(Until(self.0.open().await?, now + 3600 * SECOND))),
        }
    }
}

#[async_trait]
impl FrameSource for Until {
    async fn frame(&mut self) -> Result<Frame, SourceError> {
        if tokio::time::Instant::now() >= self.1 {
            return Err(SourceError::Silent { peer: "c".into(), seconds: 1 });
        }
        self.0.frame().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_camera_ends_the_segment_and_the_gap_is_told_and_timed() {
    let camera = || Shaky(ClipOpener::built_in(BuiltIn::Sub), Mutex::default());
    let seen = record(camera(), 30 * SECOND).await;
    let before = seen.segments();
    let last = before.last().unwrap();
    assert!((start(last) + last.duration).abs_diff(3 * SECOND) < SECOND / 2, "{last:?}");

    let segments = record(camera(), 90 * SECOND).await.segments();
    let broken: Vec<_> = segments.iter().filter(|segment| segment.discontinuity).collect();
    let [resumed] = &broken[..] else { panic!("{} discontinuities", broken.len()) };
    assert_eq!(resumed.number, last.number + 1);
    assert!((59 * SECOND..75 * SECOND).contains(&start(resumed)), "{:?}", start(resumed));
}

/// A picture with this many bytes of filler data.
fn filled(mut frame: Frame, bytes: u32) -> Frame {
    let mut data = frame.data.to_vec();
    data.extend(bytes.to_be_bytes());
    data.push(12);
    data.resize(data.len() + bytes as usize - 1, 0xff);
    frame.data = data.into();
    frame
}

/// A camera at 4 Mbit/s whose pictures come every three seconds, as over a bad Wi-Fi.
struct Bursts(ClipOpener);

struct Burst(Box<dyn FrameSource>, std::collections::VecDeque<Frame>);

#[async_trait]
impl Opener for Bursts {
    async fn open(&self) -> Result<Box<dyn FrameSource>, SourceError> {
        Ok(Box::new(Burst(self.0.open().await?, [].into())))
    }
}

#[async_trait]
impl FrameSource for Burst {
    async fn frame(&mut self) -> Result<Frame, SourceError> {
        let Self(source, held) = self;
        while held.is_empty() {
            let until = tokio::time::Instant::now() + 3 * SECOND;
            while tokio::time::Instant::now() < until {
                let frame = source.frame().await?;
                held.push_back(if frame.is_video() { filled(frame, 33_000) } else { frame });
            }
        }
        Ok(held.pop_front().unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn pictures_that_come_in_bursts_are_all_recorded() {
    let seen = record(Bursts(ClipOpener::built_in(BuiltIn::Main)), 31 * SECOND).await;
    let segments = seen.segments();
    assert!(segments.iter().map(|s| s.bytes).sum::<u64>() > 11 << 20);
    all_there(&segments);
}

fn all_there(segments: &[Segment]) {
    for pair in segments.windows(2) {
        assert!(!pair[1].discontinuity, "{}", pair[1].number);
        let gap = start(&pair[1]).abs_diff(start(&pair[0]) + pair[0].duration);
        assert!(gap < Duration::from_millis(1), "{}: {gap:?}", pair[1].number);
    }
}

/// A 4K camera with key frames of 1.2 MB, pictures of 40 KB between them, and some jitter.
struct Large(ClipOpener);

struct LargeSource(Box<dyn FrameSource>, u64);

#[async_trait]
impl Opener for Large {
    async fn open(&self) -> Result<Box<dyn FrameSource>, SourceError> {
        Ok(Box::new(LargeSource(self.0.open().await?, 0)))
    }
}

#[async_trait]
impl FrameSource for LargeSource {
    async fn frame(&mut self) -> Result<Frame, SourceError> {
        let frame = self.0.frame().await?;
        self.1 += 1;
        sleep(Duration::from_millis(self.1 * 37 % 60)).await;
        Ok(match (frame.is_video(), frame.key) {
            (true, true) => filled(frame, 1_200_000),
            (true, false) => filled(frame, 40_000),
            _ => frame,
        })
    }
}

#[tokio::test(start_paused = true)]
async fn key_frames_larger_than_the_ring_cost_no_picture() {
    let most = Reserve::new(1 << 40);
    for reserve in [None, Some(Reserve::new(600 << 10)), Some(most)] {
        let camera = Large(ClipOpener::built_in(BuiltIn::Main));
        let config = PullConfig { reserve: reserve.clone(), ..PullConfig::default() };
        let segments = record_with(config, 0, camera, 41 * SECOND).await.segments();
        let recorded = start(segments.last().unwrap()) + segments.last().unwrap().duration;
        assert!(recorded.abs_diff(41 * SECOND) < SECOND / 2, "{recorded:?}");
        assert!(segments.iter().map(|s| s.bytes).sum::<u64>() > 40 << 20);
        all_there(&segments);
    }
}

/// The warnings of this program so far that say `what`.
fn warnings(what: &str) -> usize {
    struct Lines(Mutex<Vec<String>>);
    impl log::Log for Lines {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }
        fn log(&self, record: &log::Record<'_>) {
            if record.level() == log::Level::Warn {
                self.0.lock().unwrap().push(record.args().to_string());
            }
        }
        fn flush(&self) {}
    }
    static LINES: Lines = Lines(Mutex::new(Vec::new()));
    // The first call installs the logger.
    if log::set_logger(&LINES).is_ok() {
        log::set_max_level(log::LevelFilter::Warn);
    }
    LINES.0.lock().unwrap().iter().filter(|line| line.contains(what)).count()
}

#[tokio::test(start_paused = true)]
async fn segments_smaller_than_a_group_are_told_once() {
    let what = "channel 77: segments of a recording are cut between key frames";
    assert_eq!(warnings(what), 0);
    let pull = Pull::new(Arc::new(ClipOpener::built_in(BuiltIn::Main)), PullConfig::default());
    let mut input = pull.subscribe(hub::Start::Live);
    let Some(Item::Frame(first)) = input.next().await else { panic!("no frame") };
    let limits = Limits { duration: 2 * SECOND, max_bytes: 8 << 10 };
    let recorder = Recorder::new(77, limits, &first, 0, false);
    let (stop, through) = (sleep(20 * SECOND), watch::Sender::default());
    let recorded = recorder.run(Item::Frame(first), input, pull.state(), stop, through);
    let ends = recorded.filter(|recorded| std::future::ready(matches!(recorded, Recorded::End(_))));
    assert!(ends.count().await > 20, "they are cut all the same");
    assert_eq!(warnings(what), 1);
}
