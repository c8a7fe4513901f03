//! What the fuzz targets of `ivt-media` share: how an input is read, and what must hold of all that comes out.

pub mod check;
pub mod memory;
pub mod pieces;
pub mod video;
