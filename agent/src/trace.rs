//! The newest packets between the device and its servers, without secrets, for the device's page. They stay in memory
//! over a restart of the agent, so that who looks sees what led to it; only a device with a page keeps them.

use std::collections::VecDeque;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use ivt_base::date::Utc;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::cover;

/// Bytes of all packets that are kept together.
const ROOM: usize = 128 << 10;
/// Bytes that are kept of one packet.
const LONGEST: usize = 2 << 10;
/// Bytes that a packet takes beside its text, about.
const OWN: usize = 64;

static TRACE: LazyLock<Trace> = LazyLock::new(Trace::default);

/// Whom the device talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// The cloud.
    Cloud,
    /// The server of the hosted service.
    Hosted,
}

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// To the server.
    Out,
    /// From the server.
    In,
    /// No packet: what became of the connection.
    Note,
}

/// The packets of one program.
#[derive(Default)]
pub(crate) struct Trace {
    ring: Mutex<Ring>,
    newest: watch::Sender<u64>,
}

#[derive(Default)]
struct Ring {
    on: bool,
    packets: VecDeque<Packet>,
    bytes: usize,
    /// Number of the newest packet, from 1.
    newest: u64,
}

struct Packet {
    number: u64,
    at: SystemTime,
    peer: Peer,
    way: Way,
    text: String,
    /// Length of the packet, in bytes.
    length: usize,
}

/// The packets of this program.
pub(crate) fn trace() -> &'static Trace {
    &TRACE
}

impl Trace {
    /// Keeps packets from now on, or forgets them and keeps none.
    pub(crate) fn turn(&self, on: bool) {
        let mut ring = self.lock();
        ring.on = on;
        if !on {
            (ring.packets, ring.bytes) = Default::default();
        }
    }

    /// Keeps a packet in JSON.
    pub(crate) fn packet(&self, peer: Peer, way: Way, text: &str) {
        // Of a string that is cut, nothing is shown.
        let begin = &text[..text.floor_char_boundary(LONGEST)];
        self.keep(peer, way, text.len(), || cover::json(begin));
    }

    /// Keeps a text of which `length` bytes were sent or received.
    pub(crate) fn text(&self, peer: Peer, way: Way, text: &[u8], length: usize) {
        self.keep(peer, way, length, || {
            // The cut may go through a character.
            let whole = if text.len() > LONGEST { LONGEST - 3 } else { text.len() };
            let text = &text[..text.len().min(LONGEST)];
            let begin = text.utf8_chunks().next().map_or("", |chunk| chunk.valid());
            let is_text = begin.len() >= whole && !begin.contains('\0');
            if is_text { cover::plain(begin) } else { "(no text)".to_owned() }
        });
    }

    /// Notes what became of a connection.
    pub(crate) fn note(&self, peer: Peer, text: &str) {
        self.keep(peer, Way::Note, 0, || cover::plain(text));
    }

    /// The packets behind a number, oldest first, as JSON.
    pub(crate) fn since(&self, number: u64) -> Vec<Value> {
        let ring = self.lock();
        let new = ring.packets.iter().filter(|packet| packet.number > number);
        new.map(Packet::json).collect()
    }

    /// All packets as lines of JSON, as the page of ivc-sim exports and shows them.
    pub(crate) fn lines(&self) -> String {
        let ring = self.lock();
        let mut lines = String::new();
        for packet in &ring.packets {
            lines += &packet.json().to_string();
            lines.push('\n');
        }
        lines
    }

    /// The number of the newest packet; changes can be awaited.
    pub(crate) fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    fn keep(&self, peer: Peer, way: Way, length: usize, text: impl FnOnce() -> String) {
        if !self.lock().on {
            return;
        }
        let at = SystemTime::now();
        let mut text = text();
        if text.len() > LONGEST {
            text.truncate(text.floor_char_boundary(LONGEST));
            text.shrink_to_fit();
        }
        let mut ring = self.lock();
        ring.newest += 1;
        let number = ring.newest;
        ring.bytes += text.len() + OWN;
        ring.packets.push_back(Packet { number, at, peer, way, text, length });
        while ring.bytes > ROOM
            && let Some(oldest) = ring.packets.pop_front()
        {
            ring.bytes -= oldest.text.len() + OWN;
        }
        drop(ring);
        self.newest.send_replace(number);
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Packet {
    fn json(&self) -> Value {
        let peer = match self.peer {
            Peer::Cloud => "cloud",
            Peer::Hosted => "tlss",
        };
        let direction = match self.way {
            Way::Out => "from_device",
            Way::In => "to_device",
            Way::Note => "note",
        };
        // A secret may have become known after the packet.
        let text = match (self.peer, self.way) {
            (Peer::Cloud, Way::In | Way::Out) => cover::json(&self.text),
            _ => cover::plain(&self.text),
        };
        json!({
            "number": self.number,
            "time": Utc::from(self.at).to_string(),
            "peer": peer,
            "direction": direction,
            "text": text,
            "bytes": self.length,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on() -> Trace {
        let trace = Trace::default();
        trace.turn(true);
        trace
    }

    #[test]
    fn packets_are_kept_in_their_order_without_secrets() {
        let trace = on();
        trace.packet(Peer::Cloud, Way::Out, r#"{"seq":1,"password":"Canary"}"#);
        trace.text(Peer::Hosted, Way::In, b"/a?pwd=Canary", 13);
        trace.text(Peer::Hosted, Way::Out, b"\xff\xd8", 9000);
        trace.note(Peer::Cloud, "logged in");
        let lines = trace.lines();
        assert!(!lines.contains("Canary"), "{lines}");
        let lines: Vec<Value> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        let text = |n: usize| (&lines[n]["direction"], &lines[n]["text"]);
        assert_eq!(text(0), (&json!("from_device"), &json!(r#"{"seq":1,"password":"***"}"#)));
        assert_eq!(text(1), (&json!("to_device"), &json!("/a?pwd=***")));
        assert_eq!((text(2).1, &lines[2]["bytes"]), (&json!("(no text)"), &json!(9000)));
        assert_eq!(text(3), (&json!("note"), &json!("logged in")));
        assert_eq!(trace.since(2).len(), 2);
        assert_eq!(*trace.newest().borrow(), 4);
    }

    #[test]
    fn a_secret_that_became_known_after_its_packet_is_hidden() {
        let trace = on();
        let packet = r#"{"stream_id":"xT6-canary-90431","reason":"seq"}"#;
        trace.packet(Peer::Cloud, Way::In, packet);
        trace.text(Peer::Hosted, Way::Out, b"id: xT6-canary-90431\n", 21);
        assert!(trace.since(0)[0]["text"].to_string().contains("90431"), "not known yet");
        let _secret = ivt_base::secret::Secret::from("xT6-canary-90431");
        let text = trace.since(0)[0]["text"].to_string();
        assert!(text.contains("stream_id") && !text.contains("90431"), "{text}");
        assert!(!trace.lines().contains("90431"));
    }

    #[test]
    fn however_much_is_said_little_is_kept() {
        let trace = on();
        let long = format!("[{}]", r#""é","#.repeat(10_000));
        for _ in 0..200 {
            trace.packet(Peer::Cloud, Way::In, &long);
            trace.note(Peer::Cloud, "");
        }
        let ring = trace.lock();
        let bytes: usize = ring.packets.iter().map(|packet| packet.text.capacity() + OWN).sum();
        assert!(bytes <= ROOM && bytes > ROOM / 2, "{bytes}");
        assert_eq!(ring.packets.back().unwrap().number, 400);
    }

    #[test]
    fn a_device_without_a_page_keeps_nothing() {
        let trace = on();
        trace.note(Peer::Cloud, "a");
        trace.turn(false);
        trace.note(Peer::Cloud, "b");
        assert_eq!(trace.lines(), "");
        trace.turn(true);
        trace.note(Peer::Cloud, "c");
        assert_eq!(trace.since(0).len(), 1);
    }
}
