//! Pull points: what each subscription has still to be told, and when it ends.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use ivt_hal::Trigger;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::message::{self, Operation};
use crate::camera::onvif::node::Node;
use crate::camera::onvif::quirk::Quirk;
use crate::camera::onvif::site::Site;
use crate::camera::web::{Change, Ear};

/// Most subscriptions at a time.
pub const MAX_SUBSCRIPTIONS: usize = 8;
/// Subscriptions of a camera that holds few of them.
const FEW: usize = 2;
/// Most messages that wait; the oldest are dropped for newer ones.
const MAX_WAITING: usize = 256;

/// The subscriptions of one camera, which forgets them when it restarts.
#[derive(Default)]
pub struct Subscriptions(Mutex<Held>);

#[derive(Default)]
struct Held {
    last: u32,
    points: BTreeMap<u32, Arc<Point>>,
    /// How often the camera had restarted when the points were made.
    restarts: u64,
}

/// A subscription.
pub struct Point {
    /// Its number, from 1.
    pub number: u32,
    made: Instant,
    end: Mutex<Instant>,
    /// Whether it is never told anything.
    silent: bool,
    /// Whether all states are to be told anew.
    unsynchronized: AtomicBool,
    ended: AtomicBool,
    /// Wakes a pull for what the two flags say.
    stirred: Notify,
    queue: tokio::sync::Mutex<Queue>,
}

struct Queue {
    ear: Ear,
    waiting: VecDeque<Node>,
}

impl Subscriptions {
    /// Makes a subscription that lasts so long; `None` where there are too many.
    pub fn add(&self, site: &Site, time: Duration) -> Option<Arc<Point>> {
        let mut held = self.held(site);
        let few = held.points.len() >= FEW;
        if held.points.len() >= MAX_SUBSCRIPTIONS || few && site.quirks.has(Quirk::FewSubscriptions)
        {
            return None;
        }
        held.last = held.last.wrapping_add(1);
        let mut queue = Queue { ear: Ear::open(&site.world), waiting: VecDeque::new() };
        queue.synchronize(site);
        let point = Arc::new(Point {
            number: held.last,
            made: Instant::now(),
            end: Mutex::new(Instant::now() + time),
            silent: few && site.quirks.has(Quirk::SilentLimit),
            unsynchronized: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            stirred: Notify::new(),
            queue: tokio::sync::Mutex::new(queue),
        });
        held.points.insert(point.number, point.clone());
        Some(point)
    }

    /// The subscription with this number.
    pub fn find(&self, site: &Site, number: u32) -> Option<Arc<Point>> {
        self.held(site).points.get(&number).cloned()
    }

    /// Ends a subscription, or all where the camera does so; a pull that waits returns at once.
    pub fn remove(&self, site: &Site, number: u32) {
        let mut held = self.held(site);
        let ended = match site.quirks.has(Quirk::UnsubscribeAll) {
            true => std::mem::take(&mut held.points).into_values().collect(),
            false => held.points.remove(&number).into_iter().collect::<Vec<_>>(),
        };
        ended.iter().for_each(|point| point.stir(&point.ended));
    }

    /// What is held now, without what has ended.
    fn held(&self, site: &Site) -> MutexGuard<'_, Held> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let restarts = site.world.restarts();
        if held.restarts != restarts {
            held.restarts = restarts;
            held.points.clear();
        }
        held.points.retain(|_, point| !point.left(site).is_zero());
        held
    }
}

impl Point {
    /// The time that is left.
    pub fn left(&self, site: &Site) -> Duration {
        let end = *self.end.lock().unwrap_or_else(PoisonError::into_inner);
        let forgotten = site.quirks.on().into_iter().find_map(|quirk| match quirk {
            Quirk::Forgets(after) => Some(self.made + after),
            _ => None,
        });
        let end = forgotten.map_or(end, |forgotten| end.min(forgotten));
        end.saturating_duration_since(Instant::now())
    }

    /// Lasts so long from now on.
    pub fn renew(&self, time: Duration) {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now() + time;
    }

    /// The messages that wait, at most `most`; waits so long for the first one.
    pub async fn pull(&self, site: &Site, most: usize, wait: Duration) -> Vec<Node> {
        let until = Instant::now() + wait;
        let pulled = async {
            let mut queue = self.queue.lock().await;
            loop {
                if self.unsynchronized.swap(false, Ordering::Relaxed) {
                    queue.synchronize(site);
                }
                while let Some(change) = queue.ear.next().now_or_never() {
                    queue.take(site, change);
                }
                if !queue.waiting.is_empty() && !self.silent {
                    let most = most.min(queue.waiting.len());
                    return queue.waiting.drain(..most).collect();
                }
                if self.ended.load(Ordering::Relaxed) {
                    return Vec::new();
                }
                tokio::select! {
                    change = queue.ear.next() => queue.take(site, change),
                    () = self.stirred.notified() => {}
                }
            }
        };
        timeout_at(until, pulled).await.unwrap_or_default()
    }

    /// Tells all states anew, to a pull that waits or to the next one.
    pub fn synchronize(&self) {
        self.stir(&self.unsynchronized);
    }

    fn stir(&self, flag: &AtomicBool) {
        flag.store(true, Ordering::Relaxed);
        self.stirred.notify_one();
    }
}

impl Queue {
    /// Takes a change; after too many that nobody took, the states of now.
    fn take(&mut self, site: &Site, change: Option<Change>) {
        match change {
            Some(change) => self.push(message::of(site, change, Operation::Changed)),
            None => {
                self.ear = Ear::open(&site.world);
                self.synchronize(site);
            }
        }
    }

    fn synchronize(&mut self, site: &Site) {
        for (channel, unit) in site.world.units().iter().enumerate() {
            let triggers = unit.emulator.world.triggers();
            for (trigger, active) in [
                (Trigger::Motion, triggers.motion),
                (Trigger::Line, triggers.line),
                (Trigger::Input, triggers.input),
            ] {
                let change = Change { channel, trigger, active };
                self.push(message::of(site, change, Operation::Initialized));
            }
        }
    }

    fn push(&mut self, messages: Vec<Node>) {
        self.waiting.extend(messages);
        let over = self.waiting.len().saturating_sub(MAX_WAITING);
        self.waiting.drain(..over);
    }
}
