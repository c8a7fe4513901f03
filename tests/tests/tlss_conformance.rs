//! The agent through every case of `tlss-sim conformance`. Several agents call at once, so that their waits overlap.
#![allow(clippy::unwrap_used, clippy::panic)] // Helpers fail the test they help.

use std::fmt::Write as _;
use std::net::SocketAddr;

use ivt_agent::Agent;
use ivt_lab::conformance::choice::Choice;
use ivt_lab::conformance::tlss::{Check, Options, Run, Timing};
use ivt_lab::report::{Report, html, json, junit};
use ivt_media::clip::{BuiltIn, ClipOpener};
use ivt_sim::camera::{CameraSim, Stream};
use ivt_tests::{camera, soon};

/// Agents that call at once: one for each end of a session.
const AGENTS: usize = 7;
const HEAD: &str = "# What the agent does of the hosted service's rules

Written by the scenario `tlss_conformance` with `UPDATE_TABLES=1`, which runs `tlss-sim conformance` on the agent with the
web server of an emulated camera (uapi) behind it. `tlss-sim conformance --html FILE` adds the bytes of each case.

| case | the rule | where it stands | verdict |
|---|---|---|---|
";

#[tokio::test]
async fn the_agent_keeps_every_rule_of_the_hosted_service() {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let (choice, timing) = (Choice::default(), Timing::default());
    let run = Run::listen(Options { listen, mac: None, choice, timing }).await.unwrap();
    let server = run.addr().unwrap();
    let camera = CameraSim::start(camera(ClipOpener::built_in(BuiltIn::Main))).await.unwrap();
    let agents: Vec<_> = (0..AGENTS).map(|number| agent(server, &camera, number)).collect();
    let report = soon("the run ends", run.finish(|_| {})).await;
    drop(agents);
    let failed: Vec<_> = report.cases.iter().filter(|case| !case.reason.is_empty()).collect();
    assert!(report.passed(), "{failed:#?}");
    assert_eq!(report.cases.len(), Check::ALL.len());
    let page = html(&report);
    assert!(report.cases.iter().all(|case| page.contains(&case.id)));
    assert!(!json(&report).is_empty() && !junit(&report).is_empty());
    compare(&report);
}

fn agent(server: SocketAddr, camera: &CameraSim, number: usize) -> Agent {
    let text = format!(
        "[cloud]\nurl = 'ws://127.0.0.1:9/nobody'\nlogin_code = 'c'\nlogin_passwd = 'p'\n\
         [tlss]\nenable = true\nserver = '{}'\nport = {}\nmac = '001323A0070{number}'\nbrand = 'CAP'\n\
         model = 'NS6202HD'\ninterval_minutes = 1\n\
         [[channel]]\nbackend = 'rtsp'\nmain = '{}'\nweb = 'http://{}'\n",
        server.ip(),
        server.port(),
        camera.rtsp_url(0, Stream::Main),
        camera.http_addr(),
    );
    Agent::start(&text.parse().unwrap_or_else(|e| panic!("{e}\n{text}"))).unwrap()
}

/// Compares the verdicts, without their times and bytes, with the committed page; writes the page when told to.
fn compare(report: &Report) {
    let mut text = HEAD.to_owned();
    for case in &report.cases {
        let reason = if case.reason.is_empty() { "" } else { ": " };
        let (verdict, why) = (case.verdict.word(), &case.reason);
        writeln!(
            text,
            "| `{}` | {} | {} | {verdict}{reason}{why} |",
            case.id, case.name, case.section
        )
        .unwrap();
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/conformance/tlss.md");
    if std::env::var_os("UPDATE_TABLES").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == text,
        "docs/conformance/tlss.md is not what was found; UPDATE_TABLES=1 writes it:\n{text}"
    );
}
