//! Logins as cameras of the field ask for them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use md5::{Digest as _, Md5};
use sha2::Sha256;

use super::super::auth::{Credentials, hex, parameter};
use super::super::message::Request;
use super::{Kind, Quirk, Quirks};

const REALM: &str = "IP Camera(C1214)";
/// A realm with quotes that are escaped by RFC 2616 2.2.
const ODD_REALM: &str = r#"Camera \"A=1\", floor=2, digest"#;

/// The lock of one connection to a camera with quirks of its login.
#[derive(Debug)]
pub struct Gate {
    quirks: Quirks,
    credentials: Credentials,
    nonce: String,
    /// Whether the nonce has let a request through.
    used: bool,
    /// Whether the last refusal was for an old nonce alone.
    stale: bool,
}

/// The digest that a challenge names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Md5,
    Sha256,
}

impl Gate {
    /// A gate with these credentials; `None` for an open camera, or one without such a quirk.
    pub fn new(quirks: &Quirks, credentials: Option<&Credentials>) -> Option<Self> {
        let credentials = credentials.filter(|_| quirks.has_kind(Kind::Login))?.clone();
        let (quirks, nonce) = (quirks.clone(), fresh());
        Some(Self { quirks, credentials, nonce, used: false, stale: false })
    }

    /// Whether OPTIONS needs the login too.
    pub fn guards_options(&self) -> bool {
        self.quirks.has(Quirk::AuthOptions)
    }

    /// The values of the header `WWW-Authenticate`, with a new nonce.
    pub fn challenges(&mut self) -> Vec<String> {
        (self.nonce, self.used) = (fresh(), false);
        let nonce = &self.nonce;
        let stale = if std::mem::take(&mut self.stale) { "TRUE" } else { "FALSE" };
        let digest = |more: &str| {
            format!("Digest realm=\"{REALM}\", nonce=\"{nonce}\"{more}, stale=\"{stale}\"")
        };
        let basic = format!("Basic realm=\"{REALM}\"");
        let (sha256, md5) = (", algorithm=\"SHA-256\"", ", algorithm=\"MD5\"");
        let has = |quirk| self.quirks.has(quirk);
        match () {
            () if has(Quirk::AuthBoth) => vec![digest(""), basic],
            () if has(Quirk::AuthBasicFirst) => vec![format!("{basic}, {}", digest(""))],
            () if has(Quirk::AuthBasicRealm) => vec![format!("Basic realm=\"{ODD_REALM}\"")],
            () if has(Quirk::AuthSha256) => vec![digest(sha256)],
            () if has(Quirk::AuthDual) || has(Quirk::AuthDualMd5Only) => {
                vec![digest(sha256), digest(md5)]
            }
            () if has(Quirk::AuthDualMd5First) => vec![digest(md5), digest(sha256)],
            () if has(Quirk::AuthQop) => vec![digest(", qop=\"auth,auth-int\"")],
            () if has(Quirk::AuthQopSha256) => vec![digest(", qop=\"auth\", algorithm=SHA-256")],
            () if has(Quirk::AuthSess) => vec![digest(", qop=\"auth\", algorithm=MD5-sess")],
            () if has(Quirk::AuthLower) => {
                vec![format!("digest realm=camera,nonce={nonce},opaque=5ccc069c")]
            }
            () => vec![digest("")],
        }
    }

    /// Whether a request may pass; `playing` tells whether the client gets a stream.
    pub fn opens(&mut self, request: &Request, playing: bool) -> bool {
        let keepalive = playing
            && matches!(request.method.as_str(), "GET_PARAMETER" | "SET_PARAMETER" | "OPTIONS");
        let once = self.quirks.has(Quirk::NonceSetup)
            && matches!(request.method.as_str(), "SETUP" | "PLAY")
            || self.quirks.has(Quirk::NonceKeepalive) && keepalive;
        let Some(value) = request.header("Authorization") else { return false };
        if !self.proves(&request.method, value) {
            return false;
        }
        if once && self.used {
            self.stale = true;
            return false;
        }
        self.used = true;
        true
    }

    fn proves(&self, method: &str, authorization: &str) -> bool {
        let Some((scheme, value)) = authorization.split_once(' ') else { return false };
        let Credentials { user, password } = &self.credentials;
        if scheme.eq_ignore_ascii_case("basic") {
            let open = self.quirks.has_any(&[Quirk::AuthBoth, Quirk::AuthBasicRealm]);
            let right = BASE64.encode(format!("{user}:{password}"));
            return open && value.trim() == right;
        }
        scheme.eq_ignore_ascii_case("digest") && self.digest(method, value).is_some_and(|ok| ok)
    }

    fn digest(&self, method: &str, value: &str) -> Option<bool> {
        let field = |name| parameter(value, name);
        let Credentials { user, password } = &self.credentials;
        let lower = self.quirks.has(Quirk::AuthLower);
        let realm = if lower { "camera" } else { REALM };
        let algorithm = self.algorithm(field("algorithm"))?;
        let sum = |text: String| match algorithm {
            Algorithm::Md5 => hex(&Md5::digest(text.as_bytes())),
            Algorithm::Sha256 => hex(&Sha256::digest(text.as_bytes())),
        };
        let (nonce, uri) = (field("nonce")?, field("uri")?);
        let identity = field("username")? == user
            && field("realm")? == realm
            && nonce == self.nonce
            && (!lower || field("opaque")? == "5ccc069c");
        let mut secret = sum(format!("{user}:{realm}:{password}"));
        let mut request = sum(format!("{method}:{uri}"));
        if field("qop") == Some("auth-int") {
            // The digest of RFC 2617 3.2.2.3; no request has a body.
            request = sum(format!("{method}:{uri}:{}", sum(String::new())));
        }
        let with_qop = [Quirk::AuthQop, Quirk::AuthQopSha256, Quirk::AuthSess];
        let expected = if self.quirks.has_any(&with_qop) {
            let (count, cnonce, qop) = (field("nc")?, field("cnonce")?, field("qop")?);
            if self.quirks.has(Quirk::AuthSess) {
                secret = sum(format!("{secret}:{nonce}:{cnonce}"));
            }
            sum(format!("{secret}:{nonce}:{count}:{cnonce}:{qop}:{request}"))
        } else {
            sum(format!("{secret}:{nonce}:{request}"))
        };
        Some(identity && field("response")?.eq_ignore_ascii_case(&expected))
    }

    /// The digest that a client chose by this name, or by none; `None` when the camera does not take it.
    fn algorithm(&self, named: Option<&str>) -> Option<Algorithm> {
        let has = |quirk| self.quirks.has(quirk);
        let both = has(Quirk::AuthDual) || has(Quirk::AuthDualMd5First);
        let only_sha256 = has(Quirk::AuthSha256) || has(Quirk::AuthQopSha256);
        match named.map(str::to_ascii_uppercase).as_deref() {
            Some("SHA-256") if both || only_sha256 => Some(Algorithm::Sha256),
            None if only_sha256 => Some(Algorithm::Sha256),
            Some("MD5-SESS") if has(Quirk::AuthSess) => Some(Algorithm::Md5),
            None | Some("MD5") if !only_sha256 && !has(Quirk::AuthSess) => Some(Algorithm::Md5),
            _ => None,
        }
    }
}

fn fresh() -> String {
    hex(&rand::random::<[u8; 12]>())
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::super::super::message::{Input, take};
    use super::*;

    fn gate(quirk: Quirk) -> Gate {
        let credentials = Credentials { user: "admin".into(), password: "p@ss:w/rd#1".into() };
        Gate::new(&quirk.into(), Some(&credentials)).unwrap()
    }

    fn request(method: &str, authorization: &str) -> Request {
        let text = format!(
            "{method} rtsp://cam/ch0/main RTSP/1.0\r\nCSeq: 1\r\nAuthorization: {authorization}\r\n\r\n"
        );
        match take(&mut BytesMut::from(text.as_str())) {
            Ok(Some(Input::Request(request))) => request,
            other => panic!("expected a request, got {other:?}"),
        }
    }

    /// The answer that a client which is not ours gives to one of the challenges.
    fn answer(challenge: &str, method: &str) -> String {
        let mut client = http_auth::PasswordClient::try_from(challenge).unwrap();
        let (username, password, uri) = ("admin", "p@ss:w/rd#1", "rtsp://cam/ch0/main");
        let params = http_auth::PasswordParams { username, password, uri, method, body: None };
        let answer = client.respond(&params).unwrap();
        // This client does not say which algorithm it took.
        match challenge.contains("algorithm=\"SHA-256\"") {
            true => answer + ", algorithm=SHA-256",
            false => answer,
        }
    }

    #[test]
    fn each_challenge_is_met_by_an_independent_client() {
        for quirk in [
            Quirk::AuthBoth,
            Quirk::AuthSha256,
            Quirk::AuthDual,
            Quirk::AuthDualMd5First,
            Quirk::AuthQop,
            Quirk::AuthQopSha256,
            Quirk::AuthLower,
            Quirk::AuthBasicRealm,
        ] {
            let mut gate = gate(quirk);
            assert!(!gate.opens(&request("DESCRIBE", "Basic x"), false));
            for challenge in gate.challenges() {
                let right = request("DESCRIBE", &answer(&challenge, "DESCRIBE"));
                assert!(gate.opens(&right, false), "{}: {challenge}", quirk.name());
                let wrong = request("SETUP", &answer(&challenge, "DESCRIBE"));
                let basic = challenge.starts_with("Basic");
                assert_eq!(gate.opens(&wrong, false), basic, "{}: {challenge}", quirk.name());
            }
        }
    }

    #[test]
    fn md5_alone_can_be_what_is_accepted() {
        let mut gate = gate(Quirk::AuthDualMd5Only);
        let [strong, weak] = &gate.challenges()[..] else { panic!("want two challenges") };
        assert!(!gate.opens(&request("DESCRIBE", &answer(strong, "DESCRIBE")), false));
        assert!(gate.opens(&request("DESCRIBE", &answer(weak, "DESCRIBE")), false));
    }

    #[test]
    fn a_nonce_can_be_good_for_one_request() {
        let mut gate = gate(Quirk::NonceSetup);
        let first = gate.challenges().remove(0);
        assert!(gate.opens(&request("DESCRIBE", &answer(&first, "DESCRIBE")), false));
        assert!(!gate.opens(&request("SETUP", &answer(&first, "SETUP")), false));
        let second = gate.challenges().remove(0);
        assert!(second.contains("stale=\"TRUE\""), "{second}");
        assert!(gate.opens(&request("SETUP", &answer(&second, "SETUP")), false));
        assert!(!gate.opens(&request("PLAY", &answer(&second, "PLAY")), false));
    }
}
