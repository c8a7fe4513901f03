//! Writes the initialisation segment, and the names of codecs (RFC 6381).

use super::boxes::{boxed, full_box};
use super::{AUDIO_TRACK, VIDEO_TRACK};
use crate::frame::{AudioParams, CLOCK_HZ, VideoCodec, VideoParams};
use bytes::{BufMut, Bytes, BytesMut};

/// The matrix without rotation and scaling: 16.16 and, in the last column, 2.30 numbers.
const UNITY_MATRIX: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];
/// Flags of a track: enabled, in the movie.
const TRACK_SHOWN: u32 = 3;
/// The language "und" in `mdhd`, three letters of 5 bits.
const UNDETERMINED: u16 = 0x55C4;
/// Tags of `esds` (ISO/IEC 14496-1).
const ES_DESCRIPTOR: u8 = 3;
const DECODER_CONFIG: u8 = 4;
const DECODER_SPECIFIC: u8 = 5;
const SL_CONFIG: u8 = 6;

/// The boxes `ftyp` and `moov` of a movie without samples of its own. `audio` is AAC.
pub(super) fn segment(video: Option<&VideoParams>, audio: Option<&AudioParams>) -> Bytes {
    let mut out = BytesMut::with_capacity(1024);
    boxed(&mut out, b"ftyp", |out| {
        out.put_slice(b"iso6");
        out.put_u32(0);
        out.put_slice(b"iso6mp41");
    });
    boxed(&mut out, b"moov", |out| {
        movie_header(out);
        if let Some(video) = video {
            video_track(out, video);
        }
        if let Some(audio) = audio {
            audio_track(out, audio);
        }
        boxed(out, b"mvex", |out| {
            let ids = [video.map(|_| VIDEO_TRACK), audio.map(|_| AUDIO_TRACK)];
            for id in ids.into_iter().flatten() {
                full_box(out, b"trex", 0, 0, |out| {
                    out.put_u32(id);
                    out.put_u32(1); // Sample description.
                    out.put_bytes(0, 12); // Duration, size and flags, which each fragment tells itself.
                });
            }
        });
    });
    out.freeze()
}

/// The codec's name: `avc1.PPCCLL` or `hvc1.…`.
pub(super) fn video_codec(params: &VideoParams) -> String {
    let byte = |at: usize| params.record.get(at).copied().unwrap_or(0);
    match params.codec {
        VideoCodec::H264 => format!("avc1.{:02X}{:02X}{:02X}", byte(1), byte(2), byte(3)),
        VideoCodec::H265 => {
            let space = ["", "A", "B", "C"][usize::from(byte(1) >> 6)];
            let tier = if byte(1) & 0x20 == 0 { 'L' } else { 'H' };
            let compatible =
                u32::from_be_bytes([byte(2), byte(3), byte(4), byte(5)]).reverse_bits();
            let mut name =
                format!("hvc1.{space}{}.{compatible:X}.{tier}{}", byte(1) & 0x1F, byte(12));
            let constraints: Vec<u8> = (6..12).map(byte).collect();
            let used = constraints.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
            for constraint in &constraints[..used] {
                name.push_str(&format!(".{constraint:X}"));
            }
            name
        }
    }
}

/// The codec's name: `mp4a.40.N` with the audio object type N.
pub(super) fn audio_codec(params: &AudioParams) -> String {
    let byte = |at: usize| params.config.get(at).copied().unwrap_or(0);
    let object_type = match byte(0) >> 3 {
        31 => 32 + ((byte(0) & 7) << 3 | byte(1) >> 5),
        0 => 2, // Without a configuration it is AAC-LC.
        short => short,
    };
    format!("mp4a.40.{object_type}")
}

fn movie_header(out: &mut BytesMut) {
    full_box(out, b"mvhd", 0, 0, |out| {
        out.put_u64(0); // Created, modified.
        out.put_u32(CLOCK_HZ as u32);
        out.put_u32(0); // Duration: unknown.
        out.put_u32(0x1_0000); // Rate 1.
        out.put_u16(0x100); // Volume 1.
        out.put_bytes(0, 10);
        UNITY_MATRIX.iter().for_each(|n| out.put_u32(*n));
        out.put_bytes(0, 24);
        out.put_u32(AUDIO_TRACK + 1); // Next track.
    });
}

fn video_track(out: &mut BytesMut, params: &VideoParams) {
    let (width, height) = params.dimensions;
    let side = |pixels: u32| u16::try_from(pixels).unwrap_or(u16::MAX);
    let (width, height) = (side(width), side(height));
    let (entry, record): (&[u8; 4], &[u8; 4]) = match params.codec {
        VideoCodec::H264 => (b"avc1", b"avcC"),
        VideoCodec::H265 => (b"hvc1", b"hvcC"),
    };
    track(out, VIDEO_TRACK, (width, height), b"vide", |out| {
        boxed(out, entry, |out| {
            out.put_bytes(0, 6);
            out.put_u16(1); // Data reference.
            out.put_bytes(0, 16);
            out.put_u16(width);
            out.put_u16(height);
            out.put_u32(0x48_0000); // 72 dpi both ways.
            out.put_u32(0x48_0000);
            out.put_u32(0);
            out.put_u16(1); // Frames per sample.
            out.put_bytes(0, 32); // Compressor name.
            out.put_u16(24); // Depth.
            out.put_i16(-1);
            boxed(out, record, |out| out.put_slice(&params.record));
        });
    });
}

fn audio_track(out: &mut BytesMut, params: &AudioParams) {
    track(out, AUDIO_TRACK, (0, 0), b"soun", |out| {
        boxed(out, b"mp4a", |out| {
            out.put_bytes(0, 6);
            out.put_u16(1); // Data reference.
            out.put_bytes(0, 8);
            out.put_u16(params.channels);
            out.put_u16(16); // Bits per sample.
            out.put_u32(0);
            out.put_u16(u16::try_from(params.sample_rate).unwrap_or(0)); // A number of 16.16 bits; a higher rate is in `esds` only.
            out.put_u16(0);
            full_box(out, b"esds", 0, 0, |out| stream_descriptor(out, &params.config));
        });
    });
}

/// Writes the parts that both kinds of track have; `entry` writes the sample description.
fn track(
    out: &mut BytesMut,
    id: u32,
    (width, height): (u16, u16),
    handler: &[u8; 4],
    entry: impl FnOnce(&mut BytesMut),
) {
    let video = handler == b"vide";
    boxed(out, b"trak", |out| {
        full_box(out, b"tkhd", 0, TRACK_SHOWN, |out| {
            out.put_u64(0); // Created, modified.
            out.put_u32(id);
            out.put_bytes(0, 20); // Duration, layer, group.
            out.put_u16(if video { 0 } else { 0x100 }); // Volume.
            out.put_u16(0);
            UNITY_MATRIX.iter().for_each(|n| out.put_u32(*n));
            out.put_u32(u32::from(width) << 16);
            out.put_u32(u32::from(height) << 16);
        });
        boxed(out, b"mdia", |out| {
            full_box(out, b"mdhd", 0, 0, |out| {
                out.put_u64(0); // Created, modified.
                out.put_u32(CLOCK_HZ as u32);
                out.put_u32(0);
                out.put_u16(UNDETERMINED);
                out.put_u16(0);
            });
            full_box(out, b"hdlr", 0, 0, |out| {
                out.put_u32(0);
                out.put_slice(handler);
                out.put_bytes(0, 13); // Reserved, empty name.
            });
            boxed(out, b"minf", |out| {
                if video {
                    full_box(out, b"vmhd", 0, 1, |out| out.put_u64(0));
                } else {
                    full_box(out, b"smhd", 0, 0, |out| out.put_u32(0));
                }
                boxed(out, b"dinf", |out| {
                    full_box(out, b"dref", 0, 0, |out| {
                        out.put_u32(1);
                        full_box(out, b"url ", 0, 1, |_| {}); // The data is in this file.
                    });
                });
                boxed(out, b"stbl", |out| {
                    full_box(out, b"stsd", 0, 0, |out| {
                        out.put_u32(1);
                        entry(out);
                    });
                    for empty in [b"stts", b"stsc", b"stco"] {
                        full_box(out, empty, 0, 0, |out| out.put_u32(0));
                    }
                    full_box(out, b"stsz", 0, 0, |out| out.put_u64(0));
                });
            });
        });
    });
}

fn stream_descriptor(out: &mut BytesMut, config: &[u8]) {
    // Lengths in the one-byte form reach 127; a longer configuration is left out.
    let config = if config.len() <= 64 { config } else { &[] };
    let specific = config.len() as u8;
    let decoder = 13 + 2 + specific;
    out.put_slice(&[ES_DESCRIPTOR, 3 + 2 + decoder + 3, 0, 0, 0]);
    out.put_slice(&[DECODER_CONFIG, decoder, 0x40, 0x15]); // MPEG-4 audio, audio stream.
    out.put_bytes(0, 11); // Buffer size and bitrates: unknown.
    out.put_slice(&[DECODER_SPECIFIC, specific]);
    out.put_slice(config);
    out.put_slice(&[SL_CONFIG, 1, 2]);
}
