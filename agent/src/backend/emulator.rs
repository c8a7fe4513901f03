//! `backend = "emulator"`: a test pattern, a looping clip, or the output of a program, in place of a camera.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ivt_base::secret::Secret;
use ivt_hal::Channel;
use ivt_hal::emulator::{Emulator, World};

use super::CameraOptions;
use crate::config::error::Error;
use crate::config::section::{PATH, Section, list, path, text};
#[cfg(feature = "pattern")]
use crate::pattern::Pictures;

/// A test pattern, a looping clip, or the output of a program.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct EmulatedCamera {
    /// `main`: FLV file of the main stream; default the test pattern.
    main: Option<PathBuf>,
    /// `sub`: FLV file of the sub stream; default the test pattern or, with `command`, none: the main
    /// stream serves both.
    sub: Option<PathBuf>,
    /// `command`, instead of `main`: program with its arguments that writes H.264 (Annex B) without
    /// B-frames to its standard output, in real time; started without a shell, killed when nobody
    /// watches. Default none, here empty.
    command: Vec<Secret>,
}

impl EmulatedCamera {
    pub(super) fn has_sub(&self) -> bool {
        self.sub.is_some() || cfg!(feature = "pattern") && self.command.is_empty()
    }

    pub(super) fn files(&self) -> Vec<&Path> {
        [&self.main, &self.sub].into_iter().flatten().map(PathBuf::as_path).collect()
    }

    pub(super) fn channel(&self, options: CameraOptions<'_>) -> Channel {
        let emulator = Arc::new(Emulator {
            main: self.main.clone(),
            sub: self.sub.clone(),
            command: self.command.iter().map(|word| word.expose().clone()).collect(),
            bitrates: options.bitrates,
            world: Arc::new(World::new(&format!("CH{} emulator", options.number))),
        });
        #[cfg(not(feature = "pattern"))]
        return Channel::new(emulator);
        #[cfg(feature = "pattern")]
        Channel { snapshot: Some(Arc::new(Pictures(emulator.clone()))), ..emulator.channel() }
    }
}

pub(super) fn read(section: &mut Section<'_, '_>, base: &Path) -> Result<EmulatedCamera, Error> {
    let main = path(section, "main", base)?;
    let sub = path(section, "sub", base)?;
    let words = section.insist("command", list(|word| text(0..=PATH)(word).map(Secret::untold)))?;
    let named = |words: &[Secret]| words.first().is_some_and(|word| !word.expose().is_empty());
    match &words {
        Some(words) if !named(words) => {
            Err(section.error("channel.command must begin with a program"))
        }
        Some(_) if main.is_some() => {
            Err(section.error("channel.main and channel.command exclude each other"))
        }
        None if main.is_none() && cfg!(not(feature = "pattern")) => {
            Err(section
                .error("channel.main is missing: this program is built without a test pattern"))
        }
        _ => Ok(EmulatedCamera { main, sub, command: words.unwrap_or_default() }),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ivt_hal::{Source, Stream};

    use super::super::testing::{camera, described};

    #[tokio::test]
    async fn it_serves_files_or_the_pattern() {
        let camera = camera("backend = 'emulator'\nmain = '/clips/a.flv'");
        let encoder = camera.channel.encoder;
        let main = encoder.source(Stream::Main).await.unwrap();
        assert!(matches!(main, Source::Clip { file, .. } if file == Path::new("/clips/a.flv")));
        let Source::Pattern { stream, world } = encoder.source(Stream::Sub).await.unwrap() else {
            panic!("the pattern")
        };
        assert_eq!((stream, world.title().as_str()), (Stream::Sub, "CH0 emulator"));
        assert!(camera.channel.ptz.is_some() && camera.channel.wifi.is_some());
        assert!(camera.channel.snapshot.is_some() && camera.cgi.is_none());
    }

    #[tokio::test]
    async fn it_serves_the_output_of_a_program() {
        let camera = camera("backend = 'emulator'\ncommand = ['encoder', '-']");
        let source = camera.channel.encoder.source(Stream::Main).await.unwrap();
        assert!(matches!(source, Source::Command(words) if words == ["encoder", "-"]));
    }

    #[test]
    fn its_files_are_those_it_names() {
        let files = |keys: &str| {
            let backend = described(&format!("backend = 'emulator'\n{keys}"));
            let files = backend.files().into_iter();
            files.map(|file| file.display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(files("main = 'a.flv'\nsub = '/b.flv'"), ["a.flv", "/b.flv"]);
        assert_eq!(files("command = ['sh']\nsub = 'b.flv'"), ["b.flv"]);
        assert!(files("command = ['sh']").is_empty());
    }
}
