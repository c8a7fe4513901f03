//! The alarm stream of merlin cameras: `BookAlarm.cgi` on the port of `GetListenPort.cgi` (`camera-cgi.md`). What goes over
//! it is as the public C device SDK reads it: the answer holds the states of now, and each alarm is a request that the
//! camera sends on the same connection. A client books again, as a heartbeat, and gets the states again.

use ivt_hal::Trigger;
use serde_json::json;

use crate::camera::web::events::{AlarmQuirk, Change, Dialect, Subject};
use crate::camera::web::wire::Answer;

/// Most bytes that are kept of a client's next request.
const MAX_ASKED: usize = 4096;

/// The stream for a client.
pub fn answer(subject: Subject) -> Answer {
    let booked = Booked { subject: subject.clone(), asked: Vec::new() };
    Answer { stream: Some((subject, Box::new(booked))), ..Answer::new(200, super::JSON, "") }
}

struct Booked {
    subject: Subject,
    /// The beginning of the client's next request.
    asked: Vec<u8>,
}

impl Dialect for Booked {
    fn writes_heads(&self) -> bool {
        true
    }

    fn begin(&mut self) -> Vec<u8> {
        self.states()
    }

    fn change(&mut self, Change { channel, trigger, active }: Change) -> Vec<u8> {
        let kind = match trigger {
            Trigger::Input => 2,
            Trigger::Motion => 3,
            Trigger::Line if self.subject.has(AlarmQuirk::Region) => 4,
            Trigger::Line => 10,
        };
        let status = if active { 1 } else { 2 };
        let body = format!("type={kind}&status={status}&channelno={channel}");
        format!(
            "POST /BookAlarm.cgi HTTP/1.1\r\nHost: client\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }

    fn second(&mut self) -> Vec<u8> {
        Vec::new()
    }

    fn asked(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.asked.extend_from_slice(bytes);
        let mut said = Vec::new();
        while let Some(end) = self.asked.windows(4).position(|window| window == b"\r\n\r\n") {
            self.asked.drain(..end + 4);
            said.extend(self.states());
        }
        let over = self.asked.len().saturating_sub(MAX_ASKED);
        self.asked.drain(..over);
        said
    }
}

impl Booked {
    /// An answer with the states of all channels: one digit for each.
    fn states(&self) -> Vec<u8> {
        let digits = |is_active: fn(ivt_hal::emulator::Triggers) -> bool| -> String {
            let units = self.subject.world.units().iter();
            let states = units.map(|unit| is_active(unit.emulator.world.triggers()));
            states.map(|active| if active { '1' } else { '0' }).collect()
        };
        let none = digits(|_| false);
        let body = json!({ "AlarmState": {
            "alarm": digits(|triggers| triggers.input),
            "motion": digits(|triggers| triggers.motion),
            "cross": { "state": digits(|triggers| triggers.line) },
            "loss": none,
            "blind": none,
        }})
        .to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: keep-alive\r\n\r\n",
            body.len()
        );
        (head + &body).into_bytes()
    }
}
