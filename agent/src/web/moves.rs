//! The page's own address. A change of it that was made on the page itself is on trial: the new place is served beside
//! the old one until somebody confirms it from there, else the old one is written back, after a power cut too.

use std::time::Duration;

use ivt_base::task::spawn_blocking;
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::reply::Refusal;
use super::sockets;
use crate::config::{Config, Listen, Web};
use crate::reload::Control;
use crate::settings::{Change, Error, Store};
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
        let text = json!({ "from": place(old), "to": place(new) });
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
            Phase::Trial { .. } if is_there && self.settle() => {
                self.confirmed.notify_one();
                self.erase().await;
                Ok(())
            }
            Phase::Trial { .. } if !is_there => {
                let message = "confirm it where the page has moved to";
                Err(Refusal::conflict("not_here", message))
            }
            _ => {
                let message = "no new address waits to be confirmed";
                Err(Refusal::conflict("nothing_to_confirm", message))
            }
        }
    }

    /// Ends the trial. False if somebody else has ended it.
    pub(super) fn settle(&self) -> bool {
        self.phase.send_if_modified(|now| {
            let is_tried = matches!(now, Phase::Trial { .. });
            if is_tried {
                *now = Phase::Still;
            }
            is_tried
        })
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
        self.erase().await;
        self.set(phase);
    }

    async fn erase(&self) {
        if let Err(e) = self.store.write(SUBJECT, &Value::Null).await {
            log::warn!("the page: {e}");
        }
    }
}

fn place(web: &Web) -> Value {
    json!({ "listen": web.listen.to_string(), "https": web.https })
}

/// Whether two configurations have the page at the same place.
pub(super) fn is_same_place(one: &Web, other: &Web) -> bool {
    (&one.listen, one.https) == (&other.listen, other.https)
}

/// Writes back a place that a move has left and that nobody confirmed; tells whether there was one. Where that fails, it is
/// tried again at the next start.
pub(super) async fn restore(files: &Store, state: &StateStore) -> bool {
    let reading = state.clone();
    let kept = spawn_blocking(move || reading.read::<Value>(SUBJECT)).await.ok().flatten();
    let Some(kept) = kept.filter(|kept| !kept.is_null()) else { return false };
    let files = files.clone();
    let written = spawn_blocking(move || write_back(&files, &kept)).await;
    match written.map_err(|e| e.to_string()).and_then(|done| done.map_err(|e| e.to_string())) {
        Ok(()) => {
            if let Err(e) = state.write(SUBJECT, &Value::Null).await {
                log::warn!("the page: {e}");
            }
        }
        Err(e) => log::error!("the page: its address of before is not written back: {e}"),
    }
    true
}

fn write_back(files: &Store, kept: &Value) -> Result<(), Error> {
    // The change that was allowed may have failed, and somebody may have changed the files by hand since.
    let is_there = |web: &Option<Web>| web.as_ref().is_some_and(|web| place(web) == kept["to"]);
    if files.load().is_ok_and(|config| !is_there(&config.web)) {
        return Ok(());
    }
    let (kept, default) = (&kept["from"], Listen::default().to_string());
    let listen = kept["listen"].as_str().unwrap_or(&default);
    let place = match listen == default {
        true => Change::unset(KEYS[0])?,
        false => Change::text(KEYS[0], listen)?,
    };
    let https = match kept["https"].as_bool() {
        Some(true) => Change::text(KEYS[1], "on")?,
        _ => Change::unset(KEYS[1])?,
    };
    files.change(&[place, https], None).map(drop)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures::FutureExt as _;

    use super::*;
    use crate::config::Access;
    use crate::reload::Reload;

    struct Rig {
        folder: tempfile::TempDir,
        reload: Reload,
        moves: Moves,
    }

    fn rig() -> Rig {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ivt.toml");
        std::fs::write(&file, text("lan:80")).unwrap();
        let reload = Reload::listen(Store::new(file, Access::Any)).unwrap();
        let state = StateStore::new(Some(folder.path().join("state")));
        let moves = Moves::new(state, reload.control());
        Rig { folder, reload, moves }
    }

    fn text(listen: &str) -> String {
        format!("[web]\nenable = true\nlisten = '{listen}'\n")
    }

    fn web(listen: &str) -> Web {
        text(listen).parse::<Config>().unwrap().web.unwrap()
    }

    impl Rig {
        fn write(&self, text: &str) {
            std::fs::write(self.folder.path().join("ivt.toml"), text).unwrap();
        }

        fn listen(&self) -> String {
            let config = self.reload.control().store().load().unwrap();
            config.web.unwrap().listen.to_string()
        }

        async fn announce(&self) {
            let kept = json!({ "from": place(&web("lan:80")), "to": place(&web("lan:81")) });
            self.moves.store.write(SUBJECT, &kept).await.unwrap();
        }

        async fn restore(&self) -> bool {
            restore(self.reload.control().store(), &self.moves.store).await
        }

        fn kept(&self) -> bool {
            self.moves.store.read::<Value>(SUBJECT).is_some_and(|kept| !kept.is_null())
        }
    }

    #[tokio::test]
    async fn who_confirms_in_the_last_moment_is_told_what_became_of_it() {
        let rig = rig();
        let trial = || Phase::Trial { web: Box::new(web("lan:81")), until: Instant::now() + TRIAL };
        rig.announce().await;
        rig.moves.set(trial());
        let mut confirmed = pin!(rig.moves.confirm(true));
        assert!(confirmed.as_mut().now_or_never().is_none(), "it is being written");
        assert!(!rig.moves.settle(), "it is not taken back any more");
        confirmed.await.unwrap();
        assert!(!rig.kept());
        rig.moves.set(trial());
        assert!(rig.moves.settle());
        assert_eq!(rig.moves.confirm(true).await.unwrap_err().code, "nothing_to_confirm");
    }

    #[tokio::test]
    async fn a_change_that_failed_leads_nowhere_back() {
        let rig = rig();
        rig.announce().await;
        rig.write(&text("lan:8080"));
        rig.restore().await;
        assert_eq!((rig.listen().as_str(), rig.kept()), ("lan:8080", false));
        rig.announce().await;
        rig.write(&text("lan:81"));
        assert!(rig.restore().await);
        assert_eq!((rig.listen().as_str(), rig.kept()), ("lan:80", false));
    }

    #[tokio::test]
    async fn what_cannot_be_written_back_is_tried_again() {
        let rig = rig();
        rig.announce().await;
        rig.write("torn = [");
        rig.restore().await;
        assert!(rig.kept());
        rig.write(&text("lan:81"));
        rig.restore().await;
        assert_eq!((rig.listen().as_str(), rig.kept()), ("lan:80", false));
    }
}
