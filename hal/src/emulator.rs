//! A camera made of a looping clip: nothing but the agent is needed to have a picture.

use std::path::PathBuf;

use async_trait::async_trait;

use crate::{Encoder, Error, Kind, Result, Source, Stream};

/// An emulated encoder. Without files it serves the clips built into the agent.
#[derive(Clone, Debug, Default)]
pub struct Emulator {
    /// FLV file looped as the main stream; `None` is the built-in clip.
    pub main: Option<PathBuf>,
    /// FLV file looped as the sub stream; `None` is the built-in clip.
    pub sub: Option<PathBuf>,
    /// Bits per second the encoder claims to be set to.
    pub bitrate: Option<u32>,
}

#[async_trait]
impl Encoder for Emulator {
    async fn source(&self, stream: Stream) -> Result<Source> {
        let file = match stream {
            Stream::Main => self.main.clone(),
            Stream::Sub => self.sub.clone(),
        };
        Ok(Source::Clip { file, stream })
    }

    async fn bitrate(&self, _stream: Stream) -> Result<Option<u32>> {
        Ok(self.bitrate)
    }

    async fn reach(&self) -> Result<()> {
        for file in [&self.main, &self.sub].into_iter().flatten() {
            let found = tokio::fs::metadata(file).await;
            found.map_err(|e| Error::new("encoder reach", Kind::Offline).because(e))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance;

    #[tokio::test]
    async fn passes_conformance() {
        conformance::encoder(&Emulator::default()).await;
    }

    #[tokio::test]
    async fn a_missing_clip_is_an_offline_camera() {
        let gone = Emulator { main: Some("/nonexistent/clip.flv".into()), ..Emulator::default() };
        conformance::offline_encoder(&gone).await;
    }

    #[tokio::test]
    async fn main_and_sub_files_are_kept_apart() {
        let emulator = Emulator { main: Some("m.flv".into()), ..Emulator::default() };
        let Source::Clip { file, stream } = emulator.source(Stream::Sub).await.unwrap() else {
            panic!("an emulator hands out clips");
        };
        assert_eq!((file, stream), (None, Stream::Sub));
    }
}
