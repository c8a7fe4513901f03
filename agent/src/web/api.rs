//! The interface `/api/v1`, a file for each subject.

mod access;
mod health;
mod openapi;
mod place;

use super::route::Route;

/// Every route of the interface.
pub(super) fn routes() -> impl Iterator<Item = &'static Route> {
    let subjects: [&[Route]; 4] = [access::ROUTES, health::ROUTES, openapi::ROUTES, place::ROUTES];
    subjects.into_iter().flatten()
}
