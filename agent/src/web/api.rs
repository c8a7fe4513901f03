//! The interface `/api/v1`, a file for each subject.

mod access;
mod health;
mod settings;

use super::route::Route;

/// Every route of the interface.
pub(super) fn routes() -> impl Iterator<Item = &'static Route> {
    let subjects: [&[Route]; 3] = [access::ROUTES, health::ROUTES, settings::ROUTES];
    subjects.into_iter().flatten()
}
