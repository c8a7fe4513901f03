//! What became of segments since somebody looked, for the device's page.

use std::time::Duration;

use super::entry::Entry;
use crate::record::Start;

/// Most marks that wait for somebody to look. Older ones are dropped.
#[cfg(feature = "ui")]
const MOST: usize = 256;

/// What became of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// It waits for its upload.
    Waiting,
    /// It was uploaded.
    Uploaded,
    /// It is lost.
    Lost(Reason),
    /// It was dropped since the service does not want it.
    Unwanted,
}

/// Why a segment is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// Memory was full, and there is no spool that takes it.
    Memory,
    /// The spool was full.
    Spool,
    /// The disk of the spool does not take it or does not give it back.
    Disk,
    /// The service has refused it.
    Refused,
    /// The recording has ended, and uploads have failed for too long since.
    GivenUp,
    /// The camera has sent nothing.
    Camera,
}

/// What became of a part of the recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marked {
    /// When its first frame was taken.
    pub start: Start,
    /// How long it is.
    pub duration: Duration,
    /// What became of it.
    pub mark: Mark,
}

/// The newest marks. Nothing is kept without the page.
#[derive(Debug, Default)]
pub struct Marks(#[cfg(feature = "ui")] Vec<Marked>);

impl Marks {
    /// Notes what became of a segment.
    pub(super) fn note(&mut self, entry: &Entry, mark: Mark) {
        self.note_part(entry.start, entry.duration, mark);
    }

    /// Notes what became of a part of a segment.
    #[cfg_attr(not(feature = "ui"), expect(unused_variables, reason = "nothing is kept"))]
    pub(super) fn note_part(&mut self, start: Start, duration: Duration, mark: Mark) {
        #[cfg(feature = "ui")]
        {
            if self.0.len() == MOST {
                self.0.remove(0);
            }
            self.0.push(Marked { start, duration, mark });
        }
    }

    /// Takes the marks, the oldest first.
    #[cfg(feature = "ui")]
    pub fn take(&mut self) -> Vec<Marked> {
        std::mem::take(&mut self.0)
    }
}
