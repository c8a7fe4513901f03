//! The page's own address. A change of it that was made on the page itself is on trial: the new place is served beside
//! the old one until somebody confirms it from there, else the old one is written back, after a power cut too.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{Notify, watch};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::reply::Refusal;
use super::sockets;
use crate::config::{Config, Listen, Web};
use crate::reload::Control;
use crate::settings::{Change, Changed, Error, Store};
use crate::state::StateStore;

/// How long a new place waits to be confirmed.
pub(super) const TRIAL: Duration = Duration::from_secs(60);
/// How long it may take until a change that is allowed is in force.
const SOON: Duration = Duration::from_secs(10);
/// Under this name the place of before is kept.
const SUBJECT: &str = "web_move";
/// The keys that say where the page is.
const KEYS: [&str; 2] = ["web.listen", "web.https"];

/// Where the page is, and where it moves to.
pub(super) struct Moves {
    store: StateStore,
    control: Control,
    phase: watch::Sender<Phase>,
    pub(super) confirmed: Notify,
}

/// How far a move is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Phase {
    /// The page is where it was confirmed to be.
    #[default]
    Still,
    /// A change has been being made since then.
    Announced(Instant),
    /// The page is also where it moves to, until it is confirmed or taken back.
    Trial { web: Box<Web>, until: Instant },
    /// The page did not move, for this reason.
    TakenBack(String),
}

impl Moves {
    pub(super) fn new(store: StateStore, control: Control) -> Self {
        let (phase, confirmed) = Default::default();
        Self { store, control, phase, confirmed }
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase.borrow().clone()
    }

    pub(super) fn set(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    /// Looks at a change of the configuration before it is written. Where the page moves by it, what leads back is on the
    /// disk before. Waits for the disk.
    ///
    /// # Errors
    /// The page would be lost, or cannot be there; begins with the setting's name.
    pub(super) fn allow(&self, old: Option<&Config>, new: &Config) -> Result<(), String> {
        let Some(old) = old.and_then(|old| old.web.as_ref()) else { return Ok(()) };
        let Some(new) = &new.web else {
            return Err(
                "web.enable: the page does not switch itself off: change the device's own file"
                    .into(),
            );
        };
        if is_same_place(old, new) {
            return Ok(());
        }
        if let Phase::Trial { until, .. } = self.phase() {
            let wait = until.saturating_duration_since(Instant::now()).as_secs();
            return Err(format!(
                "{}: the new address of before waits to be confirmed: open the page there, or wait {wait} s",
                KEYS[0]
            ));
        }
        sockets::probe(new, old).map_err(|e| format!("{}: {e}", KEYS[0]))?;
        let text = json!({ "listen": old.listen.to_string(), "https": old.https });
        self.store.write_now(SUBJECT, &text).map_err(|e| format!("{}: {e}", KEYS[0]))?;
        self.set(Phase::Announced(Instant::now()));
        Ok(())
    }

    /// Whether a change that moves the page is being made.
    pub(super) fn is_announced(&self) -> bool {
        matches!(self.phase(), Phase::Announced(then) if then.elapsed() < SOON)
    }

    /// Keeps the new place, which somebody has reached.
    ///
    /// # Errors
    /// No move waits to be confirmed, or the call did not come to the new place.
    pub(super) async fn confirm(&self, is_there: bool) -> Result<(), Refusal> {
        match self.phase() {
            Phase::Trial { .. } if is_there => {
                self.forget(Phase::Still).await;
                self.confirmed.notify_one();
                Ok(())
            }
            Phase::Trial { .. } => {
                let message = "confirm it where the page has moved to";
                Err(Refusal::conflict("not_here", message))
            }
            _ => {
                let message = "no new address waits to be confirmed";
                Err(Refusal::conflict("nothing_to_confirm", message))
            }
        }
    }

    /// Writes the old place back, and has that applied.
    pub(super) async fn take_back(&self, reason: String) {
        log::warn!("the page: its new address is taken back: {reason}");
        if restore(self.control.store(), &self.store).await {
            self.control.reload();
        }
        self.set(Phase::TakenBack(reason));
    }

    /// Forgets what leads back, and then shows `phase`.
    pub(super) async fn forget(&self, phase: Phase) {
        if let Err(e) = self.store.write(SUBJECT, &Value::Null).await {
            log::warn!("the page: {e}");
        }
        self.set(phase);
    }
}

/// Whether two configurations have the page at the same place.
pub(super) fn is_same_place(one: &Web, other: &Web) -> bool {
    (&one.listen, one.https) == (&other.listen, other.https)
}

/// Writes back a place that a move has left and that nobody confirmed; tells whether there was one.
pub(super) async fn restore(files: &Store, state: &StateStore) -> bool {
    let Some(kept) = state.read::<Value>(SUBJECT).filter(|kept| !kept.is_null()) else {
        return false;
    };
    let files = files.clone();
    let written = spawn_blocking(move || write_back(&files, &kept)).await;
    match written {
        Ok(Ok(_)) => {}
        Ok(Err(e)) => log::error!("the page: its address of before is not written back: {e}"),
        Err(e) => log::error!("the page: its address of before is not written back: {e}"),
    }
    if let Err(e) = state.write(SUBJECT, &Value::Null).await {
        log::warn!("the page: {e}");
    }
    true
}

fn write_back(files: &Store, kept: &Value) -> Result<Changed, Error> {
    let default = Listen::default().to_string();
    let listen = kept["listen"].as_str().unwrap_or(&default);
    let place = match listen == default {
        true => Change::unset(KEYS[0])?,
        false => Change::text(KEYS[0], listen)?,
    };
    let https = match kept["https"].as_bool() {
        Some(true) => Change::text(KEYS[1], "on")?,
        _ => Change::unset(KEYS[1])?,
    };
    files.change(&[place, https], None)
}
