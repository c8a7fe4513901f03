//! The login of clients, by Basic or Digest (RFC 2617, without `qop`, as cameras do it).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use md5::{Digest as _, Md5};

const REALM: &str = "camera-sim";

/// A name and a password. `Debug` hides the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Login name.
    pub user: String,
    /// Password of the login.
    pub password: String,
}

/// How a client proves that it knows the credentials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheme {
    /// The client sends an MD5 digest over the camera's nonce.
    #[default]
    Digest,
    /// The client sends the password in clear.
    Basic,
}

/// The lock of one RTSP connection, or of the whole web server; each lock has a nonce of its own.
#[derive(Debug)]
pub struct Lock {
    /// The only login that opens the lock; `None` leaves it open.
    credentials: Option<Credentials>,
    scheme: Scheme,
    nonce: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

impl Lock {
    /// A lock with a fresh nonce; without credentials it is open.
    pub fn new(credentials: Option<Credentials>, scheme: Scheme) -> Self {
        Self { credentials, scheme, nonce: hex(&rand::random::<[u8; 16]>()) }
    }

    /// The value of the header `WWW-Authenticate`.
    pub fn challenge(&self) -> String {
        match self.scheme {
            Scheme::Digest => format!("Digest realm=\"{REALM}\", nonce=\"{}\"", self.nonce),
            Scheme::Basic => format!("Basic realm=\"{REALM}\""),
        }
    }

    /// Whether the value of `Authorization` opens the lock for a request of that method.
    pub fn opens(&self, method: &str, authorization: Option<&str>) -> bool {
        let Some(credentials) = &self.credentials else { return true };
        let Some((scheme, value)) = authorization.and_then(|a| a.split_once(' ')) else {
            return false;
        };
        match self.scheme {
            Scheme::Digest => {
                scheme.eq_ignore_ascii_case("digest") && self.digest(credentials, method, value)
            }
            Scheme::Basic => scheme.eq_ignore_ascii_case("basic") && basic(credentials, value),
        }
    }

    /// Like [`opens`](Self::opens), and a Digest has to be made for exactly this target.
    pub fn opens_target(&self, method: &str, target: &str, authorization: Option<&str>) -> bool {
        let bound = self.credentials.is_none()
            || self.scheme == Scheme::Basic
            || authorization.and_then(|value| parameter(value, "uri")) == Some(target);
        bound && self.opens(method, authorization)
    }

    fn digest(&self, credentials: &Credentials, method: &str, value: &str) -> bool {
        let Credentials { user, password } = credentials;
        let field = |name| parameter(value, name);
        let Some(uri) = field("uri") else { return false };
        let secret = md5_hex(&format!("{user}:{REALM}:{password}"));
        let request = md5_hex(&format!("{method}:{uri}"));
        let expected = md5_hex(&format!("{secret}:{}:{request}", self.nonce));
        field("username") == Some(user)
            && field("realm") == Some(REALM)
            && field("nonce") == Some(&self.nonce)
            && field("response").is_some_and(|r| r.eq_ignore_ascii_case(&expected))
    }
}

fn basic(Credentials { user, password }: &Credentials, value: &str) -> bool {
    BASE64.decode(value.trim()).is_ok_and(|v| v == format!("{user}:{password}").as_bytes())
}

/// The value of `name` in a list of `name=value` and `name="value"`. Commas inside quotes belong to the value.
pub fn parameter<'a>(list: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = list;
    while let Some((key, after)) = rest.split_once('=') {
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(',').unwrap_or((after, "")),
        };
        if key.trim_matches([',', ' ']).eq_ignore_ascii_case(name) {
            return Some(value.trim());
        }
        rest = next;
    }
    None
}

fn md5_hex(text: &str) -> String {
    hex(&Md5::digest(text.as_bytes()))
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(scheme: Scheme) -> Lock {
        let credentials = Credentials { user: "admin".into(), password: "s,e\"c=ret".into() };
        Lock { nonce: "abc".into(), ..Lock::new(Some(credentials), scheme) }
    }

    /// The answer to the nonce `abc`, computed with `md5sum` and not with the code under test.
    const RESPONSE: &str = "108357b461c643b5acd8fadfeebb8e53";

    fn answer(user: &str, nonce: &str, response: &str) -> String {
        format!(
            "Digest username=\"{user}\", realm=\"{REALM}\", nonce=\"{nonce}\", \
             uri=\"rtsp://cam/a,b=c\", response={response}"
        )
    }

    #[test]
    fn digest_opens_for_the_right_answer_only() {
        let lock = lock(Scheme::Digest);
        let right = answer("admin", "abc", RESPONSE);
        assert!(lock.opens("DESCRIBE", Some(&right)));
        assert!(!lock.opens("SETUP", Some(&right)), "the method is part of the proof");
        assert!(!lock.opens("DESCRIBE", Some(&answer("root", "abc", RESPONSE))));
        assert!(!lock.opens("DESCRIBE", Some(&answer("admin", "abd", RESPONSE))), "an old nonce");
        assert!(!lock.opens("DESCRIBE", Some(&answer("admin", "abc", "00"))));
        assert!(!lock.opens("DESCRIBE", Some("Digest")));
        assert!(!lock.opens("DESCRIBE", None));
    }

    #[test]
    fn basic_opens_for_the_right_password_only() {
        let lock = lock(Scheme::Basic);
        let header = |text: &str| format!("Basic {}", BASE64.encode(text));
        assert!(lock.opens("PLAY", Some(&header("admin:s,e\"c=ret"))));
        assert!(!lock.opens("PLAY", Some(&header("admin:wrong"))));
        assert!(!lock.opens("PLAY", Some("Basic ***")));
        assert!(!lock.opens("PLAY", Some(&answer("admin", "abc", RESPONSE))));
    }

    #[test]
    fn an_open_camera_opens_to_everyone() {
        assert!(Lock::new(None, Scheme::Digest).opens("DESCRIBE", None));
    }

    #[test]
    fn nonces_differ_and_debug_hides_the_password() {
        let lock = |()| Lock::new(lock(Scheme::Digest).credentials, Scheme::Digest);
        assert_ne!(lock(()).challenge(), lock(()).challenge());
        assert!(!format!("{:?}", lock(())).contains("ret"));
    }
}
