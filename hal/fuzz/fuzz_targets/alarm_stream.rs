//! The event stream of a camera: its parts are the same however it is cut, and little is held of it. The first byte chooses
//! the kind of stream, the second the length of the pieces.
#![no_main]

use ivt_hal::parts::{Elements, LONGEST_PART, Messages, Pairs, Splitter};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let [kind, length, stream @ ..] = input else { return };
    let new = || match kind % 4 {
        0 => Splitter::Elements(Elements::new("EventNotificationAlert")),
        1 => Splitter::Elements(Elements::new("vca")),
        2 => Splitter::Pairs(Pairs::default()),
        _ => Splitter::Messages(Messages::default()),
    };
    let whole = parts(new(), stream.chunks(stream.len().max(1)));
    assert_eq!(parts(new(), stream.chunks(usize::from(*length).max(1))), whole);
    assert!(whole.iter().all(|part| !part.is_empty() && part.len() <= stream.len()));
});

fn parts<'a>(mut splitter: Splitter, pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    for piece in pieces {
        splitter.push(piece, &mut |part| parts.push(part.to_vec()));
        assert!(splitter.held() <= LONGEST_PART + piece.len());
    }
    if splitter.awaits_end() {
        splitter.flush(&mut |part| parts.push(part.to_vec()));
        assert!(!splitter.awaits_end());
    }
    parts
}
