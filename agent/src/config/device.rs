//! `[device]`: what kind of device this is.

use std::path::PathBuf;

use ivt_hal::Model;

use super::error::Error;
use super::section::{Section, path, word};

/// `device.clock_steps`: how far the cloud may move the clock of a camera.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClockSteps {
    /// By 24 h within a day, never to before the date of the build; a clock that was never set, to any later time.
    #[default]
    Day,
    /// To any time.
    Any,
}

/// Reads the kind of device, where its state is kept, and how far the cloud may move its clocks.
pub(super) fn device(
    mut section: Section<'_, '_>,
) -> Result<(Model, Option<PathBuf>, ClockSteps), Error> {
    let models = word(&[("camera", Model::Camera), ("nvr", Model::Nvr)]);
    let model = section.read("model", models)?.unwrap_or(Model::Camera);
    let state_dir = path(&mut section, "state_dir")?;
    let steps = word(&[("day", ClockSteps::Day), ("any", ClockSteps::Any)]);
    let steps = section.read("clock_steps", steps)?.unwrap_or_default();
    section.finish()?;
    Ok((model, state_dir, steps))
}
