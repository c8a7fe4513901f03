//! The page's own address. A change of it that was made on the page itself is on trial: the new place is served beside
//! the old one until somebody confirms it from there, else the old one is written back, after a power cut too.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{Notify, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout};

use super::reply::Refusal;
use crate::config::{Listen, Web};
use crate::reload::Control;
use crate::settings::{Change, Changed, Error, Store};
use crate::state::StateStore;

/// How long a new place waits to be confirmed.
pub(super) const TRIAL: Duration = Duration::from_secs(60);
/// How long it may take from the announcement of a change to the change.
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
    /// Held while a change is announced.
    turn: Mutex<()>,
}

/// How far a move is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Phase {
    /// The page is where it was confirmed to be.
    #[default]
    Still,
    /// A change is being made.
    Announced,
    /// The page is also where it moves to, until it is confirmed or taken back.
    Trial { web: Box<Web>, until: Instant },
    /// The page did not move, for this reason.
    TakenBack(String),
}

impl Moves {
    pub(super) fn new(store: StateStore, control: Control) -> Self {
        let (phase, confirmed) = Default::default();
        Self { store, control, phase, confirmed, turn: Mutex::default() }
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase.borrow().clone()
    }

    pub(super) fn set(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    /// Prepares for a change of these keys: what leads back is on the disk before it is made.
    ///
    /// # Errors
    /// A move waits to be confirmed, or nothing can be kept.
    pub(super) async fn before(
        self: &Arc<Self>,
        keys: impl IntoIterator<Item = String>,
    ) -> Result<(), Refusal> {
        let is_move = keys.into_iter().any(|key| KEYS.contains(&&*key));
        let begun = {
            let _turn = self.turn();
            match self.phase() {
                Phase::Trial { until, .. } if is_move => {
                    let wait = until.saturating_duration_since(Instant::now()).as_secs();
                    let message = format!(
                        "the page's new address waits to be confirmed: open it there, or wait {wait} s"
                    );
                    return Err(Refusal::conflict("on_trial", message));
                }
                Phase::TakenBack(_) | Phase::Still => self.set(match is_move {
                    true => Phase::Announced,
                    false => Phase::Still,
                }),
                Phase::Announced | Phase::Trial { .. } => {}
            }
            is_move
        };
        if !begun {
            return Ok(());
        }
        if let Err(refusal) = self.keep().await {
            self.set(Phase::Still);
            return Err(refusal);
        }
        let moves = Arc::clone(self);
        tokio::spawn(async move {
            sleep(SOON).await;
            // The change was refused, so that nothing is to be taken back.
            if moves.phase() == Phase::Announced {
                moves.forget(Phase::Still).await;
            }
        });
        Ok(())
    }

    /// Waits until a change that was announced is in force.
    ///
    /// # Errors
    /// The new place cannot be opened; the old one is written back.
    pub(super) async fn settled(&self) -> Result<(), Refusal> {
        let mut phase = self.phase.subscribe();
        let settled = phase.wait_for(|phase| *phase != Phase::Announced);
        match timeout(SOON, settled).await {
            Ok(Ok(phase)) => match &*phase {
                Phase::TakenBack(reason) => {
                    let refusal = Refusal::conflict("place_busy", reason);
                    Err(Refusal { field: KEYS[0].into(), ..refusal })
                }
                _ => Ok(()),
            },
            // It is told by the state of the move.
            _ => Ok(()),
        }
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

    /// Keeps where the page is by the files' present text.
    async fn keep(&self) -> Result<(), Refusal> {
        let store = self.control.store().clone();
        let read = spawn_blocking(move || store.read()).await;
        let web = read.ok().and_then(Result::ok).and_then(|(config, _)| config.web);
        let Some(web) = web else {
            let message = "the configuration cannot be read; see the log";
            return Err(Refusal::unavailable("unreadable", message));
        };
        let text = json!({ "listen": web.listen.to_string(), "https": web.https });
        let kept = self.store.write(SUBJECT, &text).await;
        kept.map_err(|e| Refusal::unavailable("not_kept", e.to_string()))
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
