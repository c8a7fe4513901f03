//! `/api/v1/overview`: how the device is, hop by hop, once or as it changes.

use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt as _, Stream, stream};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep};

use crate::console::Console;
use crate::overview::{Viewer, whole};
use crate::web::call::Call;
use crate::web::reply::{Refusal, Reply};
use crate::web::route::Route;
use crate::web::task::Event;
use crate::web::viewers;

pub(super) const ROUTES: &[Route] = &[
    Route::get("/api/v1/overview", |call| overview(call).boxed()),
    Route::get("/api/v1/overview/events", |call| events(call).boxed()).endless(),
];

/// Least time between two reports to one viewer.
const PACE: Duration = Duration::from_secs(1);

async fn overview(call: Call) -> Result<Reply, Refusal> {
    let console = call.site.console()?;
    let hops = console.overview.view().fresh().await;
    Ok(Reply::json(&whole(&hops)))
}

async fn events(call: Call) -> Result<Reply, Refusal> {
    let permit = viewers::permit()?;
    Ok(Reply::events(reports(call.site.consoles(), permit)))
}

/// What one viewer is told.
struct Report {
    consoles: watch::Receiver<Option<Arc<Console>>>,
    /// Looks at the agent that runs.
    viewer: Option<Viewer>,
    /// The hops that the viewer knows.
    told: Arc<Vec<Value>>,
    /// When the viewer was told something for the last time.
    at: Option<Instant>,
    _permit: OwnedSemaphorePermit,
}

/// `state` with the whole at first and after each other agent is started, then `hops` with those that changed.
fn reports(
    consoles: watch::Receiver<Option<Arc<Console>>>,
    permit: OwnedSemaphorePermit,
) -> impl Stream<Item = Event> + Send + 'static {
    let report = Report { consoles, viewer: None, told: Arc::default(), at: None, _permit: permit };
    stream::unfold(report, |mut report| async move {
        let event = report.next().await;
        Some((event, report))
    })
}

impl Report {
    async fn next(&mut self) -> Event {
        let is_new = self.consoles.has_changed().unwrap_or(false);
        if self.at.is_none() || is_new {
            return self.begin().await;
        }
        if let Some(at) = self.at {
            sleep((at + PACE).saturating_duration_since(Instant::now())).await;
        }
        let news = self.news().await;
        self.at = Some(Instant::now());
        match news {
            Some(event) => event,
            None => self.begin().await,
        }
    }

    /// Looks at the agent that runs now, and tells the whole.
    async fn begin(&mut self) -> Event {
        let console = self.consoles.borrow_and_update().clone();
        self.viewer = console.map(|console| console.overview.view());
        self.told = match &self.viewer {
            Some(viewer) => viewer.fresh().await,
            None => Arc::default(),
        };
        self.at = Some(Instant::now());
        let whole = match &self.viewer {
            Some(_) => whole(&self.told),
            None => json!({ "state": "stopped", "trouble": null, "hops": [], "now": null }),
        };
        ("state", whole)
    }

    /// The hops that changed; `None` when another agent is there, or none.
    async fn news(&mut self) -> Option<Event> {
        let Self { consoles, viewer, told, .. } = self;
        let Some(viewer) = viewer else {
            consoles.changed().await.ok()?;
            return None;
        };
        let mut hops = viewer.hops();
        loop {
            let now = Arc::clone(&hops.borrow_and_update());
            let changed: Vec<_> = now.iter().filter(|hop| !told.contains(hop)).collect();
            // Hops that are gone cannot be told of one by one.
            if now.len() < told.len() {
                return None;
            }
            if !changed.is_empty() {
                let mut text = whole(&now);
                text["hops"] = json!(changed);
                *told = now;
                return Some(("hops", text));
            }
            tokio::select! {
                _ = hops.changed() => {}
                _ = consoles.changed() => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;
    use hyper::{Method, StatusCode};

    use super::*;
    use crate::web::testing::Bench;

    const CONFIG: &str = "[web]\nenable = true\n[log]\nlevel = 'warn'\n";

    fn hop<'a>(whole: &'a Value, name: &str) -> &'a Value {
        let hops = whole["hops"].as_array().expect("hops");
        hops.iter().find(|hop| hop["name"] == name).expect("a hop of this name")
    }

    #[tokio::test]
    async fn a_new_device_has_no_cloud_and_nothing_that_fails() {
        let bench = Bench::start(CONFIG);
        let (status, whole) = bench.call(Method::GET, "/api/v1/overview", "").await;
        assert_eq!(status, StatusCode::OK);
        let login = hop(&whole, "login");
        assert_eq!((&login["state"], &login["reason"]), (&json!("off"), &json!("no_cloud")));
        assert_eq!(login["remedy"], "enter_cloud");
        assert!(hop(&whole, "memory")["facts"]["resident_bytes"].as_u64() > Some(1 << 20));
        assert!(hop(&whole, "clock")["since"].as_str() > Some("2026"), "{whole}");
    }

    #[tokio::test]
    async fn a_cloud_that_takes_no_connection_is_told_of_with_what_waits_for_it() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let cloud =
            format!("[cloud]\nurl = 'ws://{closed}/ivc'\nlogin_code = 'c'\nlogin_passwd = 'p'\n");
        let bench = Bench::start(&format!("{CONFIG}{cloud}"));
        let mut state = bench.agent.view().cloud();
        let waits = |state: &crate::cloud::CloudState| {
            matches!(state, crate::cloud::CloudState::Waiting { .. })
        };
        state.wait_for(waits).await.unwrap();
        let (_, whole) = bench.call(Method::GET, "/api/v1/overview", "").await;
        let tcp = hop(&whole, "cloud_tcp");
        assert_eq!((&tcp["state"], &tcp["reason"]), (&json!("bad"), &json!("connection_refused")));
        assert!(tcp["said"].as_str().unwrap().contains("takes no connection"), "{tcp}");
        assert!(tcp["facts"]["next_try"].is_string(), "{tcp}");
        assert_eq!(hop(&whole, "login")["behind"], "cloud_tcp");
        assert_eq!(whole["trouble"], json!({ "name": "cloud_tcp", "channel": null }));
        assert_eq!(whole["state"], "bad");
    }

    #[tokio::test]
    async fn a_viewer_is_told_the_whole_at_first_and_again_when_another_agent_is_there() {
        let bench = Bench::start(CONFIG);
        let permit = viewers::permit().unwrap();
        let mut reports = Box::pin(reports(bench.site.consoles(), permit));
        let mut next = async || reports.next().await.unwrap();
        assert_eq!(next().await.0, "state");
        bench.site.show(None);
        let mut last = next().await;
        // What changed before is told first.
        while last.0 != "state" {
            last = next().await;
        }
        assert_eq!(last.1["state"], "stopped");
        bench.site.show(Some(bench.agent.console()));
        let (name, back) = next().await;
        assert!(name == "state" && back.to_string().contains("\"keepalive\""), "{back}");
    }
}
