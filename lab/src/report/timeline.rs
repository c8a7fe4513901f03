//! What happened when in a run with a script.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::printable;

/// Most moments that are drawn.
const MOST: usize = 500;
/// Most bytes of the text of a moment.
const MOST_TEXT: usize = 300;

/// Something that happened at a time, or took a while.
#[derive(Clone, Debug, Serialize)]
pub struct Moment {
    /// Where or to whom it happened: a scenario, the cloud, the camera, the network.
    pub lane: String,
    /// Since the begin of the run.
    pub at: Duration,
    /// When it was over, since the begin of the run, where it took a while.
    pub until: Option<Duration>,
    /// What happened, in a few words.
    pub text: String,
    /// Whether it is what makes a case fail.
    pub bad: bool,
}

/// The moments as a part of their case; empty where there are none.
pub(super) fn section(moments: &[Moment]) -> String {
    if moments.is_empty() {
        return String::new();
    }
    let mut out = String::from("<ol class=\"timeline\">\n");
    for moment in moments.iter().take(MOST) {
        let until = moment.until.map(|until| format!("–{:.1}", until.as_secs_f64()));
        let _ = writeln!(
            out,
            "<li{}><span class=\"at\">{:.1}{} s</span> <b>{}</b> {}</li>",
            if moment.bad { " class=\"bad\"" } else { "" },
            moment.at.as_secs_f64(),
            until.unwrap_or_default(),
            escaped(&moment.lane),
            escaped(&moment.text),
        );
    }
    out.push_str("</ol>\n");
    out
}

fn escaped(text: &str) -> String {
    quick_xml::escape::escape(printable(text, MOST_TEXT)).into_owned()
}
