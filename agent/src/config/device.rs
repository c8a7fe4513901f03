//! `[device]`: what kind of device this is.

use std::path::{Path, PathBuf};

use ivt_hal::Model;

use super::error::Error;
use super::section::{Section, path, word};

/// Reads the kind of device, and where its state is kept.
pub(super) fn device(
    mut section: Section<'_, '_>,
    base: &Path,
) -> Result<(Model, Option<PathBuf>), Error> {
    let models = word(&[("camera", Model::Camera), ("nvr", Model::Nvr)]);
    let model = section.read("model", models)?.unwrap_or(Model::Camera);
    let state_dir = path(&mut section, "state_dir", base)?;
    section.finish()?;
    Ok((model, state_dir))
}
