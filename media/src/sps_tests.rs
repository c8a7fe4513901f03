use h264_reader::nal::sps::SeqParameterSet;
use h264_reader::rbsp::{BitReader, ByteReader};

use super::*;
use crate::testing::Writer;

fn reorder_depth(nal: &[u8]) -> Option<usize> {
    h264(nal)?.reorder_depth
}

fn nal(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits.map(|d| u8::from_str_radix(str::from_utf8(d).unwrap(), 16).unwrap()).collect()
}

// Parameter sets of x264 and x265: 320x180 at 25 fps.
const H264_PYRAMID: &str = "6764000cacd941419f9f011000000300100000030320f1429960";
const H264_HIGH: &str = "6764000cacb202833f3e0220000003002000000641e28549";
const H264_BASELINE: &str = "6742c00cd901419f9f011000000300100000030320f142a480";
const H265_PYRAMID: &str = "42010101600000030090000003000003003ca00a080b9f796565924caf01680800\
                            0003000800000300c840";
const H265_PLAIN: &str = "42010101600000030090000003000003003ca00a080b9f7964a924caf016808000000\
                          3008000000c84";

#[test]
fn depth_is_read_from_the_parameter_sets_of_encoders() {
    assert_eq!(reorder_depth(&nal(H264_PYRAMID)), Some(2));
    assert_eq!(reorder_depth(&nal(H264_HIGH)), Some(0));
    assert_eq!(reorder_depth(&nal(H264_BASELINE)), Some(0));
    for (hex, reorder_depth) in [(H265_PYRAMID, 2), (H265_PLAIN, 0)] {
        // Coded as 320x184: the rest is cut off by the conformance window.
        let sps = h265(&nal(hex)).unwrap();
        assert_eq!((sps.dimensions, sps.reorder_depth), (Some((320, 180)), reorder_depth));
        assert_eq!((sps.id, sps.vps, sps.chroma, sps.depths), (0, 0, 1, [0, 0]));
        assert_eq!((sps.layers, sps.nested), (1, true));
        assert_eq!(sps.profile, [1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 60]);
        assert_eq!(sps.frame_rate, Some((25, 1)));
    }
}

#[test]
fn sizes_rates_and_the_shape_of_slices_are_read() {
    for hex in [H264_PYRAMID, H264_HIGH, H264_BASELINE] {
        let sps = h264(&nal(hex)).unwrap();
        assert_eq!(
            (sps.id, sps.dimensions, sps.frame_rate),
            (0, (320, 180), Some((50, 2))),
            "{hex}"
        );
        assert!(sps.frames_only && !sps.separate_planes && sps.frame_num_bits == 4);
    }
    // Coded as 1920x1088 of fields: the rest is cut off.
    let fields = h264(&nal("674d0028da01e0111f68")).unwrap();
    assert_eq!((fields.dimensions, fields.frames_only), ((1920, 1080), false));
}

#[test]
fn what_follows_a_set_or_is_missing_at_its_end_does_not_matter() {
    let whole = nal(H264_HIGH);
    let longer = [&whole[..], b"junk"].concat();
    assert_eq!(h264(&longer), h264(&whole));
    let shorter = h264(&nal(H264_PYRAMID)[..12]).unwrap();
    assert_eq!((shorter.dimensions, shorter.reorder_depth), ((320, 180), None));
}

#[test]
fn the_rate_is_read_from_a_video_parameter_set() {
    let timed = "40010c01ffff01600000030090000003000003003c97030000030001000003001950";
    assert_eq!(h265_vps_frame_rate(&nal(timed)), Some((25, 1)));
    let plain = "40010c01ffff01600000030090000003000003003c959809";
    assert_eq!(h265_vps_frame_rate(&nal(plain)), None);
}

// Parameter sets of x265: a default display window and buffering; fields and the standard's scaling
// lists.
const H265_WINDOW: &str = "4201010408000003009e0800000300003c9001410173e5cb2b349265780b70202000b6dc\
                           00000300040000030079805259b8003d090007a122";
const H265_FIELDS: &str = "4201010408000003004e0800000300003c9001410173e5cb2b349272bc05b8101001a000\
                           0003002000000301e1";

#[test]
fn the_rate_is_read_from_the_sequence_parameter_sets_of_x265() {
    for (hex, rate) in [(H265_WINDOW, 30), (H265_FIELDS, 15)] {
        assert_eq!(h265(&nal(hex)).unwrap().frame_rate, Some((rate, 1)));
    }
}

/// An H.265 SPS up to the flag of scaling lists.
fn h265_head() -> Writer {
    // VPS 0, one layer; profile, tier and level; SPS 0, 4:2:0 of 320x192, 8 bits; order counts of 8
    // bits; 16 pictures kept; sizes of blocks.
    let head = Writer::default().u(0, 7).u(1, 1).u(1, 8).u(0x6000_0000, 32).u(0x9000, 16);
    let head = head.u(0, 32).u(60, 8).ue(0).ue(1).ue(320).ue(192).u(0, 1).ue(0).ue(0);
    let head = head.ue(4).u(1, 1).ue(15).ue(0).ue(0);
    [0, 2, 0, 2, 1, 0].into_iter().fold(head, Writer::ue)
}

/// An H.265 SPS up to its reference picture sets, without lists and PCM.
fn h265_sets(count: u32) -> Writer {
    h265_head().u(0, 1).u(3, 2).u(0, 1).ue(count)
}

/// Ends an H.265 SPS behind its reference picture sets: no long-term pictures, ticks of 1001/30000
/// s.
fn h265_tail(bits: Writer) -> Vec<u8> {
    let vui = bits.u(0, 1).u(3, 2).u(1, 1).u(0, 4).u(0, 3).u(0, 1);
    vui.u(1, 1).u(1001, 32).u(30_000, 32).u(0, 3).u(0, 1).nal(&[0x42, 1], &[])
}

/// Appends a reference picture set by its difference from the one before: the sign of the way, its
/// length, and the flags that tell which pictures are kept.
fn moved(bits: Writer, sign: u32, way: u32, kept: &[&str]) -> Writer {
    let flags = kept.concat();
    let bits = bits.u(1, 1).u(sign, 1).ue(way - 1);
    bits.u(u32::from_str_radix(&flags, 2).unwrap(), flags.len())
}

fn h265_rate(nal: &[u8]) -> Option<(u32, u32)> {
    h265(nal).unwrap().frame_rate
}

const NTSC: Option<(u32, u32)> = Some((30_000, 1001));

#[test]
fn the_rate_lies_behind_scaling_lists_and_pcm() {
    let mut bits = h265_head().u(3, 2);
    for (size, lists) in [6, 6, 6, 2].into_iter().enumerate() {
        for list in 0..lists {
            if list % 2 == 0 {
                bits = bits.u(0, 1).ue(list);
                continue;
            }
            bits = bits.u(1, 1);
            let codes = [16, 64, 65, 65][size];
            bits = (0..codes).fold(bits, |bits, code| bits.ue(code % 5));
        }
    }
    let bits = bits.u(3, 2).u(1, 1).u(0x77, 8).ue(0).ue(2).u(1, 1).ue(0);
    assert_eq!(h265_rate(&h265_tail(bits)), NTSC);
}

#[test]
fn the_rate_lies_behind_reference_pictures_and_colours() {
    // The first set has pictures 1, 3 and 4 before the picture, and 2 and 4 after it.
    let bits = h265_sets(4).ue(3).ue(2).ue(0).u(1, 1).ue(1).u(1, 1).ue(0).u(0, 1);
    let bits = bits.ue(1).u(1, 1).ue(1).u(1, 1);
    // The second set has the distances of the first, 1 later: 2 before, 1 and 3 after. What was 1
    // before is the picture itself.
    let bits = moved(bits, 0, 1, &["1", "01", "00", "1", "00", "01"]);
    // The third set has the distances of the second, 1 earlier: 3 and 1 before. What was 1 after is
    // the picture itself.
    let bits = moved(bits, 1, 1, &["1", "1", "00", "1"]);
    let bits = moved(bits, 1, 2, &["00", "1", "01"]);
    // Long-term pictures; shape, overscan, colours and places of chroma samples.
    let bits = bits.u(1, 1).ue(2).u(0x1ff, 9).u(0, 9).u(3, 2).u(1, 1);
    let bits = bits.u(1, 1).u(255, 8).u(4, 16).u(3, 16).u(3, 2).u(1, 1).u(10, 4).u(1, 1);
    let bits = bits.u(0x01_0101, 24).u(1, 1).ue(1).ue(1).u(0, 3);
    let bits = bits.u(1, 1).ue(0).ue(7).ue(2).ue(9).u(1, 1).u(1001, 32).u(30_000, 32).u(0, 3);
    assert_eq!(h265_rate(&bits.u(0, 1).nal(&[0x42, 1], &[])), NTSC);
}

#[test]
fn more_reference_pictures_than_there_may_be_leave_the_rate_unknown() {
    let full = |bits: Writer, count| {
        (0..count).fold(bits.ue(count).ue(0), |bits, _| bits.ue(32_767).u(1, 1))
    };
    let same = |bits: Writer| moved(bits, 0, 32_767, &["1"; 17]);
    assert_eq!(h265_rate(&h265_tail(full(h265_sets(1), 16))), NTSC);
    assert_eq!(h265_rate(&h265_tail(full(h265_sets(1), 17))), None);
    assert_eq!(h265_rate(&h265_tail(same(full(h265_sets(2), 16)))), None, "17 by difference");
    let none = |count| {
        (0..count)
            .fold(h265_sets(count), |bits, n| if n > 0 { bits.u(0, 1) } else { bits }.ue(0).ue(0))
    };
    assert_eq!(h265_rate(&h265_tail(none(64))), NTSC);
    assert_eq!(h265_rate(&h265_tail(none(65))), None);
    let endless = h265_sets(1).ue(u32::MAX - 1).ue(0).u(u32::MAX, 32).u(u32::MAX, 32);
    assert_eq!(h265_rate(&h265_tail(endless)), None);
}

#[test]
fn a_set_broken_behind_its_size_is_still_a_set() {
    let whole = nal(H265_WINDOW);
    let (first, last) = (h265(&whole[..36]).unwrap(), h265(&whole).unwrap());
    assert_eq!(first, H265Sps { frame_rate: None, ..last });
    assert_eq!(h265_rate(&h265_tail(h265_sets(0))), NTSC);
    let zero = h265_sets(0).u(0, 1).u(3, 2).u(1, 1).u(0, 8).u(1, 1).u(0, 32).u(25, 32);
    assert_eq!(h265_rate(&zero.nal(&[0x42, 1], &[])), None);
}

#[test]
fn h264_sets_are_read_as_others_read_them() {
    let mut read = 0;
    for hex in [H264_PYRAMID, H264_HIGH, H264_BASELINE, "674d0028da01e0111f68"] {
        let whole = nal(hex);
        for bit in 0..=whole.len() * 8 {
            let mut nal = whole.clone();
            if let Some(byte) = nal.get_mut(bit / 8) {
                *byte ^= 1 << (bit % 8);
            }
            let bits = BitReader::new(ByteReader::skipping_h264_header(&nal[..]));
            let other = SeqParameterSet::from_bits(bits).ok();
            let Some(other) = other.filter(|sps| sps.pixel_dimensions().is_ok()) else { continue };
            let Some(sps) = h264(&nal) else { continue };
            assert_eq!(Ok(sps.dimensions), other.pixel_dimensions().map_err(drop), "{nal:02x?}");
            let timing = other.vui_parameters.and_then(|vui| vui.timing_info);
            let rate = timing.map(|t| (t.time_scale, t.num_units_in_tick.saturating_mul(2)));
            let sound = rate.filter(|rate| rate.0 > 0 && rate.1 > 0 && rate.1 < u32::MAX);
            assert_eq!(sps.frame_rate, sound, "{nal:02x?}");
            read += 1;
        }
    }
    assert!(read > 200, "{read}");
}

#[test]
fn a_stream_that_does_not_say_has_no_known_depth() {
    // Main profile, order count type 0, no VUI.
    assert_eq!(reorder_depth(&nal("674d001ee9014050")), None);
}

#[test]
fn any_cut_or_flipped_parameter_set_is_survived() {
    for hex in [H264_PYRAMID, H265_PYRAMID, H265_WINDOW] {
        let whole = nal(hex);
        let read = |nal: &[u8]| (h264(nal), h265(nal), h265_vps_frame_rate(nal));
        for cut in 0..whole.len() {
            read(&whole[..cut]);
        }
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            read(&flipped);
        }
    }
}
