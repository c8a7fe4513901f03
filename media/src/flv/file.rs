//! FLV files: a header, then tags, each followed by its own size.

use std::io::{self, Write};

use bytes::{Buf, Bytes};

use crate::flv::{FlvError, Head, Tag, TagKind};

const TAG_HEADER: usize = 11;

/// Reads the tags of a whole file without copying. Ends at the first error, and at a tag cut off by
/// the end of the file, as a recording that lost its power has.
///
/// # Errors
///
/// The bytes do not begin with the header of an FLV file.
pub fn tags(mut file: Bytes) -> Result<FileTags, FlvError> {
    let truncated = FlvError::Truncated { what: "FLV file header" };
    let header: [u8; 9] = *file.first_chunk().ok_or(truncated.clone())?;
    if header[..3] != *b"FLV" {
        let got = u64::from(u32::from_be_bytes([0, header[0], header[1], header[2]]));
        return Err(FlvError::Malformed { what: "FLV signature", expected: "0x464c56", got });
    }
    let offset = u32::from_be_bytes([header[5], header[6], header[7], header[8]]) as usize;
    // The header is followed by the size of a tag before the first, always zero: it is skipped
    // unread.
    let start = offset.max(header.len()).saturating_add(4);
    if start > file.len() {
        return Err(truncated);
    }
    file.advance(start);
    Ok(FileTags { rest: file })
}

/// Writes a file's header and its tags.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
}

/// The tags of a file; other kinds of tags are passed over.
#[derive(Clone, Debug)]
pub struct FileTags {
    rest: Bytes,
}

impl Iterator for FileTags {
    type Item = Result<Tag, FlvError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let header: [u8; TAG_HEADER] = *self.rest.first_chunk()?;
            let [kind, l0, l1, l2, t0, t1, t2, t3, ..] = header;
            let len = u32::from_be_bytes([0, l0, l1, l2]) as usize;
            if self.rest.len() < TAG_HEADER + len {
                return None;
            }
            self.rest.advance(TAG_HEADER);
            let body = self.rest.split_to(len);
            self.rest.advance(self.rest.len().min(4));
            if kind & 0x20 != 0 {
                self.rest.clear();
                return Some(Err(FlvError::Unsupported {
                    what: "encrypted FLV tag",
                    got: kind.into(),
                }));
            }
            if let Some(kind) = TagKind::from_number(kind & 0x1f) {
                let timestamp_ms = u32::from_be_bytes([t3, t0, t1, t2]);
                return Some(Ok(Tag { kind, timestamp_ms, head: Head::default(), body }));
            }
        }
    }
}

impl<W: Write> Writer<W> {
    /// Writes the file header for a file with both sound and pictures; readers take the flags as a
    /// hint.
    ///
    /// # Errors
    ///
    /// The sink fails.
    pub fn new(mut out: W) -> io::Result<Self> {
        out.write_all(b"FLV\x01\x05\0\0\0\x09\0\0\0\0")?;
        Ok(Self { out })
    }

    /// Writes a tag.
    ///
    /// # Errors
    ///
    /// The sink fails, or the tag is 16 MiB or larger: its size cannot be said.
    pub fn write(&mut self, tag: &Tag) -> io::Result<()> {
        let len = u32::try_from(tag.len()).ok().filter(|len| *len < 1 << 24);
        let len = len.ok_or_else(|| io::Error::other("FLV tag above 16 MiB"))?;
        let [_, l0, l1, l2] = len.to_be_bytes();
        let [t3, t0, t1, t2] = tag.timestamp_ms.to_be_bytes();
        self.out.write_all(&[tag.kind as u8, l0, l1, l2, t0, t1, t2, t3, 0, 0, 0])?;
        self.out.write_all(tag.head.as_slice())?;
        self.out.write_all(&tag.body)?;
        self.out.write_all(&(TAG_HEADER as u32 + len).to_be_bytes())
    }

    /// The sink, with everything written.
    pub fn into_inner(self) -> W {
        self.out
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_tag() -> impl Strategy<Value = Tag> {
        let kind = prop_oneof![Just(TagKind::Audio), Just(TagKind::Video), Just(TagKind::Script)];
        (kind, any::<u32>(), prop::collection::vec(any::<u8>(), 0..50)).prop_map(
            |(kind, timestamp_ms, body)| Tag {
                kind,
                timestamp_ms,
                head: Head::default(),
                body: body.into(),
            },
        )
    }

    fn file_of(list: &[Tag]) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new()).unwrap();
        list.iter().for_each(|tag| writer.write(tag).unwrap());
        writer.into_inner()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(list in prop::collection::vec(any_tag(), 0..6)) {
            let read: Result<Vec<_>, _> = tags(file_of(&list).into()).unwrap().collect();
            prop_assert_eq!(read, Ok(list));
        }

        #[test]
        fn a_file_cut_anywhere_gives_its_whole_tags(
            list in prop::collection::vec(any_tag(), 1..6),
            at in any::<prop::sample::Index>(),
        ) {
            let bytes = file_of(&list);
            let cut = at.index(bytes.len());
            let read = tags(Bytes::copy_from_slice(&bytes[..cut]));
            // A tag is whole without the size that follows it.
            let ends = (1..=list.len()).map(|count| file_of(&list[..count]).len() - 4);
            let whole = &list[..ends.filter(|end| *end <= cut).count()];
            match read {
                Ok(read) => {
                    let read: Vec<_> = read.map(Result::unwrap).collect();
                    prop_assert_eq!(&read[..], whole);
                }
                Err(error) => {
                    prop_assert!(cut < file_of(&[]).len(), "{} bytes", cut);
                    prop_assert_eq!(error, FlvError::Truncated { what: "FLV file header" });
                }
            }
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut bytes = bytes;
            bytes.splice(0..0, *b"FLV\x01\x05\0\0\0\x09\0\0\0\0");
            for tag in tags(bytes.into()).unwrap() {
                let _ = tag;
            }
        }
    }

    #[test]
    fn what_is_no_flv_is_refused() {
        assert!(matches!(tags(Bytes::new()), Err(FlvError::Truncated { .. })));
        assert!(matches!(
            tags(Bytes::from_static(b"RIFF....AVI LIST")),
            Err(FlvError::Malformed { .. })
        ));
        let far = Bytes::from_static(b"FLV\x01\x05\xff\xff\xff\xff\0\0\0\0");
        assert!(matches!(tags(far), Err(FlvError::Truncated { .. })));
    }
}
