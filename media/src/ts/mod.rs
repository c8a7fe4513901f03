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

/// Where the stream's parts are.
mod pid {
    pub const PAT: u16 = 0;
    pub const VIDEO: u16 = 0x100;
    pub const AUDIO: u16 = 0x101;
    pub const PMT: u16 = 0x1000;
}
