//! What sequence parameter sets say: how many pictures a decoder must hold back and, of H.265,
//! how large they are.

use h264_reader::nal::sps::{PicOrderCntType, Profile, SeqParameterSet};
use h264_reader::rbsp::{BitRead, BitReader, BitReaderError, ByteReader};

/// No picture is wider or higher.
const LARGEST_SIDE: u32 = 16_384;

/// `max_num_reorder_frames` of an H.264 SPS (a NAL unit with its header), or 0 where the profile or
/// the order count type rules reordering out. `None` where the stream does not say.
pub fn h264_reorder_depth(nal: &[u8]) -> Option<usize> {
    let sps =
        SeqParameterSet::from_bits(BitReader::new(ByteReader::skipping_h264_header(nal))).ok()?;
    let restrictions = sps.vui_parameters.as_ref().and_then(|v| v.bitstream_restrictions.as_ref());
    if let Some(restrictions) = restrictions {
        return usize::try_from(restrictions.max_num_reorder_frames).ok();
    }
    // Baseline has no B slices; with type 2, output order is decode order (7.4.2.1.1).
    let never = matches!(sps.profile(), Profile::Baseline)
        || matches!(sps.pic_order_cnt, PicOrderCntType::TypeTwo);
    never.then_some(0)
}

/// The beginning of an H.265 SPS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct H265Sps {
    /// Width and height in pixels, as shown; `None` for a size no picture has.
    pub dimensions: Option<(u32, u32)>,
    /// `sps_max_num_reorder_pics` of the highest sub-layer.
    pub reorder_depth: usize,
}

/// Reads an H.265 SPS (a NAL unit with its header; ITU-T H.265 7.3.2.2.1).
pub fn h265(nal: &[u8]) -> Option<H265Sps> {
    let payload = nal.get(2..)?;
    read_h265(&mut BitReader::new(ByteReader::without_skip(payload))).ok()
}

fn read_h265(bits: &mut impl BitRead) -> Result<H265Sps, BitReaderError> {
    skip(bits, 4)?; // sps_video_parameter_set_id
    let sub_layers_minus1: u32 = bits.read::<u32>(3, "sps_max_sub_layers_minus1")?;
    skip(bits, 1)?; // sps_temporal_id_nesting_flag
    skip_profile_tier_level(bits, sub_layers_minus1)?;
    bits.read_ue("sps_seq_parameter_set_id")?;
    let chroma = bits.read_ue("chroma_format_idc")?;
    if chroma == 3 {
        skip(bits, 1)?; // separate_colour_plane_flag
    }
    let mut width = bits.read_ue("pic_width_in_luma_samples")?;
    let mut height = bits.read_ue("pic_height_in_luma_samples")?;
    if bits.read_bool("conformance_window_flag")? {
        // It counts in chroma samples: left, right, top, bottom.
        let unit_x = if chroma == 1 || chroma == 2 { 2 } else { 1 };
        let unit_y = if chroma == 1 { 2 } else { 1 };
        for (side, unit) in [(&mut width, unit_x), (&mut height, unit_y)] {
            for _ in 0..2 {
                let offset = bits.read_ue("conf_win_offset")?;
                *side = side.saturating_sub(offset.saturating_mul(unit));
            }
        }
    }
    bits.read_ue("bit_depth_luma_minus8")?;
    bits.read_ue("bit_depth_chroma_minus8")?;
    bits.read_ue("log2_max_pic_order_cnt_lsb_minus4")?;
    let each = bits.read_bool("sps_sub_layer_ordering_info_present_flag")?;
    let mut depth = 0;
    for _ in 0..=if each { sub_layers_minus1 } else { 0 } {
        bits.read_ue("sps_max_dec_pic_buffering_minus1")?;
        depth = bits.read_ue("sps_max_num_reorder_pics")?;
        bits.read_ue("sps_max_latency_increase_plus1")?;
    }
    let sound = |side| (1..=LARGEST_SIDE).contains(&side);
    let dimensions = (sound(width) && sound(height)).then_some((width, height));
    Ok(H265Sps { dimensions, reorder_depth: depth as usize })
}

fn skip_profile_tier_level(
    bits: &mut impl BitRead,
    sub_layers_minus1: u32,
) -> Result<(), BitReaderError> {
    skip(bits, 88 + 8)?; // the general profile and level
    let mut sub_layers = Vec::with_capacity(8);
    for _ in 0..sub_layers_minus1 {
        let profile = bits.read_bool("sub_layer_profile_present_flag")?;
        sub_layers.push((profile, bits.read_bool("sub_layer_level_present_flag")?));
    }
    if sub_layers_minus1 > 0 {
        skip(bits, 2 * (8 - sub_layers_minus1))?; // reserved_zero_2bits
    }
    for (profile, level) in sub_layers {
        skip(bits, if profile { 88 } else { 0 } + if level { 8 } else { 0 })?;
    }
    Ok(())
}

fn skip(bits: &mut impl BitRead, count: u32) -> Result<(), BitReaderError> {
    for _ in 0..count {
        bits.read_bool("skipped")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nal(hex: &str) -> Vec<u8> {
        let digits = hex.as_bytes().chunks(2);
        digits.map(|d| u8::from_str_radix(str::from_utf8(d).unwrap(), 16).unwrap()).collect()
    }

    // From x264 and x265, 320x180 at 25 fps.
    const H264_PYRAMID: &str = "6764000cacd941419f9f011000000300100000030320f1429960";
    const H264_HIGH: &str = "6764000cacb202833f3e0220000003002000000641e28549";
    const H264_BASELINE: &str = "6742c00cd901419f9f011000000300100000030320f142a480";
    const H265_PYRAMID: &str = "42010101600000030090000003000003003ca00a080b9f796565924caf01680800\
                                0003000800000300c840";
    const H265_PLAIN: &str = "42010101600000030090000003000003003ca00a080b9f7964a924caf016808000000\
                              3008000000c84";

    #[test]
    fn depth_is_read_from_the_parameter_sets_of_encoders() {
        assert_eq!(h264_reorder_depth(&nal(H264_PYRAMID)), Some(2));
        assert_eq!(h264_reorder_depth(&nal(H264_HIGH)), Some(0));
        assert_eq!(h264_reorder_depth(&nal(H264_BASELINE)), Some(0));
        for (hex, reorder_depth) in [(H265_PYRAMID, 2), (H265_PLAIN, 0)] {
            // Coded as 320x184: the rest is cut off by the conformance window.
            let dimensions = Some((320, 180));
            assert_eq!(h265(&nal(hex)), Some(H265Sps { dimensions, reorder_depth }));
        }
    }

    #[test]
    fn a_stream_that_does_not_say_has_no_known_depth() {
        // Main profile, order count type 0, no VUI.
        assert_eq!(h264_reorder_depth(&nal("674d001ee9014050")), None);
    }

    #[test]
    fn any_cut_or_flipped_parameter_set_is_survived() {
        for hex in [H264_PYRAMID, H265_PYRAMID] {
            let whole = nal(hex);
            let read = |nal: &[u8]| (h264_reorder_depth(nal), h265(nal));
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
}
