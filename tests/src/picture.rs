//! Pictures that the built-in clips do not have.

use async_trait::async_trait;
use bytes::{BufMut as _, BytesMut};

use ivt_media::clip::{BuiltIn, ClipOpener};
use ivt_media::frame::Frame;
use ivt_media::source::{FrameSource, Opener, SourceError};

/// The built-in main clip with so many bytes of filler data after each picture, to fill the buffers before a
/// peer that does not read.
pub struct Filled(pub usize);

#[async_trait]
impl Opener for Filled {
    async fn open(&self) -> Result<Box<dyn FrameSource>, SourceError> {
        let clip = ClipOpener::built_in(BuiltIn::Main).open().await?;
        Ok(Box::new(FilledSource { clip, filler: self.0 }))
    }
}

struct FilledSource {
    clip: Box<dyn FrameSource>,
    filler: usize,
}

#[async_trait]
impl FrameSource for FilledSource {
    async fn frame(&mut self) -> Result<Frame, SourceError> {
        let mut frame = self.clip.frame().await?;
        if frame.is_video() {
            // The further NAL unit follows its length: type 12, bytes of 0xFF, the stop bit.
            let mut data = BytesMut::from(&frame.data[..]);
            data.put_u32(self.filler as u32 + 2);
            data.put_u8(12);
            data.put_bytes(0xFF, self.filler);
            data.put_u8(0x80);
            frame.data = data.freeze();
        }
        Ok(frame)
    }
}
