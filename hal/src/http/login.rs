//! One camera's login, shared by every request to its web server. Cameras lock accounts, so a login
//! that has not passed yet is tried by one request at a time, and rests after the camera refused it by
//! every scheme: 5, 10, 20, then 30 minutes, and for 30 minutes after each refusal that follows until a
//! request passes. While it rests, requests go without it.
//!
//! Requests of a login that has passed go out side by side. One that has to answer another nonce takes
//! its turn first, as a nonce may be good for one request; when no answer comes for half a second, the
//! others go on beside it.
//!
//! Cameras answer 401 also where a user lacks a right. The login therefore rests for the path alone
//! that refused it first; it rests for all paths when another one refuses it too, without a request
//! that passed in between.
//!
//! The ports of one host have challenges of their own, and one account: they share the turn and the rest.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ivt_base::auth::{Login, Next};
use ivt_base::mask::Known;
use tokio::time::Instant;

use super::Request;
use crate::Credentials;

const MINUTE: Duration = Duration::from_secs(60);
/// How long a camera's login rests after each refusal in a row. The last time holds for all further
/// refusals.
pub(crate) const RESTS: [Duration; 4] = [
    MINUTE.saturating_mul(5),
    MINUTE.saturating_mul(10),
    MINUTE.saturating_mul(20),
    MINUTE.saturating_mul(30),
];
/// How long a request of a login that has passed holds the turn while it waits for an answer.
pub(super) const MAX_RENEWAL: Duration = Duration::from_millis(500);
/// Most paths that rest at the same time. Beyond that the oldest path is tried again.
const MAX_PATHS: usize = 16;

/// The login of one camera at one port.
pub(super) struct SharedLogin {
    credentials: Credentials,
    state: Mutex<State>,
    account: Arc<Account>,
}

/// What the ports of one host have in common.
#[derive(Default)]
struct Account {
    turn: tokio::sync::Mutex<()>,
    rest: Mutex<Rest>,
}

/// Held by the request that tries the login. A try that ends without an answer is not judged: the next
/// request asks the camera for another challenge.
pub(super) struct Turn<'a> {
    login: &'a SharedLogin,
    _turn: tokio::sync::MutexGuard<'a, ()>,
}

/// The login as one request sends it.
pub(super) struct Said {
    /// The value of the `Authorization` header; `None` for a request without a login.
    pub(super) authorization: Option<String>,
    /// Whether the header is set and no request has passed with this challenge and password yet.
    pub(super) is_untried: bool,
    /// Whether the header is set and another request has answered the same challenge before.
    is_later: bool,
    /// The generation of the login's state that the request was made with.
    generation: u64,
}

struct State {
    login: Login,
    /// Grows with each challenge that is accepted and each refusal.
    generation: u64,
    /// True when a request has answered the challenge of this generation.
    is_answered: bool,
    /// True when the camera has accepted an answer to it.
    is_accepted: bool,
}

/// When a refused login may be tried again.
#[derive(Default)]
struct Rest {
    /// Refusals since a request passed.
    refusals: usize,
    /// The path of the first refusal since a request passed.
    first_refused: Option<String>,
    /// When the login may be tried again at every path.
    rests_until: Option<Instant>,
    /// When the login may be tried again at single paths, the oldest first; at most `MAX_PATHS`.
    paths: VecDeque<(String, Instant)>,
}

impl SharedLogin {
    pub(super) fn new(credentials: Credentials) -> Self {
        Self::of(credentials, Arc::default())
    }

    /// The same login at another port of the host.
    pub(super) fn at_another_port(&self) -> Self {
        Self::of(self.credentials.clone(), Arc::clone(&self.account))
    }

    fn of(credentials: Credentials, account: Arc<Account>) -> Self {
        let state = State {
            login: Login::new(&credentials),
            generation: 0,
            is_answered: false,
            is_accepted: false,
        };
        Self { credentials, state: Mutex::new(state), account }
    }

    pub(super) fn known(&self) -> Known {
        self.state().login.known()
    }

    #[cfg(feature = "profiles")]
    pub(super) fn has_passed(&self) -> bool {
        self.state().login.has_passed()
    }

    /// Waits while another request tries or renews the login. Whoever does holds the turn from the camera's
    /// challenge or the first untried authorization to the head of the answer; for `MAX_RENEWAL` at most
    /// once the login has passed.
    pub(super) async fn turn(&self) -> Turn<'_> {
        Turn { _turn: self.account.turn.lock().await, login: self }
    }

    /// The login for a request that is sent now.
    pub(super) fn say(&self, request: &Request, now: Instant) -> Said {
        let mut state = self.state();
        let authorization = match self.rest().rests(request.path(), now) {
            true => None,
            false => {
                let (method, bytes) = (request.method.as_str(), request.bytes());
                state.login.authorization_with_body(method, &request.target, &bytes)
            }
        };
        let is_said = authorization.is_some();
        let is_later = is_said && state.is_answered;
        state.is_answered |= is_said;
        let is_untried = is_said && !state.login.has_passed();
        Said { authorization, is_untried, is_later, generation: state.generation }
    }

    /// Notes that a request with this login was not answered by 401.
    pub(super) fn accepted(&self, said: &Said) {
        let mut state = self.state();
        if said.authorization.is_some() && said.generation == state.generation {
            state.login.accepted();
            state.is_accepted = true;
            let mut rest = self.rest();
            (rest.refusals, rest.first_refused) = (0, None);
        }
    }

    /// Notes that a request was answered by 401 with these challenges. True if the request has to
    /// be sent again with what [`say`](Self::say) then gives. The caller has to hold the turn.
    pub(super) fn refused<'a>(
        &self,
        said: &Said,
        request: &Request,
        challenges: impl Iterator<Item = &'a str>,
        now: Instant,
    ) -> bool {
        let mut state = self.state();
        if self.rest().rests(request.path(), now) {
            return false;
        }
        // Another request has accepted a later challenge, of which this answer says nothing.
        if said.generation != state.generation {
            return true;
        }
        // A nonce may have been good for the first answer alone, which the camera has not judged yet.
        let next = match said.is_later && !state.is_accepted {
            true => state.login.overtaken(challenges),
            false => state.login.challenged(challenges),
        };
        match next {
            Next::Retry => {
                state.begin_generation();
                true
            }
            Next::Unsupported(_) => false,
            Next::Refused | Next::Unsettled => {
                state.login.restart();
                state.begin_generation();
                self.rest().refused(request.path(), now);
                false
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locked for a moment only, also while the state is.
    fn rest(&self) -> MutexGuard<'_, Rest> {
        self.account.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // Until the login has passed, who holds the turn is the only one to answer its challenge.
        self.login.state().login.unanswered();
    }
}

impl State {
    fn begin_generation(&mut self) {
        self.generation += 1;
        (self.is_answered, self.is_accepted) = (false, false);
    }
}

impl Rest {
    fn rests(&self, path: &str, now: Instant) -> bool {
        self.rests_until.is_some_and(|until| now < until)
            || self.paths.iter().any(|(other, until)| other == path && now < *until)
    }

    fn refused(&mut self, path: &str, now: Instant) {
        let until = now + RESTS[self.refusals.min(RESTS.len() - 1)];
        self.refusals += 1;
        if self.first_refused.get_or_insert_with(|| path.to_owned()) != path {
            self.rests_until = Some(until);
            return;
        }
        self.paths.retain(|(other, until)| other != path && now < *until);
        if self.paths.len() == MAX_PATHS {
            self.paths.pop_front();
        }
        self.paths.push_back((path.to_owned(), until));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHALLENGE: &str = "Digest realm=c, nonce=n1, qop=auth";

    fn login() -> SharedLogin {
        SharedLogin::new(Credentials { username: "root".into(), password: "right".into() })
    }

    fn refused(login: &SharedLogin, said: &Said, path: &str, value: &str, now: Instant) -> bool {
        login.refused(said, &Request::get(path), [value].into_iter(), now)
    }

    /// Notes a refusal at a path. Returns whether the login had been tried.
    fn try_and_fail(login: &SharedLogin, path: &str, now: Instant) -> bool {
        let mut tried = false;
        loop {
            let said = login.say(&Request::get(path), now);
            tried |= said.authorization.is_some();
            if !refused(login, &said, path, CHALLENGE, now) {
                return tried;
            }
        }
    }

    #[test]
    fn an_answer_to_an_earlier_state_changes_nothing() {
        let (login, now) = (login(), Instant::now());
        let request = Request::get("/a");
        let bare = login.say(&request, now);
        assert!(refused(&login, &bare, "/a", CHALLENGE, now));
        let first = login.say(&request, now);
        assert!(first.is_untried);
        login.accepted(&first);
        // The 401 to a request from before the challenge names another nonce.
        assert!(refused(&login, &bare, "/a", "Digest realm=c, nonce=n2, qop=auth", now));
        let said = login.say(&request, now).authorization.unwrap();
        assert!(said.contains("nonce=\"n1\"") && said.contains("nc=00000002"), "{said}");

        assert!(try_and_fail(&login, "/a", now) && try_and_fail(&login, "/b", now));
        // A request from before the refusals has passed late, and says nothing of them.
        login.accepted(&first);
        assert!(!try_and_fail(&login, "/c", now), "the login still rests");
        assert!(login.rest().refusals == 2, "and the next rest is no first one");
    }

    #[test]
    fn an_answer_beside_the_first_of_a_renewal_refuses_nothing() {
        let (login, now) = (login(), Instant::now());
        let request = Request::get("/a");
        let say_and_fail = |n| {
            let offer = format!("Digest realm=c, nonce=n{n}, qop=auth, Basic realm=c");
            refused(&login, &login.say(&request, now), "/a", &offer, now)
        };
        assert!(say_and_fail(0));
        login.accepted(&login.say(&request, now));
        for n in 1..20 {
            // Each takes up a challenge, and the answer to it never comes.
            assert!(say_and_fail(n));
            let said = login.say(&request, now).authorization.unwrap();
            assert!(said.starts_with("Digest") && said.contains("nc=00000001"), "{said}");
        }
        // The first answers to challenges count, as the password may have been changed.
        assert!(say_and_fail(20));
        let tries = (21..40).take_while(|n| say_and_fail(*n)).count();
        assert_eq!(tries, 2, "three with the one that found the first nonce too old");
    }

    #[test]
    fn the_first_path_rests_alone_and_the_second_takes_all_with_it() {
        let (login, now) = (login(), Instant::now());
        assert!(try_and_fail(&login, "/a?x=1", now));
        assert!(!try_and_fail(&login, "/a?x=2", now), "a path is the same with every query");
        assert!(try_and_fail(&login, "/b", now));
        assert!(!try_and_fail(&login, "/c", now));
        assert!(!try_and_fail(&login, "/c", now + 10 * MINUTE - Duration::from_millis(1)));
        assert!(try_and_fail(&login, "/c", now + 10 * MINUTE));
    }

    #[test]
    fn many_paths_without_the_right_take_a_bounded_memory() {
        let (login, now) = (login(), Instant::now());
        for n in 0..10 * MAX_PATHS {
            assert!(try_and_fail(&login, &format!("/{n}"), now));
            let request = Request::get("/good");
            while login.say(&request, now).authorization.is_none() {
                refused(&login, &login.say(&request, now), "/good", CHALLENGE, now);
            }
            login.accepted(&login.say(&request, now));
        }
        assert_eq!(login.rest().paths.len(), MAX_PATHS);
        assert!(!try_and_fail(&login, &format!("/{}", 10 * MAX_PATHS - 1), now));
    }
}
