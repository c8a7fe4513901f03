//! What a camera shows: a pattern that is drawn, a file, or the picture of a real camera as a program writes it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use ivt_media::clip::ClipOpener;
use ivt_media::command::CommandOpener;
use ivt_media::pull::PullState;
use ivt_media::source::SourceError;
use ivt_sim::camera::{CameraOptions, ChannelOptions};

use super::shared::Shared;

/// The programs that read a Raspberry Pi's own camera, the newer name first.
const RPICAM: [&str; 2] = ["rpicam-vid", "libcamera-vid"];
/// The device of the first camera that V4L2 knows.
const VIDEO0: &str = "/dev/video0";

/// What a camera shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Picture {
    /// The emulated camera live: where it looks, what it detects, and the time.
    #[default]
    Pattern,
    /// The built-in clips.
    Clips,
    /// A looping FLV file.
    Flv(PathBuf),
    /// Another video file, which ffmpeg reads and encodes.
    Movie(PathBuf),
    /// The Raspberry Pi's own camera.
    Rpicam,
    /// A camera that V4L2 knows, such as one at USB, which ffmpeg reads and encodes.
    V4l2(PathBuf),
    /// A program with its arguments that writes H.264 (Annex B, no B-frames) in real time.
    Command(Vec<String>),
}

/// The error for a text that is no picture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongPicture {
    /// Neither a word that is known nor a file.
    #[error(
        "expected pattern, clips, rpicam, v4l2 or v4l2:/dev/videoN, the path of a video file, or `command PROGRAM ARGUMENTS`"
    )]
    Unknown,
    /// A command that names no program.
    #[error("expected a program behind `command`")]
    NoProgram,
    /// A quotation that does not end.
    #[error("a quotation mark in the command has no second one")]
    Quotation,
}

impl FromStr for Picture {
    type Err = WrongPicture;

    fn from_str(text: &str) -> Result<Self, WrongPicture> {
        let text = text.trim();
        let command = |rest: &str| match words(rest)? {
            words if words.first().is_some_and(|word| !word.is_empty()) => Ok(Self::Command(words)),
            _ => Err(WrongPicture::NoProgram),
        };
        match text {
            "pattern" => return Ok(Self::Pattern),
            "clips" => return Ok(Self::Clips),
            "rpicam" => return Ok(Self::Rpicam),
            "v4l2" => return Ok(Self::V4l2(VIDEO0.into())),
            "command" => return Err(WrongPicture::NoProgram),
            _ => {}
        }
        if let Some(rest) = text.strip_prefix("command ").or(text.strip_prefix("command:")) {
            return command(rest);
        }
        if let Some(device) = text.strip_prefix("v4l2:").filter(|device| device.starts_with('/')) {
            return Ok(Self::V4l2(device.into()));
        }
        let path = PathBuf::from(text);
        match path.extension().and_then(|extension| extension.to_str()) {
            Some(extension) if extension.eq_ignore_ascii_case("flv") => Ok(Self::Flv(path)),
            Some(_) => Ok(Self::Movie(path)),
            None if path.is_file() => Ok(Self::Movie(path)),
            None => Err(WrongPicture::Unknown),
        }
    }
}

impl fmt::Display for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pattern => f.write_str("the test pattern"),
            Self::Clips => f.write_str("the built-in clips"),
            Self::Flv(path) | Self::Movie(path) => path.display().fmt(f),
            Self::Rpicam => f.write_str("the Pi's own camera"),
            Self::V4l2(device) => write!(f, "the camera {}", device.display()),
            Self::Command(words) => {
                write!(f, "the program {}", words.first().map_or("", |word| word))
            }
        }
    }
}

impl Picture {
    /// Has every channel of a camera show this. What needs a program is returned: it runs from now on, and once, however
    /// many watch. Must be called within a runtime.
    ///
    /// # Errors
    /// A file cannot be read, or the command has no program.
    pub async fn show(
        &self,
        options: &mut CameraOptions,
    ) -> Result<Option<Arc<Shared>>, SourceError> {
        use ivt_media::source::Opener as _;
        let channel = match (self, self.program()) {
            (Self::Pattern, _) => {
                options.pattern = true;
                return Ok(None);
            }
            (Self::Flv(path), _) => {
                let clip = ClipOpener::file(path.clone());
                clip.open().await?; // A wrong file is told at the start and not to the first client.
                ChannelOptions { main: Arc::new(clip.clone()), sub: Arc::new(clip) }
            }
            (_, Some(words)) => {
                let name = words.first().map_or("", |word| word);
                let shared = Shared::new(name, Arc::new(CommandOpener::new(&words)?));
                options.audio = false;
                let channel = ChannelOptions { main: shared.clone(), sub: shared.clone() };
                options.channels = vec![channel; options.channels.len()];
                return Ok(Some(shared));
            }
            (_, None) => ChannelOptions::built_in(),
        };
        options.channels = vec![channel; options.channels.len()];
        Ok(None)
    }

    /// Logs for ever whether the picture of a program comes, and what to do when it does not.
    pub async fn watch(self, shared: Arc<Shared>) {
        let mut state = shared.state();
        let mut told = String::new();
        loop {
            let now = match &*state.borrow_and_update() {
                PullState::Live => "comes".to_owned(),
                PullState::Failed(error) => {
                    format!("no picture of {self}: {error}. {} It is tried again.", self.advice())
                }
                PullState::Idle | PullState::Opening => told.clone(),
            };
            if now != told {
                match &*now {
                    "comes" => {
                        log::info!(target: "lab", "the picture of {self} comes{}", size(&shared))
                    }
                    trouble => log::warn!(target: "lab", "{trouble}"),
                }
                told = now;
            }
            if state.changed().await.is_err() {
                return;
            }
        }
    }

    /// The program that makes the picture, with its arguments; `None` where none is needed.
    fn program(&self) -> Option<Vec<String>> {
        let text = |path: &Path| path.display().to_string();
        let encoder = "-an -c:v libx264 -preset ultrafast -tune zerolatency -bf 0 -pix_fmt yuv420p";
        let line = match self {
            Self::Pattern | Self::Clips | Self::Flv(_) => return None,
            Self::Command(words) => return Some(words.clone()),
            Self::Rpicam => {
                let [newer, older] = RPICAM;
                let program = if found(newer) || !found(older) { newer } else { older };
                format!(
                    "{program} -t 0 -n --codec h264 --inline --flush -g 50 --width 1280 --height 720 --framerate 25 -o -"
                )
            }
            Self::V4l2(_) => format!(
                "ffmpeg -nostdin -loglevel error -f v4l2 -framerate 15 -video_size 640x480 -i INPUT {encoder} -g 30 -f h264 -"
            ),
            Self::Movie(_) => format!(
                "ffmpeg -nostdin -loglevel error -re -stream_loop -1 -i INPUT {encoder} -g 50 -f h264 -"
            ),
        };
        let input = match self {
            Self::V4l2(path) | Self::Movie(path) => text(path),
            _ => String::new(),
        };
        let word = |word: &str| if word == "INPUT" { input.clone() } else { word.to_owned() };
        Some(line.split_whitespace().map(word).collect())
    }

    /// What a person can do where the picture does not come, in a sentence.
    fn advice(&self) -> String {
        let words = self.program().unwrap_or_default();
        let program = words.first().map_or("", |word| word);
        if !program.is_empty() && !found(program) {
            return match self {
                Self::Rpicam => "rpicam-vid is not installed: sudo apt install rpicam-apps-lite (before Bookworm libcamera-apps).".into(),
                Self::V4l2(_) | Self::Movie(_) => "ffmpeg is not installed: sudo apt install ffmpeg.".into(),
                _ => format!("There is no program {program} in PATH: install it, or name it by its whole path."),
            };
        }
        match self {
            Self::Rpicam => "Look at the cable, at what `rpicam-hello --list-cameras` lists and whether another program holds the camera; \
                             the user has to be in the group video (a unit: SupplementaryGroups=video)."
                .into(),
            Self::V4l2(device) => opened(device),
            Self::Movie(path) => match path.is_file() {
                true => format!("Look whether `ffmpeg -i {}` can read it.", path.display()),
                false => format!("There is no file {}.", path.display()),
            },
            _ => "Start the program by hand and see what it says; it has to write H.264 to its standard output, without pause.".into(),
        }
    }
}

/// What to do about a device of V4L2.
fn opened(device: &Path) -> String {
    let name = device.display();
    match std::fs::File::open(device) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => format!(
            "{name} is not there: plug the camera in and look at `ls /dev/video*`; a Pi's ribbon camera is --picture rpicam."
        ),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => format!(
            "{name} may not be opened: sudo usermod -aG video $USER and log in again (a unit: SupplementaryGroups=video)."
        ),
        Err(error) => format!("{name}: {error}."),
        Ok(_) => format!(
            "{name} is there: does another program hold it, and does it have a picture of 640x480 (`v4l2-ctl --list-formats-ext`)? \
             Other sizes go by --picture \"command ffmpeg ...\"."
        ),
    }
}

fn size(shared: &Shared) -> String {
    shared.dimensions().map(|(width, height)| format!(": {width}x{height}")).unwrap_or_default()
}

/// Whether exec would find a program: a bare name is looked up in `PATH`.
pub(super) fn found(program: &str) -> bool {
    if program.contains('/') {
        return Path::new(program).is_file();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// The words of a command, split at blanks outside of quotation marks of both kinds. No shell is involved.
fn words(text: &str) -> Result<Vec<String>, WrongPicture> {
    let (mut words, mut word, mut open) = (Vec::new(), None::<String>, None);
    for letter in text.chars() {
        match (open, letter) {
            (Some(mark), letter) if letter == mark => open = None,
            (None, '"' | '\'') => {
                open = Some(letter);
                word.get_or_insert_default();
            }
            (None, letter) if letter.is_whitespace() => words.extend(word.take()),
            (_, letter) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    if open.is_some() { Err(WrongPicture::Quotation) } else { Ok(words) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(text: &str) -> Picture {
        text.parse().unwrap()
    }

    #[test]
    fn a_picture_is_known_by_its_word_or_its_file() {
        assert_eq!(picture("pattern"), Picture::Pattern);
        assert_eq!(picture("clips"), Picture::Clips);
        assert_eq!(picture("rpicam"), Picture::Rpicam);
        assert_eq!(picture("v4l2"), Picture::V4l2(VIDEO0.into()));
        assert_eq!(picture("v4l2:/dev/video2"), Picture::V4l2("/dev/video2".into()));
        assert_eq!(picture("a/b.FLV"), Picture::Flv("a/b.FLV".into()));
        assert_eq!(picture("my film.mp4"), Picture::Movie("my film.mp4".into()));
        let words = ["enc", "--title", "a b", "", "x"].map(str::to_owned).to_vec();
        assert_eq!(picture("command enc --title 'a b' \"\" x"), Picture::Command(words));
    }

    #[test]
    fn a_file_needs_no_extension() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("movie");
        let text = path.to_str().unwrap();
        assert_eq!(text.parse::<Picture>(), Err(WrongPicture::Unknown));
        std::fs::write(&path, "").unwrap();
        assert_eq!(picture(text), Picture::Movie(path.clone()));
    }

    #[test]
    fn what_is_no_picture_is_told() {
        for (text, error) in [
            ("", WrongPicture::Unknown),
            ("patern", WrongPicture::Unknown),
            ("v4l2:video0", WrongPicture::Unknown),
            ("command", WrongPicture::NoProgram),
            ("command ", WrongPicture::NoProgram),
            ("command ''", WrongPicture::NoProgram),
            ("command enc 'a", WrongPicture::Quotation),
        ] {
            assert_eq!(text.parse::<Picture>(), Err(error), "{text:?}");
        }
    }

    #[test]
    fn a_path_with_blanks_stays_one_argument() {
        let words = picture("my film.mp4").program().unwrap();
        assert!(words.windows(2).any(|pair| pair == ["-i", "my film.mp4"]), "{words:?}");
        assert!(picture("pattern").program().is_none());
    }

    #[test]
    fn advice_names_what_is_missing() {
        let missing = picture("command /nonexistent/enc").advice();
        assert!(
            missing.contains("/nonexistent/enc") && missing.contains("install it"),
            "{missing}"
        );
        let device = opened(Path::new("/nonexistent/video7"));
        assert!(device.contains("/nonexistent/video7 is not there"), "{device}");
        let silent = picture("command sh").advice();
        assert!(silent.contains("by hand"), "{silent}");
    }

    #[tokio::test]
    async fn a_missing_clip_is_told_at_the_start() {
        let mut options = CameraOptions::default();
        assert!(picture("/nonexistent/a.flv").show(&mut options).await.is_err());
    }
}
