//! However the network cuts the bytes up, the same commands come out.

use ivt_proto::tlss::{MAX_COMMAND, Session, Violation, frame, header};
use proptest::prelude::*;

use crate::{identified, ms, origin};

/// What a session made of all bytes.
#[derive(Debug, PartialEq)]
struct Story {
    commands: Vec<Vec<u8>>,
    ended: Result<bool, Violation>,
    /// Bytes that were left over.
    left: usize,
}

/// Feeds the pieces one by one, and answers every command at once.
fn play<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Story {
    let now = origin();
    let mut session = identified(now);
    let (mut commands, mut buffer) = (Vec::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match session.handle_bytes(now + ms(1), &buffer) {
                Ok(taken) => drop(buffer.drain(..taken)),
                Err(violation) => {
                    return Story { commands, ended: Err(violation), left: 0 };
                }
            }
            assert!(session.capacity() <= 2 * MAX_COMMAND);
            let Some(command) = session.poll_command() else { break };
            check(&command);
            commands.push(command);
            answer(&mut session);
        }
    }
    Story { commands, ended: Ok(session.finished()), left: buffer.len() }
}

fn answer(session: &mut Session) {
    let now = origin();
    session.respond(1);
    session.handle_sent(now);
}

fn check(command: &[u8]) {
    assert_eq!(command[0], b'/');
    assert!(command.len() <= MAX_COMMAND + 1);
    assert!(!command.last().unwrap().is_ascii_whitespace() && *command.last().unwrap() != 0);
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => "[ \0]{0,2}/?[a-z]{0,20}[ \r\n\0]{0,3}".prop_map(|text| frame(text.as_bytes())),
        2 => prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| frame(&bytes)),
        1 => Just(frame(b"done\0")),
        1 => any::<u32>().prop_map(|length| header(length as usize).to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..8),
    ]
}

proptest! {
    #[test]
    fn every_split_tells_the_same_story(
        messages in prop::collection::vec(message(), 0..8),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let bytes = messages.concat();
        let mut at: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        at.sort_unstable();
        let mut pieces = Vec::new();
        let mut rest = &bytes[..];
        for cut in at {
            let (piece, after) = rest.split_at(cut - (bytes.len() - rest.len()));
            pieces.push(piece);
            rest = after;
        }
        pieces.push(rest);
        let whole = play([&bytes[..]]);
        prop_assert_eq!(&play(pieces), &whole);
        prop_assert_eq!(&play(bytes.chunks(1)), &whole);
    }

    #[test]
    fn commands_come_out_as_they_went_in(
        commands in prop::collection::vec("/[!-~]{1,60}", 0..6),
    ) {
        let mut bytes: Vec<u8> = commands.iter().flat_map(|c| frame(c.as_bytes())).collect();
        bytes.extend(frame(b"done"));
        let story = play([&bytes[..]]);
        let expected: Vec<Vec<u8>> = commands.into_iter().map(String::into_bytes).collect();
        prop_assert_eq!(story, Story { commands: expected, ended: Ok(true), left: 0 });
    }
}
