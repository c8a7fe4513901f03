//! Beginning in the middle of a stream: the pictures that cannot be decoded then.

use crate::frame::Frame;

/// Leaves out the leading pictures of the key frame that somebody began at. They stand between that
/// key frame and the next picture that is none of them (ITU-T H.265, 3.1: they precede all trailing
/// pictures in decoding order).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Join {
    /// Whether nothing before the newest key frame was decoded.
    began: bool,
}

impl Join {
    /// Notes that a reader begins at a key frame, with nothing from before it.
    pub(crate) fn begin(&mut self) {
        self.began = true;
    }

    /// Whether a frame behind the one that was begun at can be decoded.
    pub(crate) fn admits(&mut self, frame: &Frame) -> bool {
        if !self.began || !frame.is_video() {
            return true;
        }
        self.began = frame.leading;
        !frame.leading
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::testing::{picture, sound};

    #[test]
    fn leading_pictures_are_left_out_up_to_the_next_that_is_none() {
        let now = Instant::now();
        let other = |leading| Frame { leading, ..picture(false, 0, 1, now) };
        let mut join = Join::default();
        assert!(join.admits(&other(true)), "in flow they are as good as any");
        join.begin();
        assert!(!join.admits(&other(true)));
        assert!(join.admits(&sound(0, now)));
        assert!(!join.admits(&other(true)));
        assert!(join.admits(&other(false)));
        assert!(join.admits(&other(true)), "of a later key frame");
        join.begin();
        assert!(join.admits(&picture(true, 0, 1, now)));
        assert!(join.admits(&other(true)));
    }
}
