//! The camera simulator as its clients see it, over loopback.
#![allow(clippy::unwrap_used, clippy::panic)]

mod alarms;
mod client;
mod control;
mod depacketizer;
mod faults;
mod player;
mod protocol;
mod raw;
mod streams;
mod web;
