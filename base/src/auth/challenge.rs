//! What a 401 asks for: the challenges of its `WWW-Authenticate` headers (RFC 9110 11.6.1).

use std::borrow::Cow;

use crate::text::shorten;

/// Most header values that are read from one 401.
const MAX_VALUES: usize = 16;
/// Most challenges that are read from one 401.
const MAX_CHALLENGES: usize = 16;
/// Longest header value that is read, in bytes.
const MAX_VALUE: usize = 4 << 10;
/// Longest list of scheme names that is told to a person, in characters.
const MAX_NAMES: usize = 60;

/// How to log in, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scheme {
    Sha256Sess,
    Sha256,
    Md5Sess,
    Md5,
    Basic,
}

/// A challenge that can be answered. Its texts are as they came, escapes included, without
/// control characters and fit to be put between quotes again.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Challenge {
    /// How the challenge is answered.
    pub(super) scheme: Scheme,
    /// What the user name and the password are for.
    pub(super) realm: String,
    /// Text of the camera that the answer hashes; empty for Basic.
    pub(super) nonce: String,
    /// Text that the answer repeats, where there is one.
    pub(super) opaque: Option<String>,
    /// Name of the algorithm as the camera spells it, where it names one.
    pub(super) algorithm: Option<String>,
    /// Quality of protection to answer with; `None` as before RFC 2617.
    pub(super) qop: Option<&'static str>,
    /// Whether the camera says that nothing but the nonce was wrong.
    pub(super) stale: bool,
}

/// What one 401 offers.
pub(super) struct Offers {
    /// One challenge of each scheme at most: the first.
    pub(super) usable: Vec<Challenge>,
    /// Names of all schemes that the 401 offers, for a person.
    pub(super) names: String,
}

/// Reads header values, each of which may hold several challenges.
pub(super) fn read(values: &mut dyn Iterator<Item = &str>) -> Offers {
    let mut found = Vec::new();
    for value in values.take(MAX_VALUES).filter(|value| value.len() <= MAX_VALUE) {
        // Without control characters a folded line is one line, and no value can begin a new line
        // in a request.
        split(&value.replace(char::is_control, " "), &mut found);
    }
    let mut offers = Offers { usable: Vec::new(), names: String::new() };
    for found in found {
        if !offers.names.is_empty() {
            offers.names.push_str(", ");
        }
        offers.names.push_str(&found.name());
        if let Some(challenge) = found.usable()
            && offers.usable.iter().all(|other| other.scheme != challenge.scheme)
        {
            offers.usable.push(challenge);
        }
    }
    offers.names = shorten(&offers.names).chars().take(MAX_NAMES).collect();
    offers
}

/// The text that a quoted string stands for. A backslash before anything but a quote or another
/// one stands for itself: some cameras have names of domains in their realm.
pub(super) fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let escaped = if c == '\\' { chars.next_if(|c| matches!(c, '"' | '\\')) } else { None };
        plain.push(escaped.unwrap_or(c));
    }
    Cow::Owned(plain)
}

/// A challenge of any scheme.
#[derive(Default)]
struct Found {
    scheme: String,
    realm: Option<String>,
    nonce: Option<String>,
    opaque: Option<String>,
    algorithm: Option<String>,
    qop: Option<String>,
    stale: Option<String>,
}

impl Found {
    fn set(&mut self, name: &str, value: &str) {
        let place = match name.to_ascii_lowercase().as_str() {
            "realm" => &mut self.realm,
            "nonce" => &mut self.nonce,
            "opaque" => &mut self.opaque,
            "algorithm" => &mut self.algorithm,
            "qop" => &mut self.qop,
            "stale" => &mut self.stale,
            _ => return,
        };
        place.get_or_insert_with(|| value.to_owned());
    }

    fn name(&self) -> String {
        let scheme = &self.scheme;
        match &self.algorithm {
            _ if scheme.eq_ignore_ascii_case("digest") && self.nonce.is_none() => {
                format!("{scheme} without a nonce")
            }
            Some(algorithm) => format!("{scheme} {algorithm}"),
            None => scheme.clone(),
        }
    }

    fn usable(self) -> Option<Challenge> {
        let algorithm = self.algorithm.as_deref().map(str::trim).filter(|name| !name.is_empty());
        let scheme = match self.scheme.to_ascii_lowercase().as_str() {
            "basic" => Scheme::Basic,
            "digest" => match algorithm.unwrap_or("MD5").to_ascii_lowercase().as_str() {
                "md5" => Scheme::Md5,
                "md5-sess" => Scheme::Md5Sess,
                "sha-256" | "sha256" => Scheme::Sha256,
                "sha-256-sess" | "sha256-sess" => Scheme::Sha256Sess,
                _ => return None,
            },
            _ => return None,
        };
        let nonce = self.nonce.unwrap_or_default();
        if nonce.is_empty() && scheme != Scheme::Basic {
            return None;
        }
        let offers = self.qop.unwrap_or_default();
        let offers = |qop: &str| {
            offers.split([',', ' ', ';']).any(|offered| offered.eq_ignore_ascii_case(qop))
        };
        let qop = ["auth", "auth-int"].into_iter().find(|qop| offers(qop));
        let stale = self.stale.is_some_and(|stale| stale.trim().eq_ignore_ascii_case("true"));
        // The algorithm of a Basic challenge was compared with no known name.
        let algorithm = algorithm.filter(|_| scheme != Scheme::Basic).map(str::to_owned);
        let (realm, opaque) = (self.realm.unwrap_or_default(), self.opaque);
        Some(Challenge { scheme, realm, nonce, opaque, algorithm, qop, stale })
    }
}

/// Appends the challenges of a text without control characters.
fn split(mut text: &str, found: &mut Vec<Found>) {
    let mut after_scheme = false;
    loop {
        text = text.trim_start_matches(' ');
        let follows = after_scheme && !text.starts_with([',', ';']);
        after_scheme = false;
        text = text.trim_start_matches([' ', ',', ';', '=', '"']);
        let end = text.find([' ', ',', ';', '=', '"']).unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        if word.is_empty() {
            return;
        }
        text = rest.trim_start_matches(' ');
        if let Some(rest) = text.strip_prefix('=') {
            let (value, rest) = split_value(rest.trim_start_matches(' '));
            if let Some(challenge) = found.last_mut() {
                challenge.set(word, value);
            }
            text = rest;
            continue;
        }
        // A `token68`, which may stand in place of parameters, and the rest of a list of
        // protections without quotes begin no challenge.
        let token = follows && (text.is_empty() || text.starts_with([',', ';']));
        let listed = ["auth", "auth-int"].iter().any(|qop| word.eq_ignore_ascii_case(qop));
        if !token && !listed {
            if found.len() == MAX_CHALLENGES {
                return;
            }
            found.push(Found { scheme: word.to_owned(), ..Found::default() });
            after_scheme = true;
        }
    }
}

/// Splits a value, without the quotes it may have, from what follows it.
fn split_value(text: &str) -> (&str, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_at(bare_end(text));
        // A quote at the end of a bare value is no part of it.
        let value = value.split('"').next().unwrap_or_default();
        return (value.trim_end_matches([' ', '\\']), rest);
    };
    let mut escaped = false;
    let end = quoted.find(|c| {
        let end = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        end
    });
    match end.map(|end| quoted.split_at(end)) {
        Some((value, rest)) => (value, rest.strip_prefix('"').unwrap_or(rest)),
        // A backslash at the end would hide the quote that ends the value in a request.
        None => (quoted.trim_end_matches('\\'), ""),
    }
}

/// Length of a value without quotes. It may have several words, up to the word that names the next
/// parameter.
fn bare_end(text: &str) -> usize {
    let mut gap = None;
    let mut latest_gap = None;
    let mut before = 'x';
    for (at, c) in text.char_indices() {
        match c {
            ',' | ';' => return at,
            '=' => {
                if let Some(gap) = gap {
                    return gap;
                }
            }
            ' ' if before != ' ' => latest_gap = Some(at),
            ' ' => {}
            _ => gap = latest_gap,
        }
        before = c;
    }
    text.len()
}

#[cfg(test)]
#[path = "challenge_tests.rs"]
mod tests;
