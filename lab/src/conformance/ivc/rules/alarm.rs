//! AlarmNotify, the picture of an alarm, and the alarm bits of the Keepalive.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ivt_proto::rpc::message::{AlarmEdge, AlarmKind};
use ivt_sim::cloud::AlarmInfo;

use super::publish::channel_in;
use crate::conformance::ivc::bench::Bench;
use crate::conformance::ivc::finding::{Outcome, deviation, fail, not_supported};
use crate::conformance::ivc::heard::Connection;
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
            "While an alarm lasts, the Keepalive has the bit of its type, and not after its end",
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
    some(b).await?;
    let (limit, end) = (b.limits.alarm, Instant::now() + b.limits.alarm);
    loop {
        let open = match pairs(b.heard.connections()) {
            Pairs::Whole => return Ok(()),
            Pairs::EndedTwice(which) => {
                return fail(format!("{which} ended twice, and had not started between"));
            }
            Pairs::Open(which) => which,
        };
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            b.note(format!("{open} had started before the login, and not again within {limit:?}"));
            return Ok(());
        }
        b.until(left, |packet| packet.text.contains("\"AlarmNotify\"").then_some(())).await?;
    }
}

/// How the starts and ends of alarms go together.
#[derive(Debug, PartialEq)]
enum Pairs {
    /// Each end has its start.
    Whole,
    /// This one has ended and not started: it may have lasted at the login already.
    Open(String),
    /// This one has ended twice without a start between.
    EndedTwice(String),
}

/// Each connection is looked at by itself: an alarm may start before its login, and what was not answered is told again
/// after the next one.
fn pairs(connections: &[Connection]) -> Pairs {
    let (mut open, mut begun) = (BTreeSet::new(), BTreeSet::new());
    for connection in connections {
        let mut ended = BTreeSet::new();
        for told in connection.requests.iter().filter(|request| request.method == "AlarmNotify") {
            let which =
                format!("type {} of channel {}", told.params["type"], told.params["channel"]);
            match told.params["state"].as_str() {
                Some("start") => {
                    ended.remove(&which);
                    begun.insert(which);
                }
                Some("end") if ended.contains(&which) => return Pairs::EndedTwice(which),
                Some("end") => {
                    open.insert(which.clone());
                    ended.insert(which);
                }
                // The form has a case of its own.
                _ => {}
            }
        }
    }
    open.difference(&begun).next().cloned().map_or(Pairs::Whole, Pairs::Open)
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
        return cleared(b, kind).await;
    }
    if alarm & (right >> 1) != 0 {
        return deviation(format!(
            "alarm is {alarm}, one bit lower than {right}, as that of the public SDK"
        ));
    }
    fail(format!("expected the bit {right} while {kind:?} lasts: {channel}"))
}

/// Looks at the first Keepalive that comes while no alarm of this kind lasts. One that was on its way is passed over.
async fn cleared(b: &mut Bench, kind: AlarmKind) -> Outcome {
    let device = Arc::clone(&b.device);
    let margin = u64::try_from((b.limits.keepalive / 5).as_millis()).unwrap_or(u64::MAX);
    let limit = b.limits.alarm + 2 * b.limits.keepalive + b.limits.slack;
    let found = b.until(limit, |packet| {
        let alarms = device.alarms();
        let last = alarms.iter().rev().find(|alarm| alarm.kind == kind)?;
        let over =
            last.state == AlarmEdge::End && packet.time_ms >= last.time_ms.saturating_add(margin);
        channel_in(&packet.text, last.channel).filter(|_| over)
    });
    let Some(channel) = found.await? else {
        return not_supported(format!(
            "the bit was set, and no Keepalive came within {limit:?} between the end of the alarm and the start of the next"
        ));
    };
    match channel["alarm"].as_u64().unwrap_or(0) & (1 << bit(kind)) {
        0 => Ok(()),
        bit => fail(format!("the bit {bit} is set though {kind:?} has ended: {channel}")),
    }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::conformance::ivc::heard::Heard;

    /// What is heard of a device; 0 stands for a login.
    fn heard(edges: &[(u8, &str)]) -> Pairs {
        let mut heard = Heard::default();
        for (kind, state) in [(0, "")].iter().chain(edges) {
            match kind {
                0 => heard.login(0),
                _ => {
                    let params = json!({ "channel": 0, "type": kind, "state": state, "desc": "" });
                    heard.packet(&json!({ "req": "AlarmNotify", "seq": 1, "params": params }), 0);
                }
            }
        }
        pairs(heard.connections())
    }

    #[test]
    fn an_end_needs_its_start_unless_the_alarm_is_older_than_the_login() {
        let which = || "type 3 of channel 0".to_owned();
        assert_eq!(heard(&[(3, "start"), (3, "end"), (3, "start")]), Pairs::Whole);
        assert_eq!(heard(&[(3, "end"), (3, "start"), (3, "end")]), Pairs::Whole);
        assert_eq!(heard(&[(3, "start"), (3, "end"), (0, ""), (3, "end")]), Pairs::Whole);
        assert_eq!(heard(&[(3, "end"), (2, "start")]), Pairs::Open(which()));
        assert_eq!(heard(&[(2, "end"), (3, "end"), (2, "start")]), Pairs::Open(which()));
        for twice in [
            &[(3, "end"), (3, "end")][..],
            &[(3, "start"), (3, "end"), (2, "start"), (3, "end")],
            &[(3, "end"), (0, ""), (3, "end"), (2, "end"), (3, "end"), (3, "start")],
        ] {
            assert_eq!(heard(twice), Pairs::EndedTwice(which()), "{twice:?}");
        }
    }
}
