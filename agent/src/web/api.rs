//! The interface `/api/v1`, a file for each subject.

mod access;
mod channels;
mod health;
#[cfg(all(feature = "onvif", feature = "profiles"))]
mod probe;
mod publishes;
mod settings;
mod wizard;

use super::route::Route;

/// Every route of the interface.
pub(super) fn routes() -> impl Iterator<Item = &'static Route> {
    let subjects: &[&[Route]] = &[
        access::ROUTES,
        channels::ROUTES,
        health::ROUTES,
        #[cfg(all(feature = "onvif", feature = "profiles"))]
        probe::ROUTES,
        publishes::ROUTES,
        settings::ROUTES,
        wizard::ROUTES,
    ];
    subjects.iter().copied().flatten()
}
