//! What is to be started, from the command line and from a file: both have the same keys.

use std::fmt::Display;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::str::FromStr;

use ivt_sim::args::{Args, ArgsError};
use ivt_sim::camera::{Alarm, Credentials, Make};
use ivt_sim::cloud::Login;

use super::file::{self, WrongValue};
use super::picture::Picture;
use super::port::Port;
use super::qr::Paint;
use crate::slip::{did_you_mean, nearest};

/// A program that is started, or is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// An emulated camera.
    Camera,
    /// The simulated cloud.
    Cloud,
    /// A server of the hosted service.
    Hosted,
    /// The agent with an emulated camera: a device of a cloud.
    Device,
}

/// All that can be set. Passwords that are not set are made up at each start.
#[derive(Clone)]
pub struct Settings {
    /// What is started, without doubles.
    pub parts: Vec<Part>,
    /// What the camera shows.
    pub picture: Picture,
    /// Whose requests the camera's web server understands.
    pub family: Make,
    /// The alarms that the camera raises by itself.
    pub alarms: Vec<Alarm>,
    /// Whether the camera is found by everyone on the network who searches for cameras with ONVIF.
    pub discoverable: bool,
    /// The camera's login.
    pub camera_login: Option<Credentials>,
    /// The device's login at the cloud.
    pub login: Option<Login>,
    /// The cloud of a device, where that is not ours.
    pub cloud_url: Option<String>,
    /// The server of the hosted service of a device, where that is not ours.
    pub hosted_server: Option<String>,
    /// Whether only this machine reaches all of it.
    pub loopback: bool,
    /// The address that is printed, where the machine has several.
    pub address: Option<Ipv4Addr>,
    /// The ports, by what listens there.
    pub ports: Ports,
    /// The password of the device's page.
    pub page_password: Option<String>,
    /// The agent's program.
    pub agent: Option<PathBuf>,
    /// How much the agent's log tells.
    pub agent_log: String,
    /// Where the device keeps what has to outlast a restart.
    pub state: Option<PathBuf>,
    /// How the QR code is drawn; `None` for as the terminal is.
    pub qr: Option<Option<Paint>>,
}

/// The ports of the programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// The camera's streams.
    pub rtsp: Port,
    /// The camera's web server and ONVIF.
    pub camera: Port,
    /// The camera's control page.
    pub control: Port,
    /// The cloud, for devices and browsers.
    pub cloud: Port,
    /// The cloud, for streams.
    pub rtmp: Port,
    /// The device's own page.
    pub page: Port,
    /// The hosted service, for devices.
    pub hosted: Port,
    /// The hosted service, for browsers.
    pub hosted_page: Port,
}

/// A key of the file and option of the command line.
struct Key {
    name: &'static str,
    /// What stands for the value in the help; empty for a switch.
    value: &'static str,
    help: &'static str,
}

const KEYS: [Key; 26] = [
    key(
        "picture",
        "WHAT",
        "pattern, clips, rpicam (the Pi's own camera), v4l2[:/dev/videoN],\na video file, or 'command PROGRAM ARGUMENTS' that writes H.264 [pattern]",
    ),
    key("discoverable", "", "let recorders and phone apps find the camera (ONVIF)"),
    key(
        "family",
        "NAME",
        "the camera's web server: uapi, nvc, ipai, merlin, hikvision, dahua [uapi]",
    ),
    key("alarm", "WHAT", "raise an alarm, such as motion:every=30s,for=5s; may be repeated"),
    key(
        "camera-login",
        "USER:PASSWORD",
        "the camera's login [admin, and a password made up at each start]",
    ),
    key("login", "CODE:PASSWORD", "the device's login at the cloud [demo, and a password made up]"),
    key("cloud-url", "URL", "the cloud that the device logs in to, without part `cloud`"),
    key(
        "hosted-server",
        "HOST:PORT",
        "the hosted service that the device calls, without part `hosted`",
    ),
    key("loopback", "", "for this machine only; else everyone on the network reaches it all"),
    key("lan", "", "for everyone on the network, also where the file says loopback"),
    key("address", "IP", "print this address of the machine"),
    key("page-password", "WORD", "the password of the device's own page [made up at each start]"),
    key("agent", "PATH", "the agent's program [ivt-agent beside this one, or in PATH]"),
    key("agent-log", "LEVEL", "what the agent logs: error, warn, info, debug [warn]"),
    key("state", "FOLDER", "where the device keeps its state [$STATE_DIRECTORY, or until the end]"),
    key("qr", "HOW", "colours, light, dark (the ground of the terminal) or none"),
    key("rtsp-port", "N", "the camera's streams [8554, or a free one]"),
    key("camera-port", "N", "the camera's web server and ONVIF [8083, or a free one]"),
    key("control-port", "N", "the page with the camera's faults [8084, or a free one]"),
    key("cloud-port", "N", "the cloud's page and devices [8080, or a free one]"),
    key("rtmp-port", "N", "the cloud's streams [1935, or a free one]"),
    key("page-port", "N", "the device's own page [8081, or a free one]"),
    key("hosted-port", "N", "devices of the hosted service [21000, or a free one]"),
    key("hosted-page-port", "N", "the page of the hosted service [8082, or a free one]"),
    key("parts", "LIST", "in a file: what is started, such as [\"camera\", \"cloud\"]"),
    key("config", "FILE", "read these keys from FILE [/etc/ivt-lab.toml where it is there]"),
];

const fn key(name: &'static str, value: &'static str, help: &'static str) -> Key {
    Key { name, value, help }
}

/// The file that is read where it is there and no other is named.
const FILE: &str = "/etc/ivt-lab.toml";

/// Why the settings are refused.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The command line.
    #[error("{0}")]
    Args(#[from] ArgsError),
    /// An option that is not there.
    #[error("unknown option --{name}{}; see --help", hint(*.nearest))]
    Unknown {
        /// What was written.
        name: String,
        /// What was meant, perhaps.
        nearest: Option<&'static str>,
    },
    /// A value, or a key of the file.
    #[error(transparent)]
    Value(#[from] WrongValue),
    /// Parts that do not go together.
    #[error("{0}")]
    Parts(&'static str),
}

fn hint(nearest: Option<&str>) -> String {
    did_you_mean(nearest.map(|name| format!("--{name}")).as_deref())
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            parts: Vec::new(),
            picture: Picture::default(),
            family: Make::default(),
            alarms: Vec::new(),
            discoverable: false,
            camera_login: None,
            login: None,
            cloud_url: None,
            hosted_server: None,
            loopback: false,
            address: None,
            ports: Ports {
                rtsp: Port::Usual(8554),
                camera: Port::Usual(8083),
                control: Port::Usual(8084),
                cloud: Port::Usual(8080),
                rtmp: Port::Usual(1935),
                page: Port::Usual(8081),
                hosted: Port::Usual(21000),
                hosted_page: Port::Usual(8082),
            },
            page_password: None,
            agent: None,
            agent_log: "warn".into(),
            state: None,
            qr: None,
        }
    }
}

impl Settings {
    /// The options, one a line, for the help.
    pub fn help() -> String {
        let line = |key: &Key| {
            let option = format!("--{} {}", key.name, key.value);
            let help = key.help.replace('\n', &format!("\n{:31}", ""));
            format!("  {:29}{help}\n", option.trim_end())
        };
        KEYS.iter().filter(|key| key.name != "parts").map(line).collect()
    }

    /// Reads the words behind `ivt-lab start`; `None` when help is asked for. What the command line says wins over the file.
    ///
    /// # Errors
    /// A word, a key or a value is wrong.
    pub fn read(words: impl IntoIterator<Item = String>) -> Result<Option<Self>, SettingsError> {
        let mut words = words.into_iter().peekable();
        let mut parts = Vec::new();
        while let Some(word) = words.next_if(|word| !word.starts_with('-')) {
            parts.extend(Part::several(&word).map_err(|reason| value(&word, reason))?);
        }
        let mut args = Args::new(words);
        let (mut config, mut given) = (None, Vec::new());
        while let Some(flag) = args.flag()? {
            let name = flag.trim_start_matches('-');
            if matches!(name, "help" | "h") {
                return Ok(None);
            }
            let key = KEYS.iter().find(|key| key.name == name && name != "parts");
            let key = key.ok_or_else(|| SettingsError::Unknown {
                name: name.to_owned(),
                nearest: meant(name),
            })?;
            match key.name {
                "config" => config = Some(args.value::<PathBuf>()?),
                _ if key.value.is_empty() => given.push((key.name, "true".to_owned())),
                _ => given.push((key.name, args.value::<String>()?)),
            }
        }
        let mut settings = Self::default();
        let usual = || Some(PathBuf::from(FILE)).filter(|file| file.exists());
        if let Some(path) = config.or_else(usual) {
            for entry in file::read(&path)? {
                let place = format!("{}:{}", path.display(), entry.line);
                settings.take(&entry.key, &entry.value).map_err(|reason| value(&place, reason))?;
            }
        }
        if given.iter().any(|(name, _)| *name == "alarm") {
            settings.alarms.clear();
        }
        for (name, text) in given {
            let refused = |reason| value(&format!("--{name}"), reason);
            settings.take(name, &text).map_err(refused)?;
        }
        if !parts.is_empty() {
            settings.parts = parts;
        }
        settings.sound().map(Some)
    }

    /// Sets a key, whose value is text, or `true` or `false` for a switch.
    fn take(&mut self, name: &str, text: &str) -> Result<(), String> {
        match name {
            "parts" => self.parts.extend(Part::several(text)?),
            "picture" => self.picture = parse(text)?,
            "family" => self.family = parse(text)?,
            "alarm" => self.alarms.push(parse(text)?),
            "discoverable" => self.discoverable = parse(text)?,
            "camera-login" => {
                let (user, password) = login(text, "USER:PASSWORD")?;
                self.camera_login = Some(Credentials { user, password });
            }
            "login" => {
                let (code, password) = login(text, "CODE:PASSWORD")?;
                self.login = Some(Login { code, password });
            }
            "cloud-url" => self.cloud_url = Some(url(text)?),
            "hosted-server" => {
                let port = text.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
                port.ok_or("expected HOST:PORT")?.map_err(|_| "expected HOST:PORT")?;
                self.hosted_server = Some(text.to_owned());
            }
            "loopback" => self.loopback = parse(text)?,
            "lan" => self.loopback = !parse::<bool>(text)?,
            "address" => self.address = Some(parse(text)?),
            "page-password" if text.len() < 8 => {
                return Err("expected 8 characters at least".into());
            }
            "page-password" => self.page_password = Some(text.to_owned()),
            "agent" => self.agent = Some(text.into()),
            "agent-log" if ["error", "warn", "info", "debug", "trace"].contains(&text) => {
                self.agent_log = text.to_owned();
            }
            "agent-log" => return Err("expected error, warn, info, debug or trace".into()),
            "state" => self.state = Some(text.into()),
            "qr" => {
                self.qr = Some(match text {
                    "colours" => Some(Paint::Colours),
                    "dark" => Some(Paint::LightOnDark),
                    "light" => Some(Paint::DarkOnLight),
                    "none" => None,
                    _ => return Err("expected colours, light, dark or none".into()),
                });
            }
            "rtsp-port" => self.ports.rtsp = port(text)?,
            "camera-port" => self.ports.camera = port(text)?,
            "control-port" => self.ports.control = port(text)?,
            "cloud-port" => self.ports.cloud = port(text)?,
            "rtmp-port" => self.ports.rtmp = port(text)?,
            "page-port" => self.ports.page = port(text)?,
            "hosted-port" => self.ports.hosted = port(text)?,
            "hosted-page-port" => self.ports.hosted_page = port(text)?,
            unknown => {
                return Err(format!("unknown key `{unknown}`{}", did_you_mean(meant(unknown))));
            }
        }
        Ok(())
    }

    fn sound(mut self) -> Result<Self, SettingsError> {
        if self.parts.is_empty() {
            self.parts = Part::ALL.to_vec();
        }
        let mut once = Vec::new();
        self.parts.retain(|part| {
            !once.contains(part) && {
                once.push(*part);
                true
            }
        });
        let has = |part| self.parts.contains(&part);
        let nowhere = self.cloud_url.is_none() && !has(Part::Cloud);
        let homeless = self.hosted_server.is_none() && !has(Part::Hosted);
        let why = match () {
            () if has(Part::Device) && nowhere && homeless => {
                "a device needs a cloud: start `device cloud`, or say --cloud-url ws://HOST:PORT/PATH"
            }
            () if self.cloud_url.is_some() && has(Part::Cloud) => {
                "the device logs in to the cloud that is started: leave out part `cloud` or --cloud-url"
            }
            () if self.cloud_url.is_some() && !has(Part::Device) => {
                "only a device logs in to --cloud-url: start `device`"
            }
            () if self.discoverable && self.loopback => {
                "a camera on the loopback is found by nobody: leave out --loopback or --discoverable"
            }
            () => return Ok(self),
        };
        Err(SettingsError::Parts(why))
    }
}

impl Part {
    /// What `all` stands for.
    pub const ALL: [Self; 4] = [Self::Camera, Self::Cloud, Self::Hosted, Self::Device];

    fn several(text: &str) -> Result<Vec<Self>, String> {
        let one = |word: &str| match word {
            "camera" => Ok(vec![Self::Camera]),
            "cloud" => Ok(vec![Self::Cloud]),
            "hosted" | "tlss" => Ok(vec![Self::Hosted]),
            "device" | "agent" => Ok(vec![Self::Device]),
            "all" => Ok(Self::ALL.to_vec()),
            _ => Err(format!("`{word}` is no part: expected camera, cloud, hosted, device or all")),
        };
        let words = text.split([',', '+']).map(str::trim).filter(|word| !word.is_empty());
        Ok(words.map(one).collect::<Result<Vec<_>, _>>()?.concat())
    }
}

/// The key that is meant by a word with a slip.
fn meant(word: &str) -> Option<&'static str> {
    nearest(&word.replace('_', "-"), KEYS.iter().map(|key| key.name))
}

fn value(place: &str, reason: String) -> SettingsError {
    WrongValue { place: place.to_owned(), reason }.into()
}

fn parse<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| format!("`{text}`: {error}"))
}

/// Two words with a colon between them. The text is not repeated in an error: it may be a password.
fn login(text: &str, form: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, password)) if !name.is_empty() && !password.is_empty() => {
            Ok((name.to_owned(), password.to_owned()))
        }
        _ => Err(format!("expected {form}")),
    }
}

fn url(text: &str) -> Result<String, String> {
    match url::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "ws" | "wss") => Ok(text.to_owned()),
        _ => Err("expected ws://HOST:PORT/PATH or wss://".into()),
    }
}

fn port(text: &str) -> Result<Port, String> {
    Ok(Port::Given(parse(text)?))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn read(line: &str) -> Result<Option<Settings>, String> {
        Settings::read(line.split_whitespace().map(str::to_owned)).map_err(|e| e.to_string())
    }

    fn settings(line: &str) -> Settings {
        read(line).unwrap().unwrap()
    }

    fn refused(line: &str) -> String {
        read(line).err().expect("it is refused")
    }

    /// A file with this text, for `--config`.
    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn any_mix_of_parts_is_started() {
        assert_eq!(settings("camera cloud").parts, [Part::Camera, Part::Cloud]);
        assert_eq!(settings("camera,camera").parts, [Part::Camera]);
        assert_eq!(settings("all").parts, Part::ALL);
        assert_eq!(settings("").parts, Part::ALL);
        assert_eq!(settings("device --cloud-url ws://h/ivc").parts, [Part::Device]);
    }

    #[test]
    fn every_option_reaches_its_place() {
        let line = "camera device --picture rpicam --discoverable --family dahua --alarm motion:every=60s \
                    --camera-login a:b --login c:d --cloud-url wss://h/ivc --hosted-server h:1 --address 192.0.2.1 \
                    --page-password 12345678 --agent /a --agent-log debug --state /s --qr dark --rtsp-port 1 \
                    --camera-port 2 --control-port 3 --cloud-port 4 --rtmp-port 5 --page-port 6 --hosted-port 7 \
                    --hosted-page-port 8 --lan";
        let all = settings(line);
        assert_eq!((all.picture, all.family), (Picture::Rpicam, Make::Dahua));
        assert_eq!((all.discoverable, all.loopback, all.alarms.len()), (true, false, 1));
        assert_eq!(all.camera_login.map(|login| login.password), Some("b".into()));
        assert_eq!(all.login.map(|login| login.code), Some("c".into()));
        assert_eq!(all.cloud_url.as_deref(), Some("wss://h/ivc"));
        assert_eq!(all.hosted_server.as_deref(), Some("h:1"));
        assert_eq!(all.address, Some(Ipv4Addr::new(192, 0, 2, 1)));
        assert_eq!(all.page_password.as_deref(), Some("12345678"));
        assert_eq!((all.agent, all.state), (Some("/a".into()), Some("/s".into())));
        assert_eq!((&*all.agent_log, all.qr), ("debug", Some(Some(Paint::LightOnDark))));
        let Ports { rtsp, camera, control, cloud, rtmp, page, hosted, hosted_page } = all.ports;
        let ports = [rtsp, camera, control, cloud, rtmp, page, hosted, hosted_page];
        assert_eq!(ports, [1, 2, 3, 4, 5, 6, 7, 8].map(Port::Given));
    }

    #[test]
    fn a_file_has_the_same_keys_and_the_command_line_wins() {
        let file = file(
            "parts = ['camera', 'cloud']\npicture = 'clips'\nloopback = true\nrtsp-port = 99\n\
             alarm = ['motion:every=60s', 'input:every=90s']\n",
        );
        let path = file.path().display();
        let all = settings(&format!("--config {path}"));
        assert_eq!((all.parts.len(), all.picture, all.alarms.len()), (2, Picture::Clips, 2));
        assert!(all.loopback && all.ports.rtsp == Port::Given(99));
        let other = settings(&format!("hosted --config {path} --picture pattern --lan"));
        assert_eq!((other.parts, other.picture), (vec![Part::Hosted], Picture::Pattern));
        assert!(!other.loopback);
    }

    #[test]
    fn mistakes_in_a_file_name_file_line_and_nearest_key() {
        for (text, line, word) in [
            ("loopback = true\npictur = 'clips'\n", 2, "did you mean `picture`?"),
            ("\n\nrtsp_port = 5\n", 3, "did you mean `rtsp-port`?"),
            ("zebra = 5\n", 1, "unknown key `zebra`"),
            ("picture = 'patern'\n", 1, "expected pattern"),
            ("rtsp-port = 70000\n", 1, "70000"),
            ("parts = ['camera', 'moon']\n", 1, "`moon` is no part"),
            ("picture = 1.5\n", 1, "picture"),
            ("\npicture = \n", 2, ""),
            ("loopback = 'perhaps'\n", 1, "perhaps"),
        ] {
            let file = file(text);
            let error = refused(&format!("--config {}", file.path().display()));
            let place = format!("{}:{line}", file.path().display());
            assert!(error.starts_with(&place) && error.contains(word), "{text:?}: {error}");
        }
        let error = refused("--config /nonexistent/lab.toml");
        assert!(error.contains("/nonexistent/lab.toml"), "{error}");
    }

    #[test]
    fn mistakes_on_the_command_line_are_named() {
        for (line, word) in [
            ("moon", "`moon` is no part"),
            ("all --pictur clips", "did you mean `--picture`?"),
            ("all --zebra", "unknown option --zebra"),
            ("all --picture patern", "--picture"),
            ("device", "needs a cloud"),
            ("cloud device --cloud-url ws://h/", "leave out"),
            ("camera --cloud-url ws://h/", "start `device`"),
            ("camera --discoverable --loopback", "found by nobody"),
            ("all --cloud-url http://h/", "ws://"),
            ("all --page-password short", "8 characters"),
            ("all --rtsp-port", "needs a value"),
            ("all --parts camera", "--parts"),
        ] {
            let error = refused(line);
            assert!(error.contains(word), "{line}: {error}");
        }
        let secret = refused("all --login canary");
        assert!(!secret.contains("canary"), "{secret}");
    }

    #[test]
    fn help_tells_every_option() {
        let help = Settings::help();
        assert!(KEYS.iter().filter(|key| key.name != "parts").all(|key| help.contains(key.name)));
        assert!(help.lines().all(|line| line.chars().count() <= 110), "{help}");
        assert!(read("all --help").unwrap().is_none());
    }
}
