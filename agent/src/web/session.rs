//! Who is logged in to the page.

use std::time::Duration;

use rand::Rng as _;
use rand::rngs::StdRng;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio::time::Instant;

/// A session ends when nothing was asked for so long.
pub(super) const IDLE: Duration = Duration::from_secs(15 * 60);
/// No session lasts longer.
pub(super) const LONGEST: Duration = Duration::from_secs(12 * 60 * 60);
/// Most sessions at a time; the one that was used least recently makes room.
const MOST: usize = 16;
/// Bytes of a session's name.
const NAME: usize = 32;

/// Finds a session without the name by which a browser proves it: its digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key([u8; 32]);

/// All sessions.
#[derive(Default)]
pub(super) struct Sessions(Vec<Session>);

struct Session {
    key: Key,
    /// Whether it began on an encrypted connection. What proves a session without encryption is no secret.
    is_secure: bool,
    begun: Instant,
    used: Instant,
    /// Tells when the session is used; dropped with the session, which ends what it still receives.
    uses: watch::Sender<Instant>,
}

impl Session {
    fn ends(&self) -> Instant {
        (self.used + IDLE).min(self.begun + LONGEST)
    }
}

impl Sessions {
    /// Begins a session; returns its name, 64 hexadecimal digits that nobody can guess.
    pub(super) fn begin(&mut self, is_secure: bool, now: Instant) -> String {
        self.forget(now);
        if self.0.len() >= MOST {
            let oldest = self.0.iter().enumerate().min_by_key(|(_, session)| session.used);
            if let Some((place, _)) = oldest {
                self.0.swap_remove(place);
            }
        }
        let mut name = [0; NAME];
        rand::make_rng::<StdRng>().fill_bytes(&mut name);
        let name: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
        let uses = watch::Sender::new(now + IDLE);
        self.0.push(Session { key: key(&name), is_secure, begun: now, used: now, uses });
        name
    }

    /// The session of a name that is proved with or without encryption, as it began, unless it has ended.
    pub(super) fn find(&mut self, name: &str, is_secure: bool, now: Instant) -> Option<Key> {
        self.forget(now);
        let key = key(name);
        let is_it = |session: &Session| session.key == key && session.is_secure == is_secure;
        self.0.iter().any(is_it).then_some(key)
    }

    /// Whether nobody has ended a session.
    pub(super) fn has(&self, key: Key) -> bool {
        self.0.iter().any(|session| session.key == key)
    }

    /// Notes that a session is used by a person.
    pub(super) fn touch(&mut self, key: Key, now: Instant) {
        if let Some(session) = self.0.iter_mut().find(|session| session.key == key) {
            session.used = now;
            session.uses.send_replace(session.ends());
        }
    }

    /// What tells how long a session lasts; the sender goes with the session. `None` if it has ended.
    pub(super) fn end_of(&self, key: Key) -> Option<watch::Receiver<Instant>> {
        let session = self.0.iter().find(|session| session.key == key)?;
        Some(session.uses.subscribe())
    }

    /// How long a session lasts if nothing more is asked.
    pub(super) fn left(&self, key: Key, now: Instant) -> Duration {
        let session = self.0.iter().find(|session| session.key == key);
        session.map_or(Duration::ZERO, |session| session.ends().saturating_duration_since(now))
    }

    pub(super) fn end(&mut self, key: Key) {
        self.0.retain(|session| session.key != key);
    }

    pub(super) fn end_all(&mut self) {
        self.0.clear();
    }

    fn forget(&mut self, now: Instant) {
        self.0.retain(|session| session.ends() > now);
    }
}

/// Returns when the session whose end `ends` tells is over.
pub(super) async fn over(mut ends: watch::Receiver<Instant>) {
    loop {
        let end = *ends.borrow_and_update();
        tokio::select! {
            () = tokio::time::sleep_until(end) => return,
            changed = ends.changed() => if changed.is_err() { return },
        }
    }
}

fn key(name: &str) -> Key {
    Key(Sha256::digest(name).into())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use futures::FutureExt as _;
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_session_ends_when_it_is_not_used_and_after_half_a_day() {
        let mut sessions = Sessions::default();
        let name = sessions.begin(false, Instant::now());
        let key = sessions.find(&name, false, Instant::now()).unwrap();
        assert_eq!(sessions.left(key, Instant::now()), IDLE);
        let mut lasted = Duration::ZERO;
        while sessions.find(&name, false, Instant::now()).is_some() {
            sessions.touch(key, Instant::now());
            advance(IDLE - Duration::from_secs(1)).await;
            lasted += IDLE - Duration::from_secs(1);
        }
        assert!(lasted >= LONGEST && lasted < LONGEST + IDLE, "{lasted:?}");

        let name = sessions.begin(false, Instant::now());
        advance(IDLE).await;
        assert!(sessions.find(&name, false, Instant::now()).is_none());
        assert!(sessions.find("", false, Instant::now()).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_still_received_ends_with_its_session() {
        let mut sessions = Sessions::default();
        let name = sessions.begin(false, Instant::now());
        let key = sessions.find(&name, false, Instant::now()).unwrap();
        let mut end = std::pin::pin!(over(sessions.end_of(key).unwrap()));
        advance(IDLE - Duration::from_secs(1)).await;
        sessions.touch(key, Instant::now());
        advance(IDLE - Duration::from_secs(1)).await;
        assert!(end.as_mut().now_or_never().is_none(), "it was used meanwhile");
        advance(Duration::from_secs(1)).await;
        assert!(end.as_mut().now_or_never().is_some());

        let name = sessions.begin(false, Instant::now());
        let key = sessions.find(&name, false, Instant::now()).unwrap();
        let mut end = std::pin::pin!(over(sessions.end_of(key).unwrap()));
        assert!(end.as_mut().now_or_never().is_none());
        sessions.end(key);
        assert!(end.as_mut().now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn there_are_never_more_than_a_few_and_no_two_alike() {
        let mut sessions = Sessions::default();
        let first = sessions.begin(false, Instant::now());
        advance(Duration::from_secs(1)).await;
        let second = sessions.begin(false, Instant::now());
        advance(Duration::from_secs(1)).await;
        let key = sessions.find(&first, false, Instant::now()).unwrap();
        sessions.touch(key, Instant::now());
        let others: HashSet<_> =
            (2..=MOST).map(|_| sessions.begin(false, Instant::now())).collect();
        assert_eq!((others.len(), sessions.0.len()), (MOST - 1, MOST));
        assert!(others.iter().all(|name| name.len() == 2 * NAME));
        assert!(sessions.find(&first, false, Instant::now()).is_some(), "it was used since");
        assert!(sessions.find(&second, false, Instant::now()).is_none());
    }

    #[test]
    fn what_proves_a_session_without_encryption_proves_none_with_it() {
        let mut sessions = Sessions::default();
        for is_secure in [false, true] {
            let name = sessions.begin(is_secure, Instant::now());
            assert!(sessions.find(&name, is_secure, Instant::now()).is_some());
            assert!(sessions.find(&name, !is_secure, Instant::now()).is_none());
        }
    }
}
