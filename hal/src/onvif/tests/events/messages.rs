//! What is heard of a camera's messages.

use super::*;

#[tokio::test]
async fn passes_conformance_there_and_away() {
    let camera = EventCamera::usual().await;
    let onvif = camera.camera.onvif();
    let raise = async |trigger, active| {
        camera.hub.say(match trigger {
            Trigger::Motion => motion(active),
            Trigger::Input => {
                let state = format!("LogicalState={active}");
                message("tns1:Device/Trigger/DigitalInput", "Changed", "InputToken=0", &state)
            }
            Trigger::Line if active => {
                message("tns1:RuleEngine/LineDetector/Crossed", "Changed", "Rule=r", "ObjectId=4")
            }
            Trigger::Line => String::new(),
        });
    };
    conformance::alarms(&*onvif, &Trigger::ALL, raise).await;
    let gone = Camera::usual().await.fake.port;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    assert_ne!(gone, port);
    let http = Http::new("127.0.0.1", port, None, crate::http::Limits::default());
    let away = Onvif::new(http, DEVICE_PATH, None, Options::default());
    conformance::offline_alarms(&*away).await;
}

#[tokio::test]
async fn an_initial_state_is_no_alarm_and_an_edge_is() {
    let camera = EventCamera::usual().await;
    let input = |operation, state: &str| {
        message("tns1:Device/Trigger/DigitalInput", operation, "InputToken=0", state)
    };
    camera.hub.say(input("Initialized", "LogicalState=true"));
    let mut listener = camera.listen();
    listener.listening().await;
    camera.hub.say(
        message("tns1:RuleEngine/LineDetector/Crossed", "Initialized", "Rule=r", "ObjectId=0")
            + &motion(true),
    );
    listener.hears(Trigger::Motion, Signal::Begins).await;
    camera.hub.say(input("Changed", "LogicalState=false") + &motion(false));
    listener.hears(Trigger::Motion, Signal::Ends).await;
    camera.hub.say(input("Initialized", "LogicalState=TRUE"));
    listener.hears(Trigger::Input, Signal::Begins).await;
    camera.hub.say(input("Initialized", "LogicalState=0").repeat(3));
    listener.hears(Trigger::Input, Signal::Ends).await;
    camera.hub.say(motion(true));
    listener.hears(Trigger::Motion, Signal::Begins).await;
    assert!(listener.is_silent());
}

#[tokio::test]
async fn two_rules_of_one_trigger_end_together() {
    let camera = EventCamera::usual().await;
    let mut listener = camera.listen();
    listener.listening().await;
    let cell = |state| {
        let topic = "tns1:RuleEngine/CellMotionDetector/Motion";
        message(topic, "Changed", "Rule=r", &format!("IsMotion={state}"))
    };
    camera.hub.say(motion(true) + &cell(true) + &motion(false) + &cell(false));
    listener.hears(Trigger::Motion, Signal::Begins).await;
    listener.hears(Trigger::Motion, Signal::Begins).await;
    listener.hears(Trigger::Motion, Signal::Ends).await;
    camera.hub.say(motion(true));
    listener.hears(Trigger::Motion, Signal::Begins).await;
}

#[tokio::test]
async fn a_broken_message_takes_no_other_with_it() {
    let camera = EventCamera::usual().await;
    let mut listener = camera.listen();
    listener.listening().await;
    for broken in [
        "<n:NotificationMessage><n:Topic>a</b></n:NotificationMessage>",
        "<n:NotificationMessage><n:Topic>tns1:VideoSource/MotionAlarm</n:Topic></n:NotificationMessage>",
        "<n:NotificationMessage/>",
        "<n:NotificationMessage><a b=></n:NotificationMessage>",
    ] {
        camera.hub.say(motion(true) + broken + &motion(false));
        listener.hears(Trigger::Motion, Signal::Begins).await;
        listener.hears(Trigger::Motion, Signal::Ends).await;
    }
    assert_eq!(camera.count("CreatePullPointSubscription"), 1);
}

#[tokio::test]
async fn channels_share_one_subscription_and_hear_their_own_input() {
    let camera = EventCamera::start(|asked, _| {
        let source = |n| {
            format!(
                "<tt:VideoSourceConfiguration token='vsc{n}'><tt:SourceToken>vs{n}</tt:SourceToken>\
                     </tt:VideoSourceConfiguration><tt:VideoAnalyticsConfiguration token='all'/>"
            )
        };
        let profiles = [1, 2].map(|n| profile(&format!("p{n}"), 640, 360, &source(n))).concat();
        let profiles = format!("<trt:GetProfilesResponse>{profiles}</trt:GetProfilesResponse>");
        (asked.action == "GetProfiles").then_some((200, profiles))
    })
    .await;
    let http = camera.camera.fake.http();
    let channel = |input| {
        let options = Options { input, ..Options::default() };
        Listener::new(Onvif::new(http.clone(), DEVICE_PATH, None, options))
    };
    let mut first = channel(1);
    first.listening().await;
    let mut second = channel(2);
    second.listening().await;
    let say = |source: &str| {
        camera.hub.say(message("tns1:VideoSource/MotionAlarm", "Changed", source, "State=true"));
    };
    say("VideoSourceConfigurationToken=vsc2");
    second.hears(Trigger::Motion, Signal::Begins).await;
    say("Source=vs2");
    second.hears(Trigger::Motion, Signal::Begins).await;
    assert!(first.is_silent());
    for source in ["VideoSource=vs1", "Source=elsewhere", "InputToken=2", ""] {
        say(source);
        first.hears(Trigger::Motion, Signal::Begins).await;
    }
    let topic = "tnsaxis:CameraApplicationPlatform/VMD/Camera2ProfileANY";
    camera.hub.say(message(topic, "Changed", "", "active=1"));
    second.hears(Trigger::Motion, Signal::Begins).await;
    assert!(first.is_silent() && second.is_silent());
    assert_eq!(camera.count("CreatePullPointSubscription"), 1);
    // The other one goes on with the same subscription.
    first.task.abort();
    second.listening().await;
    say("Source=vs2");
    second.hears(Trigger::Motion, Signal::Begins).await;
    assert_eq!((camera.count("CreatePullPointSubscription"), camera.count("Unsubscribe")), (1, 0));
}
