//! What sequence parameter sets say: how large pictures are, how many a decoder must hold back, and
//! what slice headers and decoder configuration records need of them. Lenient: what is broken in
//! the last, optional part of a set is as if it were not there.

mod bits;
mod h264;
mod h265;

pub(crate) use bits::Bits;
pub(crate) use h264::{H264Sps, h264};
pub(crate) use h265::{H265Sps, h265, h265_vps_frame_rate};

/// No picture is wider or higher.
const LARGEST_SIDE: u32 = 16_384;

/// Width and height, if a picture may have them.
fn sound(width: u32, height: u32) -> Option<(u32, u32)> {
    let sound = |side| (1..=LARGEST_SIDE).contains(&side);
    (sound(width) && sound(height)).then_some((width, height))
}

#[cfg(test)]
#[path = "sps_tests.rs"]
mod tests;
