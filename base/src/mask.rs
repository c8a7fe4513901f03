//! The secrets in use, and texts of peers without them. A peer that was told a secret may repeat it in an error, in
//! any spelling: as it is, percent-encoded once or several times, in base64 or hexadecimal digits, with the escapes of
//! JSON or HTML, in other case, or cut.
//!
//! What is hidden of a secret depends on its length, since a short one may be an ordinary word:
//!
//! | length in bytes | hidden |
//! |---|---|
//! | 8 and more | every 8 bytes in a row of it |
//! | 4 to 7, not of letters alone nor of digits alone | all of it, wherever it stands |
//! | 4 to 7, of letters alone or of digits alone | all of it, where it stands as a word of its own |
//! | 1 to 3 | together with its user name (`user:pw`) or its name (`token=ab`), and nowhere else |
//!
//! Of a secret of the first two rows, 5 bytes are hidden too where the text is cut: at its ends and beside `...`.

mod address;
mod search;
mod spelling;

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::search::{Filter, Search};

/// What stands in the place of a secret.
const MASK: &[u8] = b"***";
/// Longest secret that is known to its end, in bytes.
const LONGEST: usize = 2048;
/// Secrets that stay known at least after the last holder of theirs is gone: a peer may answer late. At most twice as
/// many stay.
const LATE: usize = 32;
/// Longest piece of a text that is searched at once, in bytes.
const PIECE: usize = 512;
/// From one piece to the next, in bytes: they overlap by more than a short secret takes in any spelling.
const STEP: usize = 448;

static KNOWN: Mutex<Secrets> = Mutex::new(Secrets { known: Vec::new(), filter: Filter::new() });

struct Secrets {
    /// The keys of each text that was made known, sorted.
    known: Vec<Arc<[u64]>>,
    /// Holds the keys of all of them.
    filter: Filter,
}

/// Keeps a secret known to [`mask`] while this or a clone of it lives. Printing it shows nothing.
#[derive(Clone, Default)]
pub struct Known(Option<Arc<[u64]>>);

impl Known {
    /// Whether there is anything secret about the text that was made known.
    pub fn is_any(&self) -> bool {
        self.0.is_some()
    }

    /// Does as [`mask_bytes`] with this secret alone: other secrets in use stay in the text.
    pub fn mask_bytes(&self, text: &[u8]) -> Vec<u8> {
        masked(text, false, Some(self.0.as_slice()))
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Known")
    }
}

/// Makes a secret known: a password, a stream key with its query, or an address. Of an address the login, the values
/// in its query that are no plain words, and the stream of an RTMP address are secret; host and path are not.
pub fn learn(secret: &str) -> Known {
    let mut keys = Vec::new();
    address::read(start(secret), &mut keys);
    know(keys)
}

/// Makes the password of a login known. However short it is, it is known together with the user name.
pub fn learn_login(user: &str, password: &str) -> Known {
    let mut keys = Vec::new();
    address::login(start(user), start(password), &mut keys);
    know(keys)
}

fn start(secret: &str) -> &str {
    &secret[..secret.floor_char_boundary(LONGEST)]
}

fn know(mut keys: Vec<u64>) -> Known {
    if keys.is_empty() {
        return Known::default();
    }
    keys.sort_unstable();
    keys.dedup();
    let mut secrets = lock();
    let Secrets { known, filter } = &mut *secrets;
    let there = known.iter().position(|known| **known == keys[..]);
    let keys = there.map_or_else(|| keys.into(), |there| known.remove(there));
    filter.add(&keys);
    known.push(Arc::clone(&keys));
    let held = |known: &Arc<[u64]>| Arc::strong_count(known) > 1;
    let surplus = known.iter().filter(|known| !held(known)).count();
    // Several at once, since the filter is made anew then.
    if surplus >= 2 * LATE {
        let mut surplus = surplus - LATE;
        known.retain(|known| {
            let stays = surplus == 0 || held(known);
            surplus -= usize::from(!stays);
            stays
        });
        *filter = Filter::new();
        known.iter().for_each(|keys| filter.add(keys));
    }
    Known(Some(keys))
}

/// A peer's text with `***` in the place of secrets in use and of values of `Authorization` headers.
pub fn mask(text: &str) -> String {
    String::from_utf8_lossy(&masked(text.as_bytes(), true, None)).into_owned()
}

/// Does as [`mask`] for a line that is mostly our own: secrets that look like ordinary words are left in it.
pub fn mask_line(line: &str) -> String {
    String::from_utf8_lossy(&mask_bytes(line.as_bytes())).into_owned()
}

/// Does as [`mask_line`] for text in any encoding that is like ASCII.
pub fn mask_bytes(text: &[u8]) -> Vec<u8> {
    masked(text, false, None)
}

fn masked(text: &[u8], words: bool, only: Option<&[Arc<[u64]>]>) -> Vec<u8> {
    let mut hidden = vec![false; text.len()];
    let mut from = 0;
    while from < text.len() {
        let Secrets { known, filter } = &*lock();
        let known = only.unwrap_or(known);
        if known.is_empty() {
            break;
        }
        let to = text.len().min(from + PIECE);
        let hidden = &mut hidden[from..to];
        let (begins, ends) = (from == 0, to == text.len());
        Search { known, filter, words, begins, ends, views: 0, hidden }.text(&text[from..to]);
        from = if to == text.len() { to } else { from + STEP };
    }
    let mut begin = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let Range { start, end } = search::authorization(line);
        hidden[begin + start..begin + end].fill(true);
        begin += line.len();
    }
    let mut masked = Vec::with_capacity(text.len());
    for (at, (byte, secret)) in text.iter().zip(&hidden).enumerate() {
        if !secret {
            masked.push(*byte);
        } else if at == 0 || !hidden[at - 1] {
            masked.extend_from_slice(MASK);
        }
    }
    masked
}

fn lock() -> MutexGuard<'static, Secrets> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "mask_tests.rs"]
mod tests;
