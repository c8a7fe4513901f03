//! Where a new firmware goes, as the configuration says.

use std::sync::Arc;
use std::time::Duration;

use ivt_base::task::spawn_blocking;
use ivt_hal::Firmware;
use ivt_hal::firmware::{Places, Program, Programs, Restart, SetupError, Slots};
use tokio::time::sleep;

use crate::config;

/// The pauses in which a place that cannot be used is opened again, at first and at most.
const PAUSES: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(60)];

/// The place of a configuration, once it can be used: what it needs may be mounted late. Does not return where none is
/// configured.
pub(crate) async fn place(config: config::Firmware) -> Arc<dyn Firmware> {
    let rules = &config.rules;
    if rules.allow_unsigned {
        log::warn!(
            "firmware.allow_unsigned: whoever is between this device and the cloud can exchange its firmware"
        );
    } else if rules.keys.is_empty() {
        log::warn!("firmware.keys is empty: every firmware is refused");
    }
    let (mut pause, mut said) = (PAUSES[0], String::new());
    loop {
        let config = config.clone();
        // Opening it waits for the disk.
        let opened = spawn_blocking(move || open(&config).map_err(|e| e.to_string())).await;
        match opened.unwrap_or_else(|e| Err(e.to_string())) {
            Ok(Some(place)) => return place,
            Ok(None) => return std::future::pending().await,
            Err(e) if e != said => {
                log::error!("firmware: {e}; no firmware is installed or kept until that works");
                said = e;
            }
            Err(_) => {}
        }
        sleep(pause).await;
        pause = PAUSES[1].min(pause * 2);
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

#[cfg(test)]
mod tests {
    use std::fs;

    use tokio::time::{Instant, timeout};

    use super::*;
    use crate::config::Config;

    #[tokio::test(start_paused = true)]
    async fn a_place_that_is_mounted_late_is_used() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let cloud = "[cloud]\nurl = 'ws://h/ivc'\nlogin_code = 'c'\nlogin_passwd = 'p'\nhardware_model = 'IPC-1'\n";
        let config = format!(
            "{cloud}[[channel]]\nbackend = 'emulator'\n[firmware]\nbackend = 'slots'\nslot_a = {:?}\nslot_b = {:?}\nmarker = {:?}\n",
            at("a"),
            at("b"),
            at("marker")
        );
        let config = config.parse::<Config>().unwrap().firmware;
        let mut opened = tokio::spawn(place(config));
        assert!(timeout(Duration::from_secs(600), &mut opened).await.is_err());
        for slot in ["a", "b"] {
            fs::write(at(slot), vec![0; 65_536]).unwrap();
        }
        fs::create_dir(at("marker")).unwrap();
        let start = Instant::now();
        let place = timeout(Duration::from_secs(600), opened).await.unwrap().unwrap();
        assert!(start.elapsed() <= PAUSES[1]);
        assert!(!place.running().await.unwrap().trial);
    }
}
