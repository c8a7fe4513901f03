use ivt_hal::{Armed, Direction, Movement};

use super::*;
use crate::camera::web::events::testutil::subject;
use crate::camera::web::wire::testutil::request;

struct Bench(Dahua, Arc<World>);

impl Bench {
    fn new(inputs: usize) -> Self {
        Self(Dahua::new(inputs), Arc::new(World::new(inputs)))
    }

    async fn get(&self, target: &str) -> (u16, String) {
        let request = request("GET", &format!("/cgi-bin/{target}"), "");
        let answer = self.0.answer(subject(&self.1, &[]), &request).await;
        (answer.status, String::from_utf8_lossy(&answer.body).into_owned())
    }

    async fn ok(&self, target: &str) -> String {
        let (status, text) = self.get(target).await;
        assert_eq!(status, 200, "{target}: {text}");
        text
    }

    fn orders(&self) -> Vec<Order> {
        self.1.units().last().unwrap().orders()
    }
}

#[tokio::test]
async fn an_input_moves_until_its_own_stop() {
    let bench = Bench::new(2);
    let ptz = async |query: &str| bench.ok(&format!("ptz.cgi?channel=2&{query}")).await;
    let moved = |direction, speed| Order::Move(Movement { direction, speed });
    for query in [
        "action=start&code=Up&arg1=0&arg2=8&arg3=0",
        "action=stop&code=Down&arg1=0&arg2=8&arg3=0",
        "action=stop&code=Up&arg1=0&arg2=8&arg3=0",
        "action=stop&code=Up&arg1=0&arg2=8&arg3=0",
        "action=start&code=LeftDown&arg1=3&arg2=1&arg3=0",
        "action=start&code=ZoomTele&arg1=0&arg2=1&arg3=0",
        "action=start&code=GotoPreset&arg1=0&arg2=2&arg3=0",
        "action=start&code=StartTour&arg1=1",
        "action=start&code=StopTour&arg1=1",
        "action=start&code=StartPattern&arg1=1",
        "action=start&code=StopPattern&arg1=1",
    ] {
        assert_eq!(ptz(query).await, "OK\r\n", "{query}");
    }
    let expected = [
        moved(Direction::Up, 100),
        Order::Stop,
        moved(Direction::DownLeft, 28),
        moved(Direction::ZoomIn, 0),
        Order::Preset("2".into()),
        Order::Tour("1".into()),
        Order::EndTour(Some("1".into())),
        Order::Patrol(true),
        Order::Patrol(false),
    ];
    assert_eq!(bench.orders(), expected);
    assert!(
        ptz("action=getPresets")
            .await
            .starts_with("presets[0].Index=1\r\npresets[0].Name=door\r\n")
    );
    ptz("action=start&code=SetPreset&arg1=0&arg2=9&arg3=0").await;
    assert!(ptz("action=getPresets").await.contains(".Index=9\r\n"));
    ptz("action=start&code=ClearPreset&arg1=0&arg2=9&arg3=0").await;
    assert!(!ptz("action=getPresets").await.contains(".Index=9\r\n"));
    assert!(ptz("action=getStatus").await.starts_with("status.MoveStatus="));
    for wrong in [
        "action=start&channel=3&code=Up&arg2=1",
        "action=start&channel=0&code=Up&arg2=1",
        "action=start&code=up&arg2=1",
        "action=start&code=Up&arg2=9",
        "action=start&code=Up&arg2=0",
        "action=start&code=LeftUp&arg2=1",
        "action=start&code=GotoPreset&arg2=77",
        "action=stop&code=StartTour&arg1=1",
        "action=start&code=StartPattern&arg1=2",
        "action=begin&code=Up&arg2=1",
    ] {
        let (status, text) = bench.get(&format!("ptz.cgi?{wrong}")).await;
        assert_eq!((status, text.as_str()), (400, "Error\r\nBad Request!\r\n"), "{wrong}");
    }
}

#[tokio::test]
async fn a_key_that_is_not_there_is_answered_ok_and_ignored() {
    let bench = Bench::new(1);
    let set = async |query: &str| {
        assert_eq!(
            bench.ok(&format!("configManager.cgi?action=setConfig&{query}")).await,
            "OK\r\n"
        );
    };
    let config = async |name: &str| {
        bench.ok(&format!("configManager.cgi?action=getConfig&name={name}")).await
    };
    let before = config("MotionDetect").await;
    for ignored in [
        "motiondetect[0].Enable=true&motiondetect[0].DetectVersion=V3.0",
        "MotionDetect[1].Enable=true&MotionDetect[1].DetectVersion=V3.0",
        "MotionDetect[0].Enable=true",
        "MotionDetect[0].Enable=yes&MotionDetect[0].DetectVersion=V3.0",
        "MotionDetect[0].MotionDetectWindow[0].Sensitive=much",
        "MotionDetect[0].EventHandler.TimeSection[0][0]=1 6-7",
    ] {
        set(ignored).await;
        assert_eq!(config("MotionDetect").await, before, "{ignored}");
    }
    set("MotionDetect[0].Enable=true&MotionDetect[0].DetectVersion=V3.0&MotionDetect[0].MotionDetectWindow[0].Sensitive=999").await;
    let after = config("MotionDetect").await;
    assert!(after.contains("table.MotionDetect[0].Enable=true\r\n"), "{after}");
    assert!(after.contains("[0].Sensitive=100\r\n"), "it is clamped: {after}");
    let Some(Order::Motion(set_up)) = bench.orders().pop() else { panic!("{:?}", bench.orders()) };
    assert_eq!((set_up.enable, set_up.sensitivity, set_up.armed), (true, 100, Armed::ALWAYS));
    for (day, orders) in (0..7).zip([0, 0, 0, 0, 0, 0, 1]) {
        let many = bench.orders().len();
        set(&format!("MotionDetect[0].EventHandler.TimeSection[{day}][0]=1%2022:00:00-23:59:59&MotionDetect[0].EventHandler.TimeSection[{day}][1]=1%2000:00:00-06:30:00")).await;
        assert_eq!(bench.orders().len() - many, orders, "day {day}");
    }
    let Some(Order::Motion(set_up)) = bench.orders().pop() else { panic!("{:?}", bench.orders()) };
    assert_eq!(set_up.armed, Armed { start: 79_200, end: 23_400 });
    assert_eq!(bench.get("configManager.cgi?action=getConfig&name=Motion").await.0, 400);
}

#[tokio::test]
async fn an_area_reaches_the_camera() {
    let bench = Bench::new(2);
    let rule = "VideoAnalyseRule[1][0]";
    let corners = [(819, 1638), (9000, 0), (8191, 8191), (0, 4096)];
    let corners: String = corners
        .into_iter()
        .enumerate()
        .map(|(i, (x, y))| {
            format!(
                "&{rule}.Config.DetectRegion[{i}][0]={x}&{rule}.Config.DetectRegion[{i}][1]={y}"
            )
        })
        .collect();
    let query = format!("{rule}.Enable=true&{rule}.Type=CrossRegionDetection{corners}");
    bench.ok(&format!("configManager.cgi?action=setConfig&{query}")).await;
    let Some(Order::Tripwire(set_up, Some(area))) = bench.orders().pop() else {
        panic!("no order")
    };
    let corners = area.0.map(|point| (point.x, point.y));
    assert_eq!((set_up.enable, corners), (true, [(10, 20), (100, 0), (100, 100), (0, 50)]));
}

#[tokio::test]
async fn it_tells_what_it_is_and_has() {
    let (camera, recorder) = (Bench::new(1), Bench::new(2));
    for (bench, target, words) in [
        (&camera, "magicBox.cgi?action=getSystemInfo", "deviceType=IP Camera\r\n"),
        (&recorder, "magicBox.cgi?action=getSystemInfo", "updateSerial=DHI-NVR4208-SIM\r\n"),
        (&camera, "magicBox.cgi?action=getDeviceType", "type=IP Camera"),
        (&camera, "magicBox.cgi?action=getSoftwareVersion", "version=2.800"),
        (
            &camera,
            "magicBox.cgi?action=getProductDefinition&name=MaxExtraStream",
            "table.MaxExtraStream=1",
        ),
        (
            &camera,
            "configManager.cgi?action=getConfig&name=Network",
            "table.Network.eth0.IPAddress=",
        ),
        (
            &camera,
            "configManager.cgi?action=getConfig&name=WLan",
            "table.WLan.eth2.SSID=office\r\n",
        ),
        (&camera, "configManager.cgi?action=getConfig&name=RTSP", "table.RTSP.Port=554\r\n"),
        (&camera, "wlan.cgi?action=scanWlanDevices", "wlanDevice[0].SSID=office\r\n"),
        (&recorder, "alarm.cgi?action=getInSlots", "result=2\r\n"),
        (&camera, "snapshot.cgi", "JFIF"),
        (&recorder, "snapshot.cgi?channel=2", "JFIF"),
    ] {
        let text = bench.ok(target).await;
        assert!(text.contains(words), "{target}: {text}");
    }
    for (target, status) in [
        ("snapshot.cgi?channel=2", 400),
        ("snapshot.cgi?channel=0", 400),
        ("magicBox.cgi?action=getEverything", 400),
        ("eventManager.cgi?action=getEventIndexes&code=AlarmLocal", 400),
        ("param.cgi", 404),
        ("../x", 404),
    ] {
        assert_eq!(camera.get(target).await.0, status, "{target}");
    }
    recorder.1.units()[1].emulator.world.trigger(ivt_hal::Trigger::Input, true);
    let active = recorder.ok("eventManager.cgi?action=getEventIndexes&code=AlarmLocal").await;
    assert_eq!(active, "channels[0]=1\r\n");
    let asked = request("GET", "/cgi-bin/magicBox.cgi?action=reboot", "");
    assert!(camera.0.answer(subject(&camera.1, &[]), &asked).await.reboots);
    let posted = request("POST", "/cgi-bin/magicBox.cgi?action=getVendor", "");
    assert_eq!(camera.0.answer(subject(&camera.1, &[]), &posted).await.status, 405);
}

#[tokio::test]
async fn the_clock_is_set_and_a_network_joined() {
    let bench = Bench::new(2);
    bench.ok("global.cgi?action=setCurrentTime&time=2024-02-29%2023:59:50").await;
    let told = bench.ok("global.cgi?action=getCurrentTime").await;
    assert!(told.starts_with("result=2024-02-29 23:59:5") && told.ends_with("\r\n"), "{told}");
    assert!(matches!(bench.orders()[..], [Order::Clock(_)]), "all inputs have one clock");
    for wrong in ["2023-02-29%2000:00:00", "2024-02-29", "2024-02-29T00:00:00", "now"] {
        assert_eq!(
            bench.get(&format!("global.cgi?action=setCurrentTime&time={wrong}")).await.0,
            400,
            "{wrong}"
        );
    }
    bench.ok("configManager.cgi?action=setConfig&WLan.eth2.Enable=true&WLan.eth2.SSID=caf%C3%A9&WLan.eth2.Keys[0]=a%26b%20%2B%C3%A9xyz").await;
    let join =
        Order::Join { ssid: Some("caf\u{e9}".into()), password: Some("a&b +\u{e9}xyz".into()) };
    assert_eq!(bench.1.units()[0].orders().pop(), Some(join));
}
