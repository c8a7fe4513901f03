//! AlarmNotify, the picture of an alarm, and the alarm bits of the Keepalive.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ivt_proto::rpc::message::{AlarmEdge, AlarmKind};
use ivt_sim::cloud::AlarmInfo;

use super::publish::channel_in;
use crate::conformance::ivc::bench::Bench;
use crate::conformance::ivc::finding::{Outcome, deviation, fail, not_supported};
use crate::conformance::ivc::rule::Rule;
use crate::report::Seen;

const NOTIFY: &str = "IVC支持的RPC方法 (methods of the cloud), AlarmNotify";
/// Longest picture that is shown in a report, in bytes.
const SHOWN: usize = 256 << 10;

/// Every rule of this file.
pub(super) fn rules() -> Vec<Rule> {
    vec![
        Rule::new("alarm.start", NOTIFY, "An alarm is reported when it starts", |b| {
            Box::pin(starts(b))
        }),
        Rule::new(
            "alarm.bits",
            "Keepalive: alarm",
            "While an alarm lasts, the Keepalive has the bit of its type",
            |b| Box::pin(bits(b)),
        ),
        Rule::new("alarm.end", NOTIFY, "An alarm is reported when it ends", |b| Box::pin(ends(b))),
        Rule::new(
            "alarm.picture",
            NOTIFY,
            "The picture of an alarm is sent to pic_upload_url",
            |b| Box::pin(picture(b)),
        ),
        Rule::new(
            "alarm.form",
            NOTIFY,
            "Each AlarmNotify has channel, type, state and desc",
            |b| Box::pin(form(b)),
        ),
    ]
}

/// Waits for alarms of which `wanted` is true.
async fn wait(b: &mut Bench, wanted: fn(&[AlarmInfo]) -> bool) -> Outcome<Option<Vec<AlarmInfo>>> {
    let device = Arc::clone(&b.device);
    b.during(b.limits.alarm, device.wait_alarms(wanted)).await
}

fn started(alarms: &[AlarmInfo]) -> bool {
    alarms.iter().any(|alarm| alarm.state == AlarmEdge::Start)
}

/// Waits until an alarm has started.
async fn some(b: &mut Bench) -> Outcome<Vec<AlarmInfo>> {
    match wait(b, started).await? {
        Some(alarms) => Ok(alarms),
        None if b.heard.newest("AlarmNotify").next().is_some() => {
            fail("AlarmNotify came, and none that the cloud could read and that starts an alarm")
        }
        None => not_supported(format!(
            "no alarm came within {:?}: raise one, such as by moving before the camera, while this runs",
            b.limits.alarm
        )),
    }
}

async fn starts(b: &mut Bench) -> Outcome {
    let alarms = some(b).await?;
    let mut running = Vec::new();
    for alarm in alarms {
        let one = (alarm.channel, alarm.kind);
        match alarm.state {
            AlarmEdge::Start => running.push(one),
            AlarmEdge::End => match running.iter().position(|other| *other == one) {
                Some(at) => drop(running.swap_remove(at)),
                None => {
                    return fail(format!(
                        "{:?} of channel {} ended and had not started",
                        one.1, one.0
                    ));
                }
            },
        }
    }
    Ok(())
}

/// The bit of a type, counted from 0.
fn bit(kind: AlarmKind) -> u32 {
    match kind {
        AlarmKind::External => 2,
        AlarmKind::Motion => 3,
        AlarmKind::Tripwire => 4,
    }
}

/// Looks at the first Keepalive that comes after a start and before the end.
async fn bits(b: &mut Bench) -> Outcome {
    some(b).await?;
    let device = Arc::clone(&b.device);
    let lasting = || {
        let alarms = device.alarms();
        let last = alarms.last()?;
        (last.state == AlarmEdge::Start).then_some((last.channel, last.kind))
    };
    let limit = b.limits.alarm + 2 * b.limits.keepalive + b.limits.slack;
    let mut asked = None;
    let found = b.until(limit, |packet| {
        // The alarm has to last from one Keepalive to the next, so that its state is no matter of moments.
        let told =
            asked.and_then(|(channel, kind)| Some((kind, channel_in(&packet.text, channel)?)));
        let now = lasting();
        let told = told.filter(|_| now.is_some() && now == asked);
        asked = now;
        told
    });
    let Some((kind, channel)) = found.await? else {
        return not_supported("no alarm lasted until a Keepalive");
    };
    let alarm = channel["alarm"].as_u64().unwrap_or(0);
    let right = 1_u64 << bit(kind);
    if alarm & right != 0 {
        return Ok(());
    }
    if alarm & (right >> 1) != 0 {
        return deviation(format!(
            "alarm is {alarm}, one bit lower than {right}, as that of the public SDK"
        ));
    }
    fail(format!("expected the bit {right} while {kind:?} lasts: {channel}"))
}

async fn ends(b: &mut Bench) -> Outcome {
    some(b).await?;
    let ended = |alarms: &[AlarmInfo]| alarms.iter().any(|alarm| alarm.state == AlarmEdge::End);
    match wait(b, ended).await? {
        Some(_) => Ok(()),
        None => fail(format!("an alarm started, and none ended within {:?}", b.limits.alarm)),
    }
}

async fn picture(b: &mut Bench) -> Outcome {
    some(b).await?;
    let has = |alarms: &[AlarmInfo]| alarms.iter().any(|alarm| alarm.picture.is_some());
    let Some(alarms) = wait(b, has).await? else {
        return not_supported(format!("no picture came within {:?} of an alarm", b.limits.alarm));
    };
    for picture in alarms.iter().filter_map(|alarm| alarm.picture.as_ref()) {
        if !picture.jpeg {
            return fail(format!("the picture of {} bytes is no JPEG", picture.bytes));
        }
        if let Some(body) = b.cloud.picture(&picture.id).filter(|body| body.len() <= SHOWN) {
            let text = format!("the picture of an alarm, {} bytes", picture.bytes);
            b.tape.push(Seen::Picture { text, jpeg: STANDARD.encode(&body) });
            break;
        }
    }
    Ok(())
}

async fn form(b: &mut Bench) -> Outcome {
    if b.heard.newest("AlarmNotify").next().is_none() {
        some(b).await?;
    }
    for connection in b.heard.connections() {
        for told in connection.requests.iter().filter(|request| request.method == "AlarmNotify") {
            let params = &told.params;
            let right = params["channel"].is_u64()
                && matches!(params["type"].as_i64(), Some(2..=4))
                && matches!(params["state"].as_str(), Some("start" | "end"))
                && params["desc"].is_string();
            if !right {
                return fail(format!("channel, type 2 to 4, state start or end, desc: {params}"));
            }
        }
    }
    Ok(())
}
