use ivt_base::secret::Secret;

use super::*;
use crate::conformance::{self, Unknown};
use crate::http::fake::Camera;
use crate::{Source, Stream};

pub(super) const DETECTION: Detection = Detection {
    enable: true,
    armed: Armed { start: 79_200, end: 21_600 },
    sensitivity: 60,
    delay: Duration::from_secs(7),
};

pub(super) fn area() -> Area {
    Area([(0, 0), (100, 0), (90, 100), (10, 100)].map(|(x, y)| Point { x, y }))
}

fn decoded(request: &str) -> Vec<(String, String)> {
    let query = request.split(' ').nth(1).unwrap().split_once('?').map_or("", |(_, query)| query);
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

/// A camera of the uapi family, which keeps its wireless network.
async fn uapi() -> Camera {
    let wifi: Kept<(String, String)> = Kept::default();
    Camera::start(move |request| {
        let path = request.split([' ', '?']).nth(1).unwrap();
        let query = decoded(request);
        let of = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value);
        let mut wifi = wifi.lock().unwrap();
        match (path, of("action").map(String::as_str), of("group").map(String::as_str)) {
            ("/nvc-cgi/ptz/ptz2.fcgi", ..) if of("query").is_some() => {
                http(200, "count=2\r\nlist=1,12\r\n")
            }
            ("/nvc-cgi/ptz/ptz2.fcgi", ..) => {
                let is_97 = query.iter().any(|(_, value)| value == "97");
                if is_97 { http(200, "#404|NOT FOUND") } else { http(200, "OK") }
            }
            ("/uapi-cgi/param.fcgi", Some("list"), Some("PTZ.Ch0.Preset")) => {
                http(200, "PTZ.Ch0.Preset.P12.name=Front door\n")
            }
            ("/uapi-cgi/param.fcgi", Some("list"), Some("BRAND,VERSION")) => {
                http(200, "BRAND.brand=CAP\nBRAND.Product.shortname=NS202HD\n")
            }
            ("/uapi-cgi/param.fcgi", Some("list"), Some("NETWORK.Eth0,NETWORK.Dns")) => http(
                200,
                "NETWORK.Eth0.ipaddress=10.0.0.9\nNETWORK.Eth0.subnet=255.255.255.0\nNETWORK.Eth0.mac=00:13:23:A0:07:AD\nNETWORK.Eth0.Dhcp.enable=yes\n",
            ),
            ("/uapi-cgi/param.fcgi", Some("list"), Some("NETWORK.Wlan0")) => http(
                200,
                &format!(
                    "NETWORK.Wlan0.enable=yes\nNETWORK.Wlan0.Connect.essid={}\nNETWORK.Wlan0.Connect.key={}\n",
                    wifi.0, wifi.1
                ),
            ),
            ("/uapi-cgi/param.fcgi", Some("update"), _) => {
                if let Some(ssid) = of("Connect.essid") {
                    wifi.0.clone_from(ssid);
                }
                if let Some(key) = of("Connect.key") {
                    wifi.1.clone_from(key);
                }
                http(200, "OK")
            }
            ("/uapi-cgi/status.cgi", ..) => http(
                200,
                "<status><network><wlan0><ap><essid>a &amp; b</essid><signal>-40</signal></ap></wlan0></network></status>",
            ),
            ("/uapi-cgi/snapshot.fcgi", ..) => {
                b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\xff\xd8\xff\xd9".to_vec()
            }
            // The camera hangs up.
            ("/uapi-cgi/reboot.cgi", ..) => b"\r\n".to_vec(),
            _ => http(404, "404 - Not Found"),
        }
    })
    .await
}

#[tokio::test]
async fn uapi_passes_conformance() {
    let camera = uapi().await;
    let channel = channel("uapi", &camera.http(), 1);
    conformance::ptz(&*channel.ptz.unwrap(), &[]).await;
    let presets = channel.presets.unwrap();
    conformance::presets(&*presets, Unknown::Refused).await;
    let list = presets.list().await.unwrap();
    let named: Vec<_> = list.iter().map(|one| (&*one.token, &*one.name)).collect();
    assert_eq!(named, [("1", "1"), ("12", "Front door")]);
    conformance::network(&*channel.network.unwrap()).await;
    conformance::snapshot(&*channel.snapshot.unwrap()).await;
    let said = Profile::builtin("uapi").unwrap().recognise(&camera.http()).await.unwrap();
    assert_eq!(said.as_deref(), Some("CAP NS202HD"));
    let tours = channel.tours.unwrap();
    let none = tours.stop(None).await.unwrap_err();
    assert_eq!(none.kind, Kind::Invalid, "nobody knows which tour runs");
    tours.start("3").await.unwrap();
    tours.stop(None).await.unwrap();
    assert!(lines(&camera).last().unwrap().ends_with("canceltour=3"));
    let motion = channel.motion.unwrap();
    motion.configure(Detection { armed: Armed::ALWAYS, ..DETECTION }).await.unwrap();
    assert!(lines(&camera).last().unwrap().contains("Ch0.Z0.sensitivity=153"));
    assert_eq!(motion.configure(DETECTION).await.unwrap_err().kind, Kind::Unsupported);
    let all_day = Detection { armed: Armed::ALWAYS, ..DETECTION };
    let tripwire = channel.tripwire.unwrap();
    tripwire.configure(all_day, Some(area())).await.unwrap();
    let last = lines(&camera).pop().unwrap();
    assert!(last.ends_with("Z0&enable=yes&point=0:0,65535:0,58982:65535,6554:65535"), "{last}");
    tripwire.configure(all_day, None).await.unwrap();
    assert!(lines(&camera).pop().unwrap().ends_with("Z0&enable=yes"), "the zone stays");
    let networks = channel.wifi.unwrap().networks().await.unwrap();
    assert_eq!((&*networks[0].ssid, networks[0].signal), ("a & b", -40));
}

#[tokio::test]
async fn a_wireless_network_arrives_exactly() {
    let camera = uapi().await;
    let wifi = channel("uapi", &camera.http(), 1).wifi.unwrap();
    for password in ["a b&c=d", "\"'<>&%+#?/\\", "\u{5bc6}\u{7801}\u{e9}", &"x".repeat(63), ""] {
        let ssid = format!("{}\u{e9} &<\"'", password.chars().take(4).collect::<String>());
        wifi.join(Some(&ssid), Some(&Secret::new(password.to_owned()))).await.unwrap();
        let sent = decoded(camera.requests().last().unwrap());
        let of = |name: &str| sent.iter().find(|(key, _)| key == name).unwrap().1.clone();
        assert_eq!((of("Connect.essid"), of("Connect.key")), (ssid, password.to_owned()));
    }
    wifi.join(Some("alone"), None).await.unwrap();
    assert!(!camera.requests().last().unwrap().contains("Connect.key"), "the password stays");
    assert_eq!(wifi.status().await.unwrap().ssid, "alone");
    let error = wifi.join(Some(&"s".repeat(33)), None).await.unwrap_err();
    assert_eq!(error.kind, Kind::Invalid);
}

#[tokio::test]
async fn a_camera_that_hangs_up_has_restarted() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        use tokio::io::AsyncReadExt as _;
        loop {
            let (mut tcp, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let _ = tcp.read(&mut request).await;
        }
    });
    let http = Http::new("127.0.0.1", port, None, crate::http::Limits::default());
    for name in Profile::names() {
        if let Some(power) = channel(name, &http, 1).power {
            power.reboot().await.unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
    let ptz = channel("uapi", &http, 1).ptz.unwrap();
    assert_eq!(ptz.stop().await.unwrap_err().kind, Kind::Other, "which only a restart may do");
}

/// A camera of the merlin family, whose bodies are read as JSON.
async fn merlin() -> Camera {
    Camera::start(|request| {
        let path = request.split([' ', '?']).nth(1).unwrap();
        let body = request.split_once("\r\n\r\n").unwrap().1;
        match path {
            "/merlin/GetPtzPresetCfg.cgi" => {
                http(200, r#"{"ptz_preset":[{"PresetId":1,"PresetName":"Door"},{"PresetId":2}]}"#)
            }
            "/merlin/GetPtzTourCfg.cgi" => http(200, r#"{"PtzTour":[{"TourIndex":4}]}"#),
            "/merlin/GetGeneralNetCfg.cgi" => http(
                200,
                r#"{"NetCommon":[{"EthName":"eth0","HostIP":"10.0.0.9","SubMask":"255.255.0.0","Dhcp":1}]}"#,
            ),
            "/merlin/PtzCtrl.cgi" if request.contains("value=97") => http(400, "{}"),
            "/merlin/PtzCtrl.cgi" | "/merlin/Reboot.cgi" => http(200, r#"{"result":0}"#),
            "/merlin/SetAlarmCfg.cgi" | "/merlin/SetIntDetectCfg.cgi" => {
                match serde_json::from_str::<serde_json::Value>(body) {
                    Ok(_) => http(200, r#"{"result":0}"#),
                    Err(_) => http(400, "no JSON"),
                }
            }
            _ => http(404, ""),
        }
    })
    .await
}

#[tokio::test]
async fn merlin_passes_conformance() {
    let camera = merlin().await;
    let text = Profile::text("merlin").unwrap();
    let named = text.replace("main = \"/ufirststream\"", "main = \"/stream{input}\"");
    let profile = Arc::new(Profile::parse("mine.toml", &named).unwrap());
    let options = Options { input: 2, ..Options::default() };
    let channel = profile.channel(&camera.http(), &options).unwrap();
    conformance::ptz(&*channel.ptz.unwrap(), &[]).await;
    conformance::presets(&*channel.presets.unwrap(), Unknown::Refused).await;
    conformance::tours(&*channel.tours.unwrap(), Unknown::Refused).await;
    conformance::patrol(&*channel.patrol.unwrap()).await;
    conformance::motion(&*channel.motion.unwrap()).await;
    let tripwire = channel.tripwire.unwrap();
    conformance::tripwire(&*tripwire).await;
    conformance::network(&*channel.network.unwrap()).await;
    tripwire.configure(DETECTION, Some(area())).await.unwrap();
    let asked = camera.requests().pop().unwrap();
    let body = asked.split_once("\r\n\r\n").unwrap().1;
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    let alarm = &body["AlarmCfg"][0];
    assert_eq!(alarm["Channel"], 1, "inputs count from 0");
    assert_eq!(alarm["Level"], 4);
    assert_eq!(alarm["RectInfo"][0]["RD"], serde_json::json!({"x": 7373, "y": 8192}));
    let day = &alarm["Sector"][6];
    assert_eq!((&day[0], &day[1]), (&"1 0:0:0-6:0:0".into(), &"1 22:0:0-24:0:0".into()));
    assert_eq!(day[2], "0 0:0:0-24:0:0");
    tripwire.configure(DETECTION, None).await.unwrap();
    assert!(!camera.requests().pop().unwrap().contains("RectInfo"), "the area stays");
    conformance::power(&*channel.power.unwrap()).await;
}

const ISAPI: &str = "http://www.hikvision.com/ver20/XMLSchema";

/// A Hikvision camera, or an NVR that knows PTZ only by its proxy. What is PUT is kept.
async fn hikvision(nvr: bool) -> (Camera, Kept<std::collections::BTreeMap<String, String>>) {
    let kept: Kept<std::collections::BTreeMap<String, String>> = Kept::default();
    let documents = Arc::clone(&kept);
    let camera = Camera::start(move |request| {
        let mut documents = documents.lock().unwrap();
        let (method, path) = request.split_once(' ').unwrap();
        let path = path.split([' ', '?']).next().unwrap();
        let body = request.split_once("\r\n\r\n").unwrap().1;
        let ok = "<ResponseStatus><statusCode>1</statusCode><statusString>OK</statusString></ResponseStatus>";
        let refused = http(403, "<ResponseStatus><statusCode>4</statusCode><subStatusCode>notSupport</subStatusCode></ResponseStatus>");
        let is_ptz = path.contains("/PTZCtrl");
        if is_ptz && nvr != path.contains("ContentMgmt") {
            return refused;
        }
        if method == "PUT" {
            if path.contains("/97/") {
                return http(200, "<ResponseStatus><statusCode>6</statusCode></ResponseStatus>");
            }
            if !is_ptz && !path.ends_with("/reboot") {
                if !body.contains(ISAPI) || !body.contains("<kept") {
                    return http(400, "<ResponseStatus><statusCode>6</statusCode></ResponseStatus>");
                }
                documents.insert(path.to_owned(), body.to_owned());
            }
            return http(200, ok);
        }
        if let Some(document) = documents.get(path) {
            return http(200, document);
        }
        let wrap = |name: &str, inner: &str| {
            http(200, &format!(r#"<?xml version="1.0"?><{name} version="2.0" xmlns="{ISAPI}"><kept>x</kept>{inner}</{name}>"#))
        };
        match path.rsplit('/').next().unwrap() {
            "presets" => wrap("PTZPresetList", "<PTZPreset><enabled>true</enabled><id>1</id><presetName>A &amp; B</presetName></PTZPreset><PTZPreset><enabled>false</enabled><id>2</id></PTZPreset>"),
            "patrols" => wrap("PTZPatrolList", "<PTZPatrol><enabled>true</enabled><id>3</id></PTZPatrol>"),
            "deviceInfo" => wrap("DeviceInfo", "<model>DS-2CD</model><serialNumber>DS-2CD1</serialNumber>"),
            "motionDetection" => wrap("MotionDetection", "<enabled>false</enabled><MotionDetectionLayout><sensitivityLevel>20</sensitivityLevel></MotionDetectionLayout>"),
            "1" if path.contains("FieldDetection") => wrap("FieldDetection", "<enabled>false</enabled><FieldDetectionRegionList><FieldDetectionRegion><id>1</id><enabled>false</enabled><sensitivityLevel>50</sensitivityLevel><RegionCoordinatesList><RegionCoordinates><positionX>5</positionX><positionY>6</positionY></RegionCoordinates></RegionCoordinatesList></FieldDetectionRegion></FieldDetectionRegionList>"),
            "VMD_video1" | "fielddetection_video1" => wrap("Schedule", "<TimeBlockList size=\"8\"/>"),
            "interfaces" => wrap("NetworkInterfaceList", "<NetworkInterface><id>1</id><IPAddress><addressingType>dynamic</addressingType><ipAddress>10.0.0.7</ipAddress></IPAddress></NetworkInterface>"),
            "wireless" => wrap("Wireless", "<enabled>true</enabled><ssid>old</ssid>"),
            "accessPointList" => wrap("accessPointList", "<accessPoint><ssid>weak</ssid><signalStrength>20</signalStrength></accessPoint><accessPoint><ssid>strong</ssid><signalStrength>90</signalStrength></accessPoint>"),
            _ => http(404, ""),
        }
    })
    .await;
    (camera, kept)
}

#[tokio::test]
async fn hikvision_passes_conformance_as_a_camera_and_behind_an_nvr() {
    for nvr in [false, true] {
        let (camera, kept) = hikvision(nvr).await;
        let channel = channel("hikvision", &camera.http(), 1);
        conformance::ptz(&*channel.ptz.unwrap(), &[]).await;
        let presets = channel.presets.unwrap();
        conformance::presets(&*presets, Unknown::Refused).await;
        assert_eq!(presets.list().await.unwrap()[0].name, "A & B");
        conformance::tours(&*channel.tours.unwrap(), Unknown::Refused).await;
        conformance::patrol(&*channel.patrol.unwrap()).await;
        conformance::network(&*channel.network.unwrap()).await;
        let wifi = channel.wifi.unwrap();
        conformance::wifi(&*wifi).await;
        assert_eq!(wifi.networks().await.unwrap()[0].ssid, "strong");
        conformance::motion(&*channel.motion.unwrap()).await;
        let tripwire = channel.tripwire.unwrap();
        tripwire.configure(DETECTION, None).await.unwrap();
        let rule = "/ISAPI/Smart/FieldDetection/1";
        assert!(kept.lock().unwrap()[rule].contains("<positionX>5</positionX>"), "the area stays");
        conformance::tripwire(&*tripwire).await;
        tripwire.configure(DETECTION, Some(area())).await.unwrap();
        let kept = kept.lock().unwrap().clone();
        let rule = &kept[rule];
        assert!(rule.contains("<positionX>900</positionX><positionY>1000</positionY>"), "{rule}");
        assert!(rule.contains("<sensitivityLevel>60</sensitivityLevel>"), "{rule}");
        let times = &kept["/ISAPI/Event/schedules/fieldDetections/fielddetection_video1"];
        assert_eq!(times.matches("<TimeBlock>").count(), 14, "{times}");
        assert!(times.contains("<beginTime>22:00:00</beginTime><endTime>24:00:00</endTime>"));
        conformance::power(&*channel.power.unwrap()).await;
    }
}

#[tokio::test]
async fn inputs_of_an_nvr_have_streams_and_requests_of_their_own() {
    let camera = Camera::start(|_| http(200, "OK")).await;
    for (name, main, sub) in [
        ("hikvision", "/Streaming/Channels/301", "/Streaming/Channels/302"),
        ("dahua", "/cam/realmonitor?channel=3&subtype=0", "/cam/realmonitor?channel=3&subtype=1"),
        (
            "axis",
            "/axis-media/media.amp?camera=3&videocodec=h264",
            "/axis-media/media.amp?camera=3&videocodec=h264&resolution=640x360",
        ),
    ] {
        let encoder = channel(name, &camera.http(), 3).encoder;
        for (stream, path) in [(Stream::Main, main), (Stream::Sub, sub)] {
            let Source::Rtsp(rtsp) = encoder.source(stream).await.unwrap() else { panic!() };
            assert_eq!(rtsp.url, format!("rtsp://127.0.0.1{path}"), "{name}");
        }
    }
}

#[tokio::test]
async fn dahua_is_stopped_by_what_may_have_started() {
    let camera = Camera::start(|request| {
        let starts = |code: &str| request.contains(&format!("action=start&channel=1&code={code}&"));
        match () {
            // The camera has begun, and its answer is lost.
            () if starts("Left") => http(503, ""),
            () if starts("Right") => http(401, ""),
            () => http(200, "OK"),
        }
    })
    .await;
    let ptz = channel("dahua", &camera.http(), 1).ptz.unwrap();
    let start = |direction| ptz.start(Movement { direction, speed: 100 });
    start(Direction::Up).await.unwrap();
    assert_eq!(start(Direction::Left).await.unwrap_err().kind, Kind::Other);
    ptz.stop().await.unwrap();
    assert_eq!(start(Direction::Right).await.unwrap_err().kind, Kind::Refused);
    ptz.stop().await.unwrap();
    let lines = lines(&camera);
    let codes = ["Up", "Up", "Left", "Left", "Left", "Right", "Left"];
    assert_eq!(lines.len(), codes.len(), "{lines:?}");
    for (line, code) in lines.iter().zip(codes) {
        assert!(line.contains(&format!("&code={code}&")), "{code}: {lines:?}");
    }
}

#[tokio::test]
async fn dahua_is_stopped_by_what_was_started() {
    let camera = Camera::start(|_| http(200, "OK\r\n")).await;
    let channel = channel("dahua", &camera.http(), 1);
    let ptz = channel.ptz.unwrap();
    ptz.start(Movement { direction: Direction::UpLeft, speed: 100 }).await.unwrap();
    ptz.start(Movement { direction: Direction::ZoomIn, speed: 0 }).await.unwrap();
    ptz.stop().await.unwrap();
    let tours = channel.tours.unwrap();
    tours.start("2").await.unwrap();
    tours.stop(None).await.unwrap();
    let request = |query: &str| format!("GET /cgi-bin/ptz.cgi?{query}");
    assert_eq!(
        lines(&camera),
        [
            request("action=start&channel=1&code=LeftUp&arg1=8&arg2=8&arg3=0"),
            request("action=stop&channel=1&code=LeftUp&arg1=8&arg2=8&arg3=0"),
            request("action=start&channel=1&code=ZoomTele&arg1=0&arg2=1&arg3=0"),
            request("action=stop&channel=1&code=ZoomTele&arg1=0&arg2=1&arg3=0"),
            request("action=start&channel=1&code=StartTour&arg1=2&arg2=0&arg3=0"),
            request("action=start&channel=1&code=StopTour&arg1=2&arg2=0&arg3=0"),
        ]
    );
    conformance::ptz(&*ptz, &[]).await;
    conformance::patrol(&*channel.patrol.unwrap()).await;
}

/// A Dahua camera that answers OK to every set, keeps only what it knows, and reads no address beyond 2 kB.
pub(super) async fn dahua(knows: fn(&str) -> bool) -> Camera {
    let kept: Kept<Vec<(String, String)>> = Kept::default();
    Camera::start(move |request| {
        let query = decoded(request);
        let mut kept = kept.lock().unwrap();
        match &*query[0].1 {
            _ if request.lines().next().unwrap().len() > 2048 => http(414, ""),
            "setConfig" => {
                kept.extend(query.into_iter().skip(1).filter(|(name, _)| knows(name)));
                http(200, "OK\r\n")
            }
            "getPresets" => http(200, "presets[0].Index=1\r\npresets[0].Name=Gate\r\npresets[1].Index=5\r\n"),
            "getConfig" if query[1].1 == "Network" => http(200, "table.Network.DefaultInterface=eth0\r\ntable.Network.eth0.IPAddress=10.0.0.3\r\ntable.Network.eth0.DhcpEnable=false\r\n"),
            "getConfig" => {
                let lines = kept.iter().rev().map(|(name, value)| format!("table.{name}={value}\r\n"));
                let old = "table.MotionDetect[0].Enable=false\r\ntable.MotionDetect[0].MotionDetectWindow[0].Sensitive=1\r\n";
                let day = |day| format!("table.MotionDetect[0].EventHandler.TimeSection[{day}][0]=1 00:00:00-23:59:59\r\n");
                http(200, &(lines.collect::<String>() + old + &(0..7).map(day).collect::<String>()))
            }
            "start" if request.contains("arg2=97&") => http(400, "Error\r\nBad Request!\r\n"),
            _ => http(200, "OK\r\n"),
        }
    })
    .await
}

#[tokio::test]
async fn dahua_is_read_back_after_a_set() {
    let camera = dahua(|_| true).await;
    let unit = channel("dahua", &camera.http(), 1);
    conformance::motion(&*unit.motion.unwrap()).await;
    conformance::tripwire(&*unit.tripwire.unwrap()).await;
    let presets = unit.presets.unwrap();
    conformance::presets(&*presets, Unknown::Refused).await;
    let network = unit.network.unwrap().interfaces().await.unwrap();
    assert_eq!((network.len(), &*network[0].name, &*network[0].ip), (1, "eth0", "10.0.0.3"));
    let deaf = dahua(|_| false).await;
    let unit = channel("dahua", &deaf.http(), 1);
    let error = unit.motion.unwrap().configure(DETECTION).await.unwrap_err();
    assert_eq!(error.kind, Kind::Other);
    assert!(error.source.unwrap().to_string().contains("left MotionDetect[0].Enable as it was"));
    let error = unit.tripwire.unwrap().configure(DETECTION, Some(area())).await.unwrap_err();
    assert_eq!(error.kind, Kind::Unsupported, "it has no rules at all");
}

#[tokio::test]
async fn axis_moves_and_zooms_apart() {
    let camera = Camera::start(|request| {
        if request.contains("presetposcam") {
            return http(200, "Preset Positions for camera 1\r\npresetposno1=Home\r\npresetposno3=\r\n");
        }
        if request.contains("group=GuardTour") {
            return http(200, "root.GuardTour.G0.Name=Night\nroot.GuardTour.G0.CamNbr=1\nroot.GuardTour.G0.Tour.T0.PresetNbr=1\n");
        }
        let wrong = request.contains("presetno=97") || request.contains("G97");
        if wrong { http(200, "Error:\nno such one\n") } else { http(200, "OK") }
    })
    .await;
    let unit = channel("axis", &camera.http(), 1);
    let ptz = unit.ptz.unwrap();
    ptz.start(Movement { direction: Direction::DownRight, speed: 100 }).await.unwrap();
    ptz.stop().await.unwrap();
    let line = |query: &str| format!("GET /axis-cgi/com/ptz.cgi?camera=1&{query}");
    assert_eq!(
        lines(&camera),
        [
            line("continuouszoommove=0"),
            line("continuouspantiltmove=100,-100"),
            line("continuouspantiltmove=0,0"),
            line("continuouszoommove=0"),
        ]
    );
    conformance::ptz(&*ptz, &[]).await;
    conformance::presets(&*unit.presets.unwrap(), Unknown::Refused).await;
    let tours = unit.tours.unwrap();
    conformance::tours(&*tours, Unknown::Refused).await;
    assert_eq!(tours.list().await.unwrap()[0].name, "Night");
}

#[tokio::test]
async fn majestic_steps_and_lacks_zoom() {
    let camera = Camera::start(|request| match request.contains("scan=1") {
        true => http(200, r#"{"networks":[{"ssid":"far","signal":-80,"security":"open"},{"ssid":"near","signal":-40,"security":"WPA2"}],"error":""}"#),
        false => http(200, "{}"),
    })
    .await;
    let unit = channel("majestic", &camera.http(), 1);
    let ptz = unit.ptz.unwrap();
    ptz.start(Movement { direction: Direction::UpLeft, speed: 100 }).await.unwrap();
    assert_eq!(lines(&camera), ["GET /cgi-bin/j/ptz.cgi?h=-10&v=10"]);
    conformance::ptz(&*ptz, &[Direction::ZoomIn, Direction::ZoomOut]).await;
    let near = unit.wifi.unwrap().networks().await.unwrap().remove(0);
    assert_eq!((&*near.ssid, near.signal, &*near.encrypt), ("near", -40, "WPA2"));
}

#[tokio::test]
async fn channels_of_ptz_may_count_from_0() {
    let camera = Camera::start(|_| http(200, "OK")).await;
    let text = Profile::text("dahua").unwrap();
    let from_0 = text
        .replace("ptz_channel = { text = \"{input}\" }", "ptz_channel = { text = \"{input-1}\" }");
    assert_ne!(text, from_0);
    let profile = Arc::new(Profile::parse("mine.toml", &from_0).unwrap());
    let options = Options { input: 3, ..Options::default() };
    let unit = profile.channel(&camera.http(), &options).unwrap();
    unit.presets.unwrap().go_to("7").await.unwrap();
    let line = "GET /cgi-bin/ptz.cgi?action=start&channel=2&code=GotoPreset&arg1=0&arg2=7&arg3=0";
    assert_eq!(lines(&camera), [line]);
}

#[tokio::test]
async fn a_refused_login_is_not_tried_at_another_address() {
    let camera = Camera::start(|_| http(401, "")).await;
    let presets = channel("hikvision", &camera.http(), 1).presets.unwrap();
    assert_eq!(presets.list().await.unwrap_err().kind, Kind::Refused);
    assert_eq!(lines(&camera).len(), 1, "such cameras lock the account");
}
