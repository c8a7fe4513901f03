//! `backend = "emulator"`: a test pattern, a looping clip, or the output of a program, in place of a camera.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ivt_base::secret::Secret;
use ivt_hal::Channel;
#[cfg(feature = "pattern")]
use ivt_hal::emulator::ScheduledAlarm;
use ivt_hal::emulator::{Emulator, World};
#[cfg(feature = "pattern")]
use toml::de::DeValue;

use super::CameraOptions;
use crate::config::error::Error;
#[cfg(feature = "pattern")]
use crate::config::nearest::nearest;
use crate::config::section::{PATH, Section, list, path, text};
#[cfg(feature = "pattern")]
use crate::pattern::Pictures;

/// Most alarms of one camera.
#[cfg(feature = "pattern")]
const MOST_ALARMS: usize = 16;

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
    /// `alarms`: what the camera raises by itself while it is listened to, such as "motion:every=60s,for=5s"; at
    /// most 16. Default none.
    #[cfg(feature = "pattern")]
    alarms: Vec<ScheduledAlarm>,
}

impl EmulatedCamera {
    pub(super) fn has_sub(&self) -> bool {
        self.sub.is_some() || cfg!(feature = "pattern") && self.command.is_empty()
    }

    pub(super) fn files(&self) -> Vec<&Path> {
        [&self.main, &self.sub].into_iter().flatten().map(PathBuf::as_path).collect()
    }

    #[cfg(feature = "sandbox")]
    pub(super) fn program(&self) -> Vec<String> {
        self.command.iter().map(|word| word.expose().clone()).collect()
    }

    pub(super) fn channel(&self, options: CameraOptions<'_>) -> Channel {
        let emulator = Arc::new(Emulator {
            main: self.main.clone(),
            sub: self.sub.clone(),
            command: self.command.iter().map(|word| word.expose().clone()).collect(),
            bitrates: options.bitrates,
            #[cfg(feature = "pattern")]
            schedule: self.alarms.clone(),
            #[cfg(not(feature = "pattern"))]
            schedule: Vec::new(),
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
    #[cfg(feature = "pattern")]
    let alarms = schedule(section)?;
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
        _ => Ok(EmulatedCamera {
            main,
            sub,
            command: words.unwrap_or_default(),
            #[cfg(feature = "pattern")]
            alarms,
        }),
    }
}

#[cfg(feature = "pattern")]
fn schedule(section: &mut Section<'_, '_>) -> Result<Vec<ScheduledAlarm>, Error> {
    let alarms = section.read("alarms", |value| {
        let alarms = list(alarm)(value)?;
        match alarms.len() {
            0..=MOST_ALARMS => Ok(alarms),
            found => Err(format!("a list of at most {MOST_ALARMS} alarms, found {found}")),
        }
    });
    Ok(alarms?.unwrap_or_default())
}

/// An alarm with its times. Errors do not repeat the value, which may be a secret in the wrong line.
#[cfg(feature = "pattern")]
fn alarm(value: &DeValue<'_>) -> Result<ScheduledAlarm, String> {
    let allowed = |found| format!("alarms, each {}, found {found}", ScheduledAlarm::FORM);
    let text = value.as_str().ok_or_else(|| allowed(value.type_str()))?;
    text.parse().map_err(|_| {
        let name = text.split(':').next().unwrap_or_default();
        match nearest(name, &["motion", "line", "input"]).filter(|near| *near != name) {
            Some(near) => format!("{}; did you mean {near:?}?", allowed("another string")),
            None => allowed("another string"),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ivt_hal::{Heard, Signal, Source, Stream, Trigger};

    use super::super::testing::{camera, described, refused};

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

    #[cfg(feature = "pattern")]
    #[tokio::test(start_paused = true)]
    async fn it_raises_the_alarms_of_its_schedule() {
        let camera =
            camera("backend = 'emulator'\nalarms = ['motion:every=60s,for=5s', 'input:at=70s']");
        let alarms = camera.channel.alarms.unwrap();
        let (heard, mut told) = tokio::sync::mpsc::channel(1);
        let listening = tokio::spawn(async move { alarms.listen(&heard).await });
        assert_eq!(told.recv().await, Some(Heard::Listening));
        let began = tokio::time::Instant::now();
        for (trigger, signal, at) in [
            (Trigger::Motion, Signal::Begins, 60),
            (Trigger::Motion, Signal::Ends, 65),
            (Trigger::Input, Signal::Begins, 70),
            (Trigger::Input, Signal::Ends, 71),
            (Trigger::Motion, Signal::Begins, 120),
        ] {
            let Some(Heard::Alarm(alarm)) = told.recv().await else { panic!("an alarm") };
            assert_eq!(
                (alarm.trigger, alarm.signal, began.elapsed().as_secs()),
                (trigger, signal, at)
            );
        }
        listening.abort();
    }

    #[cfg(feature = "pattern")]
    #[test]
    fn a_wrong_schedule_is_refused_with_what_is_allowed_and_never_repeated() {
        let many = vec!["'motion:at=1s'"; 17].join(", ");
        for (alarms, want) in [
            ("'motion:at=1s'", ":7: channel.alarms must be a list, found string"),
            ("[1]", "alarms must be a list of alarms, each motion, line or input, a colon"),
            ("['canary:at=1s']", "shorter than `every`, found another string"),
            ("['motoin:at=1s']", "found another string; did you mean \"motion\"?"),
            ("['motion:for=1s,canary=1s']", "found another string"),
            (&format!("[{many}]"), "a list of at most 16 alarms, found 17"),
        ] {
            let error = refused(&format!("backend = 'emulator'\nalarms = {alarms}"));
            assert!(error.contains(want) && !error.contains("canary"), "want {want}\ngot  {error}");
        }
        let error = refused("backend = 'emulator'\nalarm = ['motion:at=1s']");
        assert!(error.contains("did you mean \"alarms\"?"), "{error}");
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
