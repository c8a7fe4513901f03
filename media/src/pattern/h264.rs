//! Pictures as H.264 without loss and without an encoder's work (ITU-T H.264, Baseline): macroblocks that stay
//! are skipped, those that continue the row above or the column to the left are predicted from it without a
//! residual, all others are sent as samples (I_PCM). What a decoder shows is exactly what was drawn.

use super::bit_writer::BitWriter;
use super::canvas::Canvas;

/// `nal_unit_type` with the highest `nal_ref_idc`.
const IDR: u8 = 0x65;
const NON_IDR: u8 = 0x61;
const SPS: u8 = 0x67;
const PPS: u8 = 0x68;
/// Level 3.
const LEVEL: u32 = 30;
/// `mb_type` of a macroblock of samples in an I slice (table 7-11).
const I_PCM: u32 = 25;
/// What precedes the types of table 7-11 in a P slice (table 7-13).
const INTRA_IN_P: u32 = 5;

/// Encodes the pictures of one stream.
#[derive(Debug)]
pub(super) struct Encoder {
    previous: Option<Canvas>,
    frame_num: u32,
    idr_id: u32,
}

/// How a macroblock continues its neighbours.
#[derive(Clone, Copy, Debug)]
enum Prediction {
    Vertical,
    Horizontal,
}

/// What a slice needs to know of the macroblocks before.
struct Slice<'a> {
    bits: BitWriter,
    canvas: &'a Canvas,
    previous: Option<&'a Canvas>,
    /// Whether each macroblock so far is one of samples.
    samples: Vec<bool>,
    /// Macroblocks skipped since the last one that was written.
    skipped: u32,
}

impl Encoder {
    pub(super) fn new() -> Self {
        Self { previous: None, frame_num: 0, idr_id: 0 }
    }

    /// A NAL unit after its 4-byte length; a key frame if asked for, or where there is no picture before.
    pub(super) fn encode(&mut self, canvas: Canvas, key: bool) -> Vec<u8> {
        let previous = self.previous.take().filter(|_| !key);
        let mut bits = BitWriter::default();
        bits.ue(0); // first_mb_in_slice
        bits.ue(if previous.is_some() { 5 } else { 7 }); // slice_type: all slices are P, or I
        bits.ue(0); // pic_parameter_set_id
        if previous.is_some() {
            self.frame_num = (self.frame_num + 1) % 16;
            bits.put(self.frame_num, 4);
            bits.put(0, 1); // num_ref_idx_active_override_flag
            bits.put(0, 1); // ref_pic_list_modification_flag_l0
            bits.put(0, 1); // adaptive_ref_pic_marking_mode_flag
        } else {
            (self.frame_num, self.idr_id) = (0, (self.idr_id + 1) % 2);
            bits.put(0, 4);
            bits.ue(self.idr_id);
            bits.put(0, 2); // no_output_of_prior_pics_flag, long_term_reference_flag
        }
        bits.ue(0); // slice_qp_delta, se(0)
        bits.ue(1); // disable_deblocking_filter_idc
        let header = if previous.is_some() { NON_IDR } else { IDR };
        let samples = Vec::with_capacity(canvas.width * canvas.height / 256);
        let canvas_ref = &canvas;
        let slice =
            Slice { bits, canvas: canvas_ref, previous: previous.as_ref(), samples, skipped: 0 };
        let payload = slice.write();
        self.previous = Some(canvas);
        let nal = nal(header, payload);
        let length = u32::try_from(nal.len()).unwrap_or(u32::MAX);
        [&length.to_be_bytes()[..], &nal].concat()
    }
}

impl Slice<'_> {
    fn write(mut self) -> Vec<u8> {
        for row in 0..self.canvas.height / 16 {
            for column in 0..self.canvas.width / 16 {
                self.macroblock(column, row);
            }
        }
        if self.skipped > 0 {
            self.bits.ue(self.skipped);
        }
        trailing(self.bits)
    }

    fn macroblock(&mut self, column: usize, row: usize) {
        let mut kind_base = 0;
        if let Some(previous) = self.previous {
            if (0..3).all(|plane| same(self.canvas, previous, plane, column, row)) {
                self.skipped += 1;
                self.samples.push(false);
                return;
            }
            self.bits.ue(self.skipped);
            self.skipped = 0;
            kind_base = INTRA_IN_P;
        }
        let luma = prediction(self.canvas, &[0], column, row);
        let chroma = prediction(self.canvas, &[1, 2], column, row);
        let (Some(luma), Some(chroma)) = (luma, chroma) else {
            self.bits.ue(kind_base + I_PCM);
            self.bits.align(0);
            for plane in 0..3 {
                for line in block(self.canvas, plane, column, row) {
                    self.bits.bytes(line);
                }
            }
            self.samples.push(true);
            return;
        };
        // Intra_16x16 without coefficients: its types begin at 1, ordered by the prediction.
        self.bits.ue(kind_base + if matches!(luma, Prediction::Vertical) { 1 } else { 2 });
        self.bits.ue(if matches!(chroma, Prediction::Vertical) { 2 } else { 1 });
        self.bits.ue(0); // mb_qp_delta, se(0)
        // No coefficient: the code depends on how many the neighbours have, 16 or none (9.2.1).
        let width = self.canvas.width / 16;
        let at = self.samples.len();
        let left = column > 0 && self.samples[at - 1];
        let above = row > 0 && self.samples[at - width];
        if left || above {
            self.bits.put(0b11, 6)
        } else {
            self.bits.put(1, 1)
        }
        self.samples.push(false);
    }
}

/// Sets for a stream of this size; `shown` is the height that is shown.
pub(super) fn parameter_sets(
    (width, height): (u32, u32),
    shown: u32,
    fps: u32,
) -> (Vec<u8>, Vec<u8>) {
    let mut sps = BitWriter::default();
    sps.put(66, 8); // profile_idc: Baseline
    sps.put(0xc0, 8); // Constrained Baseline, and Main too
    sps.put(LEVEL, 8);
    sps.ue(0); // seq_parameter_set_id
    sps.ue(0); // log2_max_frame_num_minus4
    sps.ue(2); // pic_order_cnt_type: pictures are shown in the order of decoding
    sps.ue(1); // max_num_ref_frames
    sps.put(0, 1); // gaps_in_frame_num_value_allowed_flag
    sps.ue(width / 16 - 1);
    sps.ue(height / 16 - 1);
    sps.put(0b11, 2); // frame_mbs_only_flag, direct_8x8_inference_flag
    sps.put(1, 1); // frame_cropping_flag
    [0, 0, 0, (height - shown) / 2].into_iter().for_each(|edge| sps.ue(edge));
    sps.put(1, 1); // vui_parameters_present_flag
    sps.put(0, 4); // aspect ratio, overscan, signal type, chroma location: not told
    sps.put(1, 1); // timing_info_present_flag
    sps.put(1, 32); // num_units_in_tick
    sps.put(2 * fps, 32); // time_scale, which counts fields
    sps.put(1, 1); // fixed_frame_rate_flag
    sps.put(0, 3); // no HRD, no pic_struct
    sps.put(0b11, 2); // bitstream_restriction_flag, motion_vectors_over_pic_boundaries_flag
    // No limits of bytes and bits, no vectors, nothing reordered, one picture kept.
    [0, 0, 0, 0, 0, 1].into_iter().for_each(|value| sps.ue(value));
    let mut pps = BitWriter::default();
    pps.ue(0); // pic_parameter_set_id
    pps.ue(0); // seq_parameter_set_id
    pps.put(0, 2); // CAVLC, bottom_field_pic_order_in_frame_present_flag
    [0, 0, 0].into_iter().for_each(|value| pps.ue(value)); // slice groups, references
    pps.put(0, 3); // no weighted prediction
    [0, 0, 0].into_iter().for_each(|value| pps.ue(value)); // quantisers, se(0)
    pps.put(0b100, 3); // deblocking_filter_control_present_flag
    (nal(SPS, trailing(sps)), nal(PPS, trailing(pps)))
}

/// The rows of a macroblock in a plane.
fn block(
    canvas: &Canvas,
    plane: usize,
    column: usize,
    row: usize,
) -> impl Iterator<Item = &[u8]> + '_ {
    let (side, length) = if plane == 0 { (16, canvas.width) } else { (8, canvas.width / 2) };
    let from = row * side * length + column * side;
    canvas.planes[plane][from..].chunks(length).take(side).map(move |line| &line[..side])
}

fn same(a: &Canvas, b: &Canvas, plane: usize, column: usize, row: usize) -> bool {
    block(a, plane, column, row).eq(block(b, plane, column, row))
}

/// How the macroblock continues its neighbours in all of `planes`.
fn prediction(canvas: &Canvas, planes: &[usize], column: usize, row: usize) -> Option<Prediction> {
    let vertical = |plane: &usize| {
        let above = block(canvas, *plane, column, row - 1).last();
        above.is_some_and(|above| block(canvas, *plane, column, row).all(|line| line == above))
    };
    let horizontal = |plane: &usize| {
        let left = block(canvas, *plane, column - 1, row);
        let mut lines = block(canvas, *plane, column, row).zip(left);
        // A row is of one value if it is the same one sample further on.
        lines.all(|(line, left)| line[1..] == line[..line.len() - 1] && line.first() == left.last())
    };
    if row > 0 && planes.iter().all(vertical) {
        return Some(Prediction::Vertical);
    }
    (column > 0 && planes.iter().all(horizontal)).then_some(Prediction::Horizontal)
}

/// Ends a payload (7.3.2.11).
fn trailing(mut bits: BitWriter) -> Vec<u8> {
    bits.put(1, 1);
    bits.align(0);
    bits.into_bytes()
}

/// A NAL unit with its emulation prevention bytes (7.4.1).
fn nal(header: u8, payload: Vec<u8>) -> Vec<u8> {
    let mut nal = Vec::with_capacity(payload.len() + 16);
    nal.push(header);
    let mut zeros = 0;
    for byte in payload {
        if zeros >= 2 && byte <= 3 {
            nal.push(3);
            zeros = 0;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        nal.push(byte);
    }
    nal
}
