//! `ivc-sim conformance`: any device through every method, event and rule of IVR RPC.

mod bench;
mod finding;
mod form;
mod heard;
mod limits;
mod options;
mod program;
mod rule;
mod rules;
mod run;
mod switch;

pub use limits::Limits;
pub use program::main;
pub use rule::Rule;
pub use rules::all;
pub use run::{Plan, run};
pub use switch::Switch;

#[cfg(test)]
mod tests;
