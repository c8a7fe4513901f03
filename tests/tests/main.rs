//! The scenarios, one program: they wait more than they work, so that many run side by side well.

mod addresses;
mod alarms;
mod burst;
mod cameras;
mod constant;
mod emulator_alarms;
mod events;
mod firmware;
mod gateways;
mod herd;
mod hosted;
mod ingest;
mod link;
mod login;
mod methods;
mod preview;
mod probe;
mod publish;
mod quirks;
mod record;
mod reload;
mod secure;
mod servers;
mod streams;
mod time;
mod wifi_trial;
