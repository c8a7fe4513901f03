//! Cameras whose web interface a profile describes: a TOML file that says how a family of cameras is recognised, where its
//! streams are, and by which requests it is moved, set up and asked. `docs/profiles.md` describes the format.

mod alarms;
mod answer;
mod describe;
mod error;
mod exchange;
mod step;
mod template;
mod toml;
mod unit;
mod values;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;
use regex_lite::Regex;

use crate::http::Http;
use crate::rtsp::{Rtsp, UrlError};
use crate::{
    Area, Armed, Bitrates, Channel, Credentials, Detection, Direction, Kind, Movement, Point,
    Result, Transport, WallTime,
};
use alarms::Hearing;
use describe::Description;
pub use error::Error;
use exchange::{Call, Failure};
use step::Step;
use template::Place;
use unit::Unit;
use values::Values;

/// Longest time for recognising a camera.
const RECOGNISE: Duration = Duration::from_secs(4);

/// The built-in profiles, in the order in which a camera is tried.
const NAMES: &[&str] = include!("profile/names.in");

/// The texts of the built-in profiles, each ended by a NUL, compressed by the build script.
const TEXTS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/profiles.zlib"));

/// Most bytes of all built-in profiles.
const LONGEST_TEXTS: usize = 256 << 10;

/// What a family of cameras does over its web server.
pub struct Profile {
    /// The file, or the name of a built-in profile.
    name: String,
    description: Description,
}

/// Which camera a profile is used for.
#[derive(Clone)]
pub struct Options {
    /// The number of the NVR's input, from 1; 1 for a camera.
    pub input: u16,
    /// The login of the RTSP streams. That of the web server is the client's.
    pub login: Option<Credentials>,
    /// How the camera sends its streams.
    pub transport: Transport,
    /// The bit rates that its encoders are set to.
    pub bitrates: Bitrates,
}

impl Default for Options {
    fn default() -> Self {
        let bitrates = Bitrates::default();
        Self { input: 1, login: None, transport: Transport::Tcp, bitrates }
    }
}

impl Profile {
    /// Names of the built-in profiles, in the order in which a camera is tried.
    pub fn names() -> &'static [&'static str] {
        NAMES
    }

    /// The text of a built-in profile.
    pub fn text(name: &str) -> Option<String> {
        let place = NAMES.iter().position(|other| *other == name)?;
        let texts = decompress_to_vec_zlib_with_limit(TEXTS, LONGEST_TEXTS).ok()?;
        let text = texts.split(|byte| *byte == 0).nth(place)?;
        String::from_utf8(text.to_vec()).ok()
    }

    /// A built-in profile.
    pub fn builtin(name: &str) -> Option<Self> {
        Self::parse(name, &Self::text(name)?).ok()
    }

    /// Reads a profile; `file` names it in errors.
    ///
    /// # Errors
    /// What is wrong, in which line, and what is allowed there.
    pub fn parse(file: &str, text: &str) -> std::result::Result<Self, Error> {
        Ok(Self { name: file.to_owned(), description: Description::parse(file, text)? })
    }

    /// Reads the file of a profile, at most 256 KiB.
    ///
    /// # Errors
    /// The file cannot be read, or is no profile.
    pub fn load(path: &Path) -> std::result::Result<Self, Error> {
        let mut text = String::new();
        let most = describe::LONGEST as u64 + 1;
        let read = File::open(path).and_then(|file| file.take(most).read_to_string(&mut text));
        let file = path.display().to_string();
        match read {
            Ok(_) => Self::parse(&file, &text),
            Err(e) => Err(Error { message: format!("cannot be read: {e}"), file, line: 1 }),
        }
    }

    /// What the profile calls its family.
    pub fn title(&self) -> &str {
        &self.description.title
    }

    /// Whether the family's web server takes the commands of the hosted service.
    pub fn is_hosted(&self) -> bool {
        self.description.hosted
    }

    /// Whether the family has a sub stream of its own.
    pub fn has_sub(&self) -> bool {
        self.description.sub.is_some()
    }

    /// A channel with every ability that the profile describes. All of them and all inputs of an NVR share the login of
    /// `http`, whose host is also that of the streams.
    ///
    /// # Errors
    /// The host cannot stand in an address, or the streams are the same for every input and another one than 1 is wanted.
    pub fn channel(
        self: &Arc<Self>,
        http: &Http,
        options: &Options,
    ) -> std::result::Result<Channel, UrlError> {
        let said = &self.description;
        if options.input > 1 && !self.uses(said.main.names(), "input") {
            return Err(UrlError::Input { profile: self.name.clone(), input: options.input });
        }
        let (main, sub) = (self.address(http, &said.main, options.input), said.sub.as_ref());
        let sub = sub.map(|sub| self.address(http, sub, options.input));
        let rtsp = Rtsp::new(&main, sub.as_deref(), options.login.clone(), options.transport)?;
        let mut channel = Channel::new(Arc::new(rtsp.with_bitrates(options.bitrates)));
        let unit = Arc::new(Unit::new(Arc::clone(self), http, options.input));
        channel.snapshot = said.has("snapshot").then(|| unit.clone() as _);
        channel.ptz = said.has("ptz").then(|| unit.clone() as _);
        channel.presets = said.has("presets").then(|| unit.clone() as _);
        channel.tours = said.has("tours").then(|| unit.clone() as _);
        channel.patrol = said.has("patrol").then(|| unit.clone() as _);
        channel.motion = said.has("motion").then(|| unit.clone() as _);
        channel.tripwire = said.has("tripwire").then(|| unit.clone() as _);
        channel.network = said.has("network").then(|| unit.clone() as _);
        channel.wifi = said.has("wifi").then(|| unit.clone() as _);
        channel.power = said.has("power").then(|| unit.clone() as _);
        channel.alarms = said.has("alarms").then(|| unit.clone() as _);
        channel.clock = said.has("clock").then(|| unit.clone() as _);
        Ok(channel)
    }

    /// Asks a camera whether it is of this family, within 4 s: its model, or what else it says of itself; `None` for
    /// another family.
    ///
    /// # Errors
    /// `Refused` for a refused login, `Offline` or `Timeout` without an answer.
    pub async fn recognise(&self, http: &Http) -> Result<Option<String>> {
        const OP: &str = "recognise";
        let call = Call { op: OP, http, failures: self.failures() };
        let values = self.values(1);
        let rows = call.run(&self.description.recognise, &values);
        let rows = match tokio::time::timeout(RECOGNISE, rows).await {
            Ok(Ok(rows)) => rows,
            Ok(Err(error)) => {
                return match error.kind {
                    Kind::Unsupported | Kind::Other | Kind::Invalid => Ok(None),
                    _ => Err(error),
                };
            }
            Err(_) => return Err(crate::Error::new(OP, Kind::Timeout)),
        };
        let row = rows.into_iter().next().unwrap_or_default();
        let said = ["brand", "model", "serial", "firmware"].iter().filter_map(|name| row.get(name));
        let said = said.map(|text| text.trim()).filter(|text| !text.is_empty());
        let text = said.collect::<Vec<_>>().join(" ");
        Ok(Some(text.chars().filter(|c| !c.is_control()).take(200).collect()))
    }

    /// Every request that the profile would send, one text each, with sample values in the place of real ones.
    pub fn dry_run(&self) -> Vec<String> {
        let mut lines = vec![format!("streams main\n{}", self.sample(&self.description.main))];
        lines.extend(
            self.description.sub.iter().map(|sub| format!("streams sub\n{}", self.sample(sub))),
        );
        self.show(&mut lines, "recognise", "", &self.description.recognise, &self.values(1));
        for (name, steps) in &self.description.operations {
            for (detail, values) in self.samples(name) {
                self.show(&mut lines, name, detail, steps, &values);
            }
        }
        lines
    }

    fn show(
        &self,
        lines: &mut Vec<String>,
        name: &str,
        detail: &str,
        steps: &[Step],
        values: &Values<'_>,
    ) {
        let title = format!("{name} {detail}").trim_end().to_owned();
        for step in steps {
            match step.applies(values) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(kind) => {
                    lines.push(format!("{title}\n{kind}"));
                    continue;
                }
            }
            let instead = if step.instead { " (instead, if that fails)" } else { "" };
            lines.push(match step.request(values) {
                Ok(request) => format!("{title}{instead}\n{}", exchange::show(&request)),
                Err(kind) => format!("{title}{instead}\n{kind}"),
            });
            if step.changes() {
                lines.push(format!("{title}\n{}", exchange::show_changes(step, values)));
            }
        }
    }

    fn samples(&self, operation: &str) -> Vec<(&'static str, Values<'_>)> {
        let values = self.values(1);
        let armed = Armed { start: 22 * 3600, end: 6 * 3600 };
        let delay = Duration::from_secs(10);
        let detection = Detection { enable: true, armed, sensitivity: 50, delay };
        let area = [(10, 20), (90, 20), (80, 80), (20, 80)].map(|(x, y)| Point { x, y });
        let sample = match operation {
            "ptz start" | "ptz stop" => {
                let sample = |direction| {
                    let movement = Movement { direction, speed: 50 };
                    (unit::word(direction), unit::moving(values.clone(), movement))
                };
                return Direction::ALL.into_iter().map(sample).collect();
            }
            "snapshot take" => {
                let stream = |name, number: i64| (name, values.clone().number("stream", number));
                return vec![stream("main", 0), stream("sub", 1)];
            }
            "motion set" => values.detection(&detection),
            "tripwire set" => values.detection(&detection).area(Area(area)),
            "wifi join" => {
                values.text("ssid", "Network").text("password", "a password").number("is_open", 0)
            }
            "clock set" => {
                let time = WallTime::new(2026, 11, 30, 1, 2, 3).expect("the calendar has it");
                let values = values.time(time).utc(time).text("zone", "");
                values.number("epoch", 1_796_000_523)
            }
            _ => values.text("token", "1"),
        };
        vec![("", sample)]
    }

    fn sample(&self, address: &template::Template) -> String {
        address.render(&self.values(1), Place::Url).ok().flatten().unwrap_or_default()
    }

    fn address(&self, http: &Http, path: &template::Template, input: u16) -> String {
        let host = match http.host() {
            host if host.contains(':') => format!("[{host}]"),
            host => host.to_owned(),
        };
        let path = path.render(&self.values(input), Place::Url).ok().flatten().unwrap_or_default();
        match self.description.port {
            554 => format!("rtsp://{host}{path}"),
            port => format!("rtsp://{host}:{port}{path}"),
        }
    }

    fn values(&self, input: u16) -> Values<'_> {
        Values::new(&self.description.values, input)
    }

    fn steps(&self, operation: &str) -> Option<&[Step]> {
        self.description.operations.get(operation).map(Vec::as_slice)
    }

    fn hearing(&self) -> Option<&Hearing> {
        self.description.hearing.as_ref()
    }

    fn failures(&self) -> &[Failure] {
        &self.description.failures
    }

    fn stops_between(&self) -> bool {
        self.description.stop_between
    }

    fn preset(&self) -> Option<&Regex> {
        self.description.preset.as_ref()
    }

    fn tour(&self) -> Option<&Regex> {
        self.description.tour.as_ref()
    }

    fn any_tour(&self) -> Option<&str> {
        self.description.any_tour.as_deref()
    }

    /// Whether one of these names is the wanted one, or stands on it.
    fn uses<'a>(&'a self, mut names: Vec<&'a str>, wanted: &str) -> bool {
        let mut seen = Vec::new();
        while let Some(name) = names.pop() {
            if name == wanted {
                return true;
            }
            if let Some((name, derived)) = self.description.values.get_key_value(name)
                && !seen.contains(&name)
            {
                seen.push(name);
                names.extend(derived.names());
            }
        }
        false
    }

    /// What of a detection the requests of an operation have no place for.
    fn leaves_out(&self, operation: &str) -> Vec<&'static str> {
        let names = || self.steps(operation).into_iter().flatten().flat_map(Step::names).collect();
        let all = ["sensitivity", "delay"].into_iter();
        all.filter(|name| !self.uses(names(), name)).collect()
    }

    /// Whether the tripwire is set by its corners, and not by a rectangle.
    fn holds_corners(&self) -> bool {
        let corners = |derived: &values::Derived| derived.is_each(values::Each::Corner);
        let used = self.steps("tripwire set").into_iter().flatten().flat_map(Step::names);
        used.into_iter().any(|name| self.description.values.get(name).is_some_and(corners))
    }
}
