//! Basic (RFC 7617) and Digest (RFC 7616, RFC 2617) logins over RTSP and HTTP, as far as cameras
//! have them. Requests with a login have no body.

mod challenge;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use sha2::Sha256;

use crate::auth::challenge::{Challenge, Offers, Scheme, unescape};

/// How often a nonce that is said to be stale is changed before a login has ever passed.
const MAX_STALE: u8 = 2;
/// How often a login that has passed is repeated before it passes again.
const MAX_RENEWALS: u8 = 3;

/// A user name and a password. Printing it shows neither.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User name.
    pub username: String,
    /// Password.
    pub password: String,
}

/// The login of one connection. Printing it shows nothing secret.
pub struct Login {
    credentials: Credentials,
    /// The challenge that the next request answers; `None` before any 401.
    active: Option<Active>,
    /// Challenges of the camera's newest 401 that had any.
    offers: Vec<Challenge>,
    /// Schemes whose answers the camera refused.
    refused: Vec<Scheme>,
    /// Scheme of the newest answer that the camera accepted.
    passed: Option<Scheme>,
    /// How often a nonce was called stale before any login passed.
    stale: u8,
    /// Number of 401 that came since a request passed.
    renewals: u8,
}

/// What to do after a 401.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Send the request again, with a new [`Login::authorization`].
    Retry,
    /// Give up: the user name or the password is wrong, by every scheme the camera offers.
    Refused,
    /// Give up: the camera offers only schemes that are unknown here. Holds their names, fit for a
    /// log.
    Unsupported(String),
    /// Give up: the camera refuses again and again what it accepted before. The password is right.
    Unsettled,
}

/// A challenge, and what was sent in answer to it.
struct Active {
    challenge: Challenge,
    /// Nonce of the client: 16 hexadecimal digits.
    cnonce: String,
    /// How many requests were sent with the nonce of the challenge (`nc`).
    count: u32,
    /// Whether a request has carried an answer to the challenge.
    used: bool,
}

impl Login {
    /// A login that waits for a challenge.
    pub fn new(credentials: &Credentials) -> Self {
        Self {
            credentials: credentials.clone(),
            active: None,
            offers: Vec::new(),
            refused: Vec::new(),
            passed: None,
            stale: 0,
            renewals: 0,
        }
    }

    /// The value of the `Authorization` header for the next request; `None` before any challenge.
    /// The URI is that of the request line.
    pub fn authorization(&mut self, method: &str, uri: &str) -> Option<String> {
        let active = self.active.as_mut()?;
        active.used = true;
        active.count = active.count.wrapping_add(1);
        let Credentials { username, password } = &self.credentials;
        if active.challenge.scheme == Scheme::Basic {
            return Some(format!("Basic {}", STANDARD.encode(format!("{username}:{password}"))));
        }
        Some(active.digest(username, password, method, uri))
    }

    /// Takes a 401, with the values of its `WWW-Authenticate` headers.
    pub fn challenged<'a>(&mut self, mut values: impl Iterator<Item = &'a str>) -> Next {
        self.answer(challenge::read(&mut values))
    }

    /// Notes that a request with an authorization was answered, and not by 401.
    pub fn accepted(&mut self) {
        if let Some(active) = self.active.as_ref().filter(|active| active.used) {
            self.passed = Some(active.challenge.scheme);
            self.renewals = 0;
        }
    }

    fn answer(&mut self, offers: Offers) -> Next {
        if offers.usable.is_empty() && self.offers.is_empty() {
            let names = offers.names;
            return Next::Unsupported(if names.is_empty() { "none".into() } else { names });
        }
        match self.passed {
            Some(passed) => self.renew(passed, offers.usable),
            None => self.begin(offers.usable),
        }
    }

    /// Chooses a scheme while no login has passed. Cameras lock accounts after refusals, so a
    /// scheme is tried once, and again only where the camera says that nothing but the nonce was
    /// wrong.
    fn begin(&mut self, offers: Vec<Challenge>) -> Next {
        // A 401 without challenges refuses the challenges of the 401 before.
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
                self.active = None;
                Next::Refused
            }
        }
    }

    /// Chooses a scheme after a login has passed: the password is right, so the nonce is outdated
    /// or the camera checks this request in another way.
    fn renew(&mut self, passed: Scheme, offers: Vec<Challenge>) -> Next {
        if self.renewals == MAX_RENEWALS {
            self.active = None;
            return Next::Unsettled;
        }
        self.renewals += 1;
        if offers.is_empty() {
            // A request without an authorization makes the camera offer a scheme.
            self.active = None;
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
        let active = self.active.take();
        self.active =
            Some(match active.filter(|active| active.challenge.nonce == challenge.nonce) {
                Some(active) => Active { challenge, used: false, ..active },
                None => {
                    let cnonce = format!("{:016x}", rand::random::<u64>());
                    Active { challenge, cnonce, count: 0, used: false }
                }
            });
        Next::Retry
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
    /// The value of the `Authorization` header by RFC 7616 3.4, or by RFC 2069 where the camera
    /// names no protection.
    fn digest(&self, username: &str, password: &str, method: &str, uri: &str) -> String {
        let Challenge { scheme, realm, nonce, opaque, algorithm, qop, .. } = &self.challenge;
        let (cnonce, count) = (&self.cnonce, format!("{:08x}", self.count));
        let sha256 = matches!(scheme, Scheme::Sha256 | Scheme::Sha256Sess);
        let session = matches!(scheme, Scheme::Sha256Sess | Scheme::Md5Sess);
        let hash = |parts: &[&str]| hash(sha256, parts);

        let plain_nonce = unescape(nonce);
        let mut secret = hash(&[username, &unescape(realm), password]);
        if session {
            secret = hash(&[&secret, &plain_nonce, cnonce]);
        }
        let request = match *qop {
            Some("auth-int") => hash(&[method, uri, &hash(&[])]),
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

/// The hash, in hexadecimal digits, of the parts with colons between.
fn hash(sha256: bool, parts: &[&str]) -> String {
    let text = parts.join(":");
    if sha256 { hex(&Sha256::digest(text)) } else { hex(&Md5::digest(text)) }
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
