use bytes::{Buf, BytesMut};
use proptest::prelude::*;

use super::*;

const LIMITS: ChunkLimits = ChunkLimits { message: 4096, streams: 8 };

fn wire(writer: &mut Writer) -> Vec<u8> {
    writer.copy_to_bytes(writer.remaining()).to_vec()
}

fn read_all(bytes: &[u8]) -> Result<Vec<Message>, ChunkError> {
    read_in_steps(bytes, bytes.len().max(1))
}

fn read_in_steps(bytes: &[u8], step: usize) -> Result<Vec<Message>, ChunkError> {
    let (mut reader, mut input) = (ChunkReader::new(LIMITS), BytesMut::new());
    let mut messages = Vec::new();
    for piece in bytes.chunks(step) {
        input.extend_from_slice(piece);
        while let Some(message) = reader.read(&mut input)? {
            messages.push(message);
        }
    }
    Ok(messages)
}

fn any_message() -> impl Strategy<Value = (u8, Message)> {
    let time = prop_oneof![0u32..1000, 0xff_fff0u32..0x100_0010, any::<u32>()];
    let payload = prop::collection::vec(any::<u8>(), 0..700);
    (2u8..7, 8u8..21, 0u32..3, time, payload).prop_map(
        |(channel, kind, stream_id, timestamp, payload)| {
            (channel, Message { kind, stream_id, timestamp, payload: payload.into() })
        },
    )
}

proptest! {
    #[test]
    fn what_is_cut_is_put_together(
        list in prop::collection::vec(any_message(), 0..8),
        size in prop_oneof![1u32..300, Just(65_536)],
        step in 1usize..400,
        head in 0usize..9,
    ) {
        let mut writer = Writer::new();
        writer.set_chunk_size(size);
        for (channel, message) in &list {
            let head = head.min(message.payload.len());
            let body = message.payload.slice(head..);
            let head = &message.payload[..head];
            writer.message(*channel, message.kind, message.stream_id, message.timestamp, head, &body);
        }
        let read = read_in_steps(&wire(&mut writer), step);
        prop_assert_eq!(read, Ok(list.into_iter().map(|(_, message)| message).collect()));
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..600), step in 1usize..50) {
        let _ = read_in_steps(&bytes, step);
    }

    #[test]
    fn slices_and_plain_bytes_are_the_same(len in 0usize..200_000, written in 0usize..200_000) {
        let mut writer = Writer::new();
        writer.set_chunk_size(65_536);
        let body = Bytes::from(vec![7; len]);
        writer.message(channel::VIDEO, kind::VIDEO, 1, 40, &[1, 2, 3, 4, 5], &body);
        writer.advance(written.min(writer.remaining()));
        let mut slices = [std::io::IoSlice::new(&[]); 64];
        let count = writer.chunks_vectored(&mut slices);
        let gathered: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.to_vec()).collect();
        prop_assert_eq!(gathered.len(), writer.remaining());
        prop_assert_eq!(gathered, wire(&mut writer));
    }
}

#[test]
fn every_split_gives_the_same_messages() {
    let mut writer = Writer::new();
    for (n, len) in [0usize, 1, 127, 128, 129, 500].into_iter().enumerate() {
        let body = Bytes::from(vec![n as u8; len]);
        writer.message(channel::VIDEO, kind::VIDEO, 1, 0x00ff_ff00 + n as u32 * 200, &[9], &body);
    }
    let bytes = wire(&mut writer);
    let want = read_all(&bytes).unwrap();
    assert_eq!(want.len(), 6);
    for at in 0..bytes.len() {
        let (mut reader, mut input) = (ChunkReader::new(LIMITS), BytesMut::from(&bytes[..at]));
        let mut got = Vec::new();
        while let Some(message) = reader.read(&mut input).unwrap() {
            got.push(message);
        }
        input.extend_from_slice(&bytes[at..]);
        while let Some(message) = reader.read(&mut input).unwrap() {
            got.push(message);
        }
        assert_eq!(got, want, "split at {at}");
    }
}

#[test]
fn a_frame_below_the_chunk_size_is_two_slices_and_the_body_is_shared() {
    let mut writer = Writer::new();
    writer.set_chunk_size(65_536);
    writer.advance(writer.remaining());
    let body = Bytes::from(vec![1; 60_000]);
    writer.message(channel::VIDEO, kind::VIDEO, 1, 40, &[0x17, 1, 0, 0, 0], &body);
    let mut slices = [std::io::IoSlice::new(&[]); 8];
    assert_eq!(writer.chunks_vectored(&mut slices), 2);
    assert_eq!(slices[1].as_ptr(), body.as_ptr());
}

#[test]
fn interleaved_chunk_streams_are_told_apart() {
    let mut wire = Vec::new();
    wire.extend([4, 0, 0, 10, 0, 0, 200, 8, 1, 0, 0, 0]);
    wire.extend([1; 128]);
    wire.extend([6, 0, 0, 20, 0, 0, 130, 9, 1, 0, 0, 0]);
    wire.extend([2; 128]);
    wire.extend([0xc4]);
    wire.extend([1; 72]);
    wire.extend([0xc6, 2, 2]);
    let messages = read_all(&wire).unwrap();
    let seen: Vec<_> =
        messages.iter().map(|m| (m.kind, m.timestamp, m.payload.len(), m.payload[0])).collect();
    assert_eq!(seen, [(8, 10, 200, 1), (9, 20, 130, 2)]);
}

#[test]
fn short_headers_take_what_is_missing_from_the_last() {
    let mut wire = vec![3, 0, 0, 10, 0, 0, 1, 8, 5, 0, 0, 0, b'a'];
    wire.extend([0x43, 0, 0, 7, 0, 0, 2, 9, b'b', b'b']); // Format 1: step, length, type.
    wire.extend([0x83, 0, 0, 4, b'c', b'c']); // Format 2: step.
    wire.extend([0xc3, b'd', b'd']); // Format 3: the same step again.
    let messages = read_all(&wire).unwrap();
    let seen: Vec<_> = messages.iter().map(|m| (m.kind, m.stream_id, m.timestamp)).collect();
    assert_eq!(seen, [(8, 5, 10), (9, 5, 17), (9, 5, 21), (9, 5, 25)]);
}

#[test]
fn long_chunk_stream_ids_are_read() {
    let wire = [0, 10, 0, 0, 1, 0, 0, 1, 8, 0, 0, 0, 0, b'x'];
    assert_eq!(read_all(&wire).unwrap()[0].payload, "x");
    let wire = [1, 1, 1, 0, 0, 1, 0, 0, 1, 8, 0, 0, 0, 0, b'y', 0xc1, 1, 1, b'z'];
    assert_eq!(read_all(&wire).unwrap()[1].payload, "z");
}

#[test]
fn extended_times_may_be_repeated_or_not() {
    for repeated in [true, false] {
        let time = 0x0123_4567u32.to_be_bytes();
        let mut wire = vec![4, 0xff, 0xff, 0xff, 0, 0, 200, 8, 1, 0, 0, 0];
        wire.extend(time);
        wire.extend([1; 128]);
        wire.push(0xc4);
        wire.extend(if repeated { &time[..] } else { &[] });
        wire.extend([1; 72]);
        let messages = read_all(&wire).unwrap();
        assert_eq!(messages.len(), 1, "repeated: {repeated}");
        assert_eq!(messages[0].timestamp, 0x0123_4567);
        assert_eq!(messages[0].payload, vec![1; 200]);
    }
}

#[test]
fn abort_forgets_the_message_begun() {
    let mut wire = vec![4, 0, 0, 10, 0, 0, 200, 8, 1, 0, 0, 0];
    wire.extend([1; 128]);
    wire.extend([2, 0, 0, 0, 0, 0, 4, 2, 0, 0, 0, 0, 0, 0, 0, 4]);
    wire.extend([0x44, 0, 0, 1, 0, 0, 1, 8, b'n']);
    let messages = read_all(&wire).unwrap();
    assert_eq!((messages.len(), &messages[0].payload[..]), (1, &b"n"[..]));
}

#[test]
fn hostile_headers_are_refused() {
    let size = |n: u32| {
        let mut wire = vec![2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0];
        wire.extend(n.to_be_bytes());
        wire
    };
    assert_eq!(read_all(&size(0)), Err(ChunkError::BadControl));
    assert_eq!(read_all(&size(0x8000_0000)), Err(ChunkError::BadControl));
    assert_eq!(read_all(&size(0x7fff_ffff)), Ok(vec![]));
    assert_eq!(read_all(&[2, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]), Err(ChunkError::BadControl));
    let long = [3, 0, 0, 0, 0xff, 0xff, 0xff, 20, 0, 0, 0, 0];
    assert_eq!(read_all(&long), Err(ChunkError::TooLong { len: 0xff_ffff, limit: 4096 }));
    assert_eq!(read_all(&[0xc3]), Err(ChunkError::NoHeader { id: 3 }));
    assert_eq!(read_all(&[0x83, 0, 0, 0]), Err(ChunkError::NoHeader { id: 3 }));
    let many: Vec<u8> = (3..20).flat_map(|id| [id, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 0]).collect();
    assert_eq!(read_all(&many), Err(ChunkError::TooManyStreams { limit: 8 }));
    let mut inside = vec![4, 0, 0, 10, 0, 0, 200, 8, 1, 0, 0, 0];
    inside.extend([1; 128]);
    inside.extend([4, 0, 0, 10, 0, 0, 1, 8, 1, 0, 0, 0, b'x']);
    assert_eq!(read_all(&inside), Err(ChunkError::Interrupted { id: 4 }));
}
