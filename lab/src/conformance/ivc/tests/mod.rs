//! Each rule against a device that keeps it and a device that breaks it.

mod broken;
mod device;
mod duties;
mod recorder;
mod wire;

use std::future::ready;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use ivt_proto::rpc::message::AlarmEdge;
use ivt_sim::cloud::{CloudOptions, CloudSim, Direction};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::{Limits, Plan, Rule, Switch, all, run};
use crate::conformance::choice::Choice;
use crate::report::{Report, Verdict};
use broken::{Fault, OTHERS, of};
use device::Scripted;
use duties::Around;

/// Runs at a time: most of them wait most of the time.
const AT_A_TIME: usize = 24;
/// How often a run is made anew that found something else than it should: times are short, and some machines are late.
const ROUNDS: usize = 3;
/// Longest run against a device that answers.
const LONGEST: Duration = Duration::from_secs(60);

/// Times of the scripted device. The slack is that of a busy machine.
fn limits() -> Limits {
    let ms = Duration::from_millis;
    Limits {
        keepalive: ms(1_000),
        answer: ms(4_000),
        slack: ms(3_000),
        login: ms(15_000),
        reconnect: ms(15_000),
        alarm: ms(8_000),
        start: ms(8_000),
        watch: ms(2_000),
        quiet: ms(400),
    }
}

/// A cloud with a scripted device, and what is to be tried.
struct Rig {
    cloud: Arc<CloudSim>,
    around: Arc<Around>,
    device: JoinHandle<()>,
    plan: Plan,
}

/// The report of the cases that match `only`, of a scripted device with this fault.
async fn report(fault: Option<Fault>, only: &[&str]) -> Report {
    let rig = rig(fault, only).await;
    let report = run(rig.cloud, &rig.plan, &all(), |_| {}).await;
    rig.device.abort();
    report
}

async fn rig(fault: Option<Fault>, only: &[&str]) -> Rig {
    let cloud = Arc::new(CloudSim::start(CloudOptions::default()).await.unwrap());
    let around = Arc::new(Around { lists: Mutex::new(json!([])), away: AtomicBool::new(false) });
    let device = tokio::spawn(scripted(&cloud, fault, &around).live());
    let camera = Arc::clone(&around);
    let camera = Switch::new(move |on| {
        camera.away.store(!on, Ordering::Relaxed);
        Box::pin(ready(Ok(())))
    });
    let plan = Plan {
        code: "scripted".into(),
        choice: Choice::only(only),
        limits: limits(),
        camera: Some(camera),
        ..Plan::default()
    };
    Rig { cloud, around, device, plan }
}

fn scripted(cloud: &CloudSim, fault: Option<Fault>, around: &Arc<Around>) -> Scripted {
    Scripted {
        login: cloud.login_url("scripted", "odd-login-5").into(),
        fault,
        limits: limits(),
        around: Arc::clone(around),
        pieces: Arc::default(),
    }
}

/// What is left of a run of this case that is stopped as soon as a packet with these words goes to the device.
async fn stopped_at(id: &str, words: &'static str) -> (Report, Rig) {
    let mut rig = rig(None, &[id]).await;
    let (stop, stopping) = watch::channel(false);
    rig.plan.stop = Some(stopping);
    let (_, mut packets) = rig.cloud.device("scripted").packets();
    let stopper = tokio::spawn(async move {
        while let Ok(packet) = packets.recv().await {
            if packet.direction == Direction::ToDevice && packet.text.contains(words) {
                stop.send_replace(true);
            }
        }
    });
    let rules = all();
    let running = run(Arc::clone(&rig.cloud), &rig.plan, &rules, |_| {});
    let report = timeout(LONGEST, running).await.unwrap();
    stopper.abort();
    rig.device.abort();
    let (verdict, reason) = found(&report, "run.end");
    assert!(verdict == Verdict::Fail && reason.contains("stopped by hand"), "{id}: {reason}");
    assert!(!report.passed());
    (report, rig)
}

#[tokio::test]
async fn a_run_that_is_stopped_leaves_the_device_as_it_was() {
    let offline = async {
        let (report, rig) = stopped_at("channel.offline", "RTMPPublish").await;
        let case = report.cases.iter().find(|case| case.id == "channel.offline").unwrap();
        assert!(format!("{:?}", case.evidence).contains("taken away"), "{case:?}");
        assert!(!rig.around.away.load(Ordering::Relaxed), "the camera is away");
    };
    let list = async {
        let (_, rig) = stopped_at("settings.publish_list", "SetRTMPPublishConfig").await;
        assert_eq!(*rig.around.lists.lock().unwrap(), json!([]));
    };
    let detection = async |id: &'static str, words: &'static str| {
        let (_, rig) = stopped_at(id, words).await;
        let (packets, _) = rig.cloud.device("scripted").packets();
        let orders = packets.iter().filter(|packet| {
            packet.direction == Direction::ToDevice && packet.text.contains("DetectConfig")
        });
        let orders: Vec<Value> =
            orders.map(|packet| serde_json::from_str(&packet.text).unwrap()).collect();
        let params = &orders.last().unwrap()["params"];
        assert!(params["enable"] == true && params.get("start").is_none(), "{id}: {params}");
    };
    tokio::join!(
        offline,
        list,
        detection("settings.off", "\"enable\":false"),
        detection("settings.hours", "\"start\":12000"),
        detection("settings.line", "\"start\":79200"),
    );
}

#[tokio::test]
async fn a_login_is_waited_for_as_long_as_was_asked() {
    let mut rig = rig(Some(Fault::NeverLogsIn), &["login.*"]).await;
    let brief = Duration::from_millis(10);
    rig.plan.limits = Limits {
        keepalive: brief,
        answer: brief,
        slack: brief,
        reconnect: brief,
        alarm: brief,
        start: brief,
        watch: brief,
        quiet: brief,
        login: Duration::from_secs(1),
    };
    let report = run(rig.cloud, &rig.plan, &all(), |_| {}).await;
    let (_, reason) = found(&report, "login.comes");
    assert!(reason.contains("no device logged in as scripted within 1s"), "{reason}");
}

/// The verdict of one case, and its reason.
fn found(report: &Report, id: &str) -> (Verdict, String) {
    let case = report.cases.iter().find(|case| case.id == id);
    let case = case.unwrap_or_else(|| panic!("{id} was not run"));
    (case.verdict, case.reason.clone())
}

fn ids() -> Vec<String> {
    let ids = all().into_iter().map(|rule: Rule| rule.id);
    ids.chain(["login.comes".to_owned(), "run.end".to_owned()]).collect()
}

#[test]
fn every_rule_has_a_name_of_its_own_and_a_device_that_breaks_it() {
    let mut ids = ids();
    for id in &ids {
        assert!(of(id).is_some(), "{id} has no broken device");
        assert!(id.len() <= 46, "{id} is too long for a line");
    }
    ids.sort();
    let count = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), count, "an id stands for two rules");
    for rule in all() {
        assert!(!rule.section.is_empty() && !rule.name.is_empty(), "{}", rule.id);
    }
}

#[tokio::test]
async fn each_check_finds_the_device_that_breaks_its_rule() {
    let rules = ids().into_iter().map(|id| {
        let (fault, verdict) = of(&id).unwrap();
        (id, fault, verdict)
    });
    let others = OTHERS.iter().map(|(id, fault, verdict)| ((*id).to_owned(), *fault, *verdict));
    let runs = stream::iter(rules.chain(others)).map(async |(id, fault, verdict)| {
        let only = if id == "run.end" { "keepalive.period" } else { id.as_str() };
        let mut wrong = None;
        for _ in 0..ROUNDS {
            let report = timeout(LONGEST, report(Some(fault), &[only])).await;
            let Ok(report) = report else {
                return Some(format!("{id}: {fault:?} was not done in time"));
            };
            let (got, reason) = found(&report, &id);
            if got == verdict {
                return None;
            }
            wrong = Some(format!("{id}: {fault:?} is {got:?}, not {verdict:?}: {reason}"));
        }
        wrong
    });
    let wrong: Vec<String> =
        runs.buffer_unordered(AT_A_TIME).filter_map(async |wrong| wrong).collect().await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_device_that_keeps_every_rule_passes() {
    let ids: Vec<String> = all().into_iter().map(|rule| rule.id).collect();
    // Cases that wait for long run beside each other, each with its own device.
    let slow = |id: &String| {
        ["segments.", "record.", "close.", "alarm.", "publish."]
            .iter()
            .any(|group| id.starts_with(group))
    };
    let (slow, quick): (Vec<String>, Vec<String>) = ids.into_iter().partition(slow);
    let groups =
        slow.into_iter().map(|id| vec![id]).chain(quick.chunks(12).map(<[String]>::to_vec));
    let runs = stream::iter(groups).map(async |mut group| {
        let mut wrong = Vec::new();
        for _ in 0..ROUNDS {
            let only: Vec<&str> = group.iter().map(String::as_str).collect();
            let report = report(None, &only).await;
            let failed = report.cases.into_iter().filter(|case| case.verdict != Verdict::Pass);
            let failed: Vec<_> = failed.collect();
            let told = failed.iter().map(|c| format!("{}: {:?}: {}", c.id, c.verdict, c.reason));
            wrong = told.collect();
            group = failed.into_iter().map(|case| case.id).collect();
            if group.is_empty() {
                break;
            }
        }
        wrong
    });
    let wrong: Vec<Vec<String>> = runs.buffer_unordered(AT_A_TIME).collect().await;
    let wrong = wrong.concat();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_device_like_the_public_sdk_deviates_and_does_not_fail() {
    let cases = [
        "login.*",
        "keepalive.*",
        "packet.*",
        "method.Get*",
        "event.*",
        "alarm.*",
        "publish.stop_none",
    ];
    let report = report(Some(Fault::PublicSdk), &cases).await;
    let other = report.cases.iter().filter(|case| case.verdict != Verdict::Pass);
    let other: Vec<_> = other.map(|case| (case.id.as_str(), case.verdict)).collect();
    let ways = ["login.first_request", "login.pong", "packet.empty", "alarm.bits"];
    assert_eq!(other, ways.map(|id| (id, Verdict::Deviation)));
}

#[tokio::test]
async fn an_alarm_whose_start_is_no_longer_kept_is_no_failure() {
    let rig = rig(Some(Fault::ManyAlarms), &["keepalive.period", "alarm.start"]).await;
    let report = run(Arc::clone(&rig.cloud), &rig.plan, &all(), |_| {}).await;
    rig.device.abort();
    let kept = rig.cloud.device("scripted").alarms();
    assert_eq!((kept.len(), kept[0].state), (200, AlarmEdge::End));
    let (verdict, reason) = found(&report, "alarm.start");
    assert_eq!(verdict, Verdict::Pass, "{reason}");
}

#[tokio::test]
async fn a_run_that_cannot_go_on_ends_soon_and_says_why() {
    for (fault, why) in [
        (Fault::NeverLogsIn, "no device logged in as scripted"),
        (Fault::Answerless, "does not answer"),
        (Fault::Floods, "packets in a second"),
        (Fault::FloodsOfRequests, "packets in a second"),
        (Fault::ClosesAtOnce, "does not stay"),
        (Fault::SendsBinary, "does not stay"),
        (Fault::AnswersTwice, "does not stay"),
    ] {
        let began = Instant::now();
        let report =
            timeout(LONGEST, report(Some(fault), &["packet.*", "method.Get*"])).await.unwrap();
        let (verdict, reason) = found(&report, "run.end");
        let all: Vec<_> = report.cases.iter().map(|c| (&c.id, c.verdict, &c.reason)).collect();
        assert!(verdict == Verdict::Fail && reason.contains(why), "{fault:?}: {reason}: {all:#?}");
        assert!(reason.contains("were not run"), "{reason}");
        let ends: Vec<_> = all.iter().map(|(id, _, reason)| format!("{id}: {reason}")).collect();
        assert!(report.cases.len() < 12, "{fault:?}: {ends:#?}");
        assert!(began.elapsed() < LONGEST);
        let held: usize = report.cases.iter().map(|case| case.evidence.len()).sum();
        assert!(held < 2_000, "{held}");
        assert!(!report.passed());
    }
}

#[tokio::test]
async fn two_devices_with_one_login_end_the_run() {
    let fault = Some(Fault::FightsForItsLogin);
    let rig = rig(fault, &["packet.*", "method.*"]).await;
    let second = tokio::spawn(scripted(&rig.cloud, fault, &rig.around).live());
    let rules = all();
    let running = run(Arc::clone(&rig.cloud), &rig.plan, &rules, |_| {});
    let report = timeout(LONGEST, running).await.unwrap();
    rig.device.abort();
    second.abort();
    let (verdict, reason) = found(&report, "run.end");
    let told = reason.contains("two devices log in with this code");
    assert!(verdict == Verdict::Fail && told, "{reason}");
}

#[tokio::test]
async fn a_report_holds_the_packets_and_no_password() {
    let report = report(None, &["method.GetWifiStatusAndConfig", "packet.answer"]).await;
    let text = crate::report::json(&report);
    assert!(text.contains("GetNetConfig") && text.contains("Wifi"), "{text}");
    assert!(!text.contains("odd-wifi") && !text.contains("odd-login"), "{text}");
    assert!(
        report.subject.contains("scripted") && report.subject.contains("1.0"),
        "{}",
        report.subject
    );
}
