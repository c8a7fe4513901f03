//! The interface `/api/v1`, a file for each subject.

mod cloud;
mod health;
mod hosted;
mod settings;
mod trace;

use super::route::Route;

/// Every route of the interface.
pub(super) fn routes() -> impl Iterator<Item = &'static Route> {
    let subjects: [&[Route]; 5] =
        [cloud::ROUTES, health::ROUTES, hosted::ROUTES, settings::ROUTES, trace::ROUTES];
    subjects.into_iter().flatten()
}
