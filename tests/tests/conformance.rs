//! Our own agent through every rule of IVR RPC, as `ivc-sim conformance --all` tries any device.
#![allow(clippy::unwrap_used, clippy::panic)] // Helpers fail the test they help.

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use ivt_hal::Trigger;
use ivt_lab::conformance::choice::Choice;
use ivt_lab::conformance::ivc::{Limits, Plan, Switch, all, run};
use ivt_lab::report::{Case, Verdict};
use ivt_tests::{DEVICE, Stage};
use tokio::time::sleep;

use crate::alarms::ALL;
use crate::methods::backends::Backend;
use crate::methods::table;

const HEAD: &str = "# What our own agent does about each rule of IVR RPC

Written by the scenario `conformance` with `UPDATE_TABLES=1`: the agent with its own emulator, and with a camera of the
hikvision family, through every case of `ivc-sim conformance --all`. [conformance.md](../conformance.md) tells what the verdicts mean.
";

/// How often a case is tried that does not pass.
const ROUNDS: usize = 3;

/// How long an alarm lasts: from one Keepalive to the next, whenever it starts.
const ALARM: Duration = Duration::from_secs(21);
/// Time between two such alarms: a Keepalive comes that was not on its way at the end.
const PAUSE: Duration = Duration::from_secs(14);

/// A case that takes longer is told, so that it can be made shorter.
const LONG: Duration = Duration::from_secs(40);
/// How long the camera is away: until a Keepalive says so, and the next says that it is back.
const AWAY: Duration = Duration::from_secs(22);

/// Cases that are tried with one agent, by their begin. Each hangs up three times at most, and waits for half a minute
/// at most; all agents wait side by side.
const TOGETHER: [&[&str]; 23] = [
    &["login.models", "login.first", "login.pong", "login.again"],
    &["login.refused"],
    &["login.duplicate"],
    &["keepalive.", "settings.motion", "settings.line", "settings.wifi"],
    &["packet.", "method.", "event."],
    &["publish.arrives", "publish.pace", "publish.keepalive"],
    &["publish."],
    &["record.starts", "record.keepalive", "record.bitrate", "record.stop_none"],
    &["record.", "segments.form", "segments.duration"],
    &["segments.size", "segments.start_ts"],
    &["segments.sequence", "segments.confirmed", "segments.pacing"],
    &["segments.prerecord"],
    &["segments."],
    &["alarm.", "preview."],
    &["settings.off"],
    &["settings.hours"],
    &["channel.offline"],
    &["settings.publish_list", "firmware."],
    &["settings.reboot"],
    &["close.wrong_seq", "close.unasked", "close.malformed.text", "close.malformed.cut"],
    &["close.silence", "close.malformed.binary", "close.too_large"],
    &["close.malformed.l", "close.malformed.n"],
    &["close.malformed.bare", "close.malformed.odd_seq", "close.malformed.odd_req"],
];
/// The place of all others.
const REST: &[&str] = &["close.malformed."];

#[tokio::test]
async fn our_agent_keeps_the_rules_that_the_committed_report_says() {
    let ids: Vec<String> = all().into_iter().map(|rule| rule.id).collect();
    let mut groups = BTreeMap::<usize, Vec<&str>>::new();
    for id in &ids {
        let together = TOGETHER.iter().chain([&REST]);
        let place = together
            .enumerate()
            .find(|(_, begins)| begins.iter().any(|begin| id.starts_with(begin)));
        groups.entry(place.unwrap_or_else(|| panic!("{id} has no place")).0).or_default().push(id);
    }
    let groups: Vec<Vec<&str>> = groups.into_values().collect();
    let backends = [Backend::ALL[0], Backend::ALL[3]];
    let columns = backends.map(async |backend| {
        let cases = conforms(backend, &groups).await;
        (backend.name, ids.iter().map(|id| cell(&cases[id])).collect::<Vec<_>>())
    });
    let columns = join_all(columns).await;
    let rules = all();
    let titles: Vec<String> = rules
        .iter()
        .map(|rule| format!("`{}` {} ({})", rule.id, rule.name, rule.section))
        .collect();
    let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
    table::check("conformance/ivc.md", HEAD, "case", &titles, &columns);
}

/// What each case found. Many cases are about times, and some machines have too little of it for all agents at once: what
/// did not pass is tried again, with fewer agents.
async fn conforms(backend: Backend, groups: &[Vec<&str>]) -> BTreeMap<String, Case> {
    let mut found = BTreeMap::<String, Case>::new();
    for _ in 0..ROUNDS {
        let open = |id: &&str| found.get(*id).is_none_or(|case| case.verdict != Verdict::Pass);
        let open = groups.iter().map(|ids| ids.iter().copied().filter(open).collect::<Vec<_>>());
        let open: Vec<Vec<&str>> = open.filter(|ids| !ids.is_empty()).collect();
        let tried = join_all(open.iter().map(|ids| tried(backend, ids))).await;
        found.extend(tried.into_iter().flatten().map(|case| (case.id.clone(), case)));
    }
    found
}

/// What these cases found, of an agent of their own.
async fn tried(backend: Backend, ids: &[&str]) -> Vec<Case> {
    let rig = backend.start_beside(ALL).await;
    let Stage { cloud, cameras, agent } = rig.stage;
    let world = Arc::clone(&rig.world);
    // What is measured by alarms wants one that lasts; what waits for their absence wants many.
    let (lasting, alarm) = match ids {
        _ if ids.iter().any(|id| id.starts_with("alarm.")) => {
            (Some((ALARM, PAUSE)), Duration::from_secs(40))
        }
        ["settings.off" | "settings.hours"] => {
            (Some((Duration::from_secs(1), Duration::from_secs(4))), Duration::from_secs(15))
        }
        _ => (None, Duration::from_secs(40)),
    };
    let raising = tokio::spawn(async move {
        let Some((lasting, pause)) = lasting else { return };
        // A camera that is not listened to yet tells nothing.
        loop {
            world.trigger(Trigger::Motion, true);
            sleep(lasting).await;
            world.trigger(Trigger::Motion, false);
            sleep(pause).await;
        }
    });
    let world = Arc::clone(&rig.world);
    let cameras: Vec<_> = cameras.into_iter().map(Arc::new).collect();
    let camera = cameras.first().map(Arc::clone);
    let switch = Switch::new(move |on| {
        match &camera {
            // It comes back by itself.
            _ if on => {}
            Some(camera) => camera.reboot(AWAY),
            None => world.go_away(AWAY),
        }
        Box::pin(ready(Ok(())))
    });
    let plan = Plan {
        code: DEVICE.into(),
        choice: Choice::only(ids),
        limits: Limits { alarm, ..Limits::default() },
        camera: Some(switch),
        ..Plan::default()
    };
    let report = run(Arc::new(cloud), &plan, &all(), |_| {}).await;
    raising.abort();
    for case in report.cases.iter().filter(|case| case.verdict != Verdict::Pass || case.took > LONG)
    {
        let (id, took, verdict) = (&case.id, case.took.as_secs(), case.verdict.word());
        println!("{}: {id}: {verdict} after {took} s: {}", backend.name, case.reason);
    }
    let last = report.cases.last().unwrap();
    assert_eq!(last.verdict, Verdict::Pass, "{}, {ids:?}: {}", backend.name, last.reason);
    drop((agent, cameras, rig.board));
    report.cases
}

fn cell(case: &Case) -> String {
    match case.verdict {
        Verdict::Pass => "pass".into(),
        verdict => format!("{}: {}", verdict.word(), case.reason.replace(['|', '\n'], " ")),
    }
}
