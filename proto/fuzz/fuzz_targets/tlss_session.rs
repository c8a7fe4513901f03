//! A server that sends anything at any time. Nothing panics, memory stays bounded, every command is as
//! promised, and the server never has more than 7 s.
#![no_main]

use std::time::{Duration, Instant};

use ivt_proto::tlss::{COMMAND_WITHIN, Identity, MAX_COMMAND, Session};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
enum Step<'a> {
    Bytes(&'a [u8]),
    Sent,
    Answer(u32),
    Wait(u16),
}

fuzz_target!(|steps: Vec<Step<'_>>| {
    let mut now = Instant::now();
    let mut session = Session::default();
    let mut commands = 0;
    for step in steps {
        match step {
            Step::Bytes(bytes) => {
                let _ = Identity::parse(bytes);
                match session.handle_bytes(now, bytes) {
                    Ok(taken) => assert!(taken <= bytes.len()),
                    Err(_) => return,
                }
                if let Some(command) = session.poll_command() {
                    commands += 1;
                    assert!(command.len() > 1 || command == b"/");
                    assert!(command[0] == b'/' && command.len() <= MAX_COMMAND + 1);
                }
                assert!(session.poll_command().is_none());
            }
            Step::Sent => session.handle_sent(now),
            Step::Answer(length) => {
                session.respond(length as usize);
            }
            Step::Wait(ms) => now += Duration::from_millis(ms.into()),
        }
        assert_eq!(session.commands(), commands);
        assert!(session.capacity() <= 2 * MAX_COMMAND);
        if session.handle_timeout(now).is_err() {
            return;
        }
        let due = session.poll_timeout();
        assert!(due.is_none_or(|due| due > now && due <= now + COMMAND_WITHIN));
    }
});
