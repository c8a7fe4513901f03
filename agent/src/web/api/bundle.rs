//! `/api/v1/bundle`: what support wants to see, as one file without any secret.

use std::time::SystemTime;

use futures::FutureExt as _;
use hyper::header::{CONTENT_DISPOSITION, HeaderValue};
use ivt_base::date::Utc;
use ivt_base::mask::mask_line;
use log::Level;
use serde_json::{Value, json};

use super::{log as lines, metrics, settings, system};
use crate::overview::whole;
use crate::tlss::Entry;
use crate::trace::trace;
use crate::web::call::Call;
use crate::web::reply::{Refusal, Reply};
use crate::web::route::Route;
use crate::web::tar::tar;

pub(super) const ROUTES: &[Route] = &[Route::get("/api/v1/bundle", |call| bundle(call).boxed())];

/// What the bundle says of itself.
const README: &str = "\
Diagnostic bundle of an IVT agent. Passwords, keys and stream addresses with logins are left out.

versions.json   program, firmware and device
overview.json   each hop with its state, since when, and why
settings.json   the configuration without its secrets; \"secrets\" tells which ones have a value
counters.txt    counts, as Prometheus reads them
hosted.json     the newest commands of the hosted service
log.txt         the newest lines of the log
trace.jsonl     the newest packets of the cloud and the hosted service, as ivc-sim replays them
";

async fn bundle(call: Call) -> Result<Reply, Refusal> {
    // A file that cannot be made must not keep the others from support: the agent may not run.
    let console = call.site.console().ok();
    let settings = match settings::list(&call.site).await {
        Ok(listing) => settings::description(listing),
        Err(refusal) => json!({ "problem": refusal.message }),
    };
    let overview = match &console {
        Some(console) => whole(&console.overview.view().fresh().await),
        None => json!({ "state": "stopped" }),
    };
    let counters = console.as_ref().map(|console| metrics::text(console)).unwrap_or_default();
    let commands = console.as_ref().and_then(|console| console.view.hosted());
    let commands = commands.map(|(_, audit)| audit.entries()).unwrap_or_default();
    let commands: Vec<_> = commands.iter().map(command).collect();
    // What one part hides, another one may have been told: each secret in use is taken out of all.
    let files = [
        ("ivt-diagnostics/README.txt", README.into()),
        ("ivt-diagnostics/versions.json", pretty(system::versions(console.as_deref()))),
        ("ivt-diagnostics/overview.json", pretty(overview)),
        ("ivt-diagnostics/settings.json", pretty(settings)),
        ("ivt-diagnostics/counters.txt", counters.into_bytes()),
        ("ivt-diagnostics/hosted.json", pretty(commands.into())),
        ("ivt-diagnostics/log.txt", lines::text(Level::Trace).into_bytes()),
        ("ivt-diagnostics/trace.jsonl", mask_line(&trace().lines()).into_bytes()),
    ];
    let reply = Reply::bytes("application/x-tar", tar(&files, SystemTime::now()));
    let name = HeaderValue::from_static("attachment; filename=\"ivt-diagnostics.tar\"");
    Ok(reply.with_header(CONTENT_DISPOSITION, name))
}

/// JSON without the secrets that are in use; the names in it are our own.
fn pretty(mut value: Value) -> Vec<u8> {
    hide(&mut value);
    serde_json::to_vec_pretty(&value).unwrap_or_default()
}

fn hide(value: &mut Value) {
    match value {
        Value::String(text) => *text = mask_line(text),
        Value::Array(items) => items.iter_mut().for_each(hide),
        Value::Object(members) => members.values_mut().for_each(hide),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn command(entry: &Entry) -> Value {
    json!({
        "at": Utc::from(entry.at).to_string(),
        "command": entry.command,
        "writes": entry.writes,
        "refused": entry.refused.as_ref().map(|refused| format!("{refused:?}")),
        "status": entry.answered.map(|answered| answered.status),
    })
}

#[cfg(test)]
mod tests {
    use hyper::{Method, StatusCode};
    use ivt_base::date::Utc;

    use super::*;
    use crate::logger;
    use crate::trace::{Peer, Way};
    use crate::web::testing::Bench;

    /// A canary stands in each setting that holds a secret, or may.
    const CONFIG: &str = "\
        # the password before was canary0QxPq81\n\
        [web]\nenable = true\nfirst_password = 'canary1-QxPq81'\n\
        [cloud]\nurl = 'ws://127.0.0.1:9/ivc'\nlogin_code = 'code'\nlogin_passwd = 'canary2-QxPq82'\n\
        [device]\nmodel = 'nvr'\n\
        [[channel]]\nbackend = 'rtsp'\nmain = 'rtsp://u:canary3QxPq83@127.0.0.1:9/a?password=canary4QxPq84'\n\
        sub = 'rtsp://127.0.0.1:9/user=u_password=canary5QxPq85_channel=1'\n\
        web = 'http://127.0.0.1:9'\nsnapshot = '/s.cgi?pwd=canary6QxPq86'\n\
        username = 'u'\npassword = 'canary7-QxPq87'\n\
        [[channel]]\nbackend = 'emulator'\ncommand = ['/usr/bin/encoder', '--password', 'canary8-QxPq88']\n\
        [firmware]\nbackend = 'none'\ninstall = ['rauc', 'canary9-QxPq89']\n";

    #[tokio::test]
    async fn no_secret_gets_into_the_bundle() {
        let bench = Bench::start(CONFIG);
        let now = Utc::from(SystemTime::now());
        // What a camera answers is logged as it came, without the secrets that are in use.
        let said = "camera: HTTP 401: unwanted canary7-QxPq87 (canary2%2DQxPq82)";
        logger::ring().push(now, Level::Warn, "hal", said);
        logger::ring().push(now, Level::Info, "hal", "bundle: a line <of> the log");
        trace().turn(true);
        let publish = r#"{"req":{"method":"RTMPPublish","params":{"url":"rtmp://h/live/s?key=canary7-QxPq87"}}}"#;
        trace().packet(Peer::Cloud, Way::In, publish);
        let joins = r#"{"req":{"method":"SetNetwork","params":{"wifi":{"ssid":"yard","password":"canary10-QxPq80"}}}}"#;
        trace().packet(Peer::Cloud, Way::In, joins);
        let command = b"GET /pwdgrp.cgi?action=add&user=u&pwd=canary11-QxPq81 HTTP/1.0\r\n\r\n";
        trace().text(Peer::Hosted, Way::In, command, command.len());
        let (status, tar) = bench.bytes(Method::GET, "/api/v1/bundle", "").await;
        assert_eq!(status, StatusCode::OK);
        let text = String::from_utf8_lossy(&tar);
        for part in [
            "ivt-diagnostics/settings.json",
            "\"cloud.login_code\": \"code\"",
            "\"cloud.login_passwd\": true",
            "/usr/bin/encoder",
            "bundle: a line <of> the log",
            "camera: HTTP 401: unwanted ***",
            "# TYPE ivt_cloud_connected gauge",
            "RTMPPublish",
            "\"name\": \"keepalive\"",
            env!("CARGO_PKG_VERSION"),
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let leak = text.find("canary").or_else(|| text.find("QxPq8"));
        assert_eq!(leak.map(|at| &text[at.saturating_sub(200)..text.len().min(at + 50)]), None);
    }

    #[tokio::test]
    async fn a_bundle_is_there_also_where_no_agent_runs() {
        let bench = Bench::start("[web]\nenable = true\n");
        bench.site.show(None);
        let (status, tar) = bench.bytes(Method::GET, "/api/v1/bundle", "").await;
        let text = String::from_utf8_lossy(&tar);
        assert!(status == StatusCode::OK && text.contains("\"state\": \"stopped\""), "{text}");
    }
}
