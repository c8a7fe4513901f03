//! The cookie by which a browser proves its session.

use hyper::HeaderMap;
use hyper::header::COOKIE;

/// Its names. That of an encrypted connection is another one, so that neither is in the other's way when HTTPS is
/// switched on or off.
const PLAIN: &str = "ivt_session";
const SECURE: &str = "__Host-ivt_session";

/// The header that gives a browser the name of its session.
pub(super) fn of(session: &str, is_secure: bool) -> String {
    let rest = if is_secure { "; Secure" } else { "" };
    format!("{}={session}; Path=/; HttpOnly; SameSite=Strict{rest}", name(is_secure))
}

/// The header that takes it away.
pub(super) fn gone(is_secure: bool) -> String {
    format!("{}; Max-Age=0", of("", is_secure))
}

/// The name of the session that a browser proves.
pub(super) fn session(headers: &HeaderMap, is_secure: bool) -> Option<&str> {
    let cookies = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let pairs = cookies.flat_map(|cookies| cookies.split(';'));
    let mut pairs = pairs.filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name(is_secure)).map(|(_, value)| value)
}

fn name(is_secure: bool) -> &'static str {
    if is_secure { SECURE } else { PLAIN }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_for_this_page_alone_and_for_no_script() {
        assert_eq!(of("1a", false), "ivt_session=1a; Path=/; HttpOnly; SameSite=Strict");
        assert_eq!(
            of("1a", true),
            "__Host-ivt_session=1a; Path=/; HttpOnly; SameSite=Strict; Secure"
        );
        assert!(gone(false).contains("ivt_session=;") && gone(false).contains("Max-Age=0"));
    }

    #[test]
    fn a_session_is_found_among_other_cookies() {
        let mut headers = HeaderMap::new();
        assert_eq!(session(&headers, false), None);
        headers.append(COOKIE, "a=b; ivt_session=1a; ivt_session2=3".parse().unwrap());
        headers.append(COOKIE, "__Host-ivt_session=2b".parse().unwrap());
        assert_eq!(session(&headers, false), Some("1a"));
        assert_eq!(session(&headers, true), Some("2b"));
    }
}
