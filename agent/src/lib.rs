#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod addresses;
mod agent;
#[cfg(feature = "alarms")]
pub mod alarm;
pub mod arguments;
pub mod backend;
pub mod backoff;
pub mod build_date;
pub mod channel;
pub mod check;
pub mod cloud;
pub mod config;
#[cfg(feature = "ui")]
mod console;
mod cover;
pub mod deadlines;
mod device;
pub mod dispatch;
#[cfg(feature = "update")]
pub mod firmware;
pub mod http;
pub mod local_time;
pub mod logger;
#[cfg(feature = "update")]
mod minisign;
pub mod notify;
#[cfg(feature = "ui")]
mod overview;
#[cfg(feature = "ui")]
mod owner;
pub mod panics;
#[cfg(feature = "pattern")]
mod pattern;
#[cfg(feature = "alarms")]
mod preview;
#[cfg(all(feature = "onvif", feature = "profiles"))]
pub mod probe;
#[cfg(feature = "profiles")]
pub mod profile;
mod ptz;
#[cfg(feature = "linux")]
mod pulse;
pub mod record;
pub mod reload;
#[cfg(feature = "sandbox")]
pub mod sandbox;
pub mod settings;
pub mod shutdown;
mod state;
#[cfg(test)]
mod testing;
pub mod tls;
pub mod tlss;
#[cfg(feature = "ui")]
mod trace;
pub mod view;
#[cfg(feature = "linux")]
mod watchdog;
#[cfg(feature = "ui")]
mod web;

pub use agent::{Agent, Error, run};
pub use view::View;
