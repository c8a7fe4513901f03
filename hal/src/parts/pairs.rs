//! The events of Dahua cameras: `Code=VideoMotion;action=Start;index=0`, some with `;data=` and JSON over several lines,
//! between boundaries and heads that are told wrong in many ways. An event begins with `Code=` at the beginning of a line.

use super::LONGEST_PART;

const CODE: &[u8] = b"Code=";
const DATA: &[u8] = b";data=";
const HEARTBEAT: &[u8] = b"Heartbeat";
/// What begins a line that no event has inside.
const OUTSIDE: [&[u8]; 5] = [b"--", CODE, b"HTTP/1.", b"Content-", HEARTBEAT];
/// Longest line outside of events that is held until it ends, in bytes.
const LONGEST_LINE: usize = 1024;

/// Cuts out events, and heartbeats as `Heartbeat`. An event ends with its line, or with its JSON; where that has no end, at the
/// next line that is none of it.
#[derive(Default)]
pub struct Pairs {
    held: Vec<u8>,
    state: State,
}

#[derive(Default)]
enum State {
    /// At the beginning of a line outside of events.
    #[default]
    Outside,
    /// In the middle of a line that is passed over.
    Passing,
    /// In an event that begins at the beginning of what is held, in the part before its data.
    Event { searched: usize },
    /// In the data of an event.
    Data(Json),
}

/// How far JSON has been read.
#[derive(Default)]
struct Json {
    searched: usize,
    depth: usize,
    is_text: bool,
    is_escaped: bool,
}

/// What a step through the bytes came to.
enum Step {
    /// More bytes are needed.
    Wait,
    /// So many bytes are passed over.
    Pass(usize, State),
    /// So many bytes are a part.
    Part(usize),
    /// The same bytes are looked at in another way.
    Turn(State),
}

impl Pairs {
    /// Takes the next bytes and hands over the parts that end in them, without the white space around them.
    pub fn push(&mut self, bytes: &[u8], part: &mut dyn FnMut(&[u8])) {
        self.held.extend_from_slice(bytes);
        let mut begin = 0;
        loop {
            let held = &self.held[begin..];
            let step = match &mut self.state {
                State::Outside => outside(held),
                State::Passing => match held.iter().position(|byte| *byte == b'\n') {
                    Some(end) => Step::Pass(end + 1, State::Outside),
                    None if held.is_empty() => Step::Wait,
                    None => Step::Pass(held.len(), State::Passing),
                },
                State::Event { searched } => event(held, searched),
                State::Data(json) => data(held, json),
            };
            match step {
                Step::Wait => break,
                Step::Turn(state) => self.state = state,
                Step::Pass(length, state) => {
                    begin += length;
                    self.state = state;
                }
                Step::Part(length) => {
                    part(held[..length].trim_ascii());
                    begin += length;
                    self.state = State::Outside;
                }
            }
        }
        self.held.drain(..begin);
        if self.held.is_empty() && self.held.capacity() > LONGEST_PART / 8 {
            self.held = Vec::new();
        }
    }

    /// Whether an event is held that lacks nothing but the end of its line.
    pub fn awaits_end(&self) -> bool {
        let is_event = matches!(self.state, State::Event { .. });
        let begin = &self.held[..self.held.len().min(LONGEST_LINE)];
        is_event && begin.windows(8).any(|window| window == b";action=")
    }

    /// Hands over the event that is held.
    pub fn flush(&mut self, part: &mut dyn FnMut(&[u8])) {
        if self.awaits_end() {
            part(self.held.trim_ascii());
            self.held.clear();
            self.state = State::Passing;
        }
    }

    /// How many bytes are held.
    pub fn held(&self) -> usize {
        self.held.len()
    }
}

/// A line outside of events, with the blanks in front of it.
fn outside(held: &[u8]) -> Step {
    let blanks = held.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    if blanks > 0 {
        return Step::Pass(blanks, State::Outside);
    }
    if held.starts_with(CODE) {
        return Step::Turn(State::Event { searched: 0 });
    }
    if held.starts_with(HEARTBEAT) {
        return Step::Part(HEARTBEAT.len());
    }
    match held.iter().take(LONGEST_LINE).position(|byte| *byte == b'\n') {
        Some(end) => Step::Pass(end + 1, State::Outside),
        None if held.len() >= LONGEST_LINE => Step::Pass(held.len(), State::Passing),
        None => Step::Wait,
    }
}

/// An event, as far as its line or its data.
fn event(held: &[u8], searched: &mut usize) -> Step {
    for at in *searched..held.len() {
        if held[at] == b'\n' {
            return Step::Part(at + 1);
        }
        if held[..=at].ends_with(DATA) {
            return Step::Turn(State::Data(Json { searched: at + 1, ..Json::default() }));
        }
    }
    *searched = held.len();
    if held.len() > LONGEST_PART { Step::Part(held.len()) } else { Step::Wait }
}

/// The data of an event, as far as their JSON, or the line that has none.
fn data(held: &[u8], json: &mut Json) -> Step {
    while let Some(byte) = held.get(json.searched).copied() {
        if byte == b'\n' {
            // A line that is no JSON's ends an event whose JSON has no end.
            match begins_outside(&held[json.searched + 1..]) {
                Some(true) => return Step::Part(json.searched + 1),
                Some(false) => {}
                None => return wait(held),
            }
        }
        json.searched += 1;
        match byte {
            _ if json.is_escaped => json.is_escaped = false,
            b'\\' if json.is_text => json.is_escaped = true,
            b'"' if json.depth > 0 => json.is_text = !json.is_text,
            _ if json.is_text => {}
            b'{' | b'[' => json.depth += 1,
            b'}' | b']' if json.depth > 0 => {
                json.depth -= 1;
                if json.depth == 0 {
                    return Step::Part(json.searched);
                }
            }
            byte if json.depth == 0 && !byte.is_ascii_whitespace() => {
                // Data that are no JSON end with their line.
                return match held[json.searched..].iter().position(|byte| *byte == b'\n') {
                    Some(end) => Step::Part(json.searched + end + 1),
                    None => {
                        json.searched -= 1;
                        wait(held)
                    }
                };
            }
            _ => {}
        }
    }
    wait(held)
}

fn wait(held: &[u8]) -> Step {
    if held.len() > LONGEST_PART { Step::Part(held.len()) } else { Step::Wait }
}

/// Whether a line begins that no event has inside; `None` while the bytes do not tell.
fn begins_outside(line: &[u8]) -> Option<bool> {
    if OUTSIDE.iter().any(|begin| line.starts_with(begin)) {
        return Some(true);
    }
    let may = OUTSIDE.iter().any(|begin| begin.starts_with(line));
    (!may).then_some(false)
}
