//! A report as JUnit XML, as Jenkins and GitLab read it.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::{Case, Report, Verdict, printable};

/// Most bytes of a line of evidence. The HTML and JSON reports have more.
const MOST_LINE: usize = 2 << 10;
/// Most bytes of the evidence of a case.
const MOST_OUT: usize = 32 << 10;
/// Most bytes of a name or a reason.
const MOST_NAME: usize = 1 << 10;

/// The case that lasts as long as the run. Its time is that of all others together, which readers of JUnit sum up.
const WHOLE_RUN: &str = "run.end";

type Xml = Writer<Vec<u8>>;

/// The report as JUnit XML. A deviation passes and tells its reason in `system-out`; what is not supported is skipped.
pub fn junit(report: &Report) -> String {
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
    write(&mut xml, report).expect("memory takes every byte");
    let mut text = String::from_utf8(xml.into_inner()).expect("text was written");
    text.push('\n');
    text
}

fn write(xml: &mut Xml, report: &Report) -> io::Result<()> {
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let tests = report.cases.len().to_string();
    let failures = report.count(Verdict::Fail).to_string();
    let skipped = report.count(Verdict::NotSupported).to_string();
    let time = seconds(report.cases.iter().map(time).sum());
    let sums = [
        ("tests", tests.as_str()),
        ("failures", failures.as_str()),
        ("errors", "0"),
        ("skipped", skipped.as_str()),
        ("time", time.as_str()),
    ];
    let title = printable(&report.title, MOST_NAME);
    xml.create_element("testsuites")
        .with_attribute(("name", title.as_str()))
        .with_attributes(sums)
        .write_inner_content(|xml| {
            xml.create_element("testsuite")
                .with_attribute(("name", title.as_str()))
                .with_attributes(sums)
                .with_attribute(("timestamp", printable(&report.started, MOST_NAME).as_str()))
                .write_inner_content(|xml| {
                    properties(xml, report)?;
                    report.cases.iter().try_for_each(|case| test(xml, case))
                })?;
            Ok(())
        })?;
    Ok(())
}

fn properties(xml: &mut Xml, report: &Report) -> io::Result<()> {
    let subject = printable(&report.subject, MOST_NAME);
    let seed = report.seed.map(|seed| seed.to_string());
    written(xml, &[("subject", Some(subject)), ("seed", seed)])
}

fn written(xml: &mut Xml, all: &[(&str, Option<String>)]) -> io::Result<()> {
    xml.create_element("properties").write_inner_content(|xml| {
        for (name, value) in all.iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
            xml.create_element("property")
                .with_attribute(("name", *name))
                .with_attribute(("value", value.as_str()))
                .write_empty()?;
        }
        Ok(())
    })?;
    Ok(())
}

fn test(xml: &mut Xml, case: &Case) -> io::Result<()> {
    let id = printable(&case.id, MOST_NAME);
    let group = id.rsplit_once('.').map_or(id.as_str(), |(group, _)| group);
    let name = format!("{id}: {}", printable(&case.name, MOST_NAME));
    let reason = printable(&case.reason, MOST_NAME);
    let took = seconds(time(case));
    let element = xml
        .create_element("testcase")
        .with_attribute(("classname", group))
        .with_attribute(("name", name.as_str()))
        .with_attribute(("time", took.as_str()));
    let seed = case.seed.map(|seed| seed.to_string());
    if case.verdict == Verdict::Pass && seed.is_none() {
        element.write_empty()?;
        return Ok(());
    }
    element.write_inner_content(|xml| {
        if seed.is_some() {
            written(xml, &[("seed", seed)])?;
        }
        if case.verdict == Verdict::Pass {
            return Ok(());
        }
        let protocol = protocol(case);
        match case.verdict {
            Verdict::Fail => {
                let failure = xml.create_element("failure");
                let failure = failure.with_attribute(("message", reason.as_str()));
                let text = format!("{reason}\n{}\n", section(case));
                failure.write_text_content(BytesText::new(&text))?;
            }
            Verdict::NotSupported => {
                let skipped = xml.create_element("skipped");
                skipped.with_attribute(("message", reason.as_str())).write_empty()?;
            }
            Verdict::Deviation | Verdict::Pass => {}
        }
        let out = format!("{}: {reason}\n{}\n{protocol}", case.verdict.word(), section(case));
        xml.create_element("system-out").write_text_content(BytesText::new(&out))?;
        Ok(())
    })?;
    Ok(())
}

fn time(case: &Case) -> Duration {
    if case.id == WHOLE_RUN { Duration::ZERO } else { case.took }
}

fn section(case: &Case) -> String {
    printable(&case.section, MOST_NAME)
}

fn protocol(case: &Case) -> String {
    let mut out = String::new();
    for (number, evidence) in case.evidence.iter().enumerate() {
        if out.len() > MOST_OUT {
            let _ = writeln!(out, "({} lines more)", case.evidence.len() - number);
            break;
        }
        let (mark, text) = evidence.what.line();
        let at = evidence.at.as_secs_f64();
        let _ = writeln!(out, "{at:9.3} {mark} {}", printable(text, MOST_LINE));
    }
    out
}

fn seconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64())
}
