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

pub use limits::Limits;
pub use program::main;
pub use rule::Rule;
pub use rules::all;
pub use run::{Plan, run};

#[cfg(test)]
mod tests;
