//! The hosted service (TLSS).

pub mod policy;
