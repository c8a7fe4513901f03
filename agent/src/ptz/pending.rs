//! The orders that wait for a camera: few, since the newest wins.

use std::mem::discriminant;

use ivt_hal::{Movement, Result};

/// What a camera is told to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Move until told otherwise.
    Move(Movement),
    /// Move for as long as the order is given again within [`HELD`](super::HELD).
    #[cfg(feature = "ui")]
    Hold(Movement),
    /// End any movement.
    Stop,
    /// Go to the preset with this token.
    Preset(String),
    /// Run the tour with this token.
    Tour(String),
    /// End the tour with this token; `None` is the one that runs.
    EndTour(Option<String>),
    /// Begin the patrol.
    Patrol,
    /// End the patrol.
    EndPatrol,
}

/// What became of an order.
pub(crate) enum Outcome {
    /// The camera was told, and this is what it said.
    Done(Result<()>),
    /// A newer order took its place before the camera was told, or the connection was lost.
    Replaced,
}

/// Is told what became of an order.
pub(crate) type Done = Box<dyn FnOnce(Outcome) + Send>;

/// The waiting orders: at most one stop, which goes first, and then, the oldest first, one that sets the
/// camera going, one end of a tour and one end of a patrol. A waiting stop is replaced by a newer stop only,
/// and so are the ends.
#[derive(Default)]
pub(super) struct Pending(Vec<(Order, Done)>);

impl Pending {
    /// Adds an order, and returns what it replaces.
    pub(super) fn push(&mut self, order: Order, done: Done) -> Vec<Done> {
        let replaced = self.drop_where(|older| order.replaces(older));
        let place = if order == Order::Stop { 0 } else { self.0.len() };
        self.0.insert(place, (order, done));
        replaced
    }

    pub(super) fn pop(&mut self) -> Option<(Order, Done)> {
        (!self.0.is_empty()).then(|| self.0.remove(0))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Drops an order to move.
    pub(super) fn drop_movement(&mut self) {
        for done in self.drop_where(|order| matches!(order, Order::Move(_))) {
            done(Outcome::Replaced);
        }
    }

    fn drop_where(&mut self, gone: impl Fn(&Order) -> bool) -> Vec<Done> {
        self.0.extract_if(.., |(order, _)| gone(order)).map(|(_, done)| done).collect()
    }
}

impl Order {
    fn replaces(&self, older: &Self) -> bool {
        discriminant(self) == discriminant(older)
            || match self {
                Self::EndTour(_) => matches!(older, Self::Tour(_)),
                Self::EndPatrol => *older == Self::Patrol,
                _ => older.goes(),
            }
    }

    /// Whether the order sets the camera going.
    fn goes(&self) -> bool {
        #[cfg(feature = "ui")]
        if matches!(self, Self::Hold(_)) {
            return true;
        }
        matches!(self, Self::Move(_) | Self::Preset(_) | Self::Tour(_) | Self::Patrol)
    }
}

#[cfg(test)]
mod tests {
    use ivt_hal::Direction;

    use super::*;

    fn order(text: &str) -> Order {
        let movement = |direction| Order::Move(Movement { direction, speed: 50 });
        match text {
            "up" => movement(Direction::Up),
            "left" => movement(Direction::Left),
            "stop" => Order::Stop,
            "preset" => Order::Preset("1".into()),
            "tour" => Order::Tour("1".into()),
            "end tour" => Order::EndTour(None),
            "patrol" => Order::Patrol,
            "end patrol" => Order::EndPatrol,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn the_newest_order_wins_and_no_stop_or_end_is_lost() {
        for (given, left) in [
            (&["up", "left"][..], &["left"][..]),
            (&["up", "stop"], &["stop"]),
            (&["stop", "up"], &["stop", "up"]),
            (&["stop", "up", "left", "stop"], &["stop"]),
            (&["up", "preset"], &["preset"]),
            (&["preset", "tour", "patrol"], &["patrol"]),
            (&["tour", "end tour"], &["end tour"]),
            (&["end tour", "up"], &["end tour", "up"]),
            (&["end tour", "tour"], &["end tour", "tour"]),
            (&["patrol", "end patrol", "stop"], &["stop", "end patrol"]),
            (&["end tour", "up", "stop"], &["stop", "end tour"]),
            (&["up", "end tour", "end patrol"], &["up", "end tour", "end patrol"]),
        ] {
            let mut pending = Pending::default();
            let mut replaced = 0;
            for text in given {
                replaced += pending.push(order(text), Box::new(drop)).len();
            }
            let orders: Vec<_> =
                std::iter::from_fn(|| pending.pop()).map(|(order, _)| order).collect();
            let expected: Vec<_> = left.iter().map(|text| order(text)).collect();
            assert_eq!(orders, expected, "{given:?}");
            assert_eq!(replaced + orders.len(), given.len(), "each is told what became of it");
        }
    }

    #[test]
    fn a_lost_connection_drops_movements_alone() {
        let mut pending = Pending::default();
        pending.push(order("stop"), Box::new(drop));
        pending.push(order("up"), Box::new(drop));
        pending.drop_movement();
        assert_eq!(pending.pop().map(|(order, _)| order), Some(Order::Stop));
        assert!(pending.is_empty());
    }
}
