//! The page and the JSON API.

use super::*;

#[tokio::test]
async fn the_page_is_served_with_a_policy_and_without_foreign_hosts() {
    let cloud = cloud().await;
    for page in ["/?login_code=a", "/recordings?session=a"] {
        let (status, head, body) = get(&cloud, page).await;
        assert_eq!(status, 200);
        assert!(
            head.contains("content-security-policy: default-src 'self'; media-src 'self' blob:"),
            "{head}"
        );
        assert!(head.contains("x-content-type-options: nosniff"));
        assert!(!body.contains("https://") && !body.contains("style="));
        let mut paths: Vec<String> = assets(&body);
        while let Some(path) = paths.pop() {
            let (status, _, text) = get(&cloud, &path).await;
            assert_eq!(status, 200, "{path}");
            assert!(!text.contains("https://") && !text.contains("innerHTML"), "{path}");
            paths.extend(assets(&text));
        }
    }
    assert_eq!(get(&cloud, "/page/../Cargo.toml").await.0, 404);
}

/// The files that a page or a module names.
fn assets(text: &str) -> Vec<String> {
    let quoted = text.split('"');
    quoted
        .filter_map(|part| match part.strip_prefix("./") {
            Some(module) => Some(format!("/page/{module}")),
            None => part.starts_with("/page/").then(|| part.to_owned()),
        })
        .collect()
}

#[tokio::test]
async fn the_page_has_a_form_for_every_method_and_event_a_device_may_be_sent() {
    let forms = include_str!("../page/forms.js");
    let names = [
        "RTMPPublish",
        "RTMPStopPublish",
        "StartCloudRecord",
        "StopCloudRecord",
        "RebootChannel",
        "GetPTZPresetList",
        "GetPTZPresetTourList",
        "AlarmMoveDetectConfig",
        "AlarmRectIntrusionDetectConfig",
        "GetNetConfig",
        "GetRTMPPublishConfig",
        "SetRTMPPublishConfig",
        "GetWifiStatusAndConfig",
        "SetWifiConfig",
        "GetWifiSSIDList",
        "UpgradeFirmware",
        "SyncTime",
        "CtrlPTZ",
        "GotoPTZPreset",
        "CtrlPTZPresetTour",
        "CtrlPTZPatrol",
    ];
    for name in names {
        assert!(forms.contains(&format!("\n  {name}: ")), "{name}");
    }
}

#[tokio::test]
async fn the_page_has_a_field_for_every_fault_and_quirk_of_the_connection() {
    let (html, script) = (include_str!("../page/index.html"), include_str!("../page/app.js"));
    let faults = serde_json::to_value(LinkFaults::default()).unwrap();
    let mut named = 0;
    for (name, value) in faults.as_object().unwrap() {
        let group = value.as_object().into_iter().flatten();
        // Both fields of `close` have its name before them.
        let inner = group.map(|(inner, _)| match name.as_str() {
            "close" => format!("close_{inner}"),
            _ => inner.clone(),
        });
        let fields: Vec<_> = inner.chain((!value.is_object()).then(|| name.clone())).collect();
        for field in fields {
            named += 1;
            assert!(html.contains(&format!("name=\"{field}\"")), "{field} has no field");
            let read = [format!("\"{field}\""), format!("fields.{field}")];
            assert!(read.iter().any(|text| script.contains(text)), "{field} is not read");
        }
    }
    assert!(named >= 24, "{named}");
}

#[tokio::test]
async fn pages_of_other_sites_may_not_steer_the_cloud() {
    let cloud = cloud().await;
    let head = "origin: http://evil.example\r\ncontent-type: application/json\r\n";
    let (status, ..) = http(&cloud, "POST", "/api/faults", head, "{}").await;
    assert_eq!(status, 403);
    let (status, ..) =
        http(&cloud, "POST", "/api/faults", "content-type: text/plain\r\n", "{}").await;
    assert_eq!(status, 415);
}

#[tokio::test]
async fn scripts_call_through_the_json_api() {
    let cloud = cloud().await;
    let body = json!({ "login_code": "a", "method": "RebootChannel", "params": { "channel": 0 } });
    assert_eq!(post(&cloud, "/api/call", body.clone()).await.0, 404);
    let mut fake = FakeDevice::login(&cloud, "a").await;
    let answering = async {
        let request = fake.packet().await;
        fake.send(json!({ "seq": request["seq"], "resp": { "done": true } })).await;
        let request = fake.packet().await;
        fake.send(json!({ "seq": request["seq"], "err": { "code": 103, "msg": "gone" } })).await;
        assert_eq!(fake.packet().await["event"], "UpgradeFirmware");
        assert_eq!(fake.text().await.unwrap(), "free text");
        assert_eq!(fake.text().await, None);
    };
    let asking = async {
        assert_eq!(
            post(&cloud, "/api/call", body.clone()).await,
            (200, json!({ "resp": { "done": true } }))
        );
        let (_, answer) = post(&cloud, "/api/call", body.clone()).await;
        assert_eq!(answer, json!({ "err": { "code": 103, "msg": "gone" } }));
        let event = json!({ "login_code": "a", "event": "UpgradeFirmware" });
        assert_eq!(post(&cloud, "/api/event", event).await.0, 200);
        let raw = json!({ "login_code": "a", "text": "free text" });
        assert_eq!(post(&cloud, "/api/raw", raw.clone()).await.0, 200);
        assert_eq!(post(&cloud, "/api/hang_up", json!({ "login_code": "a" })).await.0, 200);
        cloud.device("a").wait_offline().await;
        assert_eq!(post(&cloud, "/api/raw", raw).await.0, 409);
    };
    timeout(LONG, async { tokio::join!(answering, asking) }).await.unwrap();
}

#[tokio::test]
async fn a_page_sees_packets_kept_and_packets_as_they_happen() {
    let cloud = cloud().await;
    let device = cloud.device("a");
    let mut fake = FakeDevice::login(&cloud, "a").await;
    device.wait_online().await;
    let url = format!("ws://{}/feed?login_code=a", cloud.http_addr());
    let mut page = FakeDevice(connect_async(url).await.unwrap().0);
    assert_eq!(page.packet().await["packet"]["direction"], "note");
    assert_eq!(page.packet().await, json!({ "online": true }));
    fake.keepalive(1).await;
    let packet = page.packet().await;
    assert_eq!(
        (&packet["packet"]["number"], &packet["packet"]["direction"]),
        (&json!(2), &json!("from_device"))
    );
    assert_eq!(page.packet().await["packet"]["direction"], "to_device");
    drop(fake);
    let mut offline = false;
    while !offline {
        offline = page.packet().await == json!({ "online": false });
    }
}
