//! How long a subscription lives.

use super::*;

fn made(asked: &Asked) -> bool {
    asked.action == "CreatePullPointSubscription"
}

/// Grants another time than was asked for: `seconds`.
fn granting(asked: &Asked, hub: &Hub, seconds: u64) -> Option<(u16, String)> {
    match &*asked.action {
        "CreatePullPointSubscription" => {
            let number = hub.subscribe(seconds);
            Some((200, hub.made(&hub.address(number), &hub.times(seconds))))
        }
        "Renew" => {
            Some((200, format!("<b:RenewResponse>{}</b:RenewResponse>", hub.times(seconds))))
        }
        _ => None,
    }
}

#[tokio::test]
async fn it_is_renewed_at_four_fifths_of_what_was_granted() {
    stop_the_clock();
    let camera = EventCamera::usual().await;
    let mut listener = camera.listen();
    listener.listening().await;
    let create = &camera.camera.calls("CreatePullPointSubscription")[0].body;
    assert_eq!(create.text_at("InitialTerminationTime"), "PT600S");
    pass(478).await;
    assert_eq!(camera.count("Renew"), 0);
    pass(4).await;
    let renew = camera.camera.calls("Renew");
    assert_eq!((renew.len(), renew[0].body.text_at("TerminationTime")), (1, "PT600S"));
    assert_eq!(renew[0].path, "/onvif/events?sub=1");
    assert_eq!(renew[0].body.attribute("xmlns"), Some("http://docs.oasis-open.org/wsn/b-2"));
    pass(470).await;
    assert_eq!(camera.count("Renew"), 1);
    pass(20).await;
    assert_eq!((camera.count("Renew"), camera.count("CreatePullPointSubscription")), (2, 1));
    camera.hub.say(motion(true));
    listener.hears(Trigger::Motion, Signal::Begins).await;
}

#[tokio::test]
async fn a_short_grant_is_asked_for_as_the_time_of_its_end() {
    stop_the_clock();
    // It misreads durations, and takes the time of the end.
    let camera = EventCamera::start(|asked, hub| {
        let wanted = asked.body.text_at(if made(asked) {
            "InitialTerminationTime"
        } else {
            "TerminationTime"
        });
        if wanted.starts_with("PT") { granting(asked, hub, 10) } else { None }
    })
    .await;
    let mut listener = camera.listen();
    listener.listening().await;
    let renew = camera.camera.calls("Renew");
    assert_eq!(renew[0].body.text_at("TerminationTime"), "2001-09-09T01:56:40Z");
    pass(500).await;
    let renew = camera.camera.calls("Renew");
    assert_eq!(renew.len(), 2);
    assert!(renew[1].body.text_at("TerminationTime").starts_with("2001-09-09T02:04:"));
    assert_eq!(camera.count("CreatePullPointSubscription"), 1);
}

#[tokio::test]
async fn a_camera_that_takes_one_form_of_the_time_alone_gets_it() {
    for (is_taken, forms) in [
        ((|wanted: &str| wanted.ends_with('Z')) as fn(&str) -> bool, 2),
        (|wanted: &str| wanted.starts_with("PT"), 1),
        (|wanted: &str| wanted.is_empty(), 3),
    ] {
        let camera = EventCamera::start(move |asked, _| {
            let is_refused = made(asked) && !is_taken(asked.body.text_at("InitialTerminationTime"));
            is_refused.then(|| (500, fault("wsntw:UnacceptableInitialTerminationTimeFault", "")))
        })
        .await;
        let mut listener = camera.listen();
        listener.listening().await;
        assert_eq!(camera.count("CreatePullPointSubscription"), forms);
        camera.hub.say(motion(true));
        listener.hears(Trigger::Motion, Signal::Begins).await;
    }
}

#[tokio::test]
async fn times_that_are_absent_or_nonsense_count_as_a_minute() {
    stop_the_clock();
    for times in [
        "",
        "<CurrentTime>0000-00-00T00:00:00Z</CurrentTime><TerminationTime>0000-00-00T00:00:00Z</TerminationTime>",
        "<CurrentTime>2026-01-01T00:00:00Z</CurrentTime><TerminationTime>1970-01-01T00:00:00Z</TerminationTime>",
        "<CurrentTime>yesterday</CurrentTime><TerminationTime>tomorrow</TerminationTime>",
    ] {
        let camera = EventCamera::start(move |asked, hub| {
            made(asked).then(|| {
                let number = hub.subscribe(600);
                (200, hub.made(&hub.address(number), times))
            })
        })
        .await;
        let mut listener = camera.listen();
        listener.listening().await;
        pass(47).await;
        assert_eq!(camera.count("Renew"), 0, "{times}");
        pass(2).await;
        assert_eq!(camera.count("Renew"), 1, "{times}");
        assert_eq!(camera.count("CreatePullPointSubscription"), 1, "{times}");
    }
}

#[tokio::test]
async fn a_short_life_is_renewed_no_more_often_than_each_48_seconds() {
    stop_the_clock();
    let camera = EventCamera::start(|asked, hub| match &*asked.action {
        // Whatever the life that it tells, this camera does not end it.
        "CreatePullPointSubscription" => {
            let number = hub.subscribe(3600);
            Some((200, hub.made(&hub.address(number), &hub.times(20))))
        }
        _ => granting(asked, hub, 20),
    })
    .await;
    let mut listener = camera.listen();
    listener.listening().await;
    // The other form of the time is tried once.
    assert_eq!(camera.count("Renew"), 1);
    pass(480).await;
    let count = camera.count("Renew");
    assert!((9..=11).contains(&count), "{count} renewals");
    assert_eq!(camera.count("CreatePullPointSubscription"), 1);
}

#[tokio::test]
async fn a_subscription_that_cannot_be_renewed_is_replaced_before_it_ends() {
    stop_the_clock();
    for (action, answer) in [("faults", Some((500, fault("ter:Action", "no")))), ("stays", None)] {
        let camera = EventCamera::start(move |asked, hub| {
            (asked.action == "Renew").then(|| {
                let first = "<TerminationTime>2001-09-09T01:56:40Z</TerminationTime>";
                let stays = format!(
                    "<b:RenewResponse>{first}<CurrentTime>{}</CurrentTime></b:RenewResponse>",
                    hub.time(0)
                );
                answer.clone().unwrap_or((200, stays))
            })
        })
        .await;
        let mut listener = camera.listen();
        listener.listening().await;
        pass(478).await;
        assert_eq!(camera.count("CreatePullPointSubscription"), 1, "{action}");
        pass(5).await;
        assert_eq!(camera.count("CreatePullPointSubscription"), 2, "{action}");
        listener.listening().await;
        assert_eq!(camera.count("Unsubscribe"), 0, "{action}: it may end every client's");
        camera.hub.say(motion(true));
        listener.hears(Trigger::Motion, Signal::Begins).await;
        pass(470).await;
        assert_eq!(camera.count("CreatePullPointSubscription"), 2, "{action}");
    }
}

#[tokio::test]
async fn pulls_may_make_it_longer_where_renewals_do_not() {
    stop_the_clock();
    let camera = EventCamera::start(|asked, hub| match &*asked.action {
        "CreatePullPointSubscription" => {
            let number = hub.subscribe(100_000);
            Some((200, hub.made(&hub.address(number), &hub.times(600))))
        }
        "Renew" => Some((500, fault("ter:ActionNotSupported", ""))),
        "PullMessages" => {
            Some((200, format!("<PullMessagesResponse>{}</PullMessagesResponse>", hub.times(600))))
        }
        _ => None,
    })
    .await;
    let mut listener = camera.listen();
    listener.listening().await;
    pass(1500).await;
    assert_eq!(camera.count("CreatePullPointSubscription"), 1);
}

#[tokio::test]
async fn a_camera_that_forgets_is_asked_again_at_once_and_then_seldom() {
    stop_the_clock();
    let camera = EventCamera::usual().await;
    let mut listener = camera.listen();
    listener.listening().await;
    until(|| camera.count("PullMessages") == 1).await;
    camera.hub.forget();
    listener.listening().await;
    assert_eq!(camera.count("CreatePullPointSubscription"), 2, "at once");
    until(|| camera.count("PullMessages") == 2).await;
    camera.hub.say(motion(true));
    listener.hears(Trigger::Motion, Signal::Begins).await;
    for _ in 0..600 {
        camera.hub.forget();
        pass(1).await;
    }
    let count = camera.count("CreatePullPointSubscription");
    assert!((10..=30).contains(&count), "{count} subscriptions in 10 minutes");
    while listener.hears.try_recv().is_ok() {}
    pass(60).await;
    listener.listening().await;
    camera.hub.say(motion(false));
    listener.hears(Trigger::Motion, Signal::Ends).await;
}

#[tokio::test]
async fn a_camera_that_holds_no_more_is_asked_again_after_a_while() {
    stop_the_clock();
    let camera = EventCamera::start(|asked, hub| {
        let is_full = hub.began.elapsed() < Duration::from_secs(30);
        let fault = "<s:Fault><s:Code><s:Value>s:Receiver</s:Value></s:Code><s:Reason><s:Text>full</s:Text></s:Reason>\
                     <s:Detail><wsntw:SubscribeCreationFailedFault/></s:Detail></s:Fault>";
        (made(asked) && is_full).then(|| (500, fault.into()))
    })
    .await;
    let onvif = camera.camera.onvif();
    let error = Listener::new(Arc::clone(&onvif)).ended().await;
    assert_eq!(error.kind, Kind::Other, "the agent tries again soon");
    let said = error.source.unwrap().to_string();
    assert!(said.contains("SubscribeCreationFailedFault"), "{said}");
    // The next listener waits for the camera, not for a second refusal.
    let mut listener = Listener::new(onvif);
    pass(38).await;
    assert_eq!(camera.count("CreatePullPointSubscription"), 1);
    pass(24).await;
    listener.listening().await;
    assert_eq!(camera.count("CreatePullPointSubscription"), 2);
}

#[tokio::test]
async fn a_camera_that_starts_refuses_no_login() {
    for status in [500, 503, 429] {
        let camera = EventCamera::start(move |_, _| Some((status, String::new()))).await;
        for input in [1, 2] {
            let http = camera.camera.fake.http_as("root", "right");
            let options = Options { input, ..Options::default() };
            let onvif = Onvif::new(http, DEVICE_PATH, None, options);
            let error = Listener::new(onvif).ended().await;
            assert_eq!(error.kind, Kind::Other, "{status}, input {input}");
        }
    }
}

#[tokio::test]
async fn it_is_ended_when_the_last_listener_leaves() {
    let camera = EventCamera::usual().await;
    let onvif = camera.camera.onvif();
    let mut one = Listener::new(Arc::clone(&onvif));
    one.listening().await;
    let mut other = Listener::new(Arc::clone(&onvif));
    other.listening().await;
    drop(one.hears);
    patiently(one.task).await.unwrap();
    other.listening().await;
    assert_eq!((camera.count("Unsubscribe"), camera.hub.live()), (0, 1));
    drop(other.hears);
    patiently(other.task).await.unwrap();
    assert_eq!((camera.count("Unsubscribe"), camera.hub.live()), (1, 0));
    // One that does not lead leaves while the other one listens.
    let mut leads = Listener::new(Arc::clone(&onvif));
    leads.listening().await;
    let mut follows = Listener::new(Arc::clone(&onvif));
    follows.listening().await;
    drop(follows.hears);
    patiently(follows.task).await.unwrap();
    assert_eq!((camera.count("Unsubscribe"), camera.hub.live()), (1, 1));
    drop(leads.hears);
    patiently(leads.task).await.unwrap();
    // One that is no longer asked to listen leaves as well.
    let mut third = Listener::new(onvif);
    third.listening().await;
    third.task.abort();
    until(|| camera.count("Unsubscribe") == 3).await;
    assert_eq!(camera.count("CreatePullPointSubscription"), 3);
}

#[tokio::test]
async fn it_outlives_a_connection_that_breaks() {
    let broken = Arc::new(Mutex::new(false));
    let is_broken = Arc::clone(&broken);
    let camera = EventCamera::start(move |asked, _| {
        let is_refused = asked.action == "PullMessages" && *is_broken.lock().unwrap();
        is_refused.then(|| (401, fault("ter:NotAuthorized", "")))
    })
    .await;
    let onvif = camera.camera.onvif();
    let mut listener = Listener::new(Arc::clone(&onvif));
    listener.listening().await;
    until(|| camera.count("PullMessages") == 1).await;
    *broken.lock().unwrap() = true;
    camera.hub.say(motion(true));
    listener.hears(Trigger::Motion, Signal::Begins).await;
    assert_eq!(listener.ended().await.kind, Kind::Refused);
    assert_eq!((camera.count("Unsubscribe"), camera.hub.live()), (0, 1));
}

#[tokio::test]
async fn a_listener_that_nobody_hears_returns_and_a_later_one_is_told_what_is_held() {
    let camera = EventCamera::usual().await;
    let onvif = camera.camera.onvif();
    let mut one = Listener::new(Arc::clone(&onvif));
    one.listening().await;
    let mut other = Listener::new(Arc::clone(&onvif));
    other.listening().await;
    drop(other.hears);
    patiently(other.task).await.unwrap();
    camera.hub.say(motion(true));
    one.hears(Trigger::Motion, Signal::Begins).await;
    let mut third = Listener::new(onvif);
    third.listening().await;
    third.hears(Trigger::Motion, Signal::Begins).await;
    // The camera says nothing again, as its subscription goes on.
    drop(one.hears);
    patiently(one.task).await.unwrap();
    third.listening().await;
    third.hears(Trigger::Motion, Signal::Begins).await;
    assert_eq!(camera.count("CreatePullPointSubscription"), 1);
}
