//! Reads what is looked at: the body of `[[expect]]`, and the `when` of a step.

use super::fields::Fields;
use super::format::{Clause, Count, Countable, Is, Subject, Thing};
use super::pattern::{Bound, Pattern};

/// The keys of which exactly one says what is looked at.
const SUBJECTS: &[&str] =
    &["packet", "note", "alarm", "order", "log", "device", "stream", "recording", "camera"];

/// The keys that go with some of the subjects.
const BESIDE: &[&str] = &["from", "count", "rising", "spacing_seconds", "camera_number"];

/// The kinds of facts.
#[derive(Clone, Copy)]
enum Kind {
    Number,
    Text,
    Flag,
}

use Kind::{Flag, Number, Text};

const DEVICE: &[(&str, Kind)] = &[("online", Flag), ("logins", Number), ("hardware_model", Text)];

const STREAM: &[(&str, Kind)] = &[
    ("live", Flag),
    ("moving", Flag),
    ("publishes", Number),
    ("pictures", Number),
    ("key_frames", Number),
    ("fps", Number),
    ("kbit_per_second", Number),
    ("gap_seconds", Number),
    ("disorder", Number),
    ("malformed", Number),
    ("video", Text),
    ("audio", Text),
    ("size", Text),
];

const RECORDING: &[(&str, Kind)] = &[
    ("finished", Flag),
    ("segments", Number),
    ("confirmed", Number),
    ("failed", Number),
    ("waiting", Number),
    ("gaps", Number),
    ("gap_seconds", Number),
    ("overlaps", Number),
    ("duplicates", Number),
    ("dropped", Number),
    ("violations", Number),
    ("discontinuities", Number),
    ("shortest_seconds", Number),
    ("longest_seconds", Number),
    ("largest_bytes", Number),
    ("creates", Number),
    ("puts", Number),
];

/// What an alarm says, as patterns look at it, and what its picture.
const ALARM: &[&str] = &["type", "state", "channel", "desc", "picture"];
const PICTURE: &[&str] = &["jpeg", "bytes"];

const CAMERA: &[(&str, Kind)] =
    &[("pulls", Number), ("describes", Number), ("sessions", Number), ("connections", Number)];

/// What is looked at; `None` after a mistake, which is noted.
pub(super) fn subject(fields: &mut Fields<'_>, cameras: usize) -> Option<Subject> {
    fields.read_one(SUBJECTS, BESIDE, |fields, key| under(key, fields, cameras))
}

fn under(key: &str, fields: &mut Fields<'_>, cameras: usize) -> Option<Subject> {
    match key {
        "device" => facts(fields.table("device")?, Thing::Device, DEVICE),
        "stream" => {
            let mut table = fields.table("stream")?;
            let key = table.required("key");
            facts(table, Thing::Stream(key), STREAM)
        }
        "recording" => {
            let mut table = fields.table("recording")?;
            let session = table.required("session");
            facts(table, Thing::Recording(session), RECORDING)
        }
        "camera" => {
            let mut table = fields.table("camera")?;
            let number = camera(&mut table, "number", cameras)?;
            facts(table, Thing::Camera(number), CAMERA)
        }
        counted => {
            let of = match counted {
                "packet" => packet(fields)?,
                "note" => Countable::Note(fields.text("note")?),
                "alarm" => {
                    fields.only(&["alarm"], ALARM);
                    fields.only(&["alarm", "picture"], PICTURE);
                    let alarm = fields.json("alarm")?;
                    if !alarm.is_object() {
                        fields.wrong("alarm: expected a table such as { type = \"motion\" }");
                    }
                    Countable::Alarm(Pattern(alarm))
                }
                "log" => Countable::Log(fields.text("log")?),
                _ => {
                    let like = fields.text("order")?;
                    Countable::Order { number: camera(fields, "camera_number", cameras)?, like }
                }
            };
            let count = bound(fields, "count").unwrap_or(Bound::at_least(1.0));
            let (rising, spacing) = match of {
                Countable::FromDevice(_) | Countable::ToDevice(_) => {
                    (fields.text("rising"), bound(fields, "spacing_seconds"))
                }
                _ => (None, None),
            };
            Some(Subject::Count(Count { of, count, rising, spacing }))
        }
    }
}

/// The number of a camera that the scenario has, from 0.
pub(super) fn camera(fields: &mut Fields<'_>, key: &'static str, cameras: usize) -> Option<usize> {
    let number = fields.whole(key, 0..=15).unwrap_or(0);
    let number = usize::try_from(number).unwrap_or(usize::MAX);
    if number >= cameras {
        fields.wrong(format!(
            "there is no camera {number}: write [[camera]] for each, from number 0"
        ));
        return None;
    }
    Some(number)
}

fn packet(fields: &mut Fields<'_>) -> Option<Countable> {
    let pattern = Pattern(fields.json("packet")?);
    let is_from_device = fields.word("from", &[("device", true), ("cloud", false)]);
    Some(match is_from_device {
        Some(false) => Countable::ToDevice(pattern),
        _ => Countable::FromDevice(pattern),
    })
}

fn facts(mut table: Fields<'_>, of: Thing, known: &[(&'static str, Kind)]) -> Option<Subject> {
    let mut clauses = Vec::new();
    for (name, kind) in known.iter().copied() {
        let wanted = match kind {
            Number => bound(&mut table, name).map(Is::Number),
            Text => {
                let text = table.text(name);
                if text.as_deref() == Some("*") {
                    table.wrong(format!("{name} = \"*\" is always so: it says nothing"));
                }
                text.map(Is::Text)
            }
            Flag => table.flag(name).map(Is::Flag),
        };
        clauses.extend(wanted.map(|wanted| Clause { name, wanted }));
    }
    let is_empty = clauses.is_empty();
    if is_empty {
        table.wrong("says nothing that has to be so");
    }
    table.finish();
    (!is_empty).then_some(Subject::Facts { of, clauses })
}

/// A number, or text with the bounds of one. Nothing that is counted or measured is ever below 0.
fn bound(fields: &mut Fields<'_>, key: &'static str) -> Option<Bound> {
    let bound = any_bound(fields, key)?;
    if bound.is_empty() {
        fields.wrong(format!("{key} {bound} is always so: it says nothing"));
    } else if bound.is_impossible() {
        fields.wrong(format!("{key} {bound} is never so: there is nothing below 0"));
    }
    Some(bound)
}

fn any_bound(fields: &mut Fields<'_>, key: &'static str) -> Option<Bound> {
    match fields.json(key)? {
        serde_json::Value::Number(number) => number.as_f64().map(Bound::exactly),
        serde_json::Value::String(text) => match text.parse() {
            Ok(bound) => Some(bound),
            Err(error) => {
                fields.wrong(format!("{key}: {error}"));
                None
            }
        },
        _ => {
            fields.wrong(format!("{key}: {}", super::pattern::NoBound));
            None
        }
    }
}
