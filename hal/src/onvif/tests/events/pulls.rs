//! Asking for messages.

use super::*;

#[tokio::test]
async fn one_pull_at_a_time_waits_for_a_minute() {
    stop_the_clock();
    let camera = EventCamera::usual().await;
    let mut listener = camera.listen();
    listener.listening().await;
    until(|| camera.count("PullMessages") == 1).await;
    pass(200).await;
    assert_eq!(camera.count("PullMessages"), 4);
    assert_eq!(camera.hub.state.lock().unwrap().waiting.1, 1);
    let pull = &camera.camera.calls("PullMessages")[0].body;
    assert_eq!((pull.text_at("Timeout"), pull.text_at("MessageLimit")), ("PT60S", "32"));
    assert_eq!(camera.count("SetSynchronizationPoint"), 1);
    camera.hub.say(motion(true));
    listener.hears(Trigger::Motion, Signal::Begins).await;
}

#[tokio::test]
async fn a_camera_that_answers_late_is_waited_for() {
    stop_the_clock();
    let camera = EventCamera::start(|asked, _| {
        // It says nothing at all.
        (asked.action == "PullMessages").then(|| (998, String::new()))
    })
    .await;
    let mut listener = camera.listen();
    listener.listening().await;
    pass(70).await;
    assert_eq!(camera.count("PullMessages"), 1, "the answer may come until 15 s after its time");
    pass(160).await;
    assert_eq!(listener.ended().await.kind, Kind::Timeout);
    assert_eq!(camera.count("PullMessages"), 3);
}

#[tokio::test]
async fn empty_answers_that_come_at_once_are_paused_after() {
    stop_the_clock();
    let camera = EventCamera::start(|asked, hub| {
        let messages: String = hub.state.lock().unwrap().messages.drain(..).collect();
        (asked.action == "PullMessages").then(|| (200, pulled(&messages)))
    })
    .await;
    let mut listener = camera.listen();
    listener.listening().await;
    pass(30).await;
    let count = camera.count("PullMessages");
    assert!((20..=41).contains(&count), "{count} pulls in 30 s");
    camera.hub.say(motion(true));
    pass(1).await;
    listener.hears(Trigger::Motion, Signal::Begins).await;
}

#[tokio::test]
async fn a_camera_that_never_stops_telling_is_slowed_down() {
    stop_the_clock();
    let camera = EventCamera::start(|asked, _| {
        (asked.action == "PullMessages").then(|| (200, pulled(&motion(false))))
    })
    .await;
    let mut listener = camera.listen();
    listener.listening().await;
    pass(10).await;
    let count = camera.count("PullMessages");
    assert!(count <= 120, "{count} pulls in 10 s");
}

#[tokio::test]
async fn a_connection_that_is_closed_is_an_empty_answer() {
    stop_the_clock();
    let camera = EventCamera::start(|asked, hub| {
        let mut state = hub.state.lock().unwrap();
        let answer = match &*asked.action {
            "PullMessages" if state.messages.is_empty() => Some((999, String::new())),
            "PullMessages" => Some((200, pulled(&state.messages.drain(..).collect::<String>()))),
            _ => None,
        };
        drop(state);
        answer
    })
    .await;
    let mut listener = camera.listen();
    listener.listening().await;
    pass(3).await;
    camera.hub.say(motion(true));
    pass(1).await;
    listener.hears(Trigger::Motion, Signal::Begins).await;
    assert_eq!(camera.count("CreatePullPointSubscription"), 1);
    // One that does nothing else is broken.
    pass(15).await;
    let error = listener.ended().await;
    assert_eq!(error.kind, Kind::Other);
    let count = camera.count("PullMessages");
    assert!(count <= 20, "{count}");
}

#[tokio::test]
async fn a_camera_that_wants_shorter_pulls_gets_them() {
    let camera = EventCamera::start(|asked, _| {
        let is_long = asked.body.text_at("Timeout") == "PT60S";
        let fault = "<s:Fault><s:Code><s:Value>s:Sender</s:Value></s:Code><s:Detail><tev:PullMessagesFaultResponse>\
                     <tev:MaxTimeout>PT30S</tev:MaxTimeout></tev:PullMessagesFaultResponse></s:Detail></s:Fault>";
        (asked.action == "PullMessages" && is_long).then(|| (400, fault.into()))
    })
    .await;
    let mut listener = camera.listen();
    listener.listening().await;
    camera.hub.say(motion(true));
    listener.hears(Trigger::Motion, Signal::Begins).await;
    assert_eq!(camera.count("CreatePullPointSubscription"), 1);
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_none() {
    stop_the_clock();
    let camera = EventCamera::start(|asked, _| {
        let long = || pulled(&motion(true).repeat(5000));
        (asked.action == "PullMessages").then(|| (200, long()))
    })
    .await;
    let mut listener = camera.listen();
    listener.listening().await;
    pass(20).await;
    assert!(listener.is_silent());
    assert_eq!(listener.ended().await.kind, Kind::Other);
}
