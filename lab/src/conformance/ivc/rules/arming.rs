//! When an alarm may not be reported: while detection is off, and outside its hours. Somebody has to raise alarms.

use std::sync::Arc;

use ivt_proto::rpc::message::{AlarmEdge, AlarmKind};
use ivt_sim::cloud::AlarmInfo;
use serde_json::{Value, json};

use crate::conformance::ivc::bench::{Answer, Bench};
use crate::conformance::ivc::finding::{Outcome, fail, not_supported};
use crate::conformance::ivc::rule::Rule;

/// The begin and the end of a minute of the night, in seconds of the day.
const MINUTE: [u32; 2] = [12_000, 12_060];

/// Every rule of this file.
pub(super) fn rules() -> Vec<Rule> {
    const SECTION: &str =
        "IVT支持的RPC方法 (methods), AlarmMoveDetectConfig and AlarmRectIntrusionDetectConfig";
    vec![
        Rule::new("settings.off", SECTION, "While enable is false no alarm is reported", |b| {
            Box::pin(silent(b, |params| params["enable"] = false.into()))
        })
        .changing(),
        Rule::new(
            "settings.hours",
            SECTION,
            "Outside the time from start to end no alarm is reported",
            |b| {
                Box::pin(silent(b, |params| {
                    [params["start"], params["end"]] = MINUTE.map(Value::from);
                }))
            },
        )
        .changing(),
    ]
}

/// Sets up a detection that was heard of so that it has to be silent, and back. Before and after it, alarms have to come,
/// since otherwise the silence says nothing.
async fn silent(b: &mut Bench, change: fn(&mut Value)) -> Outcome {
    let Some(alarm) = started(b, 0, None).await? else {
        return not_supported(format!("no alarm of a detection came within {:?}", b.limits.alarm));
    };
    let (method, kind) = (method(alarm.kind), alarm.kind);
    let params = json!({ "channel": alarm.channel, "enable": true, "sensitivity": 50, "delay": 1 });
    let mut quiet = params.clone();
    change(&mut quiet);
    let reported = reported(b, quiet, kind).await;
    let again = b.restore(method, Some(params)).await.and_then(|answer| taken(method, answer));
    if reported? {
        return fail(format!("{kind:?} was reported while {method} forbids it"));
    }
    again?;
    let newest = self::newest(b);
    match started(b, newest, Some(kind)).await? {
        Some(_) => Ok(()),
        None => not_supported(format!(
            "no alarm came within {:?} of the end of the silence, which says nothing then",
            b.limits.alarm
        )),
    }
}

/// Whether an alarm is reported after detection was set up to be silent.
async fn reported(b: &mut Bench, quiet: Value, kind: AlarmKind) -> Outcome<bool> {
    let method = method(kind);
    let answer = b.ask(method, Some(quiet)).await?;
    taken(method, answer)?;
    // What was detected before may be on its way.
    b.wait(b.limits.quiet).await?;
    let newest = newest(b);
    Ok(started(b, newest, Some(kind)).await?.is_some())
}

fn method(kind: AlarmKind) -> &'static str {
    match kind {
        AlarmKind::Tripwire => "AlarmRectIntrusionDetectConfig",
        _ => "AlarmMoveDetectConfig",
    }
}

/// Whether a request for detection has succeeded.
fn taken(method: &str, answer: Answer) -> Outcome {
    match answer {
        Answer::Resp(_) => Ok(()),
        Answer::Refused { code: 101, msg } => {
            not_supported(format!("{method} is answered 101: {msg}"))
        }
        Answer::Refused { code, msg } => fail(format!("{method} is refused with {code}: {msg}")),
        Answer::Gone(why) => fail(format!("the connection ended: {why}")),
    }
}

/// The number of the newest alarm.
fn newest(b: &Bench) -> u64 {
    b.device.alarms().last().map_or(0, |alarm| alarm.number)
}

/// Waits for the start of a detection's alarm after that of this number; of one `kind`, where that is given.
async fn started(b: &mut Bench, after: u64, kind: Option<AlarmKind>) -> Outcome<Option<AlarmInfo>> {
    let found = move |alarms: &[AlarmInfo]| {
        let mut new = alarms.iter().filter(move |alarm| alarm.number > after);
        let of_detection = |alarm: &&AlarmInfo| {
            let wanted = kind.map_or(alarm.kind != AlarmKind::External, |kind| kind == alarm.kind);
            alarm.state == AlarmEdge::Start && wanted
        };
        new.find(of_detection).cloned()
    };
    let (device, limit) = (Arc::clone(&b.device), b.limits.alarm);
    let alarms = device.wait_alarms(move |alarms| found(alarms).is_some());
    Ok(b.during(limit, alarms).await?.and_then(|alarms| found(&alarms)))
}
