//! SyncTime: sets the clocks of the cameras, beside the events that follow.
//!
//! Nobody vouches for the time that the cloud tells, so that it moves a clock by a day at most, unless the clock was
//! never set. Timers of the agent know nothing of any of these clocks; with the backend `"linux"` certificates and the
//! expiry of firmware are judged by the one that is set here.

#[cfg(feature = "ui")]
mod by_hand;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;
use ivt_hal::{Clock, WallTime};
use ivt_proto::rpc::message::SyncTime;
use ivt_proto::rpc::{RpcError, Subject};
use tokio::time::Instant;

use super::events::Events;
use super::refusals::About;
use super::{told, unsupported};
use crate::build_date::BUILT;
use crate::config::ClockSteps;
use crate::reload::CurrentDevice;
#[cfg(feature = "ui")]
pub(crate) use by_hand::{ByHand, Wanted};

/// The method's name, for the log.
const METHOD: &str = "SyncTime";
/// How far a clock may be moved within [`DAY`], and how far a right clock may be behind the date of the build: a time
/// zone, and the builder's own clock, may be ahead. In seconds.
const MOST: u64 = 24 * 3600;
const DAY: Duration = Duration::from_secs(MOST);
/// Most cameras that are asked at a time.
const AT_ONCE: usize = 8;

/// Sets the clocks of a device's cameras, one SyncTime after the other.
pub(crate) struct Clocks {
    device: CurrentDevice,
    steps: ClockSteps,
    events: Arc<Events>,
    /// Told of each clock that was set.
    #[cfg(feature = "alarms")]
    alarms: Option<crate::alarm::Settings>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Whether cameras are being asked.
    running: bool,
    /// The newest event that came meanwhile.
    waiting: Option<Order>,
    /// How far the clocks were moved: those of a recorder's channels may be one.
    moved: Option<Moved>,
}

/// A SyncTime, and when it came.
#[derive(Clone)]
struct Order {
    sync: SyncTime,
    came: Instant,
}

/// How far the clocks were moved since the first step of the last [`DAY`], in seconds.
#[derive(Clone, Copy)]
struct Moved {
    since: Instant,
    by: i64,
}

/// What is to be done with a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Nothing: it is right within the offset.
    Keep,
    /// It is set; `by` is how far that moves it, in seconds, where it could be right before.
    Set { by: Option<i64> },
    /// Nothing: the time is before the date of the build.
    Early,
    /// Nothing: the step is too long.
    Long,
}

impl Clocks {
    pub(super) fn new(device: CurrentDevice, events: Arc<Events>) -> Self {
        Self {
            device,
            steps: ClockSteps::default(),
            events,
            #[cfg(feature = "alarms")]
            alarms: None,
            state: Mutex::default(),
        }
    }

    pub(super) fn with_steps(self, steps: ClockSteps) -> Self {
        Self { steps, ..self }
    }

    /// Tells `alarms` of each clock that was set: the hours of their arming are those of the cameras.
    #[cfg(feature = "alarms")]
    pub(super) fn telling(self, alarms: crate::alarm::Settings) -> Self {
        Self { alarms: Some(alarms), ..self }
    }

    /// Whether a camera has a clock.
    pub(super) fn any(&self) -> bool {
        self.device.now().channels.iter().any(|camera| camera.clock.is_some())
    }

    /// Begins to set the clocks. An event that comes while cameras are being asked waits, and takes the place of one
    /// that waits already.
    pub(super) fn sync(self: &Arc<Self>, sync: SyncTime) {
        let order = Order { sync, came: Instant::now() };
        {
            let mut state = self.lock();
            if state.running {
                if state.waiting.replace(order).is_some() {
                    self.events.replaced();
                }
                return;
            }
            state.running = true;
        }
        let clocks = self.clone();
        ivt_base::task::spawn(async move {
            let mut next = Some(order);
            while let Some(order) = next {
                clocks.serve(&order).await;
                let mut state = clocks.lock();
                next = state.waiting.take();
                state.running = next.is_some();
            }
        });
    }

    /// Sets all clocks and counts what became of the event.
    async fn serve(&self, order: &Order) {
        let (device, moved) = (self.device.now(), self.moved());
        let numbered = (0..).zip(&device.channels);
        let each: Vec<_> = numbered
            .filter_map(|(number, camera)| {
                Some(self.serve_one(number, camera.clock.clone()?, order, moved))
            })
            .collect();
        let done: Vec<_> = stream::iter(each).buffer_unordered(AT_ONCE).collect().await;
        if let Some(by) = done.iter().flatten().max_by_key(|by| by.unsigned_abs()) {
            self.note(*by);
        }
        self.events.count(true, &sum(done.into_iter().map(|done| done.map(drop)).collect()));
    }

    /// Sets the clock of a channel, and tells the log where that is refused. Returns by how many seconds it was moved,
    /// as [`set`](Self::set) does.
    async fn serve_one(
        &self,
        number: u32,
        clock: Arc<dyn Clock>,
        order: &Order,
        moved: i64,
    ) -> Result<i64, RpcError> {
        let done = self.set(number, &*clock, order, moved).await;
        let subject = Subject { channel: Some(number.into()), ..Subject::default() };
        let about = About { method: METHOD.to_owned(), subject };
        self.events.tell(&about, &done.clone().map(drop));
        done
    }

    /// Returns by how many seconds the clock was moved; 0 where it could not be right before.
    async fn set(
        &self,
        number: u32,
        clock: &dyn Clock,
        order: &Order,
        moved: i64,
    ) -> Result<i64, RpcError> {
        let shown = told(number, clock.now()).await?;
        let wanted = order.now();
        let by = match judge(shown, wanted, order.sync.offset, self.steps, moved) {
            Verdict::Keep => return Ok(0),
            Verdict::Set { by } => by,
            Verdict::Early => {
                return Err(refused(number, shown, wanted, "is before this program was made"));
            }
            Verdict::Long => {
                return Err(refused(
                    number,
                    shown,
                    wanted,
                    "moves it by more than 24 h within a day",
                ));
            }
        };
        let set = told(number, clock.set(order.now())).await;
        // One that did not answer may have been set.
        #[cfg(feature = "alarms")]
        if let Some(alarms) = &self.alarms {
            alarms.clock_was_set();
        }
        set?;
        log::info!("channel {number}: the camera's clock showed {shown} and was set to {wanted}");
        Ok(by.unwrap_or(0))
    }

    /// How far the clocks were moved within the last day, in seconds.
    fn moved(&self) -> i64 {
        let state = self.lock();
        state.moved.filter(|moved| moved.since.elapsed() < DAY).map_or(0, |moved| moved.by)
    }

    /// Notes that clocks were moved.
    fn note(&self, by: i64) {
        let mut state = self.lock();
        let within = state.moved.filter(|moved| moved.since.elapsed() < DAY);
        let moved = within.unwrap_or(Moved { since: Instant::now(), by: 0 });
        if by != 0 {
            state.moved = Some(Moved { by: moved.by.saturating_add(by), ..moved });
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Order {
    /// The time that the camera is to show now, as time went on since the event came.
    fn now(&self) -> WallTime {
        let told = self.sync.datetime;
        let later = told.seconds().and_then(|told| told.checked_add(self.came.elapsed().as_secs()));
        later.and_then(WallTime::from_seconds).unwrap_or(told)
    }
}

/// What is to be done with a clock that shows `shown` and was moved by `moved` seconds within a day.
fn judge(shown: WallTime, wanted: WallTime, offset: u64, steps: ClockSteps, moved: i64) -> Verdict {
    let by = seconds(wanted) - seconds(shown);
    if by.unsigned_abs() <= offset {
        return Verdict::Keep;
    }
    if steps == ClockSteps::Any {
        return Verdict::Set { by: None };
    }
    let never_set = early(shown);
    if early(wanted) {
        return Verdict::Early;
    }
    if !never_set && (by.unsigned_abs() > MOST || (by + moved).unsigned_abs() > MOST) {
        return Verdict::Long;
    }
    Verdict::Set { by: (!never_set).then_some(by) }
}

/// Whether a time is before the date of the build in every time zone.
fn early(time: WallTime) -> bool {
    seconds(time).saturating_add_unsigned(MOST) < seconds_of(BUILT)
}

/// The seconds since 1970; times before count as one moment.
fn seconds(time: WallTime) -> i64 {
    time.seconds().map_or(-1, seconds_of)
}

fn seconds_of(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

/// What became of an event, by what became of it at each camera.
fn sum(done: Vec<Result<(), RpcError>>) -> Result<(), RpcError> {
    if done.is_empty() {
        return Err(unsupported(METHOD));
    }
    let served = done.iter().any(Result::is_ok);
    let (unsupported, failed): (Vec<_>, Vec<_>) = done
        .into_iter()
        .filter_map(Result::err)
        .partition(|error| error.code == RpcError::UNSUPPORTED);
    match failed.into_iter().next() {
        Some(error) => Err(error),
        None if served => Ok(()),
        None => unsupported.into_iter().next().map_or(Ok(()), Err),
    }
}

fn refused(number: u32, shown: WallTime, wanted: WallTime, why: &str) -> RpcError {
    RpcError::internal(format!(
        "channel {number}: the camera's clock shows {shown}, and {wanted} {why}: set it at the camera, or allow any \
         step by device.clock_steps = \"any\""
    ))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use async_trait::async_trait;
    use ivt_hal::emulator::Emulator;
    use ivt_hal::{Channel, Device, Error, Kind, Model};
    use ivt_proto::rpc::message::Event;
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use tokio::time::{advance, sleep, timeout};

    use super::*;
    use crate::dispatch::testing::one;
    use crate::dispatch::{Dispatch, EventCounts};

    const HOUR: i64 = 3600;

    /// The moment so many seconds after the date of the build.
    fn built(later: i64) -> WallTime {
        WallTime::from_seconds(BUILT.saturating_add_signed(later)).unwrap()
    }

    fn at(text: &str) -> WallTime {
        text.parse().unwrap()
    }

    #[test]
    fn a_clock_is_moved_by_a_day_at_most_unless_it_was_never_set() {
        let year = 365 * 24 * HOUR;
        let set = |by| Verdict::Set { by };
        for (shown, wanted, offset, verdict) in [
            (built(year), built(year), 0, Verdict::Keep),
            (built(year), built(year + 5), 5, Verdict::Keep),
            (built(year), built(year - 5), 5, Verdict::Keep),
            (built(year), built(year + 6), 5, set(Some(6))),
            (built(year), built(year - 6), 5, set(Some(-6))),
            (built(year), built(year + 24 * HOUR), 5, set(Some(24 * HOUR))),
            (built(year), built(year - 24 * HOUR), 5, set(Some(-24 * HOUR))),
            (built(year), built(year + 24 * HOUR + 1), 5, Verdict::Long),
            (built(year), built(year - 24 * HOUR - 1), 5, Verdict::Long),
            (built(year), at("9999-12-31T23:59:59"), 5, Verdict::Long),
            (built(year), at("9999-12-31T23:59:59"), u64::MAX, Verdict::Keep),
            (built(year), at("1970-01-01T00:00:00"), 5, Verdict::Early),
            (built(year), at("0001-01-01T00:00:00"), 5, Verdict::Early),
            (built(0), built(-24 * HOUR), 5, set(Some(-24 * HOUR))),
            (built(-HOUR), built(-24 * HOUR - 1), 5, Verdict::Early),
            (at("1970-01-01T00:00:10"), built(year), 5, set(None)),
            (at("2000-01-01T00:00:10"), built(-HOUR), 5, set(None)),
            (at("0001-01-01T00:00:00"), built(year), 5, set(None)),
            (at("2000-01-01T00:00:10"), at("2001-01-01T00:00:10"), 5, Verdict::Early),
            (at("2000-01-01T00:00:10"), at("2000-01-01T00:00:12"), 5, Verdict::Keep),
        ] {
            let judged = judge(shown, wanted, offset, ClockSteps::Day, 0);
            assert_eq!(judged, verdict, "{shown} to {wanted} by {offset}");
            let any = judge(shown, wanted, offset, ClockSteps::Any, i64::MAX);
            let expected = if verdict == Verdict::Keep { verdict } else { set(None) };
            assert_eq!(any, expected, "{shown} to {wanted} by {offset}");
        }
    }

    /// A clock that answers late and counts how often it is set.
    #[derive(Default)]
    struct Slow {
        emulator: Emulator,
        delay: Duration,
        sets: AtomicU32,
        asked: AtomicU32,
        failing: Option<Kind>,
    }

    #[async_trait]
    impl Clock for Slow {
        async fn now(&self) -> ivt_hal::Result<WallTime> {
            self.asked.fetch_add(1, Relaxed);
            sleep(self.delay).await;
            match self.failing {
                Some(kind) => Err(Error::new("clock now", kind)),
                None => Clock::now(&self.emulator).await,
            }
        }

        async fn set(&self, time: WallTime) -> ivt_hal::Result<()> {
            self.sets.fetch_add(1, Relaxed);
            Clock::set(&self.emulator, time).await
        }
    }

    impl Slow {
        fn showing(time: WallTime) -> Self {
            let clock = Self::default();
            clock.emulator.world.set_clock(time).unwrap();
            clock
        }

        fn shows(&self) -> WallTime {
            self.emulator.world.clock().unwrap()
        }
    }

    fn params(datetime: impl ToString, offset: impl Into<Value>) -> Value {
        json!({ "datetime": datetime.to_string(), "offset": offset.into() })
    }

    async fn send(dispatch: &Dispatch, params: Value) {
        dispatch.event(Event::parse("SyncTime", Some(params))).await;
    }

    /// Waits until so many events were counted in all, and returns the counts.
    async fn counted(dispatch: &Dispatch, all: u64) -> EventCounts {
        let mut counts = dispatch.events();
        let done = |c: &EventCounts| c.served + c.unsupported + c.failed + c.replaced == all;
        let counts = timeout(Duration::from_secs(600), counts.wait_for(done));
        *counts.await.expect("events are counted").unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_is_set_when_it_differs_by_more_than_the_offset() {
        let camera = Arc::new(Slow::showing(built(HOUR)));
        let dispatch = one(|channel| channel.clock = Some(camera.clone()));
        send(&dispatch, params(built(HOUR + 5), 5)).await;
        assert_eq!(counted(&dispatch, 1).await.served, 1);
        assert_eq!(camera.sets.load(Relaxed), 0);
        send(&dispatch, params(built(HOUR + 6), 5)).await;
        assert_eq!(counted(&dispatch, 2).await.served, 2);
        assert_eq!((camera.sets.load(Relaxed), camera.shows()), (1, built(HOUR + 6)));
        send(&dispatch, params(built(48 * HOUR), 5)).await;
        assert_eq!(counted(&dispatch, 3).await.failed, 1);
        assert_eq!((camera.sets.load(Relaxed), camera.shows()), (1, built(HOUR + 6)));
    }

    #[tokio::test(start_paused = true)]
    async fn small_steps_do_not_add_up_to_a_long_one() {
        let camera = Arc::new(Slow::showing(built(HOUR)));
        let dispatch = one(|channel| channel.clock = Some(camera.clone()));
        for (hours, failed) in [(20, 0), (1, 0), (21, 0), (30, 1), (1, 1)] {
            send(&dispatch, params(built(hours * HOUR), 0)).await;
            let before = *dispatch.events().borrow();
            let counts = counted(&dispatch, before.served + before.failed + 1).await;
            assert_eq!(counts.failed, failed, "to {hours} h");
        }
        advance(DAY).await;
        send(&dispatch, params(built(45 * HOUR), 0)).await;
        counted(&dispatch, 6).await;
        assert_eq!(camera.shows(), built(45 * HOUR), "a day later it may move again");
    }

    #[cfg(feature = "alarms")]
    #[tokio::test(start_paused = true)]
    async fn alarms_are_told_of_each_clock_that_was_set() {
        let camera = Arc::new(Slow::showing(built(0)));
        let store = crate::state::StateStore::default();
        let alarms = crate::alarm::Settings::new(&crate::config::Alarm::default(), store);
        let clocks = alarms.clocks();
        let dispatch = one(|channel| channel.clock = Some(camera.clone()))
            .with_clocks(ClockSteps::Day, alarms);
        send(&dispatch, params(built(0), 5)).await;
        counted(&dispatch, 1).await;
        assert!(!clocks.has_changed().unwrap(), "it was right");
        send(&dispatch, params(built(3600), 5)).await;
        counted(&dispatch, 2).await;
        assert!(clocks.has_changed().unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_camera_holds_no_event_up_and_the_newest_time_wins() {
        let delay = Duration::from_secs(5);
        let camera = Arc::new(Slow { delay, ..Slow::showing(built(0)) });
        let dispatch = one(|channel| channel.clock = Some(camera.clone()));
        let began = Instant::now();
        for minutes in 1..=100 {
            send(&dispatch, params(built(minutes * 60), 0)).await;
        }
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        let counts = counted(&dispatch, 100).await;
        assert_eq!((counts.served, counts.replaced), (2, 98));
        assert_eq!((camera.asked.load(Relaxed), camera.sets.load(Relaxed)), (2, 2));
        assert_eq!(
            camera.shows(),
            built(100 * 60 + 10),
            "the time went on while the camera was asked"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn all_cameras_are_told_and_one_that_fails_is_counted() {
        let good = Arc::new(Slow::showing(built(0)));
        let with = |failing| Arc::new(Slow { failing: Some(failing), ..Slow::showing(built(0)) });
        for (others, served, unsupported, failed) in [
            (vec![], 1, 0, 0),
            (vec![with(Kind::Unsupported)], 1, 0, 0),
            (vec![with(Kind::Offline), with(Kind::Unsupported)], 0, 0, 1),
            (vec![Arc::new(Slow { delay: DAY, ..Slow::default() })], 0, 0, 1),
        ] {
            good.emulator.world.set_clock(built(0)).unwrap();
            let mut clocks = others.clone();
            clocks.push(good.clone());
            let (clocks, events) = over(clocks);
            clocks.sync(SyncTime { datetime: built(60), offset: 0 });
            let mut counts = events.counts();
            let counts = *counts.wait_for(|c| *c != EventCounts::default()).await.unwrap();
            assert_eq!(
                (counts.served, counts.unsupported, counts.failed),
                (served, unsupported, failed)
            );
            assert!(good.shows() >= built(60));
        }
        let (clocks, events) = over(vec![with(Kind::Unsupported)]);
        clocks.sync(SyncTime { datetime: built(60), offset: 0 });
        let mut counts = events.counts();
        assert_eq!(counts.wait_for(|c| *c != EventCounts::default()).await.unwrap().unsupported, 1);
    }

    /// The clocks of an NVR with these cameras.
    fn over(cameras: Vec<Arc<Slow>>) -> (Arc<Clocks>, Arc<Events>) {
        let channel = |clock: Arc<Slow>| Channel {
            clock: Some(clock),
            ..Channel::new(Arc::new(Emulator::default()))
        };
        let channels = cameras.into_iter().map(channel).collect();
        let device = Device { model: Model::Nvr, channels, cgi: None };
        let events = Arc::<Events>::default();
        let device = CurrentDevice::new(device);
        (Clocks::new(device, events.clone()).into(), events)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever the cloud writes, a camera is set to nothing but a real date within a day of what it showed.
        #[test]
        fn invalid_dates_and_offsets_never_reach_a_camera(
            datetime in prop_oneof![
                "[0-9]{2,4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}",
                "(19|20)[0-9]{2}-(0[0-9]|1[0-4])-[0-3][0-9][T ][0-2][0-9]:[0-6][0-9]:[0-6][0-9]Z?",
                ".{0,30}",
            ],
            offset in prop_oneof![
                any::<u64>().prop_map(Value::from),
                any::<i64>().prop_map(Value::from),
                any::<f64>().prop_map(Value::from),
                Just(Value::Null),
                Just(json!("5")),
            ],
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
            runtime.unwrap().block_on(async {
                let shown = built(HOUR);
                let camera = Arc::new(Slow::showing(shown));
                let dispatch = one(|channel| channel.clock = Some(camera.clone()));
                send(&dispatch, json!({ "datetime": datetime, "offset": offset })).await;
                counted(&dispatch, 1).await;
                let valid: Option<WallTime> = datetime.parse().ok();
                let near = valid.filter(|time| seconds(*time).abs_diff(seconds(shown)) <= MOST);
                let set = camera.sets.load(Relaxed);
                assert!(set == 0 || (near.is_some() && offset.as_f64().is_some_and(|o| o >= 0.0)));
            });
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_channels_of_a_recorder_do_not_move_its_clock_in_turn() {
        let day = 24 * HOUR;
        let cameras: Vec<_> = (0..3).map(|_| Arc::new(Slow::showing(built(0)))).collect();
        let (clocks, events) = over(cameras.clone());
        let mut counts = events.counts();
        clocks.sync(SyncTime { datetime: built(day), offset: 0 });
        counts.wait_for(|counts| counts.served == 1).await.unwrap();
        // One clock behind all of them, which two channels were only asked for.
        cameras.iter().for_each(|camera| camera.emulator.world.set_clock(built(day)).unwrap());
        clocks.sync(SyncTime { datetime: built(2 * day), offset: 0 });
        counts.wait_for(|counts| counts.failed == 1).await.unwrap();
        assert!(cameras.iter().all(|camera| camera.shows() < built(day + HOUR)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_negative_offset_is_refused_and_a_huge_one_keeps_every_clock() {
        let camera = Arc::new(Slow::showing(built(HOUR)));
        let dispatch = one(|channel| channel.clock = Some(camera.clone()));
        send(&dispatch, params(built(2 * HOUR), -1)).await;
        assert_eq!(counted(&dispatch, 1).await.failed, 1);
        send(&dispatch, params(built(2 * HOUR), u64::MAX)).await;
        assert_eq!(counted(&dispatch, 2).await.served, 1);
        assert_eq!(camera.sets.load(Relaxed), 0);
    }
}
