//! What a camera says of itself, for people who set it up.

use std::pin::Pin;

use ivt_base::text;

use super::{Clock, MediaProfile, Onvif, is_fault, within};
use crate::{Network, Presets, Result, Stream, Tours};

const DESCRIBE: &str = "describe";

/// What a camera is and can do. Text that the camera does not say is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// Who made the camera.
    pub manufacturer: String,
    /// Its model.
    pub model: String,
    /// The version of its firmware.
    pub firmware: String,
    /// Its serial number.
    pub serial: String,
    /// Its media profiles; of an NVR, those of every input.
    pub profiles: Vec<MediaProfile>,
    /// Tokens of the profiles that are taken as main and sub stream.
    pub streams: [Option<String>; 2],
    /// Whether it has single pictures.
    pub snapshot: bool,
    /// Whether it can be moved.
    pub ptz: bool,
    /// Whether it has presets.
    pub presets: bool,
    /// Whether it has preset tours.
    pub tours: bool,
    /// Whether it tells of its network interfaces.
    pub network: bool,
    /// Seconds by which its clock is ahead of ours; `None` where it tells no time.
    pub clock_ahead: Option<i64>,
}

impl Onvif {
    /// Asks the camera what it is and can do, one question after the other, each within 8 s. An ability that the camera
    /// finds fault with is one that it lacks.
    ///
    /// # Errors
    /// `Refused` for a login that is refused, `Unsupported` from a device without media profiles, `Offline`, `Timeout`
    /// or `Other`.
    pub fn describe(&self) -> Pin<Box<dyn Future<Output = Result<Description>> + Send + '_>> {
        // A type of its own would have all of this compiled once more for each crate that asks.
        Box::pin(async move {
            let time = self.date_and_time().await;
            let utc = match time {
                Ok(told) => told.utc,
                Err(error) if is_fault(&error) => None,
                Err(error) => return Err(error),
            };
            let media = within(DESCRIBE, self.media(DESCRIBE)).await?;
            let [manufacturer, model, firmware, serial] = self.names().await?;
            Ok(Description {
                manufacturer,
                model,
                firmware,
                serial,
                streams: [Stream::Main, Stream::Sub]
                    .map(|stream| media.stream(stream).map(|profile| profile.token.clone())),
                profiles: media.profiles.clone(),
                snapshot: has(within(DESCRIBE, self.ask_picture(Stream::Main)).await)?,
                ptz: has(within(DESCRIBE, self.moves(DESCRIBE)).await)?,
                presets: has(Presets::list(self).await)?,
                tours: has(Tours::list(self).await)?,
                network: has(self.interfaces().await)?,
                clock_ahead: utc.map(|utc| Clock::of(utc).ahead()),
            })
        })
    }

    /// Asks the camera for its maker, its model, the version of its firmware and its serial number, within 8 s. What it
    /// does not say is empty.
    ///
    /// # Errors
    /// `Refused` for a login that is refused, `Offline`, `Timeout` or `Other`.
    pub async fn names(&self) -> Result<[String; 4]> {
        let told = within(DESCRIBE, self.ask_device(DESCRIBE, "GetDeviceInformation", "")).await;
        let told = match told {
            Err(error) if is_fault(&error) => Default::default(),
            told => told?,
        };
        let names = ["Manufacturer", "Model", "FirmwareVersion", "SerialNumber"];
        Ok(names.map(|name| text::name(told.text_at(name))))
    }
}

/// Whether the camera has what was asked for.
fn has<T>(outcome: Result<T>) -> Result<bool> {
    match outcome {
        Ok(_) => Ok(true),
        Err(error) if is_fault(&error) => Ok(false),
        Err(error) => Err(error),
    }
}
