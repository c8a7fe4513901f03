//! The tripwire: an area that nobody may enter.

use async_trait::async_trait;

use super::detection::Detection;
use crate::Result;

/// Sets up the tripwire.
#[async_trait]
pub trait Tripwire: Send + Sync {
    /// Sets up the tripwire; without an area, the one that the camera has stays. Answers within 8 s.
    ///
    /// # Errors
    /// `Unsupported`, `Offline`, `Timeout`, `Refused` or `Other`.
    async fn configure(&self, detection: Detection, area: Option<Area>) -> Result<()>;

    /// What of a detection the camera has no place for, of "sensitivity", "delay" and "area": it is left out.
    #[cfg(feature = "profiles")]
    fn lacks(&self) -> Vec<&'static str> {
        Vec::new()
    }
}

/// A four-cornered area of the picture: upper left, upper right, lower right and lower left corner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area(pub [Point; 4]);

/// A point of the picture, in percent from its upper left corner, 0 to 100 each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// From left to right.
    pub x: u8,
    /// From top to bottom.
    pub y: u8,
}

impl Area {
    /// Upper left and lower right corner of the smallest upright rectangle that holds the area.
    pub fn bounds(self) -> [Point; 2] {
        let fold = |pick: fn(u8, u8) -> u8| {
            let [first, rest @ ..] = self.0;
            rest.iter().fold(first, |a, b| Point { x: pick(a.x, b.x), y: pick(a.y, b.y) })
        };
        [fold(u8::min), fold(u8::max)]
    }
}

impl Point {
    /// Where the point is on a camera's grid whose last column or row is `last`: x and y.
    pub fn scaled(self, last: u32) -> (u32, u32) {
        let scale = |percent: u8| (u32::from(percent.min(100)) * last + 50) / 100;
        (scale(self.x), scale(self.y))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_area_is_scaled_and_bounded() {
        let point = |x, y| Point { x, y };
        let area = Area([point(10, 20), point(90, 5), point(80, 100), point(0, 60)]);
        assert_eq!(area.bounds(), [point(0, 5), point(90, 100)]);
        assert_eq!(point(50, 100).scaled(8191), (4096, 8191));
        assert_eq!(point(0, 100).scaled(1000), (0, 1000));
    }
}
