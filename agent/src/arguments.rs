//! The command line.

mod firmware;
mod probe;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use ivt_base::secret::Secret;

use crate::config::Access;

/// What this program is built with.
const PROFILES: bool = cfg!(feature = "profiles");
const PROBE: bool = PROFILES && cfg!(feature = "onvif");
const FIRMWARE: bool = cfg!(feature = "update");

/// What `--help` shows: what this program is built without is not in it.
pub const USAGE: [&str; 9] = [
    "\
usage: ivt-agent --config FILE [--check-config] [--allow-world-readable]
       ivt-agent --config FILE [--set KEY=VALUE | --set KEY | --unset KEY]...
",
    when(
        PROBE,
        "\x20      ivt-agent probe [ADDRESS [--username NAME] [--input N]]
       ivt-agent probe --config FILE [--channel N]
",
    ),
    when(PROFILES, "\x20      ivt-agent profile list | show NAME | check FILE\n"),
    when(
        FIRMWARE,
        "\x20      ivt-agent firmware verify IMAGE [--config FILE | --key KEY...]\n",
    ),
    "
  --config FILE            the configuration (TOML); configs/base.toml shows every key
  --check-config           say what is wrong with it or the files it names, and exit
  --set KEY=VALUE          write a setting into it, e.g. log.level=debug or channel.0.main=rtsp://...,
                           and exit; VALUE is TOML or a word. SIGHUP makes a running agent read it
  --set KEY                the same with a line of standard input as VALUE, for passwords
  --unset KEY              take a setting out of it, so that its default counts, and exit
  --allow-world-readable   accept files that everyone may read or write
",
    when(
        PROBE,
        "\x20 probe                    search the network for cameras with ONVIF
  probe ADDRESS            say what the camera at HOST[:PORT] is and can do, and print a [[channel]]
                           section for it; with --config, do so for the configured channels. --input is
                           the number of a camera behind an NVR, from 1. Without --username no login is
                           given; the password is IVT_CAMERA_PASSWORD of the environment or a line of
                           standard input. It is tried once
",
    ),
    when(
        PROFILES,
        "\x20 profile list, show       the built-in profiles of cameras (backend cgi), and the text of one
  profile check FILE       say what is wrong with a profile, or every request that it makes
",
    ),
    when(
        FIRMWARE,
        "\x20 firmware verify IMAGE    say what a device would say to a firmware with IMAGE.minisig beside it: with
                           --config this device, else one that trusts the minisign keys KEY (RW...).
                           Exit status 0: it would be installed, 1: it would be refused
",
    ),
    "\x20 --version                print the version and exit
  --help                   print this and exit

RUST_LOG in the environment sets the log level, e.g. RUST_LOG=debug.",
];

const fn when(is_built: bool, text: &'static str) -> &'static str {
    if is_built { text } else { "" }
}

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Arguments {
    /// Search the network for cameras.
    Discover,
    /// Probe a camera by its address.
    ProbeAddress {
        /// Where the camera's web server is.
        address: String,
        /// The user name of its login.
        username: Option<String>,
        /// The number of the camera behind an NVR, from 1.
        input: u16,
    },
    /// Probe configured cameras.
    ProbeChannels {
        /// Path of the configuration file.
        file: PathBuf,
        /// The permissions that the files must have.
        access: Access,
        /// The channel to probe; all of them without.
        channel: Option<usize>,
    },
    /// Say what a device would say to a firmware.
    VerifyFirmware {
        /// Path of the image, beside which its signature is.
        image: PathBuf,
        /// The keys that are trusted where there is no configuration.
        keys: Vec<String>,
        /// Path of the configuration file.
        file: Option<PathBuf>,
        /// The permissions that the files must have.
        access: Access,
    },
    /// List the built-in profiles.
    ListProfiles,
    /// Print a built-in profile.
    ShowProfile(String),
    /// Say what a profile does.
    CheckProfile(PathBuf),
    /// Print the usage.
    Help,
    /// Print the version.
    Version,
    /// Read a configuration and do something with it.
    Config {
        /// Path of the configuration file.
        file: PathBuf,
        /// What the configuration is read for.
        task: Task,
        /// The permissions that the files must have.
        access: Access,
    },
}

/// What a configuration is read for.
#[derive(Debug, PartialEq, Eq)]
pub enum Task {
    /// Run an agent.
    Run,
    /// Say whether the configuration is good.
    Check,
    /// Change settings in the files.
    Change(Vec<Wish>),
}

/// A change of one setting.
#[derive(Debug, PartialEq, Eq)]
pub enum Wish {
    /// A key and its new value.
    Set(String, Secret),
    /// A key whose new value is read from standard input.
    Ask(String),
    /// A key that is removed.
    Unset(String),
}

impl Arguments {
    /// Reads the arguments after the program's name.
    ///
    /// # Errors
    /// What is wrong with the arguments, in words for the user.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, String> {
        let (mut file, mut check, mut access) = (None, false, Access::Private);
        let mut wishes = Vec::new();
        let mut arguments = arguments.into_iter().peekable();
        match arguments.peek().and_then(|first| first.to_str()) {
            Some("probe") if PROBE => return probe::parse(arguments.skip(1)),
            Some("profile") if PROFILES => return probe::parse_profile(arguments.skip(1)),
            Some("firmware") if FIRMWARE => return firmware::parse(arguments.skip(1)),
            Some(name @ ("probe" | "profile" | "firmware")) => {
                return Err(format!("this program is built without {name}"));
            }
            _ => {}
        }
        while let Some(argument) = arguments.next() {
            match argument.to_str() {
                Some("--help" | "-h") => return Ok(Self::Help),
                Some("--version" | "-V") => return Ok(Self::Version),
                Some("--check-config") => check = true,
                Some("--allow-world-readable") => access = Access::Any,
                Some("--config") => match arguments.next() {
                    Some(path) => file = Some(PathBuf::from(path)),
                    None => return Err("--config needs a file".into()),
                },
                Some("--set") => match arguments.next().as_deref().and_then(OsStr::to_str) {
                    Some(wish) => wishes.push(Wish::set(wish)),
                    None => return Err("--set needs KEY=VALUE or KEY, in UTF-8".into()),
                },
                Some("--unset") => match arguments.next().as_deref().and_then(OsStr::to_str) {
                    Some(key) => wishes.push(Wish::Unset(key.to_owned())),
                    None => return Err("--unset needs a key".into()),
                },
                _ => {
                    return Err(unknown(&argument));
                }
            }
        }
        let file = file.ok_or("--config FILE is missing")?;
        let task = match (check, wishes.is_empty()) {
            (true, false) => return Err("--check-config and changes exclude each other".into()),
            (true, true) => Task::Check,
            (false, true) => Task::Run,
            (false, false) => Task::Change(wishes),
        };
        Ok(Self::Config { file, task, access })
    }
}

fn unknown(argument: &OsStr) -> String {
    // What follows the name may be a password: `--set=cloud.login_passwd=...`.
    let argument = argument.to_string_lossy();
    let name = argument.split('=').next().unwrap_or_default();
    format!("unknown argument {name:?}")
}

impl Wish {
    fn set(wish: &str) -> Self {
        match wish.split_once('=') {
            Some((key, value)) => {
                Self::Set(key.trim().to_owned(), Secret::untold(value.to_owned()))
            }
            None => Self::Ask(wish.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Arguments, String> {
        Arguments::parse(arguments.iter().map(OsString::from))
    }

    #[test]
    fn arguments_are_read() {
        let config = |task, access| Arguments::Config { file: "a.toml".into(), task, access };
        let set = |key: &str, value: &str| Wish::Set(key.to_owned(), value.to_owned().into());
        let probed = |address: &str, username: Option<&str>, input| Arguments::ProbeAddress {
            address: address.into(),
            username: username.map(str::to_owned),
            input,
        };
        let channels = |channel| Arguments::ProbeChannels {
            file: "a.toml".into(),
            access: Access::Private,
            channel,
        };
        let verify = |file: Option<&str>, keys: &[&str]| Arguments::VerifyFirmware {
            image: "a.img".into(),
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            file: file.map(PathBuf::from),
            access: Access::Private,
        };
        let wishes = vec![set("a.b", "c = d"), Wish::Ask("e".into()), Wish::Unset("f".into())];
        for (arguments, want) in [
            (&["--config", "a.toml"][..], config(Task::Run, Access::Private)),
            (&["--check-config", "--config", "a.toml"], config(Task::Check, Access::Private)),
            (&["--config", "a.toml", "--allow-world-readable"], config(Task::Run, Access::Any)),
            (
                &["--set", "a.b=c = d", "--config", "a.toml", "--set", "e", "--unset", "f"],
                config(Task::Change(wishes), Access::Private),
            ),
            (&["--version", "--nonsense"], Arguments::Version),
            (&["--help"], Arguments::Help),
            (&["probe"], Arguments::Discover),
            (&["probe", "--help"], Arguments::Help),
            (&["probe", "cam:81"], probed("cam:81", None, 1)),
            (
                &["probe", "--username", "admin", "--input", "3", "cam"],
                probed("cam", Some("admin"), 3),
            ),
            (&["probe", "--config", "a.toml"], channels(None)),
            (&["probe", "--channel", "2", "--config", "a.toml"], channels(Some(2))),
            (
                &["firmware", "verify", "a.img", "--key", "RWa", "--key", "RWb"],
                verify(None, &["RWa", "RWb"]),
            ),
            (&["firmware", "verify", "--config", "a.toml", "a.img"], verify(Some("a.toml"), &[])),
            (&["firmware", "--help"], Arguments::Help),
            (&["profile", "list"], Arguments::ListProfiles),
            (&["profile", "show", "uapi"], Arguments::ShowProfile("uapi".into())),
            (&["profile", "check", "a.toml"], Arguments::CheckProfile("a.toml".into())),
        ] {
            assert_eq!(parse(arguments), Ok(want));
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (arguments, want) in [
            (&[][..], "--config FILE is missing"),
            (&["--config"], "needs a file"),
            (&["--config", "a", "--chekc"], "--chekc"),
            (&["a.toml"], "a.toml"),
            (&["--config", "a", "--set"], "--set needs KEY=VALUE"),
            (&["--config", "a", "--unset"], "--unset needs a key"),
            (&["--unset", "k"], "--config FILE is missing"),
            (&["--config", "a", "--set", "k=1", "--check-config"], "exclude each other"),
            (&["probe", "a", "b"], "one camera"),
            (&["probe", "a", "--config", "f"], "exclude each other"),
            (&["probe", "--config"], "--config needs a file"),
            (&["probe", "--channel", "1"], "--channel needs --config"),
            (&["probe", "--config", "f", "--username", "u"], "--username needs an address"),
            (&["probe", "a", "--input", "0"], "--input needs a number from 1 to 256"),
            (&["probe", "a", "--password=canary"], "unknown argument \"--password\""),
            (&["probe", "http://u:canary@h"], "--username"),
            (&["firmware"], "firmware verify IMAGE"),
            (&["firmware", "check", "a"], "firmware verify IMAGE"),
            (&["firmware", "verify", "a"], "--config FILE or --key KEY"),
            (&["firmware", "verify", "a", "b"], "one image"),
            (&["firmware", "verify", "a", "--key"], "--key needs a value"),
            (&["firmware", "verify", "a", "--key", "k", "--config", "f"], "exclude each other"),
            (&["firmware", "verify", "a", "--kye", "k"], "unknown argument"),
            (&["profile"], "list, show NAME or check FILE"),
            (&["profile", "check"], "list, show NAME or check FILE"),
            (&["profile", "list", "x"], "list, show NAME or check FILE"),
        ] {
            let error = parse(arguments).unwrap_err();
            assert!(error.contains(want) && !error.contains("canary"), "{error}");
        }
    }
}
