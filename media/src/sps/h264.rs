//! Sequence parameter sets of H.264 (ITU-T H.264 7.3.2.1.1).

use super::{skip_display, sound};
use crate::bits::Bits;

const BASELINE: u32 = 66;
/// Profiles whose sets tell the chroma format.
const HIGH: [u32; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];

/// What the agent needs of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct H264Sps {
    /// `seq_parameter_set_id`, at most 31.
    pub(crate) id: u8,
    /// Width and height in pixels, as shown.
    pub(crate) dimensions: (u32, u32),
    /// Whether slices begin with the number of a colour plane.
    pub(crate) separate_planes: bool,
    /// Bits of `frame_num`.
    pub(crate) frame_num_bits: u32,
    /// Whether no picture is a field.
    pub(crate) frames_only: bool,
    /// `max_num_reorder_frames`, or 0 where the profile or the order count type rules reordering out.
    /// `None` where the stream does not say.
    pub(crate) reorder_depth: Option<usize>,
    /// Frames per second as a fraction, where the stream says so.
    pub(crate) frame_rate: Option<(u32, u32)>,
}

/// Reads a set (a NAL unit with its header).
pub(crate) fn h264(nal: &[u8]) -> Option<H264Sps> {
    let bits = &mut Bits::new(nal.get(1..)?);
    let profile = bits.read(8)?;
    bits.skip(16)?; // constraint flags, level_idc
    let id = bits.ue_up_to(31)? as u8;
    let (mut chroma, mut separate_planes) = (1, false);
    if HIGH.contains(&profile) {
        chroma = bits.ue_up_to(3)?;
        separate_planes = chroma == 3 && bits.flag()?;
        bits.ue()?; // bit_depth_luma_minus8
        bits.ue()?; // bit_depth_chroma_minus8
        bits.skip(1)?; // qpprime_y_zero_transform_bypass_flag
        if bits.flag()? {
            scaling_matrix(bits, if chroma == 3 { 12 } else { 8 })?;
        }
    }
    let frame_num_bits = 4 + bits.ue_up_to(12)?;
    let order_type = bits.ue_up_to(2)?;
    match order_type {
        0 => drop(bits.ue()?), // log2_max_pic_order_cnt_lsb_minus4
        1 => {
            bits.skip(1)?; // delta_pic_order_always_zero_flag
            bits.se()?; // offset_for_non_ref_pic
            bits.se()?; // offset_for_top_to_bottom_field
            for _ in 0..bits.ue_up_to(255)? {
                bits.se()?; // offset_for_ref_frame
            }
        }
        _ => {}
    }
    bits.ue()?; // max_num_ref_frames
    bits.skip(1)?; // gaps_in_frame_num_value_allowed_flag
    let side = |minus1: u32| minus1.saturating_add(1).saturating_mul(16);
    let mut width = side(bits.ue()?);
    let mut height = side(bits.ue()?);
    let frames_only = bits.flag()?;
    if !frames_only {
        height = height.saturating_mul(2);
        bits.skip(1)?; // mb_adaptive_frame_field_flag
    }
    bits.skip(1)?; // direct_8x8_inference_flag
    if bits.flag()? {
        // The cropping rectangle counts in chroma samples, of a field where pictures may be fields.
        let planar = chroma == 0 || separate_planes;
        let unit_x = if !planar && chroma < 3 { 2 } else { 1 };
        let unit_y = if !planar && chroma == 1 { 2 } else { 1 } * if frames_only { 1 } else { 2 };
        for (side, unit) in [(&mut width, unit_x), (&mut height, unit_y)] {
            for _ in 0..2 {
                *side = side.saturating_sub(bits.ue()?.saturating_mul(unit));
            }
        }
    }
    let dimensions = sound(width, height)?;
    let vui = if bits.flag() == Some(true) { vui(bits) } else { Vui::default() };
    // Baseline has no B slices; with type 2, output order is decode order (7.4.2.1.1).
    let never = profile == BASELINE || order_type == 2;
    let reorder_depth = vui.reorder_depth.or(never.then_some(0));
    let frame_rate = vui.frame_rate;
    Some(H264Sps {
        id,
        dimensions,
        separate_planes,
        frame_num_bits,
        frames_only,
        reorder_depth,
        frame_rate,
    })
}

fn scaling_matrix(bits: &mut Bits<'_>, lists: usize) -> Option<()> {
    for list in 0..lists {
        if !bits.flag()? {
            continue;
        }
        let (mut last, mut next) = (8, 8);
        for _ in 0..if list < 6 { 16 } else { 64 } {
            if next != 0 {
                next = (last + bits.se()?).rem_euclid(256);
            }
            last = if next == 0 { last } else { next };
        }
    }
    Some(())
}

#[derive(Default)]
struct Vui {
    frame_rate: Option<(u32, u32)>,
    reorder_depth: Option<usize>,
}

/// What can be read of the usability information (E.1.1).
fn vui(bits: &mut Bits<'_>) -> Vui {
    let mut vui = Vui::default();
    read_vui(bits, &mut vui);
    vui
}

fn read_vui(bits: &mut Bits<'_>, vui: &mut Vui) -> Option<()> {
    skip_display(bits)?;
    if bits.flag()? {
        // A tick is the time of a field.
        let tick = bits.read(32)?.checked_mul(2);
        let scale = bits.read(32)?;
        vui.frame_rate = tick.filter(|tick| *tick > 0 && scale > 0).map(|tick| (scale, tick));
        bits.skip(1)?; // fixed_frame_rate_flag
    }
    let nal_hrd = bits.flag()?;
    if nal_hrd {
        hrd(bits)?;
    }
    let vcl_hrd = bits.flag()?;
    if vcl_hrd {
        hrd(bits)?;
    }
    if nal_hrd || vcl_hrd {
        bits.skip(1)?; // low_delay_hrd_flag
    }
    bits.skip(1)?; // pic_struct_present_flag
    if bits.flag()? {
        bits.skip(1)?; // motion_vectors_over_pic_boundaries_flag
        for _ in 0..4 {
            bits.ue()?; // max_bytes_per_pic_denom to log2_max_mv_length_vertical
        }
        vui.reorder_depth = Some(bits.ue_up_to(16)? as usize);
    }
    Some(())
}

fn hrd(bits: &mut Bits<'_>) -> Option<()> {
    let cpbs = bits.ue_up_to(31)? + 1;
    bits.skip(8)?; // bit_rate_scale, cpb_size_scale
    for _ in 0..cpbs {
        bits.ue()?; // bit_rate_value_minus1
        bits.ue()?; // cpb_size_value_minus1
        bits.skip(1)?; // cbr_flag
    }
    bits.skip(20) // lengths of delays and of the time offset
}
