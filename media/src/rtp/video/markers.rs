//! Learns whether the marker bit says what it should: that a picture is complete.

use super::unit::Unit;

/// Pictures in a row whose marker must be right before markers are trusted.
const PROOF: u8 = 8;

/// What is known of a stream's markers. Those on fragments without the end bit are judged apart:
/// some cameras set them on every fragment, others never set the end bit.
#[derive(Debug, Default)]
pub(super) struct Markers {
    right: [u8; 2],
    refuted: bool,
}

impl Markers {
    /// Whether a marker, on an `open` fragment or not, ends the picture.
    pub(super) fn are_trusted(&self, open: bool) -> bool {
        !self.refuted && self.right[usize::from(open)] >= PROOF
    }

    /// Whether the marker of recent pictures was right.
    pub(super) fn are_likely(&self) -> bool {
        !self.refuted && self.right != [0, 0]
    }

    /// Notes that a picture went on after its marker was believed: markers are never believed
    /// again.
    pub(super) fn refute(&mut self) {
        self.refuted = true;
    }

    /// Whether a picture went on after its marker was believed.
    pub(super) fn are_refuted(&self) -> bool {
        self.refuted
    }

    /// Learns from a complete picture.
    pub(super) fn note(&mut self, unit: &Unit) {
        if unit.damaged || !unit.has_slice {
            return;
        }
        match unit.mark.first {
            Some(open) => {
                let right = &mut self.right[usize::from(open)];
                *right = if unit.mark.early { 0 } else { right.saturating_add(1).min(PROOF) };
            }
            None => self.right = [0, 0],
        }
    }
}
