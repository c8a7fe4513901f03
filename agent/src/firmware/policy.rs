//! Which signed firmware this device takes.

use std::time::{SystemTime, UNIX_EPOCH};

use ivt_hal::manifest::Manifest;

use super::refusal::Refusal;

/// What the device knows when it judges an image.
pub(super) struct Situation<'a> {
    /// The model that a signature has to name; `None` where that is not known.
    pub(super) model: Option<&'a str>,
    /// Most bytes of an image.
    pub(super) most: u64,
    /// The lowest counter that is taken; `None` where nothing is known of the past.
    pub(super) floor: Option<u64>,
    /// Whether the cloud insists.
    pub(super) forced: bool,
    /// The time, not before the build of the program.
    pub(super) now: SystemTime,
}

impl Situation<'_> {
    /// Says why an image would not be installed even if its signature is right.
    pub(super) fn judge(&self, manifest: &Manifest) -> Result<(), Refusal> {
        let Manifest { model, counter, size, expires, .. } = manifest;
        if let Some(device) = self.model.filter(|device| model != device) {
            return Err(Refusal::Model { image: model.clone(), device: device.to_owned() });
        }
        match self.floor {
            Some(floor) if *counter < floor => {
                return Err(Refusal::Older { counter: *counter, floor });
            }
            Some(floor) if *counter == floor && !self.forced => return Err(Refusal::Same),
            _ => {}
        }
        let now = self.now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if now >= *expires {
            return Err(Refusal::Expired(manifest.last_day()));
        }
        fits(*size, self.most)
    }
}

/// Says whether an image of `size` bytes is small enough.
pub(super) fn fits(size: u64, most: u64) -> Result<(), Refusal> {
    if size > most { Err(Refusal::TooLarge { size, most }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_image_is_for_this_model_newer_and_not_too_old_or_large() {
        let image = Manifest {
            model: "IPC-1".into(),
            version: "1.4.2".into(),
            counter: 42,
            size: 1000,
            sha256: [0; 32],
            expires: 1_000_000,
        };
        let now = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let good = Situation {
            model: Some("IPC-1"),
            most: 1000,
            floor: Some(41),
            forced: false,
            now: now(999_999),
        };
        for (situation, want) in [
            (Situation { ..good }, ""),
            (Situation { model: None, floor: None, ..good }, ""),
            (Situation { floor: Some(42), forced: true, ..good }, ""),
            (Situation { floor: Some(42), ..good }, "installed already"),
            (Situation { floor: Some(43), forced: true, ..good }, "older than 43"),
            (Situation { model: Some("IPC-10"), forced: true, ..good }, "made for model \"IPC-1\""),
            (Situation { model: Some("ipc-1"), ..good }, "made for model"),
            (Situation { now: now(1_000_000), forced: true, ..good }, "until 1970-01-12"),
            (
                Situation { most: 999, forced: true, ..good },
                "1000 bytes, more than firmware.max_size",
            ),
        ] {
            let said = situation.judge(&image).err().map(|e| e.to_string()).unwrap_or_default();
            assert!(said.contains(want) && said.is_empty() == want.is_empty(), "{want}: {said}");
        }
    }
}
