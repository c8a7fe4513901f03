//! The camera's agent: dials the video cloud, says how the cameras are, and sends their pictures
//! where the cloud asks for them. The rules of the protocols lie in `ivt-proto`, the pictures in
//! `ivt-media`, the cameras in `ivt-hal`; here they meet.
#![forbid(unsafe_code)]

mod agent;
pub mod arguments;
pub mod backoff;
pub mod channel;
pub mod cloud;
pub mod config;
mod device;
pub mod dispatch;
pub mod logger;
pub mod shutdown;
pub mod tls;

pub use agent::{Agent, Error, View, run};
