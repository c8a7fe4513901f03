//! Faults of the answers to alarms, and of the server that takes their pictures.

use serde::{Deserialize, Serialize};

use crate::cloud::record::StepFault;

/// Faults of alarms. The default answers every alarm with an address that takes its picture.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlarmFaults {
    /// Alarms are answered with an empty address: no picture is wanted.
    pub no_url: bool,
    /// Alarms are answered with this address.
    pub url: Option<String>,
    /// Alarms are answered with an error of this code. They stand in the log all the same.
    pub refuse: Option<i64>,
    /// Milliseconds that an alarm, and what the device asks after it, waits before it is looked at.
    pub delay_ms: u64,
    /// The fault that a picture meets, of an alarm or a preview.
    pub picture: Option<StepFault>,
}
