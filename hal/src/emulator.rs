//! A camera that is not there: every ability, over a state that behaves. Its picture is the test pattern, a
//! looping clip, or what a program writes, so that the agent needs no other device.

mod alarms;
mod clock;
mod device;
mod drive;
mod movement;
mod networks;
mod schedule;
mod world;

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

pub use drive::Position;
pub use networks::{KNOWN, KnownNetwork};
pub use schedule::{ScheduledAlarm, WrongAlarm};
pub use world::{Preset, Triggers, World};

use crate::{Bitrates, Channel, Encoder, Error, Kind, Result, Snapshot, Source, Stream};

/// An emulated camera. Without a program and files its picture is the test pattern. Clones are the same
/// camera. It is not `Debug`, since the program's arguments may hold a password.
#[derive(Clone, Default)]
pub struct Emulator {
    /// FLV file that is looped as the main stream; `None` for the test pattern.
    pub main: Option<PathBuf>,
    /// FLV file that is looped as the sub stream; `None` for the test pattern or, with a
    /// program, for the main stream.
    pub sub: Option<PathBuf>,
    /// A program that writes H.264 in Annex B form to its standard output, with its arguments, in
    /// the place of `main`. Empty for no program.
    pub command: Vec<String>,
    /// Bits per second that the encoder claims to be set to.
    pub bitrates: Bitrates,
    /// The alarms that it raises by itself, while somebody listens to them.
    pub schedule: Vec<ScheduledAlarm>,
    /// What the camera does and remembers.
    pub world: Arc<World>,
}

impl Emulator {
    /// The camera with every ability.
    pub fn channel(self: &Arc<Self>) -> Channel {
        Channel {
            encoder: self.clone(),
            snapshot: Some(self.clone()),
            ptz: Some(self.clone()),
            presets: Some(self.clone()),
            tours: Some(self.clone()),
            patrol: Some(self.clone()),
            motion: Some(self.clone()),
            tripwire: Some(self.clone()),
            network: Some(self.clone()),
            wifi: Some(self.clone()),
            power: Some(self.clone()),
            alarms: Some(self.clone()),
            clock: Some(self.clone()),
        }
    }

    fn file_or_pattern(&self, file: Option<&PathBuf>, stream: Stream) -> Source {
        match file {
            Some(file) => Source::Clip { file: file.clone(), stream },
            None => Source::Pattern { stream, world: self.world.clone() },
        }
    }

    /// The stream that is served for `stream`: a program without a sub file serves both.
    fn served(&self, stream: Stream) -> Stream {
        match self.command.is_empty() || self.sub.is_some() {
            true => stream,
            false => Stream::Main,
        }
    }
}

#[async_trait]
impl Encoder for Emulator {
    async fn source(&self, stream: Stream) -> Result<Source> {
        Ok(match self.served(stream) {
            Stream::Sub => self.file_or_pattern(self.sub.as_ref(), stream),
            Stream::Main if self.command.is_empty() => {
                self.file_or_pattern(self.main.as_ref(), stream)
            }
            Stream::Main => Source::Command(self.command.clone()),
        })
    }

    async fn bitrate(&self, stream: Stream) -> Result<Option<u32>> {
        Ok(match self.served(stream) {
            Stream::Main => self.bitrates.main,
            Stream::Sub => self.bitrates.sub,
        })
    }

    async fn reach(&self) -> Result<()> {
        drop(self.world.present("encoder reach")?);
        for file in [&self.main, &self.sub].into_iter().flatten() {
            let found = tokio::fs::metadata(file).await;
            found.map_err(|e| offline().because(e))?;
        }
        match self.command.first() {
            Some(program) if !exists(program).await => Err(offline()),
            _ => Ok(()),
        }
    }
}

/// A test card, whatever is streamed. The agent, which can draw, shows the test pattern instead.
#[async_trait]
impl Snapshot for Emulator {
    async fn jpeg(&self, stream: Stream) -> Result<Bytes> {
        self.reach().await.map_err(|error| Error { op: "snapshot jpeg", ..error })?;
        Ok(Bytes::from_static(match stream {
            Stream::Main => include_bytes!("../pictures/main.jpg"),
            Stream::Sub => include_bytes!("../pictures/sub.jpg"),
        }))
    }
}

fn offline() -> Error {
    Error::new("encoder reach", Kind::Offline)
}

/// Whether exec would find a program: a bare name is looked up in `PATH`.
async fn exists(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let places = match program.contains('/') {
        true => vec![PathBuf::new()],
        false => env::split_paths(&path).collect(),
    };
    for place in places {
        if is_file(&place.join(program)).await {
            return true;
        }
    }
    false
}

async fn is_file(path: &Path) -> bool {
    tokio::fs::metadata(path).await.is_ok_and(|found| found.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance;

    fn program(words: &[&str]) -> Emulator {
        let command = words.iter().map(|&word| word.into()).collect();
        Emulator { command, ..Emulator::default() }
    }

    #[tokio::test]
    async fn passes_conformance() {
        conformance::encoder(&Emulator::default()).await;
        conformance::encoder(&program(&["sh", "-c", "true"])).await;
        conformance::encoder(&program(&["/bin/sh"])).await;
        conformance::snapshot(&Emulator::default()).await;
    }

    #[tokio::test]
    async fn a_missing_clip_or_program_is_an_offline_camera() {
        let gone = Emulator { main: Some("/nonexistent/clip.flv".into()), ..Emulator::default() };
        conformance::offline_encoder(&gone).await;
        conformance::offline_snapshot(&gone).await;
        conformance::offline_encoder(&program(&["/nonexistent/encoder"])).await;
        conformance::offline_encoder(&program(&["no-such-program-anywhere"])).await;
    }

    #[tokio::test]
    async fn main_and_sub_files_are_kept_apart() {
        let emulator = Emulator { main: Some("m.flv".into()), ..Emulator::default() };
        let main = emulator.source(Stream::Main).await.unwrap();
        assert!(matches!(main, Source::Clip { stream: Stream::Main, .. }));
        let sub = emulator.source(Stream::Sub).await.unwrap();
        assert!(matches!(sub, Source::Pattern { stream: Stream::Sub, .. }));
        assert!(sub == emulator.clone().source(Stream::Sub).await.unwrap(), "the same camera");
        let other = Emulator::default().source(Stream::Sub).await.unwrap();
        assert!(sub != other, "another camera's pattern");
    }

    #[tokio::test]
    async fn a_program_serves_both_streams_unless_there_is_a_sub_file() {
        let mut emulator = program(&["encoder", "--fast"]);
        emulator.bitrates.main = Some(2_000_000);
        for stream in [Stream::Main, Stream::Sub] {
            assert_eq!(emulator.bitrate(stream).await.unwrap(), Some(2_000_000));
            let source = emulator.source(stream).await.unwrap();
            assert!(matches!(source, Source::Command(words) if words == ["encoder", "--fast"]));
        }
        emulator.sub = Some("s.flv".into());
        let main = emulator.source(Stream::Main).await.unwrap();
        assert!(matches!(main, Source::Command(_)));
        let sub = emulator.source(Stream::Sub).await.unwrap();
        assert!(matches!(sub, Source::Clip { stream: Stream::Sub, .. }));
        assert_eq!(emulator.bitrate(Stream::Sub).await.unwrap(), None);
    }
}
