//! ivc-sim
fn main() {}
