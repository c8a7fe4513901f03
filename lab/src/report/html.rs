//! A report as one page of HTML: nothing beside the file is needed, not even a script.

use std::fmt::Write as _;

use quick_xml::escape::escape;

use super::{Case, Evidence, Report, Seen, Verdict, printable, timeline};

const STYLE: &str = include_str!("report.css");
/// Most bytes of the text of a packet.
const MOST_TEXT: usize = 4 << 10;
/// Most bytes of the evidence of a case, half of it from its begin and half from its end.
const MOST_EVIDENCE: usize = 128 << 10;
/// Most bytes of the Base64 of a picture.
const MOST_PICTURE: usize = 400 << 10;
/// Most bytes of all pictures.
const MOST_PICTURES: usize = 4 << 20;
/// Most bytes of the cases. Those beyond have no evidence any more.
const MOST_CASES: usize = 8 << 20;

/// The report as a page. Its length is bounded: long evidence is shortened, and says so.
pub fn html(report: &Report) -> String {
    let title = escaped(&report.title);
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
         img-src data:; media-src data:\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n\
         <p>{}</p>\n",
        escaped(&report.subject)
    );
    let _ = write!(out, "<p>{}", escaped(&report.started));
    if let Some(seed) = report.seed {
        let _ = write!(out, ", seed {seed}");
    }
    out.push_str("</p>\n<ul class=\"sums\">\n");
    for verdict in [Verdict::Pass, Verdict::Fail, Verdict::Deviation, Verdict::NotSupported] {
        let _ = writeln!(out, "<li><b>{}</b> {}</li>", report.count(verdict), mark(verdict));
    }
    out.push_str("</ul>\n");
    out.push_str(
        "<h2>Cases</h2>\n<table>\n<thead><tr><th scope=\"col\">Verdict</th><th scope=\"col\">Case</th>\
         <th scope=\"col\">Time</th></tr></thead>\n<tbody>\n",
    );
    let (begin, mut pictures) = (out.len(), MOST_PICTURES);
    for case in &report.cases {
        let whole = out.len() - begin < MOST_CASES + (MOST_PICTURES - pictures);
        write_case(&mut out, case, whole, &mut pictures);
    }
    out.push_str("</tbody>\n</table>\n</main>\n</body>\n</html>\n");
    out
}

fn write_case(out: &mut String, case: &Case, whole: bool, pictures: &mut usize) {
    let _ = writeln!(
        out,
        "<tr><td>{}</td><td><details{}><summary>{} <code>{}</code></summary>",
        mark(case.verdict),
        if case.verdict == Verdict::Fail && whole { " open" } else { "" },
        escaped(&case.name),
        escaped(&case.id),
    );
    if !case.reason.is_empty() {
        let _ = writeln!(out, "<p>{}</p>", escaped(&case.reason));
    }
    if !case.section.is_empty() {
        let _ = writeln!(out, "<p class=\"section\">{}</p>", escaped(&case.section));
    }
    out.push_str(&timeline::section(&case.timeline));
    if whole {
        write_evidence(out, &case.evidence, pictures);
    } else if !case.evidence.is_empty() {
        out.push_str("<p>The packets are left out, since the report is long: see the JSON.</p>\n");
    }
    let took = case.took.as_secs_f64();
    let _ = writeln!(out, "</details></td><td class=\"took\">{took:.1} s</td></tr>");
}

fn write_evidence(out: &mut String, evidence: &[Evidence], pictures: &mut usize) {
    if evidence.is_empty() {
        return;
    }
    let lines: Vec<String> = evidence.iter().map(|evidence| line(evidence, pictures)).collect();
    out.push_str("<ol class=\"packets\">\n");
    let (head, tail) = ends(&lines);
    out.extend(lines[..head].iter().map(String::as_str));
    if head < tail {
        let _ = writeln!(out, "<li>({} lines are left out)</li>", tail - head);
    }
    out.extend(lines[tail..].iter().map(String::as_str));
    out.push_str("</ol>\n");
}

/// The end of the first lines that are shown, and the begin of the last ones.
fn ends(lines: &[String]) -> (usize, usize) {
    let fits = |lines: &mut dyn Iterator<Item = &String>| {
        let mut room = MOST_EVIDENCE / 2;
        let fit = |line: &&String| {
            // Pictures have a bound of their own.
            let is_picture = line.contains("<img ") || line.contains("<video ");
            let length = if is_picture { 0 } else { line.len() };
            let left = room.checked_sub(length);
            room = left.unwrap_or(0);
            left.is_some()
        };
        lines.take_while(fit).count()
    };
    let head = fits(&mut lines.iter());
    let tail = lines.len() - fits(&mut lines[head..].iter().rev());
    (head, tail)
}

fn line(evidence: &Evidence, pictures: &mut usize) -> String {
    let at = evidence.at.as_secs_f64();
    let (kind, word, text) = match &evidence.what {
        Seen::Received { text } => ("received", "from the device", text),
        Seen::Sent { text } => ("sent", "to the device", text),
        Seen::Note { text } => ("note", "", text),
        Seen::Picture { text, .. } | Seen::Still { text, .. } => ("picture", "picture", text),
    };
    let text = escaped(text);
    let body = match &evidence.what {
        Seen::Received { .. } | Seen::Sent { .. } => format!("<pre>{text}</pre>"),
        Seen::Note { .. } => text,
        Seen::Picture { jpeg, .. } => shown(&text, jpeg, pictures, || {
            format!("<img src=\"data:image/jpeg;base64,{jpeg}\" alt=\"{text}\">")
        }),
        Seen::Still { mp4, .. } => shown(&text, mp4, pictures, || {
            format!(
                "<video muted preload=\"auto\" aria-label=\"{text}\" src=\"data:video/mp4;base64,{mp4}\"></video>"
            )
        }),
    };
    format!("<li class=\"{kind}\"><span class=\"at\">{at:.3} s {word}</span> {body}</li>\n")
}

/// A text with its picture, where that is Base64 and there is room.
fn shown(text: &str, data: &str, pictures: &mut usize, picture: impl FnOnce() -> String) -> String {
    let base64 = data.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b));
    if base64 && data.len() <= (*pictures).min(MOST_PICTURE) {
        *pictures -= data.len();
        format!("{text}{}", picture())
    } else {
        format!("{text} (the picture is left out, since the report is long)")
    }
}

pub(super) fn mark(verdict: Verdict) -> String {
    let class = verdict.word().replace(' ', "_");
    format!("<span class=\"verdict {class}\">{}</span>", verdict.word())
}

fn escaped(text: &str) -> String {
    escape(printable(text, MOST_TEXT)).into_owned()
}
