//! Every method and event that is about a camera, through every backend, driven from the cloud. What a camera
//! really got is asked of the emulated camera at the other end.
#![allow(clippy::unwrap_used, clippy::panic)] // Helpers fail the test they help.

mod abilities;
mod backends;
mod bad;
mod cases;
mod table;

use std::time::Duration;

use futures::future::join_all;
use ivt_agent::dispatch::EventCounts;
use ivt_proto::rpc::RpcError;
use ivt_tests::until;
use serde_json::Value;
use tokio::time::timeout;

use backends::{Backend, Rig};
use cases::{Case, cases};

/// How long an order may take to show at the camera.
const SHOWS: Duration = Duration::from_secs(10);

/// What became of one case: `works`, or the code of the refusal.
type Found = String;

#[tokio::test]
async fn each_method_and_event_does_at_the_camera_what_it_says() {
    let columns = join_all(Backend::ALL.map(run)).await;
    let names: Vec<_> = cases().iter().map(|case| case.title).collect();
    table::check("methods.md", table::METHODS, "method or event", &names, &columns);
}

/// The backend's column: what became of each case, in their order.
async fn run(backend: Backend) -> (&'static str, Vec<Found>) {
    let Some(rig) = backend.start().await else {
        return (backend.name, cases().iter().map(|_| "not in this program".to_owned()).collect());
    };
    let mut found = Vec::new();
    for case in cases() {
        found.push(outcome(&rig, &case).await);
        assert!(
            rig.stage.device().online(),
            "{}: {} ended the connection",
            backend.name,
            case.title
        );
    }
    assert_eq!(rig.stage.device().logins(), 1, "{}: the cloud was lost", backend.name);
    (backend.name, found)
}

async fn outcome(rig: &Rig, case: &Case) -> Found {
    let what = format!("{}: {}", rig.name, case.title);
    let answer = if case.event { notify(rig, case).await } else { call(rig, case).await };
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) if error.code == 101 => return "101".to_owned(),
        Err(error) => panic!("{what}: {error}"),
    };
    let mut look = tokio::time::interval(Duration::from_millis(20));
    let shown = timeout(SHOWS, async {
        while !(case.seen)(rig, &answer).await {
            look.tick().await;
        }
    });
    shown.await.unwrap_or_else(|_| panic!("{what}: the camera does not show it: {answer}"));
    "works".to_owned()
}

async fn call(rig: &Rig, case: &Case) -> Result<Value, RpcError> {
    rig.stage.call(case.name, case.params.clone()).await
}

/// Sends an event and waits until the agent has counted what became of it.
async fn notify(rig: &Rig, case: &Case) -> Result<Value, RpcError> {
    let counts = || rig.stage.agent.view().device().events;
    let before = counts();
    rig.stage.device().notify(case.name, Some(case.params.clone())).await?;
    let done = |c: EventCounts| c.served + c.unsupported + c.failed;
    until(case.title, || done(counts()) > done(before)).await;
    let after = counts();
    if after.unsupported > before.unsupported {
        return Err(RpcError::new(101, "the event is counted as unsupported"));
    }
    assert_eq!(after.failed, before.failed, "{}: {} failed", rig.name, case.title);
    Ok(Value::Null)
}
