//! What the camera's servers act upon: for each channel an emulated camera, and the orders that reached it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use ivt_hal::emulator::Emulator;
use ivt_hal::{Area, Channel, Detection, Movement};

/// Number of orders that are kept of each channel.
const MAX_ORDERS: usize = 1000;

/// The cameras behind the servers, one for each channel.
pub struct World {
    units: Vec<Unit>,
}

/// One emulated camera. Every server of the simulator acts on it through the slots of `channel`, as an agent would.
pub struct Unit {
    /// The camera with its state.
    pub emulator: Arc<Emulator>,
    /// The same camera by its abilities.
    pub channel: Channel,
    orders: Mutex<VecDeque<Order>>,
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
            Self::Reboot => f.write_str("Reboot"),
        }
    }
}

impl World {
    /// So many emulated cameras.
    pub fn new(channels: usize) -> Self {
        Self { units: (0..channels).map(|_| Unit::new(Arc::default())).collect() }
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

    /// Takes note of an order.
    pub fn note(&self, order: Order) {
        log::info!(target: "camera", "order: {order:?}");
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        orders.push_back(order);
        if orders.len() > MAX_ORDERS {
            orders.pop_front();
        }
    }

    /// The last 1000 orders, oldest first.
    pub fn orders(&self) -> Vec<Order> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
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
        assert!(world.unit(1).is_none());
    }
}
