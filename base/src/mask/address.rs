//! Which parts of a text are secret when the text is a password, a stream key, or an address.

use super::search;
use super::spelling::View;

/// Parts of names whose values are secret however they look.
const TELLING: [&str; 9] = ["pass", "pwd", "tok", "key", "sig", "auth", "secret", "cred", "hash"];
/// Shortest value of another name that is secret, in bytes.
const VALUE: usize = 8;

/// Adds the secrets of a text.
pub(super) fn read(text: &str, keys: &mut Vec<u64>) {
    let Some((scheme, rest)) = text.split_once("://") else {
        secret(text, keys);
        if let Some((key, query)) = text.split_once('?').filter(|(_, query)| query.contains('=')) {
            secret(key, keys);
            pairs(query, keys);
        }
        return;
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if let Some((name, _)) = authority.rsplit_once('@') {
        let (user, password) = name.split_once(':').unwrap_or(("", name));
        login(user, password, keys);
    }
    pairs(path, keys);
    if scheme.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("rtmp")) {
        let parts = path.split(['/', '?', '&']).filter(|part| !part.is_empty());
        let parts: Vec<_> = parts.filter(|part| !part.contains('=')).collect();
        // The first part names the application, unless nothing follows it.
        let streams = if parts.len() > 1 { &parts[1..] } else { &parts };
        streams.iter().for_each(|stream| secret(stream, keys));
    }
}

/// Adds the password of a login.
pub(super) fn login(user: &str, password: &str, keys: &mut Vec<u64>) {
    secret(password, keys);
    if password.len() < VALUE {
        named(user, ':', password, keys);
    }
}

/// Adds the secret values of a query, and of a path that is written like one.
fn pairs(text: &str, keys: &mut Vec<u64>) {
    for part in text.split(['/', '?', '&', ';', '#']) {
        let Some((name, value)) = part.split_once('=') else { continue };
        let lower = name.to_ascii_lowercase();
        let telling = TELLING.iter().any(|telling| lower.contains(telling));
        // A value that is an address has its secrets in it; its host and path are none.
        let decoded = spellings(value).pop().unwrap_or_default();
        let decoded = String::from_utf8_lossy(&decoded);
        if !telling && (decoded.contains("://") || decoded.starts_with("//")) {
            match decoded.strip_prefix("//") {
                Some(rest) => read(&format!("://{rest}"), keys),
                None => read(&decoded, keys),
            }
            continue;
        }
        // A value of digits or a date tells when something happens.
        let letters = value.bytes().filter(u8::is_ascii_alphabetic).count();
        if telling || (value.len() >= VALUE && letters > 2) {
            secret(value, keys);
        }
        if telling && value.len() < 4 {
            named(name, '=', value, keys);
        }
        // Some cameras have the login in the path: `/user=admin_password=x_channel=1`.
        if let Some((_, rest)) = value.split_once("password=") {
            secret(rest.split('_').next().unwrap_or_default(), keys);
        }
    }
}

fn secret(text: &str, keys: &mut Vec<u64>) {
    spellings(text).iter().for_each(|text| search::secret(text, keys));
}

/// Adds a short value together with its name. Without its control characters it may be empty, and the name alone is
/// no secret.
fn named(name: &str, sign: char, value: &str, keys: &mut Vec<u64>) {
    if spellings(value).iter().all(|value| !value.is_empty()) {
        let texts = spellings(&format!("{name}{sign}{value}"));
        texts.iter().for_each(|text| search::named(text, keys));
    }
}

/// A text as it is and with its escapes decoded.
fn spellings(text: &str) -> Vec<Vec<u8>> {
    let plain = View::of(text.as_bytes());
    let decoded = plain.unescaped().map(|view| view.bytes);
    [plain.bytes].into_iter().chain(decoded).collect()
}
