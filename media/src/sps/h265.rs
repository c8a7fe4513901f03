//! Sequence and video parameter sets of H.265 (ITU-T H.265 7.3.2.1, 7.3.2.2).

mod rate;

use super::sound;
use crate::bits::Bits;

/// `general_profile_space` to `general_level_idc` as they stand in a set, without emulation
/// prevention, and as a decoder configuration record has them.
pub(crate) type ProfileTierLevel = [u8; 12];

/// What the agent needs of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct H265Sps {
    /// `sps_seq_parameter_set_id`, at most 15.
    pub(crate) id: u8,
    /// `sps_video_parameter_set_id`.
    pub(crate) vps: u8,
    /// Width and height in pixels, as shown; `None` for a size no picture has.
    pub(crate) dimensions: Option<(u32, u32)>,
    /// `sps_max_num_reorder_pics` of the highest sub-layer.
    pub(crate) reorder_depth: usize,
    /// Profile, tier and level.
    pub(crate) profile: ProfileTierLevel,
    /// `chroma_format_idc`.
    pub(crate) chroma: u8,
    /// Bits of luma and chroma samples less 8, each at most 7.
    pub(crate) depths: [u8; 2],
    /// Temporal sub-layers, 1 to 8.
    pub(crate) layers: u8,
    /// `sps_temporal_id_nesting_flag`.
    pub(crate) nested: bool,
    /// Pictures per second as a fraction.
    pub(crate) frame_rate: Option<(u32, u32)>,
}

/// Reads a set (a NAL unit with its header).
pub(crate) fn h265(nal: &[u8]) -> Option<H265Sps> {
    let bits = &mut Bits::new(nal.get(2..)?);
    let vps = bits.read(4)? as u8;
    let sub_layers_minus1 = bits.read(3)?;
    let nested = bits.flag()?;
    let profile = profile_tier_level(bits, sub_layers_minus1)?;
    let id = bits.ue_up_to(15)? as u8;
    let chroma = bits.ue_up_to(3)?;
    if chroma == 3 {
        bits.skip(1)?; // separate_colour_plane_flag
    }
    let mut width = bits.ue()?;
    let mut height = bits.ue()?;
    if bits.flag()? {
        // The conformance window counts in chroma samples: left, right, top, bottom.
        let unit_x = if chroma == 1 || chroma == 2 { 2 } else { 1 };
        let unit_y = if chroma == 1 { 2 } else { 1 };
        for (side, unit) in [(&mut width, unit_x), (&mut height, unit_y)] {
            for _ in 0..2 {
                *side = side.saturating_sub(bits.ue()?.saturating_mul(unit));
            }
        }
    }
    let depths = [bits.ue_up_to(7)? as u8, bits.ue_up_to(7)? as u8];
    let order_bits = bits.ue()?; // log2_max_pic_order_cnt_lsb_minus4
    let reorder_depth = ordering(bits, sub_layers_minus1)? as usize;
    // A valid set has at most 12 here.
    let frame_rate = if order_bits > 12 { None } else { rate::frame_rate(bits, 4 + order_bits) };
    Some(H265Sps {
        id,
        vps,
        dimensions: sound(width, height),
        reorder_depth,
        profile,
        chroma: chroma as u8,
        depths,
        layers: sub_layers_minus1 as u8 + 1,
        nested,
        frame_rate,
    })
}

/// Frames per second as a fraction, where a video parameter set (a NAL unit with its header) says
/// them.
pub(crate) fn h265_vps_frame_rate(nal: &[u8]) -> Option<(u32, u32)> {
    let bits = &mut Bits::new(nal.get(2..)?);
    bits.skip(12)?; // vps_video_parameter_set_id to vps_max_layers_minus1
    let sub_layers_minus1 = bits.read(3)?;
    bits.skip(17)?; // vps_temporal_id_nesting_flag, vps_reserved_0xffff_16bits
    profile_tier_level(bits, sub_layers_minus1)?;
    ordering(bits, sub_layers_minus1)?;
    let largest_layer = bits.read(6)?;
    let layer_sets = bits.ue_up_to(1023)?;
    bits.skip(layer_sets * (largest_layer + 1))?; // layer_id_included_flag
    if bits.flag()? { rate::timing(bits) } else { None }
}

/// `max_num_reorder_pics` of the highest sub-layer.
fn ordering(bits: &mut Bits<'_>, sub_layers_minus1: u32) -> Option<u32> {
    let each = bits.flag()?;
    let mut depth = 0;
    for _ in 0..=if each { sub_layers_minus1 } else { 0 } {
        bits.ue()?; // max_dec_pic_buffering_minus1
        depth = bits.ue()?;
        bits.ue()?; // max_latency_increase_plus1
    }
    Some(depth)
}

fn profile_tier_level(bits: &mut Bits<'_>, sub_layers_minus1: u32) -> Option<ProfileTierLevel> {
    let mut general = [0; 12];
    for byte in &mut general {
        *byte = bits.read(8)? as u8;
    }
    let mut sub_layers = [0; 8];
    let sub_layers = sub_layers.get_mut(..sub_layers_minus1 as usize)?;
    for length in &mut *sub_layers {
        let profile = if bits.flag()? { 88 } else { 0 };
        *length = profile + if bits.flag()? { 8 } else { 0 };
    }
    if sub_layers_minus1 > 0 {
        bits.skip(2 * (8 - sub_layers_minus1))?; // reserved_zero_2bits
    }
    sub_layers.iter().try_for_each(|length| bits.skip(*length))?;
    Some(general)
}
