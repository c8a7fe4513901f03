//! A forwarder between two programs that behaves like a bad network, from one seed.
//!
//! A *line* is a piece of network with its conditions; a *link* is a way over it, from a port of ours to a program. What
//! becomes of each byte is decided without I/O (`plan`), and carried out by the rest.

mod book;
mod conditions;
pub mod control;
mod dice;
mod error;
mod file;
mod flow;
mod gate;
mod journal;
mod lane;
mod line;
mod net;
mod options;
mod outage;
mod pipe;
mod plan;
mod profile;
mod tcp;
mod time;
mod udp;

pub use book::{Counters, Event};
pub use conditions::{Conditions, Connect, Shape, Way, WrongConditions};
pub use error::BadNetError;
pub use file::{WrongFile, read as read_conditions};
pub use journal::{ReplayError, Replayed, replay};
pub use line::{LineStatus, LinkStatus};
pub use net::BadNet;
pub use options::{BadNetOptions, LinkOptions, Transport, WrongLink};
pub use outage::{Cut, Outage, WrongOutage};
pub use plan::Direction;
pub use profile::{Profile, UnknownProfile};
pub use time::WrongTime;
