//! An input as a row of pieces, each with how and when it comes.

use std::time::Duration;

/// Bytes between two pieces. They are a mark instead of lengths, so that a byte more or less leaves
/// the other pieces as they are.
pub const MARK: [u8; 2] = [0xFF, 0xFE];

/// Something that comes: bytes, how and when.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// How the piece comes; each target says what the bits mean.
    pub how: u8,
    /// Time that passes before it.
    pub wait: Duration,
    /// The bytes that come.
    pub bytes: &'a [u8],
}

/// Takes an input apart. Where a piece ends before its `how` or its wait, these are 0.
pub fn pieces(input: &[u8]) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = Some(input);
    std::iter::from_fn(move || {
        let all = rest?;
        let end = all.windows(2).position(|two| two == MARK);
        let piece = &all[..end.unwrap_or(all.len())];
        rest = end.map(|end| &all[end + 2..]);
        let how = piece.first().copied().unwrap_or(0);
        let wait = wait(piece.get(1).copied().unwrap_or(0));
        Some(Piece { how, wait, bytes: piece.get(2..).unwrap_or_default() })
    })
}

/// Writes a piece of an input. Where its bytes hold the mark by chance, they are changed.
pub fn write(input: &mut Vec<u8>, how: u8, wait: u8, bytes: &[u8]) {
    if !input.is_empty() {
        input.extend(MARK);
    }
    let start = input.len();
    input.extend([how, wait]);
    input.extend(bytes);
    for at in start + 1..input.len() {
        if input[at - 1..=at] == MARK {
            input[at] = !MARK[1];
        }
    }
}

/// The time that a code tells: milliseconds up to 127, then more, up to a minute.
pub fn wait(code: u8) -> Duration {
    let code = u64::from(code);
    let more = code.saturating_sub(127);
    Duration::from_millis(code.min(127) + 4 * more * more)
}

/// `bytes` so many `times`, at most `most` bytes of them.
pub fn repeat(bytes: &[u8], times: usize, most: usize) -> Vec<u8> {
    let len = bytes.len().saturating_mul(times).min(most.max(bytes.len()));
    bytes.iter().copied().cycle().take(len).collect()
}

/// A payload as it is, or made long by its last byte, in one of three sizes.
pub fn long(payload: &[u8], code: u8) -> Vec<u8> {
    let mut long = payload.to_vec();
    let len = [0, 1400, 16 << 10, 65_000][usize::from(code)].max(long.len());
    long.resize(len, long.last().copied().unwrap_or(0));
    long
}
