//! One line of the overview: what it is about, how it is, and why.

use serde_json::{Map, Value, json};

use super::reason;
use super::state::State;

/// One thing that has to work.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Hop {
    pub(crate) name: &'static str,
    /// The channel that it belongs to; `None` for the device.
    pub(crate) channel: Option<usize>,
    pub(crate) state: State,
    /// Name of the reason, see [`reason`]; empty while it works.
    pub(crate) reason: &'static str,
    /// Name of the hop of the same chain that has to work first; empty where none is to blame.
    pub(crate) behind: &'static str,
    /// What a peer said, without secrets.
    pub(crate) said: String,
    /// Numbers and names that go with it.
    pub(crate) facts: Map<String, Value>,
}

impl Hop {
    /// It works.
    pub(super) fn ok(name: &'static str) -> Self {
        let (reason, behind, said, facts) = Default::default();
        Self { name, channel: None, state: State::Ok, reason, behind, said, facts }
    }

    /// It is as the reason says.
    pub(super) fn because(name: &'static str, reason: &'static str) -> Self {
        Self { state: reason::state(reason), reason, ..Self::ok(name) }
    }

    /// Nothing is known of it, because the hop `behind` does not work.
    pub(super) fn behind(name: &'static str, behind: &'static str) -> Self {
        Self { behind, ..Self::because(name, "behind") }
    }

    pub(super) fn of_channel(self, channel: usize) -> Self {
        Self { channel: Some(channel), ..self }
    }

    pub(super) fn said(self, said: &str) -> Self {
        Self { said: said.to_owned(), ..self }
    }

    /// Adds a fact, unless it is `Null`.
    pub(super) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        if !value.is_null() {
            self.facts.insert(key.to_owned(), value);
        }
        self
    }

    /// Whether it is the cause of a trouble, and no consequence of another one.
    pub(super) fn is_trouble(&self) -> bool {
        matches!(self.state, State::Warn | State::Bad)
    }

    /// The hop as JSON; `since` is the date since which it has been so.
    pub(super) fn json(&self, since: String) -> Value {
        let Self { name, channel, state, reason, behind, said, facts } = self;
        json!({
            "name": name,
            "channel": channel,
            "state": state.name(),
            "since": since,
            "reason": reason,
            "remedy": reason::remedy(reason),
            "behind": behind,
            "said": said,
            "facts": facts,
        })
    }
}
