//! The page and the JSON API.

use super::*;
use crate::page::tests::named;

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
        let mut paths: Vec<String> = named(&body);
        while let Some(path) = paths.pop() {
            let (status, _, text) = get(&cloud, &path).await;
            assert_eq!(status, 200, "{path}");
            assert!(!text.contains("https://") && !text.contains("innerHTML"), "{path}");
            paths.extend(named(&text));
        }
    }
    assert_eq!(get(&cloud, "/page/../Cargo.toml").await.0, 404);
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
    let form = html.split("<form id=\"faults\">").nth(1).unwrap();
    let form = form.split("</form>").next().unwrap();
    let mut faults = serde_json::to_value(LinkFaults::default()).unwrap();
    faults["rtmp"] = serde_json::to_value(RtmpQuirks::default()).unwrap();
    let mut named = 0;
    for (name, value) in faults.as_object().unwrap() {
        let group = value.as_object().into_iter().flatten();
        // Both fields of `close`, and some of RTMP's, have its name before them.
        let inner = group.map(|(inner, _)| match (name.as_str(), inner.as_str()) {
            ("close", _) | ("rtmp", "user" | "password" | "redirect") => format!("{name}_{inner}"),
            _ => inner.clone(),
        });
        let fields: Vec<_> = inner.chain((!value.is_object()).then(|| name.clone())).collect();
        for field in fields {
            named += 1;
            // The form has a list of fields, and no value, for a name that occurs twice.
            let times = form.matches(&format!("name=\"{field}\"")).count();
            assert_eq!(times, 1, "fields of the name {field}");
            let read = [format!("\"{field}\""), format!("fields.{field}")];
            assert!(read.iter().any(|text| script.contains(text)), "{field} is not read");
        }
    }
    assert!(named >= 33, "{named}");
    assert_eq!(form.matches(" name=\"").count(), named + 1, "and one for `rtmp` itself");
}

#[test]
fn the_page_has_a_field_for_every_fault_of_alarms_and_firmware() {
    let scripts = [include_str!("../page/alarms.js"), include_str!("../page/firmware.js")];
    let groups = [json!(AlarmFaults::default()), json!(FirmwareFaults::default())];
    for (script, group) in scripts.into_iter().zip(groups) {
        for name in group.as_object().unwrap().keys() {
            assert!(script.contains(&format!("\n  [\"{name}\", ")), "{name}");
        }
    }
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

/// The status of a request by some name, with any head; `{addr}` in it stands for the simulator's address.
async fn status_by(cloud: &CloudSim, line: &str, head: &str) -> u16 {
    let head = head.replace("{addr}", &cloud.http_addr().to_string());
    let mut stream = TcpStream::connect(cloud.http_addr()).await.unwrap();
    let request = format!("{line}\r\nconnection: close\r\ncontent-length: 2\r\n{head}\r\n{{}}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(LONG, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer[9..12].parse().unwrap()
}

#[tokio::test]
async fn a_page_is_served_by_the_simulators_own_names_only() {
    let options = CloudOptions { hosts: vec!["qa.example".into()], ..CloudOptions::default() };
    let cloud = CloudSim::start(options).await.unwrap();
    let own =
        ["{addr}", "localhost", "LocalHost:9000", "qa.example:1", "127.0.0.1", "192.168.1.5:8080"];
    let foreign = ["evil.example", "evil.example:8080", "127.0.0.1.nip.io", "evil.local", ""];
    for path in ["/", "/api/info", "/api/devices", "/page/app.js", "/recordings", "/api/faults"] {
        let line = format!("GET {path} HTTP/1.1");
        for host in own {
            let status = status_by(&cloud, &line, &format!("host: {host}\r\n")).await;
            assert_eq!(status, 200, "{path} of {host}");
        }
        for host in foreign {
            let head = format!("host: {host}\r\norigin: http://{host}\r\n");
            let status = status_by(&cloud, &line, &head).await;
            assert_eq!(status, 421, "{path} of {host:?}");
        }
    }
    let upgrade = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                   sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (line, head, status) in [
        (
            "POST /api/faults HTTP/1.1",
            "host: evil.example\r\ncontent-type: application/json\r\n",
            421,
        ),
        ("GET /api/info HTTP/1.0", "", 421),
        ("GET /api/info HTTP/1.1", "host: localhost\r\nhost: evil.example\r\n", 421),
        ("GET http://evil.example/api/info HTTP/1.1", "host: localhost\r\n", 421),
        ("GET http://localhost/api/info HTTP/1.1", "host: localhost\r\n", 200),
        ("GET /feed?login_code=a HTTP/1.1", &*format!("host: evil.example\r\n{upgrade}"), 421),
        ("GET /play/a HTTP/1.1", &*format!("host: evil.example\r\n{upgrade}"), 421),
        ("GET /nothing HTTP/1.1", "host: localhost\r\n", 404),
        // Devices call by any name that they are configured with.
        ("POST /record/s HTTP/1.1", "host: any.example\r\n", 400),
        ("PUT /sink/a HTTP/1.1", "host: any.example\r\n", 201),
        ("GET /ivc?login_code=a HTTP/1.1", "host: any.example\r\n", 400),
    ] {
        assert_eq!(status_by(&cloud, line, head).await, status, "{line}\n{head}");
    }
}

#[tokio::test]
async fn a_cloud_behind_a_gateway_names_the_addresses_that_devices_reach() {
    let options = CloudOptions {
        public_http: Some(Url::parse("http://gate.example:9000/").unwrap()),
        public_rtmp: Some("gate.example:9001".into()),
        ..CloudOptions::default()
    };
    let cloud = CloudSim::start(options).await.unwrap();
    assert_eq!(cloud.rtmp_url("k"), "rtmp://gate.example:9001/live/k");
    assert_eq!(cloud.record_url("s").as_str(), "http://gate.example:9000/record/s");
    let (_, _, info) = get(&cloud, "/api/info").await;
    let info: Value = serde_json::from_str(&info).unwrap();
    let named = json!({
        "rtmp_port": cloud.rtmp_addr().port(), "public_rtmp": "rtmp://gate.example:9001/live/",
        "public_http": "http://gate.example:9000/",
    });
    assert_eq!(info, named);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_drips_ends_in_time() {
    let cloud = cloud().await;
    let addr = cloud.http_addr();
    for (request, most, ended) in [
        ("".to_owned(), 75, ""),
        ("GET / HT".to_owned(), 10, ""),
        (format!("GET / HTTP/1.1\r\nhost: {addr}\r\nx: "), 10, ""),
        (
            format!("POST /api/faults HTTP/1.1\r\nhost: {addr}\r\ncontent-length: 9\r\n\r\n{{"),
            11,
            "HTTP/1.1 408",
        ),
        (
            format!("POST /record/s HTTP/1.1\r\nhost: {addr}\r\ncontent-length: 9\r\n\r\nop="),
            11,
            "HTTP/1.1 408",
        ),
    ] {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let begin = tokio::time::Instant::now();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        let took = begin.elapsed().as_secs();
        assert!(answer.starts_with(ended) && took <= most, "{request}: {answer} after {took} s");
    }
}

#[tokio::test]
async fn an_empty_answer_is_shown_as_it_came() {
    let cloud = cloud().await;
    let mut fake = FakeDevice::login(&cloud, "a").await;
    let body = json!({ "login_code": "a", "method": "GetPTZPresetList", "params": null });
    for resp in [json!(""), json!(null), json!([]), json!({}), json!([1])] {
        let answering = async {
            let request = fake.packet().await;
            fake.send(json!({ "seq": request["seq"], "resp": resp })).await;
        };
        let (answer, ()) = tokio::join!(post(&cloud, "/api/call", body.clone()), answering);
        assert_eq!(answer, (200, json!({ "resp": resp })));
    }
}

#[test]
fn the_page_stops_a_movement_with_a_value() {
    let forms = include_str!("../page/forms.js");
    let send = "const send = (op, value) => notify(\"CtrlPTZ\", { channel: Number(channel.value), op, value });";
    assert!(forms.contains(send), "deployed devices drop a CtrlPTZ without a value");
    assert!(forms.contains(r#"stop: () => send("stop", 0)"#));
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

#[tokio::test]
async fn what_is_done_by_hand_becomes_a_file() {
    let cloud = cloud().await;
    let begin = json!({ "login_code": "a", "on": true });
    assert_eq!(post(&cloud, "/api/script", begin.clone()).await.0, 404, "nobody has called");
    let mut device = FakeDevice::login(&cloud, "a").await;
    cloud.device("a").wait_online().await;
    let event = json!({ "login_code": "a", "event": "E" });
    post(&cloud, "/api/event", event.clone()).await;
    assert_eq!(get(&cloud, "/api/script.toml?login_code=a").await.0, 404, "nothing is kept yet");
    assert_eq!(post(&cloud, "/api/script", begin).await.1["on"], true);
    post(&cloud, "/api/event", event).await;
    let call = json!({ "login_code": "a", "method": "M", "params": { "channel": 0 } });
    let (answered, _) = tokio::join!(post(&cloud, "/api/call", call), async {
        while device.packet().await["req"] != "M" {}
        device.send(json!({ "seq": 1, "resp": { "x": 1 } })).await;
    });
    assert_eq!(answered.1["resp"]["x"], 1);
    post(&cloud, "/api/faults", json!({ "link": { "flood": 7 } })).await;
    post(&cloud, "/api/raw", json!({ "login_code": "a", "text": "{" })).await;
    post(&cloud, "/api/hang_up", json!({ "login_code": "a" })).await;
    let (_, _, state) = get(&cloud, "/api/script?login_code=a").await;
    let kept: Value = serde_json::from_str(&state).unwrap();
    assert_eq!((&kept["on"], &kept["acts"]), (&json!(true), &json!(5)));
    let end = json!({ "login_code": "a", "on": false });
    assert_eq!(post(&cloud, "/api/script", end).await.1["on"], false);
    post(&cloud, "/api/faults", json!({})).await;
    let (status, head, text) = get(&cloud, "/api/script.toml?login_code=a").await;
    assert!(status == 200 && head.contains("attachment; filename=\"recorded.toml\""), "{head}");
    assert_eq!(text.matches("[[step]]").count(), 5, "{text}");
    for line in ["notify = \"E\"", "answer = { \"x\" = \"*\" }", "raw = \"{\"", "hang_up = true"] {
        assert!(text.lines().any(|written| written == line), "{line}: {text}");
    }
    assert!(text.contains("faults = { \"link\" = { \"flood\" = 7 } }"), "{text}");
}
