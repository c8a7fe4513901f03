use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use async_trait::async_trait;
use tokio::time::{Instant as TokioInstant, timeout};

use super::*;
use crate::frame::Frame;
use crate::hub::Item;
use crate::source::{FrameSource, Losses};
use crate::testing::{picture, sound};

const SECOND: Duration = Duration::from_secs(1);

/// A camera with 10 pictures a second, one of them a key frame, that can be switched off.
#[derive(Default)]
struct Camera {
    opened: AtomicUsize,
    open_now: AtomicUsize,
    off: watch::Sender<bool>,
}

struct Running {
    camera: Arc<Camera>,
    number: i64,
}

fn unreachable() -> SourceError {
    SourceError::Unreachable { peer: "camera".into(), reason: "switched off".into() }
}

#[async_trait]
impl Opener for Arc<Camera> {
    async fn open(&self) -> Result<Box<dyn FrameSource>, SourceError> {
        self.opened.fetch_add(1, Relaxed);
        if *self.off.borrow() {
            return Err(unreachable());
        }
        self.open_now.fetch_add(1, Relaxed);
        Ok(Box::new(Running { camera: Arc::clone(self), number: 0 }))
    }
}

#[async_trait]
impl FrameSource for Running {
    async fn frame(&mut self) -> Result<Frame, SourceError> {
        sleep(SECOND / 10).await;
        if *self.camera.off.borrow() {
            return Err(unreachable());
        }
        let n = self.number;
        self.number += 1;
        Ok(picture(n % 10 == 0, n * 9000, 1000, now()))
    }

    fn losses(&self) -> Losses {
        Losses { frames: 2, ..Losses::default() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.camera.open_now.fetch_sub(1, Relaxed);
    }
}

fn pull() -> (Arc<Camera>, Arc<Pull>) {
    let camera = Arc::new(Camera::default());
    let pull = Pull::new(Arc::new(Arc::clone(&camera)), PullConfig::default());
    (camera, pull)
}

async fn frame(subscription: &mut Subscription) -> Arc<Frame> {
    match timeout(60 * SECOND, subscription.next()).await.expect("a frame in time") {
        Some(Item::Frame(frame)) => frame,
        other => panic!("want a frame, got {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn one_camera_connection_serves_every_reader() {
    let (camera, pull) = pull();
    assert!(matches!(*pull.state().borrow(), PullState::Idle));
    let mut first = pull.subscribe(Start::Live);
    assert!(frame(&mut first).await.key);
    let mut second = pull.subscribe(Start::LastKey);
    assert_eq!(frame(&mut second).await.dts, frame(&mut pull.subscribe(Start::LastKey)).await.dts);
    assert_eq!(camera.opened.load(Relaxed), 1);
    assert!(matches!(*pull.state().borrow(), PullState::Live));
}

#[tokio::test(start_paused = true)]
async fn stream_lingers_after_the_last_reader_and_then_closes_and_empties() {
    let (camera, pull) = pull();
    let mut reader = pull.subscribe(Start::Live);
    frame(&mut reader).await;
    drop(reader);
    sleep(4 * SECOND).await;
    assert_eq!(camera.open_now.load(Relaxed), 1);
    drop(pull.subscribe(Start::Live));
    sleep(4 * SECOND).await;
    assert_eq!(camera.open_now.load(Relaxed), 1, "a visit begins the lingering anew");
    sleep(2 * SECOND).await;
    assert_eq!(camera.open_now.load(Relaxed), 0);
    assert_eq!(pull.shared.hub.held_bytes(), 0);
    assert!(matches!(*pull.state().borrow(), PullState::Idle));
    frame(&mut pull.subscribe(Start::LastKey)).await;
    assert_eq!(camera.opened.load(Relaxed), 2);
}

/// How long after its loss a stream that lived for `seconds` is opened again.
async fn opened_again_after(seconds: u32) -> Duration {
    let (camera, pull) = pull();
    let mut reader = pull.subscribe(Start::Live);
    frame(&mut reader).await;
    sleep(seconds * SECOND).await;
    camera.off.send_replace(true);
    pull.state().wait_for(|state| matches!(state, PullState::Failed(_))).await.unwrap();
    let lost = TokioInstant::now();
    while camera.opened.load(Relaxed) == 1 {
        sleep(SECOND / 100).await;
    }
    lost.elapsed()
}

#[tokio::test(start_paused = true)]
async fn only_an_established_stream_that_is_lost_is_opened_again_at_once() {
    assert!(opened_again_after(10).await <= SECOND / 50);
    assert!(opened_again_after(1).await >= SECOND / 5, "the camera may be in trouble");
}

#[tokio::test(start_paused = true)]
async fn warm_ring_runs_without_a_reader() {
    let (camera, pull) = pull();
    pull.keep_warm(true);
    sleep(20 * SECOND).await;
    let old = frame(&mut pull.subscribe(Start::Back(5 * SECOND))).await;
    assert!(now().duration_since(old.received) >= 5 * SECOND);
    pull.keep_warm(false);
    sleep(6 * SECOND).await;
    assert_eq!(camera.open_now.load(Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn rebooted_camera_is_back_within_ten_seconds_on_a_continued_timeline() {
    let (camera, pull) = pull();
    let mut reader = pull.subscribe(Start::Live);
    for _ in 0..30 {
        frame(&mut reader).await;
    }
    let before = frame(&mut reader).await;
    camera.off.send_replace(true);
    sleep(90 * SECOND).await;
    assert!(matches!(*pull.state().borrow(), PullState::Failed(_)));
    camera.off.send_replace(false);
    let back = TokioInstant::now();
    let after = frame(&mut reader).await;
    assert!(back.elapsed() <= 10 * SECOND, "back after {:?}", back.elapsed());
    assert!(after.key && after.discontinuity);
    let gap = after.received - before.received;
    assert_eq!(after.dts - before.dts, crate::frame::duration_to_ticks(gap));
    assert!(!frame(&mut reader).await.discontinuity);
    assert!(matches!(*pull.state().borrow(), PullState::Live));
    let stats = pull.stats();
    assert!(stats.reconnects >= 10 && stats.last_error.is_some(), "{stats:?}");
    assert_eq!(stats.drops, 4, "those of both sources");
}

#[tokio::test(start_paused = true)]
async fn stream_that_is_reopened_goes_on_for_its_readers_with_a_gap() {
    let (camera, pull) = pull();
    pull.reopen();
    let mut reader = pull.subscribe(Start::Live);
    frame(&mut reader).await;
    let before = frame(&mut reader).await;
    assert_eq!(camera.opened.load(Relaxed), 1, "nobody wanted it");
    let asked = TokioInstant::now();
    pull.reopen();
    let after = frame(&mut reader).await;
    assert!(after.key && after.discontinuity && after.dts > before.dts);
    assert!(asked.elapsed() <= SECOND / 5, "{:?}", asked.elapsed());
    assert_eq!((camera.opened.load(Relaxed), camera.open_now.load(Relaxed)), (2, 1));
    assert!(matches!(*pull.state().borrow(), PullState::Live));
}

#[tokio::test(start_paused = true)]
async fn reopening_does_not_wait_for_the_next_try() {
    let (camera, pull) = pull();
    camera.off.send_replace(true);
    let mut reader = pull.subscribe(Start::Live);
    sleep(60 * SECOND).await;
    let tries = camera.opened.load(Relaxed);
    camera.off.send_replace(false);
    pull.reopen();
    let asked = TokioInstant::now();
    frame(&mut reader).await;
    assert!(asked.elapsed() <= SECOND / 5, "{:?}", asked.elapsed());
    assert_eq!(camera.opened.load(Relaxed), tries + 1);
}

#[tokio::test(start_paused = true)]
async fn reader_of_a_dead_camera_is_not_given_its_last_picture() {
    let (camera, pull) = pull();
    let mut reader = pull.subscribe(Start::Live);
    frame(&mut reader).await;
    camera.off.send_replace(true);
    sleep(SECOND).await;
    assert!(pull.subscribe(Start::LastKey).try_next().is_none());
    assert!(pull.subscribe(Start::Back(SECOND)).try_next().is_some(), "the past is the past");
}

/// A camera that sends a key frame every 30 s and is opened between two of them.
struct Distant {
    number: i64,
}

#[async_trait]
impl Opener for () {
    async fn open(&self) -> Result<Box<dyn FrameSource>, SourceError> {
        Ok(Box::new(Distant { number: 1 }))
    }
}

#[async_trait]
impl FrameSource for Distant {
    async fn arriving(&mut self) -> Result<(), SourceError> {
        sleep(SECOND).await;
        Ok(())
    }

    async fn frame(&mut self) -> Result<Frame, SourceError> {
        sleep(SECOND / 10).await;
        let n = self.number;
        self.number += 1;
        match n {
            950.. => Err(unreachable()),
            n => Ok(picture(n % 300 == 0, n * 9000, 1000, now())),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_far_key_frame_delays_the_picture_and_nothing_else() {
    let pull = Pull::new(Arc::new(()), PullConfig::default());
    let start = TokioInstant::now();
    let mut reader = pull.subscribe(Start::LastKey);
    let before = pull.stats();
    pull.state().wait_for(|state| matches!(state, PullState::Live)).await.unwrap();
    assert_eq!(start.elapsed(), SECOND, "live when it arrives");
    sleep(3 * SECOND).await;
    assert_eq!(pull.stats().mean_bitrate_since(&before), Some(82_857), "29 frames, 28 steps");
    let first = frame(&mut reader).await;
    assert!(first.key && start.elapsed() > 30 * SECOND);
    // The next source begins between two key frames, too, and gives nothing before the next one.
    let mut last = first.dts;
    loop {
        let next = frame(&mut reader).await;
        if next.dts - last > 90_000 {
            assert!(next.key && next.discontinuity);
            break;
        }
        last = next.dts;
    }
}

#[tokio::test(start_paused = true)]
async fn numbers_follow_the_stream() {
    let (_camera, pull) = pull();
    let mut reader = pull.subscribe(Start::Live);
    frame(&mut reader).await;
    let start = pull.stats();
    sleep(10 * SECOND).await;
    let stats = pull.stats();
    assert_eq!((stats.bitrate, stats.fps), (80_000, 10.0));
    assert_eq!(stats.mean_bitrate_since(&start), Some(80_000));
    assert_eq!(start.mean_bitrate_since(&start), None);
    pull.stop().await;
    sleep(10 * SECOND).await;
    assert_eq!(pull.stats().bitrate, 0);
}

#[tokio::test(start_paused = true)]
async fn stop_and_drop_release_the_camera_and_end_readers() {
    let (camera, pull) = pull();
    let mut reader = pull.subscribe(Start::Live);
    frame(&mut reader).await;
    pull.stop().await;
    assert_eq!(camera.open_now.load(Relaxed), 0);
    while reader.next().await.is_some() {}
    assert!(pull.subscribe(Start::Live).next().await.is_none());
    assert_eq!(camera.opened.load(Relaxed), 1, "stopped for good");

    let (camera, pull) = self::pull();
    let mut reader = pull.subscribe(Start::Live);
    frame(&mut reader).await;
    drop(pull);
    while reader.next().await.is_some() {}
    sleep(SECOND).await;
    assert_eq!(camera.open_now.load(Relaxed), 0);
}

/// Collects the log lines of these tests' streams.
struct Lines(Mutex<Vec<String>>);

impl log::Log for Lines {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        if record.level() == log::Level::Warn {
            lock(&self.0).push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}

/// The warnings about the stream of this name, without the name.
fn warnings(name: &str) -> Vec<String> {
    static LINES: Lines = Lines(Mutex::new(Vec::new()));
    // The first test that comes here installs the logger.
    if log::set_logger(&LINES).is_ok() {
        log::set_max_level(log::LevelFilter::Warn);
    }
    let lines = lock(&LINES.0);
    let of = |line: &String| Some(line.strip_prefix(name)?.strip_prefix(": ")?.to_owned());
    lines.iter().filter_map(of).collect()
}

/// A camera at 10 fps that sends its first key frame at the given picture, loses a packet a second,
/// and is gone after 30 s.
struct Poor {
    key: i64,
    number: i64,
}

#[async_trait]
impl Opener for i64 {
    async fn open(&self) -> Result<Box<dyn FrameSource>, SourceError> {
        Ok(Box::new(Poor { key: *self, number: 0 }))
    }

    fn awaits(&self) -> Option<String> {
        Some("packets come, but no key frame".into())
    }
}

#[async_trait]
impl FrameSource for Poor {
    async fn frame(&mut self) -> Result<Frame, SourceError> {
        sleep(SECOND / 10).await;
        let n = self.number;
        self.number += 1;
        match n {
            300.. => Err(unreachable()),
            n => Ok(picture(n == self.key, n * 9000, 1000, now())),
        }
    }

    fn losses(&self) -> Losses {
        let packets = self.number as u64 / 10;
        Losses { packets, skipped: 1, ..Losses::default() }
    }
}

fn named(name: &str, opener: impl Opener + 'static) -> Arc<Pull> {
    warnings(name);
    Pull::new(Arc::new(opener), PullConfig { name: name.into(), ..PullConfig::default() })
}

#[tokio::test(start_paused = true)]
async fn a_camera_that_sends_no_picture_is_told_of_with_what_it_is_waited_for() {
    let pull = named("no picture", i64::MAX);
    assert_eq!(pull.awaits().as_deref(), Some("packets come, but no key frame"));
    let told = || {
        let about = |line: &String| line.starts_with("no picture 10 s after opening");
        warnings("no picture").into_iter().filter(about).collect::<Vec<_>>()
    };
    let _reader = pull.subscribe(Start::Live);
    sleep(9 * SECOND).await;
    assert!(told().is_empty());
    sleep(2 * SECOND).await;
    let [line] = &told()[..] else { panic!("{:?}", told()) };
    assert!(line.contains("after opening: packets come, but no key frame; "), "{line}");
    sleep(120 * SECOND).await;
    assert!(pull.stats().reconnects > 2);
    assert_eq!(told().len(), 1, "again and again is no news");

    let pull = named("late picture", 120);
    let _reader = pull.subscribe(Start::Live);
    sleep(15 * SECOND).await;
    let before = warnings("late picture").len();
    sleep(29 * SECOND).await;
    let told = warnings("late picture").split_off(before);
    let again = told.iter().filter(|line| line.starts_with("no picture")).count();
    assert_eq!(again, 1, "a picture came between: {told:?}");
}

#[tokio::test(start_paused = true)]
async fn lost_packets_are_told_of_and_counted() {
    let pull = named("lossy", 0);
    let _reader = pull.subscribe(Start::Live);
    sleep(185 * SECOND).await;
    let told = warnings("lossy");
    let told: Vec<_> = told.iter().filter(|line| line.contains("packets are lost")).collect();
    assert!((3..=4).contains(&told.len()), "{told:?}");
    assert!(
        told[0].starts_with("the camera's packets are lost: 11 in the last 10 s; "),
        "{told:?}"
    );
    let stats = pull.stats();
    assert!((140..=185).contains(&stats.packets_lost), "{stats:?}");
    assert!((40..=60).contains(&stats.packets_lost_per_minute), "{stats:?}");
    assert!(stats.packets_skipped > 1, "of all sources: {stats:?}");
    assert!(warnings("stream").iter().all(|line| !line.contains("packets are lost")));
}

/// A camera whose frames come at the listed milliseconds, and then no more.
struct Timetable(Vec<(u64, bool)>);

struct Timed {
    opened: TokioInstant,
    rest: std::vec::IntoIter<(u64, bool)>,
    is_first: bool,
}

#[async_trait]
impl Opener for Timetable {
    async fn open(&self) -> Result<Box<dyn FrameSource>, SourceError> {
        let rest = self.0.clone().into_iter();
        Ok(Box::new(Timed { opened: TokioInstant::now(), rest, is_first: true }))
    }
}

#[async_trait]
impl FrameSource for Timed {
    async fn frame(&mut self) -> Result<Frame, SourceError> {
        let Some((at, is_picture)) = self.rest.next() else {
            return std::future::pending().await;
        };
        tokio::time::sleep_until(self.opened + Duration::from_millis(at)).await;
        let dts = at as i64 * 90;
        let is_first = std::mem::take(&mut self.is_first);
        Ok(if is_picture { picture(is_first, dts, 1000, now()) } else { sound(dts, now()) })
    }
}

const PICTURE: bool = true;
const SOUND: bool = false;

/// The milliseconds at which a waiting reader had each frame, and whether it was a picture.
async fn timetable(frames: &[(u64, bool)]) -> Vec<(u64, bool)> {
    let pull = Pull::new(Arc::new(Timetable(frames.to_vec())), PullConfig::default());
    let mut reader = pull.subscribe(Start::Live);
    let opened = TokioInstant::now();
    let mut read = Vec::new();
    while read.len() < frames.len() {
        let frame = frame(&mut reader).await;
        read.push((opened.elapsed().as_millis() as u64, frame.is_video()));
    }
    read
}

#[tokio::test(start_paused = true)]
async fn sound_reaches_a_waiting_reader_with_the_next_picture() {
    let frames = [(10, PICTURE), (50, PICTURE), (60, SOUND), (80, SOUND), (90, PICTURE)];
    let read = timetable(&frames).await;
    assert_eq!(read, [(10, PICTURE), (50, PICTURE), (90, SOUND), (90, SOUND), (90, PICTURE)]);
}

#[tokio::test(start_paused = true)]
async fn sound_waits_at_most_forty_milliseconds_for_a_picture_that_is_late() {
    let frames = [(10, PICTURE), (50, PICTURE), (60, SOUND), (500, PICTURE), (1000, SOUND)];
    let read = timetable(&frames).await;
    assert_eq!(read[..2], frames[..2]);
    assert!(matches!(read[2], (100..=101, SOUND)), "{read:?}");
    assert_eq!(read[3..], frames[3..]);
}

#[tokio::test(start_paused = true)]
async fn sound_without_pictures_nearby_is_not_delayed() {
    let frames = [(10, PICTURE), (210, PICTURE), (230, SOUND), (294, SOUND), (410, PICTURE)];
    assert_eq!(timetable(&frames).await, frames);
}

#[tokio::test(start_paused = true)]
async fn a_stream_counts_as_live_while_it_is_read() {
    let streams: &'static Streams = Box::leak(Box::default());
    let camera = Arc::new(Camera::default());
    let opener = Arc::new(Arc::clone(&camera));
    let pull = Pull::counted_in(streams, opener, PullConfig::default());
    assert_eq!(streams.live(), 0);
    let mut reader = pull.subscribe(Start::Live);
    frame(&mut reader).await;
    let mut second = pull.subscribe(Start::LastKey);
    frame(&mut second).await;
    assert_eq!(streams.live(), 1, "two readers of one stream");
    camera.off.send_replace(true);
    sleep(SECOND).await;
    assert_eq!(streams.live(), 0, "the camera is gone");
    camera.off.send_replace(false);
    sleep(10 * SECOND).await;
    assert_eq!(streams.live(), 1);
    drop((reader, second));
    sleep(6 * SECOND).await;
    assert_eq!(streams.live(), 0, "nobody reads it");
    let _reader = pull.subscribe(Start::Live);
    sleep(SECOND).await;
    assert_eq!(streams.live(), 1);
    pull.stop().await;
    assert_eq!(streams.live(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_camera_that_is_away_hurries_nobody_again_and_again() {
    let streams: &'static Streams = Box::leak(Box::default());
    let camera = Arc::new(Camera::default());
    let opener = Arc::new(Arc::clone(&camera));
    let pull = Pull::counted_in(streams, opener, PullConfig::default());
    let mut reader = pull.subscribe(Start::Live);
    frame(&mut reader).await;
    assert_eq!(streams.begun(), 1);
    camera.off.send_replace(true);
    sleep(60 * SECOND).await;
    assert_eq!(streams.begun(), 2, "only the first try after the loss");
    camera.off.send_replace(false);
    sleep(10 * SECOND).await;
    camera.off.send_replace(true);
    sleep(60 * SECOND).await;
    assert_eq!(streams.begun(), 3);
}
