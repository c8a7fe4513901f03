//! Movements, presets and tours.

use super::*;
use crate::{Direction, Movement, Presets, Ptz, Tours};

fn to(direction: Direction, speed: u8) -> Movement {
    Movement { direction, speed }
}

/// The options of a PTZ configuration.
fn options(inner: &str) -> String {
    format!(
        "<P:GetConfigurationOptionsResponse><P:PTZConfigurationOptions>{inner}</P:PTZConfigurationOptions>\
         </P:GetConfigurationOptionsResponse>"
    )
}

fn space(name: &str, uri: &str, ranges: &str) -> String {
    format!("<t:{name}><t:URI>http://www.onvif.org/ver10/tptz/{uri}</t:URI>{ranges}</t:{name}>")
}

fn range(axis: &str, least: &str, most: &str) -> String {
    format!("<t:{axis}><t:Min>{least}</t:Min><t:Max>{most}</t:Max></t:{axis}>")
}

/// Pan, tilt and zoom of the last movement, with its time-out and the name of its space.
fn last_move(camera: &Camera) -> [String; 5] {
    let body = camera.calls("ContinuousMove").pop().unwrap().body;
    let at = |axes: &str, name: &str| {
        let axes = body.find(&format!("Velocity/{axes}"));
        axes.and_then(|axes| axes.attribute(name)).unwrap_or_default().to_owned()
    };
    let space = at("PanTilt", "space") + &at("Zoom", "space");
    [
        at("PanTilt", "x"),
        at("PanTilt", "y"),
        at("Zoom", "x"),
        body.text_at("Timeout").to_owned(),
        space,
    ]
}

#[tokio::test]
async fn only_the_axes_that_move_are_told() {
    let camera = Camera::usual().await;
    let onvif = camera.onvif();
    for (direction, speed, expected) in [
        (Direction::Right, 100, ["1", "0", "", "PT30S", ""]),
        (Direction::Left, 50, ["-0.5", "0", "", "PT30S", ""]),
        (Direction::Up, 1, ["0", "0.01", "", "PT30S", ""]),
        (Direction::Down, 0, ["0", "-0.01", "", "PT30S", ""]),
        (Direction::UpLeft, 255, ["-1", "1", "", "PT30S", ""]),
        (Direction::ZoomIn, 33, ["", "", "0.33", "PT30S", ""]),
        (Direction::ZoomOut, 100, ["", "", "-1", "PT30S", ""]),
    ] {
        Ptz::start(&*onvif, to(direction, speed)).await.unwrap();
        assert_eq!(last_move(&camera), expected, "{direction:?}");
    }
    let asked = camera.calls("ContinuousMove").pop().unwrap();
    assert_eq!(asked.body.text_at("ProfileToken"), "main", "the profile that has PTZ");
    assert_eq!(asked.path, "/onvif/ptz?x=1");
    assert!(asked.content_type.contains("\"http://www.onvif.org/ver20/ptz/wsdl/ContinuousMove\""));
    let before = camera.calls("Stop").len();
    assert_eq!(before, 1, "pan and tilt end when the zoom begins");
    Ptz::stop(&*onvif).await.unwrap();
    let stop = camera.calls("Stop").pop().unwrap();
    assert_eq!((stop.body.text_at("PanTilt"), stop.body.text_at("Zoom")), ("true", "true"));
    assert!(stop.content_type.contains("action=\"http://www.onvif.org/ver20/ptz/wsdl/Stop\""));
}

#[tokio::test]
async fn velocities_are_in_the_camera_s_own_range() {
    let generic = "PanTiltSpaces/VelocityGenericSpace";
    let pan_tilt = |uri: &str, x: [&str; 2], y: [&str; 2]| {
        let ranges = range("XRange", x[0], x[1]) + &range("YRange", y[0], y[1]);
        space("ContinuousPanTiltVelocitySpace", uri, &ranges)
    };
    let zoom = space("ContinuousZoomVelocitySpace", "z", &range("XRange", "-7", "7"));
    for (spaces, direction, expected) in [
        (pan_tilt(generic, ["-100", "100"], ["-50", "50"]), Direction::UpRight, ["50", "25", ""]),
        (pan_tilt(generic, ["-180", "90"], ["-1", "1"]), Direction::Left, ["-90", "0", ""]),
        (
            pan_tilt(generic, ["-INF", "INF"], ["NaN", ""]),
            Direction::DownRight,
            ["0.5", "-0.5", ""],
        ),
        (pan_tilt(generic, ["0", "0"], ["5", "-5"]), Direction::UpLeft, ["-0.5", "0.5", ""]),
        (
            pan_tilt("PanTiltSpaces/Degrees", ["-9", "9"], ["-9", "9"])
                + &pan_tilt(generic, ["-2", "2"], ["-2", "2"]),
            Direction::Right,
            ["1", "0", ""],
        ),
        (zoom.clone(), Direction::ZoomIn, ["", "", "3.5"]),
    ] {
        let inner = format!("<t:Spaces>{spaces}</t:Spaces>");
        let camera = Camera::start(move |asked| match &*asked.action {
            "GetConfigurationOptions" => (200, options(&inner)),
            _ => (0, String::new()),
        })
        .await;
        Ptz::start(&*camera.onvif(), to(direction, 50)).await.unwrap();
        assert_eq!(last_move(&camera)[..3], expected, "{spaces}");
    }
    let camera = Camera::start(move |asked| match &*asked.action {
        "GetConfigurationOptions" => (200, options(&format!("<t:Spaces>{zoom}</t:Spaces>"))),
        _ => (0, String::new()),
    })
    .await;
    let outcome = Ptz::start(&*camera.onvif(), to(Direction::Up, 50)).await;
    assert_eq!(kind(outcome), Kind::Unsupported, "a camera that only zooms");
    assert!(camera.calls("ContinuousMove").is_empty());
}

#[tokio::test]
async fn a_time_out_is_cut_to_what_the_camera_allows() {
    for (timeout, expected) in [
        ("<t:Min>PT1S</t:Min><t:Max>PT10S</t:Max>", "PT10S"),
        ("<t:Min>PT0S</t:Min><t:Max>PT0S</t:Max>", "PT30S"),
        ("<t:Max>PT1M</t:Max>", "PT30S"),
        ("<t:Max>P1DT0.5S</t:Max>", "PT30S"),
        ("<t:Max>PT0.5S</t:Max>", "PT1S"),
        ("<t:Max>for ever</t:Max>", "PT30S"),
        ("<t:Max>PT99999999999999999999999999999999H</t:Max>", "PT30S"),
    ] {
        let camera = Camera::start(move |asked| match &*asked.action {
            "GetConfigurationOptions" => {
                (200, options(&format!("<t:PTZTimeout>{timeout}</t:PTZTimeout>")))
            }
            _ => (0, String::new()),
        })
        .await;
        Ptz::start(&*camera.onvif(), to(Direction::Up, 50)).await.unwrap();
        assert_eq!(last_move(&camera)[3], expected, "{timeout}");
    }
}

#[tokio::test]
async fn a_refused_time_out_is_left_out_and_a_wanted_space_is_told() {
    for status in [200, 400, 500] {
        let camera = Camera::start(move |asked| match asked.body.child("Timeout") {
            Some(_) => {
                (status, fault("ter:InvalidArgVal</s:Value><s:Value>ter:TimeoutNotSupported", ""))
            }
            None => (0, String::new()),
        })
        .await;
        let onvif = camera.onvif();
        Ptz::start(&*onvif, to(Direction::Up, 50)).await.unwrap();
        Ptz::start(&*onvif, to(Direction::Down, 50)).await.unwrap();
        assert_eq!(camera.calls("ContinuousMove").len(), 3, "the form that was taken is kept");
        assert_eq!(last_move(&camera)[3], "");
    }
    let camera = Camera::start(|asked| {
        let velocity = asked.body.find("Velocity/PanTilt");
        match velocity.is_some_and(|velocity| velocity.attribute("space").is_none()) {
            true => (400, fault("ter:InvalidArgVal", "")),
            false => (0, String::new()),
        }
    })
    .await;
    Ptz::start(&*camera.onvif(), to(Direction::Up, 50)).await.unwrap();
    assert!(last_move(&camera)[4].ends_with("/PanTiltSpaces/VelocityGenericSpace"));
}

#[tokio::test]
async fn a_stop_that_is_refused_becomes_a_movement_at_no_velocity() {
    for (code, reason) in
        [("", "Action Not Implemented"), ("ter:InvalidArgVal", ""), ("ter:Action", "no")]
    {
        let camera = Camera::start(move |asked| match &*asked.action {
            "Stop" => (500, fault(code, reason)),
            _ => (0, String::new()),
        })
        .await;
        let onvif = camera.onvif();
        Ptz::start(&*onvif, to(Direction::Up, 50)).await.unwrap();
        Ptz::stop(&*onvif).await.unwrap();
        assert_eq!(last_move(&camera)[..3], ["0", "0", ""], "{code}: the axes that moved");
        Ptz::start(&*onvif, to(Direction::ZoomIn, 50)).await.unwrap();
        Ptz::stop(&*onvif).await.unwrap();
        assert_eq!(last_move(&camera)[..3], ["", "", "0"], "{code}");
        Ptz::stop(&*onvif).await.unwrap();
        let told = camera.calls("ContinuousMove").len();
        assert_eq!(told, 6, "{code}: where nothing is known to move, both groups are told");
    }
}

#[tokio::test]
async fn a_stop_of_what_rests_is_a_success_and_one_that_fails_is_not() {
    let refusing = |code: &'static str| {
        Camera::start(move |asked| {
            let is_zero =
                asked.body.descendant("PanTilt").and_then(|one| one.attribute("y")) == Some("0");
            match &*asked.action {
                "Stop" => (400, fault(code, "")),
                "ContinuousMove" if is_zero || asked.body.descendant("Zoom").is_some() => {
                    (400, fault(code, ""))
                }
                _ => (0, String::new()),
            }
        })
    };
    let camera = refusing("ter:InvalidArgVal").await;
    let onvif = camera.onvif();
    Ptz::stop(&*onvif).await.unwrap();
    Ptz::start(&*onvif, to(Direction::Up, 50)).await.unwrap();
    assert_eq!(kind(Ptz::stop(&*onvif).await), Kind::Invalid, "it still moves");
    let camera = refusing("ter:Action").await;
    assert_eq!(kind(Ptz::stop(&*camera.onvif()).await), Kind::Refused);
}

#[tokio::test]
async fn ranges_that_were_refused_are_asked_for_again() {
    let wide = space(
        "ContinuousPanTiltVelocitySpace",
        "PanTiltSpaces/VelocityGenericSpace",
        &(range("XRange", "-100", "100") + &range("YRange", "-100", "100")),
    );
    let wide = options(&format!("<t:Spaces>{wide}</t:Spaces>"));
    for (refusal, first) in [
        (fault("ter:NotAuthorized", ""), Err(Kind::Refused)),
        (fault("ter:Action", "busy"), Ok("1".to_owned())),
    ] {
        let (is_ready, wide) = (Arc::new(Mutex::new(false)), wide.clone());
        let ready = Arc::clone(&is_ready);
        let camera = Camera::start(move |asked| match &*asked.action {
            "GetConfigurationOptions" if *ready.lock().unwrap() => (200, wide.clone()),
            "GetConfigurationOptions" => (400, refusal.clone()),
            _ => (0, String::new()),
        })
        .await;
        let onvif = camera.onvif();
        let outcome = Ptz::start(&*onvif, to(Direction::Right, 100)).await;
        let outcome = outcome.map(|()| last_move(&camera)[0].clone()).map_err(|error| error.kind);
        assert_eq!(outcome, first);
        *is_ready.lock().unwrap() = true;
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(301)).await;
        tokio::time::resume();
        Ptz::start(&*onvif, to(Direction::Right, 100)).await.unwrap();
        assert_eq!(last_move(&camera)[0], "100");
    }
}

#[tokio::test]
async fn a_refused_change_of_a_movement_does_not_end_it() {
    let camera = Camera::start(|asked| {
        let pan_tilt = asked.body.find("Velocity/PanTilt");
        let is_up = pan_tilt.and_then(|one| one.attribute("y")) == Some("0.5");
        match &*asked.action {
            "Stop" => (400, fault("ter:InvalidArgVal", "")),
            "ContinuousMove" if !is_up => (400, fault("ter:InvalidArgVal", "")),
            _ => (0, String::new()),
        }
    })
    .await;
    let onvif = camera.onvif();
    Ptz::start(&*onvif, to(Direction::Up, 50)).await.unwrap();
    assert_eq!(kind(Ptz::start(&*onvif, to(Direction::Down, 50)).await), Kind::Invalid);
    assert_eq!(kind(Ptz::stop(&*onvif).await), Kind::Invalid, "it still moves up");
    // What never began to move is at rest.
    let onvif = camera.onvif();
    assert_eq!(kind(Ptz::start(&*onvif, to(Direction::Down, 50)).await), Kind::Invalid);
    Ptz::stop(&*onvif).await.unwrap();
}

#[tokio::test]
async fn a_stop_of_unknown_movements_has_to_reach_every_axis() {
    for (stop, pan_tilt, zoom, outcome) in [
        ("ter:Action", "", "", Ok(())),
        ("ter:Action", "", "ter:InvalidArgVal", Ok(())),
        ("ter:Action", "ter:ActionNotSupported", "", Ok(())),
        ("ter:InvalidArgVal", "ter:InvalidArgVal", "ter:InvalidArgVal", Ok(())),
        ("ter:Action", "", "ter:Action", Err(Kind::Refused)),
        ("ter:Action", "ter:Action", "", Err(Kind::Refused)),
        ("ter:InvalidArgVal", "ter:Action", "", Err(Kind::Invalid)),
        ("ter:Action", "ter:InvalidArgVal", "ter:InvalidArgVal", Err(Kind::Refused)),
    ] {
        let camera = Camera::start(move |asked| {
            let code = match &*asked.action {
                "Stop" => stop,
                "ContinuousMove" if asked.body.descendant("Zoom").is_some() => zoom,
                "ContinuousMove" => pan_tilt,
                _ => "",
            };
            if code.is_empty() { (0, String::new()) } else { (400, fault(code, "")) }
        })
        .await;
        let stopped = Ptz::stop(&*camera.onvif()).await.map_err(|error| error.kind);
        assert_eq!(stopped, outcome, "{stop}, {pan_tilt}, {zoom}");
    }
}

#[tokio::test]
async fn a_camera_without_ptz_says_so() {
    let without_configuration = |asked: &Asked| match &*asked.action {
        "GetProfiles" => (
            200,
            format!("<GetProfilesResponse>{}</GetProfilesResponse>", profile("a", 640, 360, "")),
        ),
        _ => (0, String::new()),
    };
    let without_service = |asked: &Asked| {
        match &*asked.action {
        "GetServices" => (200, "<GetServicesResponse><Service><Namespace>http://www.onvif.org/ver10/media/wsdl</Namespace>\
            <XAddr>/m</XAddr></Service></GetServicesResponse>".into()),
        _ => (0, String::new()),
    }
    };
    let not_implemented = |asked: &Asked| match &*asked.action {
        "ContinuousMove" | "Stop" | "GetPresets" | "GotoPreset" | "GetPresetTours"
        | "OperatePresetTour" => {
            (200, fault("ter:ActionNotSupported", "Optional Action Not Implemented"))
        }
        _ => (0, String::new()),
    };
    for camera in [
        Camera::start(without_configuration).await,
        Camera::start(without_service).await,
        Camera::start(not_implemented).await,
    ] {
        let onvif = camera.onvif();
        for outcome in [
            Ptz::start(&*onvif, to(Direction::Up, 50)).await,
            Ptz::stop(&*onvif).await,
            Presets::list(&*onvif).await.map(|_| ()),
            Presets::go_to(&*onvif, "1").await,
            Tours::list(&*onvif).await.map(|_| ()),
            Tours::start(&*onvif, "1").await,
            Tours::stop(&*onvif, None).await,
        ] {
            assert_eq!(kind(outcome), Kind::Unsupported);
        }
    }
}

#[tokio::test]
async fn a_camera_that_was_set_up_anew_is_asked_anew() {
    let token = Arc::new(Mutex::new("old"));
    let now = Arc::clone(&token);
    let camera = Camera::start(move |asked| {
        let now = *now.lock().unwrap();
        match &*asked.action {
            "GetProfiles" => {
                let rows = profile(now, 640, 360, "<PTZConfiguration token='p'/>");
                (200, format!("<GetProfilesResponse>{rows}</GetProfilesResponse>"))
            }
            "GetServices" => (0, String::new()),
            _ if asked.body.child("ProfileToken").is_some_and(|told| told.text() != now) => {
                (400, fault("ter:InvalidArgVal</s:Value><s:Value>ter:NoProfile", ""))
            }
            _ => (0, String::new()),
        }
    })
    .await;
    let onvif = camera.onvif();
    for next in ["new", "newer", "newest", "last"] {
        Presets::list(&*onvif).await.unwrap();
        *token.lock().unwrap() = next;
        match next {
            "new" => Presets::go_to(&*onvif, "1").await.unwrap(),
            "newer" => Ptz::start(&*onvif, to(Direction::Up, 5)).await.unwrap(),
            "newest" => Ptz::stop(&*onvif).await.unwrap(),
            _ => drop(crate::Encoder::source(&*onvif, crate::Stream::Main).await.unwrap()),
        }
    }
}

#[tokio::test]
async fn presets_are_listed_and_gone_to() {
    let camera = Camera::start(|asked| match asked.body.text_at("PresetToken") {
        "unknown" => (400, fault("ter:InvalidArgVal</s:Value><s:Value>ter:NoToken", "")),
        _ => (0, String::new()),
    })
    .await;
    let onvif = camera.onvif();
    let door = crate::Named { token: "1".into(), name: "Door".into() };
    assert_eq!(Presets::list(&*onvif).await.unwrap(), [door]);
    Presets::go_to(&*onvif, "<a&\"b").await.unwrap();
    assert_eq!(camera.calls("GotoPreset")[0].body.text_at("PresetToken"), "<a&\"b");
    assert_eq!(kind(Presets::go_to(&*onvif, "unknown").await), Kind::Invalid);
    let before = camera.asked().len();
    for token in ["", " ", &"x".repeat(65), "a\r\nb", "\0"] {
        assert_eq!(kind(Presets::go_to(&*onvif, token).await), Kind::Invalid);
        assert_eq!(kind(Tours::start(&*onvif, token).await), Kind::Invalid);
        assert_eq!(kind(Tours::stop(&*onvif, Some(token)).await), Kind::Invalid);
    }
    assert_eq!(camera.asked().len(), before, "nothing of it reaches the camera");
}

#[tokio::test]
async fn tours_are_listed_run_and_stopped() {
    let camera = Camera::usual().await;
    let onvif = camera.onvif();
    let tours: Vec<_> =
        Tours::list(&*onvif).await.unwrap().into_iter().map(|tour| tour.name).collect();
    assert_eq!(tours, ["Round", "b"]);
    Tours::start(&*onvif, "a").await.unwrap();
    Tours::stop(&*onvif, Some("a")).await.unwrap();
    Tours::stop(&*onvif, None).await.unwrap();
    let orders: Vec<_> = camera
        .calls("OperatePresetTour")
        .into_iter()
        .map(|asked| {
            [asked.body.text_at("PresetTourToken"), asked.body.text_at("Operation")].join(" ")
        })
        .collect();
    assert_eq!(orders, ["a Start", "a Stop", "b Stop"], "without a token, whichever runs");
    let camera = Camera::start(|asked| match &*asked.action {
        "OperatePresetTour" => (500, fault("ter:Action", "not running")),
        _ => (0, String::new()),
    })
    .await;
    let onvif = camera.onvif();
    Tours::stop(&*onvif, Some("a")).await.unwrap();
    assert_eq!(kind(Tours::stop(&*onvif, Some("b")).await), Kind::Refused, "it still runs");
}
