//! What is stopped, switched and set up on a camera, and what is left as it was.

use ivt_base::secret::Secret;

use super::families::{DETECTION, area, dahua};
use super::*;

const ALL_DAY: Detection = Detection { armed: Armed::ALWAYS, ..DETECTION };

#[tokio::test]
async fn the_zoom_of_an_axis_without_pan_and_tilt_is_stopped() {
    let camera = Camera::start(|request| match request.contains("pantilt") {
        true => http(200, "Error:\nno pan and tilt\n"),
        false => http(200, ""),
    })
    .await;
    let ptz = channel("axis", &camera.http(), 1).ptz.unwrap();
    ptz.start(Movement { direction: Direction::ZoomIn, speed: 50 }).await.unwrap();
    let before = lines(&camera).len();
    ptz.stop().await.unwrap();
    let sent = lines(&camera).split_off(before);
    assert!(sent[0].ends_with("continuouszoommove=0"), "what moves is stopped first: {sent:?}");
    ptz.start(Movement { direction: Direction::Up, speed: 50 }).await.unwrap_err();
}

#[tokio::test]
async fn switching_a_zone_off_leaves_the_others_on() {
    for name in ["uapi", "nvc"] {
        let camera = Camera::start(|_| http(200, "#200|OK\n")).await;
        let unit = channel(name, &camera.http(), 1);
        let off = Detection { enable: false, ..ALL_DAY };
        unit.motion.as_ref().unwrap().configure(off).await.unwrap();
        unit.tripwire.as_ref().unwrap().configure(off, None).await.unwrap();
        let sent = lines(&camera);
        assert_eq!(sent.len(), 2, "{name}: {sent:?}");
        assert!(sent[0].contains("group=MD&Ch0.Z0.enable=no&"), "{name}: {sent:?}");
        assert!(sent[1].ends_with("group=VCA.Ch0.Z0&enable=no"), "{name}: {sent:?}");
        unit.motion.unwrap().configure(ALL_DAY).await.unwrap();
        unit.tripwire.unwrap().configure(ALL_DAY, None).await.unwrap();
        let sent = lines(&camera).split_off(2);
        assert!(sent[0].ends_with("group=MD&enable=yes&Ch0.enable=yes"), "{name}: {sent:?}");
        assert!(sent[2].ends_with("group=VCA.Ch0&enable=yes"), "{name}: {sent:?}");
    }
}

#[tokio::test]
async fn nothing_is_switched_on_without_its_schedule() {
    let document = |name: &str, inner: &str| http(200, &format!("<{name}>{inner}</{name}>"));
    let camera = Camera::start(move |request| match request {
        _ if request.contains("/schedules/") => http(404, ""),
        _ if request.starts_with("PUT") => document("ResponseStatus", "<statusCode>1</statusCode>"),
        _ if request.contains("motionDetection ") => document(
            "MotionDetection",
            "<enabled>false</enabled><endTriggerTime>500</endTriggerTime><MotionDetectionLayout><sensitivityLevel>20</sensitivityLevel></MotionDetectionLayout>",
        ),
        _ => document(
            "FieldDetection",
            "<enabled>false</enabled><FieldDetectionRegionList><FieldDetectionRegion><enabled>false</enabled><sensitivityLevel>50</sensitivityLevel></FieldDetectionRegion></FieldDetectionRegionList>",
        ),
    })
    .await;
    let unit = channel("hikvision", &camera.http(), 1);
    let error = unit.motion.unwrap().configure(DETECTION).await.unwrap_err();
    assert_eq!(error.kind, Kind::Unsupported);
    let error = unit.tripwire.unwrap().configure(DETECTION, None).await.unwrap_err();
    assert_eq!(error.kind, Kind::Unsupported);
    let sent = lines(&camera);
    assert!(sent.iter().all(|line| line.starts_with("GET ")), "{sent:?}");
}

#[tokio::test]
async fn a_page_with_ok_in_a_word_is_no_success() {
    let camera = Camera::start(|_| http(200, "<script>COOKIE = TOKEN</script>")).await;
    let dahua = channel("dahua", &camera.http(), 1);
    let axis = channel("axis", &camera.http(), 1).tours.unwrap();
    let ptz = dahua.ptz.unwrap();
    let movement = Movement { direction: Direction::Up, speed: 50 };
    for (what, done) in [
        ("start", ptz.start(movement).await),
        ("stop", ptz.stop().await),
        ("preset", dahua.presets.unwrap().go_to("1").await),
        ("tour", dahua.tours.unwrap().start("1").await),
        ("patrol", dahua.patrol.unwrap().stop().await),
        ("motion", dahua.motion.unwrap().configure(ALL_DAY).await),
        ("tour of an Axis", axis.start("G1").await),
    ] {
        assert_eq!(done.err().map(|error| error.kind), Some(Kind::Other), "{what}");
    }
}

#[tokio::test]
async fn times_and_areas_that_a_dahua_ignores_are_noticed() {
    let camera = dahua(|name| !name.contains("TimeSection[6]")).await;
    let motion = channel("dahua", &camera.http(), 1).motion.unwrap();
    let error = motion.configure(DETECTION).await.unwrap_err();
    let place = "left MotionDetect[0].EventHandler.TimeSection[6][0] as it was";
    assert!(error.source.unwrap().to_string().contains(place));
    motion.configure(ALL_DAY).await.unwrap();

    let camera = dahua(|name| !name.contains("DetectRegion[2]")).await;
    let tripwire = channel("dahua", &camera.http(), 1).tripwire.unwrap();
    tripwire.configure(DETECTION, None).await.unwrap();
    let error = tripwire.configure(DETECTION, Some(area())).await.unwrap_err();
    assert!(error.source.unwrap().to_string().contains("Config.DetectRegion[2][0]"));
}

#[tokio::test]
async fn a_dahua_is_told_its_week_in_short_requests() {
    let camera = dahua(|_| true).await;
    let unit = channel("dahua", &camera.http(), 1);
    unit.motion.unwrap().configure(DETECTION).await.unwrap();
    unit.tripwire.unwrap().configure(DETECTION, Some(area())).await.unwrap();
    let sent = lines(&camera);
    assert!(sent.iter().all(|line| line.len() < 1300), "{sent:?}");
    let all = sent.join("&");
    for head in ["MotionDetect[0]", "VideoAnalyseRule[0][0]"] {
        for (day, slot) in (0..7).flat_map(|day| (0..6).map(move |slot| (day, slot))) {
            let section = match slot {
                0 => "1%2000:00:00-06:00:00",
                1 => "1%2022:00:00-23:59:59",
                _ => "0%2000:00:00-23:59:59",
            };
            let pair = format!("&{head}.EventHandler.TimeSection[{day}][{slot}]={section}");
            assert_eq!(all.matches(&pair).count(), 1, "{pair}");
        }
    }
}

#[tokio::test]
async fn an_open_network_is_joined_as_one() {
    for (name, open, closed) in [
        (
            "uapi",
            "Connect.authmode=OPEN&Connect.encrypttype=NONE&Connect.key=",
            "Connect.authmode=WPA2PSK&Connect.encrypttype=AES&Connect.key=a%20word%20of%208",
        ),
        (
            "dahua",
            "WLan.eth2.Encryption=Off&WLan.eth2.Keys[0]=",
            "WLan.eth2.Encryption=On&WLan.eth2.Keys[0]=a%20word%20of%208",
        ),
    ] {
        let camera = dahua(|_| true).await;
        let wifi = channel(name, &camera.http(), 1).wifi.unwrap();
        for (password, wanted) in [("", open), ("a word of 8", closed)] {
            wifi.join(Some("net"), Some(&Secret::new(password.to_owned()))).await.unwrap();
            let sent = lines(&camera);
            assert!(sent.iter().any(|line| line.ends_with(wanted)), "{name}: {sent:?}");
        }
        let before = lines(&camera).len();
        wifi.join(Some("other"), None).await.unwrap();
        let sent = lines(&camera).split_off(before).join("&");
        assert!(!sent.contains("authmode") && !sent.contains("Encryption"), "{name}: {sent}");
    }
}
