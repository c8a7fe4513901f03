//! How the device is, hop by hop: from its network to the cloud's answers, from each camera to what becomes of its
//! pictures, and the device itself. Each hop says since when it has been so, and why.
//!
//! Rules over facts make the hops ([`cloud`], [`channel`], [`system`]); [`keeper`] gathers the facts, now and then while
//! nobody looks, every second while somebody does.

mod camera;
mod channel;
mod cloud;
mod growth;
mod history;
mod hop;
mod keeper;
mod load;
pub(crate) mod reading;
mod reason;
mod state;
mod system;

pub(crate) use camera::told;
pub(crate) use keeper::{Overview, Setup, Viewer, whole};
