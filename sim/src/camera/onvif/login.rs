//! The login of ONVIF: a UsernameToken of WS-Security with a password digest, or HTTP Digest.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use md5::{Digest as _, Md5};
use sha1::Sha1;

use super::clock::parse_utc;
use super::envelope::Call;
use crate::camera::auth::{Credentials, hex, parameter};

/// How far the time of a token may be from the camera's clock, in seconds.
const WINDOW: i64 = 30;
/// Most nonces that are remembered.
const MAX_NONCES: usize = 4096;
const REALM: &str = "camera-sim ONVIF";

/// The login of one camera.
#[derive(Debug)]
pub struct Login {
    /// The only login; `None` for an open camera.
    credentials: Option<Credentials>,
    /// Nonces of tokens that passed, with the time at which they were made.
    nonces: Mutex<VecDeque<(String, i64)>>,
    /// The nonce of HTTP Digest.
    challenge: String,
}

impl Login {
    /// A login with these credentials.
    pub fn new(credentials: Option<Credentials>) -> Self {
        let challenge = hex(&rand::random::<[u8; 16]>());
        Self { credentials, nonces: Mutex::default(), challenge }
    }

    /// Whether the camera asks for no login.
    pub fn is_open(&self) -> bool {
        self.credentials.is_none()
    }

    /// The value of the header `WWW-Authenticate`.
    pub fn challenge(&self) -> String {
        let nonce = &self.challenge;
        format!("Digest realm=\"{REALM}\", qop=\"auth\", nonce=\"{nonce}\", algorithm=MD5")
    }

    /// Whether the token of a request proves the login; `now` is the camera's clock in seconds since 1970.
    /// A token passes once.
    pub fn token(&self, call: &Call, now: i64) -> bool {
        let Some(Credentials { user, password }) = &self.credentials else { return true };
        let Some(token) = call.header("Security/UsernameToken") else { return false };
        let (nonce, created) = (token.text_at("Nonce"), token.text_at("Created"));
        let is_digest = token.child("Password").and_then(|password| password.attribute("Type"));
        let is_digest = is_digest.is_some_and(|kind| kind.ends_with("#PasswordDigest"));
        let (Ok(bytes), Some(time)) = (BASE64.decode(nonce), parse_utc(created)) else {
            return false;
        };
        let digest = Sha1::new()
            .chain_update(&bytes)
            .chain_update(created)
            .chain_update(password)
            .finalize();
        is_digest
            && token.text_at("Username") == user
            && token.text_at("Password") == BASE64.encode(digest)
            && (now - time).abs() <= WINDOW
            && self.is_fresh(nonce, time, now)
    }

    /// Whether the value of `Authorization` proves the login for this request.
    pub fn digest(&self, method: &str, target: &str, authorization: Option<&str>) -> bool {
        let Some(Credentials { user, password }) = &self.credentials else { return true };
        let Some((scheme, list)) = authorization.and_then(|value| value.split_once(' ')) else {
            return false;
        };
        let field = |name| parameter(list, name).unwrap_or_default();
        let md5 = |text: String| hex(&Md5::digest(text.as_bytes()));
        let secret = md5(format!("{user}:{REALM}:{password}"));
        let request = md5(format!("{method}:{target}"));
        let (nonce, count, client) = (&self.challenge, field("nc"), field("cnonce"));
        let expected = md5(format!("{secret}:{nonce}:{count}:{client}:auth:{request}"));
        scheme.eq_ignore_ascii_case("digest")
            && field("username") == user
            && field("realm") == REALM
            && field("nonce") == nonce
            && field("uri") == target
            && field("qop") == "auth"
            && !client.is_empty()
            && field("response").eq_ignore_ascii_case(&expected)
    }

    /// Whether this nonce did not pass before within the window; from now on it has.
    fn is_fresh(&self, nonce: &str, time: i64, now: i64) -> bool {
        let mut nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        nonces.retain(|(_, time)| (now - time).abs() <= WINDOW);
        let seen = nonces.iter().any(|(known, _)| known == nonce);
        if !seen {
            if nonces.len() == MAX_NONCES {
                nonces.pop_front();
            }
            nonces.push_back((nonce.to_owned(), time));
        }
        !seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2010-09-16T07:50:45Z.
    const TIME: i64 = 1_284_623_445;
    /// The example of the ONVIF application programmer's guide, 6.1.1.3.
    const NONCE: &str = "LKqI6G/AikKCQrN0zqZFlg==";
    const DIGEST: &str = "tuOSpGlFlIXsozq4HFNeeGeFLEI=";

    fn login() -> Login {
        Login::new(Some(Credentials { user: "user".into(), password: "userpassword".into() }))
    }

    fn call(user: &str, kind: &str, password: &str, nonce: &str, created: &str) -> Call {
        let text = format!(
            r##"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Header><Security><UsernameToken>
            <Username>{user}</Username><Password Type="http://x#{kind}">{password}</Password><Nonce>{nonce}</Nonce>
            <Created>{created}</Created></UsernameToken></Security></s:Header>
            <s:Body><GetUsers xmlns="http://www.onvif.org/ver10/device/wsdl"/></s:Body></s:Envelope>"##
        );
        Call::read(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_token_passes_once_within_its_time() {
        let created = "2010-09-16T07:50:45Z";
        let right = call("user", "PasswordDigest", DIGEST, NONCE, created);
        for late in [-31, 31] {
            assert!(!login().token(&right, TIME + late), "{late}");
        }
        let login = login();
        assert!(login.token(&right, TIME + 30));
        assert!(!login.token(&right, TIME + 30), "a replay");
    }

    #[test]
    fn a_token_that_proves_nothing_is_refused() {
        let created = "2010-09-16T07:50:45Z";
        for call in [
            call("admin", "PasswordDigest", DIGEST, NONCE, created),
            call("user", "PasswordText", "userpassword", NONCE, created),
            call("user", "PasswordText", DIGEST, NONCE, created),
            call("user", "PasswordDigest", "userpassword", NONCE, created),
            call("user", "PasswordDigest", DIGEST, "AAAA", created),
            call("user", "PasswordDigest", DIGEST, "***", created),
            call("user", "PasswordDigest", DIGEST, NONCE, "2010-09-16T07:50:46Z"),
            call("user", "PasswordDigest", DIGEST, NONCE, ""),
        ] {
            assert!(!login().token(&call, TIME), "{call:?}");
        }
        assert!(Login::new(None).token(&call("", "", "", "", ""), TIME));
    }

    #[test]
    fn http_digest_is_for_one_method_and_target() {
        let login = login();
        let challenge = login.challenge();
        let mut client = http_auth::PasswordClient::try_from(challenge.as_str()).unwrap();
        let mut answer = |method, uri, username, password| {
            let params = http_auth::PasswordParams { username, password, uri, method, body: None };
            client.respond(&params).unwrap()
        };
        let right = answer("POST", "/onvif/ptz", "user", "userpassword");
        assert!(login.digest("POST", "/onvif/ptz", Some(&right)));
        assert!(!login.digest("POST", "/onvif/media", Some(&right)));
        assert!(!login.digest("GET", "/onvif/ptz", Some(&right)));
        let wrong = answer("POST", "/onvif/ptz", "user", "wrong");
        assert!(!login.digest("POST", "/onvif/ptz", Some(&wrong)));
        for none in [None, Some("Digest"), Some("Basic dXNlcjp1c2VycGFzc3dvcmQ=")] {
            assert!(!login.digest("POST", "/onvif/ptz", none));
        }
    }
}
