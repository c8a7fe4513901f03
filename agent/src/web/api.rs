//! The interface `/api/v1`, a file for each subject.

mod health;
#[cfg(all(feature = "onvif", feature = "profiles"))]
mod probe;
mod settings;

use super::route::Route;

/// Every route of the interface.
pub(super) fn routes() -> impl Iterator<Item = &'static Route> {
    let subjects: &[&[Route]] = &[
        health::ROUTES,
        #[cfg(all(feature = "onvif", feature = "profiles"))]
        probe::ROUTES,
        settings::ROUTES,
    ];
    subjects.iter().copied().flatten()
}
