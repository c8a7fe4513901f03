//! The interface `/api/v1`, a file for each subject.

mod access;
mod alarms;
mod detections;
mod health;
pub(super) mod live;
mod ptz;
mod recording;
mod settings;

use super::route::Route;

/// Every route of the interface.
pub(super) fn routes() -> impl Iterator<Item = &'static Route> {
    let subjects: [&[Route]; 8] = [
        access::ROUTES,
        alarms::ROUTES,
        detections::ROUTES,
        health::ROUTES,
        live::ROUTES,
        ptz::ROUTES,
        recording::ROUTES,
        settings::ROUTES,
    ];
    subjects.into_iter().flatten()
}
