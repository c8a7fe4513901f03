//! What the camera's servers act upon: for each channel an emulated camera, and the orders that reached it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ivt_base::secret::Secret;
use ivt_base::wall_time::WallTime;
use ivt_hal::emulator::Emulator;
use ivt_hal::{Area, Channel, Detection, Error, Kind, Movement, Named, Result};

/// Number of orders that are kept of each channel.
const MAX_ORDERS: usize = 1000;

/// The cameras behind the servers, one for each channel.
pub struct World {
    units: Vec<Unit>,
    /// Whether a person set the clock, and not a time server.
    is_clock_manual: AtomicBool,
    /// How often the device lost its power.
    losses: AtomicU64,
}

/// One emulated camera. Every server of the simulator acts on it through the slots of `channel`, as an agent would.
pub struct Unit {
    /// The camera with its state.
    pub emulator: Arc<Emulator>,
    /// The same camera by its abilities.
    pub channel: Channel,
    orders: Mutex<Orders>,
}

/// The last orders of a camera, and how many came before them.
#[derive(Default)]
struct Orders {
    kept: VecDeque<Order>,
    dropped: u64,
}

/// What a client told the camera to do, after the server had understood it. `Debug` hides the password.
#[derive(Clone, PartialEq, Eq)]
pub enum Order {
    /// Move without an end.
    Move(Movement),
    /// End any movement.
    Stop,
    /// Go to the preset with this token.
    Preset(String),
    /// Run the tour with this token.
    Tour(String),
    /// End a tour; `None` for whichever runs.
    EndTour(Option<String>),
    /// Begin or end the patrol.
    Patrol(bool),
    /// Set up motion detection.
    Motion(Detection),
    /// Set up the tripwire, with an area where one came.
    Tripwire(Detection, Option<Area>),
    /// Join a wireless network: its name and its password, exactly as they came.
    Join {
        /// The network's name, where one came.
        ssid: Option<String>,
        /// The network's password, where one came.
        password: Option<String>,
    },
    /// Set the clock.
    Clock(WallTime),
    /// Restart.
    Reboot,
}

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Move(movement) => f.debug_tuple("Move").field(movement).finish(),
            Self::Stop => f.write_str("Stop"),
            Self::Preset(token) => f.debug_tuple("Preset").field(token).finish(),
            Self::Tour(token) => f.debug_tuple("Tour").field(token).finish(),
            Self::EndTour(token) => f.debug_tuple("EndTour").field(token).finish(),
            Self::Patrol(on) => f.debug_tuple("Patrol").field(on).finish(),
            Self::Motion(detection) => f.debug_tuple("Motion").field(detection).finish(),
            Self::Tripwire(detection, area) => {
                f.debug_tuple("Tripwire").field(detection).field(area).finish()
            }
            Self::Join { ssid, .. } => {
                f.debug_struct("Join").field("ssid", ssid).finish_non_exhaustive()
            }
            Self::Clock(time) => f.debug_tuple("Clock").field(time).finish(),
            Self::Reboot => f.write_str("Reboot"),
        }
    }
}

impl World {
    /// So many emulated cameras.
    pub fn new(channels: usize) -> Self {
        let unit = |channel| {
            let unit = Unit::new(Arc::default());
            unit.emulator.world.set_title(&format!("CH{channel}"));
            unit
        };
        let units = (0..channels).map(unit).collect();
        Self { units, is_clock_manual: AtomicBool::new(false), losses: AtomicU64::default() }
    }

    /// What the device's clock shows, in its local time; all its cameras have one clock. In the beginning it is UTC.
    pub fn clock(&self) -> Option<WallTime> {
        self.units.first()?.emulator.world.clock()
    }

    /// Takes note that the device loses its power.
    pub fn lose_power(&self) {
        self.losses.fetch_add(1, Ordering::Relaxed);
    }

    /// How often the device began anew, by an order or after a loss of power.
    pub fn restarts(&self) -> u64 {
        let orders = self.units.iter().map(|unit| *unit.emulator.world.reboots().borrow());
        orders.sum::<u64>() + self.losses.load(Ordering::Relaxed)
    }

    /// Whether a person set the clock, and not a time server.
    pub fn is_clock_manual(&self) -> bool {
        self.is_clock_manual.load(Ordering::Relaxed)
    }

    /// Sets the clock by hand.
    ///
    /// # Errors
    /// `Offline`; `Invalid` for a time before 1970.
    pub fn set_clock(&self, time: WallTime) -> Result<()> {
        self.units.iter().try_for_each(|unit| {
            unit.note(Order::Clock(time));
            unit.emulator.world.set_clock(time)
        })?;
        self.is_clock_manual.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Lets a time server set the clock, which makes it `time` now.
    ///
    /// # Errors
    /// `Offline`; `Invalid` for a time before 1970.
    pub fn follow_server(&self, time: WallTime) -> Result<()> {
        self.set_clock(time)?;
        self.is_clock_manual.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// The camera of a channel, counted from 0.
    pub fn unit(&self, channel: usize) -> Option<&Unit> {
        self.units.get(channel)
    }

    /// The cameras of all channels.
    pub fn units(&self) -> &[Unit] {
        &self.units
    }
}

impl Unit {
    fn new(emulator: Arc<Emulator>) -> Self {
        let channel = emulator.channel();
        Self { emulator, channel, orders: Mutex::default() }
    }

    /// Takes note of an order and carries it out.
    ///
    /// # Errors
    /// `Unsupported` without the ability, and what the ability says.
    pub async fn carry_out(&self, order: Order) -> Result<()> {
        self.note(order.clone());
        let Channel { ptz, presets, tours, patrol, motion, tripwire, wifi, power, .. } =
            &self.channel;
        match order {
            Order::Move(movement) => has(ptz)?.start(movement).await,
            Order::Stop => has(ptz)?.stop().await,
            Order::Preset(token) => has(presets)?.go_to(&token).await,
            Order::Tour(token) => has(tours)?.start(&token).await,
            Order::EndTour(token) => has(tours)?.stop(token.as_deref()).await,
            Order::Patrol(true) => has(patrol)?.start().await,
            Order::Patrol(false) => has(patrol)?.stop().await,
            Order::Motion(detection) => has(motion)?.configure(detection).await,
            Order::Tripwire(detection, area) => has(tripwire)?.configure(detection, area).await,
            Order::Join { ssid, password } => {
                has(wifi)?.join(ssid.as_deref(), password.map(Secret::new).as_ref()).await
            }
            Order::Clock(time) => has(&self.channel.clock)?.set(time).await,
            Order::Reboot => has(power)?.reboot().await,
        }
    }

    /// The presets, numbered as cameras without tokens number them; empty without the ability.
    pub async fn presets(&self) -> Vec<(u32, Named)> {
        match &self.channel.presets {
            Some(presets) => numbered(presets.list().await.unwrap_or_default()),
            None => Vec::new(),
        }
    }

    /// The tours, numbered as cameras without tokens number them; empty without the ability.
    pub async fn tours(&self) -> Vec<(u32, Named)> {
        match &self.channel.tours {
            Some(tours) => numbered(tours.list().await.unwrap_or_default()),
            None => Vec::new(),
        }
    }

    /// Takes note of an order that somebody else carries out.
    pub fn note(&self, order: Order) {
        log::info!(target: "camera", "order: {order:?}");
        let mut orders = self.known();
        orders.kept.push_back(order);
        if orders.kept.len() > MAX_ORDERS {
            orders.kept.pop_front();
            orders.dropped += 1;
        }
    }

    /// The last 1000 orders, oldest first.
    pub fn orders(&self) -> Vec<Order> {
        self.orders_after(0).1
    }

    /// How many orders there were in all, and those after the first `seen` of them, as far as they are among the last 1000.
    pub fn orders_after(&self, seen: u64) -> (u64, Vec<Order>) {
        let orders = self.known();
        let skipped = usize::try_from(seen.saturating_sub(orders.dropped)).unwrap_or(usize::MAX);
        let all = orders.dropped + orders.kept.len() as u64;
        (all, orders.kept.iter().skip(skipped).cloned().collect())
    }

    fn known(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn has<T: ?Sized>(slot: &Option<Arc<T>>) -> Result<&T> {
    slot.as_deref().ok_or(Error::new("camera-sim", Kind::Unsupported))
}

/// Each with its token as a number or, where that is none, with its place from 1.
fn numbered(all: Vec<Named>) -> Vec<(u32, Named)> {
    let number = |(place, named): (usize, Named)| {
        let place = u32::try_from(place + 1).unwrap_or(u32::MAX);
        (named.token.parse().unwrap_or(place), named)
    };
    all.into_iter().enumerate().map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_kept_in_bounds_and_never_show_a_password() {
        let world = World::new(1);
        let unit = world.unit(0).unwrap();
        let join = Order::Join { ssid: Some("net".into()), password: Some("geheim".into()) };
        assert!(!format!("{join:?}").contains("geheim"));
        (0..MAX_ORDERS).for_each(|_| unit.note(Order::Stop));
        unit.note(join.clone());
        let orders = unit.orders();
        assert_eq!((orders.len(), orders.last()), (MAX_ORDERS, Some(&join)));
        let all = MAX_ORDERS as u64 + 1;
        assert_eq!(unit.orders_after(all - 1), (all, vec![join]));
        assert_eq!(unit.orders_after(all), (all, vec![]));
        assert!(world.unit(1).is_none());
    }
}
