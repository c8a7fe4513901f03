//! Each method with params that are right, missing and wrong, and with a channel that does not exist.

use serde_json::{Value, json};

use crate::conformance::ivc::bench::{Answer, Bench};
use crate::conformance::ivc::finding::{Outcome, deviation, fail, not_supported};
use crate::conformance::ivc::form::{self, Kind, Member, needed, optional};
use crate::conformance::ivc::rule::Rule;

/// The number of a channel that no device has.
const NO_CHANNEL: u32 = 60_000;

/// A method of the device.
struct Method {
    name: &'static str,
    /// Params that are right, but for the channel. `None` for a method without params.
    params: fn() -> Option<Value>,
    /// Members that have to be there, each with a value that is wrong.
    needed: fn() -> Vec<(&'static str, Value)>,
    /// What is wrong with the answer to right params. `None` where another case asks with such.
    form: Option<fn(&Value) -> Option<String>>,
    /// Whether a device that takes wrong params may be changed.
    changes: bool,
}

/// Every rule of this file.
pub(super) fn rules() -> Vec<Rule> {
    let mut rules = Vec::new();
    for method in &METHODS {
        let Method { name, form, changes, .. } = method;
        let section = format!("IVT支持的RPC方法 (methods), {name}");
        let mark = |rule: Rule| if *changes { rule.changing() } else { rule };
        if form.is_some() {
            let rule = format!("{name} is answered in the form of the specification");
            rules.push(Rule::new(format!("method.{name}"), &section, rule, move |b| {
                Box::pin(works(b, method))
            }));
        }
        if (method.params)().is_none() {
            continue;
        }
        let rule = format!(
            "{name} with params that are missing or wrong is refused, and the connection stays"
        );
        rules.push(mark(Rule::new(format!("method.{name}.params"), &section, rule, move |b| {
            Box::pin(params(b, method))
        })));
        if name.starts_with("SetRTMP") {
            continue;
        }
        let rule = format!("{name} for a channel that does not exist is refused with 102");
        rules.push(mark(Rule::new(format!("method.{name}.channel"), &section, rule, move |b| {
            Box::pin(channel(b, method))
        })));
    }
    rules
}

fn of_channel() -> Option<Value> {
    Some(json!({}))
}

fn channel_only() -> Vec<(&'static str, Value)> {
    vec![("channel", json!("zero"))]
}

const NAMED: [Member; 2] = [needed("name", Kind::Text), needed("token", Kind::Text)];

static METHODS: [Method; 15] = [
    Method {
        name: "GetNetConfig",
        params: of_channel,
        needed: channel_only,
        form: Some(|resp| {
            let text = ["name", "ip", "gateway", "netmask", "dns1", "dns2", "mac"]
                .map(|name| needed(name, Kind::Text));
            form::list(resp, &text).or_else(|| form::list(resp, &[needed("dhcp", Kind::Bool)]))
        }),
        changes: false,
    },
    Method {
        name: "GetPTZPresetList",
        params: of_channel,
        needed: channel_only,
        form: Some(|resp| form::list(resp, &NAMED)),
        changes: false,
    },
    Method {
        name: "GetPTZPresetTourList",
        params: of_channel,
        needed: channel_only,
        form: Some(|resp| form::list(resp, &NAMED)),
        changes: false,
    },
    Method {
        name: "GetWifiStatusAndConfig",
        params: of_channel,
        needed: channel_only,
        form: Some(|resp| {
            let text = ["ip", "gateway", "netmask", "ssid", "password", "encrypt", "status"];
            let more = [
                needed("enable", Kind::Bool),
                optional("dhcp", Kind::Bool),
                optional("signal", Kind::Integer),
            ];
            let wrong = form::object(resp, &text.map(|name| optional(name, Kind::Text)));
            wrong.or_else(|| form::object(resp, &more))
        }),
        changes: false,
    },
    Method {
        name: "GetWifiSSIDList",
        params: of_channel,
        needed: channel_only,
        form: Some(|resp| {
            let text = [
                needed("ssid", Kind::Text),
                needed("signal", Kind::Integer),
                needed("encrypt", Kind::Text),
            ];
            form::list(resp, &text)
        }),
        changes: false,
    },
    Method {
        name: "GetRTMPPublishConfig",
        params: || None,
        needed: Vec::new,
        form: Some(|resp| {
            let more = [needed("enable", Kind::Bool), needed("channel", Kind::Integer)];
            let text = [needed("quality", Kind::Quality), needed("url", Kind::Text)];
            form::list(resp, &more).or_else(|| form::list(resp, &text))
        }),
        changes: false,
    },
    Method {
        name: "RTMPPublish",
        params: || {
            Some(
                json!({ "quality": "sd", "url": "rtmp://127.0.0.1:9/live/none", "stream_id": "none", "max_bitrate": 0 }),
            )
        },
        needed: || {
            vec![
                ("channel", json!("zero")),
                ("quality", json!("ultra")),
                ("url", json!(5)),
                ("stream_id", json!({})),
            ]
        },
        form: None,
        changes: false,
    },
    Method {
        name: "RTMPStopPublish",
        params: || Some(json!({ "stream_id": "none" })),
        needed: || vec![("channel", json!([])), ("stream_id", json!(7))],
        form: None,
        changes: false,
    },
    Method {
        name: "StartCloudRecord",
        params: || {
            Some(json!({
                "session_id": "conformance-none-00000", "quality": "sd", "max_bitrate": 0, "seg_duration": 5,
                "seg_max_size": 4 << 20, "seg_max_count": 3, "prerecord_seconds": 0, "start_ts": 0,
                "cbk_url": "http://127.0.0.1:9/none",
            }))
        },
        needed: || {
            vec![
                ("channel", json!(-1)),
                ("session_id", json!(5)),
                ("quality", json!("")),
                ("seg_duration", json!("long")),
                ("seg_max_size", json!([])),
                ("seg_max_count", json!("few")),
                ("cbk_url", json!({})),
            ]
        },
        form: None,
        changes: false,
    },
    Method {
        name: "StopCloudRecord",
        params: || Some(json!({ "session_id": "conformance-none-00000" })),
        needed: || vec![("channel", json!("zero")), ("session_id", json!(7))],
        form: None,
        changes: false,
    },
    Method {
        name: "RebootChannel",
        params: of_channel,
        needed: channel_only,
        form: None,
        changes: true,
    },
    Method {
        name: "AlarmMoveDetectConfig",
        params: || Some(json!({ "enable": true, "sensitivity": 50, "delay": 10 })),
        needed: alarm_members,
        form: None,
        changes: true,
    },
    Method {
        name: "AlarmRectIntrusionDetectConfig",
        params: || Some(json!({ "enable": true, "sensitivity": 50, "delay": 10 })),
        needed: || {
            let mut members = alarm_members();
            members.push(("rect", json!({ "ulx": 1 })));
            members
        },
        form: None,
        changes: true,
    },
    Method {
        name: "SetRTMPPublishConfig",
        params: || {
            Some(
                json!([{ "enable": false, "channel": 0, "quality": "sd", "url": "rtmp://127.0.0.1:9/live/none" }]),
            )
        },
        needed: || {
            vec![
                ("enable", json!("yes")),
                ("channel", json!("zero")),
                ("quality", json!("ultra")),
                ("url", json!(5)),
            ]
        },
        form: None,
        changes: true,
    },
    Method {
        name: "SetWifiConfig",
        params: || Some(json!({ "ssid": "there is no such network" })),
        needed: || vec![("channel", json!("zero"))],
        form: None,
        changes: true,
    },
];

fn alarm_members() -> Vec<(&'static str, Value)> {
    vec![
        ("channel", json!("zero")),
        ("enable", json!("yes")),
        ("sensitivity", json!("high")),
        ("delay", json!("long")),
    ]
}

/// Right params, for this channel.
fn right(method: &Method, channel: u32) -> Option<Value> {
    let mut params = (method.params)()?;
    if let Some(members) = params.as_object_mut() {
        members.insert("channel".into(), channel.into());
    }
    Some(params)
}

async fn works(b: &mut Bench, method: &Method) -> Outcome {
    let params = right(method, b.channel());
    let resp = match b.ask(method.name, params).await? {
        Answer::Resp(resp) => resp,
        Answer::Refused { code: 101, .. } => return not_supported("it is answered 101"),
        Answer::Refused { code, msg } => return fail(format!("refused with {code}: {msg}")),
        Answer::Gone(why) => return fail(format!("the connection ended: {why}")),
    };
    let empty =
        resp.is_null() || resp == "" || resp.as_object().is_some_and(|object| object.is_empty());
    match method.form.and_then(|form| form(&resp)) {
        None => Ok(()),
        Some(_) if empty && method.name != "GetWifiStatusAndConfig" => deviation(format!(
            "an empty list is `\"resp\": {resp}`, as that of the public SDK, and not `[]`"
        )),
        Some(wrong) => fail(wrong),
    }
}

/// The params without each member that is needed, and with a wrong value of each.
fn wrong(method: &Method, channel: u32) -> Vec<(String, Option<Value>)> {
    let params = right(method, channel);
    let mut all = vec![
        ("no params".to_owned(), None),
        ("params that are a string".to_owned(), Some(json!("x"))),
    ];
    for (name, value) in (method.needed)() {
        let optional = name == "rect";
        for (what, value) in [("no", None), ("a wrong", Some(value))] {
            if optional && value.is_none() {
                continue;
            }
            let mut params = params.clone().unwrap_or_default();
            let members = match &mut params {
                Value::Array(list) => list.first_mut(),
                whole => Some(whole),
            };
            if let Some(members) = members.and_then(Value::as_object_mut) {
                match value {
                    Some(value) => drop(members.insert(name.to_owned(), value)),
                    None => drop(members.remove(name)),
                }
            }
            all.push((format!("{what} `{name}`"), Some(params)));
        }
    }
    all
}

async fn params(b: &mut Bench, method: &Method) -> Outcome {
    let (mut unsupported, mut asked) = (0, 0);
    for (what, params) in wrong(method, b.channel()) {
        asked += 1;
        match b.ask(method.name, params).await? {
            Answer::Refused { code: 101, .. } => unsupported += 1,
            Answer::Refused { .. } => {}
            Answer::Resp(resp) => {
                undo(b, method).await?;
                return fail(format!("{what} is refused, and it got the success {resp}"));
            }
            Answer::Gone(why) => return fail(format!("the connection ended after {what}: {why}")),
        }
    }
    if unsupported == 0 {
        return Ok(());
    }
    if unsupported < asked || known(b, method).await? {
        return deviation("wrong params are answered 101, as by the public SDK, and not 1");
    }
    not_supported("every request is answered 101")
}

/// Whether the device knows a method of which it answers 101 to wrong params.
async fn known(b: &mut Bench, method: &Method) -> Outcome<bool> {
    if method.changes {
        return Ok(false);
    }
    // Stopping what does not exist changes nothing; starting is followed by the stop.
    let name = match method.name {
        "RTMPPublish" => "RTMPStopPublish",
        "StartCloudRecord" => "StopCloudRecord",
        name => name,
    };
    let Some(method) = METHODS.iter().find(|other| other.name == name) else { return Ok(false) };
    let params = right(method, b.channel());
    Ok(!matches!(b.ask(method.name, params).await?, Answer::Refused { code: 101, .. }))
}

/// Ends what wrong params may have started.
async fn undo(b: &mut Bench, method: &Method) -> Outcome {
    let stop = match method.name {
        "RTMPPublish" => ("RTMPStopPublish", "stream_id", "none"),
        "StartCloudRecord" => ("StopCloudRecord", "session_id", "conformance-none-00000"),
        _ => return Ok(()),
    };
    b.ask(stop.0, Some(json!({ "channel": b.channel(), stop.1: stop.2 }))).await.map(drop)
}

async fn channel(b: &mut Bench, method: &Method) -> Outcome {
    match b.ask(method.name, right(method, NO_CHANNEL)).await? {
        Answer::Refused { code: 102, .. } => Ok(()),
        Answer::Refused { code: 101, .. } => not_supported("it is answered 101"),
        Answer::Refused { code, msg } => fail(format!("expected 102, got {code}: {msg}")),
        Answer::Resp(resp) => fail(format!("expected 102, got the success {resp}")),
        Answer::Gone(why) => fail(format!("the connection ended: {why}")),
    }
}
