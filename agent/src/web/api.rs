//! The interface `/api/v1`, a file for each subject.

mod access;
#[cfg(feature = "update")]
mod firmware;
mod health;
pub(super) mod live;
mod network;
mod ptz;
mod time;

use super::route::Route;

/// Every route of the interface.
pub(super) fn routes() -> impl Iterator<Item = &'static Route> {
    let subjects: &[&[Route]] = &[
        access::ROUTES,
        #[cfg(feature = "update")]
        firmware::ROUTES,
        health::ROUTES,
        live::ROUTES,
        network::ROUTES,
        ptz::ROUTES,
        time::ROUTES,
    ];
    subjects.iter().copied().flatten()
}
