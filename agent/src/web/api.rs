//! The interface `/api/v1`, a file for each subject.

mod access;
mod health;
pub(super) mod live;
mod ptz;

use super::route::Route;

/// Every route of the interface.
pub(super) fn routes() -> impl Iterator<Item = &'static Route> {
    let subjects: [&[Route]; 4] = [access::ROUTES, health::ROUTES, live::ROUTES, ptz::ROUTES];
    subjects.into_iter().flatten()
}
