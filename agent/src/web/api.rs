//! The interface `/api/v1`, a file for each subject.

mod access;
mod health;
mod log;
mod overview;
mod settings;

use super::route::Route;

/// Every route of the interface.
pub(super) fn routes() -> impl Iterator<Item = &'static Route> {
    let subjects: [&[Route]; 5] =
        [access::ROUTES, health::ROUTES, log::ROUTES, overview::ROUTES, settings::ROUTES];
    subjects.into_iter().flatten()
}
