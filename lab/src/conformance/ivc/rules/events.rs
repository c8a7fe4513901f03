//! Events to the device: they have no answer, and harm nothing whatever they hold.

use serde_json::{Value, json};

use crate::conformance::ivc::bench::{Answer, Bench};
use crate::conformance::ivc::finding::{Outcome, not_supported};
use crate::conformance::ivc::rule::Rule;

/// Seconds by which the clock of a device may be wrong and is not set.
const NO_MATTER: i64 = 10_000_000_000;
const OPS: [&str; 10] = [
    "up",
    "down",
    "left",
    "right",
    "upleft",
    "upright",
    "downleft",
    "downright",
    "zoomin",
    "zoomout",
];

/// Every rule of this file.
pub(super) fn rules() -> Vec<Rule> {
    let section = |name: &str| format!("IVT支持的event (events), {name}");
    let harmless =
        |name: &str| format!("{name} with params that are missing or wrong is passed over");
    vec![
        Rule::new(
            "event.CtrlPTZ",
            &section("CtrlPTZ"),
            "Each movement of CtrlPTZ is taken, with and without speed",
            |b| Box::pin(moves(b)),
        ),
        Rule::new("event.CtrlPTZ.params", &section("CtrlPTZ"), harmless("CtrlPTZ"), |b| {
            Box::pin(odd(b, "CtrlPTZ", &["channel", "op"]))
        }),
        Rule::new(
            "event.GotoPTZPreset",
            &section("GotoPTZPreset"),
            "GotoPTZPreset is taken for a preset of the list",
            |b| Box::pin(preset(b)),
        ),
        Rule::new(
            "event.GotoPTZPreset.params",
            &section("GotoPTZPreset"),
            harmless("GotoPTZPreset"),
            |b| Box::pin(odd(b, "GotoPTZPreset", &["channel", "token"])),
        ),
        Rule::new(
            "event.CtrlPTZPresetTour",
            &section("CtrlPTZPresetTour"),
            "A tour of the list is started and stopped",
            |b| Box::pin(tour(b)),
        ),
        Rule::new(
            "event.CtrlPTZPresetTour.params",
            &section("CtrlPTZPresetTour"),
            harmless("CtrlPTZPresetTour"),
            |b| Box::pin(odd(b, "CtrlPTZPresetTour", &["channel", "op"])),
        ),
        Rule::new(
            "event.CtrlPTZPatrol",
            &section("CtrlPTZPatrol"),
            "The patrol is started and stopped",
            |b| Box::pin(patrol(b)),
        ),
        Rule::new(
            "event.CtrlPTZPatrol.params",
            &section("CtrlPTZPatrol"),
            harmless("CtrlPTZPatrol"),
            |b| Box::pin(odd(b, "CtrlPTZPatrol", &["channel", "op"])),
        ),
        Rule::new(
            "event.SyncTime",
            &section("SyncTime"),
            "SyncTime within its offset is taken",
            |b| Box::pin(time(b)),
        ),
        Rule::new("event.SyncTime.params", &section("SyncTime"), harmless("SyncTime"), |b| {
            Box::pin(odd(b, "SyncTime", &["datetime", "offset"]))
        })
        // A device that takes an offset for 0 sets its clock.
        .changing(),
    ]
}

async fn moves(b: &mut Bench) -> Outcome {
    let channel = b.channel();
    for (n, op) in OPS.into_iter().enumerate() {
        let mut params = json!({ "channel": channel, "op": op });
        if n % 2 == 0 {
            params["value"] = 1.into();
        }
        b.notify("CtrlPTZ", Some(params)).await?;
        b.notify("CtrlPTZ", Some(json!({ "channel": channel, "op": "stop", "value": 0 }))).await?;
    }
    b.alive("CtrlPTZ").await
}

/// Sends the event without each member, and with a wrong value of each.
async fn odd(b: &mut Bench, event: &str, members: &[&str]) -> Outcome {
    let right = json!({
        "channel": b.channel(), "op": "stop", "token": "there is no such token",
        "datetime": "2016-12-05T02:15:32", "offset": NO_MATTER,
    });
    b.notify(event, None).await?;
    b.notify(event, Some(json!("x"))).await?;
    for name in members {
        for value in [None, Some(json!({ "wrong": true })), Some(json!("wrong")), Some(json!(-1))] {
            let mut params = right.clone();
            if let Some(object) = params.as_object_mut() {
                match value {
                    Some(value) => drop(object.insert((*name).to_owned(), value)),
                    None => drop(object.remove(*name)),
                }
            }
            b.notify(event, Some(params)).await?;
        }
        b.alive(&format!("{event} with a wrong {name}")).await?;
    }
    Ok(())
}

/// The token of the first entry of a list; `None` for an empty one.
async fn token(b: &mut Bench, method: &str) -> Outcome<Option<String>> {
    match b.ask(method, Some(json!({ "channel": b.channel() }))).await? {
        Answer::Refused { code, .. } => not_supported(format!("{method} is answered {code}")),
        Answer::Resp(resp) => Ok(resp[0]["token"].as_str().map(str::to_owned)),
        Answer::Gone(_) => Ok(None),
    }
}

async fn preset(b: &mut Bench) -> Outcome {
    let Some(token) = token(b, "GetPTZPresetList").await? else {
        return not_supported("the list of presets is empty");
    };
    let params = json!({ "channel": b.channel(), "token": token });
    b.notify("GotoPTZPreset", Some(params)).await?;
    b.alive("GotoPTZPreset").await
}

async fn tour(b: &mut Bench) -> Outcome {
    let Some(token) = token(b, "GetPTZPresetTourList").await? else {
        return not_supported("the list of tours is empty");
    };
    started_and_stopped(b, "CtrlPTZPresetTour", json!({ "token": token })).await
}

async fn patrol(b: &mut Bench) -> Outcome {
    started_and_stopped(b, "CtrlPTZPatrol", json!({})).await
}

async fn started_and_stopped(b: &mut Bench, event: &str, mut params: Value) -> Outcome {
    params["channel"] = b.channel().into();
    for op in ["start", "stop"] {
        params["op"] = op.into();
        b.notify(event, Some(params.clone())).await?;
        b.alive(&format!("{event} {op}")).await?;
    }
    if event == "CtrlPTZPresetTour" {
        // The token of a stop means nothing, and may be empty.
        params["token"] = "".into();
        b.notify(event, Some(params)).await?;
    }
    b.alive(event).await
}

async fn time(b: &mut Bench) -> Outcome {
    let params = json!({ "datetime": "2016-12-05T02:15:32", "offset": NO_MATTER });
    b.notify("SyncTime", Some(params)).await?;
    b.alive("SyncTime").await
}
