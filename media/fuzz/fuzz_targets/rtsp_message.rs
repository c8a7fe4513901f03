//! Bytes of a connection, cut at any places: the same pieces come out as in one go, and no more is waited for than
//! a message may have. The `how` of a piece tells how often its bytes come.
#![no_main]

use ivt_media::rtsp::message::{
    MAX_BODY, MAX_HEADER, MAX_LINES, Message, Piece, PieceReader, StartLine, TooMuch,
};
use ivt_media_fuzz::pieces::{pieces, repeat};
use libfuzzer_sys::fuzz_target;

/// Most bytes that an input may become by repetition.
const MOST: usize = 1 << 20;

#[derive(Debug, PartialEq)]
enum Cut {
    Packet(u8, Vec<u8>),
    Message(Box<Message>),
    /// So many bytes of noise in a row.
    Noise(usize),
}

/// The bytes read so far, and the pieces cut from them.
#[derive(Default)]
struct Reader {
    buffer: Vec<u8>,
    reader: PieceReader,
    cuts: Vec<Cut>,
    end: Option<TooMuch>,
}

fuzz_target!(|input: &[u8]| {
    let parts: Vec<Vec<u8>> =
        pieces(input).map(|piece| repeat(piece.bytes, piece.how.max(1).into(), MOST / 8)).collect();
    let (mut split, mut whole) = (Reader::default(), Reader::default());
    let mut sum = 0;
    for part in &parts {
        sum += part.len();
        if sum > MOST {
            break;
        }
        split.read(part);
        whole.buffer.extend(part);
    }
    whole.read(&[]);
    // Too much noise ends the reading with an error that quotes what was there, which depends on
    // the cuts.
    assert_eq!(split.end.as_ref().map(kind), whole.end.as_ref().map(kind));
    match whole.end {
        None => assert_eq!(split.buffer, whole.buffer, "what is left"),
        Some(TooMuch::Noise(_)) => {
            for reader in [&mut split, &mut whole] {
                reader.cuts.pop_if(|cut| matches!(cut, Cut::Noise(_)));
            }
        }
        Some(_) => {}
    }
    assert_eq!(split.cuts, whole.cuts);
});

fn kind(end: &TooMuch) -> TooMuch {
    match end {
        TooMuch::Noise(_) => TooMuch::Noise(String::new()),
        other => other.clone(),
    }
}

impl Reader {
    fn read(&mut self, bytes: &[u8]) {
        if self.end.is_some() {
            return;
        }
        self.buffer.extend(bytes);
        let mut at = 0;
        loop {
            let rest = &self.buffer[at..];
            let len = match self.reader.next(rest) {
                Ok(Piece::Partial) => break,
                Ok(Piece::Packet { channel, data, len }) => {
                    assert_eq!(len, data.len() + 4);
                    self.cuts.push(Cut::Packet(channel, data.to_vec()));
                    len
                }
                Ok(Piece::Message(message, len)) => {
                    check(&message, &rest[..len]);
                    self.cuts.push(Cut::Message(message));
                    len
                }
                Ok(Piece::Noise(len)) => {
                    match self.cuts.last_mut() {
                        Some(Cut::Noise(sum)) => *sum += len,
                        _ => self.cuts.push(Cut::Noise(len)),
                    }
                    len
                }
                Err(end) => {
                    assert!(end.to_string().len() < 1000, "{end}");
                    self.end = Some(end);
                    break;
                }
            };
            assert!(len > 0, "no progress");
            at += len;
        }
        self.buffer.drain(..at);
        assert!(self.end.is_some() || self.buffer.len() <= MAX_HEADER + MAX_BODY);
    }
}

/// Asserts that a message is bounded, and that its bytes alone make it again.
fn check(message: &Message, bytes: &[u8]) {
    assert!(message.body.len() <= MAX_BODY && bytes.len() <= MAX_HEADER + MAX_BODY);
    let lines = bytes.split(|byte| *byte == b'\n').count();
    assert!(lines <= MAX_LINES + 2 + message.body.len());
    if let StartLine::Response { status, reason, .. } = &message.start {
        assert!((100..1000).contains(status) && !reason.contains(['\r', '\n']));
    }
    match PieceReader::default().next(bytes) {
        Ok(Piece::Message(again, len)) => assert!(*again == *message && len == bytes.len()),
        other => panic!("{other:?} instead of {message:?}"),
    }
}
