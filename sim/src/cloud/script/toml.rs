//! Writes what a person did as a scenario.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Act, Kept};
use crate::cloud::device::NOT_ANSWERED;
use crate::cloud::streams::StreamInfo;

/// Longest pause that is kept, in seconds.
const MAX_PAUSE: f64 = 600.0;
/// Most seconds of all pauses together. With the rest of the time limit it stays below the 24 h that a scenario may take.
const MAX_PAUSES: f64 = 80_000.0;
/// Seconds that the start and the expectations at the end may take beside the pauses, and those of each step.
const MARGIN: (f64, f64) = (120.0, 20.0);
/// Pictures after which a stream counts as received.
const PICTURES: u64 = 10;
/// The number of the first request that is sent as text, since its answer did not come.
const SEQ: usize = 1_000_000;
/// Deepest value of an answer whose shape is told.
const MAX_DEPTH: usize = 8;

/// Where this simulator takes streams.
pub(super) struct Own {
    pub(super) rtmp_port: u16,
    /// What it tells devices, up to the key: its own address, or that of a gateway.
    pub(super) rtmp_base: String,
}

/// The scenario. `own` is what is no address elsewhere; `online` tells whether the device is connected at the end.
pub(super) fn write(kept: &Kept, streams: &[StreamInfo], own: Own, online: bool) -> String {
    let mut writer = Writer { out: String::new(), own, keys: BTreeSet::new() };
    writer.line("# Recorded by hand on the page of ivc-sim. docs/scenarios.md describes what may stand here.");
    writer.line("# Passwords are left out: write them in the place of \"***\".");
    if kept.left_out > 0 {
        writer.line(&format!("# {} acts are left out: there were too many.", kept.left_out));
    }
    writer.line("name = \"Recorded by hand\"");
    let pauses = Pauses::of(&kept.acts);
    let limit = pauses.limit();
    writer.line(&format!("time_limit = \"{limit:.0}s\""));
    for (number, (pause, (_, act))) in pauses.0.iter().zip(&kept.acts).enumerate() {
        writer.line("\n[[step]]");
        // Whatever a person did by hand was done to a device that was there. Later switches follow the steps before them.
        let is_switch = matches!(act, Act::Faults(_) | Act::Answers(_));
        if !is_switch || number == 0 && kept.was_online {
            writer.line("after = \"online\"");
        }
        if let Some((pause, whole)) = pause {
            if pause < whole {
                writer.line(&format!("# The pause was {whole:.1} s by hand."));
            }
            writer.line(&format!("wait = \"{pause:.1}s\""));
        }
        writer.act(number, act);
    }
    for key in std::mem::take(&mut writer.keys) {
        let came = streams.iter().any(|info| info.key == key && info.video_frames >= PICTURES);
        if came {
            let stream = json!({ "key": key, "pictures": format!(">= {PICTURES}") });
            writer.line("\n[[expect]]");
            writer.line(&format!("name = {}", inline(&json!(format!("pictures of {key} come")))));
            writer.line(&format!("stream = {}", inline(&stream)));
        }
    }
    if online {
        let end = "\n[[expect]]\nname = \"the device is connected at the end\"\ndevice = { online = true }";
        writer.line(end);
    } else {
        // A scenario has to expect something.
        let begin = "\n[[expect]]\nname = \"the device logs in\"\ndevice = { logins = \">= 1\" }";
        writer.line(begin);
        writer.line(&format!("within = \"{limit:.0}s\""));
    }
    writer.out
}

/// The pause before each act in seconds, and how long it was by hand; `None` before the first.
struct Pauses(Vec<Option<(f64, f64)>>);

impl Pauses {
    fn of(acts: &[(Instant, Act)]) -> Self {
        let most = MAX_PAUSE.min(MAX_PAUSES / acts.len().max(1) as f64);
        let between = acts.windows(2).map(|pair| {
            let [(before, _), (at, _)] = pair else { return None };
            let whole = at.saturating_duration_since(*before).as_secs_f64();
            Some((whole.min(most), whole))
        });
        Self(std::iter::once(None).chain(between).take(acts.len()).collect())
    }

    /// How long the scenario may take: all pauses, and a margin for what lies between them.
    fn limit(&self) -> f64 {
        let pauses: f64 = self.0.iter().flatten().map(|(pause, _)| pause).sum();
        let (once, each) = MARGIN;
        (pauses + once + each * self.0.len() as f64).ceil()
    }
}

struct Writer {
    out: String,
    own: Own,
    /// The streams that were asked for.
    keys: BTreeSet<String>,
}

impl Writer {
    fn line(&mut self, line: &str) {
        let _ = writeln!(self.out, "{line}");
    }

    fn member(&mut self, name: &str, value: &Value) {
        let value = inline(value);
        self.line(&format!("{name} = {value}"));
    }

    fn act(&mut self, number: usize, act: &Act) {
        match act {
            Act::Call { method, params, outcome } => {
                let params = params.as_ref().map(|params| self.portable(params));
                match outcome {
                    Err(error) if error.code == NOT_ANSWERED => {
                        self.line("# It was not answered.");
                        let mut packet = json!({ "req": literal(method), "seq": SEQ + number });
                        if let Some(params) = params {
                            packet["params"] = params;
                        }
                        self.member("raw", &json!(packet.to_string()));
                    }
                    outcome => {
                        self.member("call", &json!(method));
                        params.iter().for_each(|params| self.member("params", params));
                        match outcome {
                            Ok(answer) => match shape(answer, 0) {
                                Value::Object(shape) if shape.is_empty() => {}
                                Value::String(_) | Value::Null => {}
                                shape => self.member("answer", &shape),
                            },
                            Err(error) => self.member("error", &json!(error.code)),
                        }
                    }
                }
            }
            Act::Notify { event, params } => {
                self.member("notify", &json!(event));
                let params = params.as_ref().map(|params| self.portable(params));
                params.iter().for_each(|params| self.member("params", params));
            }
            Act::Raw { text } => self.member("raw", &json!(literal(text))),
            Act::HangUp => self.line("hang_up = true"),
            Act::Faults(faults) => self.set("faults", &**faults, &Default::default()),
            Act::Answers(answers) => self.set("answers", &**answers, &Default::default()),
        }
    }

    /// A set of switches, without those that are as always.
    fn set<T: Serialize>(&mut self, name: &str, set: &T, usual: &T) {
        let all = (json!(set), json!(usual));
        let different = different(&all.0, &all.1).unwrap_or_else(|| json!({}));
        self.member(name, &different);
    }

    /// Params with the addresses of this simulator as those of any, and without passwords.
    fn portable(&mut self, value: &Value) -> Value {
        match value {
            Value::String(text) => json!(self.portable_text(text)),
            Value::Array(items) => items.iter().map(|item| self.portable(item)).collect(),
            Value::Object(members) => {
                let portable = |(name, member): (&String, &Value)| {
                    let secret = name.to_lowercase().contains("passw") && member.is_string();
                    let member = if secret { json!("***") } else { self.portable(member) };
                    (name.clone(), member)
                };
                Value::Object(members.iter().map(portable).collect())
            }
            other => other.clone(),
        }
    }

    fn portable_text(&mut self, text: &str) -> String {
        if let Some(key) = self.key(text) {
            self.keys.insert(key.split('?').next().unwrap_or_default().to_owned());
            return format!("${{rtmp_url:{key}}}");
        }
        let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
        if let Some((_, session)) = rest.and_then(|rest| rest.split_once("/record/"))
            && is_argument(session)
        {
            return format!("${{record_url:{session}}}");
        }
        literal(text)
    }

    /// The key of the stream, where a text is an address of this simulator.
    fn key<'t>(&self, text: &'t str) -> Option<&'t str> {
        let own = format!(":{}/live/", self.own.rtmp_port);
        let direct = text.strip_prefix("rtmp://").and_then(|rest| Some(rest.split_once(&own)?.1));
        let key = direct.or_else(|| text.strip_prefix(&self.own.rtmp_base))?;
        is_argument(key).then_some(key)
    }
}

/// Whether a text can stand behind a name: `${rtmp_url:TEXT}`.
fn is_argument(text: &str) -> bool {
    !text.contains(['{', '}'])
}

/// A text as it is, in which a scenario sees no `${NAME}`.
fn literal(text: &str) -> String {
    text.replace("${", "${$}{")
}

/// What an answer has to be like: its members, whatever their values are.
fn shape(answer: &Value, depth: usize) -> Value {
    match answer {
        Value::Object(members) if depth < MAX_DEPTH => {
            let members = members.iter().filter(|(_, member)| !member.is_null());
            let shapes = members.map(|(name, member)| (name.clone(), shape(member, depth + 1)));
            Value::Object(shapes.collect())
        }
        Value::Array(items) if depth < MAX_DEPTH => {
            Value::Array(items.first().map(|item| shape(item, depth + 1)).into_iter().collect())
        }
        Value::Null => Value::Null,
        _ if depth == 0 => answer.clone(),
        _ => json!("*"),
    }
}

/// The members of `value` that differ from those of `usual`.
fn different(value: &Value, usual: &Value) -> Option<Value> {
    match (value, usual) {
        (Value::Object(members), Value::Object(usual)) => {
            let kept = members.iter().filter_map(|(name, member)| {
                let usual = usual.get(name).unwrap_or(&Value::Null);
                Some((name.clone(), different(member, usual)?))
            });
            let kept: serde_json::Map<_, _> = kept.collect();
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        _ => (value != usual && !value.is_null()).then(|| value.clone()),
    }
}

/// A value on one line of TOML, which has no null: such members are left out.
fn inline(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members = members.iter().filter(|(_, member)| !member.is_null());
            let members: Vec<_> = members
                .map(|(name, member)| format!("{} = {}", quoted(name), inline(member)))
                .collect();
            if members.is_empty() { "{}".into() } else { format!("{{ {} }}", members.join(", ")) }
        }
        Value::Array(items) => {
            let items: Vec<_> = items.iter().filter(|item| !item.is_null()).map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        Value::String(text) => quoted(text),
        Value::Number(number) if number.is_u64() && !number.is_i64() => format!("{number}.0"),
        Value::Null => "\"\"".into(),
        other => other.to_string(),
    }
}

/// A text in quotes. The escapes of JSON are those of TOML, which has one more.
fn quoted(text: &str) -> String {
    json!(text).to_string().replace('\u{7f}', "\\u007f")
}

#[cfg(test)]
mod tests {
    use ivt_proto::rpc::RpcError;
    use tokio::time::Duration;

    use super::super::MAX_ACTS;
    use super::*;

    fn written(acts: Vec<Act>, online: bool) -> String {
        paced(1, acts, online)
    }

    /// What is written of acts that are so many seconds apart.
    fn paced(seconds: u64, acts: Vec<Act>, online: bool) -> String {
        let began = Instant::now();
        let at = |n| began + Duration::from_secs(n * seconds);
        let acts = acts.into_iter().zip(0..).map(|(act, n)| (at(n), act));
        let login_code = "a".to_owned();
        let (acts, was_online) = (acts.collect(), true);
        let kept = Kept { login_code, was_online, on: true, acts, bytes: 0, left_out: 0 };
        let stream = StreamInfo { key: "s".into(), video_frames: 50, ..StreamInfo::default() };
        let own = Own { rtmp_port: 1935, rtmp_base: "rtmp://gate.example:9001/live/".into() };
        write(&kept, &[stream], own, online)
    }

    fn call(params: Value, outcome: Result<Value, RpcError>) -> Act {
        Act::Call { method: "M".into(), params: Some(params), outcome }
    }

    #[test]
    fn acts_become_steps_that_run_on_any_simulator() {
        let mut faults = crate::cloud::faults::Faults::default();
        faults.link.delay_ms = 5;
        let text = written(
            vec![
                call(
                    json!({ "url": "rtmp://10.0.0.1:1935/live/s", "cbk_url": "http://x:80/record/r" }),
                    Ok(json!({})),
                ),
                call(
                    json!({ "password": "tr1cky", "none": null }),
                    Ok(json!([{ "name": "x", "n": 1 }, {}])),
                ),
                call(json!({}), Err(RpcError { code: 12, msg: String::new() })),
                call(json!({ "a": 1 }), Err(RpcError { code: NOT_ANSWERED, msg: String::new() })),
                Act::Faults(Box::new(faults)),
                Act::Faults(Box::default()),
                Act::Raw { text: "{\"x\"\u{7f}\n".into() },
                Act::HangUp,
            ],
            true,
        );
        for line in [
            "params = { \"cbk_url\" = \"${record_url:r}\", \"url\" = \"${rtmp_url:s}\" }",
            "params = { \"password\" = \"***\" }",
            "answer = [{ \"n\" = \"*\", \"name\" = \"*\" }]",
            "error = 12",
            "raw = \"{\\\"params\\\":{\\\"a\\\":1},\\\"req\\\":\\\"M\\\",\\\"seq\\\":1000003}\"",
            "faults = { \"link\" = { \"delay_ms\" = 5 } }",
            "faults = {}",
            "raw = \"{\\\"x\\\"\\u007f\\n\"",
            "hang_up = true",
            "wait = \"1.0s\"",
            "stream = { \"key\" = \"s\", \"pictures\" = \">= 10\" }",
            "device = { online = true }",
        ] {
            assert!(text.lines().any(|written| written == line), "{line}\n{text}");
        }
        assert!(!text.contains("tr1cky") && text.matches("[[step]]").count() == 8);
    }

    #[test]
    fn the_first_step_waits_for_the_device_and_something_is_always_expected() {
        let faults = || Act::Faults(Box::default());
        let text = written(vec![faults(), faults(), Act::HangUp], false);
        let scenario: toml::Table = text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"));
        let waits = |step: &toml::Value| step.get("after").is_some();
        let waits: Vec<_> = scenario["step"].as_array().unwrap().iter().map(waits).collect();
        assert_eq!(waits, [true, false, true], "{text}");
        let expect = &scenario["expect"][0];
        assert_eq!(expect["device"]["logins"].as_str(), Some(">= 1"), "{text}");
        assert_eq!(expect["within"], scenario["time_limit"]);
    }

    #[test]
    fn addresses_of_a_gateway_and_texts_that_look_like_values_are_portable() {
        let text = written(
            vec![
                call(
                    json!({
                        "url": "rtmp://gate.example:9001/live/s?token=1",
                        "cbk_url": "https://gate.example:9000/record/r",
                        "other": "rtmp://elsewhere.example:9001/live/s",
                        "text": "${n} for ${",
                        "odd": "rtmp://gate.example:9001/live/${x}",
                    }),
                    Ok(json!({})),
                ),
                Act::Notify { event: "E".into(), params: Some(json!({ "a": ["${login}"] })) },
                call(json!("${a}"), Err(RpcError { code: NOT_ANSWERED, msg: String::new() })),
                Act::Raw { text: "{\"x\":\"${y}\"}".into() },
            ],
            true,
        );
        let scenario: toml::Table = text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"));
        let [first, second, third, fourth] = scenario["step"].as_array().unwrap().as_slice() else {
            panic!("{text}")
        };
        let params = &first["params"];
        for (name, wants) in [
            ("url", "${rtmp_url:s?token=1}"),
            ("cbk_url", "${record_url:r}"),
            ("other", "rtmp://elsewhere.example:9001/live/s"),
            ("text", "${$}{n} for ${$}{"),
            ("odd", "rtmp://gate.example:9001/live/${$}{x}"),
        ] {
            assert_eq!(params[name].as_str(), Some(wants));
        }
        assert_eq!(second["params"]["a"][0].as_str(), Some("${$}{login}"));
        assert!(third["raw"].as_str().unwrap().contains("\"${$}{a}\""), "{text}");
        assert_eq!(fourth["raw"].as_str(), Some("{\"x\":\"${$}{y}\"}"));
        let expects = scenario["expect"].as_array().unwrap();
        assert_eq!(expects[0]["stream"]["key"].as_str(), Some("s"), "{text}");
    }

    /// The times of a scenario in seconds: its limit, and the pause of each step that has one.
    fn times(text: &str) -> (f64, Vec<f64>) {
        let scenario: toml::Table = text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"));
        let seconds = |value: &toml::Value| -> f64 {
            value.as_str().unwrap().strip_suffix('s').unwrap().parse().unwrap()
        };
        let steps = scenario["step"].as_array().unwrap().iter();
        let pauses = steps.filter_map(|step| step.get("wait").map(seconds)).collect();
        (seconds(&scenario["time_limit"]), pauses)
    }

    #[test]
    fn a_scenario_may_take_as_long_as_it_took_by_hand() {
        for (seconds, acts, pause) in [
            (130, 3, 130.0),
            (500, 100, 500.0),
            (3600, 2, MAX_PAUSE),
            (3600, MAX_ACTS, MAX_PAUSES / MAX_ACTS as f64),
        ] {
            let text = paced(seconds, vec![Act::HangUp; acts], true);
            let (limit, pauses) = times(&text);
            assert_eq!(pauses, vec![pause; acts - 1], "{seconds} s");
            let sum: f64 = pauses.iter().sum();
            assert!((sum + 120.0..=24.0 * 3600.0).contains(&limit), "{limit} s for {sum} s");
            let told = text.matches("# The pause was 3600.0 s by hand.").count();
            assert_eq!(told, if seconds == 3600 { acts - 1 } else { 0 });
        }
    }
}
