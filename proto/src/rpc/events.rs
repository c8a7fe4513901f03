//! Events of theirs that wait for the driver.

use std::collections::VecDeque;

use super::MAX_EVENTS;
use super::message::Event;

#[derive(Default)]
pub(super) struct Events {
    waiting: VecDeque<Event>,
    dropped: u64,
}

impl Events {
    pub(super) fn push(&mut self, event: Event) {
        if let Event::CtrlPtz(Ok(newer)) = &event {
            // The newest movement wins, and keeps its place behind the events before it.
            self.waiting.retain(|waiting| {
                !matches!(waiting, Event::CtrlPtz(Ok(older)) if older.channel == newer.channel)
            });
        }
        if self.waiting.len() >= MAX_EVENTS {
            self.dropped += 1;
        } else {
            self.waiting.push_back(event);
        }
    }

    pub(super) fn pop(&mut self) -> Option<Event> {
        self.waiting.pop_front()
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn push(events: &mut Events, event: &str, params: Value) {
        events.push(Event::parse(event, Some(params)));
    }

    fn drain(events: &mut Events) -> Vec<Event> {
        std::iter::from_fn(|| events.pop()).collect()
    }

    fn ptz(channel: usize, op: &str) -> Value {
        json!({ "channel": channel, "op": op })
    }

    #[test]
    fn a_newer_movement_replaces_the_older_one_of_its_camera() {
        let mut events = Events::default();
        push(&mut events, "CtrlPTZ", ptz(0, "up"));
        push(&mut events, "CtrlPTZ", ptz(1, "left"));
        push(&mut events, "GotoPTZPreset", json!({ "channel": 0, "token": "1" }));
        push(&mut events, "CtrlPTZ", ptz(0, "stop"));
        let ops: Vec<Value> =
            drain(&mut events).iter().map(|event| event.params().unwrap()["op"].clone()).collect();
        assert_eq!(ops, [json!("left"), json!(null), json!("stop")]);
        assert_eq!(events.dropped(), 0);
    }

    #[test]
    fn events_beyond_the_bound_are_dropped_and_counted() {
        let mut events = Events::default();
        for n in 0..MAX_EVENTS {
            push(&mut events, "CtrlPTZ", ptz(n, "up"));
        }
        push(&mut events, "UpgradeFirmware", json!(null));
        push(&mut events, "CtrlPTZ", ptz(MAX_EVENTS, "up"));
        assert_eq!(events.dropped(), 2);
        push(&mut events, "CtrlPTZ", ptz(5, "stop"));
        assert_eq!(events.dropped(), 2, "a replaced movement needs no room");
        let waiting = drain(&mut events);
        assert_eq!(waiting.len(), MAX_EVENTS);
        assert_eq!(waiting.last().unwrap().params(), Some(ptz(5, "stop")));
    }

    #[test]
    fn a_movement_that_cannot_be_read_replaces_none() {
        let mut events = Events::default();
        push(&mut events, "CtrlPTZ", ptz(0, "stop"));
        push(&mut events, "CtrlPTZ", json!({ "channel": "0" }));
        push(&mut events, "CtrlPTZ", json!(null));
        push(&mut events, "CtrlPTZ", ptz(0, "sideways"));
        assert_eq!(drain(&mut events).len(), 4);
    }
}
