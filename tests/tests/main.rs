//! The scenarios, one program: they wait more than they work, so that many run side by side well.

mod burst;
mod cameras;
mod gateways;
mod herd;
mod hosted;
mod link;
mod login;
mod publish;
mod quirks;
mod record;
mod reload;
mod secure;
mod servers;
