//! Events of theirs that wait for the driver.

use std::collections::VecDeque;
use std::fmt;

use serde_json::{Number, Value};

use super::MAX_EVENTS;
use super::params::Params;

/// An event of theirs. `Debug` leaves the params out.
#[derive(Clone, PartialEq)]
pub struct Notice {
    /// Its name.
    pub event: String,
    /// Its parameters.
    pub params: Option<Value>,
}

impl fmt::Debug for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notice").field("event", &self.event).finish_non_exhaustive()
    }
}

#[derive(Default)]
pub(super) struct Events {
    waiting: VecDeque<Waiting>,
    dropped: u64,
}

struct Waiting {
    event: String,
    params: Params,
    /// The camera a CtrlPTZ moves.
    moves: Option<Number>,
}

impl Events {
    pub(super) fn push(&mut self, event: String, params: Params) {
        let moves = params.channel.clone().filter(|_| event == "CtrlPTZ");
        if moves.is_some() {
            // The newest movement wins, and keeps its place behind the events before it.
            self.waiting.retain(|waiting| waiting.moves != moves);
        }
        if self.waiting.len() >= MAX_EVENTS {
            self.dropped += 1;
        } else {
            self.waiting.push_back(Waiting { event, params, moves });
        }
    }

    pub(super) fn pop(&mut self) -> Option<Notice> {
        let Waiting { event, params, .. } = self.waiting.pop_front()?;
        Some(Notice { event, params: params.open() })
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }
}
