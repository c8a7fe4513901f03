//! Drives a device, ours or not, through the rules of a specification, and reports.

pub mod choice;
#[cfg(test)]
mod coverage;
pub mod ivc;
pub mod tape;
pub mod tlss;
