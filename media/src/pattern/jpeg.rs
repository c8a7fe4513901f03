//! A canvas as a JPEG file (ITU-T T.81, baseline), with code tables so even that they need no list.

use std::f32::consts::{FRAC_1_SQRT_2, PI};

use super::bit_writer::BitWriter;
use super::canvas::Canvas;

/// Every step of quantisation.
const STEP: u8 = 8;
/// Lengths of numbers that a code of the DC table can stand for.
const DC_CODES: u8 = 12;

/// The upper left part of the canvas, of this size.
pub(super) fn encode(canvas: &Canvas, (width, height): (u16, u16)) -> Vec<u8> {
    let mut file = vec![0xff, 0xd8];
    segment(&mut file, 0xe0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0");
    segment(&mut file, 0xdb, &[&[0][..], &[STEP; 64]].concat());
    let ([h1, h0], [w1, w0]) = (height.to_be_bytes(), width.to_be_bytes());
    let frame = [8, h1, h0, w1, w0, 3, 1, 0x22, 0, 2, 0x11, 0, 3, 0x11, 0];
    segment(&mut file, 0xc0, &frame);
    // All DC codes have 4 bits and all AC codes 8, in the order of `ac_code`.
    let mut dc = vec![0; 17];
    dc[4] = DC_CODES;
    dc.extend(0..DC_CODES);
    segment(&mut file, 0xc4, &dc);
    let mut ac = vec![0; 17];
    (ac[0], ac[8]) = (0x10, 162);
    ac.extend([0x00, 0xf0]);
    ac.extend((0..16).flat_map(|run| (1..=10).map(move |size| run << 4 | size)));
    segment(&mut file, 0xc4, &ac);
    segment(&mut file, 0xda, &[3, 1, 0, 2, 0, 3, 0, 0, 63, 0]);
    for byte in scan(canvas) {
        file.push(byte);
        if byte == 0xff {
            file.push(0);
        }
    }
    file.extend([0xff, 0xd9]);
    file
}

fn segment(file: &mut Vec<u8>, marker: u8, body: &[u8]) {
    file.extend([0xff, marker]);
    file.extend((body.len() as u16 + 2).to_be_bytes());
    file.extend_from_slice(body);
}

/// The entropy-coded data, before bytes of 0xff are marked.
fn scan(canvas: &Canvas) -> Vec<u8> {
    let (waves, order) = (waves(), zigzag());
    let mut bits = BitWriter::default();
    let mut last = [0; 3];
    for row in 0..canvas.height / 16 {
        for column in 0..canvas.width / 16 {
            let luma = [(0, 0), (1, 0), (0, 1), (1, 1)];
            let luma = luma.map(|(x, y)| (0, 2 * column + x, 2 * row + y));
            for (plane, x, y) in luma.into_iter().chain([(1, column, row), (2, column, row)]) {
                let samples = samples(canvas, plane, x, y);
                let coefficients = transform(&samples, &waves);
                write(&mut bits, &coefficients, &order, &mut last[plane]);
            }
        }
    }
    bits.align(1);
    bits.into_bytes()
}

/// A block of samples around zero, of the full range that JPEG has.
fn samples(canvas: &Canvas, plane: usize, x: usize, y: usize) -> [f32; 64] {
    let length = if plane == 0 { canvas.width } else { canvas.width / 2 };
    let (middle, range) = if plane == 0 { (125.5, 255.0 / 219.0) } else { (128.0, 255.0 / 224.0) };
    std::array::from_fn(|at| {
        let sample = canvas.planes[plane][(8 * y + at / 8) * length + 8 * x + at % 8];
        (f32::from(sample) - middle) * range
    })
}

/// The quantised coefficients of a block, in rows (A.3.3).
fn transform(samples: &[f32; 64], waves: &[[f32; 8]; 8]) -> [i32; 64] {
    let step = f32::from(STEP);
    if samples.iter().all(|sample| *sample == samples[0]) {
        let mut flat = [0; 64];
        flat[0] = (samples[0] * 8.0 / step).round() as i32;
        return flat;
    }
    let across: [f32; 64] = std::array::from_fn(|at| {
        let (row, wave) = (at / 8, waves[at % 8]);
        (0..8).map(|x| samples[8 * row + x] * wave[x]).sum()
    });
    std::array::from_fn(|at| {
        let (wave, column) = (waves[at / 8], at % 8);
        let sum: f32 = (0..8).map(|y| across[8 * y + column] * wave[y]).sum();
        (sum / step).round() as i32
    })
}

/// The eight cosine waves, scaled.
fn waves() -> [[f32; 8]; 8] {
    std::array::from_fn(|u| {
        let scale = if u == 0 { FRAC_1_SQRT_2 / 2.0 } else { 0.5 };
        std::array::from_fn(|x| scale * ((2 * x + 1) as f32 * u as f32 * PI / 16.0).cos())
    })
}

/// The places of a block in the order in which they are coded (figure A.6).
fn zigzag() -> Vec<usize> {
    let mut order: Vec<usize> = (0..64).collect();
    order.sort_by_key(|at| {
        let (row, column) = (at / 8, at % 8);
        let diagonal = row + column;
        (diagonal, if diagonal % 2 == 0 { column } else { row })
    });
    order
}

/// Codes a block (F.1.2).
fn write(bits: &mut BitWriter, block: &[i32; 64], order: &[usize], last: &mut i32) {
    let difference = block[0] - *last;
    *last = block[0];
    let size = size(difference);
    bits.put(size, 4);
    bits.put(number(difference, size), size);
    let mut run = 0;
    for coefficient in order[1..].iter().map(|at| block[*at].clamp(-1023, 1023)) {
        if coefficient == 0 {
            run += 1;
            continue;
        }
        while run > 15 {
            bits.put(1, 8);
            run -= 16;
        }
        let size = self::size(coefficient);
        bits.put(2 + run * 10 + size - 1, 8);
        bits.put(number(coefficient, size), size);
        run = 0;
    }
    if run > 0 {
        bits.put(0, 8);
    }
}

/// Bits that the size of a number takes.
fn size(value: i32) -> u32 {
    32 - value.unsigned_abs().leading_zeros()
}

/// The bits of a number: negative ones are counted from the least (table F.1).
fn number(value: i32, size: u32) -> u32 {
    if value < 0 { (value + (1 << size) - 1) as u32 } else { value as u32 }
}
