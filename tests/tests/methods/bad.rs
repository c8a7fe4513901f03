//! Requests and events that make no sense: each is refused by its code, none reaches a camera, and the cloud
//! stays connected however many come.

use futures::{StreamExt as _, stream};
use ivt_tests::{soon, until};
use serde_json::{Value, json};

use super::backends::{Backend, Rig};
use super::cases::{Case, Order, cases};

/// How many come of each kind.
const MANY: usize = 10_000;
/// How many requests wait for their answers at a time.
const AT_ONCE: usize = 16;

#[tokio::test]
async fn bad_params_are_refused_by_their_code_and_reach_no_camera() {
    let rig = Backend::ALL[0].start().await;
    for case in spoilable() {
        let bad = spoilt(&case.params);
        if case.order == Order::Event {
            let before = (rig.world.order_count(), refused_events(&rig));
            for params in &bad {
                rig.stage.device().notify(case.name, Some(params.clone())).await.unwrap();
            }
            let all = before.1 + bad.len() as u64;
            until(&format!("{} is counted as refused", case.name), || refused_events(&rig) == all)
                .await;
            assert_eq!(rig.world.order_count(), before.0, "{}", case.name);
            continue;
        }
        // A method that the camera lacks is refused whatever its params are.
        for params in &bad {
            let orders = rig.world.order_count();
            let error = rig.stage.call(case.name, params.clone()).await.unwrap_err();
            // A whole number that is no channel is an unknown one, also where it is none that a device could have.
            let unknown = params
                .get("channel")
                .is_some_and(|channel| (channel.is_i64() || channel.is_u64()) && channel != 0);
            let expected = if unknown { 102 } else { 1 };
            let what = format!("{} {params}: {error}", case.name);
            assert!(error.code == expected || error.code == 101, "{what}");
            assert!(!error.msg.is_empty() && error.msg.len() < 1024, "{what}");
            assert_eq!(rig.world.order_count(), orders, "{what}");
        }
    }
    assert_eq!(rig.stage.device().logins(), 1);
}

#[tokio::test]
async fn ten_thousand_bad_requests_and_events_are_borne() {
    let rig = Backend::ALL[0].start().await;
    let device = rig.stage.device();
    let (all, before) = (spoilable(), refused_events(&rig));
    let events: Vec<_> = all.iter().filter(|case| case.order == Order::Event).collect();
    for (number, case) in events.iter().cycle().take(MANY).enumerate() {
        let bad = spoilt(&case.params);
        let params = bad[number % bad.len()].clone();
        soon(case.name, device.notify(case.name, Some(params))).await.unwrap();
    }
    let refused = before + MANY as u64;
    until("every event is counted", || refused_events(&rig) == refused).await;
    let methods: Vec<_> = all.iter().filter(|case| case.order == Order::Method).collect();
    let calls = methods.iter().cycle().take(MANY).enumerate().map(|(number, case)| {
        let bad = spoilt(&case.params);
        let params = bad[number % bad.len()].clone();
        let device = &device;
        async move { device.call(case.name, Some(params)).await.map_err(|error| error.code) }
    });
    let answers: Vec<_> = stream::iter(calls).buffer_unordered(AT_ONCE).collect().await;
    assert!(answers.iter().all(|answer| matches!(answer, Err(1 | 101 | 102))));
    assert_eq!((device.logins(), rig.world.order_count()), (1, 0));
}

/// What has params.
fn spoilable() -> Vec<Case> {
    cases().into_iter().filter(|case| !case.params.is_null()).collect()
}

/// Events that were not carried out, so far.
fn refused_events(rig: &Rig) -> u64 {
    let events = rig.stage.agent.view().device().events;
    events.failed + events.unsupported
}

/// Good params with one thing wrong: no object, an unknown channel, and each field missing, of another type, or out of range.
fn spoilt(good: &Value) -> Vec<Value> {
    let mut all = vec![json!([]), json!("x"), json!({})];
    let with = |name: &str, value: Value| {
        let mut params = good.clone();
        params[name] = value;
        params
    };
    let numbers =
        [json!(-1), json!(1.5), json!("0"), json!(null), json!(7), json!(4_294_967_296_u64)];
    if good.get("channel").is_some() {
        all.extend(numbers.map(|number| with("channel", number)));
    }
    for (name, value) in good.as_object().into_iter().flatten() {
        let wrong = if value.is_string() { json!(["x"]) } else { json!("wrong") };
        all.push(with(name, wrong));
        let optional = ["start", "end", "rect", "value", "ssid", "password", "token"];
        if !optional.contains(&name.as_str()) {
            let mut params = good.clone();
            params.as_object_mut().unwrap().remove(name);
            all.push(params);
        }
    }
    for (name, value) in [
        ("sensitivity", json!(101)),
        ("start", json!(86_401)),
        ("end", json!(-1)),
        ("op", json!("sideways")),
    ] {
        if good.get(name).is_some() {
            all.push(with(name, value));
        }
    }
    all
}
