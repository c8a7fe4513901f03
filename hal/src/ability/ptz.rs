//! Pan, tilt and zoom.

use std::time::Duration;

use async_trait::async_trait;

use crate::Result;

/// Moves a camera.
#[async_trait]
pub trait Ptz: Send + Sync {
    /// Begins to move, in the place of any movement that runs; a tour or patrol ends or waits, as the camera
    /// has it. The camera goes on until it is told otherwise: the caller sends `stop` in time, and a backend
    /// may let the camera stop by itself no earlier than [`LONGEST_MOVE`]. Answers within 8 s.
    ///
    /// # Errors
    /// `Unsupported` for a direction that the camera lacks, `Offline`, `Timeout`, `Refused` or `Other`.
    async fn start(&self, movement: Movement) -> Result<()>;
    /// Ends any movement; a success also where none runs. Answers within 8 s.
    ///
    /// # Errors
    /// `Offline`, `Timeout`, `Refused` or `Other`.
    async fn stop(&self) -> Result<()>;
}

/// Longest time that a movement runs without a further order.
pub const LONGEST_MOVE: Duration = Duration::from_secs(30);

/// A movement without an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Movement {
    /// Where to.
    pub direction: Direction,
    /// How fast: 0, the slowest that still moves, to 100, the fastest.
    pub speed: u8,
}

/// Where a camera can be moved to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Tilt up.
    Up,
    /// Tilt down.
    Down,
    /// Pan left.
    Left,
    /// Pan right.
    Right,
    /// Tilt up and pan left.
    UpLeft,
    /// Tilt up and pan right.
    UpRight,
    /// Tilt down and pan left.
    DownLeft,
    /// Tilt down and pan right.
    DownRight,
    /// Zoom in, to a smaller view.
    ZoomIn,
    /// Zoom out, to a wider view.
    ZoomOut,
}

impl Direction {
    /// Every direction.
    pub const ALL: [Self; 10] = [
        Self::Up,
        Self::Down,
        Self::Left,
        Self::Right,
        Self::UpLeft,
        Self::UpRight,
        Self::DownLeft,
        Self::DownRight,
        Self::ZoomIn,
        Self::ZoomOut,
    ];

    /// The signs of pan, tilt and zoom: right, up and in are 1, an axis that rests is 0.
    pub fn axes(self) -> [i8; 3] {
        match self {
            Self::Up => [0, 1, 0],
            Self::Down => [0, -1, 0],
            Self::Left => [-1, 0, 0],
            Self::Right => [1, 0, 0],
            Self::UpLeft => [-1, 1, 0],
            Self::UpRight => [1, 1, 0],
            Self::DownLeft => [-1, -1, 0],
            Self::DownRight => [1, -1, 0],
            Self::ZoomIn => [0, 0, 1],
            Self::ZoomOut => [0, 0, -1],
        }
    }
}

impl Movement {
    /// The speed on a camera's own scale, from `slowest` to `fastest` in even steps, rounded to the nearest.
    pub fn scaled(self, slowest: u16, fastest: u16) -> u16 {
        let (speed, span) =
            (u32::from(self.speed.min(100)), u32::from(fastest.saturating_sub(slowest)));
        let above = (speed * span + 50) / 100;
        slowest.saturating_add(u16::try_from(above).unwrap_or(u16::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_becomes_the_nearest_step_of_the_camera() {
        let scaled = |speed, slowest, fastest| {
            Movement { direction: Direction::Up, speed }.scaled(slowest, fastest)
        };
        for (speed, step) in [(0, 1), (7, 1), (8, 2), (50, 5), (93, 8), (100, 8), (255, 8)] {
            assert_eq!(scaled(speed, 1, 8), step, "{speed}");
        }
        assert_eq!(
            (scaled(0, 1, 100), scaled(100, 1, 100), scaled(50, 1, u16::MAX)),
            (1, 100, 32_768)
        );
    }
}
