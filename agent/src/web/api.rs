//! The interface `/api/v1`, a file for each subject.

mod health;
mod recording;

use super::route::Route;

/// Every route of the interface.
pub(super) fn routes() -> impl Iterator<Item = &'static Route> {
    let subjects: [&[Route]; 2] = [health::ROUTES, recording::ROUTES];
    subjects.into_iter().flatten()
}
