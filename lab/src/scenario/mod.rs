//! `ivc-sim run`: scenarios that QA writes as text files.

mod action;
mod fields;
mod format;
mod pattern;
mod read;
mod subject;
mod values;

pub use fields::Mistake;
pub use format::Scenario;
pub use read::{ReadError, parse, read};
