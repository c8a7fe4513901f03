//! The interface `/api/v1`, a file for each subject.

#[cfg(feature = "update")]
mod firmware;
mod health;
mod network;
mod time;

use super::route::Route;

/// Every route of the interface.
pub(super) fn routes() -> impl Iterator<Item = &'static Route> {
    let subjects: [&[Route]; 4] = [
        #[cfg(feature = "update")]
        firmware::ROUTES,
        #[cfg(not(feature = "update"))]
        &[],
        health::ROUTES,
        network::ROUTES,
        time::ROUTES,
    ];
    subjects.into_iter().flatten()
}
