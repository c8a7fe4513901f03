//! Writes what a person did as a scenario.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Value, json};

use super::{Act, Kept};
use crate::cloud::device::NOT_ANSWERED;
use crate::cloud::streams::StreamInfo;

/// Longest pause that is kept, in seconds.
const MAX_PAUSE: f64 = 600.0;
/// Pictures after which a stream counts as received.
const PICTURES: u64 = 10;
/// The number of the first request that is sent as text, since its answer did not come.
const SEQ: usize = 1_000_000;
/// Deepest value of an answer whose shape is told.
const MAX_DEPTH: usize = 8;

/// The scenario. `rtmp_port` is that of the simulator; `online` tells whether the device is connected at the end.
pub(super) fn write(kept: &Kept, streams: &[StreamInfo], rtmp_port: u16, online: bool) -> String {
    let mut writer = Writer { out: String::new(), rtmp_port, keys: BTreeSet::new() };
    writer.line("# Recorded by hand on the page of ivc-sim. docs/scenarios.md describes what may stand here.");
    writer.line("# Passwords are left out: write them in the place of \"***\".");
    if kept.left_out > 0 {
        writer.line(&format!("# {} acts are left out: there were too many.", kept.left_out));
    }
    writer.line("name = \"Recorded by hand\"");
    let mut before = None;
    for (number, (at, act)) in kept.acts.iter().enumerate() {
        writer.line("\n[[step]]");
        // Whatever a person did by hand was done to a device that was there.
        if !matches!(act, Act::Faults(_) | Act::Answers(_)) {
            writer.line("after = \"online\"");
        }
        if let Some(before) = before {
            let pause = at.saturating_duration_since(before).as_secs_f64().min(MAX_PAUSE);
            writer.line(&format!("wait = \"{pause:.1}s\""));
        }
        before = Some(*at);
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
    }
    writer.out
}

struct Writer {
    out: String,
    rtmp_port: u16,
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
                        let mut packet = json!({ "req": method, "seq": SEQ + number });
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
            Act::Raw { text } => self.member("raw", &json!(text)),
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
        let own = format!(":{}/live/", self.rtmp_port);
        if let Some((_, key)) = text.strip_prefix("rtmp://").and_then(|rest| rest.split_once(&own))
        {
            self.keys.insert(key.split('?').next().unwrap_or_default().to_owned());
            return format!("${{rtmp_url:{key}}}");
        }
        if let Some((_, session)) =
            text.strip_prefix("http://").and_then(|rest| rest.split_once("/record/"))
        {
            return format!("${{record_url:{session}}}");
        }
        text.to_owned()
    }
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
    use tokio::time::{Duration, Instant};

    use super::*;

    fn written(acts: Vec<Act>, online: bool) -> String {
        let began = Instant::now();
        let acts = acts.into_iter().zip(0..).map(|(act, n)| (began + Duration::from_secs(n), act));
        let login_code = "a".to_owned();
        let kept = Kept { login_code, on: true, acts: acts.collect(), bytes: 0, left_out: 0 };
        let stream = StreamInfo { key: "s".into(), video_frames: 50, ..StreamInfo::default() };
        write(&kept, &[stream], 1935, online)
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
        assert!(!written(vec![Act::HangUp], false).contains("[[expect]]"));
    }
}
