//! Reads the rate of the pictures, which stands behind all else that a sequence parameter set of
//! H.265 says of coding (ITU-T H.265 7.3.2.2.1).

use crate::bits::Bits;
use crate::sps::skip_display;

/// Most short-term reference picture sets of a sequence parameter set (7.4.3.2.1).
const MOST_SHORT_TERM: u32 = 64;
/// Most long-term reference pictures of a sequence parameter set (7.4.3.2.1).
const MOST_LONG_TERM: u32 = 32;
/// Most pictures of a reference picture set, since no more are kept for reference (A.4.2).
const MOST_PICTURES: usize = 16;
/// Largest difference of two picture order counts, less 1 (7.4.8).
const MOST_DISTANCE: u32 = (1 << 15) - 1;

/// Pictures per second as a fraction. `bits` are behind `sps_max_latency_increase_plus1`, and
/// picture order counts have `order_bits` in slice headers.
pub(super) fn frame_rate(bits: &mut Bits<'_>, order_bits: u32) -> Option<(u32, u32)> {
    for _ in 0..6 {
        bits.ue()?; // log2_min_luma_coding_block_size_minus3 to max_transform_hierarchy_depth_intra
    }
    if bits.flag()? && bits.flag()? {
        scaling_lists(bits)?;
    }
    bits.skip(2)?; // amp_enabled_flag, sample_adaptive_offset_enabled_flag
    if bits.flag()? {
        bits.skip(8)?; // pcm_sample_bit_depth_luma_minus1, pcm_sample_bit_depth_chroma_minus1
        bits.ue()?; // log2_min_pcm_luma_coding_block_size_minus3
        bits.ue()?; // log2_diff_max_min_pcm_luma_coding_block_size
        bits.skip(1)?; // pcm_loop_filter_disabled_flag
    }
    let mut pictures = Pictures::default();
    for n in 0..bits.ue_up_to(MOST_SHORT_TERM)? {
        pictures =
            if n > 0 && bits.flag()? { pictures.moved(bits)? } else { Pictures::read(bits)? };
    }
    if bits.flag()? {
        // lt_ref_pic_poc_lsb_sps, used_by_curr_pic_lt_sps_flag
        let count = bits.ue_up_to(MOST_LONG_TERM)?;
        bits.skip(count * (order_bits + 1))?;
    }
    bits.skip(2)?; // sps_temporal_mvp_enabled_flag, strong_intra_smoothing_enabled_flag
    if !bits.flag()? {
        return None;
    }
    skip_display(bits)?;
    bits.skip(3)?; // neutral_chroma_indication_flag to frame_field_info_present_flag
    if bits.flag()? {
        for _ in 0..4 {
            bits.ue()?; // default display window
        }
    }
    if bits.flag()? { timing(bits) } else { None }
}

/// Reads `num_units_in_tick` and `time_scale` as pictures per second; `None` where they are no
/// rate. A tick is the time of a picture.
pub(super) fn timing(bits: &mut Bits<'_>) -> Option<(u32, u32)> {
    let (tick, scale) = (bits.read(32)?, bits.read(32)?);
    (tick > 0 && scale > 0).then_some((scale, tick))
}

/// Leaves out `scaling_list_data` (7.3.4).
fn scaling_lists(bits: &mut Bits<'_>) -> Option<()> {
    // For blocks of 4, 8, 16 and 32 samples: the number of lists, and the codes of one that is not
    // predicted.
    for (lists, codes) in [(6, 16), (6, 64), (6, 1 + 64), (2, 1 + 64)] {
        for _ in 0..lists {
            for _ in 0..if bits.flag()? { codes } else { 1 } {
                bits.ue()?; // a signed code is as long
            }
        }
    }
    Some(())
}

/// A short-term reference picture set: how far from a picture others are that it may refer to
/// (7.3.7, 7.4.8). Pictures that come before it in output order are at negative distances.
#[derive(Default)]
struct Pictures {
    /// Distances in ascending order, `count` of them; none is 0.
    distances: [i32; MOST_PICTURES],
    count: usize,
    negative: usize,
}

impl Pictures {
    /// Reads a set that stands on its own.
    fn read(bits: &mut Bits<'_>) -> Option<Self> {
        let mut read = Self::default();
        let [negative, positive] = [bits.ue()?, bits.ue()?];
        for (count, sign) in [(negative, -1), (positive, 1)] {
            let mut distance = 0;
            for _ in 0..count {
                distance += sign * (bits.ue_up_to(MOST_DISTANCE)? as i32 + 1);
                bits.skip(1)?; // used_by_curr_pic_s0_flag, used_by_curr_pic_s1_flag
                read.push(distance)?;
            }
            if sign < 0 {
                // The nearest is written first.
                read.distances.get_mut(..read.count)?.reverse();
            }
        }
        Some(read)
    }

    /// Reads a set that is told by its difference from this one, which belongs to a picture some
    /// way off.
    fn moved(&self, bits: &mut Bits<'_>) -> Option<Self> {
        let sign = if bits.flag()? { -1 } else { 1 };
        let way = sign * (bits.ue_up_to(MOST_DISTANCE)? as i32 + 1);
        let (negative, positive) =
            self.distances.get(..self.count)?.split_at_checked(self.negative)?;
        // Flags come for the pictures before from the nearest on, for those after from the nearest
        // on, and for the picture itself.
        let mut kept = [false; MOST_PICTURES + 1];
        let kept = kept.get_mut(..=self.count)?;
        for flag in &mut *kept {
            *flag = bits.flag()? || bits.flag()?; // used_by_curr_pic_flag, use_delta_flag
        }
        let (itself, others) = kept.split_last()?;
        let (before, after) = others.split_at_checked(self.negative)?;
        let mut moved = Self::default();
        let before = negative.iter().zip(before.iter().rev());
        let after = positive.iter().zip(after);
        for (distance, kept) in before.chain([(&0, itself)]).chain(after) {
            if *kept && distance + way != 0 {
                moved.push(distance + way)?;
            }
        }
        Some(moved)
    }

    fn push(&mut self, distance: i32) -> Option<()> {
        *self.distances.get_mut(self.count)? = distance;
        self.count += 1;
        self.negative += usize::from(distance < 0);
        Some(())
    }
}
