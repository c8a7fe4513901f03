//! What a person does by hand, kept as a scenario for `ivc-sim run`.

mod act;
mod api;
mod toml;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::routing::get;
use tokio::time::Instant;

use super::Cloud;
pub(super) use act::Act;

/// Most acts that are kept; later ones are only counted.
const MAX_ACTS: usize = 200;
/// Most bytes of all acts that are kept.
const MAX_BYTES: usize = 512 << 10;

/// What is kept since a person began to record.
#[derive(Default)]
pub(super) struct Script(Mutex<Option<Kept>>);

/// The acts for one device.
#[derive(Clone)]
pub(super) struct Kept {
    login_code: String,
    /// Whether the device was connected at the begin.
    was_online: bool,
    /// Whether acts are still added.
    on: bool,
    acts: Vec<(Instant, Act)>,
    bytes: usize,
    /// Number of acts that found no room.
    left_out: u64,
}

impl Script {
    /// Begins anew, for this device, which is connected or not.
    fn begin(&self, login_code: &str, was_online: bool) {
        *self.lock() = Some(Kept {
            login_code: login_code.to_owned(),
            was_online,
            on: true,
            acts: Vec::new(),
            bytes: 0,
            left_out: 0,
        });
    }

    /// Adds nothing any more. What was kept stays.
    fn end(&self) {
        if let Some(kept) = &mut *self.lock() {
            kept.on = false;
        }
    }

    /// What was kept for this device.
    fn kept(&self, login_code: &str) -> Option<Kept> {
        self.lock().clone().filter(|kept| kept.login_code == login_code)
    }

    /// Keeps an act for a device, or for all of them, if somebody records.
    pub(super) fn note(&self, login_code: Option<&str>, act: impl FnOnce() -> Act) {
        let mut script = self.lock();
        let Some(kept) = script.as_mut().filter(|kept| kept.on) else { return };
        if login_code.is_some_and(|code| code != kept.login_code) {
            return;
        }
        let act = act();
        let bytes = act.bytes();
        if kept.acts.len() >= MAX_ACTS || kept.bytes + bytes > MAX_BYTES {
            kept.left_out += 1;
            return;
        }
        kept.bytes += bytes;
        kept.acts.push((Instant::now(), act));
    }

    fn lock(&self) -> MutexGuard<'_, Option<Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The routes for the page.
pub(super) fn page_routes() -> Router<Arc<Cloud>> {
    Router::new()
        .route("/api/script", get(api::state).post(api::change))
        .route("/api/script.toml", get(api::download))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acts_are_kept_for_the_device_while_somebody_records_and_in_bounds() {
        let script = Script::default();
        script.note(Some("a"), || Act::HangUp);
        assert!(script.kept("a").is_none());
        script.begin("a", true);
        script.note(Some("b"), || Act::HangUp);
        script.note(Some("a"), || Act::HangUp);
        script.note(None, || Act::Faults(Box::default()));
        assert_eq!(script.kept("a").unwrap().acts.len(), 2);
        assert!(script.kept("b").is_none());
        script.note(Some("a"), || Act::Raw { text: "x".repeat(MAX_BYTES) });
        (0..MAX_ACTS).for_each(|_| script.note(Some("a"), || Act::HangUp));
        let kept = script.kept("a").unwrap();
        assert_eq!((kept.acts.len(), kept.left_out), (MAX_ACTS, 3));
        script.end();
        script.note(Some("a"), || Act::HangUp);
        assert_eq!(script.kept("a").unwrap().left_out, 3);
        script.begin("a", true);
        assert!(script.kept("a").unwrap().acts.is_empty());
    }
}
