//! Saying who asks, by Basic or Digest.

use std::sync::{Mutex, MutexGuard, PoisonError};

use http_auth::{PasswordClient, PasswordParams};

use crate::{Answer, Credentials};

/// A camera's credentials, and what it wants to see of them.
pub(super) struct Login {
    credentials: Credentials,
    /// From the last challenge. A Digest counts its uses.
    client: Mutex<Option<PasswordClient>>,
}

impl Login {
    pub(super) fn new(credentials: Credentials) -> Self {
        Self { credentials, client: Mutex::new(None) }
    }

    /// What to send along unasked: the camera has said before what it wants.
    pub(super) fn known(&self, target: &str) -> Option<String> {
        self.respond(self.client().as_mut()?, target)
    }

    /// What answers the challenge in `answer`, where it is one that can be answered.
    pub(super) fn challenged(&self, answer: &Answer, target: &str) -> Option<String> {
        let challenges = answer.headers.iter().filter(|(name, _)| name == "www-authenticate");
        let challenges = challenges.filter_map(|(_, value)| std::str::from_utf8(value).ok());
        let builder = challenges.fold(PasswordClient::builder(), |b, c| b.challenges(c));
        let client = builder.build().ok();
        let mut known = self.client();
        *known = client;
        self.respond(known.as_mut()?, target)
    }

    /// The camera does not take what it asked for.
    pub(super) fn forget(&self) {
        *self.client() = None;
    }

    fn respond(&self, client: &mut PasswordClient, target: &str) -> Option<String> {
        let Credentials { username, password } = &self.credentials;
        let params = PasswordParams { username, password, uri: target, method: "GET", body: None };
        client.respond(&params).ok()
    }

    fn client(&self) -> MutexGuard<'_, Option<PasswordClient>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
