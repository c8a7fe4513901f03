use proptest::prelude::*;

use super::*;

/// Everything that the bytes hold, given to the reader in the steps of `splits`.
fn cut(bytes: &[u8], splits: &[usize]) -> Result<Vec<String>, TooMuch> {
    let (mut reader, mut start, mut pieces) = (PieceReader::default(), 0, Vec::new());
    for end in splits.iter().copied().chain([bytes.len()]) {
        while start < end {
            let len = match reader.next(&bytes[start..end])? {
                Piece::Partial => break,
                Piece::Packet { channel, data, len } => {
                    pieces.push(format!("packet {channel} {data:?}"));
                    len
                }
                Piece::Message(message, len) => {
                    pieces.push(format!("{message:?}"));
                    len
                }
                Piece::Noise(len) => len,
            };
            assert!(len > 0 && len <= end - start, "a piece is there, and within what is there");
            start += len;
        }
    }
    Ok(pieces)
}

fn only(bytes: &[u8]) -> Message {
    match PieceReader::default().next(bytes) {
        Ok(Piece::Message(message, len)) => {
            assert_eq!(len, bytes.len());
            *message
        }
        other => panic!("want one message, got {other:?}"),
    }
}

const STREAM: &[u8] = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 4\r\n\r\nv=0\n\
    $\x00\x00\x03abc\r\n\0$\x01\x00\x00\
    OPTIONS * RTSP/1.0\r\nCSeq: 5\r\n\r\n\
    rtsp/1.0 nonsense $\x02\x00\x02\x80\x60\
    RTSP/1.0 454 Session Not Found\nCSeq: 2\n\nHTTP/1.1 400 Bad Request\r\nContent-Length: 9999999\r\n\r\n";

#[test]
fn a_stream_of_messages_packets_and_noise_is_cut() {
    let pieces = cut(STREAM, &[]).unwrap();
    assert_eq!(pieces.len(), 7, "{pieces:#?}");
    assert!(pieces[0].contains("status: 200") && pieces[0].contains("[118, 61, 48, 10]"));
    assert_eq!(&pieces[1..3], ["packet 0 [97, 98, 99]", "packet 1 []"]);
    assert!(pieces[3].contains("Request { method: \"OPTIONS\" }"));
    assert_eq!(pieces[4], "packet 2 [128, 96]", "found again after noise");
    assert!(pieces[5].contains("status: 454"));
    assert!(pieces[6].contains("http: true"), "whatever it says of its body");
}

#[test]
fn every_split_gives_the_same_pieces() {
    let whole = cut(STREAM, &[]).unwrap();
    for at in 0..=STREAM.len() {
        assert_eq!(cut(STREAM, &[at]).unwrap(), whole, "split at {at}");
    }
    let each: Vec<_> = (0..STREAM.len()).collect();
    assert_eq!(cut(STREAM, &each).unwrap(), whole);
}

#[test]
fn header_lines_are_read_leniently() {
    let message = only(
        b"RTSP/1.0 200\r\ncseq:7\r\nPublic : A,\r\n  B\r\nEmpty:\r\nno colon\r\nLater:\r\n\t5\r\n\
          WWW-Authenticate: Digest a\r\nwww-authenticate: Basic b\r\n\r\n",
    );
    assert_eq!(message.header("CSeq"), Some("7"));
    assert_eq!(message.header("Public"), Some("A, B"), "folded");
    assert_eq!(message.header("Empty"), Some(""));
    assert_eq!(message.header("Later"), Some("5"));
    assert_eq!(message.header("Session"), None);
    let challenges: Vec<_> = message.headers("WWW-Authenticate").collect();
    assert_eq!(challenges, ["Digest a", "Basic b"]);
}

#[test]
fn what_a_peer_says_of_its_status_is_fit_for_a_log() {
    let message = only(b"RTSP/1.0 500 \x1b[31m\xff red\r\n\r\n");
    let StartLine::Response { status: 500, reason, http: false } = message.start else {
        panic!("{message:?}");
    };
    assert!(!reason.contains(char::is_control), "{reason:?}");
}

#[test]
fn bounds_hold() {
    let refused = |bytes: &[u8]| cut(bytes, &[]).expect_err("it is too much");
    let endless = [b"RTSP/1.0 200 OK\r\nX: ".as_slice(), &[b'a'; MAX_HEADER]].concat();
    assert_eq!(refused(&endless), TooMuch::Header);
    let lines = [b"RTSP/1.0 200 OK\r\n".as_slice(), &b"A: b\r\n".repeat(MAX_LINES)].concat();
    assert_eq!(refused(&lines), TooMuch::Lines);
    let body = format!("RTSP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n", MAX_BODY + 1);
    assert_eq!(refused(body.as_bytes()), TooMuch::Body(MAX_BODY as u64 + 1));
    let body = "RTSP/1.0 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n";
    assert_eq!(refused(body.as_bytes()), TooMuch::Body(u64::MAX));
    assert!(matches!(refused(b"SSH-2.0-OpenSSH_9\r\n"), TooMuch::Noise(_)));
    let noise = [b"$\0\0\0".as_slice(), &[0xaa; MAX_NOISE + 1]].concat();
    assert!(matches!(refused(&noise), TooMuch::Noise(_)));
    let fits = format!("RTSP/1.0 200 OK\r\nContent-Length: {MAX_BODY}\r\n\r\n");
    let fits = [fits.as_bytes(), &vec![b'v'; MAX_BODY]].concat();
    assert_eq!(only(&fits).body.len(), MAX_BODY);
}

#[test]
fn no_byte_of_an_unfinished_message_is_looked_at_twice() {
    let mut reader = PieceReader::default();
    let endless = [b"RTSP/1.0 200 OK\r\nX: ".as_slice(), &[b'a'; MAX_HEADER / 2]].concat();
    for end in 1..endless.len() {
        assert_eq!(reader.next(&endless[..end]), Ok(Piece::Partial));
        assert!(end < 6 || reader.scanned == end, "all of {end} bytes are behind");
    }
}

#[test]
fn line_feeds_within_noise_are_left_out_at_once() {
    let mut reader = PieceReader::default();
    assert!(matches!(reader.next(b"$\0\0\0"), Ok(Piece::Packet { .. })));
    assert_eq!(reader.next(b"\xaa\n"), Ok(Piece::Noise(2)));
    let lines = [[b'\n'; 1000].as_slice(), b"RTSP/1.0 200 OK\n\n"].concat();
    assert_eq!(reader.next(&lines), Ok(Piece::Noise(1000)));
    assert!(matches!(reader.next(&lines[1000..]), Ok(Piece::Message(..))));
}

proptest! {
    #[test]
    fn any_bytes_are_cut_the_same_in_any_steps(
        bytes in prop::collection::vec(
            prop_oneof![
                Just(b'$'), Just(0), Just(3), Just(b'R'), Just(b'\n'), Just(b'\r'), Just(b':'),
                Just(b' '), Just(0x80), any::<u8>(),
            ],
            0..300,
        ),
        start in prop_oneof![Just(""), Just("RTSP/1.0 200 OK\r\n"), Just("RTSP/1.0 x\nContent-Length: 5\n\n")],
        mut splits in prop::collection::vec(0usize..300, 0..8),
    ) {
        // A packet comes first, so that noise may follow.
        let bytes = [b"$\0\0\0", start.as_bytes(), &bytes].concat();
        splits.retain(|at| *at <= bytes.len());
        splits.sort_unstable();
        prop_assert_eq!(cut(&bytes, &splits).unwrap(), cut(&bytes, &[]).unwrap());
    }
}
