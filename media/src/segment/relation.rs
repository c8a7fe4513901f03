//! Decides whether a frame needs other parameters than its group, and a group others than its
//! segment.

use std::sync::Arc;

use crate::frame::{Frame, Track};
use crate::ts::Tracks;

/// How a frame relates to the group being formed.
pub enum Relation {
    /// The frame needs no other parameters than its group.
    Continues,
    /// A key frame has other parameters: a group begins with it.
    Begins,
    /// The parameters change inside a group: what follows cannot be decoded before the next key
    /// frame.
    Breaks,
    /// Sound has other parameters, or pictures join it: they wait for the next key picture.
    Waits,
}

impl Tracks {
    /// How a frame fits into a group of these tracks. The group's first sound is adopted.
    pub(super) fn relate(&mut self, frame: &Frame) -> Relation {
        let Self { video, audio } = self;
        match (&frame.track, video.as_ref(), audio.as_ref()) {
            (Track::Video(params), Some(known), _) if same(params, known) => Relation::Continues,
            (Track::Audio(params), _, Some(known)) if same(params, known) => Relation::Continues,
            (Track::Audio(params), _, None) => {
                *audio = Some(Arc::clone(params));
                Relation::Continues
            }
            (Track::Audio(_), Some(_), Some(_)) => Relation::Waits,
            _ if frame.key => Relation::Begins,
            (Track::Video(_), None, _) => Relation::Waits,
            _ => Relation::Breaks,
        }
    }

    /// Whether a group of the tracks `other` needs no other tables than these.
    pub(super) fn cover(&self, other: &Self) -> bool {
        let video = match (&self.video, &other.video) {
            (Some(a), Some(b)) => same(a, b),
            (a, b) => a.is_none() && b.is_none(),
        };
        let heard = |b| self.audio.as_ref().is_some_and(|a| same(a, b));
        video && other.audio.as_ref().is_none_or(heard)
    }
}

fn same<P: PartialEq>(a: &Arc<P>, b: &Arc<P>) -> bool {
    Arc::ptr_eq(a, b) || a == b
}
