//! Two peers over a connection with a fuzzed schedule, and perhaps foreign text on it. Nothing panics,
//! no queue grows past its bound, and without foreign text only silence is a violation.
#![no_main]

use std::time::{Duration, Instant};

use ivt_proto::rpc::{
    ANSWER_WITHIN, MAX_CALLS, MAX_UNANSWERED, Peer, RESPONSE_TIMEOUT, RpcError, Ticket, Violation,
};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

#[derive(Debug, Arbitrary)]
enum Step<'a> {
    Call { from_device: bool, channel: Option<i8> },
    Notify { from_device: bool, channel: i8 },
    Start { device: bool },
    Respond { device: bool, which: u8, good: bool },
    Drop { device: bool, which: u8 },
    Write { device: bool },
    Wait { ms: u16 },
    Foreign { to_device: bool, text: &'a str },
}

#[derive(Default)]
struct Side {
    peer: Peer,
    tickets: Vec<Ticket>,
    called: usize,
    replied: usize,
}

impl Side {
    fn handle(&mut self, now: Instant, text: &str) -> Result<(), Violation> {
        self.peer.handle_text(now, text)?;
        while self.peer.poll_reply().is_some() {
            self.replied += 1;
        }
        assert!(self.called - self.replied <= MAX_CALLS + 1);
        Ok(())
    }

    fn take(&mut self, which: u8) -> Option<Ticket> {
        let count = self.tickets.len();
        (count > 0).then(|| self.tickets.swap_remove(usize::from(which) % count))
    }
}

fuzz_target!(|steps: Vec<Step<'_>>| {
    let foreign = steps.iter().any(|step| matches!(step, Step::Foreign { .. }));
    match play(&steps) {
        Ok(()) | Err(Violation::NoAnswer { .. }) => {}
        Err(violation) => assert!(foreign, "{violation}"),
    }
});

fn play(steps: &[Step<'_>]) -> Result<(), Violation> {
    let mut now = Instant::now();
    let (mut device, mut cloud) = (Side::default(), Side::default());
    for step in steps {
        match *step {
            Step::Call { from_device, channel } => {
                let side = if from_device { &mut device } else { &mut cloud };
                let params = channel.map(|channel| json!({ "channel": channel }));
                side.called += usize::from(side.peer.call(now, "Any", params).is_ok());
            }
            Step::Notify { from_device, channel } => {
                let side = if from_device { &mut device } else { &mut cloud };
                let _ = side.peer.notify("CtrlPTZ", Some(json!({ "channel": channel })));
            }
            Step::Start { device: at_device } => {
                let side = if at_device { &mut device } else { &mut cloud };
                while let Some(request) = side.peer.poll_request() {
                    side.tickets.push(request.ticket);
                }
                while side.peer.poll_event().is_some() {}
            }
            Step::Respond { device: at_device, which, good } => {
                let side = if at_device { &mut device } else { &mut cloud };
                if let Some(ticket) = side.take(which) {
                    let result = if good { Ok(json!({})) } else { Err(RpcError::internal("")) };
                    side.peer.respond(now, ticket, result);
                }
            }
            Step::Drop { device: at_device, which } => {
                let side = if at_device { &mut device } else { &mut cloud };
                drop(side.take(which));
            }
            Step::Write { device: from_device } => {
                let (from, to) =
                    if from_device { (&mut device, &mut cloud) } else { (&mut cloud, &mut device) };
                let mut written = 0;
                while let Some(text) = from.peer.poll_transmit() {
                    written += 1;
                    to.handle(now, &text)?;
                }
                assert!(written <= 2 * MAX_UNANSWERED + 1);
            }
            Step::Wait { ms } => {
                now += Duration::from_millis(ms.into());
                for side in [&mut device, &mut cloud] {
                    side.peer.handle_timeout(now)?;
                    let next = side.peer.poll_timeout();
                    assert!(next.is_none_or(|at| at > now && at <= now + RESPONSE_TIMEOUT));
                }
            }
            Step::Foreign { to_device, text } => {
                let side = if to_device { &mut device } else { &mut cloud };
                side.handle(now, text)?;
            }
        }
    }
    // Whoever still waits is answered by the peer itself.
    now += ANSWER_WITHIN;
    for side in [&mut device, &mut cloud] {
        let _ = side.peer.handle_timeout(now);
        assert!(side.peer.poll_request().is_none());
    }
    Ok(())
}
