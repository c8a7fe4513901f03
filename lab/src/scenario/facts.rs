//! The facts about a thing at this moment.

use ivt_sim::cloud::{RecordingInfo, SegmentState, SpanKind, StreamInfo};

use super::format::{Clause, Is, Thing};
use super::pattern::like;
use super::stage::Stage;
use super::watch::Watch;

const MICROS: f64 = 1_000_000.0;

/// A fact.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fact {
    Number(f64),
    Text(String),
    Flag(bool),
}

/// Finds a fact by its name.
type Find = Box<dyn Fn(&str) -> Option<Fact>>;

/// Facts by their names; `None` for one that is not known.
pub(super) type Facts = Vec<(&'static str, Option<Fact>)>;

/// The facts that the clauses are about.
pub(super) fn known(of: &Thing, clauses: &[Clause], stage: &Stage, watch: &Watch) -> Facts {
    let find = find(of, stage, watch);
    clauses.iter().map(|clause| (clause.name, find(clause.name))).collect()
}

/// What keeps the clauses from being so, in words; empty when all of them are.
pub(super) fn missing(clauses: &[Clause], facts: &Facts) -> Vec<String> {
    let fact = |name| facts.iter().find(|(known, _)| *known == name)?.1.as_ref();
    clauses.iter().filter_map(|clause| unfulfilled(clause, fact(clause.name))).collect()
}

fn find(of: &Thing, stage: &Stage, watch: &Watch) -> Find {
    match of {
        Thing::Device => {
            let info = stage.device.info();
            Box::new(move |name| match name {
                "online" => Some(Fact::Flag(info.online)),
                "logins" => Some(Fact::Number(info.logins as f64)),
                "hardware_model" => Some(Fact::Text(info.models.hardware_model.clone())),
                _ => None,
            })
        }
        Thing::Stream(key) => {
            let info = stage.cloud.streams().into_iter().find(|info| info.key == *key);
            let (info, stream, now) = (info.unwrap_or_default(), watch.stream(key), watch.now());
            Box::new(move |name| match name {
                "fps" => Some(Fact::Number(stream.rates().0)),
                "kbit_per_second" => Some(Fact::Number(stream.rates().1)),
                "gap_seconds" => Some(Fact::Number(stream.gap(now).as_secs_f64())),
                "moving" => Some(Fact::Flag(stream.moves(now))),
                _ => of_stream(&info, name),
            })
        }
        Thing::Recording(session) => {
            let all = stage.cloud.recordings();
            let info = all.into_iter().find(|info| info.session == *session).unwrap_or_default();
            Box::new(move |name| of_recording(&info, name))
        }
        Thing::Camera(number) => {
            let counters = stage.cameras.get(*number).map(|camera| camera.counters());
            Box::new(move |name| {
                let (counters, total) = (counters.as_ref()?, counters.as_ref()?.total());
                Some(Fact::Number(match name {
                    "pulls" => total.plays as f64,
                    "describes" => total.describes as f64,
                    "sessions" => total.sessions as f64,
                    "connections" => counters.connections as f64,
                    _ => return None,
                }))
            })
        }
    }
}

fn of_stream(info: &StreamInfo, name: &str) -> Option<Fact> {
    let text = |text: Option<&str>| Fact::Text(text.unwrap_or("none").to_owned());
    Some(match name {
        "live" => Fact::Flag(info.live),
        "publishes" => Fact::Number(info.publishes as f64),
        "pictures" => Fact::Number(info.video_frames as f64),
        "key_frames" => Fact::Number(info.key_frames as f64),
        "disorder" => Fact::Number(info.dts_violations as f64),
        "malformed" => Fact::Number(info.malformed as f64),
        "video" => text(info.video),
        "audio" => text(info.audio),
        "size" => {
            let size = info.dimensions.map(|(width, height)| format!("{width}x{height}"));
            text(size.as_deref())
        }
        _ => return None,
    })
}

fn of_recording(info: &RecordingInfo, name: &str) -> Option<Fact> {
    let in_state = |state| info.segments.iter().filter(|s| s.state == state).count() as f64;
    let spans = |kind| info.timeline().spans.into_iter().filter(move |span| span.kind == kind);
    let lengths = || info.stored().map(|segment| segment.duration_us as f64 / MICROS);
    Some(Fact::Number(match name {
        "segments" => info.stored().count() as f64,
        "confirmed" => in_state(SegmentState::Confirmed),
        "failed" => in_state(SegmentState::Failed),
        "waiting" => in_state(SegmentState::Created),
        "gaps" => spans(SpanKind::Gap).count() as f64,
        "gap_seconds" => spans(SpanKind::Gap)
            .map(|span| (span.to_us - span.from_us) as f64 / MICROS)
            .fold(0.0, f64::max),
        "overlaps" => spans(SpanKind::Overlap).count() as f64,
        "duplicates" => spans(SpanKind::Duplicate).count() as f64,
        "dropped" => info.drops.iter().map(|report| report.dropped).sum::<u64>() as f64,
        "discontinuities" => {
            // The first segment of a session has nothing before it.
            let behind = info.stored().skip(1);
            behind.filter(|segment| segment.discontinue == Some(true)).count() as f64
        }
        "violations" => info.violations.len() as f64,
        "shortest_seconds" => lengths().fold(f64::INFINITY, f64::min),
        "longest_seconds" => lengths().fold(0.0, f64::max),
        "largest_bytes" => info.stored().map(|s| s.size as f64).fold(0.0, f64::max),
        "creates" => info.calls.create as f64,
        "puts" => info.calls.put as f64,
        "finished" => {
            let left = in_state(SegmentState::Created) + in_state(SegmentState::Uploaded);
            return Some(Fact::Flag(!info.segments.is_empty() && left == 0.0));
        }
        _ => return None,
    }))
}

fn unfulfilled(clause: &Clause, fact: Option<&Fact>) -> Option<String> {
    let name = clause.name;
    match (&clause.wanted, fact) {
        (Is::Number(bound), Some(Fact::Number(number))) => {
            let shown = (number * 100.0).round() / 100.0;
            (!bound.holds(*number)).then(|| format!("{name} is {shown}, expected {bound}"))
        }
        (Is::Text(pattern), Some(Fact::Text(text))) => {
            (!like(pattern, text)).then(|| format!("{name} is {text:?}, expected {pattern:?}"))
        }
        (Is::Flag(wanted), Some(Fact::Flag(flag))) => {
            (wanted != flag).then(|| format!("{name} is {flag}, expected {wanted}"))
        }
        _ => Some(format!("{name} is not known")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(name: &'static str, wanted: &str, fact: Option<Fact>) -> bool {
        let wanted = match wanted {
            "true" | "false" => Is::Flag(wanted == "true"),
            _ => wanted.parse().map_or_else(|_| Is::Text(wanted.to_owned()), Is::Number),
        };
        missing(&[Clause { name, wanted }], &vec![(name, fact)]).is_empty()
    }

    #[test]
    fn each_fact_of_a_stream_fulfils_its_clause_and_another_one_does_not() {
        let info = StreamInfo {
            live: true,
            publishes: 2,
            video_frames: 40,
            key_frames: 3,
            dts_violations: 1,
            malformed: 4,
            video: Some("H.264"),
            dimensions: Some((640, 360)),
            ..StreamInfo::default()
        };
        for (name, right, wrong) in [
            ("live", "true", "false"),
            ("publishes", "2", "1"),
            ("pictures", ">= 40", "> 40"),
            ("key_frames", "3", "2"),
            ("disorder", "1", "0"),
            ("malformed", "4", "0"),
            ("video", "H.26*", "H.265"),
            ("audio", "none", "AAC"),
            ("size", "640x*", "1x1"),
        ] {
            assert!(is(name, right, of_stream(&info, name)), "{name}");
            assert!(!is(name, wrong, of_stream(&info, name)), "{name}");
        }
        assert!(!is("smell", "1", of_stream(&info, "smell")));
    }

    #[test]
    fn a_recording_without_segments_fulfils_nothing_of_substance() {
        let info = RecordingInfo::default();
        for (name, wrong) in [
            ("finished", "true"),
            ("segments", ">= 1"),
            ("confirmed", ">= 1"),
            ("failed", ">= 1"),
            ("waiting", ">= 1"),
            ("gaps", ">= 1"),
            ("gap_seconds", "> 0"),
            ("overlaps", ">= 1"),
            ("duplicates", ">= 1"),
            ("dropped", ">= 1"),
            ("violations", ">= 1"),
            ("discontinuities", ">= 1"),
            ("shortest_seconds", "<= 100"),
            ("longest_seconds", "> 0"),
            ("largest_bytes", "> 0"),
            ("creates", ">= 1"),
            ("puts", ">= 1"),
        ] {
            assert!(!is(name, wrong, of_recording(&info, name)), "{name}");
        }
    }
}
