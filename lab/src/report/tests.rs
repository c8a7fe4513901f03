//! A report with everything in it, through each writer.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use ivt_sim::args::Args;
use quick_xml::Reader;
use quick_xml::events::Event;

use super::*;

/// What a device may send to leave the text that it belongs in.
const HOSTILE: &str =
    "</pre></details><script>alert(1)</script><img src=x onerror=\"a()\">]]>&amp;\0\u{1b}\u{ffff}";

fn case(id: &str, verdict: Verdict, reason: &str) -> Case {
    let what = [
        Seen::Sent { text: r#"{"req":"GetNetConfig"}"#.into() },
        Seen::Received { text: HOSTILE.into() },
        Seen::Note { text: format!("the device says {HOSTILE}") },
        Seen::Picture { text: HOSTILE.into(), jpeg: "/9j/4A==".into() },
        Seen::Picture { text: "no Base64".into(), jpeg: "\" onload=\"a()".into() },
        Seen::Still { text: HOSTILE.into(), mp4: "AAAAHGZ0eXA=".into() },
        Seen::Still { text: "no Base64".into(), mp4: "\" onload=\"a()".into() },
    ];
    let evidence = what.map(|what| Evidence { at: Duration::from_millis(1250), what });
    Case {
        id: id.into(),
        name: format!("A rule of {HOSTILE}"),
        section: "RPC request".into(),
        verdict,
        reason: reason.into(),
        took: Duration::from_millis(1500),
        evidence: evidence.into(),
        timeline: vec![Moment {
            lane: HOSTILE.into(),
            at: Duration::from_secs(1),
            until: None,
            text: HOSTILE.into(),
            bad: true,
        }],
        seed: None,
    }
}

fn report() -> Report {
    Report {
        title: "IVR RPC conformance".into(),
        subject: format!("device {HOSTILE}"),
        started: "2026-11-30T12:00:00Z".into(),
        seed: Some(7),
        cases: vec![
            case("rpc.pass", Verdict::Pass, ""),
            case("rpc.fail", Verdict::Fail, "expected <this>, came \"that\" & more"),
            case("rpc.deviation", Verdict::Deviation, "`resp: \"\"`"),
            case("rpc.skipped", Verdict::NotSupported, HOSTILE),
        ],
    }
}

#[test]
fn the_page_holds_everything_and_nothing_of_a_device_leaves_its_text() {
    let page = html(&report());
    for text in
        ["IVR RPC conformance", "seed 7", "rpc.fail", "expected &lt;this&gt;", "RPC request"]
    {
        assert!(page.contains(text), "{text}");
    }
    for verdict in Verdict::ALL {
        assert!(page.contains(&format!("<b>1</b> {}", html::mark(verdict))));
    }
    assert_eq!(page.matches("<details").count(), 4);
    assert_eq!(page.matches("<details open").count(), 1, "failures are open");
    for tag in ["<img ", "<video "] {
        assert_eq!(page.matches(tag).count(), 4, "only pictures in Base64");
    }
    for tag in ["<script", "onload=\"", "<img src=x", "\0", "\u{1b}", "http://", "https://"] {
        assert!(!page.contains(tag), "{tag}");
    }
    let first = page.split("rpc.pass").nth(1).unwrap();
    let order = ["GetNetConfig", "the device says", "data:image/jpeg;base64,/9j/4A=="];
    let places: Vec<_> = order.iter().map(|text| first.find(text).unwrap()).collect();
    assert!(places.is_sorted(), "{places:?}");
}

#[test]
fn a_long_run_makes_no_endless_page_and_keeps_the_begin_and_the_end() {
    let mut report = report();
    let packet = |n: usize| Evidence {
        at: Duration::from_millis(n as u64),
        what: Seen::Received { text: format!("[{n}] {}", "<".repeat(5 << 10)) },
    };
    let picture = Evidence {
        at: Duration::ZERO,
        what: Seen::Picture { text: "still".into(), jpeg: "A".repeat(MANY_PICTURE) },
    };
    for case in &mut report.cases {
        case.evidence = (0..40).map(packet).collect();
        case.evidence.push(picture.clone());
    }
    let some = report.cases.clone();
    report.cases = some.iter().cycle().take(80).cloned().collect();
    let page = html(&report);
    assert!(page.len() < 16 << 20, "{}", page.len());
    assert!(page.contains("[0] ") && page.contains("[39] ") && !page.contains("[20] "));
    assert!(page.contains("lines are left out"));
    assert!(junit(&report).len() < 16 << 20);
}

const MANY_PICTURE: usize = 300 << 10;

#[test]
fn junit_is_xml_whose_sums_and_verdicts_are_those_of_the_report() {
    let text = junit(&report());
    assert!(!text.contains(['\0', '\u{1b}', '\u{ffff}']));
    let mut reader = Reader::from_str(&text);
    let (mut failures, mut skipped, mut outs, mut tests, mut inside) = (0, 0, 0, 0, String::new());
    loop {
        match reader.read_event().unwrap() {
            Event::Eof => break,
            Event::Start(tag) | Event::Empty(tag) => match tag.name().as_ref() {
                "testcase" => tests += 1,
                "failure" => {
                    failures += 1;
                    let message = tag.try_get_attribute("message").unwrap().unwrap();
                    inside = message.value.to_string();
                }
                "skipped" => skipped += 1,
                "system-out" => outs += 1,
                "testsuite" => {
                    let sum = |name: &str| tag.try_get_attribute(name).unwrap().unwrap().value;
                    assert_eq!(&*sum("tests"), "4");
                    assert_eq!(&*sum("failures"), "1");
                    assert_eq!(&*sum("skipped"), "1");
                    assert_eq!(&*sum("time"), "6.000");
                }
                _ => {}
            },
            _ => {}
        }
    }
    assert_eq!((tests, failures, skipped, outs), (4, 1, 1, 3));
    assert_eq!(inside, "expected &lt;this&gt;, came &quot;that&quot; &amp; more");
}

#[test]
fn a_case_that_lasts_as_long_as_the_run_counts_no_time_twice() {
    let mut report = report();
    report.cases[3].id = "run.end".into();
    let text = junit(&report);
    assert_eq!(text.matches("time=\"4.500\"").count(), 2, "{text}");
    assert_eq!(text.matches("time=\"0.000\"").count(), 1, "{text}");
}

#[test]
fn the_seed_of_a_case_is_a_property_of_it_and_stands_behind_its_name() {
    let mut report = report();
    report.cases[..2].iter_mut().for_each(|case| case.seed = Some(12_345));
    let text = junit(&report);
    let cases: Vec<_> = text.split("<testcase ").skip(1).collect();
    let property = r#"<property name="seed" value="12345"/>"#;
    let has: Vec<_> = cases.iter().map(|case| case.contains(property)).collect();
    assert_eq!(has, [true, true, false, false], "{text}");
    // Readers of JUnit expect it before all else.
    assert!(cases[1].find(property) < cases[1].find("<failure"));
    assert!(!cases[0].contains("system-out"));
    let told = summary(&report);
    assert!(told.contains("fail          rpc.fail (seed 12345): expected"), "{told}");
}

#[test]
fn json_is_the_model_with_its_sums() {
    let value: serde_json::Value = serde_json::from_str(&json(&report())).unwrap();
    assert_eq!(value["passed"], false);
    assert_eq!(value["sums"]["not_supported"], 1);
    assert_eq!(value["cases"][1]["verdict"], "fail");
    assert_eq!(value["cases"][1]["evidence"][0]["kind"], "sent");
    assert_eq!((&value["cases"][1]["took"], &value["seed"]), (&1.5.into(), &7.into()));
}

#[test]
fn the_summary_names_what_did_not_pass_and_no_control_character() {
    let text = summary(&report());
    assert!(text.contains("fail          rpc.fail: expected <this>"), "{text}");
    assert!(text.contains("1 pass, 1 fail, 1 deviation, 1 not supported"), "{text}");
    assert!(!text.contains("rpc.pass") && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn options_name_the_files() {
    let words = ["--html", "a.html", "--json=b.json", "--junit", "c.xml", "--other"];
    let mut args = Args::new(words.into_iter().map(str::to_owned));
    let mut outputs = Outputs::default();
    for _ in 0..3 {
        let flag = args.flag().unwrap().unwrap();
        assert!(outputs.take(&flag, &mut args).unwrap());
    }
    let flag = args.flag().unwrap().unwrap();
    assert!(!outputs.take(&flag, &mut args).unwrap());
    assert_eq!(outputs.junit.as_deref(), Some("c.xml".as_ref()));
    assert_eq!(outputs.json.as_deref(), Some("b.json".as_ref()));
}

#[test]
fn a_report_takes_the_place_of_no_other_and_of_nothing_that_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("own.toml"), "name = 'x'").unwrap();
    std::os::unix::fs::symlink("own.toml", at("link")).unwrap();
    let two = |html, junit| Outputs { html: Some(html), junit: Some(junit), json: None };
    for (html, junit) in [("x", "./x"), ("link", "own.toml")] {
        let error = two(at(html), at(junit)).check().unwrap_err().to_string();
        assert!(error.contains("another report goes there"), "{error}");
    }
    two(at("x"), at("y")).check().unwrap();
    two("/dev/null".into(), "/dev/null".into()).check().unwrap();
    let own = at("own.toml");
    for (name, is_read) in [("own.toml", true), ("link", true), ("none", false)] {
        let outcome = two(at("x"), at(name)).spare([own.as_path()]);
        assert_eq!(outcome.is_err(), is_read, "{name}: {outcome:?}");
    }
}

#[test]
fn each_option_of_the_help_is_indented() {
    assert!(Outputs::HELP.lines().all(|line| line.starts_with("  --")), "{}", Outputs::HELP);
}

#[test]
fn files_are_written_whole_and_what_is_wrong_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let html = |path: &std::path::Path| Outputs { html: Some(path.into()), ..Outputs::default() };
    let good = html(&folder.path().join("report.html"));
    good.check().unwrap();
    good.write(&report()).unwrap();
    good.write(&report()).unwrap();
    let path = folder.path().join("report.html");
    assert!(fs::read_to_string(&path).unwrap().ends_with("</html>\n"));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
    for (path, advice) in [
        (folder.path().join("none/report.html"), "there is no folder"),
        (folder.path().to_owned(), "name a file in it"),
        (path.join("below"), "is no folder"),
    ] {
        for error in [html(&path).check().unwrap_err(), html(&path).write(&report()).unwrap_err()] {
            let error = error.to_string();
            assert!(error.contains(advice) && error.contains(path.to_str().unwrap()), "{error}");
        }
    }
    for (path, advice) in [
        ("", "no file is named"),
        ("/proc/report.html", "can be made in /proc"),
        ("report/", "name a file in it"),
    ] {
        let error = html(path.as_ref()).check().unwrap_err().to_string();
        assert!(error.contains(advice), "{error}");
    }
    html("/dev/full".as_ref()).check().unwrap();
    let error = html("/dev/full".as_ref()).write(&report()).unwrap_err().to_string();
    assert!(error.contains("is full: make room"), "{error}");
    let _ = html("/dev/null".as_ref()).write(&report());
    assert!(!fs::metadata("/dev/null").unwrap().is_file(), "a device stays what it is");
}
