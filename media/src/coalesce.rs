//! Lets what cameras send gather before the thread reads it.
//!
//! A wake-up costs more than the packet it is for. Before the thread goes to sleep in the poller, it
//! pauses in two cases:
//!
//! - A source holds part of a frame: the camera writes packet by packet, and the rest is on its way.
//! - Many streams are live: [`WINDOW`], or [`DATAGRAM_WINDOW`] while a camera sends datagrams, lies
//!   between two looks into the poller, so that the frames of many streams are read at one wake-up.
//!   Nothing is late by more than the window.
//!
//! The program installs it:
//!
//! ```
//! use ivt_media::coalesce::Gather;
//!
//! let gather = Gather::default();
//! let runtime = tokio::runtime::Builder::new_current_thread()
//!     .enable_all()
//!     .on_thread_park(move || gather.before_park())
//!     .build();
//! # runtime.unwrap();
//! ```
//!
//! Trap: the pause blocks the thread with everything on it. Timers and other connections are late
//! by up to the pause, so it is bounded.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Longest pause, whatever was asked for.
pub const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// The window, which is the time from one look into the poller to the next while many streams are
/// live.
pub const WINDOW: Duration = Duration::from_millis(20);
/// The window while a camera sends datagrams. A socket for datagrams holds less than a TCP connection,
/// and what does not fit is lost. 5 ms at 100 Mbit/s are 62 KB; kernels give 160 KiB and more.
pub const DATAGRAM_WINDOW: Duration = Duration::from_millis(5);
/// Number of live streams from which reads are gathered.
pub const MANY: usize = 4;
/// Number of live streams at which gathering ends. It is below [`MANY`], so that one camera that
/// reconnects does not end it.
const FEW: usize = 2;
/// How long a pause waits for the rest of a frame.
const MID_FRAME: Duration = Duration::from_millis(1);
/// How long nothing is gathered after a connection is begun, since making one takes many wake-ups.
const HURRY: Duration = Duration::from_millis(500);

static STREAMS: Streams = Streams::new();

thread_local! {
    static IS_MID_FRAME: Cell<bool> = const { Cell::new(false) };
    static RHYTHM: RefCell<Rhythm> = RefCell::default();
}

/// How long reads are gathered on a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gather {
    /// [`WINDOW`], or [`DATAGRAM_WINDOW`] while a camera sends datagrams, from [`MANY`] live streams
    /// on. Reads of fewer streams are not gathered.
    #[default]
    ByStreams,
    /// This window however many streams are live, at most [`LONGEST_PAUSE`]; zero turns gathering
    /// off.
    For(Duration),
}

impl Gather {
    /// The hook for the runtime's `on_thread_park`.
    pub fn before_park(self) {
        let is_mid_frame = IS_MID_FRAME.replace(false);
        RHYTHM.with_borrow_mut(|rhythm| {
            let now = Instant::now();
            let window = rhythm.window(self, &STREAMS, now);
            let pause = window.map_or(Duration::ZERO, |window| rhythm.pause(window, now));
            let pause = if is_mid_frame { pause.max(MID_FRAME) } else { pause };
            if !pause.is_zero() {
                std::thread::sleep(pause);
            }
        });
    }
}

/// Says that a source on this thread holds part of a frame and waits for the rest.
pub fn hint_mid_frame() {
    IS_MID_FRAME.set(true);
}

/// Counts the live streams of a program.
#[derive(Debug)]
pub struct Streams {
    /// Number of streams that are being read.
    live: AtomicUsize,
    /// Number of sessions that take datagrams.
    datagrams: AtomicUsize,
    /// Number of connections begun so far; wraps.
    begun: AtomicUsize,
}

impl Streams {
    /// A separate count, for tests.
    pub const fn new() -> Self {
        let (live, datagrams) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { live, datagrams, begun: AtomicUsize::new(0) }
    }

    /// The streams that [`Gather`] counts.
    pub fn of_program() -> &'static Self {
        &STREAMS
    }

    /// Number of streams that are being read.
    pub fn live(&self) -> usize {
        self.live.load(Relaxed)
    }

    /// Counts a stream as being read until the guard is dropped.
    pub fn enter(&self) -> Counted<'_> {
        Counted::new(&self.live)
    }

    /// Counts a session that takes datagrams until the guard is dropped.
    pub fn take_datagrams(&self) -> Counted<'_> {
        Counted::new(&self.datagrams)
    }

    /// Number of connections begun so far; wraps.
    #[cfg(test)]
    pub(crate) fn begun(&self) -> usize {
        self.begun.load(Relaxed)
    }

    /// Says that a connection is about to be made: nothing is gathered for half a second.
    pub fn hurry(&self) {
        self.begun.fetch_add(1, Relaxed);
    }
}

impl Default for Streams {
    fn default() -> Self {
        Self::new()
    }
}

/// Counts a stream, or a session that takes datagrams, until dropped.
#[derive(Debug)]
pub struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Relaxed);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// What a thread remembers of its pauses.
#[derive(Debug, Default)]
struct Rhythm {
    is_crowded: bool,
    /// The count of connections begun when this thread parked last.
    begun: usize,
    /// Nothing is gathered until this moment, since a connection is being made.
    hurries_until: Option<Instant>,
    /// When the thread looked into the poller last.
    looked: Option<Instant>,
}

impl Rhythm {
    /// How long reads are gathered now; `None` if they are not gathered.
    fn window(&mut self, gather: Gather, streams: &Streams, now: Instant) -> Option<Duration> {
        match gather {
            Gather::For(window) => return (!window.is_zero()).then_some(window.min(LONGEST_PAUSE)),
            Gather::ByStreams => {}
        }
        let live = streams.live();
        self.is_crowded = live >= MANY || self.is_crowded && live > FEW;
        if !self.is_crowded {
            return None;
        }
        let begun = streams.begun.load(Relaxed);
        if begun != self.begun {
            self.begun = begun;
            self.hurries_until = Some(now + HURRY);
        } else if self.hurries_until.is_some_and(|until| until <= now) {
            self.hurries_until = None;
        }
        let window = if streams.datagrams.load(Relaxed) > 0 { DATAGRAM_WINDOW } else { WINDOW };
        self.hurries_until.is_none().then_some(window)
    }

    /// What is left of the window since the thread looked last.
    fn pause(&mut self, window: Duration, now: Instant) -> Duration {
        let looked = self.looked.map(|looked| now.saturating_duration_since(looked));
        let pause = window.saturating_sub(looked.unwrap_or_default());
        self.looked = Some(now + pause);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// A thread with its clock, and the streams of its program.
    struct Nvr {
        rhythm: Rhythm,
        streams: &'static Streams,
        live: Vec<Counted<'static>>,
        now: Instant,
    }

    impl Nvr {
        fn new() -> Self {
            let streams = Box::leak(Box::new(Streams::new()));
            Self { rhythm: Rhythm::default(), streams, live: Vec::new(), now: Instant::now() }
        }

        fn window(&mut self, gather: Gather) -> Option<Duration> {
            self.rhythm.window(gather, self.streams, self.now)
        }

        /// The window while so many streams are live.
        fn with(&mut self, live: usize) -> Option<Duration> {
            self.live.resize_with(live, || self.streams.enter());
            self.window(Gather::ByStreams)
        }
    }

    #[test]
    fn reads_are_gathered_from_four_live_streams_on() {
        let mut nvr = Nvr::new();
        assert_eq!([0, 1, 3].map(|live| nvr.with(live)), [None; 3]);
        assert_eq!([4, 32].map(|live| nvr.with(live)), [Some(WINDOW); 2]);
    }

    #[test]
    fn a_camera_that_comes_and_goes_does_not_end_the_gathering() {
        let mut nvr = Nvr::new();
        assert_eq!([4, 3, 4, 3].map(|live| nvr.with(live)), [Some(WINDOW); 4]);
        assert_eq!([2, 3, 2].map(|live| nvr.with(live)), [None; 3]);
        assert_eq!(nvr.with(4), Some(WINDOW));
    }

    #[test]
    fn datagrams_are_gathered_for_a_shorter_time() {
        let mut nvr = Nvr::new();
        let camera = nvr.streams.take_datagrams();
        assert_eq!([3, 4].map(|live| nvr.with(live)), [None, Some(DATAGRAM_WINDOW)]);
        drop(camera);
        assert_eq!(nvr.with(4), Some(WINDOW));
    }

    #[test]
    fn a_setting_overrides_the_number_of_streams() {
        let mut nvr = Nvr::new();
        assert_eq!(nvr.window(Gather::For(5 * MS)), Some(5 * MS));
        assert_eq!(nvr.window(Gather::For(3_600_000 * MS)), Some(LONGEST_PAUSE));
        nvr.with(16);
        nvr.streams.hurry();
        assert_eq!(nvr.window(Gather::For(5 * MS)), Some(5 * MS));
        assert_eq!(nvr.window(Gather::For(Duration::ZERO)), None);
    }

    #[test]
    fn nothing_is_gathered_while_a_connection_is_made_and_for_no_longer() {
        let mut nvr = Nvr::new();
        assert_eq!(nvr.with(8), Some(WINDOW));
        nvr.streams.hurry();
        for _ in 0..10 {
            assert_eq!(nvr.with(8), None);
            nvr.now += HURRY / 10;
        }
        assert_eq!([nvr.with(8), nvr.with(8)], [Some(WINDOW); 2]);
    }

    #[test]
    fn a_connection_made_before_there_were_many_streams_holds_nothing_up_for_long() {
        let mut nvr = Nvr::new();
        nvr.streams.hurry();
        nvr.with(4);
        nvr.now += HURRY;
        assert_eq!(nvr.with(4), Some(WINDOW));
    }

    #[test]
    fn looks_are_a_window_apart_however_long_the_work_took() {
        let (mut rhythm, start) = (Rhythm::default(), Instant::now());
        assert_eq!(rhythm.pause(20 * MS, start), 20 * MS);
        // The thread looked into the poller at 20 ms and worked for 5 ms.
        assert_eq!(rhythm.pause(20 * MS, start + 25 * MS), 15 * MS);
        // The thread slept and worked beyond the window, so what came meanwhile is read at once.
        assert_eq!(rhythm.pause(20 * MS, start + 90 * MS), Duration::ZERO);
        assert_eq!(rhythm.pause(20 * MS, start + 92 * MS), 18 * MS);
    }

    #[test]
    fn a_hint_is_spent_by_the_next_park() {
        let before = Instant::now();
        hint_mid_frame();
        Gather::For(Duration::ZERO).before_park();
        assert!(before.elapsed() >= MID_FRAME);
        assert!(!IS_MID_FRAME.get());
    }

    #[test]
    fn runtime_parks_through_the_hook() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .on_thread_park(|| Gather::For(20 * MS).before_park())
            .build()
            .unwrap();
        let before = Instant::now();
        runtime.block_on(async { tokio::time::sleep(MS).await });
        assert!(before.elapsed() >= 20 * MS);
    }
}
