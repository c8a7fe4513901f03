//! Whose the device is: nobody's until somebody has claimed it with a password, which then opens it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::StatusCode;
use ivt_base::secret::Secret;
use serde_json::Value;
use tokio::sync::{Semaphore, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::guesses::{Guesses, Source};
use super::password::{self, Hashed};
use super::reply::Refusal;
use super::session::{Key, Sessions};
use crate::state::StateStore;

/// Under this name the password's hash is kept.
const SUBJECT: &str = "web";

/// The password, and who is logged in by it.
pub(super) struct Gate {
    store: StateStore,
    owner: Mutex<Owner>,
    /// Whether the device has a password.
    claimed: watch::Sender<bool>,
    sessions: Mutex<Sessions>,
    guesses: Mutex<Guesses>,
    /// Lets one hash be made at a time, for their memory.
    hashing: Arc<Semaphore>,
    /// Held by who claims the device or changes its password.
    changing: tokio::sync::Mutex<()>,
}

/// By what the device is opened.
#[derive(Default)]
struct Owner {
    /// The password that somebody chose.
    chosen: Chosen,
    /// The password that was baked in, which opens while nobody has chosen another.
    first: Option<Secret>,
}

#[derive(Clone, Default)]
enum Chosen {
    #[default]
    None,
    Password(Hashed),
    /// One was chosen, and it cannot be read any more: nobody may come in until the device is reset.
    Lost,
}

/// What a password is compared with.
enum Known {
    Nothing,
    Lost,
    First(Secret),
    Hash(Hashed),
}

impl Gate {
    /// Reads what is kept in `store`. Waits for the disk.
    pub(super) fn new(store: StateStore, first: Option<Secret>) -> Self {
        let kept = store.read::<Value>(SUBJECT);
        let chosen = match kept.as_ref().map(Hashed::read) {
            Some(Some(hash)) => Chosen::Password(hash),
            None if !store.has(SUBJECT) => Chosen::None,
            _ => {
                log::error!(
                    "the page: its password cannot be read, so nobody can log in: reset the device \
                     (web.reset_file)"
                );
                Chosen::Lost
            }
        };
        let owner = Owner { chosen, first };
        let claimed = watch::Sender::new(owner.is_there());
        Self {
            store,
            owner: Mutex::new(owner),
            claimed,
            sessions: Mutex::default(),
            guesses: Mutex::default(),
            hashing: Arc::new(Semaphore::new(1)),
            changing: tokio::sync::Mutex::default(),
        }
    }

    /// Takes over the password that is baked in.
    pub(super) fn configure(&self, first: Option<Secret>) {
        let is_claimed = {
            let mut owner = lock(&self.owner);
            owner.first = first;
            owner.is_there()
        };
        self.tell(is_claimed);
    }

    pub(super) fn is_claimed(&self) -> bool {
        *self.claimed.borrow()
    }

    /// Tells whether the device is claimed.
    pub(super) fn claimed(&self) -> watch::Receiver<bool> {
        self.claimed.subscribe()
    }

    /// Whether the password is the one that was baked in.
    pub(super) fn has_first_password(&self) -> bool {
        let owner = lock(&self.owner);
        owner.first.is_some() && matches!(owner.chosen, Chosen::None)
    }

    /// Claims the device with its first password. Returns the name of a session.
    ///
    /// # Errors
    /// It is claimed already, the password will not do, or it cannot be kept.
    pub(super) async fn claim(self: &Arc<Self>, password: &str) -> Result<String, Refusal> {
        let _turn = self.changing.lock().await;
        if self.is_claimed() {
            let message = "the device has a password already: log in with it";
            return Err(Refusal::conflict("claimed", message));
        }
        self.choose(password).await?;
        log::info!("the page: the device is claimed");
        Ok(lock(&self.sessions).begin(Instant::now()))
    }

    /// Begins a session of who knows the password.
    ///
    /// # Errors
    /// The password is wrong, or too many were.
    pub(super) async fn log_in(&self, password: &str, source: Source) -> Result<String, Refusal> {
        self.guess(password, source, "password").await?;
        Ok(lock(&self.sessions).begin(Instant::now()))
    }

    /// Changes the password, which ends all sessions; returns the name of a new one.
    ///
    /// # Errors
    /// The old password is wrong, the new one will not do, or it cannot be kept.
    pub(super) async fn change(
        self: &Arc<Self>,
        old: &str,
        new: &str,
        source: Source,
    ) -> Result<String, Refusal> {
        let _turn = self.changing.lock().await;
        if let Some(complaint) = password::complaint(new) {
            return Err(Refusal::invalid("new", complaint));
        }
        self.guess(old, source, "old").await?;
        self.choose(new).await?;
        log::info!("the page: the password was changed");
        let mut sessions = lock(&self.sessions);
        sessions.end_all();
        Ok(sessions.begin(Instant::now()))
    }

    /// The sessions, for as long as it takes to look.
    pub(super) fn sessions(&self) -> MutexGuard<'_, Sessions> {
        lock(&self.sessions)
    }

    /// Logs out.
    pub(super) fn log_out(&self, key: Key) {
        lock(&self.sessions).end(key);
    }

    /// Looks at a password; a wrong one is answered late.
    async fn guess(&self, password: &str, source: Source, field: &str) -> Result<(), Refusal> {
        let known = lock(&self.owner).known();
        if matches!(known, Known::Nothing) {
            return Err(Refusal::unclaimed());
        }
        let delay = lock(&self.guesses).begin(source, Instant::now()).map_err(too_many)?;
        let typed = Secret::untold(password.to_owned());
        let is_right = self
            .hashed(move || match known {
                Known::Hash(hash) => hash.is_of(typed.expose()),
                Known::First(first) => password::is_same(first.expose(), typed.expose()),
                Known::Nothing | Known::Lost => false,
            })
            .await?;
        if is_right {
            lock(&self.guesses).was_right(source);
            return Ok(());
        }
        sleep(delay).await;
        let refusal = Refusal::new(StatusCode::UNAUTHORIZED, "wrong_password", "a wrong password");
        Err(Refusal { field: field.into(), ..refusal })
    }

    async fn choose(self: &Arc<Self>, password: &str) -> Result<(), Refusal> {
        if let Some(complaint) = password::complaint(password) {
            return Err(Refusal::invalid("password", complaint));
        }
        let typed = Secret::untold(password.to_owned());
        let hash = self.hashed(move || Hashed::new(typed.expose())).await?;
        let hash = hash.map_err(|e| Refusal::unavailable("memory", format!("no memory: {e}")))?;
        let (gate, text) = (Arc::clone(self), hash.write());
        let chosen = Box::new(move || {
            lock(&gate.owner).chosen = Chosen::Password(hash);
            gate.tell(true);
        });
        let kept = self.store.write_then(SUBJECT, &text, chosen).await;
        kept.map_err(|e| Refusal::unavailable("not_kept", e.to_string()))
    }

    /// Does what takes a hash's memory, one at a time, where it holds nobody up.
    async fn hashed<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let none = |_| Refusal::unavailable("stopping", "the page is ending: try again");
        let turn = Arc::clone(&self.hashing).acquire_owned().await.map_err(|_| none(()))?;
        // The turn ends with the work, also when nobody waits for it any more.
        let done = spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        done.await.map_err(|_| none(()))
    }

    fn tell(&self, is_claimed: bool) {
        self.claimed
            .send_if_modified(|claimed| std::mem::replace(claimed, is_claimed) != is_claimed);
    }
}

impl Owner {
    fn is_there(&self) -> bool {
        !matches!(self.known(), Known::Nothing)
    }

    fn known(&self) -> Known {
        match (&self.chosen, &self.first) {
            (Chosen::Password(hash), _) => Known::Hash(hash.clone()),
            (Chosen::Lost, _) => Known::Lost,
            (Chosen::None, Some(first)) => Known::First(first.clone()),
            (Chosen::None, None) => Known::Nothing,
        }
    }
}

fn too_many(wait: Duration) -> Refusal {
    let seconds = wait.as_secs() + 1;
    let message = format!("too many wrong passwords: wait {seconds} s");
    let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too_many_guesses", message);
    Refusal { retry_seconds: seconds, ..refusal }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
