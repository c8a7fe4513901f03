//! MPEG transport stream (ISO/IEC 13818-1 = ITU-T H.222.0) with H.264, H.265 and AAC. Pure.

mod adts;
mod muxer;
mod nal;
mod packet;
mod pes;
mod psi;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use muxer::{Muxer, Tracks};
pub use packet::PACKET;

/// PIDs of the stream's parts.
mod pid {
    /// The table that lists the program.
    pub const PAT: u16 = 0;
    /// Pictures.
    pub const VIDEO: u16 = 0x100;
    /// Sound.
    pub const AUDIO: u16 = 0x101;
    /// The table that lists pictures and sound.
    pub const PMT: u16 = 0x1000;
}
