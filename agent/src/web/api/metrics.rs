//! `/metrics`: counts of the agent for Prometheus, where `web.metrics` has them exposed.

use futures::FutureExt as _;
use ivt_media::stats::StreamStats;
use serde_json::Value;

use crate::console::Console;
use crate::overview::reading;
use crate::tlss::HostedState;
use crate::view::ChannelView;
use crate::web::call::Call;
use crate::web::exposition::Exposition;
use crate::web::reply::{Refusal, Reply};
use crate::web::route::Route;

pub(super) const ROUTES: &[Route] =
    &[Route::get("/metrics", |call| metrics(call).boxed()).public()];

/// A count of a stream: the name of its family, what it is, and its number.
type Family = (&'static str, &'static str, fn(&StreamStats) -> f64);

const STREAMS: [Family; 5] = [
    ("ivt_stream_frames_total", "Frames received of a camera's streams.", |s| s.frames as f64),
    ("ivt_stream_bytes_total", "Bytes of those frames.", |s| s.bytes as f64),
    ("ivt_stream_dropped_frames_total", "Frames lost on the way or not decodable.", |s| {
        s.drops as f64
    }),
    ("ivt_stream_lost_packets_total", "Packets of streams that never came.", |s| {
        s.packets_lost as f64
    }),
    ("ivt_stream_reconnects_total", "Times a stream was opened again.", |s| s.reconnects as f64),
];

/// A number of a channel, by a name for its label.
type Sample = (&'static str, fn(&ChannelView) -> f64);

async fn metrics(call: Call) -> Result<Reply, Refusal> {
    if !call.site.web().is_some_and(|web| web.metrics) {
        return Err(Refusal::not_found());
    }
    let console = call.site.console()?;
    Ok(Reply::bytes("text/plain; version=0.0.4; charset=utf-8", text(&console)))
}

/// The counts of this moment.
pub(super) fn text(console: &Console) -> String {
    let mut text = Exposition::default();
    process(&mut text, console);
    cloud(&mut text, console);
    hops(&mut text, console);
    channels(&mut text, console);
    storage(&mut text, console);
    text.into_text()
}

fn process(text: &mut Exposition, console: &Console) {
    let memory = reading::memory();
    text.gauge("ivt_build_info", "The running program; always 1.")
        .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    text.gauge("process_resident_memory_bytes", "Resident memory of the process.")
        .sample(&[], memory.resident as f64);
    text.gauge("ivt_memory_limit_bytes", "Resident memory under which the agent stays.")
        .sample(&[], console.config.budget.limit as f64);
    if let Some(spent) = reading::cpu_time() {
        text.counter("process_cpu_seconds_total", "User and system time that was spent.")
            .sample(&[], spent as f64 / 1000.0);
    }
    if let Some(files) = reading::open_files() {
        text.gauge("process_open_fds", "Open file descriptors.").sample(&[], files as f64);
    }
}

fn cloud(text: &mut Exposition, console: &Console) {
    let (device, link) = (console.view.device(), *console.link.borrow());
    text.gauge("ivt_cloud_connected", "Whether the device is logged in to the cloud.")
        .sample(&[], flag(link.down_since.is_none()));
    text.counter("ivt_cloud_connections_lost_total", "Connections to the cloud that ended.")
        .sample(&[], link.losses as f64);
    if let Some(answered) = *console.view.keepalive.borrow() {
        text.gauge("ivt_cloud_keepalive_age_seconds", "Time since the last answer to a Keepalive.")
            .sample(&[], answered.elapsed().as_secs_f64());
    }
    let events = device.events;
    text.counter("ivt_cloud_events_total", "Events of the cloud by what became of them.");
    for (outcome, count) in [
        ("served", events.served),
        ("replaced", events.replaced),
        ("unsupported", events.unsupported),
        ("failed", events.failed),
        ("unknown", events.unknown),
    ] {
        text.sample(&[("outcome", outcome)], count as f64);
    }
    let alarms = device.alarms;
    text.counter("ivt_alarm_signals_total", "Signals of the cameras.")
        .sample(&[], alarms.heard as f64);
    text.counter("ivt_alarms_total", "Alarms that began.").sample(&[], alarms.begun as f64);
    text.counter("ivt_alarm_reports_total", "Starts and ends of alarms by what became of them.");
    for (outcome, count) in
        [("reported", alarms.reported), ("refused", alarms.refused), ("missed", alarms.missed)]
    {
        text.sample(&[("outcome", outcome)], count as f64);
    }
    text.counter("ivt_alarm_pictures_total", "Pictures of alarms by what became of them.")
        .sample(&[("outcome", "sent")], alarms.pictures_sent as f64)
        .sample(&[("outcome", "dropped")], alarms.pictures_dropped as f64);
    if let Some(state) = device.hosted {
        let well = match state {
            HostedState::Waiting { served, .. } => served,
            HostedState::Dialling => false,
            HostedState::InSession => true,
        };
        text.gauge("ivt_hosted_service_up", "Whether the hosted service's server was reached.")
            .sample(&[], flag(well));
    }
}

/// Which hops of the overview fail.
fn hops(text: &mut Exposition, console: &Console) {
    let view = console.overview.view();
    let hops = view.hops();
    let hops = hops.borrow();
    text.gauge("ivt_hop_failing", "Whether a line of the overview says that it fails.");
    for hop in hops.iter() {
        let name = hop["name"].as_str().unwrap_or_default();
        let failing = flag(hop["state"] == "bad");
        match &hop["channel"] {
            Value::Null => text.sample(&[("hop", name)], failing),
            channel => text.sample(&[("hop", name), ("channel", &channel.to_string())], failing),
        };
    }
}

fn channels(text: &mut Exposition, console: &Console) {
    let channels = console.view.channels();
    let each = |text: &mut Exposition, label: &str, samples: &[Sample]| {
        for (number, channel) in channels.iter().enumerate() {
            let number = number.to_string();
            for (name, value) in samples {
                let labels = [("channel", &*number), (label, *name)];
                text.sample(if label.is_empty() { &labels[..1] } else { &labels }, value(channel));
            }
        }
    };
    text.gauge("ivt_camera_reachable", "Whether a camera answers or sends a stream.");
    each(
        text,
        "",
        &[("", |channel| {
            flag(channel.status.reachability == crate::channel::Reachability::Reachable)
        })],
    );
    for (name, help, count) in STREAMS {
        text.counter(name, help);
        for (number, channel) in channels.iter().enumerate() {
            let number = number.to_string();
            for (stream, stats) in [("main", &channel.main), ("sub", &channel.sub)] {
                text.sample(&[("channel", &number), ("stream", stream)], count(stats));
            }
        }
    }
    text.gauge("ivt_publish_active", "Whether a server receives the live stream.");
    each(text, "", &[("", |channel| flag(channel.status.live.is_some()))]);
    text.counter("ivt_publish_frames_total", "Frames sent by the newest publish.");
    each(text, "", &[("", |channel| channel.publish.frames as f64)]);
    text.counter("ivt_publish_bytes_total", "Bytes sent by the newest publish.");
    each(text, "", &[("", |channel| channel.publish.bytes as f64)]);
    text.counter("ivt_publish_dropped_frames_total", "Frames left out by the newest publish.");
    each(text, "", &[("", |channel| channel.publish.dropped_frames as f64)]);
    text.gauge("ivt_recording_active", "Whether a session records.");
    each(text, "", &[("", |channel| flag(channel.status.recording.is_some()))]);
    text.gauge(
        "ivt_recording_segments",
        "Segments of the sessions that are being uploaded, and of the newest one.",
    );
    let segments: [Sample; 3] = [
        ("waiting", |channel| {
            channel.recordings.iter().map(|session| session.counts.waiting as f64).sum()
        }),
        ("uploaded", |channel| {
            channel.recordings.iter().map(|session| session.counts.uploaded as f64).sum()
        }),
        ("lost", |channel| {
            channel.recordings.iter().map(|session| session.counts.dropped.number as f64).sum()
        }),
    ];
    each(text, "state", &segments);
    text.gauge("ivt_recording_memory_bytes", "Bytes of segments in memory.");
    each(
        text,
        "",
        &[("", |channel| {
            channel.recordings.iter().map(|session| session.counts.bytes as f64).sum()
        })],
    );
}

fn storage(text: &mut Exposition, console: &Console) {
    let Some(spool) = console.view.device().spool else { return };
    text.gauge("ivt_spool_bytes", "Bytes that the spool takes.").sample(&[], spool.bytes as f64);
    text.gauge("ivt_spool_limit_bytes", "Most bytes that the spool may take.")
        .sample(&[], spool.limit as f64);
    text.gauge("ivt_spool_segments", "Segments in the spool.").sample(&[], spool.segments as f64);
    text.gauge("ivt_spool_healthy", "Whether the spool's disk works.")
        .sample(&[], flag(spool.healthy));
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use hyper::{Method, StatusCode};

    use crate::web::testing::Bench;

    const CONFIG: &str = "[web]\nenable = true\nmetrics = true\n[device]\nmodel = 'nvr'\n\
                          [[channel]]\nbackend = 'emulator'\n[[channel]]\nbackend = 'emulator'\n";

    /// What `promtool check metrics` complains of.
    fn complaints(text: &str) -> Vec<String> {
        const OTHER_UNITS: [&str; 10] = [
            "milliseconds",
            "_ms",
            "minutes",
            "hours",
            "kilobytes",
            "_kb",
            "_mb",
            "bits",
            "percent",
            "celsius_total",
        ];
        let (mut complaints, mut seen, mut samples) =
            (Vec::new(), BTreeSet::new(), BTreeSet::new());
        let (mut help, mut family) = (None, "");
        let is_name = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_lowercase())
                && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        };
        for line in text.lines() {
            let mut complain = |what: &str| complaints.push(format!("{what}: {line}"));
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, said) = rest.split_once(' ').unwrap_or((rest, ""));
                if said.is_empty() || !said.ends_with('.') {
                    complain("no help");
                }
                help = Some(name);
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, said) = rest.split_once(' ').unwrap_or((rest, ""));
                family = name;
                if help != Some(name) || !seen.insert(name.to_owned()) {
                    complain("a family without help, or twice");
                }
                if !is_name(name) || OTHER_UNITS.iter().any(|unit| name.ends_with(unit)) {
                    complain("a name that is none");
                }
                if (said == "counter") != name.ends_with("_total") {
                    complain("only counters end in _total");
                }
                if ["gauge", "counter", "metric"].iter().any(|word| name.contains(word)) {
                    complain("the type is no part of the name");
                }
                if !matches!(said, "counter" | "gauge") {
                    complain("no type");
                }
            } else {
                let (name, value) = line.rsplit_once(' ').unwrap_or((line, ""));
                let bare = name.split('{').next().unwrap_or_default();
                if bare != family || !samples.insert(name.to_owned()) {
                    complain("a sample outside of its family, or twice");
                }
                if !value.parse::<f64>().is_ok_and(|value| value.is_finite() && value >= 0.0) {
                    complain("no number");
                }
            }
        }
        if !text.ends_with('\n') {
            complaints.push("no end of the last line".into());
        }
        complaints
    }

    #[tokio::test]
    async fn the_counts_keep_the_conventions() {
        let bench = Bench::start(CONFIG);
        bench.site.console().unwrap().overview.view().fresh().await;
        let (status, text) = bench.bytes(Method::GET, "/metrics", "").await;
        assert_eq!(status, StatusCode::OK);
        let text = String::from_utf8(text.to_vec()).unwrap();
        assert_eq!(complaints(&text), Vec::<String>::new(), "{text}");
        for line in [
            "ivt_cloud_connected 0\n",
            "ivt_stream_frames_total{channel=\"1\",stream=\"sub\"} 0\n",
            "ivt_hop_failing{hop=\"login\"} 0\n",
            "ivt_hop_failing{hop=\"rtsp\",channel=\"1\"} 0\n",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }

    #[test]
    fn what_breaks_the_conventions_is_seen() {
        let good = "# HELP a_bytes A.\n# TYPE a_bytes gauge\na_bytes 1\n";
        assert_eq!(complaints(good), Vec::<String>::new());
        for (from, to) in [
            ("a_bytes", "a_kb"),
            ("a_bytes", "aBytes"),
            ("gauge", "counter"),
            (" 1", " x"),
            ("a_bytes 1\n", "a_bytes 1\na_bytes 1\n"),
            ("a_bytes 1\n", "b_bytes 1\n"),
            ("A.", ""),
            ("1\n", "1"),
        ] {
            assert!(!complaints(&good.replace(from, to)).is_empty(), "{from} -> {to}");
        }
    }

    #[tokio::test]
    async fn counts_are_exposed_where_that_is_asked_for_alone() {
        let bench = Bench::start("[web]\nenable = true\n");
        assert_eq!(bench.bytes(Method::GET, "/metrics", "").await.0, StatusCode::NOT_FOUND);
    }
}
