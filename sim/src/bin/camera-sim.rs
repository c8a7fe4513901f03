//! camera-sim
fn main() {}
