//! Whose the device is: nobody's until somebody has claimed it with a password, which then opens it.

use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::StatusCode;
use ivt_base::secret::Secret;
use ivt_base::task::spawn_blocking;
use serde_json::Value;
use tokio::sync::{OwnedMutexGuard, Semaphore, watch};
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
    /// Held by who claims the device, changes its password or settings, or resets it, until that is on the disk.
    changing: Arc<tokio::sync::Mutex<()>>,
}

/// By what the device is opened.
#[derive(Default)]
struct Owner {
    /// The password that somebody chose.
    chosen: Chosen,
    /// The password that was baked in, which opens while nobody has chosen another.
    first: Option<Secret>,
    /// Whether the device is being reset.
    is_closed: bool,
    /// Raised whenever who is logged in is sent away. Who was let in by an older one comes too late.
    age: u64,
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
    pub(super) fn new(store: StateStore) -> Self {
        let owner = Owner { chosen: read(&store), ..Owner::default() };
        let claimed = watch::Sender::new(owner.is_there());
        Self {
            store,
            owner: Mutex::new(owner),
            claimed,
            sessions: Mutex::default(),
            guesses: Mutex::default(),
            hashing: Arc::new(Semaphore::new(1)),
            changing: Arc::default(),
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

    /// Ends all sessions and begins none until [`reopen`](Self::reopen): the device is being reset.
    pub(super) fn close(&self) {
        self.turn(&mut lock(&self.owner), |owner| owner.is_closed = true);
        self.tell(false);
    }

    /// Waits until nobody changes the password any more; nobody does until what is returned is dropped.
    pub(super) async fn hold(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.changing).lock_owned().await
    }

    /// A turn to write for the session `key`, in which the device is not reset: what is written would outlast that.
    /// `key` is `None` where the call needs no session.
    ///
    /// # Errors
    /// The session has ended meanwhile.
    pub(super) async fn turn_of(&self, key: Option<Key>) -> Result<OwnedMutexGuard<()>, Refusal> {
        let turn = self.hold().await;
        match key.is_none_or(|key| self.sessions().has(key)) {
            true => Ok(turn),
            false => Err(Refusal::logged_out()),
        }
    }

    /// Returns when the device becomes nobody's.
    pub(super) async fn given_up(&self) {
        let mut claimed = self.claimed();
        while claimed.changed().await.is_ok() {
            if !*claimed.borrow_and_update() {
                return;
            }
        }
        pending().await
    }

    /// Takes over what a reset has left. Waits for the disk.
    pub(super) fn reopen(&self, first: Option<Secret>) {
        let chosen = read(&self.store);
        self.turn(&mut lock(&self.owner), |owner| {
            (owner.chosen, owner.first, owner.is_closed) = (chosen, None, false);
        });
        self.configure(first);
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
    pub(super) async fn claim(
        self: &Arc<Self>,
        password: &str,
        is_secure: bool,
    ) -> Result<String, Refusal> {
        let turn = self.hold().await;
        let (is_closed, age) = {
            let owner = lock(&self.owner);
            (owner.is_closed, owner.age)
        };
        if is_closed {
            return Err(resetting());
        }
        if self.is_claimed() {
            let message = "the device has a password already: log in with it";
            return Err(Refusal::conflict("claimed", message));
        }
        let age = self.choose(password, age, turn).await?;
        log::info!("the page: the device is claimed");
        self.begin(age, is_secure)
    }

    /// Begins a session of who knows the password.
    ///
    /// # Errors
    /// The password is wrong, or too many were.
    pub(super) async fn log_in(
        &self,
        password: &str,
        source: Source,
        is_secure: bool,
    ) -> Result<String, Refusal> {
        let age = self.guess(password, source, "password").await?;
        self.begin(age, is_secure)
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
        is_secure: bool,
    ) -> Result<String, Refusal> {
        let turn = self.hold().await;
        if let Some(complaint) = password::complaint(new) {
            return Err(Refusal::invalid("new", complaint));
        }
        let age = self.guess(old, source, "old").await?;
        let age = self.choose(new, age, turn).await?;
        log::info!("the page: the password was changed");
        self.begin(age, is_secure)
    }

    /// The sessions, for as long as it takes to look.
    pub(super) fn sessions(&self) -> MutexGuard<'_, Sessions> {
        lock(&self.sessions)
    }

    /// Logs out.
    pub(super) fn log_out(&self, key: Key) {
        lock(&self.sessions).end(key);
    }

    /// Looks at a password; a wrong one is answered late. Returns how old it is.
    async fn guess(&self, password: &str, source: Source, field: &str) -> Result<u64, Refusal> {
        let (known, age) = {
            let owner = lock(&self.owner);
            (owner.known(), owner.age)
        };
        if matches!(known, Known::Nothing) {
            return Err(Refusal::unclaimed());
        }
        let counted = lock(&self.guesses).begin(source, Instant::now());
        let delay = counted.map_err(|wait| {
            self.warn(source);
            too_many(wait)
        })?;
        let typed = Secret::untold(password.to_owned());
        let is_right = self
            .hashed(move || match known {
                Known::Hash(hash) => hash.is_of(typed.expose()),
                Known::First(first) => password::is_same(first.expose(), typed.expose()),
                Known::Nothing | Known::Lost => false,
            })
            .await?;
        if is_right {
            lock(&self.guesses).was_right(source, Instant::now());
            return Ok(age);
        }
        self.warn(source);
        sleep(delay).await;
        let refusal = Refusal::new(StatusCode::UNAUTHORIZED, "wrong_password", "a wrong password");
        Err(Refusal { field: field.into(), ..refusal })
    }

    /// Tells the log, once in a while, that somebody guesses.
    fn warn(&self, source: Source) {
        if lock(&self.guesses).is_news(Instant::now()) {
            log::warn!("the page: a wrong password from {source}");
        }
    }

    /// Keeps a password in the place of one of that age, which ends all sessions. Returns the age of the new one.
    async fn choose(
        self: &Arc<Self>,
        password: &str,
        age: u64,
        turn: OwnedMutexGuard<()>,
    ) -> Result<u64, Refusal> {
        if let Some(complaint) = password::complaint(password) {
            return Err(Refusal::invalid("password", complaint));
        }
        let typed = Secret::untold(password.to_owned());
        let hash = self.hashed(move || Hashed::new(typed.expose())).await?;
        let hash = hash.map_err(|e| Refusal::unavailable("memory", format!("no memory: {e}")))?;
        if lock(&self.owner).age != age {
            return Err(resetting());
        }
        let (gate, text) = (Arc::clone(self), hash.write());
        // The turn ends with the writing, also when nobody waits for it any more.
        let chosen = Box::new(move || {
            let _turn = turn;
            let mut owner = lock(&gate.owner);
            if owner.age == age {
                gate.turn(&mut owner, |owner| owner.chosen = Chosen::Password(hash));
                gate.tell(owner.is_there());
            }
        });
        let kept = self.store.write_then(SUBJECT, &text, chosen).await;
        kept.map_err(|e| Refusal::unavailable("not_kept", e.to_string()))?;
        Ok(age + 1)
    }

    /// Begins a session of who was let in by what is of that age.
    fn begin(&self, age: u64, is_secure: bool) -> Result<String, Refusal> {
        let owner = lock(&self.owner);
        match owner.age == age {
            true => Ok(lock(&self.sessions).begin(is_secure, Instant::now())),
            false => Err(resetting()),
        }
    }

    /// Changes by what the device is opened, and ends all sessions.
    fn turn(&self, owner: &mut Owner, change: impl FnOnce(&mut Owner)) {
        change(owner);
        owner.age += 1;
        lock(&self.sessions).end_all();
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
            _ if self.is_closed => Known::Nothing,
            (Chosen::Password(hash), _) => Known::Hash(hash.clone()),
            (Chosen::Lost, _) => Known::Lost,
            (Chosen::None, Some(first)) => Known::First(first.clone()),
            (Chosen::None, None) => Known::Nothing,
        }
    }
}

/// The password that somebody chose, as it is kept.
fn read(store: &StateStore) -> Chosen {
    let kept = store.read::<Value>(SUBJECT);
    match kept.as_ref().map(Hashed::read) {
        Some(Some(hash)) => Chosen::Password(hash),
        None if !store.has(SUBJECT) => Chosen::None,
        _ => {
            log::error!(
                "the page: its password cannot be read, so nobody can log in: reset the device (web.reset_file)"
            );
            Chosen::Lost
        }
    }
}

pub(super) fn resetting() -> Refusal {
    let message =
        "the device is being reset, or its password is changed: try again in a few seconds";
    Refusal::unavailable("resetting", message)
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

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::pin::pin;

    use futures::FutureExt as _;
    use futures::future::join;

    use super::*;

    const OLD: &str = "0pen sesame";
    const NEW: &str = "0pen poppy";

    struct Rig {
        _folder: tempfile::TempDir,
        store: StateStore,
        gate: Arc<Gate>,
    }

    async fn rig() -> Rig {
        let folder = tempfile::tempdir().unwrap();
        let store = StateStore::new(Some(folder.path().into()));
        let gate = Arc::new(Gate::new(store.clone()));
        gate.claim(OLD, false).await.unwrap();
        Rig { _folder: folder, store, gate }
    }

    impl Rig {
        async fn reset(&self) {
            self.gate.close();
            let _turn = self.gate.hold().await;
            self.store.wipe(&[]).unwrap();
            self.gate.reopen(None);
        }
    }

    fn here() -> Source {
        IpAddr::from(Ipv4Addr::LOCALHOST).into()
    }

    #[tokio::test]
    async fn who_logs_in_while_the_device_is_reset_is_not_let_in() {
        let rig = rig().await;
        let mut login = pin!(rig.gate.log_in(OLD, here(), false));
        assert!(login.as_mut().now_or_never().is_none(), "the password is being looked at");
        rig.reset().await;
        assert_eq!(login.await.unwrap_err().code, "resetting");
        let owner = rig.gate.claim(NEW, false).await.unwrap();
        assert!(rig.gate.sessions().find(&owner, false, Instant::now()).is_some());
    }

    #[tokio::test]
    async fn a_password_that_is_being_changed_does_not_outlast_the_reset() {
        let rig = rig().await;
        // The reset comes while the old password is looked at, while the new one is hashed, while it is written.
        for turns in 0..4 {
            let late = async {
                for _ in 0..turns {
                    rig.gate.hashed(|| ()).await.unwrap();
                }
                rig.reset().await;
            };
            let (changed, ()) = join(rig.gate.change(OLD, NEW, here(), false), late).await;
            assert!(turns > 0 || changed.is_err_and(|e| e.code == "resetting"));
            assert!(!rig.gate.is_claimed() && !rig.store.has(SUBJECT), "after {turns}");
            rig.gate.claim(OLD, false).await.unwrap();
        }
    }

    #[tokio::test]
    async fn who_is_writing_is_waited_for_and_who_comes_later_is_refused() {
        let rig = rig().await;
        let name = rig.gate.log_in(OLD, here(), false).await.unwrap();
        let key = rig.gate.sessions().find(&name, false, Instant::now()).unwrap();
        let turn = rig.gate.turn_of(Some(key)).await.unwrap();
        {
            let mut reset = pin!(rig.reset());
            assert!(reset.as_mut().now_or_never().is_none() && rig.store.has(SUBJECT));
            drop(turn);
            reset.await;
        }
        assert!(!rig.store.has(SUBJECT));
        assert_eq!(rig.gate.turn_of(Some(key)).await.unwrap_err().code, "logged_out");
    }

    #[tokio::test]
    async fn nor_does_one_whose_answer_nobody_waits_for() {
        let rig = rig().await;
        for turns in 0..4 {
            {
                let mut change = pin!(rig.gate.change(OLD, NEW, here(), false));
                for _ in 0..turns {
                    if change.as_mut().now_or_never().is_some() {
                        break;
                    }
                    rig.gate.hashed(|| ()).await.unwrap();
                }
            }
            rig.reset().await;
            assert!(!rig.gate.is_claimed() && !rig.store.has(SUBJECT), "after {turns}");
            rig.gate.claim(OLD, false).await.unwrap();
        }
    }

    #[tokio::test]
    async fn the_old_password_lets_nobody_in_who_comes_while_it_is_changed() {
        let rig = rig().await;
        let mut change = pin!(rig.gate.change(OLD, NEW, here(), false));
        assert!(change.as_mut().now_or_never().is_none());
        let (login, changed) = join(rig.gate.log_in(OLD, here(), false), change).await;
        let changed = changed.unwrap();
        let mut sessions = rig.gate.sessions();
        assert!(sessions.find(&changed, false, Instant::now()).is_some());
        if let Ok(early) = login {
            assert!(sessions.find(&early, false, Instant::now()).is_none());
        }
    }
}
