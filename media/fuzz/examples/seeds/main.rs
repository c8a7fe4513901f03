//! Writes the seeds of the fuzz targets: `cargo run --example seeds` in this folder. They are made of the streams in
//! `tests/fixtures` and of what cameras are known to say. No seed is longer than 4 KiB.

use std::path::PathBuf;
use std::{env, fs, io};

use ivt_media_fuzz::pieces;

mod lines;
mod media;
mod session;

/// The seeds of one target.
struct Seeds {
    folder: PathBuf,
}

impl Seeds {
    fn of(target: &str) -> io::Result<Self> {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
        fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    fn write(&self, name: &str, input: &[u8]) -> io::Result<()> {
        assert!(input.len() <= 4096, "{name} has {} bytes", input.len());
        fs::write(self.folder.join(name), input)
    }
}

/// An input of pieces.
#[derive(Default)]
struct Input(Vec<u8>);

impl Input {
    fn new(how: u8, first: &[u8]) -> Self {
        Self::default().then(how, 0, first)
    }

    fn then(mut self, how: u8, wait: u8, bytes: &[u8]) -> Self {
        pieces::write(&mut self.0, how, wait, bytes);
        self
    }
}

fn main() -> io::Result<()> {
    if env::args().len() > 1 {
        return Err(io::Error::other("usage: seeds"));
    }
    lines::messages(&Seeds::of("rtsp_message")?)?;
    lines::descriptions(&Seeds::of("sdp")?)?;
    lines::logins(&Seeds::of("rtsp_auth")?)?;
    media::pictures(&Seeds::of("rtp_h264")?, &Seeds::of("rtp_h265")?)?;
    media::sounds(&Seeds::of("rtp_audio")?)?;
    media::orders(&Seeds::of("rtp_order")?)?;
    media::times(&Seeds::of("timeline")?)?;
    session::sessions(&Seeds::of("rtsp_session")?)
}
