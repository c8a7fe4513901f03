//! What was seen so far: packets of the device, how each stream went on, and what reached the cameras.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ivt_sim::camera::{CameraSim, Order};
use ivt_sim::cloud::{CloudSim, Device, Direction, Packet, StreamInfo};
use serde_json::Value;
use tokio::sync::broadcast::error::RecvError;

/// Most packets that are kept of a scenario; of later ones only the number is known.
const MAX_PACKETS: usize = 40_000;
/// Most bytes of packets that are kept of a scenario.
const MAX_BYTES: usize = 32 << 20;
/// Most orders that are kept of a camera's unit; of later ones only the number is known.
const MAX_ORDERS: usize = 40_000;
/// Most times of a stream that are kept.
const MAX_SPANS: usize = 1000;
/// The time over which a rate is measured.
const WINDOW: Duration = Duration::from_secs(2);
/// A picture that has not changed for so long does not move. Key frames may be 4 s apart.
const STILL: Duration = Duration::from_secs(9);

/// What was seen so far.
pub(super) struct Watch {
    began: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    packets: Vec<Seen>,
    bytes: usize,
    /// Number of packets that were not kept.
    lost: u64,
    streams: BTreeMap<String, StreamWatch>,
    /// What reached the cameras, by camera and unit.
    orders: BTreeMap<(usize, usize), OrderWatch>,
}

/// What reached one unit of a camera, in order.
#[derive(Default)]
struct OrderWatch {
    /// Number of orders that there were up to the last look.
    seen: u64,
    kept: Vec<(Duration, String)>,
}

/// A packet with its time since the start.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) at: Duration,
    pub(super) packet: Arc<Packet>,
    /// The packet as JSON; `None` for text that is none, and for notes.
    pub(super) json: Option<Arc<Value>>,
}

/// How a stream went on.
#[derive(Clone, Default)]
pub(super) struct StreamWatch {
    /// Pictures and bytes at the times of the last two seconds.
    samples: VecDeque<(Duration, u64, u64)>,
    /// When the last picture came.
    fresh: Duration,
    /// When a key picture last differed from the one before.
    changed: Option<Duration>,
    changes: u64,
    /// From when to when it was live; the last may still be.
    pub(super) spans: Vec<(Duration, Option<Duration>)>,
}

impl Watch {
    pub(super) fn new(began: Instant) -> Self {
        Self { began, state: Mutex::default() }
    }

    /// The time since the start.
    pub(super) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Keeps the packets of a device as they come, for ever.
    pub(super) async fn follow(&self, device: &Device) {
        let (kept, mut feed) = device.packets();
        kept.into_iter().for_each(|packet| self.add(packet));
        loop {
            match feed.recv().await {
                Ok(packet) => self.add(packet),
                Err(RecvError::Lagged(lost)) => self.lock().lost += lost,
                Err(RecvError::Closed) => return,
            }
        }
    }

    /// Looks at the streams of the cloud, and at the orders of the cameras.
    pub(super) fn sample(&self, cloud: &CloudSim, cameras: &[CameraSim]) {
        let now = self.now();
        let mut state = self.lock();
        for (number, camera) in cameras.iter().enumerate() {
            for (channel, unit) in camera.units().iter().enumerate() {
                let orders = state.orders.entry((number, channel)).or_default();
                orders.take(now, unit.orders_after(orders.seen));
            }
        }
        for info in cloud.streams() {
            state.streams.entry(info.key.clone()).or_default().sample(now, &info);
        }
    }

    /// The packets from this number on.
    pub(super) fn packets_from(&self, number: usize) -> Vec<Seen> {
        self.lock().packets.get(number..).unwrap_or_default().to_vec()
    }

    /// Number of packets that came and were not kept: what counts packets cannot be judged then.
    pub(super) fn lost(&self) -> u64 {
        self.lock().lost
    }

    /// What reached a camera, each with the time of the look that found it, and how many orders were not kept.
    pub(super) fn orders(&self, camera: usize) -> (Vec<(Duration, String)>, u64) {
        let state = self.lock();
        let units =
            || state.orders.range((camera, 0)..=(camera, usize::MAX)).map(|(_, orders)| orders);
        let kept = units().flat_map(|orders| orders.kept.iter().cloned()).collect();
        (kept, units().map(|orders| orders.seen - orders.kept.len() as u64).sum())
    }

    /// How a stream went on.
    pub(super) fn stream(&self, key: &str) -> StreamWatch {
        self.lock().streams.get(key).cloned().unwrap_or_default()
    }

    /// How all streams went on.
    pub(super) fn streams(&self) -> BTreeMap<String, StreamWatch> {
        self.lock().streams.clone()
    }

    fn add(&self, packet: Arc<Packet>) {
        let at = self.now();
        let mut state = self.lock();
        if state.packets.len() >= MAX_PACKETS || state.bytes >= MAX_BYTES {
            state.lost += 1;
            return;
        }
        state.bytes += packet.text.len();
        let json = (packet.direction != Direction::Note)
            .then(|| serde_json::from_str(&packet.text).ok().map(Arc::new))
            .flatten();
        state.packets.push(Seen { at, packet, json });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OrderWatch {
    /// Takes the number of all orders, and those that came since the last look.
    fn take(&mut self, now: Duration, (all, more): (u64, Vec<Order>)) {
        self.seen = all;
        let room = MAX_ORDERS - self.kept.len();
        self.kept.extend(more.into_iter().take(room).map(|order| (now, format!("{order:?}"))));
    }
}

impl StreamWatch {
    fn sample(&mut self, now: Duration, info: &StreamInfo) {
        let before = self.samples.back().map_or(0, |(_, pictures, _)| *pictures);
        if info.video_frames > before {
            self.fresh = now;
        }
        if info.changes > self.changes {
            (self.changes, self.changed) = (info.changes, Some(now));
        }
        self.samples.push_back((now, info.video_frames, info.bytes));
        // One sample from before the window is kept, so that the whole window is measured.
        while self.samples.get(1).is_some_and(|(at, ..)| now.saturating_sub(*at) >= WINDOW) {
            self.samples.pop_front();
        }
        let is_open = matches!(self.spans.last(), Some((_, None)));
        if info.live && !is_open && self.spans.len() < MAX_SPANS {
            self.spans.push((now, None));
        }
        if let Some((_, end @ None)) = self.spans.last_mut().filter(|_| !info.live) {
            *end = Some(now);
        }
    }

    /// Pictures and kilobits of a second, over the last two.
    pub(super) fn rates(&self) -> (f64, f64) {
        let (Some(first), Some(last)) = (self.samples.front(), self.samples.back()) else {
            return (0.0, 0.0);
        };
        let seconds = last.0.saturating_sub(first.0).as_secs_f64();
        if seconds == 0.0 {
            return (0.0, 0.0);
        }
        let per_second = |from: u64, to: u64| to.saturating_sub(from) as f64 / seconds;
        (per_second(first.1, last.1), per_second(first.2, last.2) * 8.0 / 1000.0)
    }

    /// The time since the last picture.
    pub(super) fn gap(&self, now: Duration) -> Duration {
        now.saturating_sub(self.fresh)
    }

    /// Whether the picture changes.
    pub(super) fn moves(&self, now: Duration) -> bool {
        self.changed.is_some_and(|changed| now.saturating_sub(changed) < STILL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(pictures: u64, live: bool, changes: u64) -> StreamInfo {
        let bytes = pictures * 1000;
        StreamInfo { video_frames: pictures, live, bytes, changes, ..StreamInfo::default() }
    }

    #[test]
    fn rates_gaps_and_movement_are_those_of_the_last_seconds() {
        let ms = Duration::from_millis;
        let mut stream = StreamWatch::default();
        for tick in 0..100 {
            stream.sample(ms(tick * 40), &info(tick, true, tick / 50));
        }
        let (fps, kbit) = stream.rates();
        assert!((24.0..26.0).contains(&fps) && (190.0..210.0).contains(&kbit), "{fps} {kbit}");
        assert!(stream.gap(ms(4000)) < ms(100) && stream.moves(ms(4000)));
        for tick in 100..400 {
            stream.sample(ms(tick * 40), &info(99, tick < 200, 1));
        }
        assert_eq!(stream.rates(), (0.0, 0.0));
        assert!(stream.gap(ms(16_000)) > ms(11_000) && !stream.moves(ms(16_000)));
        assert_eq!(stream.spans, [(ms(0), Some(ms(8000)))]);
        stream.sample(ms(16_000), &info(100, true, 1));
        assert_eq!(stream.spans.len(), 2);
    }

    #[test]
    fn orders_are_taken_as_they_come_and_those_that_are_not_kept_are_counted() {
        let mut orders = OrderWatch::default();
        let mut take = |all: u64, more: usize| {
            orders.take(Duration::ZERO, (all, vec![Order::Stop; more]));
            (orders.seen - orders.kept.len() as u64, orders.kept.len())
        };
        assert_eq!(take(900, 900), (0, 900));
        assert_eq!(take(1800, 900), (0, 1800), "more than the camera keeps");
        assert_eq!(take(3000, 1000), (200, 2800), "200 came and went between two looks");
        assert_eq!(take(3000 + 40_000, 40_000), (3000, MAX_ORDERS));
    }

    #[test]
    fn packets_are_kept_in_bounds_and_the_rest_is_counted() {
        let watch = Watch::new(Instant::now());
        let packet = |text: &str, direction| {
            Arc::new(Packet { number: 1, time_ms: 0, direction, text: text.into() })
        };
        watch.add(packet("{\"seq\":1}", Direction::FromDevice));
        watch.add(packet("{", Direction::ToDevice));
        watch.add(packet("1", Direction::Note));
        let kept: Vec<_> = watch.packets_from(0).iter().map(|seen| seen.json.is_some()).collect();
        assert_eq!(kept, [true, false, false]);
        assert_eq!(watch.packets_from(2).len(), 1);
        let large = "x".repeat(MAX_BYTES / 4);
        (0..6).for_each(|_| watch.add(packet(&large, Direction::Note)));
        assert_eq!((watch.lost(), watch.packets_from(9).len()), (2, 0));
    }
}
