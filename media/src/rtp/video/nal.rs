//! NAL units as both compressions have them.

/// What a NAL unit is to the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Part of the picture.
    Slice(Slice),
    /// A parameter set.
    Set,
    /// Supplemental information on the picture that follows.
    Sei,
    /// Supplemental information on the picture it follows.
    Suffix,
    /// Something that is not kept; a picture before it is complete.
    Delimiter,
    /// Something that is not kept; it may follow the slices of a picture.
    Padding,
    /// Something that is not for a decoder of the base layer.
    Foreign,
}

/// What the header of a slice says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    /// Whether the slice is the first of its picture.
    pub(super) first: bool,
    /// Whether the slice is of an IDR picture (H.264) or of an IRAP picture (H.265).
    pub(super) refresh: bool,
    /// Whether the slice refers to no other picture; always false for H.265.
    pub(super) intra: bool,
    /// Whether the slice is of a RASL picture.
    pub(super) skipped: bool,
    /// Number of the slice's picture parameter set.
    pub(super) pps: u8,
    /// The field that the slice is part of, where it is not part of a frame.
    pub(super) field: Option<Field>,
}

/// A field of an H.264 frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field {
    /// Number of the frame (`frame_num`).
    pub(super) frame_num: u32,
    /// Whether the field is the bottom one.
    pub(super) bottom: bool,
}

/// A payload taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payload<'a> {
    /// A NAL unit: header and the rest.
    Single(&'a [u8], &'a [u8]),
    /// Several NAL units.
    Aggregate(Entries<'a>),
    /// A part of a NAL unit.
    Fragment(Fragment<'a>),
    /// Something the agent does not read.
    Nothing,
}

/// Part of a NAL unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fragment<'a> {
    /// Whether the bit for the first part is set.
    pub(super) start: bool,
    /// Whether the bit for the last part is set.
    pub(super) end: bool,
    /// Type of the NAL unit.
    pub(super) kind: u8,
    /// The NAL unit's header: one byte in H.264, two in H.265.
    pub(super) header: [u8; 2],
    /// Bytes of the NAL unit behind its header.
    pub(super) data: &'a [u8],
}

/// NAL units of an aggregation packet, each after its 2-byte length. Empty ones are left out, and
/// one that is cut short is the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entries<'a> {
    /// Bytes that were not read yet.
    pub(super) rest: &'a [u8],
    /// Bytes before each length but the first: a difference of decoding order numbers.
    pub(super) gap: usize,
}

impl<'a> Iterator for Entries<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let (len, rest) = self.rest.split_first_chunk()?;
            let (nal, rest) = rest.split_at_checked(u16::from_be_bytes(*len).into())?;
            self.rest = rest.get(self.gap..).unwrap_or_default();
            if !nal.is_empty() {
                return Some(nal);
            }
        }
    }
}

/// The NAL unit behind start codes at the front of `bytes`, if there is one.
pub(super) fn after_code(bytes: &[u8]) -> Option<&[u8]> {
    let zeros = bytes.iter().position(|byte| *byte != 0)?;
    let nal = bytes.get(zeros..)?.strip_prefix(&[1])?;
    (zeros >= 2).then_some(nal)
}

/// Finds the first start code in `bytes`, which follow `zeros` zero bytes. Returns how many bytes
/// lie before the code, and where what follows it begins.
pub(super) fn find_code(zeros: u8, bytes: &[u8]) -> Option<(usize, usize)> {
    match (zeros, bytes) {
        (2.., [1, ..]) => return Some((0, 1)),
        (1.., [0, 1, ..]) => return Some((0, 2)),
        _ => {}
    }
    // The only byte of a code that is not 0 is its last, so that two of three bytes are passed
    // unread.
    let mut at = 2;
    while let Some(byte) = bytes.get(at) {
        at += match byte {
            2.. => 3,
            1 if bytes.get(at - 2..at) == Some(&[0, 0]) => return Some((at - 2, at + 1)),
            1 => 3,
            0 => 1,
        };
    }
    None
}

/// A NAL unit without the zeros behind it: it ends with a byte that is not 0 (B.1).
pub(super) fn without_zeros(nal: &[u8]) -> &[u8] {
    let len = nal.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    nal.get(..len).unwrap_or_default()
}

/// Zero bytes at the end of `bytes`, which follow `before` zero bytes; more than 2 count as 2.
pub(super) fn trailing_zeros(before: u8, bytes: &[u8]) -> u8 {
    match bytes {
        [.., 0, 0] => 2,
        [0] => (before + 1).min(2),
        [.., 0] => 1,
        [] => before,
        _ => 0,
    }
}
