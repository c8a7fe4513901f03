//! Reads sequence parameter sets: how large pictures are, how many a decoder must hold back, and
//! what slice headers and decoder configuration records need of them. Lenient: what is broken in
//! the last, optional part of a set is as if it were not there.

mod h264;
mod h265;

pub(crate) use h264::{H264Sps, h264};
pub(crate) use h265::{H265Sps, h265, h265_vps_frame_rate};

use crate::bits::Bits;

/// Largest width and height of a picture, in pixels.
const LARGEST_SIDE: u32 = 16_384;

/// Width and height, if a picture may have them.
fn sound(width: u32, height: u32) -> Option<(u32, u32)> {
    let sound = |side| (1..=LARGEST_SIDE).contains(&side);
    (sound(width) && sound(height)).then_some((width, height))
}

/// Leaves out how pictures are shown: what usability information begins with (ITU-T H.264 E.1.1,
/// H.265 E.2.1).
fn skip_display(bits: &mut Bits<'_>) -> Option<()> {
    const EXTENDED_SAR: u32 = 255;
    if bits.flag()? && bits.read(8)? == EXTENDED_SAR {
        bits.skip(32)?;
    }
    if bits.flag()? {
        bits.skip(1)?; // overscan_appropriate_flag
    }
    if bits.flag()? {
        bits.skip(4)?; // video_format, video_full_range_flag
        if bits.flag()? {
            bits.skip(24)?; // colour description
        }
    }
    if bits.flag()? {
        bits.ue()?; // chroma_sample_loc_type_top_field
        bits.ue()?; // chroma_sample_loc_type_bottom_field
    }
    Some(())
}

#[cfg(test)]
#[path = "sps_tests.rs"]
mod tests;
