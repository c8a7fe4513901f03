//! `backend = "cgi"`: a camera whose web interface a profile describes.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ivt_hal::Channel;
use ivt_hal::profile::{self, Profile};
use ivt_hal::rtsp::UrlError;
use toml::de::DeValue;

use super::readdressed::readdressed;
use super::unknown::UnknownCamera;
use super::{CameraOptions, Network};
use crate::config::error::Error;
use crate::config::nearest::nearest;
use crate::config::section::{PATH, Section, text};

/// Longest profile, in bytes.
const LONGEST: u64 = 256 << 10;

/// A camera whose web interface a profile describes.
#[derive(Clone)]
pub struct CgiCamera {
    /// `profile`, required: the name of a built-in profile, or the path of a file, which contains a slash or ends
    /// with ".toml".
    name: String,
    /// The file of a profile that is not built in.
    file: Option<PathBuf>,
    /// The text of the profile when the configuration was read: a file that has changed is another camera.
    text: String,
    profile: Arc<Profile>,
}

impl PartialEq for CgiCamera {
    fn eq(&self, other: &Self) -> bool {
        self.file == other.file && self.name == other.name && self.text == other.text
    }
}

impl fmt::Debug for CgiCamera {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CgiCamera").field("profile", &self.name).finish_non_exhaustive()
    }
}

impl CgiCamera {
    pub(super) fn has_sub(&self) -> bool {
        self.profile.has_sub()
    }

    pub(super) fn is_hosted(&self) -> bool {
        self.profile.is_hosted()
    }

    pub(super) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    pub(super) fn channel(
        &self,
        network: &Network,
        options: CameraOptions<'_>,
    ) -> Result<Channel, UrlError> {
        // The section was refused without `web`, which leaves a channel that can do nothing.
        let Some(web) = &network.web else { return Ok(Channel::new(Arc::new(UnknownCamera))) };
        let http = options.servers.client(&web.host, web.port, network.credentials());
        let of = profile::Options {
            input: network.input,
            login: network.credentials(),
            transport: network.transport,
            bitrates: options.bitrates,
        };
        let channel = self.profile.channel(&http, &of)?;
        let encoder = readdressed(channel.encoder.clone(), network, options.bitrates)?;
        Ok(Channel { encoder, ..channel })
    }
}

pub(super) fn read(section: &mut Section<'_, '_>) -> Result<CgiCamera, Error> {
    let folder = section.folder("profile");
    let name = section.require("profile", |value: &DeValue<'_>| named(text(1..=PATH)(value)?))?;
    let file = is_path(&name).then(|| folder.join(&name));
    let text = match &file {
        Some(file) => read_file(file)?,
        None => Profile::text(&name).unwrap_or_default(),
    };
    let shown = file.as_deref().map_or_else(|| name.clone(), |file| file.display().to_string());
    let profile = Profile::parse(&shown, &text).map_err(|e| Error::Value {
        file: e.file,
        line: e.line,
        message: e.message,
    })?;
    Ok(CgiCamera { name, file, text, profile: Arc::new(profile) })
}

/// Takes the path of a file, or the name of a built-in profile. Errors do not repeat the text, which may be a
/// secret in the wrong line.
fn named(name: String) -> Result<String, String> {
    let known = Profile::names();
    if is_path(&name) || known.contains(&&*name) {
        return Ok(name);
    }
    let meant = nearest(&name, known).map(|meant| format!("; did you mean {meant:?}?"));
    let names: Vec<_> = known.iter().map(|name| format!("{name:?}")).collect();
    let (names, meant) = (names.join(" or "), meant.unwrap_or_default());
    Err(format!("{names}, or the path of a file, with a slash or .toml in it{meant}"))
}

fn is_path(name: &str) -> bool {
    name.contains('/') || name.ends_with(".toml")
}

/// The text of a profile.
///
/// # Errors
/// The file cannot be read, is no text, or is longer than a profile may be.
pub(crate) fn read_file(file: &Path) -> Result<String, Error> {
    let read = || {
        let mut text = String::new();
        File::open(file)?.take(LONGEST + 1).read_to_string(&mut text)?;
        match text.len() as u64 > LONGEST {
            true => Err(io::Error::other(format!("it is longer than {} KiB", LONGEST >> 10))),
            false => Ok(text),
        }
    };
    read().map_err(|source| Error::Read { file: file.display().to_string(), source })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use ivt_hal::{Source, Stream};

    use super::super::testing::{camera, described, refused};
    use crate::config::{Access, Config};

    use super::*;

    const CGI: &str = "backend = 'cgi'\nweb = 'http://192.0.2.7:81'\nprofile = 'hikvision'\n";

    #[tokio::test]
    async fn the_streams_are_those_of_the_profile_at_the_host_of_the_web_server() {
        let login = "username = 'u'\npassword = 'p'\ntransport = 'tcp'\n";
        let camera = camera(&format!("{CGI}{login}"));
        for stream in [Stream::Main, Stream::Sub] {
            let Source::Rtsp(source) = camera.channel.encoder.source(stream).await.unwrap() else {
                panic!("an RTSP source");
            };
            assert!(source.url.starts_with("rtsp://192.0.2.7/"), "{}", source.url);
            assert!(source.credentials.is_some_and(|login| login.password == "p"));
        }
        assert!(described(CGI).has_sub() && described(CGI).files().is_empty());
    }

    #[test]
    fn the_web_servers_of_some_families_take_the_commands_of_the_hosted_service() {
        let of = |profile: &str| CGI.replace("hikvision", profile);
        for name in Profile::names() {
            let known = ["uapi", "nvc", "ipai", "merlin"].contains(name);
            let both = of(name).replace("'cgi'", "['rtsp', 'cgi']") + "main = 'rtsp://h/a'\n";
            assert_eq!(camera(&of(name)).cgi.is_some(), known, "{name}");
            assert_eq!(camera(&both).cgi.is_some(), known, "{name}");
            assert!(camera(&format!("{}web_cgi = true", of(name))).cgi.is_some(), "{name}");
            assert!(camera(&format!("{}web_cgi = false", of(name))).cgi.is_none(), "{name}");
        }
    }

    #[tokio::test]
    async fn what_is_configured_wins_over_the_profile() {
        let keys = "main = 'rtsp://h/mine'\nsnapshot = '/mine.jpg'\n";
        let camera = camera(&format!("{CGI}{keys}"));
        let source = camera.channel.encoder.source(Stream::Main).await.unwrap();
        assert!(matches!(source, Source::Rtsp(source) if source.url == "rtsp://h/mine"));
        assert!(camera.channel.snapshot.is_some());
    }

    #[test]
    fn what_is_wrong_names_the_line_and_the_nearest_profile() {
        for (keys, want) in [
            (CGI.replace("hikvision", "hikvison"), ":8: channel.profile must be "),
            (CGI.replace("hikvision", "hikvison"), "did you mean \"hikvision\"?"),
            (CGI.replace("'hikvision'", "3"), ":8: channel.profile must be a string"),
            (CGI.replace("profile", "# "), ":5: channel.profile is missing"),
            (CGI.replace("profile =", "profil ="), "did you mean \"profile\"?"),
            (CGI.replace("web", "# "), ":5: channel.web is missing"),
            (format!("{CGI}input = 0"), ":9: channel.input must be a whole number from 1 to 256"),
            (
                CGI.replace("hikvision", "/nonexistent/a.toml"),
                "/nonexistent/a.toml: cannot be read",
            ),
        ] {
            let error = refused(&keys);
            assert!(error.contains(want), "want {want}\ngot  {error}");
        }
    }

    #[test]
    fn a_profile_of_a_file_is_read_again_and_a_changed_one_is_another_camera() {
        let dir = tempfile::tempdir().unwrap();
        let (file, config) = (dir.path().join("mine.toml"), dir.path().join("agent.toml"));
        let text = Profile::text("hikvision").unwrap();
        std::fs::write(&file, &text).unwrap();
        let cloud =
            "[cloud]\nurl = 'ws://h/ivc'\nlogin_code = 'c'\nlogin_passwd = 'p'\n[[channel]]\n";
        std::fs::write(&config, format!("{cloud}{}", CGI.replace("hikvision", "mine.toml")))
            .unwrap();
        let mode = |file, mode| {
            std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        mode(&config, 0o600);
        mode(&file, 0o644);
        let load = || Config::load(&config, Access::Private);
        let first = load().unwrap();
        assert_eq!(first, load().unwrap());
        std::fs::write(&file, format!("{text}\n# other words\n")).unwrap();
        assert_ne!(first, load().unwrap());

        mode(&file, 0o646);
        let error = load().unwrap_err().to_string();
        assert!(error.contains("mine.toml: is writable by everyone"), "{error}");
        mode(&file, 0o644);
        std::fs::write(&file, format!("{text}\nfrobnicate = 1\n[")).unwrap();
        let error = load().unwrap_err().to_string();
        assert!(error.contains("mine.toml:"), "the file of the profile is named: {error}");
        std::fs::write(&file, vec![b'#'; 300 << 10]).unwrap();
        let error = load().unwrap_err().to_string();
        assert!(error.contains("longer than 256 KiB"), "{error}");
    }
}
