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

#[cfg(test)]
mod tests {
    use serde_json::value::to_raw_value;
    use serde_json::{Value, json};

    use super::*;

    fn push(events: &mut Events, event: &str, params: Value) {
        let raw = to_raw_value(&params).unwrap();
        events.push(event.to_owned(), Params::check(&raw).unwrap());
    }

    fn drain(events: &mut Events) -> Vec<(String, Option<Value>)> {
        std::iter::from_fn(|| events.pop()).map(|notice| (notice.event, notice.params)).collect()
    }

    #[test]
    fn a_newer_movement_replaces_the_older_one_of_its_camera() {
        let mut events = Events::default();
        push(&mut events, "CtrlPTZ", json!({ "channel": 0, "op": "up" }));
        push(&mut events, "CtrlPTZ", json!({ "channel": 1, "op": "left" }));
        push(&mut events, "GotoPTZPreset", json!({ "channel": 0, "token": "1" }));
        push(&mut events, "CtrlPTZ", json!({ "channel": 0, "op": "stop" }));
        let ops: Vec<Value> = drain(&mut events)
            .into_iter()
            .map(|(_, params)| params.unwrap()["op"].clone())
            .collect();
        assert_eq!(ops, [json!("left"), json!(null), json!("stop")]);
        assert_eq!(events.dropped(), 0);
    }

    #[test]
    fn events_beyond_the_bound_are_dropped_and_counted() {
        let mut events = Events::default();
        for n in 0..MAX_EVENTS {
            push(&mut events, "CtrlPTZ", json!({ "channel": n }));
        }
        push(&mut events, "UpgradeFirmware", json!(null));
        push(&mut events, "CtrlPTZ", json!({ "channel": MAX_EVENTS }));
        assert_eq!(events.dropped(), 2);
        push(&mut events, "CtrlPTZ", json!({ "channel": 5, "op": "stop" }));
        assert_eq!(events.dropped(), 2, "a replaced movement needs no room");
        let waiting = drain(&mut events);
        assert_eq!(waiting.len(), MAX_EVENTS);
        assert_eq!(waiting.last().unwrap().1, Some(json!({ "channel": 5, "op": "stop" })));
    }

    #[test]
    fn movements_of_no_channel_do_not_replace_each_other() {
        let mut events = Events::default();
        push(&mut events, "CtrlPTZ", json!({ "channel": "0" }));
        push(&mut events, "CtrlPTZ", json!(null));
        assert_eq!(drain(&mut events).len(), 2);
    }
}
