//! Whatever arrives and however handlers behave, order and deadlines hold.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use ivt_proto::rpc::{ANSWER_WITHIN, MAX_UNANSWERED, Peer, Ticket, Violation};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::origin;

/// Number of requests whose answers are shuffled.
const SOME: usize = 40;

#[derive(Debug, Clone)]
enum Step {
    /// A request arrives, of a channel or of the whole device.
    Arrive(Option<u8>),
    /// The driver starts what may start.
    Start,
    /// The handler of one of the running requests returns.
    Finish(prop::sample::Index, Result<(), ()>),
    /// One of the running requests is forgotten.
    Forget(prop::sample::Index),
    /// The driver writes at most so many messages.
    Write(usize),
    /// Time passes, and the timer fires or is late.
    Wait(u64, bool),
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        4 => prop::option::weighted(0.9, 0..4_u8).prop_map(Step::Arrive),
        4 => Just(Step::Start),
        4 => (index(), prop::result::maybe_err(Just(()), Just(())))
            .prop_map(|(which, result)| Step::Finish(which, result)),
        1 => index().prop_map(Step::Forget),
        3 => (1..5_usize).prop_map(Step::Write),
        2 => (0..7_000_u64, any::<bool>()).prop_map(|(ms, punctual)| Step::Wait(ms, punctual)),
    ]
}

/// Drives a peer and checks each thing it does against what went in.
struct World {
    peer: Peer,
    now: Instant,
    /// By `seq`, which counts arrivals.
    arrived: Vec<(Instant, Option<u8>)>,
    running: Vec<(usize, Ticket)>,
    /// Running or forgotten, by `seq`, so long as the channel is in use.
    busy: HashMap<usize, Option<u8>>,
    last_started: Option<usize>,
    written: usize,
}

impl World {
    fn new() -> Self {
        Self {
            peer: Peer::default(),
            now: origin(),
            arrived: Vec::new(),
            running: Vec::new(),
            busy: HashMap::new(),
            last_started: None,
            written: 0,
        }
    }

    fn act(&mut self, step: Step) {
        match step {
            Step::Arrive(channel) => self.arrive(channel),
            Step::Start => self.start(),
            Step::Finish(which, result) if !self.running.is_empty() => {
                let (seq, ticket) = self.running.swap_remove(which.index(self.running.len()));
                self.busy.remove(&seq);
                let error = ivt_proto::rpc::RpcError::new(11, "too fast");
                self.peer.respond(self.now, ticket, result.map(|()| json!({})).map_err(|()| error));
            }
            Step::Forget(which) if !self.running.is_empty() => {
                drop(self.running.swap_remove(which.index(self.running.len())));
            }
            Step::Finish(..) | Step::Forget(_) => {}
            Step::Write(count) => (0..count).for_each(|_| {
                self.write();
            }),
            Step::Wait(ms, punctual) => {
                self.now += Duration::from_millis(ms);
                if punctual {
                    self.peer.handle_timeout(self.now).unwrap();
                }
            }
        }
    }

    fn arrive(&mut self, channel: Option<u8>) {
        let seq = self.arrived.len();
        let params = channel.map_or(json!([]), |channel| json!({ "channel": channel }));
        let text = json!({ "req": "Any", "params": params, "seq": seq }).to_string();
        match self.peer.handle_text(self.now, &text) {
            Ok(()) => self.arrived.push((self.now, channel)),
            Err(violation) => {
                assert_eq!(violation, Violation::TooManyRequests);
                assert_eq!(self.arrived.len() - self.written, MAX_UNANSWERED);
            }
        }
    }

    fn start(&mut self) {
        self.peer.handle_timeout(self.now).unwrap();
        let (now, arrived) = (self.now, &self.arrived);
        self.busy.retain(|seq, _| arrived[*seq].0 + ANSWER_WITHIN > now);
        while let Some(request) = self.peer.poll_request() {
            // One that was never to start is missing, but the order is that of arrival.
            let seq = self.last_started.map_or(0, |last| last + 1);
            let seq = (seq..self.arrived.len())
                .find(|seq| self.arrived[*seq].0 + ANSWER_WITHIN > now)
                .expect("only what is not yet due starts");
            let channel = self.arrived[seq].1;
            let told = request.subject.channel.and_then(|channel| channel.as_u64());
            assert_eq!(told, channel.map(u64::from));
            let clash = |busy: &Option<u8>| busy.is_none() || channel.is_none() || *busy == channel;
            assert!(!self.busy.values().any(clash), "{seq} overlaps {:?}", self.busy);
            self.last_started = Some(seq);
            self.busy.insert(seq, channel);
            self.running.push((seq, request.ticket));
        }
    }

    /// Takes one answer, which must be the next one.
    fn write(&mut self) -> bool {
        let Some(text) = self.peer.poll_transmit() else { return false };
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(answer["seq"].as_u64(), Some(self.written as u64), "answers are in order");
        let due = self.arrived[self.written].0 + ANSWER_WITHIN;
        assert!(answer["err"]["code"] != 1 || due <= self.now, "no error before its time");
        self.written += 1;
        true
    }
}

proptest! {
    #[test]
    fn answers_are_in_order_and_in_time(steps in prop::collection::vec(step(), 0..200)) {
        let mut world = World::new();
        for step in steps {
            world.act(step);
            let waiting = world.arrived.get(world.written..).unwrap();
            let due = waiting.iter().filter(|(at, _)| *at + ANSWER_WITHIN <= world.now).count();
            // Once the timer has fired, all that is due can be written.
            if world.peer.poll_timeout().is_none_or(|at| at > world.now) {
                for _ in 0..due {
                    prop_assert!(world.write());
                }
            }
        }
        // With nobody left to answer, each is still answered at its deadline.
        world.running.clear();
        while let Some(deadline) = world.peer.poll_timeout() {
            world.now = world.now.max(deadline);
            world.peer.handle_timeout(world.now).unwrap();
        }
        while world.write() {}
        prop_assert_eq!(world.written, world.arrived.len());
    }

    #[test]
    fn any_order_of_answers_leaves_in_order_of_arrival(
        order in Just((0..SOME).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let (mut peer, now) = (Peer::default(), origin());
        let mut tickets: Vec<Option<Ticket>> = (0..SOME).map(|n| {
            let text = json!({ "req": "Any", "params": { "channel": n }, "seq": n }).to_string();
            peer.handle_text(now, &text).unwrap();
            peer.poll_request().map(|request| request.ticket)
        }).collect();
        let mut next = 0;
        for (done, index) in order.iter().enumerate() {
            peer.respond(now, tickets[*index].take().unwrap(), Ok(json!({ "n": index })));
            while let Some(text) = peer.poll_transmit() {
                prop_assert_eq!(text, json!({ "resp": { "n": next }, "seq": next }).to_string());
                next += 1;
            }
            // All that can leave has left: the next one is not answered yet.
            prop_assert_eq!(order[..=done].contains(&next), false);
        }
        prop_assert_eq!(next, SOME);
    }
}
