//! Events of theirs that wait for the driver.

use std::collections::VecDeque;

use super::message::Event;
use super::{MAX_EVENT_BYTES, MAX_EVENTS};

#[derive(Default)]
pub(super) struct Events {
    /// Each with the length of its packet in bytes.
    waiting: VecDeque<(Event, usize)>,
    dropped: u64,
}

impl Events {
    /// Takes an event, whose packet had so many bytes.
    pub(super) fn push(&mut self, event: Event, bytes: usize) {
        if let Event::CtrlPtz(Ok(newer)) = &event {
            // The newest movement wins, and keeps its place behind the events before it.
            self.waiting.retain(|(waiting, _)| {
                !matches!(waiting, Event::CtrlPtz(Ok(older)) if older.channel == newer.channel)
            });
        }
        let held: usize = self.waiting.iter().map(|(_, bytes)| bytes).sum();
        if self.waiting.len() >= MAX_EVENTS || held + bytes > MAX_EVENT_BYTES {
            self.dropped += 1;
        } else {
            self.waiting.push_back((event, bytes));
        }
    }

    pub(super) fn pop(&mut self) -> Option<Event> {
        self.waiting.pop_front().map(|(event, _)| event)
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
        let bytes = params.to_string().len();
        events.push(Event::parse(event, Some(params)), bytes);
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
    fn large_events_are_fewer() {
        let mut events = Events::default();
        let preset = |token: usize| json!({ "channel": 0, "token": "x".repeat(token) });
        for _ in 0..5 {
            push(&mut events, "GotoPTZPreset", preset(60_000));
        }
        assert_eq!((events.waiting.len(), events.dropped()), (4, 1));
        push(&mut events, "GotoPTZPreset", preset(10));
        assert_eq!((drain(&mut events).len(), events.dropped()), (5, 1), "what is small has room");
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
