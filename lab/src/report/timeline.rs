//! What went on beside each other in a run with a script, as a drawing.

use std::fmt::Write as _;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::{printable, seconds};

/// Most moments that are drawn.
const MOST: usize = 500;
/// Most bytes of the text of a moment.
const MOST_TEXT: usize = 300;
/// Most rows of a lane: what is under way at the same time lies in rows of its own.
const MOST_ROWS: usize = 8;
/// The width of a drawing, in units of its own. It is stretched to that of the page.
const WIDTH: f64 = 1000.0;
/// The width of a moment without an end.
const LEAST: f64 = 4.0;
/// The height of a row, in pixels.
const ROW: usize = 10;

/// Something that happened at a time, or took a while.
#[derive(Clone, Debug, Serialize)]
pub struct Moment {
    /// Where or to whom it happened: a scenario, the cloud, the camera, the network.
    pub lane: String,
    /// Since the begin of the run; in JSON, seconds.
    #[serde(serialize_with = "seconds")]
    pub at: Duration,
    /// When it was over, since the begin of the run, where it took a while; in JSON, seconds.
    #[serde(serialize_with = "some_seconds", skip_serializing_if = "Option::is_none")]
    pub until: Option<Duration>,
    /// What happened, in a few words.
    pub text: String,
    /// Whether it is what makes a case fail.
    pub bad: bool,
}

impl Moment {
    fn end(&self) -> Duration {
        self.until.unwrap_or(self.at).max(self.at)
    }
}

/// The moments as a part of their case, a drawing for each lane; empty where there are none.
pub(super) fn section(moments: &[Moment]) -> String {
    let moments = &moments[..moments.len().min(MOST)];
    let Some(begin) = moments.iter().map(|moment| moment.at).min() else { return String::new() };
    let end = moments.iter().map(Moment::end).max().unwrap_or(begin);
    let mut lanes: Vec<(&str, Vec<&Moment>)> = Vec::new();
    for moment in moments {
        match lanes.iter_mut().find(|(name, _)| *name == moment.lane) {
            Some((_, lane)) => lane.push(moment),
            None => lanes.push((&moment.lane, vec![moment])),
        }
    }
    let mut out = String::from("<div class=\"timeline\">\n");
    for (name, lane) in lanes {
        draw(&mut out, name, lane, begin, end);
    }
    let seconds = |time: Duration| time.as_secs_f64();
    let _ = writeln!(
        out,
        "<p class=\"at\"><span>{:.1} s</span><span>{:.1} s</span><span>{:.1} s</span></p>\n</div>",
        seconds(begin),
        seconds(begin).midpoint(seconds(end)),
        seconds(end),
    );
    out
}

fn draw(out: &mut String, name: &str, mut lane: Vec<&Moment>, begin: Duration, end: Duration) {
    lane.sort_by_key(|moment| moment.at);
    let unit = WIDTH / (end - begin).as_secs_f64().max(0.001);
    // Up to where each row is taken.
    let mut rows: Vec<f64> = Vec::new();
    let mut bars = String::new();
    for moment in &lane {
        let from = (moment.at - begin).as_secs_f64() * unit;
        let width = ((moment.end() - moment.at).as_secs_f64() * unit).max(LEAST);
        let from = from.min(WIDTH - LEAST);
        let row = match rows.iter().position(|taken| *taken <= from) {
            Some(free) => free,
            None if rows.len() < MOST_ROWS => {
                rows.push(0.0);
                rows.len() - 1
            }
            None => MOST_ROWS - 1,
        };
        rows[row] = from + width;
        let _ = writeln!(
            bars,
            "<rect x=\"{from:.1}\" y=\"{}\" width=\"{width:.1}\" height=\"{}\"{}><title>{:.2} s: {}</title></rect>",
            row * ROW + 1,
            ROW - 2,
            if moment.bad { " class=\"bad\"" } else { "" },
            moment.at.as_secs_f64(),
            escaped(&moment.text),
        );
    }
    let (name, height, count) = (escaped(name), rows.len() * ROW, lane.len());
    let bad = lane.iter().filter(|moment| moment.bad).count();
    let bad = if bad > 0 { format!(", {bad} of them wrong") } else { String::new() };
    let _ = write!(
        out,
        "<p>{name} <span class=\"at\">{count}{bad}</span></p>\n<svg role=\"img\" aria-label=\"{name}: {count}{bad}\" \
         viewBox=\"0 0 {WIDTH} {height}\" height=\"{height}\" preserveAspectRatio=\"none\">\n{bars}</svg>\n"
    );
}

fn some_seconds<S: Serializer>(time: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    seconds(&time.unwrap_or_default(), to)
}

fn escaped(text: &str) -> String {
    quick_xml::escape::escape(printable(text, MOST_TEXT)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(lane: &str, at: u64, until: Option<u64>, bad: bool) -> Moment {
        let (at, until) = (Duration::from_secs(at), until.map(Duration::from_secs));
        Moment { lane: lane.into(), at, until, text: "<what & \"why\">".into(), bad }
    }

    #[test]
    fn lanes_are_drawn_with_what_is_beside_each_other_below_each_other() {
        let drawn = section(&[
            moment("steps", 10, Some(12), false),
            moment("expected", 10, Some(20), true),
            moment("expected", 15, Some(20), false),
            moment("steps", 13, None, false),
        ]);
        assert_eq!(drawn.matches("<svg ").count(), 2);
        assert!(drawn.contains("aria-label=\"expected: 2, 1 of them wrong\""), "{drawn}");
        assert!(
            drawn.contains("viewBox=\"0 0 1000 10\"") && drawn.contains("viewBox=\"0 0 1000 20\"")
        );
        assert!(
            drawn.contains("<span>10.0 s</span><span>15.0 s</span><span>20.0 s</span>"),
            "{drawn}"
        );
        assert!(
            drawn.contains("x=\"500.0\" y=\"11\"") && drawn.contains("class=\"bad\""),
            "{drawn}"
        );
        assert!(drawn.contains("&lt;what &amp; &quot;why&quot;&gt;") && !drawn.contains("<what"));
    }

    #[test]
    fn drawings_are_bounded_and_nothing_is_drawn_of_nothing() {
        assert_eq!(section(&[]), "");
        let many: Vec<_> = (0..2 * MOST as u64).map(|_| moment("x", 1, Some(1), false)).collect();
        let drawn = section(&many);
        assert_eq!(drawn.matches("<rect ").count(), MOST);
        assert!(drawn.contains("viewBox=\"0 0 1000 80\""));
    }
}
