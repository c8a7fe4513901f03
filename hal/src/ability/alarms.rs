//! Alarms that a camera raises by itself.

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::Error;

/// Longest description of an alarm, in characters.
pub const LONGEST_WHAT: usize = 200;

/// Tells of a camera's alarms as it raises them.
#[async_trait]
pub trait Alarms: Send + Sync {
    /// Listens until the camera ends it, cannot be reached, or cannot do this, and returns why: `Unsupported`,
    /// `Offline`, `Timeout`, `Refused` or `Other`. The caller listens again after a pause. It ends too when
    /// nobody reads `heard` any longer; dropping the future closes the connection. A caller that reads slowly
    /// makes the camera wait, never the memory grow. Several listeners, also of the inputs of one NVR, share the
    /// one connection of a device.
    async fn listen(&self, heard: &mpsc::Sender<Heard>) -> Error;
}

/// What a listener hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The camera is heard from now on. Alarms that it told before may have ended unheard.
    Listening,
    /// The camera tells of an alarm.
    Alarm(Alarm),
}

/// What a camera tells of an alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// What set it off.
    pub trigger: Trigger,
    /// What happened to it.
    pub signal: Signal,
    /// The camera's own words for it, for people to read: the name of a rule, of an input; at most
    /// [`LONGEST_WHAT`] characters, without control characters; may be empty.
    pub what: String,
}

/// What sets off an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trigger {
    /// The contact of the alarm input is closed.
    Input,
    /// Something moves in the picture.
    Motion,
    /// Somebody is in the area of the tripwire.
    Line,
}

/// What happened to an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// It was detected at this moment. The camera may say so again, and never tells the end.
    Detected,
    /// It begins, or goes on, and holds until [`Signal::Ends`].
    Begins,
    /// It ends.
    Ends,
}

impl Trigger {
    /// Every trigger.
    pub const ALL: [Self; 3] = [Self::Input, Self::Motion, Self::Line];

    /// The trigger of this name: `input`, `motion` or `line`.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "input" => Self::Input,
            "motion" => Self::Motion,
            "line" => Self::Line,
            _ => return None,
        })
    }
}
