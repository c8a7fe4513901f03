//! Drives a device, ours or not, through the rules of a specification, and reports.

pub mod ivc;
pub mod tlss;
