//! Cameras whose web server answers by none of the rules. The cloud is told so by the documented code and in time, stays
//! connected, and the camera of another channel notices nothing.

use std::time::{Duration, Instant};

use futures::future::join_all;
use ivt_hal::{Source, Stream};
use ivt_sim::camera::{WebFault, WebFaultRule};
use ivt_tests::soon;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::backends::{Backend, Rig};

/// How long an answer may take: 8 s and what a busy machine needs for it.
const ANSWER: Duration = Duration::from_secs(9);
/// How long the camera of another channel may take to begin to move.
const AT_ONCE: Duration = Duration::from_secs(2);
/// The code for a success.
const DONE: i64 = 0;

/// Each fault with the codes that the cloud may be told.
const FAULTS: [(WebFault, &[i64]); 8] = [
    (WebFault::Status(401), &[1]),
    (WebFault::Status(404), &[101]),
    (WebFault::Status(500), &[1]),
    (WebFault::Garbage, &[1]),
    (WebFault::Hang, &[103]),
    // Ten bytes a second: a short answer is there in time.
    (WebFault::Slow(10), &[DONE, 103]),
    (WebFault::Endless, &[1]),
    (WebFault::Bomb, &[1]),
];

#[tokio::test]
async fn an_odd_camera_is_told_by_its_code_and_holds_nobody_up() {
    let of = |name| Backend::ALL.into_iter().find(|b| b.name == name).unwrap();
    let backends = ["cgi, uapi", "cgi, hikvision", "onvif"].map(of);
    let each = backends
        .into_iter()
        .flat_map(|backend| FAULTS.map(|(fault, codes)| (backend, fault, codes)));
    let wrong = join_all(each.map(|(backend, fault, codes)| run(backend, fault, codes))).await;
    let wrong: Vec<_> = wrong.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is wrong with the answers of a backend whose camera has a fault.
async fn run(backend: Backend, fault: WebFault, codes: &[i64]) -> Vec<String> {
    let rig =
        backend.start_beside("[[channel]]\nbackend = 'emulator'\n[device]\nmodel = 'nvr'\n").await;
    let mut keepalive = rig.stage.device().keepalive();
    keepalive.borrow_and_update();
    rig.stage.cameras[0].set_web_faults(vec![WebFaultRule { path: String::new(), fault }]);
    let mut wrong = Vec::new();
    // A cloud sends the next request after the answer to the last.
    let calls = async {
        for (method, params) in [
            ("GetPTZPresetList", json!({ "channel": 0 })),
            ("GetNetConfig", json!({ "channel": 0 })),
            ("SetWifiConfig", json!({ "channel": 0, "ssid": "net", "password": "password" })),
        ] {
            wrong.extend(call(&rig, backend, fault, codes, method, params).await);
        }
    };
    tokio::join!(calls, moves_the_other(&rig, backend, fault));
    soon("another keepalive", keepalive.changed()).await.unwrap();
    if rig.stage.device().logins() != 1 || !rig.stage.device().online() {
        wrong.push(format!("{} {fault:?}: the cloud was lost", backend.name));
    }
    wrong
}

async fn call(
    rig: &Rig,
    backend: Backend,
    fault: WebFault,
    codes: &[i64],
    method: &str,
    params: Value,
) -> Option<String> {
    let began = Instant::now();
    let answer = rig.stage.call(method, params).await;
    let code = answer.as_ref().map_or_else(|error| error.code, |_| DONE);
    // The slot is empty, whatever the camera would answer.
    let lacks = backend.name == "onvif" && method == "SetWifiConfig";
    let right = if lacks { code == 101 } else { codes.contains(&code) };
    let took = began.elapsed();
    (!right || took > ANSWER).then(|| {
        format!("{} {fault:?}: {method} after {took:?}, not {codes:?}: {answer:?}", backend.name)
    })
}

/// Moves the emulated camera of channel 1, while requests and an event for channel 0 wait for their camera.
async fn moves_the_other(rig: &Rig, backend: Backend, fault: WebFault) {
    let device = rig.stage.device();
    let camera = rig.stage.agent.camera(1).unwrap();
    let Ok(Source::Pattern { world, .. }) = camera.encoder.source(Stream::Main).await else {
        panic!("an emulated camera shows its pattern");
    };
    for (event, params) in [
        ("GotoPTZPreset", json!({ "channel": 0, "token": "1" })),
        ("CtrlPTZ", json!({ "channel": 0, "op": "left", "value": 50 })),
        ("CtrlPTZ", json!({ "channel": 1, "op": "left", "value": 50 })),
    ] {
        device.notify(event, Some(params)).await.unwrap();
    }
    let mut look = tokio::time::interval(Duration::from_millis(20));
    let moves = timeout(AT_ONCE, async {
        while !world.position().moving {
            look.tick().await;
        }
    });
    let what = format!("{} {fault:?}: channel 1 moves at once", backend.name);
    moves.await.unwrap_or_else(|_| panic!("{what}"));
}
