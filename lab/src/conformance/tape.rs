//! What is said and seen during a case: bounded, and without secrets.

use std::collections::VecDeque;
use std::time::Instant;

use serde_json::Value;

use crate::report::{Evidence, Seen};

/// Most entries kept of the begin of a case, and most of its end.
const KEPT: usize = 60;
/// Longest text of an entry, in bytes.
const LONGEST: usize = 2 << 10;
/// Names of members that hold a secret.
const SECRETS: [&str; 3] = ["password", "passwd", "login_passwd"];

/// The evidence of one case.
#[derive(Debug)]
pub struct Tape {
    begin: Instant,
    first: Vec<Evidence>,
    last: VecDeque<Evidence>,
    left_out: usize,
}

impl Tape {
    /// An empty tape whose times count from `begin`.
    pub fn new(begin: Instant) -> Self {
        Self { begin, first: Vec::new(), last: VecDeque::new(), left_out: 0 }
    }

    /// Adds an entry. Of many, those in the middle are dropped.
    pub fn push(&mut self, what: Seen) {
        let entry = Evidence { at: self.begin.elapsed(), what: bounded(what) };
        if self.first.len() < KEPT {
            self.first.push(entry);
            return;
        }
        self.last.push_back(entry);
        if self.last.len() > KEPT {
            self.last.pop_front();
            self.left_out += 1;
        }
    }

    /// The entries so far, which are gone from the tape then.
    pub fn take(&mut self) -> Vec<Evidence> {
        let mut all = std::mem::take(&mut self.first);
        if self.left_out > 0 {
            let at = all.last().map_or_else(|| self.begin.elapsed(), |entry| entry.at);
            let text = format!("{} entries are left out", self.left_out);
            all.push(Evidence { at, what: Seen::Note { text } });
        }
        all.extend(self.last.drain(..));
        self.left_out = 0;
        all
    }
}

fn bounded(what: Seen) -> Seen {
    match what {
        Seen::Received { text } => Seen::Received { text: shown(&text) },
        Seen::Sent { text } => Seen::Sent { text: shown(&text) },
        Seen::Note { text } => Seen::Note { text: shortened(&text) },
        picture @ (Seen::Picture { .. } | Seen::Still { .. }) => picture,
    }
}

/// A packet as the report shows it.
fn shown(text: &str) -> String {
    if !SECRETS.iter().any(|name| text.contains(name)) {
        return shortened(text);
    }
    match serde_json::from_str::<Value>(text) {
        Ok(mut packet) => {
            mask(&mut packet);
            shortened(&packet.to_string())
        }
        Err(_) => "(a text that is no JSON and may hold a password)".into(),
    }
}

/// Hides the values of members that hold a secret. The parser has bounded the depth.
fn mask(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                if SECRETS.contains(&name.as_str()) {
                    *value = "•••".into();
                } else {
                    mask(value);
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(mask),
        _ => {}
    }
}

fn shortened(text: &str) -> String {
    if text.len() <= LONGEST {
        return text.to_owned();
    }
    let (head, tail) =
        (text.floor_char_boundary(LONGEST / 2), text.ceil_char_boundary(text.len() - LONGEST / 4));
    format!("{} … ({} bytes in all) … {}", &text[..head], text.len(), &text[tail..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_leaves_its_begin_and_its_end_and_no_password() {
        let mut tape = Tape::new(Instant::now());
        for n in 0..10_000 {
            tape.push(Seen::Note { text: n.to_string() });
        }
        let all = tape.take();
        assert_eq!(all.len(), 2 * KEPT + 1);
        let note = |at: usize| match &all[at].what {
            Seen::Note { text } => text.as_str(),
            other => panic!("{other:?}"),
        };
        assert_eq!((note(0), note(2 * KEPT)), ("0", "9999"));
        assert_eq!(note(KEPT), format!("{} entries are left out", 10_000 - 2 * KEPT));
        assert!(tape.take().is_empty());
        for text in [r#"{"resp":[{"password":"hunter-2"}]}"#, r#"{"password":"hunter-2""#] {
            tape.push(Seen::Received { text: text.into() });
        }
        tape.push(Seen::Sent { text: format!("é{}", "é".repeat(40_000)) });
        let all = tape.take();
        assert!(!format!("{all:?}").contains("hunter"), "{all:?}");
        assert!(format!("{:?}", all[2]).len() < 2 * LONGEST);
    }
}
