//! The server's commands, and its 7 s.

use ivt_proto::tlss::{MAX_COMMAND, Session, TooLong, Violation, frame, header};

use crate::{identified, ms, origin};

fn command_of(message: &[u8]) -> Option<Vec<u8>> {
    let now = origin();
    let mut session = identified(now);
    let bytes = frame(message);
    assert_eq!(session.handle_bytes(now, &bytes), Ok(bytes.len()));
    session.poll_command()
}

#[test]
fn a_command_has_a_slash_and_nothing_around_it() {
    let list = b"/uapi-cgi/param.fcgi?action=list".to_vec();
    for message in [
        "/uapi-cgi/param.fcgi?action=list",
        "uapi-cgi/param.fcgi?action=list",
        "/uapi-cgi/param.fcgi?action=list\0",
        "/uapi-cgi/param.fcgi?action=list\r\n\0\0",
        " \t\n\x0b\x0c\0uapi-cgi/param.fcgi?action=list",
    ] {
        assert_eq!(command_of(message.as_bytes()), Some(list.clone()), "{message:?}");
    }
}

#[test]
fn what_is_inside_a_command_stays() {
    for message in ["/a\0b", "/a b", "/done", "/../x", "/\u{e9}", "//h/p"] {
        assert_eq!(command_of(message.as_bytes()), Some(message.into()), "{message:?}");
    }
    assert_eq!(command_of(b"http://h/").unwrap(), b"/http://h/", "no address of elsewhere");
    assert_eq!(command_of(b"done!").unwrap(), b"/done!");
    assert_eq!(command_of(&[0xff, 0x00, 0xfe]).unwrap(), b"/\xff\0\xfe");
}

#[test]
fn done_ends_the_session_with_and_without_its_nul() {
    for message in ["done", "done\0", "done\n"] {
        let now = origin();
        let mut session = identified(now);
        let bytes = [frame(message.as_bytes()), frame(b"/late")].concat();
        let taken = 4 + message.len();
        assert_eq!(session.handle_bytes(now, &bytes), Ok(taken), "nothing after it");
        assert!(session.finished());
        assert_eq!(session.poll_command(), None);
        assert_eq!(session.poll_timeout(), None);
        assert_eq!(session.handle_bytes(now, &bytes[taken..]), Ok(0));
    }
}

#[test]
fn seven_seconds_of_silence_after_the_identity_end_the_session() {
    let start = origin();
    let mut session = Session::default();
    assert_eq!(session.poll_timeout(), None, "our own writing is not the server's time");
    session.handle_sent(start + ms(500));
    assert_eq!(session.poll_timeout(), Some(start + ms(7_500)));
    assert_eq!(session.handle_timeout(start + ms(7_499)), Ok(()));
    assert_eq!(session.handle_timeout(start + ms(7_500)), Err(Violation::Silent));
    let late = session.handle_bytes(start + ms(7_500), &frame(b"done"));
    assert_eq!(late, Err(Violation::Silent), "whatever the driver's timer does");
}

#[test]
fn seven_seconds_of_silence_after_a_reply_end_the_session() {
    let start = origin();
    let mut session = identified(start);
    session.handle_bytes(start + ms(6_900), &frame(b"/a")).unwrap();
    assert_eq!(session.poll_command().unwrap(), b"/a");
    assert_eq!(session.poll_timeout(), None, "the camera's time is not the server's");
    assert_eq!(session.handle_timeout(start + ms(60_000)), Ok(()));
    assert_eq!(session.respond(258), [2, 1, 0, 0]);
    assert_eq!(session.poll_timeout(), None, "nor is that of the writing");
    session.handle_sent(start + ms(20_000));
    assert_eq!(session.poll_timeout(), Some(start + ms(27_000)));
    assert_eq!(session.handle_timeout(start + ms(27_000)), Err(Violation::Silent));
    assert_eq!(session.commands(), 1);
}

#[test]
fn commands_run_one_at_a_time() {
    let now = origin();
    let mut session = identified(now);
    let bytes = [frame(b"/a"), frame(b"/b"), frame(b"done")].concat();
    assert_eq!(session.handle_bytes(now, &bytes), Ok(6));
    assert_eq!(session.handle_bytes(now, &bytes[6..]), Ok(0), "one waits to be run");
    assert_eq!(session.poll_command().unwrap(), b"/a");
    assert_eq!(session.poll_command(), None);
    assert_eq!(session.handle_bytes(now, &bytes[6..]), Ok(0), "one runs");
    session.respond(0);
    assert_eq!(session.handle_bytes(now, &bytes[6..]), Ok(0), "its reply is being written");
    session.handle_sent(now);
    assert_eq!(session.handle_bytes(now, &bytes[6..]), Ok(6));
    assert_eq!(session.poll_command().unwrap(), b"/b");
    session.respond(0);
    session.handle_sent(now);
    assert_eq!(session.handle_bytes(now, &bytes[12..]), Ok(8));
    assert!(session.finished());
    assert_eq!(session.commands(), 2);
}

#[test]
fn one_byte_a_minute_ends_in_seven_seconds() {
    let start = origin();
    let mut session = identified(start);
    assert_eq!(session.handle_bytes(start + ms(100), &[40]), Ok(1));
    assert_eq!(session.poll_timeout(), Some(start + ms(7_100)));
    assert_eq!(session.handle_timeout(start + ms(7_100)), Err(Violation::Slow));
    assert_eq!(session.handle_bytes(start + ms(60_100), &[0]), Err(Violation::Slow));
}

#[test]
fn a_command_that_began_at_once_has_seven_seconds() {
    let start = origin();
    let mut session = identified(start);
    let bytes = frame(b"/slow-but-there");
    for (second, byte) in bytes.iter().take(7).enumerate() {
        session.handle_bytes(start + ms(100 + 1_000 * second as u64), &[*byte]).unwrap();
    }
    assert_eq!(session.poll_timeout(), Some(start + ms(7_100)));
    assert_eq!(session.handle_bytes(start + ms(7_099), &bytes[7..]), Ok(bytes.len() - 7));
    assert_eq!(session.poll_command().unwrap(), b"/slow-but-there");
}

#[test]
fn a_command_that_began_late_has_to_be_there_seven_and_a_half_seconds_after_our_last_word() {
    let start = origin();
    let bytes = frame(b"/late");
    let begin = |sent| {
        let mut session = Session::default();
        session.handle_sent(sent);
        session.handle_bytes(sent + ms(6_999), &bytes[..5]).unwrap();
        session
    };
    let mut session = begin(start);
    assert_eq!(session.poll_timeout(), Some(start + ms(7_500)));
    assert_eq!(begin(start).handle_timeout(start + ms(7_500)), Err(Violation::Slow));
    assert_eq!(session.handle_bytes(start + ms(7_499), &bytes[5..]), Ok(bytes.len() - 5));
    assert_eq!(session.poll_command().unwrap(), b"/late");
    session.respond(1);
    session.handle_sent(start + ms(9_000));
    session.handle_bytes(start + ms(15_999), &bytes[..1]).unwrap();
    assert_eq!(session.poll_timeout(), Some(start + ms(16_500)), "after a reply as well");
}

#[test]
fn empty_messages_are_no_commands_and_buy_no_time() {
    let start = origin();
    let mut session = identified(start);
    for message in [&b""[..], b"\0", b" \r\n"] {
        session.handle_bytes(start + ms(6_999), &frame(message)).unwrap();
    }
    assert_eq!(session.poll_command(), None);
    assert_eq!(session.poll_timeout(), Some(start + ms(7_000)));
    assert_eq!(session.handle_bytes(start + ms(7_000), &frame(b"/a")), Err(Violation::Silent));
}

#[test]
fn eight_kibibytes_are_a_command_and_one_more_is_not() {
    let now = origin();
    let longest = vec![b'/'; MAX_COMMAND];
    assert_eq!(command_of(&longest), Some(longest));
    for declared in [MAX_COMMAND + 1, 0x7fff_ffff, 0xffff_ffff] {
        let mut session = identified(now);
        let error = session.handle_bytes(now, &header(declared)).unwrap_err();
        let declared = u32::try_from(declared).unwrap();
        assert_eq!(error, Violation::TooLong(TooLong { limit: MAX_COMMAND, declared }));
        assert_eq!(session.capacity(), 0, "refused before anything was allocated");
    }
}
