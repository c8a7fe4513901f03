//! Logins by `authmod`, the server's side. The challenges never change: this is no protection.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use url::form_urlencoded;

use super::super::faults::{Authmod, RtmpQuirks};

const SALT: &str = "c2FsdA==";
const CHALLENGE: &str = "Y2hhbGxlbmdl";
const OPAQUE: &str = "b3BhcXVl";
const NONCE: &str = "bm9uY2U";

/// Why `connect` to `app` is refused, as a server describes it; `None` for a login that is right, or
/// where none is asked for.
pub(super) fn refusal(quirks: &RtmpQuirks, app: &str) -> Option<String> {
    let method = match quirks.authmod {
        Authmod::None => return None,
        Authmod::Adobe => "adobe",
        Authmod::Llnw => "llnw",
    };
    let (path, query) = app.split_once('?').unwrap_or((app, ""));
    let said = |name: &str| {
        let mut pairs = query.split(['?', '&']).filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let Some(user) = said("user").filter(|_| said("authmod") == Some(method)) else {
        let text =
            format!("[ AccessManager.Reject ] : [ code=403 need auth; authmod={method} ] : ");
        return Some(text);
    };
    let reject = |reason: &str| {
        Some(format!("[ AccessManager.Reject ] : [ authmod={method} ] : ?reason={reason}"))
    };
    let Some(response) = said("response") else {
        let ask = match quirks.authmod {
            Authmod::Llnw => format!("&nonce={NONCE}"),
            _ => format!("&salt={SALT}&challenge={CHALLENGE}&opaque={OPAQUE}"),
        };
        return reject(&format!("needauth&user={user}{ask}"));
    };
    let right = match quirks.authmod {
        Authmod::Llnw => llnw(quirks, path, said("cnonce")?, said("nc")?),
        _ => adobe(quirks, said("challenge")?),
    };
    let pair = format!("u={user}");
    let (_, user) = form_urlencoded::parse(pair.as_bytes()).next()?;
    match (user == quirks.user, response == right) {
        (true, true) => None,
        (true, false) => reject("authfailed"),
        (false, _) => reject("nosuchuser"),
    }
}

fn adobe(quirks: &RtmpQuirks, challenge: &str) -> String {
    let hash = |text: String| STANDARD.encode(Md5::digest(text));
    let salted = hash(format!("{}{SALT}{}", quirks.user, quirks.password));
    hash(format!("{salted}{OPAQUE}{challenge}"))
}

fn llnw(quirks: &RtmpQuirks, path: &str, cnonce: &str, count: &str) -> String {
    let hash = |text: String| format!("{:x}", Md5::digest(text));
    let instance = if path.contains('/') { "" } else { "/_definst_" };
    let who = hash(format!("{}:live:{}", quirks.user, quirks.password));
    let what = hash(format!("publish:/{path}{instance}"));
    hash(format!("{who}:{NONCE}:{count}:{cnonce}:auth:{what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_goes_from_the_name_to_the_proof() {
        for authmod in [Authmod::Adobe, Authmod::Llnw] {
            let (user, password) = ("u".to_owned(), "p".to_owned());
            let quirks = RtmpQuirks { authmod, user, password, ..RtmpQuirks::default() };
            let name = if authmod == Authmod::Adobe { "adobe" } else { "llnw" };
            let said = |query: String| refusal(&quirks, &format!("live{query}")).unwrap();
            assert!(said(String::new()).contains("code=403 need auth"));
            assert!(said(format!("?authmod={name}&user=u")).contains("reason=needauth&user=u"));
            let proof = "cnonce=1&nc=00000001&challenge=1&response=x";
            assert!(said(format!("?authmod={name}&user=u&{proof}")).contains("reason=authfailed"));
            assert!(said(format!("?authmod={name}&user=v&{proof}")).contains("reason=nosuchuser"));
        }
        assert_eq!(refusal(&RtmpQuirks::default(), "live"), None);
    }
}
