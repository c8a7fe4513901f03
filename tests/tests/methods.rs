//! Every method and event that is about a camera, through every backend, driven from the cloud. What a camera
//! really got is asked of the emulated camera at the other end.
#![allow(clippy::unwrap_used, clippy::panic)] // Helpers fail the test they help.

mod abilities;
pub(crate) mod backends;
mod bad;
mod cases;
mod odd;
pub(crate) mod table;

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::join_all;
use ivt_agent::dispatch::EventCounts;
use ivt_hal::{Armed, Detection, Kind};
use ivt_proto::rpc::RpcError;
use ivt_tests::board::image;
use ivt_tests::until;
use serde_json::{Value, json};
use tokio::time::timeout;

use backends::{Backend, Rig};
use cases::{Case, IMAGE, Order, cases};

use crate::alarms::ALL;

/// How long an order may take to show at the camera.
const SHOWS: Duration = Duration::from_secs(10);

/// What became of one case: `works`, or the code of the refusal.
type Found = String;

#[tokio::test]
async fn each_method_and_event_does_at_the_camera_what_it_says() {
    let run = |backend| AssertUnwindSafe(run(backend)).catch_unwind();
    let columns = join_all(Backend::ALL.map(run)).await;
    let columns: Vec<_> = columns.into_iter().map(|column| column.unwrap()).collect();
    let names: Vec<_> = cases().iter().map(|case| case.title).collect();
    table::check("methods.md", table::METHODS, "method or event", &names, &columns);
}

/// The backend's column: what became of each case, in their order.
async fn run(backend: Backend) -> (&'static str, Vec<Found>) {
    let rig = backend.start_beside(ALL).await;
    // The clock of a camera that never knew the time.
    rig.world.set_clock("2000-01-01T00:00:00".parse().unwrap()).unwrap();
    let image = image(IMAGE);
    let signature = rig.board.signer().sign(&image);
    rig.stage.cloud.host_firmware("2.0", "fw.img", &image, Some(signature.as_bytes())).unwrap();
    let (mut found, mut wrong) = (Vec::new(), Vec::new());
    for case in cases() {
        match outcome(&rig, &case).await {
            Ok(outcome) => found.push(outcome),
            Err(reason) => wrong.push(format!("{}: {reason}", case.title)),
        }
        assert!(
            rig.stage.device().online(),
            "{}: {} ended the connection",
            backend.name,
            case.title
        );
    }
    assert!(wrong.is_empty(), "{}:\n{}", backend.name, wrong.join("\n"));
    assert_eq!(rig.stage.device().logins(), 1, "{}: the cloud was lost", backend.name);
    (backend.name, found)
}

/// # Errors
/// What is wrong.
async fn outcome(rig: &Rig, case: &Case) -> Result<Found, String> {
    if let Order::Alarm(trigger) = case.order {
        if !rig.triggers.contains(&trigger) || rig.stage.agent.camera(0).unwrap().alarms.is_none() {
            return Ok("none".to_owned());
        }
        rig.world.trigger(trigger, true);
    }
    let beyond = beyond(rig, case).await;
    let answer = match case.order {
        Order::Method => call(rig, case).await,
        Order::Event => notify(rig, case).await,
        Order::Alarm(_) => Ok(Value::Null),
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) if error.code == 101 => return Ok("101".to_owned()),
        Err(error) => return Err(error.to_string()),
    };
    if let Some(trigger) = beyond {
        let keeps = |row: &Value| {
            let given =
                ["enable", "start", "end", "delay"].map(|key| (&case.params[key], &row[key]));
            given.iter().all(|(ordered, kept)| ordered.is_null() || ordered == kept)
        };
        return match rig.kept(trigger) {
            Some(row) if keeps(&row) => Ok("kept".to_owned()),
            row => Err(format!("the agent keeps {row:?}")),
        };
    }
    let mut look = tokio::time::interval(Duration::from_millis(20));
    let shown = timeout(SHOWS, async {
        while !(case.seen)(rig, &answer).await {
            look.tick().await;
        }
    });
    match shown.await {
        Ok(()) => {
            if let Order::Alarm(trigger) = case.order {
                rig.world.trigger(trigger, false);
            }
            Ok("works".to_owned())
        }
        Err(_) => Err(format!("the camera does not show it: {answer}")),
    }
}

/// The name of the trigger that a case sets up, where the camera cannot be told all of it. Whether it takes hours is tried
/// by others than those of the case.
async fn beyond(rig: &Rig, case: &Case) -> Option<&'static str> {
    let camera = rig.stage.agent.camera(0).unwrap();
    let armed = Armed { start: 60, end: 120 };
    let delay = Duration::from_secs(5);
    let hours = Detection { enable: true, armed, sensitivity: 20, delay };
    let has_hours = !case.params["start"].is_null();
    let (trigger, taken) = match case.name {
        "AlarmMoveDetectConfig" => match camera.motion {
            Some(motion) if has_hours => ("motion", motion.configure(hours).await),
            Some(_) => return None,
            None => return Some("motion"),
        },
        "AlarmRectIntrusionDetectConfig" => match camera.tripwire {
            Some(line) if has_hours => ("line", line.configure(hours, None).await),
            Some(_) => return None,
            None => return Some("line"),
        },
        _ => return None,
    };
    taken.is_err_and(|e| e.kind == Kind::Unsupported).then_some(trigger)
}

/// Cameras tell of a token that they lack by a refusal, which nobody but the agent's counts can see.
#[tokio::test]
async fn an_unknown_token_is_counted_as_failed_and_moves_nothing() {
    join_all(Backend::ALL.map(async |backend| {
        let rig = backend.start().await;
        for (event, params) in [
            ("GotoPTZPreset", json!({ "channel": 0, "token": "97" })),
            ("GotoPTZPreset", json!({ "channel": 0, "token": "../1" })),
            ("CtrlPTZPresetTour", json!({ "channel": 0, "token": "97", "op": "start" })),
            ("CtrlPTZPresetTour", json!({ "channel": 0, "token": "1&x=2", "op": "start" })),
        ] {
            let before = rig.stage.agent.view().device().events.failed;
            rig.stage.device().notify(event, Some(params.clone())).await.unwrap();
            let what = format!("{}: {event} {params} is counted as failed", backend.name);
            until(&what, || rig.stage.agent.view().device().events.failed == before + 1).await;
            assert!(!rig.world.position().moving && rig.world.touring().is_none(), "{what}");
        }
    }))
    .await;
}

async fn call(rig: &Rig, case: &Case) -> Result<Value, RpcError> {
    rig.stage.call(case.name, case.params.clone()).await
}

/// Sends an event and waits until the agent has counted what became of it.
async fn notify(rig: &Rig, case: &Case) -> Result<Value, RpcError> {
    let counts = || rig.stage.agent.view().device().events;
    let before = counts();
    let params = Some(case.params.clone()).filter(|params| !params.is_null());
    rig.stage.device().notify(case.name, params).await?;
    let done = |c: EventCounts| c.served + c.unsupported + c.failed;
    until(case.title, || done(counts()) > done(before)).await;
    let after = counts();
    if after.unsupported > before.unsupported {
        return Err(RpcError::new(101, "the event is counted as unsupported"));
    }
    if after.failed > before.failed {
        return Err(RpcError::internal("the event is counted as failed"));
    }
    Ok(Value::Null)
}
