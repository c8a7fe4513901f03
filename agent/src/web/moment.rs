//! Moments in answers.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ivt_base::date::Utc;
use serde_json::Value;

/// A moment by the device's clock (RFC 3339, UTC).
pub(crate) fn utc(at: SystemTime) -> Value {
    Utc::from(at).to_string().into()
}

/// A moment in microseconds since 1970 (RFC 3339, UTC); moments before 1970 count as 1970.
pub(crate) fn utc_of_micros(at: i64) -> Value {
    let since = Duration::from_micros(u64::try_from(at).unwrap_or_default());
    utc(UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH))
}
