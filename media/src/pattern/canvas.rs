//! The plane on which the test pattern is drawn, in the layout of a coded picture.

use super::font::glyph;

/// Luma and both chroma samples, in the range of video (16 to 235 and 16 to 240).
pub(super) type Colour = [u8; 3];

/// A picture of whole macroblocks, 4:2:0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Canvas {
    /// Width in samples, a multiple of 16; also the length of a row of luma.
    pub(super) width: usize,
    /// Height in samples, a multiple of 16.
    pub(super) height: usize,
    /// Luma, then both chroma planes, which have half the width and height.
    pub(super) planes: [Vec<u8>; 3],
}

/// Width and height of a cell of text on a scale of 1, in samples.
pub(super) const CELL: (usize, usize) = (8, 16);

const WHITE: u8 = 235;

impl Canvas {
    pub(super) fn new(width: usize, height: usize, [y, cb, cr]: Colour) -> Self {
        let luma = width * height;
        Self { width, height, planes: [vec![y; luma], vec![cb; luma / 4], vec![cr; luma / 4]] }
    }

    /// Fills a rectangle, as far as it is on the canvas. Its edges move to even samples.
    pub(super) fn fill(&mut self, (x, y): (usize, usize), (w, h): (usize, usize), colour: Colour) {
        let right = (x + w).min(self.width) / 2;
        let bottom = (y + h).min(self.height) / 2;
        let (left, top) = ((x / 2).min(right), (y / 2).min(bottom));
        for (plane, sample) in colour.into_iter().enumerate() {
            let (shift, row_length) =
                if plane == 0 { (1, self.width) } else { (0, self.width / 2) };
            for row in top << shift..bottom << shift {
                let start = row * row_length;
                self.planes[plane][start + (left << shift)..start + (right << shift)].fill(sample);
            }
        }
    }

    /// Draws text from a cell on, in white over what is there, as far as it is on the canvas.
    pub(super) fn text(&mut self, (column, row): (usize, usize), scale: usize, text: &str) {
        let columns = self.width / (CELL.0 * scale);
        for (column, letter) in (column..columns).zip(text.chars()) {
            let left = (column * CELL.0 + 1) * scale;
            for (line, dots) in glyph(letter).into_iter().enumerate() {
                let top = (row * CELL.1 + 1 + 2 * line) * scale;
                for dot in (0..5).filter(|dot| dots >> (4 - dot) & 1 == 1) {
                    for y in top..top + 2 * scale {
                        let start = y * self.width + left + dot * scale;
                        self.planes[0][start..start + scale].fill(WHITE);
                    }
                }
            }
        }
    }
}
