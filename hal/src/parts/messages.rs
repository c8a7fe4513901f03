//! Messages of HTTP that follow each other on one connection, requests and answers alike: the alarms of merlin cameras. Their
//! bodies are the parts.

use super::LONGEST_PART;

/// Longest head of a message, in bytes.
const LONGEST_HEAD: usize = 16 * 1024;

/// Cuts out the bodies of messages, by their `Content-Length`. A message without a body is no part.
#[derive(Default)]
pub struct Messages {
    held: Vec<u8>,
    /// How many bytes of a head have been searched for its end.
    searched: usize,
    state: State,
}

#[derive(Clone, Copy, Default)]
enum State {
    #[default]
    Head,
    Body(usize),
    /// So many bytes of a body that is too long are still to come.
    Passing(usize),
}

impl Messages {
    /// Takes the next bytes and hands over the bodies that end in them.
    pub fn push(&mut self, bytes: &[u8], part: &mut dyn FnMut(&[u8])) {
        self.held.extend_from_slice(bytes);
        let mut begin = 0;
        loop {
            let held = &self.held[begin..];
            match self.state {
                State::Head => {
                    let longest = held.len().min(LONGEST_HEAD);
                    let from = self.searched.saturating_sub(2).min(longest);
                    let end = end_of_head(&held[from..longest]).map(|end| from + end);
                    let Some(end) = end else {
                        self.searched = held.len();
                        if held.len() > LONGEST_HEAD {
                            begin += held.len();
                            self.searched = 0;
                        }
                        break;
                    };
                    begin += end;
                    self.searched = 0;
                    self.state = match content_length(&held[..end]) {
                        0 => State::Head,
                        length if length > LONGEST_PART => State::Passing(length),
                        length => State::Body(length),
                    };
                }
                State::Body(length) if held.len() >= length => {
                    part(&held[..length]);
                    begin += length;
                    self.state = State::Head;
                }
                State::Passing(length) => {
                    let passed = length.min(held.len());
                    begin += passed;
                    if passed < length {
                        self.state = State::Passing(length - passed);
                        break;
                    }
                    self.state = State::Head;
                }
                State::Body(_) => break,
            }
        }
        self.held.drain(..begin);
        if self.held.is_empty() && self.held.capacity() > LONGEST_PART / 8 {
            self.held = Vec::new();
        }
    }

    /// How many bytes are held.
    pub fn held(&self) -> usize {
        self.held.len()
    }
}

/// Where the body begins that follows a head.
fn end_of_head(held: &[u8]) -> Option<usize> {
    held.windows(2).zip(0..).find_map(|(pair, at)| match pair {
        b"\n\n" => Some(at + 2),
        b"\n\r" if held.get(at + 2) == Some(&b'\n') => Some(at + 3),
        _ => None,
    })
}

fn content_length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head);
    let mut headers = head.lines().filter_map(|line| line.split_once(':'));
    let length = headers.find(|(name, _)| name.trim().eq_ignore_ascii_case("content-length"));
    length.and_then(|(_, length)| length.trim().parse().ok()).unwrap_or(0)
}
