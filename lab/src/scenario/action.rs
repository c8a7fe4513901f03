//! Reads what a step does.

use std::time::Duration;

use ivt_hal::Trigger;
use ivt_sim::camera::Fault;
use serde_json::Value;

use super::fields::Fields;
use super::format::{Action, AgentOrder, Line, NetworkOrder, Wanted};
use super::pattern::Pattern;
use super::subject::camera;
use crate::badnet::{Conditions, Cut, Profile};
use crate::slip::{did_you_mean, nearest};

/// The keys of which exactly one says what a step does.
const ACTIONS: &[&str] = &[
    "call", "notify", "raw", "hang_up", "faults", "answers", "camera", "alarm", "network", "agent",
    "login", "pause",
];
/// The keys that go with some of the actions.
const BESIDE: &[&str] = &[
    "params",
    "answer",
    "error",
    "save",
    "times",
    "bytes",
    "camera_number",
    "channel",
    "lasts",
    "on",
    "seconds",
    "active",
    "cut",
    "heal",
    "profile",
    "conditions",
];
/// Why packets of UDP are nothing that a scenario can trouble, and what can.
pub(super) const TCP_ONLY: &str = "the network of a scenario carries TCP alone, which comes whole and in order; \
     for packets of UDP start badnet with a link of udp: (docs/badnet.md)";
/// Most times that a text is sent.
const MAX_TIMES: i64 = 100_000;
/// Longest text that is sent, in bytes.
const MAX_BYTES: i64 = 1 << 20;
/// Ticks of a second in the time stamps of streams.
const CLOCK_HZ: f64 = 90_000.0;

/// What a step does; `None` after a mistake, which is noted.
pub(super) fn action(fields: &mut Fields<'_>, cameras: usize) -> Option<Action> {
    fields.read_one(ACTIONS, BESIDE, |fields, key| under(key, fields, cameras))
}

fn under(key: &str, fields: &mut Fields<'_>, cameras: usize) -> Option<Action> {
    Some(match key {
        "call" => call(fields)?,
        "notify" => Action::Notify { event: fields.text("notify")?, params: fields.json("params") },
        "raw" => {
            let times = fields.whole("times", 1..=MAX_TIMES).unwrap_or(1);
            let bytes = fields.whole("bytes", 0..=MAX_BYTES).unwrap_or(0);
            Action::Raw {
                text: fields.text("raw")?,
                times: u32::try_from(times).unwrap_or(1),
                bytes: usize::try_from(bytes).unwrap_or(0),
            }
        }
        "hang_up" => fields.flag("hang_up").map(|_| Action::HangUp)?,
        "faults" => Action::Faults(fields.typed("faults")?),
        "answers" => Action::Answers(fields.typed("answers")?),
        "camera" => fault(fields, cameras)?,
        "alarm" => {
            let triggers =
                [("motion", Trigger::Motion), ("line", Trigger::Line), ("input", Trigger::Input)];
            Action::Alarm {
                trigger: fields.word("alarm", &triggers)?,
                number: camera(fields, "camera_number", cameras)?,
                channel: channel(fields).unwrap_or(0),
                active: fields.flag("active").unwrap_or(true),
            }
        }
        "network" => network(fields)?,
        "agent" => Action::Agent(fields.word(
            "agent",
            &[
                ("start", AgentOrder::Start),
                ("stop", AgentOrder::Stop),
                ("kill", AgentOrder::Kill),
                ("restart", AgentOrder::Restart),
                ("crash", AgentOrder::Crash),
            ],
        )?),
        "login" => {
            let mut table = fields.table("login")?;
            let code = table.text("login").unwrap_or_default();
            let password = table.text("password").unwrap_or_default();
            let stay = table.time("stay").unwrap_or(Duration::from_secs(1));
            let status = table.whole("status", 100..=599).unwrap_or(101);
            table.finish();
            Action::Login { code, password, stay, status: u16::try_from(status).unwrap_or(101) }
        }
        _ => fields.flag("pause").map(|_| Action::Pause)?,
    })
}

/// The values to keep: `save = { NAME = "/place/in/it" }`.
pub(super) fn saved(fields: &mut Fields<'_>) -> Vec<(String, String)> {
    let Some(Value::Object(members)) = fields.json("save") else { return Vec::new() };
    let mut saved = Vec::new();
    for (name, place) in members {
        match place.as_str().filter(|place| place.is_empty() || place.starts_with('/')) {
            Some(place) => saved.push((name, place.to_owned())),
            None => {
                fields.wrong(format!("save.{name}: expected a place such as \"/list/0/token\""))
            }
        }
    }
    saved
}

/// The conditions of a table: a `profile`, or `conditions` of its own.
pub(super) fn conditions(fields: &mut Fields<'_>) -> Option<Conditions> {
    let key = fields.one_of(&["profile", "conditions"], &[])?;
    // A profile is for every transport, and does what it can.
    let is_own = key == "conditions";
    let conditions: Conditions = match key {
        "profile" => fields.parsed::<Profile>("profile")?.conditions(),
        _ => fields.typed("conditions")?,
    };
    if let Err(error) = conditions.check() {
        fields.wrong(error);
        return None;
    }
    if is_own {
        for (name, way) in [("up", &conditions.up), ("down", &conditions.down)] {
            for (key, share) in [("reorder", way.reorder), ("duplicate", way.duplicate)] {
                if share > 0.0 {
                    fields.wrong(format!("conditions.{name}.{key} has no effect: {TCP_ONLY}"));
                }
            }
        }
    }
    Some(conditions)
}

fn call(fields: &mut Fields<'_>) -> Option<Action> {
    let method = fields.text("call")?;
    let params = fields.json("params");
    fields.only(&["error"], &["code", "msg"]);
    let outcome = match (fields.json("answer"), fields.json("error")) {
        (Some(_), Some(_)) => {
            fields.wrong("answer and error exclude each other");
            return None;
        }
        (answer, None) => Wanted::Answer(answer.map(Pattern)),
        (None, Some(error)) => Wanted::Error(Pattern(error)),
    };
    let save = saved(fields);
    Some(Action::Call { method, params, outcome, save })
}

fn fault(fields: &mut Fields<'_>, cameras: usize) -> Option<Action> {
    let word = fields.text("camera")?;
    let number = camera(fields, "camera_number", cameras)?;
    let channel = channel(fields);
    let time = |fields: &mut Fields<'_>| fields.time("lasts").unwrap_or(Duration::from_secs(5));
    let on = |fields: &mut Fields<'_>| fields.flag("on").unwrap_or(true);
    let fault = match word.as_str() {
        "reboot" => Fault::Reboot(time(fields)),
        "freeze" => Fault::Freeze(time(fields)),
        "parameters" => Fault::ChangeParameters,
        "jump" => {
            let seconds = fields.whole("seconds", -86_400..=86_400).unwrap_or(5);
            Fault::Jump((seconds as f64 * CLOCK_HZ) as i64)
        }
        "garbage" => Fault::Garbage,
        "silence" => Fault::SilenceAfterDescribe(on(fields)),
        "refuse" => Fault::RefuseLogin(on(fields)),
        _ => {
            let known = ["reboot", "freeze", "parameters", "jump", "garbage", "silence", "refuse"];
            let near = nearest(&word, known);
            let near = did_you_mean(near);
            fields.wrong(format!(
                "camera: there is no fault {word:?}; there are {}{near}",
                known.join(", ")
            ));
            return None;
        }
    };
    Some(Action::Camera { number, channel, fault })
}

fn channel(fields: &mut Fields<'_>) -> Option<usize> {
    fields.whole("channel", 0..=255).and_then(|channel| usize::try_from(channel).ok())
}

fn network(fields: &mut Fields<'_>) -> Option<Action> {
    let line = fields.word("network", &Line::ALL)?;
    let order = match fields.one_of(&["cut", "heal", "profile", "conditions"], &[])? {
        "cut" => {
            let cuts = [("hold", Cut::Hold), ("reset", Cut::Reset), ("half_open", Cut::HalfOpen)];
            NetworkOrder::Cut(fields.word("cut", &cuts)?)
        }
        "heal" => fields.flag("heal").map(|_| NetworkOrder::Heal)?,
        _ => NetworkOrder::Conditions(Box::new(conditions(fields)?)),
    };
    Some(Action::Network { line, order })
}
