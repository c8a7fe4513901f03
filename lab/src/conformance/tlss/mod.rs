//! `tlss-sim conformance`: any device that dials in, through every rule of the hosted service.

mod call;
mod check;
mod commands;
mod ends;
mod facts;
pub mod program;
mod refusals;
mod run;
mod state;
#[cfg(test)]
mod tests;
mod timing;

pub use check::Check;
pub use run::{Options, Run};
pub use timing::Timing;
