//! The login of RTSP and HTTP: Basic (RFC 7617) and Digest (RFC 7616, RFC 2617), as far as cameras
//! have it. `auth` is preferred to `auth-int`, the strongest algorithm to the others.

mod challenge;

use std::collections::VecDeque;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use sha2::Sha256;

use crate::auth::challenge::{Challenge, Offers, Scheme, unescape};
use crate::mask::{Known, learn_login};

/// How often a nonce that is said to be stale is changed before a login has ever passed.
const MAX_STALE: u8 = 2;
/// How often a login that has passed is repeated before it passes again.
const MAX_RENEWALS: u8 = 3;
/// Nonces whose uses are remembered after the camera named another one.
const EARLIER_NONCES: usize = 4;

/// A user name and a password. Printing it shows neither.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User name.
    pub username: String,
    /// Password.
    pub password: String,
}

/// The login of one camera. It takes one request at a time: who sends several at once tells it of
/// those answers alone that belong to the last challenge. Printing it shows nothing secret.
pub struct Login {
    credentials: Credentials,
    known: Known,
    /// The challenge that the next request answers.
    active: Option<Active>,
    /// The counts of nonces that were active before, the latest last: at most `EARLIER_NONCES`, and
    /// one more while no challenge is active.
    earlier: VecDeque<Nonce>,
    /// The challenges of the camera's last 401 that had any.
    offers: Vec<Challenge>,
    /// Schemes that the camera refused before any passed.
    refused: Vec<Scheme>,
    /// The scheme that passed last.
    passed: Option<Scheme>,
    /// Answers of 401 that found fault with nothing but the nonce, before any scheme passed.
    stale: u8,
    /// Number of 401 that count since a request passed.
    renewals: u8,
}

/// What to do after a 401.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Send the request again, with a new [`Login::authorization`] where there is one.
    Retry,
    /// Give up: the user name or the password is wrong, by every scheme the camera offers.
    Refused,
    /// Give up: the camera offers other schemes only. Their names, fit for a log.
    Unsupported(String),
    /// Give up: the camera refuses again and again what it accepted before. The password is right.
    Unsettled,
}

struct Active {
    challenge: Challenge,
    nonce: Nonce,
    /// True when a request has answered this challenge.
    used: bool,
}

/// The camera's nonce with what belongs to it. A camera may name the same one again: its count goes
/// on, as a count that comes twice looks like a repeated request.
struct Nonce {
    /// As it came; empty for Basic.
    text: String,
    cnonce: String,
    /// Requests that carried the nonce (`nc`).
    count: u32,
}

impl Login {
    /// A login that waits for a challenge.
    pub fn new(credentials: &Credentials) -> Self {
        Self {
            credentials: credentials.clone(),
            known: learn_login(&credentials.username, &credentials.password),
            active: None,
            earlier: VecDeque::new(),
            offers: Vec::new(),
            refused: Vec::new(),
            passed: None,
            stale: 0,
            renewals: 0,
        }
    }

    /// This login alone, to be hidden in what the camera says.
    pub fn known(&self) -> Known {
        self.known.clone()
    }

    /// The value of the `Authorization` header for the next request, which has no body; `None` before
    /// any challenge. The URI is that of the request line.
    pub fn authorization(&mut self, method: &str, uri: &str) -> Option<String> {
        self.authorization_with_body(method, uri, &[])
    }

    /// As [`authorization`](Self::authorization), for a request with a body. The body counts where the
    /// camera protects it (`auth-int`).
    pub fn authorization_with_body(
        &mut self,
        method: &str,
        uri: &str,
        body: &[u8],
    ) -> Option<String> {
        let active = self.active.as_mut()?;
        active.used = true;
        active.nonce.count = active.nonce.count.wrapping_add(1);
        let Credentials { username, password } = &self.credentials;
        if active.challenge.scheme == Scheme::Basic {
            return Some(format!("Basic {}", STANDARD.encode(format!("{username}:{password}"))));
        }
        Some(active.digest(username, password, method, uri, body))
    }

    /// True when the camera has accepted this login since it began.
    pub fn has_passed(&self) -> bool {
        self.passed.is_some()
    }

    /// Begins again as if nothing had been tried. The counts of the camera's nonces go on.
    pub fn restart(&mut self) {
        self.retire();
        self.offers.clear();
        self.refused.clear();
        (self.passed, self.stale, self.renewals) = (None, 0, 0);
    }

    /// A 401 came, with these values of `WWW-Authenticate` headers.
    pub fn challenged<'a>(&mut self, mut values: impl Iterator<Item = &'a str>) -> Next {
        self.answer(challenge::read(&mut values), true)
    }

    /// As [`challenged`](Self::challenged), for a request that answered a challenge while the first
    /// answer to it had not been judged yet. Where the nonce was good for one request, nothing else
    /// was wrong: a login that has passed does not count this as a refusal.
    pub fn overtaken<'a>(&mut self, mut values: impl Iterator<Item = &'a str>) -> Next {
        self.answer(challenge::read(&mut values), false)
    }

    /// A request with an authorization was answered, and not by 401.
    pub fn accepted(&mut self) {
        if let Some(active) = self.active.as_ref().filter(|active| active.used) {
            self.passed = Some(active.challenge.scheme);
            self.renewals = 0;
        }
    }

    /// The last request ended without an answer, which says nothing of its authorization. Before any
    /// request has passed, the next one goes without: cameras call the nonce of a lost request wrong,
    /// and not stale. The counts of the camera's nonces go on.
    pub fn unanswered(&mut self) {
        if self.passed.is_none() && self.active.as_ref().is_some_and(|active| active.used) {
            self.retire();
        }
    }

    fn answer(&mut self, offers: Offers, counts: bool) -> Next {
        if offers.usable.is_empty() && self.offers.is_empty() {
            let names = offers.names;
            return Next::Unsupported(if names.is_empty() { "none".into() } else { names });
        }
        match self.passed {
            Some(passed) => self.renew(passed, offers.usable, counts),
            None => self.begin(offers.usable),
        }
    }

    /// Nothing has passed yet. Each refusal counts, as cameras lock accounts: a scheme is tried
    /// once, and again only where the camera says that nothing but the nonce was wrong.
    fn begin(&mut self, offers: Vec<Challenge>) -> Next {
        // A 401 that offers nothing refuses what the one before it offered.
        let stale = |scheme| offers.iter().any(|offer| offer.scheme == scheme && offer.stale);
        if let Some(active) = self.active.as_ref().filter(|active| active.used) {
            let scheme = active.challenge.scheme;
            if stale(scheme) && self.stale < MAX_STALE {
                self.stale += 1;
            } else {
                self.refused.push(scheme);
            }
        }
        if !offers.is_empty() {
            self.offers = offers;
        }
        let left = self.offers.iter().filter(|offer| !self.refused.contains(&offer.scheme));
        match left.min_by_key(|offer| offer.scheme).cloned() {
            Some(challenge) => self.activate(challenge),
            None => {
                self.retire();
                Next::Refused
            }
        }
    }

    /// The password is known to be right: what is wrong is the nonce, or how the camera checks
    /// this request.
    fn renew(&mut self, passed: Scheme, offers: Vec<Challenge>, counts: bool) -> Next {
        if self.renewals == MAX_RENEWALS {
            self.retire();
            return Next::Unsettled;
        }
        self.renewals += u8::from(counts);
        if offers.is_empty() {
            // Without an authorization, the camera has to offer something.
            self.retire();
            return Next::Retry;
        }
        self.offers = offers;
        let same = self.offers.iter().find(|offer| offer.scheme == passed);
        let active = self.active.as_ref();
        let fresh = same.filter(|offer| {
            offer.stale || active.is_none_or(|active| active.challenge.nonce != offer.nonce)
        });
        let strongest = self.offers.iter().min_by_key(|offer| offer.scheme);
        let others = self.offers.iter().filter(|offer| offer.scheme != passed);
        let other = others
            .filter(|offer| !self.refused.contains(&offer.scheme))
            .min_by_key(|offer| offer.scheme);
        let choice = fresh.filter(|_| self.renewals < MAX_RENEWALS).or(other).or(same);
        let choice = choice.or(strongest);
        match choice.cloned() {
            Some(challenge) => self.activate(challenge),
            None => Next::Unsettled,
        }
    }

    fn activate(&mut self, challenge: Challenge) -> Next {
        self.retire();
        let known = self.earlier.iter().position(|nonce| nonce.text == challenge.nonce);
        let nonce = known.and_then(|at| self.earlier.remove(at)).unwrap_or_else(|| Nonce {
            text: challenge.nonce.clone(),
            cnonce: format!("{:016x}", rand::random::<u64>()),
            count: 0,
        });
        if self.earlier.len() > EARLIER_NONCES {
            self.earlier.pop_front();
        }
        self.active = Some(Active { challenge, nonce, used: false });
        Next::Retry
    }

    /// Ends the active challenge and keeps the count of its nonce.
    fn retire(&mut self) {
        self.earlier.extend(self.active.take().map(|active| active.nonce));
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(hidden)")
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(hidden)")
    }
}

impl Active {
    /// RFC 7616 3.4, and RFC 2069 where the camera names no protection.
    fn digest(
        &self,
        username: &str,
        password: &str,
        method: &str,
        uri: &str,
        body: &[u8],
    ) -> String {
        let Challenge { scheme, realm, nonce, opaque, algorithm, qop, .. } = &self.challenge;
        let (cnonce, count) = (&self.nonce.cnonce, format!("{:08x}", self.nonce.count));
        let sha256 = matches!(scheme, Scheme::Sha256 | Scheme::Sha256Sess);
        let session = matches!(scheme, Scheme::Sha256Sess | Scheme::Md5Sess);
        let hash = |parts: &[&str]| hash(sha256, parts.join(":").as_bytes());

        let plain_nonce = unescape(nonce);
        let mut secret = hash(&[username, &unescape(realm), password]);
        if session {
            secret = hash(&[&secret, &plain_nonce, cnonce]);
        }
        let request = match *qop {
            Some("auth-int") => hash(&[method, uri, &self::hash(sha256, body)]),
            _ => hash(&[method, uri]),
        };
        let response = match qop {
            Some(qop) => hash(&[&secret, &plain_nonce, &count, cnonce, qop, &request]),
            None => hash(&[&secret, &plain_nonce, &request]),
        };

        let (username, uri) = (quote(username), quote(uri));
        let mut header = format!(
            "Digest username={username}, realm=\"{realm}\", nonce=\"{nonce}\", uri={uri}, \
             response=\"{response}\""
        );
        if let Some(algorithm) = algorithm {
            header += &format!(", algorithm={algorithm}");
        }
        if let Some(opaque) = opaque {
            header += &format!(", opaque=\"{opaque}\"");
        }
        if let Some(qop) = qop {
            header += &format!(", qop={qop}, nc={count}");
        }
        if qop.is_some() || session {
            header += &format!(", cnonce=\"{cnonce}\"");
        }
        header
    }
}

/// The hash in hexadecimal digits.
fn hash(sha256: bool, bytes: &[u8]) -> String {
    if sha256 { hex(&Sha256::digest(bytes)) } else { hex(&Md5::digest(bytes)) }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars().filter(|c| !c.is_control()) {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
#[path = "auth_tests.rs"]
mod tests;
