//! Cases that change the device: settings, restart, Wi-Fi. They run when they are asked for.

use serde_json::{Value, json};

use crate::conformance::ivc::bench::{Answer, Bench};
use crate::conformance::ivc::finding::{Finding, Outcome, fail, not_supported};
use crate::conformance::ivc::rule::Rule;

/// Every rule of this file.
pub(super) fn rules() -> Vec<Rule> {
    let section = |name: &str| format!("IVT支持的RPC方法 (methods), {name}");
    vec![
        Rule::new(
            "settings.motion",
            &section("AlarmMoveDetectConfig"),
            "AlarmMoveDetectConfig is taken, also with hours over midnight",
            |b| Box::pin(detection(b, "AlarmMoveDetectConfig")),
        )
        .changing(),
        Rule::new(
            "settings.line",
            &section("AlarmRectIntrusionDetectConfig"),
            "AlarmRectIntrusionDetectConfig is taken, with and without rect",
            |b| Box::pin(detection(b, "AlarmRectIntrusionDetectConfig")),
        )
        .changing(),
        Rule::new(
            "settings.publish_list",
            &section("SetRTMPPublishConfig"),
            "The list of SetRTMPPublishConfig is kept, published, and there after the next login",
            |b| Box::pin(publish_list(b)),
        )
        .changing(),
        Rule::new(
            "settings.wifi",
            &section("SetWifiConfig"),
            "SetWifiConfig with the present network is taken",
            |b| Box::pin(wifi(b)),
        )
        .changing(),
        Rule::new(
            "settings.reboot",
            &section("RebootChannel"),
            "RebootChannel is answered before the restart, and the device is there again after it",
            |b| Box::pin(reboot(b)),
        )
        .changing(),
    ]
}

/// The success of a request.
async fn success(b: &mut Bench, method: &str, params: Option<Value>) -> Outcome<Value> {
    let answer = b.ask(method, params).await?;
    resp(method, answer)
}

/// The success of a request that leaves the device as it was.
async fn restored(b: &mut Bench, method: &str, params: Value) -> Outcome<Value> {
    let answer = b.restore(method, Some(params)).await?;
    resp(method, answer)
}

fn resp(method: &str, answer: Answer) -> Outcome<Value> {
    match answer {
        Answer::Resp(resp) => Ok(resp),
        Answer::Refused { code: 101, msg } => {
            not_supported(format!("{method} is answered 101: {msg}"))
        }
        Answer::Refused { code, msg } => fail(format!("{method} is refused with {code}: {msg}")),
        Answer::Gone(why) => fail(format!("the connection ended: {why}")),
    }
}

async fn detection(b: &mut Bench, method: &str) -> Outcome {
    let right = json!({
        "channel": b.channel(), "enable": true, "sensitivity": 50, "delay": 10,
    });
    let mut night = right.clone();
    night["start"] = 79_200.into();
    night["end"] = 21_600.into();
    let mut all = vec![right.clone(), night];
    if method.starts_with("AlarmRect") {
        let mut rect = right.clone();
        rect["rect"] = json!({
            "ulx": 10, "uly": 10, "urx": 90, "ury": 10, "dlx": 10, "dly": 90, "drx": 90, "dry": 90,
        });
        all.push(rect);
    }
    let mut found = Ok(());
    for params in all {
        match success(b, method, Some(params)).await {
            Err(Finding::NotSupported(why)) => found = not_supported(why),
            Err(other) => {
                found = Err(other);
                break;
            }
            Ok(_) => {}
        }
    }
    // The hours are those of the default again at the end, whatever was found.
    let restored = restored(b, method, right).await;
    found?;
    restored.map(drop)
}

async fn publish_list(b: &mut Bench) -> Outcome {
    let before = success(b, "GetRTMPPublishConfig", None).await?;
    let before = if before.is_array() { before } else { json!([]) };
    let found = listed(b).await;
    let restored = restored(b, "SetRTMPPublishConfig", before).await;
    found?;
    restored.map(drop)
}

async fn listed(b: &mut Bench) -> Outcome {
    let id = b.name("c");
    let list = json!([{ "enable": true, "channel": b.channel(), "quality": "sd", "url": b.rtmp_url(&id) }]);
    success(b, "SetRTMPPublishConfig", Some(list.clone())).await?;
    same_list(b, &list).await?;
    let stream = b.cloud.stream(&id);
    let limit = b.limits.start;
    if b.during(limit, stream.wait_for(|info| info.frames > 0)).await?.is_none() {
        return fail(format!("the stream of the list did not come within {limit:?}"));
    }
    let _ = b.device.hang_up().await;
    b.device.wait_offline().await;
    b.online().await?;
    same_list(b, &list).await
}

async fn same_list(b: &mut Bench, wanted: &Value) -> Outcome {
    let got = success(b, "GetRTMPPublishConfig", None).await?;
    let pick =
        |list: &Value| ["enable", "channel", "quality", "url"].map(|name| list[0][name].clone());
    if pick(&got) != pick(wanted) || got.as_array().map(Vec::len) != Some(1) {
        return fail(format!("expected the list that was set, got {got}"));
    }
    Ok(())
}

async fn wifi(b: &mut Bench) -> Outcome {
    let channel = b.channel();
    let now = success(b, "GetWifiStatusAndConfig", Some(json!({ "channel": channel }))).await?;
    let Some(ssid) = now["ssid"].as_str().filter(|ssid| !ssid.is_empty()) else {
        return not_supported("the device is in no wireless network, and there is none to set");
    };
    let mut params = json!({ "channel": channel, "ssid": ssid });
    if let Some(password) = now["password"].as_str() {
        params["password"] = password.into();
    }
    success(b, "SetWifiConfig", Some(params)).await?;
    b.online().await?;
    let after = success(b, "GetWifiStatusAndConfig", Some(json!({ "channel": channel }))).await?;
    if after["ssid"].as_str() != Some(ssid) {
        return fail("the wireless network is another one than was set");
    }
    Ok(())
}

async fn reboot(b: &mut Bench) -> Outcome {
    let params = json!({ "channel": b.channel() });
    success(b, "RebootChannel", Some(params)).await?;
    // A device that is its own camera logs in anew; an agent beside its camera stays.
    b.wait(b.limits.quiet * 2).await?;
    b.online().await?;
    let limit = b.limits.reconnect;
    let end = std::time::Instant::now() + limit;
    loop {
        let channel = b.channel();
        let told = b.until(b.limits.next_keepalive(), |packet| {
            super::publish::channel_in(&packet.text, channel)
        });
        if told.await?.is_some_and(|told| told["state"] != 0) {
            return Ok(());
        }
        if std::time::Instant::now() >= end {
            return fail(format!("the channel was not online again within {limit:?}"));
        }
        b.online().await?;
    }
}
