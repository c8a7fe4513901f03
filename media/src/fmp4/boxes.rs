//! Writes the boxes of MP4: a length, four letters, contents.

use bytes::{BufMut, BytesMut};

/// Writes one box; its length is filled in afterwards.
pub(super) fn boxed(out: &mut BytesMut, name: &[u8; 4], contents: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    out.put_u32(0);
    out.put_slice(name);
    contents(out);
    let length = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

/// Writes one box with version and flags.
pub(super) fn full_box(
    out: &mut BytesMut,
    name: &[u8; 4],
    version: u8,
    flags: u32,
    contents: impl FnOnce(&mut BytesMut),
) {
    boxed(out, name, |out| {
        out.put_u32(u32::from(version) << 24 | flags & 0x00FF_FFFF);
        contents(out);
    });
}
