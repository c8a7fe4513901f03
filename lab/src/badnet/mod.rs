//! A forwarder between two programs that behaves like a bad network, from one seed.

mod conditions;
mod dice;
mod outage;
mod pipe;
mod plan;
mod profile;
mod time;

pub use conditions::{Conditions, Connect, Shape, Way, WrongConditions};
pub use outage::{Cut, Outage, WrongOutage};
pub use plan::Direction;
pub use profile::{Profile, UnknownProfile};
pub use time::WrongTime;
