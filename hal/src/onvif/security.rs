//! The login of WS-Security: a digest of the password and the camera's time (OASIS UsernameToken Profile 1.0).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

use crate::Credentials;
use crate::xml::escape;

/// The header of a request that is made at `created`, the camera's time.
pub(super) fn header(login: &Credentials, created: &str) -> String {
    let nonce: [u8; 16] = rand::random();
    let digest = digest(&nonce, created, &login.password);
    let (username, nonce) = (escape(&login.username), STANDARD.encode(nonce));
    format!(
        "<wsse:Security s:mustUnderstand=\"1\" \
         xmlns:wsse=\"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd\" \
         xmlns:wsu=\"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd\">\
         <wsse:UsernameToken><wsse:Username>{username}</wsse:Username><wsse:Password \
         Type=\"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordDigest\">\
         {digest}</wsse:Password><wsse:Nonce EncodingType=\"http://docs.oasis-open.org/wss/2004/01/\
         oasis-200401-wss-soap-message-security-1.0#Base64Binary\">{nonce}</wsse:Nonce>\
         <wsu:Created>{created}</wsu:Created></wsse:UsernameToken></wsse:Security>"
    )
}

/// Base64 of SHA-1 of nonce, time and password, one behind the other.
pub(super) fn digest(nonce: &[u8], created: &str, password: &str) -> String {
    let hash = Sha1::new().chain_update(nonce).chain_update(created).chain_update(password);
    STANDARD.encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_the_programmers_guide() {
        let nonce = STANDARD.decode("LKqI6G/AikKCQrN0zqZFlg==").unwrap();
        let digest = digest(&nonce, "2010-09-16T07:50:45Z", "userpassword");
        assert_eq!(digest, "tuOSpGlFlIXsozq4HFNeeGeFLEI=");
    }

    #[test]
    fn the_password_is_never_told_and_a_nonce_never_comes_twice() {
        let login = Credentials { username: "a<b".into(), password: "pass-word".into() };
        let [one, other] = [header(&login, "2026-01-01T00:00:00.000Z"), header(&login, "")];
        assert!(one.contains("<wsse:Username>a&lt;b</wsse:Username>"));
        assert!(!one.contains("pass-word"));
        let nonce = |text: &str| text.split("Base64Binary\">").nth(1).unwrap()[..24].to_owned();
        assert_ne!(nonce(&one), nonce(&other));
    }
}
