//! Logins by `authmod`: a server refuses `connect` with a challenge in its description, and the
//! answer is a query of the application over the next connection. `adobe` is that of Adobe's,
//! Wowza's and Akamai's servers, `llnw` that of Limelight's.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ivt_base::auth::Credentials;
use md5::{Digest as _, Md5};

/// How far the login at one server has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Told {
    /// The server was told nothing.
    #[default]
    Nothing,
    /// The server was told the user name, and is to send a challenge.
    Name,
    /// The server was told the answer to its challenge.
    Proof,
}

/// The query that the next `connect` carries because a server has refused one with `description`.
/// `None` where the refusal asks for no login that is known here.
///
/// # Errors
///
/// The login cannot go on. The text says why, after the server's name.
pub(super) fn answer(
    description: &str,
    told: &mut Told,
    credentials: Option<&Credentials>,
    app: &str,
) -> Option<Result<String, String>> {
    let method = value(description, "authmod")?;
    let proof: fn(&str, &Credentials, &str, &str) -> String = match method {
        "adobe" => adobe,
        "llnw" => llnw,
        _ => return None,
    };
    let Some(credentials) = credentials else {
        return Some(Err(format!(
            "asks for a login (authmod={method}): the address must have one, rtmp://user:password@host/…"
        )));
    };
    let reason = value(description, "reason");
    let next = match (reason, *told) {
        (Some("needauth"), Told::Nothing | Told::Name) => Told::Proof,
        (None, Told::Nothing) => Told::Name,
        _ => {
            return Some(Err(format!(
                "does not take the user name or the password of the address (authmod={method})"
            )));
        }
    };
    *told = next;
    let user = escaped(&credentials.username);
    let mut query = format!("authmod={method}&user={user}");
    if next == Told::Proof {
        let nonce = format!("{:08x}", rand::random::<u32>());
        query += &proof(description, credentials, app, &nonce);
    }
    Some(Ok(query))
}

/// What follows the user name: salted and challenged MD5, in Base64.
fn adobe(description: &str, login: &Credentials, _app: &str, nonce: &str) -> String {
    let given = |name| value(description, name).unwrap_or_default();
    let hash = |parts: &[&str]| STANDARD.encode(md5(parts));
    let salted = hash(&[&login.username, given("salt"), &login.password]);
    let opaque = given("opaque");
    let challenge = if opaque.is_empty() { given("challenge") } else { opaque };
    let response = hash(&[&salted, challenge, nonce]);
    let mut query = format!("&challenge={nonce}&response={response}");
    if !opaque.is_empty() {
        query += "&opaque=";
        query += opaque;
    }
    query
}

/// What follows the user name: HTTP's Digest (RFC 2617) of a method `publish`.
fn llnw(description: &str, login: &Credentials, app: &str, cnonce: &str) -> String {
    const COUNT: &str = "00000001";
    let nonce = value(description, "nonce").unwrap_or_default();
    let app = app.split('?').next().unwrap_or_default();
    let instance = if app.contains('/') { "" } else { "/_definst_" };
    let who = hex(&[&login.username, ":live:", &login.password]);
    let what = hex(&["publish:/", app, instance]);
    let response = hex(&[&who, ":", nonce, ":", COUNT, ":", cnonce, ":auth:", &what]);
    format!("&nonce={nonce}&cnonce={cnonce}&nc={COUNT}&response={response}")
}

fn md5(parts: &[&str]) -> [u8; 16] {
    let mut hash = Md5::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

fn hex(parts: &[&str]) -> String {
    md5(parts).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The value behind `name=` in a description such as
/// `[ authmod=adobe ] : ?reason=needauth&user=u&salt=s&challenge=c&opaque=o`.
fn value<'a>(description: &'a str, name: &str) -> Option<&'a str> {
    let words = description
        .split(|c: char| matches!(c, '?' | '&' | ';' | '[' | ']' | ',') || c.is_whitespace());
    words
        .filter_map(|word| word.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

/// A user name without what would end it in a query.
fn escaped(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '&' | '=' | '?' | '#' | '%' | '+' | ' ' => text += &format!("%{:02X}", u32::from(c)),
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: &str = "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ";
    const CHALLENGE: &str = "[ AccessManager.Reject ] : [ authmod=adobe ] : \
        ?reason=needauth&user=user&salt=s4lt&challenge=ch4l==&opaque=0p4q==";

    fn credentials() -> Credentials {
        Credentials { username: "user".into(), password: "password".into() }
    }

    #[test]
    fn a_name_comes_first_then_the_proof_then_the_end() {
        let (mut told, login) = (Told::default(), credentials());
        let mut next = |description| answer(description, &mut told, Some(&login), "live").unwrap();
        assert_eq!(next(ASKED).unwrap(), "authmod=adobe&user=user");
        let proof = next(CHALLENGE).unwrap();
        assert!(proof.starts_with("authmod=adobe&user=user&challenge="), "{proof}");
        for end in [ASKED, CHALLENGE, "[ authmod=adobe ] : ?reason=authfailed&opaque=0p4q=="] {
            let error = next(end).unwrap_err();
            assert!(error.contains("does not take") && !error.contains("0p4q"), "{error}");
        }
    }

    #[test]
    fn a_challenge_may_come_at_once_and_a_refusal_at_any_time() {
        let (mut told, login) = (Told::default(), credentials());
        assert!(answer(CHALLENGE, &mut told, Some(&login), "live").unwrap().is_ok());
        assert_eq!(told, Told::Proof);
        let (mut told, unknown) = (Told::Name, "[ authmod=llnw ] : ?reason=nosuchuser&user=user");
        assert!(answer(unknown, &mut told, Some(&login), "live").unwrap().is_err());
        let mut told = Told::Name;
        assert!(answer(ASKED, &mut told, Some(&login), "live").unwrap().is_err(), "no loop");
    }

    #[test]
    fn without_a_login_the_refusal_says_what_to_do() {
        let error = answer(ASKED, &mut Told::default(), None, "live").unwrap().unwrap_err();
        assert!(error.contains("authmod=adobe") && error.contains("user:password@"), "{error}");
        let login = credentials();
        for other in ["", "Application rejected", "[ authmod=kerberos ] : ", "authmod"] {
            assert_eq!(answer(other, &mut Told::default(), Some(&login), "live"), None, "{other}");
        }
    }

    #[test]
    fn proofs_are_as_the_servers_compute_them() {
        // Computed by hand with md5sum and base64.
        let want = "&challenge=01234567&response=+rGj6CEpyKaiMlk/l6rdFw==&opaque=0p4q==";
        assert_eq!(adobe(CHALLENGE, &credentials(), "live", "01234567"), want);
        let bare = "?reason=needauth&salt=s4lt&challenge=ch4l==";
        let want = "&challenge=01234567&response=4KFg/o7vmsULO2H2neDzoA==";
        assert_eq!(adobe(bare, &credentials(), "live", "01234567"), want);
        let digest = "[ authmod=llnw ] : ?reason=needauth&user=user&nonce=n0nce";
        for (app, response) in [
            ("live?x=y", "8c0b9a517b5080cd8ae6371c3358fd82"),
            ("live/inst", "aa7590766e4ca05dd9768033f0b8b803"),
        ] {
            let want = format!("&nonce=n0nce&cnonce=01234567&nc=00000001&response={response}");
            assert_eq!(llnw(digest, &credentials(), app, "01234567"), want);
        }
    }

    #[test]
    fn a_name_cannot_add_to_the_query() {
        assert_eq!(escaped("a&authmod=b?c %+#@你"), "a%26authmod%3Db%3Fc%20%25%2B%23@你");
    }
}
