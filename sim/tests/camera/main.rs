//! The camera simulator as its clients see it, over loopback.
#![allow(clippy::unwrap_used, clippy::panic)]

mod client;
mod control;
mod faults;
mod player;
mod protocol;
mod streams;
mod web;
