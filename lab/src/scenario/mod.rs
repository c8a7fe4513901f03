//! `ivc-sim run`: scenarios that QA writes as text files. docs/scenarios.md describes the format.

mod account;
mod action;
mod agent;
mod answer;
mod check;
mod course;
mod doubt;
mod events;
mod facts;
mod fields;
mod format;
mod judge;
mod log;
mod network;
mod order;
mod pattern;
mod program;
mod pulse;
mod read;
mod run;
mod settings;
mod stage;
mod steps;
mod subject;
mod values;
mod verdicts;
mod watch;

pub use fields::Mistake;
pub use format::Scenario;
pub use program::main;
pub use read::{ReadError, parse, read};
pub use run::run;
pub use stage::Setting;
