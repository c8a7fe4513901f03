//! The format of the spool's files. A segment's file is a head, a record for each key-frame group,
//! and an end; a pending upload's file is one record.
//!
//! ```text
//! record := tag[4] length:u32 meta:u64 crc:u32 payload[length]      little-endian
//! IVS1      a segment's head: JSON
//! GRUP      a group: payload, meta = duration in ns
//! DONE      the end: its own offset:u64, payload of the groups in bytes:u64, meta = their duration
//! IVP1      a pending upload: JSON
//! ```
//!
//! The CRC-32 covers all of the record but itself. Files that begin with `IVS2` and so on are left
//! to newer versions.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use bytes::Bytes;
use crc32fast::Hasher;
use serde_json::{Value, json};

use super::{Pending, SegmentHead, SessionHead, SpoolError};

/// Length of a record's fields before its payload, in bytes.
pub const PREFIX: u64 = 20;
/// Length of the record that ends a segment, in bytes.
pub const DONE: u64 = PREFIX + 16;
/// Length of the pieces in which payload is read, in bytes.
pub const CHUNK: u64 = 64 * 1024;
/// Longest head in bytes. Real addresses are far shorter.
const LONGEST: usize = 64 * 1024;
/// Longest name of a session or of a segment that is believed, in bytes.
const LONGEST_NAME: usize = 1024;
/// Longest address that is believed, in bytes.
const LONGEST_ADDRESS: usize = 8192;
/// A segment's number is below this. No session comes near it, and counting on from it cannot overflow.
const MOST_SEGMENTS: u64 = 1 << 48;
/// A segment begins within so many microseconds of 1970, before or after: 285 years.
const FARTHEST: u64 = 1 << 53;
/// Longest duration of a segment that is believed; the cloud may ask for one of an hour, which ends with a group.
const LONGEST_SEGMENT: Duration = Duration::from_secs(2 * 3600);

/// The content of a segment's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    pub session: SessionHead,
    pub segment: SegmentHead,
    pub groups: Groups,
}

/// The complete groups of a segment's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Groups {
    /// Offset of the first group.
    pub begin: u64,
    /// Offset behind the last group.
    pub end: u64,
    /// Durations of the groups added up.
    pub duration: Duration,
    /// Payload bytes of the groups added up.
    pub bytes: u64,
    /// Whether an end record follows the groups, and nothing else.
    pub done: bool,
}

/// What a file in the spool turned out to be.
#[derive(Debug)]
pub enum Found<T> {
    Ours(T),
    /// The file is of a newer version and must not be touched.
    Newer,
    /// The file holds nothing that can be read.
    Damaged,
}

/// The head of a segment's file.
pub fn head(session: &SessionHead, segment: &SegmentHead) -> Result<Vec<u8>, SpoolError> {
    let SegmentHead { number, start_micros, discontinuity } = segment;
    let mut fields = fields(session);
    fields["number"] = json!(number);
    fields["start_micros"] = json!(start_micros);
    fields["discontinuity"] = json!(discontinuity);
    document(*b"IVS1", &fields)
}

/// A pending upload's file.
pub fn pending(session: &SessionHead, pending: &Pending) -> Result<Vec<u8>, SpoolError> {
    let Pending { number, name, uri } = pending;
    let mut fields = fields(session);
    fields["number"] = json!(number);
    fields["name"] = json!(name);
    fields["uri"] = json!(uri.expose());
    document(*b"IVP1", &fields)
}

/// The fields before a group's payload.
pub fn group(chunks: &[Bytes], duration: Duration) -> Result<[u8; PREFIX as usize], SpoolError> {
    prefix(*b"GRUP", nanos(duration), chunks.iter().map(|chunk| &chunk[..]))
}

/// The end record, which stands at the offset `groups.end`.
pub fn done(groups: &Groups) -> Result<Vec<u8>, SpoolError> {
    let payload = [groups.end.to_le_bytes(), groups.bytes.to_le_bytes()].concat();
    let prefix = prefix(*b"DONE", nanos(groups.duration), [&payload[..]])?;
    Ok([&prefix[..], &payload].concat())
}

/// Reads a segment's file. The end record of a finished file is believed, since it was written
/// after all groups were synced. In an unfinished file every group is checked, as far as `unread` bytes go, which are
/// taken off it. A group that the disk does not give ends the groups; only an unreadable head is an error.
pub fn inspect(file: &File, unread: &mut u64) -> io::Result<Found<Contents>> {
    let length = file.metadata()?.len();
    let (fields, begin) = match read_document(file, *b"IVS1", length)? {
        Found::Ours(found) => found,
        Found::Newer => return Ok(Found::Newer),
        Found::Damaged => return Ok(Found::Damaged),
    };
    let Some((session, segment)) = session(&fields).zip(segment(&fields)) else {
        return Ok(Found::Damaged);
    };
    let groups = read_done(file, begin, length).unwrap_or_else(|| {
        let groups = walk(file, begin, length.min(begin.saturating_add(*unread)));
        *unread = unread.saturating_sub(length - begin);
        groups
    });
    Ok(Found::Ours(Contents { session, segment, groups }))
}

/// Checks every group from `begin` up to the first that is not whole, in pieces, whatever lengths
/// the file claims.
pub fn walk(file: &File, begin: u64, length: u64) -> Groups {
    let mut groups = Groups { begin, end: begin, duration: Duration::ZERO, bytes: 0, done: false };
    // Each round advances by a prefix at least, so the loop ends.
    while let Some(record) = check(file, groups.end, length) {
        if record.tag != *b"GRUP" {
            groups.done = read_done(file, begin, length) == Some(Groups { done: true, ..groups });
            break;
        }
        let duration = groups.duration.saturating_add(Duration::from_nanos(record.meta));
        if duration > LONGEST_SEGMENT {
            break;
        }
        groups.end += PREFIX + u64::from(record.length);
        groups.bytes += u64::from(record.length);
        groups.duration = duration;
    }
    groups
}

/// Reads a pending upload's file.
pub fn read_pending(file: &File) -> io::Result<Found<(SessionHead, Pending)>> {
    let fields = match read_document(file, *b"IVP1", file.metadata()?.len())? {
        Found::Ours((fields, _)) => fields,
        Found::Newer => return Ok(Found::Newer),
        Found::Damaged => return Ok(Found::Damaged),
    };
    let pending = || {
        let (name, uri) =
            (text(&fields, "name", LONGEST_NAME)?, text(&fields, "uri", LONGEST_ADDRESS)?);
        Some(Pending { number: number(&fields)?, name, uri: uri.into() })
    };
    Ok(session(&fields).zip(pending()).map_or(Found::Damaged, Found::Ours))
}

/// The payload of a file whose groups were checked.
#[derive(Debug)]
pub struct Payload {
    file: File,
    at: u64,
    /// Payload bytes left in the current group.
    left: u64,
    /// Payload bytes left in all groups.
    bytes: u64,
}

impl Payload {
    pub fn new(file: File, groups: &Groups) -> Self {
        Self { file, at: groups.begin, left: 0, bytes: groups.bytes }
    }

    /// The next piece of the payload; `None` at the end.
    pub fn next(&mut self) -> io::Result<Option<Bytes>> {
        if self.bytes == 0 {
            return Ok(None);
        }
        while self.left == 0 {
            let record = Record::read(&self.file, self.at)?;
            if record.tag != *b"GRUP" {
                return Err(ErrorKind::InvalidData.into());
            }
            self.left = u64::from(record.length);
            self.at += PREFIX;
        }
        let mut piece = vec![0; self.left.min(self.bytes).min(CHUNK) as usize];
        self.file.read_exact_at(&mut piece, self.at)?;
        self.at += piece.len() as u64;
        self.left -= piece.len() as u64;
        self.bytes -= piece.len() as u64;
        Ok(Some(piece.into()))
    }
}

#[derive(Debug)]
struct Record {
    tag: [u8; 4],
    length: u32,
    meta: u64,
    crc: u32,
}

impl Record {
    fn read(file: &File, at: u64) -> io::Result<Self> {
        let mut bytes = [0; PREFIX as usize];
        file.read_exact_at(&mut bytes, at)?;
        let [t0, t1, t2, t3, l0, l1, l2, l3, m0, m1, m2, m3, m4, m5, m6, m7, crc @ ..] = bytes;
        Ok(Self {
            tag: [t0, t1, t2, t3],
            length: u32::from_le_bytes([l0, l1, l2, l3]),
            meta: u64::from_le_bytes([m0, m1, m2, m3, m4, m5, m6, m7]),
            crc: u32::from_le_bytes(crc),
        })
    }

    fn hasher(&self) -> Hasher {
        let mut hasher = Hasher::new();
        hasher.update(&self.tag);
        hasher.update(&self.length.to_le_bytes());
        hasher.update(&self.meta.to_le_bytes());
        hasher
    }
}

/// The record at the offset `at`; `None` if it is not whole.
fn check(file: &File, at: u64, length: u64) -> Option<Record> {
    let record = Record::read(file, at).ok()?;
    let (mut at, mut left) = (at + PREFIX, u64::from(record.length));
    if left > length.checked_sub(at)? {
        return None;
    }
    let mut hasher = record.hasher();
    let mut piece = vec![0; left.min(CHUNK) as usize];
    while left > 0 {
        let piece = &mut piece[..left.min(CHUNK) as usize];
        file.read_exact_at(piece, at).ok()?;
        hasher.update(piece);
        at += piece.len() as u64;
        left -= piece.len() as u64;
    }
    (hasher.finalize() == record.crc).then_some(record)
}

/// What the end record says; `None` if there is none in its place.
fn read_done(file: &File, begin: u64, length: u64) -> Option<Groups> {
    let at = length.checked_sub(DONE)?;
    let record = check(file, at, length)?;
    let mut payload = [0; 16];
    file.read_exact_at(&mut payload, at + PREFIX).ok()?;
    let both = u128::from_le_bytes(payload);
    let (end, bytes) = (both as u64, (both >> 64) as u64);
    let fits = record.tag == *b"DONE" && end == at && begin.checked_add(bytes)? <= end;
    let duration = Duration::from_nanos(record.meta);
    (fits && duration <= LONGEST_SEGMENT).then_some(Groups {
        begin,
        end,
        duration,
        bytes,
        done: true,
    })
}

/// The JSON at the beginning of a file, and the offset behind it.
fn read_document(file: &File, tag: [u8; 4], length: u64) -> io::Result<Found<(Value, u64)>> {
    let record = match Record::read(file, 0) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(Found::Damaged),
        record => record?,
    };
    if record.tag != tag {
        let newer = record.tag[..3] == tag[..3] && (b'2'..=b'9').contains(&record.tag[3]);
        return Ok(if newer { Found::Newer } else { Found::Damaged });
    }
    let end = PREFIX + u64::from(record.length);
    if record.length as usize > LONGEST || end > length {
        return Ok(Found::Damaged);
    }
    let mut payload = vec![0; record.length as usize];
    file.read_exact_at(&mut payload, PREFIX)?;
    let mut hasher = record.hasher();
    hasher.update(&payload);
    if hasher.finalize() != record.crc {
        return Ok(Found::Damaged);
    }
    let fields = serde_json::from_slice(&payload);
    Ok(fields.map_or(Found::Damaged, |fields| Found::Ours((fields, end))))
}

fn document(tag: [u8; 4], fields: &Value) -> Result<Vec<u8>, SpoolError> {
    let payload = fields.to_string().into_bytes();
    if payload.len() > LONGEST {
        return Err(SpoolError::TooLong);
    }
    let prefix = prefix(tag, 0, [&payload[..]])?;
    Ok([&prefix[..], &payload].concat())
}

fn prefix<'a>(
    tag: [u8; 4],
    meta: u64,
    payload: impl IntoIterator<Item = &'a [u8]> + Clone,
) -> Result<[u8; PREFIX as usize], SpoolError> {
    let length: usize = payload.clone().into_iter().map(<[u8]>::len).sum();
    let length = u32::try_from(length).map_err(|_| SpoolError::TooLong)?;
    let mut record = Record { tag, length, meta, crc: 0 };
    let mut hasher = record.hasher();
    payload.into_iter().for_each(|piece| hasher.update(piece));
    record.crc = hasher.finalize();

    let mut bytes = [0; PREFIX as usize];
    bytes[..4].copy_from_slice(&record.tag);
    bytes[4..8].copy_from_slice(&record.length.to_le_bytes());
    bytes[8..16].copy_from_slice(&record.meta.to_le_bytes());
    bytes[16..].copy_from_slice(&record.crc.to_le_bytes());
    Ok(bytes)
}

fn fields(session: &SessionHead) -> Value {
    let SessionHead { session_id, channel, cbk_url } = session;
    json!({ "session_id": session_id, "channel": channel, "cbk_url": cbk_url.expose() })
}

fn session(fields: &Value) -> Option<SessionHead> {
    let session_id = text(fields, "session_id", LONGEST_NAME)?;
    let channel = fields["channel"].as_u64()?.try_into().ok()?;
    let cbk_url = text(fields, "cbk_url", LONGEST_ADDRESS)?.into();
    Some(SessionHead { session_id, channel, cbk_url })
}

fn segment(fields: &Value) -> Option<SegmentHead> {
    Some(SegmentHead {
        number: number(fields)?,
        start_micros: fields["start_micros"].as_i64().filter(|at| at.unsigned_abs() <= FARTHEST)?,
        discontinuity: fields["discontinuity"].as_bool()?,
    })
}

fn number(fields: &Value) -> Option<u64> {
    fields["number"].as_u64().filter(|number| *number < MOST_SEGMENTS)
}

fn text(fields: &Value, name: &str, longest: usize) -> Option<String> {
    fields[name].as_str().filter(|text| text.len() <= longest).map(str::to_owned)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
