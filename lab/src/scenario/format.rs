//! What a scenario says, as plain data.

use std::path::PathBuf;
use std::time::Duration;

use ivt_hal::Trigger;
use ivt_sim::camera::{AlarmQuirk, Fault, Make, Quirks, onvif};
use ivt_sim::cloud::{Answers, Faults, Login};
use serde_json::Value;

use super::pattern::{Bound, Pattern};
use super::settings::Lines;
use crate::badnet::{Conditions, Cut};

/// A scenario as it was read.
#[derive(Debug)]
pub struct Scenario {
    /// The file that it stands in.
    pub file: PathBuf,
    /// What reports call it.
    pub(super) id: String,
    /// What it shows, in a sentence.
    pub name: String,
    /// Why it matters, for people.
    pub about: String,
    /// The section of the specification, or empty.
    pub section: String,
    pub(super) time_limit: Duration,
    pub(super) device: DevicePart,
    pub(super) cloud: CloudPart,
    pub(super) cameras: Vec<CameraPart>,
    pub(super) network: NetworkPart,
    pub(super) steps: Vec<Step>,
    pub(super) expects: Vec<Expect>,
}

impl Scenario {
    /// The name of the file without its ending, or more where others have the same.
    pub fn id(&self) -> String {
        self.id.clone()
    }
}

/// Gives each scenario an id of its own: those whose files have the same name have their folder before it, `lab.reboot`,
/// and a number behind it where that is the same, too.
pub(super) fn tell_apart(scenarios: &mut [Scenario]) {
    let same = |scenarios: &[Scenario], id: &str| scenarios.iter().filter(|s| s.id == id).count();
    let stems: Vec<String> = scenarios.iter().map(Scenario::id).collect();
    for scenario in scenarios.iter_mut() {
        if stems.iter().filter(|stem| **stem == scenario.id).count() > 1 {
            let folder = std::path::absolute(&scenario.file).ok();
            let folder = folder.as_deref().and_then(|file| file.parent()?.file_name());
            if let Some(folder) = folder {
                scenario.id = format!("{}.{}", folder.to_string_lossy(), scenario.id);
            }
        }
    }
    for at in 1..scenarios.len() {
        let (id, mut number) = (scenarios[at].id(), 2);
        while same(&scenarios[..at], &scenarios[at].id) > 0 {
            scenarios[at].id = format!("{id}-{number}");
            number += 1;
        }
    }
}

/// `[device]`: what is tried.
#[derive(Debug)]
pub(super) struct DevicePart {
    pub(super) login: String,
    pub(super) password: String,
    /// Whether the runner starts it; otherwise somebody else's device is waited for.
    pub(super) start: bool,
    /// Sections of its configuration beside those that the runner makes.
    pub(super) settings: toml::Table,
    /// Keys of each `[[channel]]` beside those that the runner makes.
    pub(super) channel: toml::Table,
    /// Where the keys of both stand.
    pub(super) lines: Lines,
}

/// `[cloud]`.
#[derive(Debug)]
pub(super) struct CloudPart {
    /// The logins that it takes; none means all.
    pub(super) logins: Vec<Login>,
    pub(super) patience: Duration,
    pub(super) answers: Answers,
    pub(super) faults: Faults,
}

/// `[[camera]]`: one that is emulated on the network. Without one, the device emulates its own.
#[derive(Debug)]
pub(super) struct CameraPart {
    pub(super) backend: Backend,
    pub(super) family: Make,
    pub(super) login: Option<(String, String)>,
    /// The password that the device is told, where it is another one.
    pub(super) told_password: Option<String>,
    pub(super) quirks: Quirks,
    pub(super) onvif_quirks: Vec<onvif::Quirk>,
    pub(super) alarm_quirks: Vec<AlarmQuirk>,
    pub(super) transport: &'static str,
}

/// How the device speaks to a camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Backend {
    Rtsp,
    Cgi,
    Onvif,
}

/// `[network]`: what lies between the device and its peers.
#[derive(Debug, Default)]
pub(super) struct NetworkPart {
    pub(super) seed: Option<u64>,
    pub(super) lines: Vec<(Line, Conditions)>,
}

impl NetworkPart {
    /// Whether the scenario names this piece.
    pub(super) fn has(&self, line: Line) -> bool {
        self.lines.iter().any(|(other, _)| *other == line)
    }

    /// Whether there is something that an order to this piece reaches.
    pub(super) fn reaches(&self, line: Line) -> bool {
        let shares = matches!(line, Line::Cloud | Line::Rtmp | Line::Store);
        self.has(line) || shares && self.has(Line::Uplink)
    }
}

/// A piece of network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// All that leaves the house: cloud, RTMP and recordings share it.
    Uplink,
    Cloud,
    Rtmp,
    Store,
    Camera,
}

impl Line {
    pub(super) const ALL: [(&'static str, Self); 5] = [
        ("uplink", Self::Uplink),
        ("cloud", Self::Cloud),
        ("rtmp", Self::Rtmp),
        ("store", Self::Store),
        ("camera", Self::Camera),
    ];

    pub(super) fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, line)| *line == self).map_or("", |(name, _)| name)
    }
}

/// `[[step]]`: begins when the one before is done, and what it waits for has happened.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) line: usize,
    pub(super) id: Option<String>,
    /// Since the start.
    pub(super) at: Option<Duration>,
    /// Steps, expectations, or `online` and `offline`.
    pub(super) after: Vec<String>,
    pub(super) when: Option<Subject>,
    /// How long `after` and `when` may take.
    pub(super) within: Duration,
    pub(super) wait: Duration,
    pub(super) action: Action,
}

/// What a step does.
#[derive(Debug)]
pub(super) enum Action {
    Call { method: String, params: Option<Value>, outcome: Wanted, save: Vec<(String, String)> },
    Notify { event: String, params: Option<Value> },
    Raw { text: String, times: u32, bytes: usize },
    HangUp,
    Faults(Box<Faults>),
    Answers(Box<Answers>),
    Camera { number: usize, channel: Option<usize>, fault: Fault },
    Alarm { number: usize, channel: usize, trigger: Trigger, active: bool },
    Network { line: Line, order: NetworkOrder },
    Agent(AgentOrder),
    Login { code: String, password: String, stay: Duration, status: u16 },
    Pause,
}

/// What a call has to be answered with.
#[derive(Debug)]
pub(super) enum Wanted {
    Answer(Option<Pattern>),
    /// An error whose code, and whose message where one is given, is like this.
    Error(Pattern),
}

#[derive(Clone, Debug)]
pub(super) enum NetworkOrder {
    Cut(Cut),
    Heal,
    Conditions(Box<Conditions>),
}

/// What is done to the agent's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AgentOrder {
    Start,
    /// By SIGTERM.
    Stop,
    /// By SIGKILL.
    Kill,
    /// Stop and start.
    Restart,
    /// Kill and start.
    Crash,
}

/// `[[expect]]`: looked at beside the steps.
#[derive(Clone, Debug)]
pub(super) struct Expect {
    pub(super) line: usize,
    pub(super) id: Option<String>,
    /// What it says, in words.
    pub(super) name: String,
    pub(super) after: Vec<String>,
    pub(super) within: Duration,
    pub(super) not_before: Duration,
    /// How long it has to stay so.
    pub(super) hold: Option<Duration>,
    /// Whether it is looked at once, when all else is done.
    pub(super) at_end: bool,
    /// Whether it must not be so.
    pub(super) never: bool,
    pub(super) save: Vec<(String, String)>,
    pub(super) subject: Subject,
}

/// What is looked at.
#[derive(Clone, Debug)]
pub(super) enum Subject {
    /// Facts about a thing, each with what it has to be.
    Facts { of: Thing, clauses: Vec<Clause> },
    /// Things that are counted, each of which has to be like the pattern.
    Count(Count),
}

/// A thing about which facts are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Thing {
    Device,
    Stream(String),
    Recording(String),
    /// By its number, from 0.
    Camera(usize),
}

/// What one fact has to be.
#[derive(Clone, Debug)]
pub(super) struct Clause {
    pub(super) name: &'static str,
    pub(super) wanted: Is,
}

#[derive(Clone, Debug)]
pub(super) enum Is {
    Number(Bound),
    Text(String),
    Flag(bool),
}

/// Things to be counted.
#[derive(Clone, Debug)]
pub(super) struct Count {
    pub(super) of: Countable,
    pub(super) count: Bound,
    /// A place in the packets whose number rises from one to the next: `/seq`.
    pub(super) rising: Option<String>,
    /// Seconds from one to the next.
    pub(super) spacing: Option<Bound>,
}

#[derive(Clone, Debug)]
pub(super) enum Countable {
    /// Packets of the device.
    FromDevice(Pattern),
    /// Packets to the device.
    ToDevice(Pattern),
    /// The simulator's remarks on the connection.
    Note(String),
    /// Alarms that the device reported.
    Alarm(Pattern),
    /// What a camera was told to do.
    Order { number: usize, like: String },
    /// Lines of the agent's log.
    Log(String),
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::read::parse;
    use super::*;

    #[test]
    fn scenarios_whose_files_have_the_same_name_are_told_apart() {
        for (files, ids) in [
            (&["/a/x.toml", "/b/y.toml"][..], &["x", "y"][..]),
            (&["/a/x.toml", "/b/x.toml", "/b/y.toml"], &["a.x", "b.x", "y"]),
            (&["/a/b/x.toml", "/c/b/x.toml", "/c/b/x-2.toml"], &["b.x", "b.x-2", "x-2"]),
            (&["/x.toml", "/x.toml", "/x.toml", "/x-2.toml"], &["x", "x-2", "x-3", "x-2-2"]),
        ] {
            let text = "name = 'x'\n[[step]]\ncall = 'x'";
            let read = |file: &&str| parse(Path::new(file), text).unwrap();
            let mut scenarios: Vec<_> = files.iter().map(read).collect();
            tell_apart(&mut scenarios);
            let told: Vec<_> = scenarios.iter().map(Scenario::id).collect();
            assert_eq!(told, ids);
        }
    }
}
