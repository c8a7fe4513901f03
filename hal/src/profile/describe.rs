//! What a profile may describe, and reading it.

use std::collections::BTreeMap;

use regex_lite::Regex;
use toml::de::DeTable;

use super::alarms::{self, Hearing};
use super::answer::pattern;
use super::error::Error;
use super::exchange::Failure;
use super::step::{Step, target};
use super::template::Template;
use super::toml::{File, Table, hint};
use super::values::{self, Derived};
use crate::Kind;

/// Longest text of a profile, in bytes.
pub(super) const LONGEST: usize = 256 * 1024;
/// Most requests of one operation.
const MOST_STEPS: usize = 16;
/// Most repeated parts that stand inside each other.
const MOST_ROUNDS: usize = 2;
const IDENTITY: [&str; 4] = ["brand", "model", "serial", "firmware"];
const MOVE: [&str; 5] = ["direction", "speed", "pan", "tilt", "zoom"];
const DETECT: [&str; 4] = ["enable", "sensitivity", "delay", "whole_day"];
const AREA: [&str; 9] =
    ["enable", "sensitivity", "delay", "whole_day", "area", "left", "top", "right", "bottom"];
const NAMED: [&str; 2] = ["token", "name"];
const INTERFACE: [&str; 8] = ["name", "ip", "gateway", "netmask", "dns1", "dns2", "mac", "dhcp"];
const LINK: [&str; 13] = [
    "name", "ip", "gateway", "netmask", "dns1", "dns2", "mac", "dhcp", "enable", "ssid",
    "password", "encrypt", "status",
];
const TIME: [&str; 8] = ["time", "utc", "year", "month", "day", "hour", "minute", "second"];
const SET_TIME: [&str; 14] = [
    "year",
    "month",
    "day",
    "hour",
    "minute",
    "second",
    "zone",
    "utc_year",
    "utc_month",
    "utc_day",
    "utc_hour",
    "utc_minute",
    "utc_second",
    "epoch",
];
const NETWORKS: [&str; 3] = ["ssid", "signal", "encrypt"];

/// An operation of an ability: the values that its templates may have beside `input`, and the fields that its answer
/// is read for.
struct Operation {
    ability: &'static str,
    name: &'static str,
    full: &'static str,
    values: &'static [&'static str],
    fields: &'static [&'static str],
}

macro_rules! operation {
    ($ability:literal, $name:literal, $values:expr, $fields:expr) => {
        Operation {
            ability: $ability,
            name: $name,
            full: concat!($ability, " ", $name),
            values: $values,
            fields: $fields,
        }
    };
}

const OPERATIONS: [Operation; 20] = [
    operation!("snapshot", "take", &["stream"], &[]),
    operation!("ptz", "start", &MOVE, &[]),
    operation!("ptz", "stop", &MOVE, &[]),
    operation!("presets", "list", &[], &NAMED),
    operation!("presets", "go_to", &["token"], &[]),
    operation!("tours", "list", &[], &NAMED),
    operation!("tours", "start", &["token"], &[]),
    operation!("tours", "stop", &["token"], &[]),
    operation!("patrol", "start", &[], &[]),
    operation!("patrol", "stop", &[], &[]),
    operation!("motion", "set", &DETECT, &[]),
    operation!("tripwire", "set", &AREA, &[]),
    operation!("network", "read", &[], &INTERFACE),
    operation!("wifi", "status", &[], &LINK_AND_SIGNAL),
    operation!("wifi", "networks", &[], &NETWORKS),
    operation!("wifi", "join", &["ssid", "password", "is_open"], &[]),
    operation!("power", "reboot", &[], &[]),
    operation!("alarms", "listen", &[], &[]),
    operation!("clock", "now", &[], &TIME),
    operation!("clock", "set", &SET_TIME, &[]),
];

const LINK_AND_SIGNAL: [&str; 14] = {
    let mut all = ["signal"; 14];
    let mut at = 0;
    while at < LINK.len() {
        all[at] = LINK[at];
        at += 1;
    }
    all
};

/// What a profile says.
pub(super) struct Description {
    pub(super) title: String,
    /// Whether the web server takes the commands of the hosted service.
    pub(super) hosted: bool,
    pub(super) port: u16,
    pub(super) main: Template,
    pub(super) sub: Option<Template>,
    pub(super) recognise: Vec<Step>,
    pub(super) values: BTreeMap<String, Derived>,
    pub(super) failures: Vec<Failure>,
    /// The requests of each operation, by ability and name, such as `ptz start`.
    pub(super) operations: BTreeMap<&'static str, Vec<Step>>,
    /// Whether a movement is stopped before another one begins.
    pub(super) stop_between: bool,
    /// What the token of a preset and of a tour has to be.
    pub(super) preset: Option<Regex>,
    pub(super) tour: Option<Regex>,
    /// The token that stops any tour.
    pub(super) any_tour: Option<String>,
    /// The family's event stream.
    pub(super) hearing: Option<Hearing>,
}

impl Description {
    pub(super) fn parse(name: &str, text: &str) -> Result<Self, Error> {
        let file = File { name, text };
        if text.len() > LONGEST {
            return Err(file.error(0, format!("more than {LONGEST} bytes, which no profile has")));
        }
        let table = DeTable::parse(text).map_err(|wrong| {
            file.error(wrong.span().map_or(0, |span| span.start), wrong.message())
        })?;
        let root = Table::root(&file, table.get_ref());
        let abilities = OPERATIONS.iter().map(|operation| operation.ability);
        let mut allowed = vec!["title", "hosted", "rtsp", "recognise", "values", "failures"];
        allowed.extend(abilities);
        allowed.dedup();
        root.only(&allowed)?;
        let values = match root.table("values")? {
            Some(table) => values::read(&table)?,
            None => BTreeMap::new(),
        };
        let check = Check { values: &values };
        check.values(&root)?;
        let rtsp = root.table("rtsp")?;
        let rtsp =
            rtsp.ok_or_else(|| root.error(0, "rtsp", "missing; expected [rtsp] with main"))?;
        rtsp.only(&["port", "main", "sub"])?;
        let port = rtsp.integer("port")?.unwrap_or(554);
        let port = u16::try_from(port).ok().filter(|port| *port != 0);
        let port = port.ok_or_else(|| rtsp.error(rtsp.at, "port", "expected 1 to 65535"))?;
        let address = |key: &str| {
            let Some(text) = rtsp.text(key)? else { return Ok(None) };
            if !text.text.starts_with('/') {
                return Err(rtsp.error(text.at, key, "expected a path that begins with /"));
            }
            let template = target(&rtsp, key, &text.text, text.at)?;
            check.names(&rtsp, text.at, key, template.names(), &[])?;
            Ok(Some(template))
        };
        let main = address("main")?;
        let main = main.ok_or_else(|| rtsp.error(rtsp.at, "main", "missing; expected a path"))?;
        let sub = address("sub")?;
        let mut operations = BTreeMap::new();
        for operation in &OPERATIONS {
            let Some(ability) = root.table(operation.ability)? else { continue };
            let mut allowed: Vec<_> = OPERATIONS
                .iter()
                .filter(|other| other.ability == operation.ability)
                .map(|other| other.name)
                .collect();
            allowed.extend(extras(operation.ability));
            ability.only(&allowed)?;
            let steps =
                check.steps(&ability, operation.name, operation.values, operation.fields)?;
            if !steps.is_empty() {
                operations.insert(operation.full, steps);
            }
        }
        let token = |ability: &str| match root.table(ability)? {
            None => Ok(None),
            Some(table) => match table.text("token")? {
                None => Ok(None),
                Some(text) => {
                    let whole = format!("^(?:{})$", text.text);
                    pattern(&table, "token", &whole, text.at).map(Some)
                }
            },
        };
        let (preset, tour) = (token("presets")?, token("tours")?);
        let any_tour = match root.table("tours")? {
            Some(tours) => tours.text("any")?.map(|any| any.text),
            None => None,
        };
        let stop_between = match root.table("ptz")? {
            Some(ptz) => ptz.flag("stop_between")?,
            None => false,
        };
        let hearing = match root.table("alarms")? {
            None => None,
            Some(table) => {
                if table.tables("listen")?.is_empty() {
                    return Err(table.error(table.at, "listen", "missing; expected a request"));
                }
                let hearing = Hearing::parse(&table)?;
                check.names(&table, table.at, "rules", hearing.names(), &[])?;
                Some(hearing)
            }
        };
        Ok(Self {
            title: root.insist("title")?.text,
            hosted: root.flag("hosted")?,
            port,
            main,
            sub,
            recognise: check.steps(&root, "recognise", &[], &IDENTITY)?,
            failures: root.tables("failures")?.iter().map(failure).collect::<Result<_, _>>()?,
            values,
            operations,
            stop_between,
            preset,
            tour,
            any_tour,
            hearing,
        })
    }

    /// Whether an operation of an ability is described.
    pub(super) fn has(&self, ability: &str) -> bool {
        let of = |operation: &&Operation| operation.ability == ability;
        OPERATIONS.iter().filter(of).any(|one| self.operations.contains_key(one.full))
    }
}

/// Keys of an ability beside its operations.
fn extras(ability: &str) -> &'static [&'static str] {
    match ability {
        "ptz" => &["stop_between"],
        "presets" => &["token"],
        "tours" => &["token", "any"],
        "alarms" => &alarms::KEYS,
        _ => &[],
    }
}

struct Check<'a> {
    values: &'a BTreeMap<String, Derived>,
}

impl Check<'_> {
    fn steps(
        &self,
        table: &Table<'_, '_>,
        key: &str,
        values: &[&str],
        fields: &[&'static str],
    ) -> Result<Vec<Step>, Error> {
        let tables = table.tables(key)?;
        if tables.len() > MOST_STEPS {
            let found = format!("expected at most {MOST_STEPS} requests");
            return Err(table.error(table.at, key, &found));
        }
        let mut steps = Vec::new();
        for table in tables {
            let step = Step::parse(&table, fields)?;
            self.names(&table, table.at, "path", step.names(), values)?;
            steps.push(step);
        }
        Ok(steps)
    }

    /// Checks that every name in a template has a value in its operation.
    fn names(
        &self,
        table: &Table<'_, '_>,
        at: usize,
        key: &str,
        names: Vec<&str>,
        values: &[&str],
    ) -> Result<(), Error> {
        let mut open: Vec<(&str, &str, usize, usize)> =
            names.into_iter().map(|name| (name, name, 0, 0)).collect();
        while let Some((name, first, rounds, depth)) = open.pop() {
            if name == "input" || values.contains(&name) || rounds > 0 && values::is_inner(name) {
                continue;
            }
            if let Some(derived) = self.values.get(name) {
                if depth == values::DEEPEST {
                    let found = format!("the values that {first:?} stands on are nested too deep");
                    return Err(table.error(at, key, &found));
                }
                let rounds = rounds + usize::from(matches!(derived, Derived::Each { .. }));
                if rounds > MOST_ROUNDS {
                    let found = format!("{first:?} repeats a part inside of repeated parts");
                    return Err(table.error(at, key, &found));
                }
                let inner = derived.names().into_iter();
                open.extend(inner.map(|name| (name, first, rounds, depth + 1)));
                if open.len() > 1024 {
                    return Err(table.error(at, key, "too many values stand on each other"));
                }
                continue;
            }
            let mut allowed = vec!["input"];
            allowed.extend(values);
            allowed.extend(self.values.keys().map(String::as_str));
            let found = format!("{name:?} has no value here; {}", hint(name, &allowed));
            return Err(table.error(at, key, &found));
        }
        Ok(())
    }

    /// Checks that derived values stand on names that exist somewhere.
    fn values(&self, root: &Table<'_, '_>) -> Result<(), Error> {
        let Some(table) = root.table("values")? else { return Ok(()) };
        let mut known: Vec<&str> = OPERATIONS.iter().flat_map(|one| one.values).copied().collect();
        known.push("input");
        known.extend(self.values.keys().map(String::as_str));
        for (name, at) in table.keys() {
            for inner in self.values.get(name).map(Derived::names).unwrap_or_default() {
                if !known.contains(&inner) && !values::is_inner(inner) {
                    let mut known = known.clone();
                    known.sort_unstable();
                    known.dedup();
                    let found = format!("{inner:?} is no value; {}", hint(inner, &known));
                    return Err(table.error(at, name, &found));
                }
            }
        }
        Ok(())
    }
}

fn failure(table: &Table<'_, '_>) -> Result<Failure, Error> {
    const KINDS: [&str; 4] = ["unsupported", "refused", "invalid", "other"];
    table.only(&["status", "pattern", "kind"])?;
    let status = table.integer("status")?;
    let status = status.map(|status| {
        let status = u16::try_from(status).ok().filter(|status| (100..600).contains(status));
        status.ok_or_else(|| table.error(table.at, "status", "expected 100 to 599"))
    });
    let text = table.text("pattern")?;
    let text = text.map(|text| pattern(table, "pattern", &text.text, text.at)).transpose()?;
    let status = status.transpose()?;
    if status.is_none() && text.is_none() {
        return Err(table.error(table.at, "pattern", "missing; expected it or a status"));
    }
    let word = table.insist("kind")?;
    let kind = match &*word.text {
        "unsupported" => Kind::Unsupported,
        "refused" => Kind::Refused,
        "invalid" => Kind::Invalid,
        "other" => Kind::Other,
        other => {
            let found = format!("{other:?} is unknown; {}", hint(other, &KINDS));
            return Err(table.error(word.at, "kind", &found));
        }
    };
    Ok(Failure { status, pattern: text, kind })
}
