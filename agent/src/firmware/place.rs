//! Where a new firmware goes, as the configuration says.

use std::sync::Arc;

use ivt_hal::Firmware;
use ivt_hal::firmware::{Places, Program, Programs, Restart, SetupError, Slots};

use crate::config;

/// The place of a configuration; `None` where there is none, or it cannot be used, of which the log is told.
pub(crate) fn place(config: &config::Firmware) -> Option<Arc<dyn Firmware>> {
    match open(config) {
        Ok(place) => {
            let rules = &config.rules;
            if place.is_some() && rules.allow_unsigned {
                log::warn!(
                    "firmware.allow_unsigned: whoever is between this device and the cloud can exchange its firmware"
                );
            } else if place.is_some() && rules.keys.is_empty() {
                log::warn!("firmware.keys is empty: every firmware is refused");
            }
            place
        }
        Err(e) => {
            log::error!(
                "firmware: {e}; no firmware is installed until the agent restarts with a place that works"
            );
            None
        }
    }
}

/// Looks at the place of a configuration.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check(config: &config::Firmware) -> Result<(), SetupError> {
    open(config).map(drop)
}

/// Opens the place of a configuration.
///
/// # Errors
/// What is wrong with it.
pub(super) fn open(config: &config::Firmware) -> Result<Option<Arc<dyn Firmware>>, SetupError> {
    let restart = match &config.restart {
        None => Restart::System,
        Some(program) if program.is_empty() => Restart::Nothing,
        Some(program) => Restart::Program(program.clone()),
    };
    Ok(match config.place.clone() {
        None => None,
        Some(config::Place::Slots { a, b, marker, started }) => {
            Some(Arc::new(Slots::new(Places { a, b, marker, started }, restart)?))
        }
        Some(config::Place::Programs { folder, install, commit, rollback, running, limit }) => {
            let programs =
                Programs { folder, install, commit, roll_back: rollback, running, limit };
            Some(Arc::new(Program::new(programs, restart)?))
        }
    })
}
