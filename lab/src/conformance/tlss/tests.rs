//! A scripted device, and for each rule one that breaks it: each check can fail, and passes where it should.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::net::SocketAddr;
use std::time::Duration;

use futures::future::join_all;
use ivt_proto::tlss::{frame, header};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::{Check, Options, Run, Timing};
use crate::conformance::choice::Choice;
use crate::report::{Report, Verdict};

/// The device's own seven seconds, shortened as those of the run are.
const RULE: Duration = Duration::from_secs(2);
/// All parameters of the device.
const ALL: &[u8] = b"BRAND.Model.productid=P5\nNETWORK.Eth0.Dhcp.enable=yes\nNETWORK.Eth0.mac=0\nVERSION.serialno=2\n";
/// No run of a test takes longer, on any machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is wrong with a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Nothing,
    /// It breaks this rule.
    Rule(Check),
    /// It sends bare bodies, as IPAI devices do.
    Bare,
    /// It sends messages without an end.
    Floods,
    /// It takes commands and never answers.
    Mute,
    /// It answers one command, hangs up, and is back at once.
    Hammers,
    /// It sends its identity again on the same connection.
    Stays,
    /// Its list of all parameters lacks what servers look for.
    ShortList,
}

fn timing() -> Timing {
    let ms = Duration::from_millis;
    Timing {
        rule: RULE,
        slack: ms(900),
        beyond: ms(2500),
        reply: ms(4000),
        close: ms(1500),
        interval: ms(1500),
        update: None,
        pause: ms(600),
        call: ms(7000),
        sleep: ms(1500),
    }
}

/// Runs these cases against a device.
async fn run(wrong: Wrong, choice: Choice) -> Report {
    run_at(wrong, choice, timing()).await
}

async fn run_at(wrong: Wrong, choice: Choice, timing: Timing) -> Report {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let options = Options { listen, mac: None, choice, timing };
    let run = Run::listen(options).await.unwrap();
    let device = tokio::spawn(device(wrong, run.addr().unwrap()));
    let report = timeout(PATIENCE, run.finish(|_| {})).await.expect("the run ends");
    device.abort();
    report
}

fn verdict(report: &Report, check: Check) -> (Verdict, &str) {
    let case = report.cases.iter().find(|case| case.id == check.id()).unwrap();
    (case.verdict, &case.reason)
}

/// Calls the server for ever.
async fn device(wrong: Wrong, server: SocketAddr) {
    let breaks = |check| wrong == Wrong::Rule(check);
    if breaks(Check::CallArrives) {
        return;
    }
    loop {
        let stream = TcpStream::connect(server).await.unwrap();
        let done = call(wrong, stream).await;
        match done {
            true if breaks(Check::Interval) => {}
            true => sleep(timing().interval + Duration::from_millis(500)).await,
            false if breaks(Check::Reconnect) => return,
            false if wrong == Wrong::Hammers => {}
            false => sleep(Duration::from_millis(300)).await,
        }
    }
}

/// One call. True: the server said `done`.
async fn call(wrong: Wrong, mut stream: TcpStream) -> bool {
    let breaks = |check| wrong == Wrong::Rule(check);
    let identity: &[u8] = match breaks(Check::IdentityForm) {
        true => b"brand=CAP&mac=00:13:23:A0:07:AD&model=NS6202HD",
        false => b"mac=001323A007AD&brand=CAP&model=NS6202HD",
    };
    let length = match breaks(Check::IdentityLength) {
        true => (identity.len() as u32).to_be_bytes(),
        false => header(identity.len()),
    };
    if stream.write_all(&[&length[..], identity].concat()).await.is_err() {
        return false;
    }
    let (mut bytes, mut commands) = (Vec::new(), 0);
    let mut since = Instant::now();
    loop {
        if wrong == Wrong::Floods {
            while stream.write_all(&frame(&[b'x'; 1000])).await.is_ok() {}
            return false;
        }
        let Some(command) = take(wrong, &mut bytes, commands) else {
            let due = since + patience(wrong, commands, &bytes);
            let read = timeout_at(due, stream.read_buf(&mut bytes)).await;
            match read {
                Ok(Ok(0) | Err(_)) => return false,
                Ok(Ok(_)) => continue,
                Err(_) if breaks(Check::CallQuiet) && due < since + RULE => {
                    since = Instant::now() + RULE; // Once is enough.
                    if stream.write_all(&frame(b"hello?")).await.is_err() {
                        return false;
                    }
                }
                Err(_) if wrong == Wrong::Stays => {
                    since = Instant::now();
                    if stream.write_all(&frame(identity)).await.is_err() {
                        return false;
                    }
                }
                Err(_) => return false,
            }
            continue;
        };
        let four = command == b"done" && !breaks(Check::DoneFour);
        let five = command == b"done\0" && !breaks(Check::DoneFive);
        if four || five {
            return true;
        }
        if command.is_empty() || wrong == Wrong::Mute {
            if breaks(Check::LengthZero) {
                sleep(PATIENCE).await;
            }
            continue;
        }
        commands += 1;
        if breaks(Check::CommandSeveral) && commands > 5 {
            return false;
        }
        let reply = answer(wrong, &command).await;
        let (head, tail) = reply.split_at(reply.len() / 2);
        let sent = async {
            stream.write_all(&[&header(reply.len())[..], head].concat()).await?;
            if breaks(Check::ReplyWhole) {
                sleep(timing().pause + Duration::from_millis(200)).await;
            }
            stream.write_all(tail).await
        };
        if sent.await.is_err() {
            return false;
        }
        since = Instant::now();
        if wrong == Wrong::Hammers {
            return false;
        }
    }
}

/// How long the device waits for bytes.
fn patience(wrong: Wrong, commands: u64, bytes: &[u8]) -> Duration {
    let forever = match wrong {
        Wrong::Rule(Check::TimerReply) => commands > 0,
        Wrong::Rule(Check::LengthOversize) => bytes.starts_with(b"\xff\xff\xff\xff"),
        Wrong::Rule(Check::LengthUnfinished) => !bytes.is_empty(),
        _ => false,
    };
    match wrong {
        _ if forever => PATIENCE,
        Wrong::Rule(Check::TimerIdentity) if commands == 0 => Duration::from_millis(100),
        Wrong::Rule(Check::CallQuiet) => RULE / 4,
        _ => RULE,
    }
}

/// The next whole command of what has come.
fn take(wrong: Wrong, bytes: &mut Vec<u8>, commands: u64) -> Option<Vec<u8>> {
    if wrong == Wrong::Rule(Check::CommandSplit) && commands > 0 && !bytes.is_empty() {
        return Some(std::mem::take(bytes).split_off(1)); // Whatever came is taken for a command.
    }
    let length = u32::from_le_bytes(bytes.get(..4)?.try_into().unwrap()) as usize;
    let command = bytes.get(4..4 + length)?.to_vec();
    match wrong {
        Wrong::Rule(Check::CommandCoalesced) => bytes.clear(),
        _ => drop(bytes.drain(..4 + length)),
    }
    Some(command)
}

/// The reply to a command.
async fn answer(wrong: Wrong, command: &[u8]) -> Vec<u8> {
    let breaks = |check| wrong == Wrong::Rule(check);
    let mut text = String::from_utf8_lossy(command).into_owned();
    if breaks(Check::RefuseLines) {
        text = text.split([' ', '\r', '\n']).next().unwrap().to_owned();
    }
    if breaks(Check::RefuseShell) && text.contains("sleep") {
        sleep(timing().sleep).await;
    }
    if breaks(Check::RefuseUrl)
        && let Some(at) = text.split("//").nth(1).and_then(|rest| rest.split('/').next())
    {
        drop(TcpStream::connect(at).await);
    }
    if !breaks(Check::CommandEndings) {
        text = text.trim_matches(['\0', '\n', '\r']).to_owned();
    }
    if !text.starts_with('/') && !breaks(Check::CommandSlashless) {
        text.insert(0, '/');
    }
    let (list, counts) =
        ("/uapi-cgi/param.fcgi?action=list&group=VERSION", "/cgi-bin/operator/countreport.cgi?");
    let ok = 200;
    let (status, kind, body): (u16, _, &[u8]) = match &*text {
        "/uapi-cgi/param.fcgi?action=list" if wrong == Wrong::ShortList => {
            (ok, "text/plain", b"VERSION.serialno=2\n")
        }
        "/uapi-cgi/param.fcgi?action=list" if breaks(Check::CommandAll) => {
            (404, "text/html", b"404 - Not Found\n")
        }
        "/uapi-cgi/param.fcgi?action=list" => (ok, "text/plain", ALL),
        text if text == list && breaks(Check::CommandParameters) => (ok, "text/plain", b"OK\n"),
        text if text == list => (ok, "text/plain", b"VERSION.firmware=1\nVERSION.serialno=2\n"),
        "/nvc-cgi/operator/snapshot.fcgi" if breaks(Check::Picture) => {
            (ok, "image/jpeg", b"\xff\xd8\xff\xe0abc")
        }
        "/nvc-cgi/operator/snapshot.fcgi" => (ok, "image/jpeg", b"\xff\xd8\xff\xe0abc\xff\xd9"),
        text if text.starts_with(counts) && breaks(Check::ReportCounts) => {
            (ok, "text/csv", b"none\n")
        }
        text if text.starts_with(counts) => (ok, "text/csv", b"Records:1 Counter:1\n"),
        text if text.starts_with("/uapi-cgi/reporthm.cgi?") => match breaks(Check::ReportHeat) {
            true => (ok, "text/csv", b""),
            false => (ok, "text/csv", b"2026-01-01_00:00:00\n"),
        },
        text if text.contains("..") && breaks(Check::RefusePath) => {
            (ok, "text/plain", b"root:x:0\n")
        }
        _ if breaks(Check::RefuseUnknown) => (ok, "text/plain", b"fine\n"),
        _ => (404, "text/html", b"404 - Not Found\n"),
    };
    if wrong == Wrong::Bare {
        return body.to_vec();
    }
    let length = body.len() + usize::from(breaks(Check::ReplyLength));
    let blank = if breaks(Check::ReplyForm) { "" } else { "\r\n" };
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{blank}"
    );
    [head.as_bytes(), body].concat()
}

#[tokio::test]
async fn a_device_that_keeps_every_rule_passes_every_case() {
    let report = run(Wrong::Nothing, Choice::default()).await;
    let wrong: Vec<_> = report.cases.iter().filter(|case| case.verdict != Verdict::Pass).collect();
    assert!(wrong.is_empty(), "{:?}", wrong.iter().map(|c| (&c.id, &c.reason)).collect::<Vec<_>>());
    assert_eq!(report.cases.len(), Check::ALL.len());
    assert!(report.passed() && report.subject.contains("001323A007AD"), "{}", report.subject);
    let picture = report.cases.iter().find(|case| case.id == "picture").unwrap();
    assert!(serde_json::to_string(picture).unwrap().contains("\"kind\":\"picture\""));
}

#[tokio::test]
async fn for_each_rule_a_device_that_breaks_it_fails() {
    let broken = Check::ALL.map(|check| async move {
        let report = run(Wrong::Rule(check), Choice::only(&[check.id()])).await;
        let (verdict, reason) = verdict(&report, check);
        assert_eq!(verdict, Verdict::Fail, "{check:?}: {reason}");
        assert!(!reason.is_empty() && !report.passed(), "{check:?}");
    });
    join_all(broken).await;
}

#[tokio::test]
async fn devices_that_flood_or_are_mute_or_hammer_end_with_that_verdict() {
    for (wrong, words) in [
        (Wrong::Floods, "floods"),
        (Wrong::Mute, "said nothing"),
        (Wrong::Hammers, "calls more than 10 times"),
    ] {
        let report = run(wrong, Choice::default()).await;
        let told =
            report.cases.iter().any(|c| c.verdict == Verdict::Fail && c.reason.contains(words));
        let all: Vec<_> = report.cases.iter().map(|c| (&c.id, c.verdict, &c.reason)).collect();
        assert!(told && !report.passed(), "{wrong:?}: {all:?}");
    }
}

#[tokio::test]
async fn known_oddities_are_deviations() {
    let bare = run(Wrong::Bare, Choice::only(&["command.*", "reply.*"])).await;
    let (found, reason) = verdict(&bare, Check::ReplyForm);
    assert_eq!(found, Verdict::Deviation, "{reason}");
    assert!(
        bare.passed(),
        "{:?}",
        bare.cases.iter().map(|c| (&c.id, &c.reason)).collect::<Vec<_>>()
    );
    let short = run(Wrong::ShortList, Choice::only(&["command.all"])).await;
    let (found, reason) = verdict(&short, Check::CommandAll);
    assert_eq!(found, Verdict::Deviation, "{reason}");
    let stays = run(Wrong::Stays, Choice::only(&["timer.identity"])).await;
    let (found, reason) = verdict(&stays, Check::TimerIdentity);
    assert_eq!(found, Verdict::Deviation, "{reason}");
}

#[tokio::test]
async fn an_update_interval_that_is_known_is_measured() {
    let interval = async |update: u64| {
        let timing = Timing { update: Some(Duration::from_secs(update)), ..timing() };
        let report = run_at(Wrong::Nothing, Choice::only(&["call.interval"]), timing).await;
        verdict(&report, Check::Interval).0
    };
    assert_eq!(interval(2).await, Verdict::Pass);
    assert_eq!(interval(6).await, Verdict::Deviation);
}

/// What becomes of a run for this MAC address while this device calls, which is another one.
async fn run_for_another(wrong: Wrong, mac: &str) -> Report {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let choice = Choice::only(&["done.four", "identity.form"]);
    let timing = Timing { call: Duration::from_secs(2), ..timing() };
    let mac = Some(mac.to_owned());
    let run = Run::listen(Options { listen, mac, choice, timing }).await.unwrap();
    let device = tokio::spawn(device(wrong, run.addr().unwrap()));
    let report = timeout(PATIENCE, run.finish(|_| {})).await.expect("the run ends");
    device.abort();
    report
}

#[tokio::test]
async fn only_the_device_that_is_meant_is_served() {
    let once = Wrong::Rule(Check::Reconnect);
    let on_and_on = Wrong::Nothing;
    let odd = Wrong::Rule(Check::IdentityForm);
    for wrong in [once, on_and_on, odd] {
        let report = run_for_another(wrong, "00:00:00:00:00:01").await;
        for check in [Check::DoneFour, Check::IdentityForm] {
            let (verdict, reason) = verdict(&report, check);
            assert_eq!(verdict, Verdict::NotSupported, "{wrong:?}: {check:?}: {reason}");
            assert!(reason.contains("no call within"), "{reason}");
        }
    }
}

#[tokio::test]
async fn a_call_that_says_nothing_is_told_where_nobody_else_calls() {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let timing = Timing { reply: Duration::from_millis(50), ..timing() };
    let timing = Timing { call: Duration::from_secs(2), ..timing };
    let choice = Choice::only(&["call.arrives", "done.four"]);
    let run = Run::listen(Options { listen, mac: None, choice, timing }).await.unwrap();
    let server = run.addr().unwrap();
    let _silent = TcpStream::connect(server).await.unwrap();
    let report = timeout(PATIENCE, run.finish(|_| {})).await.expect("the run ends");
    for check in [Check::CallArrives, Check::DoneFour] {
        let (_, reason) = verdict(&report, check);
        assert!(reason.contains("127.0.0.1") && reason.contains("no answer within"), "{reason}");
        assert!(!reason.contains("no call"), "{reason}");
    }
}

#[tokio::test]
async fn calls_that_say_nothing_do_not_end_the_run_of_a_device_that_has_called() {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let cases = ["timer.reply", "done.four", "identity.*"];
    let (choice, mac) = (Choice::only(&cases), None);
    let run = Run::listen(Options { listen, mac, choice, timing: timing() }).await.unwrap();
    let server = run.addr().unwrap();
    let device = tokio::spawn(device(Wrong::Nothing, server));
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let strangers = tokio::spawn(async move {
        // The case that is told first ends the session, and the device has still to call again.
        told.recv().await.unwrap();
        for _ in 0..10 {
            let mut stream = TcpStream::connect(server).await.unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
            // The server hangs up.
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    });
    let tell = move |case: &crate::report::Case| drop(tell.send(case.id.clone()));
    let report = timeout(PATIENCE, run.finish(tell)).await.expect("the run ends");
    device.abort();
    strangers.await.unwrap();
    let found: Vec<_> =
        report.cases.iter().map(|case| (&case.id, case.verdict, &case.reason)).collect();
    assert!(report.cases.iter().all(|case| case.verdict == Verdict::Pass), "{found:?}");
}
