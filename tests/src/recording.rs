//! What a recording that was uploaded has to be like.

use ivt_sim::cloud::RecordingInfo;

/// Fails unless every segment begins where the one before ended, nothing is said to be lost, and no rule is broken.
pub fn assert_gapless(info: &RecordingInfo) {
    assert!(info.violations.is_empty(), "{:?}", info.violations);
    assert!(info.drops.is_empty(), "{:?}", info.drops);
    let stored: Vec<_> = info.stored().collect();
    for pair in stored.windows(2) {
        let gap = pair[1].start_us - pair[0].end_us();
        assert!(gap.abs() < 40_000, "{gap} µs between {} and {}", pair[0].name, pair[1].name);
    }
}
