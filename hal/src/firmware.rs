//! Where a new firmware of the device goes: into two slots that start in turn ([`Slots`]), or to a program of the
//! device that installs it ([`Program`]).

mod disk;
mod failure;
mod on_disk;
mod program;
mod restart;
mod run;
mod sealed;
mod slots;
mod writer;

pub use self::failure::SetupError;
pub use self::program::{Program, Programs};
pub use self::restart::Restart;
pub use self::slots::{Places, Slots};
