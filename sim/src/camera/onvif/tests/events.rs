//! Tests of pull points, their messages and their quirks.

use ivt_hal::Trigger;
use tokio::time::{Instant, sleep};

use super::*;

const PULL: &str = "<Timeout>PT4S</Timeout><MessageLimit>100</MessageLimit>";

/// A subscription as a client knows it.
struct Point {
    target: String,
    header: String,
}

/// Topic, operation and data of a message.
type Told = (String, String, Vec<(String, String)>);

impl Camera {
    async fn subscribe(&self, time: &str) -> (Element, Point) {
        let arguments = format!("<InitialTerminationTime>{time}</InitialTerminationTime>");
        let made = self.ok(EVENTS, "CreatePullPointSubscription", &arguments).await;
        let address = made.text_at("SubscriptionReference/Address");
        let target = address.splitn(4, '/').nth(3).map(|path| format!("/{path}")).unwrap();
        let id =
            made.text_at("SubscriptionReference/ReferenceParameters/SubscriptionId").to_owned();
        let header = match id.is_empty() {
            true => String::new(),
            false => format!(
                r#"<SubscriptionId xmlns="http://www.axis.com/2009/event" xmlns:w="http://www.w3.org/2005/08/addressing" w:IsReferenceParameter="true">{id}</SubscriptionId>"#
            ),
        };
        (made, Point { target, header })
    }

    async fn at(
        &self,
        point: &Point,
        namespace: &str,
        name: &str,
        arguments: &str,
    ) -> (u16, Element) {
        let body = format!(r#"<{name} xmlns="{namespace}">{arguments}</{name}>"#);
        read(&self.send(&point.target, &point.header, &body).await)
    }

    async fn pull(&self, point: &Point) -> Vec<Told> {
        let (status, answer) = self.at(point, EVENTS, "PullMessages", PULL).await;
        assert_eq!(status, 200, "{answer:?}");
        answer.children("NotificationMessage").map(told).collect()
    }

    fn raise(&self, channel: usize, trigger: Trigger, active: bool) {
        let unit = self.onvif.site.world.unit(channel).unwrap();
        unit.emulator.world.trigger(trigger, active);
    }
}

fn told(message: &Element) -> Told {
    let inner = message.find("Message/Message");
    let operation = inner.and_then(|inner| inner.attribute("PropertyOperation")).unwrap_or("-");
    let items = inner.map(|inner| inner.find_all("Data/SimpleItem")).unwrap_or_default();
    let item = |item: &&Element| {
        let of = |name| item.attribute(name).unwrap_or("-").to_owned();
        (of("Name"), of("Value"))
    };
    let items = items.iter().map(item).collect();
    (message.text_at("Topic").to_owned(), operation.to_owned(), items)
}

/// What a camera with the quirk tells of a trigger of its first channel that begins and ends: topics and data.
async fn tells(quirks: &[Quirk], trigger: Trigger) -> Vec<String> {
    let camera = Camera::open(quirks);
    let (_, point) = camera.subscribe("PT60S").await;
    camera.pull(&point).await;
    camera.raise(0, trigger, true);
    camera.raise(0, trigger, false);
    let line = |(topic, operation, items): Told| {
        let items: Vec<_> = items.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{topic} {operation} {}", items.join(" "))
    };
    camera.pull(&point).await.into_iter().map(line).collect()
}

#[tokio::test(start_paused = true)]
async fn states_are_told_at_first_and_then_what_changes() {
    let camera = Camera::open(&[]);
    camera.raise(1, Trigger::Input, true);
    let (_, point) = camera.subscribe("PT60S").await;
    let states = async || {
        let all = camera.pull(&point).await;
        assert!(all.iter().all(|(_, operation, _)| operation == "Initialized"), "{all:?}");
        all.into_iter().map(|(_, _, items)| items[0].1.clone()).collect::<Vec<_>>()
    };
    assert_eq!(states().await, ["false", "false", "false", "true"]);
    // A pull waits for what comes.
    let began = Instant::now();
    let raise = async {
        sleep(Duration::from_secs(2)).await;
        camera.raise(1, Trigger::Motion, true);
    };
    let (told, ()) = tokio::join!(camera.pull(&point), raise);
    let motion = "tns1:RuleEngine/CellMotionDetector/Motion";
    let item = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    assert_eq!(told, [(motion.to_owned(), "Changed".to_owned(), item("IsMotion", "true"))]);
    assert_eq!(began.elapsed(), Duration::from_secs(2));
    assert!(camera.pull(&point).await.is_empty());
    assert_eq!(began.elapsed(), Duration::from_secs(6));
    camera.at(&point, EVENTS, "SetSynchronizationPoint", "").await;
    assert_eq!(states().await, ["false", "false", "true", "true"]);
    // Only so many as are asked for.
    for _ in 0..3 {
        camera.raise(0, Trigger::Input, true);
        camera.raise(0, Trigger::Input, false);
    }
    let two = "<Timeout>PT4S</Timeout><MessageLimit>2</MessageLimit>";
    let (_, answer) = camera.at(&point, EVENTS, "PullMessages", two).await;
    assert_eq!(answer.children("NotificationMessage").count(), 2);
    assert_eq!(camera.pull(&point).await.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_pull_that_waits_is_woken_by_what_is_asked_beside_it() {
    let camera = Camera::open(&[]);
    let (_, point) = camera.subscribe("PT60S").await;
    camera.pull(&point).await;
    let began = Instant::now();
    let beside = async |namespace: &str, name: &str| {
        sleep(Duration::from_secs(1)).await;
        let (status, _) = camera.at(&point, namespace, name, "").await;
        assert_eq!((status, began.elapsed().as_secs() % 4), (200, 1), "{name} waits for nothing");
    };
    let (told, ()) = tokio::join!(camera.pull(&point), beside(EVENTS, "SetSynchronizationPoint"));
    assert_eq!((told.len(), began.elapsed()), (4, Duration::from_secs(1)));
    sleep(Duration::from_secs(3)).await;
    let pull = camera.at(&point, EVENTS, "PullMessages", PULL);
    let ((status, _), ()) = tokio::join!(pull, beside(WSN, "Unsubscribe"));
    assert_eq!((status, began.elapsed()), (400, Duration::from_secs(5)), "it is unknown at once");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_pulls_is_bounded() {
    let camera = Camera::open(&[]);
    let (_, point) = camera.subscribe("PT60S").await;
    for _ in 0..2000 {
        camera.raise(0, Trigger::Input, true);
        camera.raise(0, Trigger::Input, false);
    }
    let mut count = 0;
    loop {
        match camera.pull(&point).await.len() {
            0 => break,
            some => count += some,
        }
    }
    assert!(count <= 2 * 256, "{count}");
}

#[tokio::test(start_paused = true)]
async fn a_pull_point_lives_as_long_as_it_says() {
    let camera = Camera::open(&[]);
    let (_, point) = camera.subscribe("PT10S").await;
    camera.pull(&point).await;
    let at = async |namespace: &str, name: &str, arguments: &str| {
        camera.at(&point, namespace, name, arguments).await.0
    };
    let began = Instant::now();
    assert_eq!(at(EVENTS, "PullMessages", PULL).await, 200);
    assert_eq!(began.elapsed(), Duration::from_secs(4));
    assert_eq!(at(WSN, "Renew", "<TerminationTime>PT20S</TerminationTime>").await, 200);
    sleep(Duration::from_secs(15)).await;
    assert_eq!(at(EVENTS, "SetSynchronizationPoint", "").await, 200);
    assert_eq!(at(WSN, "Unsubscribe", "").await, 200);
    assert_eq!(at(EVENTS, "PullMessages", PULL).await, 400);
    for _ in 0..8 {
        camera.ok(EVENTS, "CreatePullPointSubscription", "").await;
    }
    let ninth = camera.refused(EVENTS, "CreatePullPointSubscription", "").await;
    assert_eq!(ninth, (500, "Action".into()));
    sleep(Duration::from_secs(61)).await;
    let (_, point) = camera.subscribe("PT60S").await;
    camera.onvif.site.world.lose_power();
    assert_eq!(camera.at(&point, EVENTS, "PullMessages", PULL).await.0, 400);
    let (_, point) = camera.subscribe("PT60S").await;
    camera.onvif.site.world.units()[0].emulator.world.go_away(Duration::from_secs(1));
    assert_eq!(
        camera.at(&point, EVENTS, "PullMessages", PULL).await.0,
        400,
        "forgotten by the restart"
    );
}

#[tokio::test(start_paused = true)]
async fn each_vendor_has_its_topics() {
    for (quirks, trigger, expected) in [
        (
            &[][..],
            Trigger::Input,
            &[
                "tns1:Device/Trigger/DigitalInput Changed LogicalState=true",
                "tns1:Device/Trigger/DigitalInput Changed LogicalState=false",
            ][..],
        ),
        (
            &[Quirk::Ones, Quirk::TopicSlash],
            Trigger::Input,
            &[
                "tns1:Device/Trigger/DigitalInput/ Changed LogicalState=1",
                "tns1:Device/Trigger/DigitalInput/ Changed LogicalState=0",
            ],
        ),
        (
            &[Quirk::ImouInput, Quirk::OnlyInitialized, Quirk::TopicDots],
            Trigger::Input,
            &[
                "tns1:VideoSource/tns1:Device/Trigger/DigitalInput//. Initialized LogicalState=true",
                "tns1:VideoSource/tns1:Device/Trigger/DigitalInput//. Initialized LogicalState=false",
            ],
        ),
        (
            &[Quirk::HikInput, Quirk::NoOperation],
            Trigger::Input,
            &[
                "tns1:Device/Trigger/tnshik:AlarmIn - State=true",
                "tns1:Device/Trigger/tnshik:AlarmIn - State=false",
            ],
        ),
        (
            &[Quirk::MotionAlarm, Quirk::NoEnd],
            Trigger::Motion,
            &["tns1:VideoSource/MotionAlarm Changed State=true"],
        ),
        (
            &[Quirk::MotionRegion, Quirk::NoEnd],
            Trigger::Motion,
            &["tns1:RuleEngine/MotionRegionDetector/Motion Changed State=1"],
        ),
        (
            &[Quirk::Tapo, Quirk::NoEnd],
            Trigger::Motion,
            &[
                "tns1:RuleEngine/CellMotionDetector/Motion Changed IsMotion=true",
                "tns1:RuleEngine/PeopleDetector/People Changed IsPeople=true",
            ],
        ),
        (
            &[Quirk::MotionBoth, Quirk::NoEnd],
            Trigger::Motion,
            &[
                "tns1:RuleEngine/CellMotionDetector/Motion Changed IsMotion=true",
                "tns1:VideoSource/MotionAlarm Changed State=true",
            ],
        ),
        (
            &[Quirk::Field],
            Trigger::Line,
            &[
                "tns1:RuleEngine/FieldDetector/ObjectsInside Changed IsInside=true",
                "tns1:RuleEngine/FieldDetector/ObjectsInside Changed IsInside=false",
            ],
        ),
        (
            &[Quirk::Tapo],
            Trigger::Line,
            &[
                "tns1:RuleEngine/CellMotionDetector/LineCross Changed IsLineCross=true",
                "tns1:RuleEngine/CellMotionDetector/LineCross Changed IsLineCross=false",
            ],
        ),
        (
            &[Quirk::Reolink, Quirk::NoEnd],
            Trigger::Motion,
            &[
                "tns1:VideoSource/MotionAlarm Changed State=true",
                "tns1:RuleEngine/MyRuleDetector/PeopleDetect Changed State=true",
            ],
        ),
        (
            &[Quirk::Axis, Quirk::NoEnd],
            Trigger::Motion,
            &[
                "tnsaxis:CameraApplicationPlatform/VMD/Camera1ProfileANY Changed classTypes=human active=1",
            ],
        ),
        (
            &[Quirk::Axis],
            Trigger::Line,
            &[
                "tnsaxis:CameraApplicationPlatform/FenceGuard/Camera1Profile1 Changed active=1",
                "tnsaxis:CameraApplicationPlatform/FenceGuard/Camera1Profile1 Changed active=0",
            ],
        ),
        (
            &[Quirk::Axis],
            Trigger::Input,
            &[
                "tns1:Device/tnsaxis:IO/Port Changed state=1",
                "tns1:Device/tnsaxis:IO/Port Changed state=0",
            ],
        ),
        (
            &[Quirk::SeveralItems, Quirk::NoEnd],
            Trigger::Motion,
            &[
                "tns1:RuleEngine/CellMotionDetector/Motion Changed Confidence=87 IsMotion=true ClassTypes=true Human",
            ],
        ),
        (
            &[Quirk::MalformedMessage, Quirk::NoEnd],
            Trigger::Motion,
            &[
                " - ",
                "tns1:RuleEngine/CellMotionDetector/Motion - ",
                "tns1:RuleEngine/CellMotionDetector/Motion  -=true IsMotion=-",
                "tns1:RuleEngine/CellMotionDetector/Motion Changed IsMotion=true",
            ],
        ),
    ] {
        assert_eq!(tells(quirks, trigger).await, expected, "{quirks:?}");
    }
    let crossed = tells(&[], Trigger::Line).await;
    let topic = "tns1:RuleEngine/LineDetector/Crossed Changed ObjectId=";
    assert!(crossed.len() == 1 && crossed[0].starts_with(topic), "{crossed:?}");
    let camera = Camera::open(&[Quirk::LineInitialized]);
    let (_, point) = camera.subscribe("PT60S").await;
    let lines = camera.pull(&point).await.into_iter().filter(|(topic, ..)| topic.contains("Line"));
    assert!(lines.map(|(_, _, items)| items[0].1.clone()).eq(["0", "0"]));
}

#[tokio::test(start_paused = true)]
async fn the_time_and_every_spelling_of_a_message_are_read() {
    for quirk in [Quirk::Letters, Quirk::Bare] {
        let told = tells(&[quirk, Quirk::NoEnd], Trigger::Motion).await;
        assert_eq!(told, ["tns1:RuleEngine/CellMotionDetector/Motion Changed IsMotion=true"]);
    }
    for (quirks, expected) in [(&[][..], "20"), (&[Quirk::OddTimes], "0000-00-00T00:00:00Z")] {
        let camera = Camera::open(quirks);
        let (_, point) = camera.subscribe("PT60S").await;
        let (_, answer) = camera.at(&point, EVENTS, "PullMessages", PULL).await;
        let message = answer.find("NotificationMessage/Message/Message").unwrap();
        assert!(message.attribute("UtcTime").unwrap().starts_with(expected));
        let source = message.find_all("Source/SimpleItem");
        assert_eq!(source[0].attribute("Value"), Some("source_0"));
    }
}

#[tokio::test]
async fn the_address_of_a_subscription_may_be_odd() {
    for (quirk, expected) in [
        (None, "http://10.0.0.9:80/onvif/event_service?subscription=1"),
        (Some(Quirk::EventPort), "http://10.0.0.9:8080/onvif/event_service?subscription=1"),
        (Some(Quirk::SubscriptionPath), "http://10.0.0.9:80/onvif/event-1_80"),
        (Some(Quirk::SubscriptionHost), "http://192.0.2.1:80/onvif/event_service?subscription=1"),
        (Some(Quirk::DoubledPort), "http://10.0.0.9:80:80/onvif/event_service?subscription=1"),
        (Some(Quirk::Reference), "http://10.0.0.9:80/onvif/event_service"),
    ] {
        let camera = Camera::open(quirk.as_slice());
        let (made, point) = camera.subscribe("PT60S").await;
        assert_eq!(made.text_at("SubscriptionReference/Address"), expected);
        assert_eq!(camera.at(&point, WSN, "Unsubscribe", "").await.0, 200, "{quirk:?}");
        assert_eq!(camera.at(&point, WSN, "Unsubscribe", "").await.0, 400, "{quirk:?}");
    }
    let camera = Camera::open(&[Quirk::Reference]);
    let (_, mut point) = camera.subscribe("PT60S").await;
    point.header = point.header.replace(" w:IsReferenceParameter=\"true\"", "");
    assert_eq!(camera.at(&point, WSN, "Unsubscribe", "").await.0, 400, "no reference parameter");
}

#[tokio::test(start_paused = true)]
async fn quirks_of_subscriptions_show() {
    let renew = "<TerminationTime>PT600S</TerminationTime>";
    let create = async |quirk, time: &str| {
        let arguments = format!("<InitialTerminationTime>{time}</InitialTerminationTime>");
        Camera::open(&[quirk]).call(EVENTS, "CreatePullPointSubscription", &arguments).await.0
    };
    let absolute = "2099-01-01T00:00:00Z";
    assert_eq!(
        (create(Quirk::AbsoluteOnly, "PT60S").await, create(Quirk::AbsoluteOnly, absolute).await),
        (400, 200)
    );
    assert_eq!(
        (create(Quirk::RelativeOnly, "PT60S").await, create(Quirk::RelativeOnly, absolute).await),
        (200, 400)
    );

    let camera = Camera::open(&[Quirk::RenewFaults]);
    let (_, point) = camera.subscribe("PT60S").await;
    assert_eq!(camera.at(&point, WSN, "Renew", renew).await.0, 500);

    for (quirk, after) in [(Quirk::RenewStays, 400), (Quirk::PullExtends, 200)] {
        let camera = Camera::open(&[quirk]);
        let (made, point) = camera.subscribe("PT20S").await;
        camera.pull(&point).await;
        sleep(Duration::from_secs(10)).await;
        if quirk == Quirk::RenewStays {
            let (status, renewed) = camera.at(&point, WSN, "Renew", renew).await;
            let end = |element: &Element| parse(element.text_at("TerminationTime"));
            assert!(status == 200 && (end(&renewed) - end(&made)).abs() <= 1, "{renewed:?}");
        }
        camera.pull(&point).await;
        sleep(Duration::from_secs(10)).await;
        assert_eq!(camera.at(&point, EVENTS, "PullMessages", PULL).await.0, after, "{quirk:?}");
    }

    let camera = Camera::open(&[Quirk::Forgets(Duration::from_secs(5))]);
    let (_, point) = camera.subscribe("PT60S").await;
    camera.pull(&point).await;
    assert_eq!(camera.at(&point, WSN, "Renew", renew).await.0, 200);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(camera.at(&point, EVENTS, "PullMessages", PULL).await.0, 400);

    let camera = Camera::open(&[Quirk::PullReturns]);
    let (_, point) = camera.subscribe("PT60S").await;
    camera.pull(&point).await;
    let began = Instant::now();
    assert!(camera.pull(&point).await.is_empty() && began.elapsed().is_zero());

    let camera = Camera::open(&[Quirk::PullCloses]);
    let (_, point) = camera.subscribe("PT60S").await;
    assert_eq!(camera.pull(&point).await.len(), 4);
    let body = format!(r#"<PullMessages xmlns="{EVENTS}">{PULL}</PullMessages>"#);
    assert!(camera.send(&point.target, "", &body).await.hangs_up);

    let camera = Camera::open(&[Quirk::FewSubscriptions]);
    for _ in 0..2 {
        camera.subscribe("PT60S").await;
    }
    let third = camera.refused(EVENTS, "CreatePullPointSubscription", "").await;
    assert_eq!(third, (500, "SubscribeCreationFailedFault".to_owned()));

    let camera = Camera::open(&[Quirk::SilentLimit]);
    let mut counts = Vec::new();
    for _ in 0..3 {
        let (_, point) = camera.subscribe("PT60S").await;
        counts.push(camera.pull(&point).await.len());
    }
    assert_eq!(counts, [4, 4, 0]);

    let camera = Camera::open(&[Quirk::UnsubscribeAll]);
    let (first, second) = (camera.subscribe("PT60S").await.1, camera.subscribe("PT60S").await.1);
    assert_eq!(camera.at(&first, WSN, "Unsubscribe", "").await.0, 200);
    assert_eq!(camera.at(&second, EVENTS, "PullMessages", PULL).await.0, 400);

    let camera = Camera::open(&[Quirk::SyncFaults]);
    let (_, point) = camera.subscribe("PT60S").await;
    assert_eq!(camera.at(&point, EVENTS, "SetSynchronizationPoint", "").await.0, 500);

    let camera = Camera::open(&[Quirk::NeedsAddressing]);
    assert_eq!(camera.call(EVENTS, "CreatePullPointSubscription", "").await.0, 400);
    let header = "<Action>urn:a</Action><MessageID>urn:1</MessageID><To>urn:b</To>";
    let body = format!(r#"<CreatePullPointSubscription xmlns="{EVENTS}"/>"#);
    assert_eq!(camera.send("/onvif/event_service", header, &body).await.status, 200);
}

fn parse(time: &str) -> i64 {
    crate::camera::onvif::clock::parse_utc(time).unwrap()
}

#[tokio::test]
async fn the_capabilities_may_hide_pull_points_that_there_are() {
    for (quirks, told) in [(&[][..], "true"), (&[Quirk::PullHidden], "false")] {
        let camera = Camera::open(quirks);
        let all = camera.ok(DEVICE, "GetCapabilities", "<Category>Events</Category>").await;
        assert_eq!(all.text_at("Capabilities/Events/WSPullPointSupport"), told);
        camera.subscribe("PT60S").await;
    }
}

#[tokio::test]
async fn inputs_are_listed() {
    let camera = Camera::open(&[]);
    let listed =
        camera.ok("http://www.onvif.org/ver10/deviceIO/wsdl", "GetDigitalInputs", "").await;
    let tokens: Vec<_> = listed.elements().filter_map(|input| input.attribute("token")).collect();
    assert_eq!(tokens, ["00000", "00001"]);
}
