//! `[device]`: what kind of device this is.

use ivt_hal::Model;

use super::error::Error;
use super::section::{Section, word};

pub(super) fn device(mut section: Section<'_, '_>) -> Result<Model, Error> {
    let models = word(&[("camera", Model::Camera), ("nvr", Model::Nvr)]);
    let model = section.read("model", models)?.unwrap_or(Model::Camera);
    section.finish()?;
    Ok(model)
}
