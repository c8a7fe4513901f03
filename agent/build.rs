//! Notes the time of the build. A device whose clock is behind it was never told the time.

use std::time::{SystemTime, UNIX_EPOCH};

fn main() {
    // Cargo keeps the printed date until one of these changes. With a date that is too old, valid
    // certificates would be refused.
    for path in ["build.rs", "Cargo.toml", "src"] {
        println!("cargo::rerun-if-changed={path}");
    }
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let given = std::env::var("SOURCE_DATE_EPOCH").ok();
    let given = given
        .map(|text| text.parse().expect("SOURCE_DATE_EPOCH is a number of seconds since 1970"));
    println!("cargo::rustc-env=IVT_BUILT={}", given.unwrap_or_else(now));
}
