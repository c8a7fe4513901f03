//! Where a camera's events are asked for.

use super::*;

/// What of an address is kept: the ports differ from test to test.
fn subscribed(hub: &Hub, address: &str) -> Option<(u16, String)> {
    let number = hub.subscribe(600);
    let port = hub.port.get().unwrap();
    let address = address.replace("PORT", &port.to_string()).replace("NUMBER", &number.to_string());
    Some((200, hub.made(&address, &hub.times(600))))
}

/// Whether an alarm of the camera is heard.
async fn is_heard(camera: &EventCamera) {
    let mut listener = camera.listen();
    listener.listening().await;
    camera.hub.say(motion(true));
    listener.hears(Trigger::Motion, Signal::Begins).await;
}

#[tokio::test]
async fn the_address_of_the_subscription_is_kept_but_for_its_host() {
    for address in [
        "http://127.0.0.1:PORT/onvif/events?sub=NUMBER",
        "http://10.255.255.1:PORT/onvif/events?sub=NUMBER",
        "http://127.0.0.1:PORT:PORT/x?sub=NUMBER",
        "http://0.0.0.0:PORT/event-1_2020?sub=NUMBER",
        "https://10.255.255.1/onvif/events?sub=NUMBER",
        "http://127.0.0.1:1/onvif/events?sub=NUMBER",
        "  /onvif/events?sub=NUMBER\n",
    ] {
        let camera = EventCamera::start(move |asked, hub| match &*asked.action {
            "CreatePullPointSubscription" => subscribed(hub, address),
            _ => None,
        })
        .await;
        is_heard(&camera).await;
        let pull = &camera.camera.calls("PullMessages")[0];
        assert!(pull.path.ends_with("?sub=1"), "{address}: {}", pull.path);
        let to = pull.security.text_at("To");
        let port = camera.camera.fake.port.to_string();
        assert_eq!(to, address.trim().replace("PORT", &port).replace("NUMBER", "1"));
    }
}

#[tokio::test]
async fn the_port_of_events_may_be_another_one_also_behind_a_wrong_host() {
    for host in ["127.0.0.1", "10.255.255.1"] {
        let events = EventCamera::usual().await;
        let port = events.camera.fake.port;
        let hub = Arc::clone(&events.hub);
        let camera = EventCamera::start(move |asked, _| {
            (asked.action == "CreatePullPointSubscription").then(|| {
                let number = hub.subscribe(600);
                let address = format!("http://{host}:{port}/onvif/events?sub={number}");
                (200, hub.made(&address, &hub.times(600)))
            })
        })
        .await;
        let mut listener = camera.listen();
        listener.listening().await;
        events.hub.say(motion(true));
        listener.hears(Trigger::Motion, Signal::Begins).await;
        assert_eq!(camera.count("CreatePullPointSubscription"), 1, "{host}");
    }
}

#[tokio::test]
async fn a_camera_that_denies_its_events_is_asked_for_them() {
    for (events, path) in [
        (
            "<tt:Events><tt:XAddr>http://10.255.255.1/onvif/ev</tt:XAddr><tt:WSPullPointSupport>false\
          </tt:WSPullPointSupport></tt:Events>",
            "/onvif/ev",
        ),
        ("", DEVICE_PATH),
    ] {
        let told = format!(
            "<tds:GetCapabilitiesResponse><tds:Capabilities>{events}</tds:Capabilities>\
                            </tds:GetCapabilitiesResponse>"
        );
        let camera = EventCamera::start(move |asked, _| match &*asked.action {
            "GetCapabilities" => Some((200, told.clone())),
            _ => None,
        })
        .await;
        is_heard(&camera).await;
        assert_eq!(camera.camera.calls("CreatePullPointSubscription")[0].path, path);
    }
    let camera = EventCamera::start(|asked, _| {
        let listed = "<tds:GetServicesResponse><tds:Service><tds:Namespace>http://www.onvif.org/ver10/events/wsdl\
            </tds:Namespace><tds:XAddr>http://10.255.255.1/onvif/listed</tds:XAddr></tds:Service>\
            <tds:Service><tds:Namespace>http://www.onvif.org/ver10/media/wsdl</tds:Namespace>\
            <tds:XAddr>http://10.255.255.1/onvif/media</tds:XAddr></tds:Service></tds:GetServicesResponse>";
        (asked.action == "GetServices").then(|| (200, listed.into()))
    })
    .await;
    is_heard(&camera).await;
    assert_eq!(camera.camera.calls("CreatePullPointSubscription")[0].path, "/onvif/listed");
}

#[tokio::test]
async fn reference_parameters_are_repeated_in_each_call() {
    let camera = EventCamera::start(|asked, hub| {
        let number = asked.security.text_at("SubscriptionId");
        match &*asked.action {
            "CreatePullPointSubscription" => {
                let number = hub.subscribe(600);
                let body = format!(
                    "<tev:CreatePullPointSubscriptionResponse><tev:SubscriptionReference><wsa5:Address>\
                     http://127.0.0.1:{}/onvif/services</wsa5:Address><wsa5:ReferenceParameters>\
                     <dom0:SubscriptionId>{number}</dom0:SubscriptionId></wsa5:ReferenceParameters>\
                     </tev:SubscriptionReference>{}</tev:CreatePullPointSubscriptionResponse>",
                    hub.port.get().unwrap(),
                    hub.times(600)
                );
                Some((200, format!(
                    "<?xml version='1.0'?><E:Envelope xmlns:E='x' xmlns:dom0='http://www.axis.com/2009/event'>\
                     <E:Body>{body}</E:Body></E:Envelope>"
                )))
            }
            "PullMessages" if number != "1" => Some((400, fault("ResourceUnknown", ""))),
            "PullMessages" => {
                let messages: String = hub.state.lock().unwrap().messages.drain(..).collect();
                Some((200, pulled(&messages)))
            }
            "SetSynchronizationPoint" | "Unsubscribe" => Some((200, "<xResponse/>".into())),
            _ => None,
        }
    })
    .await;
    let mut listener = camera.listen();
    listener.listening().await;
    camera.hub.say(motion(true));
    listener.hears(Trigger::Motion, Signal::Begins).await;
    drop(listener.hears);
    patiently(listener.task).await.unwrap();
    for action in ["SetSynchronizationPoint", "PullMessages", "Unsubscribe"] {
        let header =
            camera.camera.calls(action)[0].security.child("SubscriptionId").cloned().unwrap();
        assert_eq!(header.attribute("IsReferenceParameter"), Some("true"), "{action}");
        assert_eq!(header.attribute("xmlns:dom0"), Some("http://www.axis.com/2009/event"));
    }
}

#[tokio::test]
async fn calls_of_events_alone_are_addressed() {
    let camera = EventCamera::usual().await;
    is_heard(&camera).await;
    let mut seen = std::collections::HashSet::new();
    for asked in camera.camera.asked() {
        let action = match &*asked.action {
            "CreatePullPointSubscription" => {
                "http://www.onvif.org/ver10/events/wsdl/EventPortType/CreatePullPointSubscriptionRequest"
            }
            "PullMessages" => {
                "http://www.onvif.org/ver10/events/wsdl/PullPointSubscription/PullMessagesRequest"
            }
            "SetSynchronizationPoint" => {
                "http://www.onvif.org/ver10/events/wsdl/PullPointSubscription/SetSynchronizationPointRequest"
            }
            "Unsubscribe" => {
                "http://docs.oasis-open.org/wsn/bw-2/SubscriptionManager/UnsubscribeRequest"
            }
            other => {
                assert!(asked.security.child("Action").is_none(), "{other}");
                continue;
            }
        };
        assert_eq!(asked.security.text_at("Action"), action);
        assert!(
            asked.content_type.contains(&format!("action=\"{action}\"")),
            "{}",
            asked.content_type
        );
        let id = asked.security.text_at("MessageID").to_owned();
        assert!(id.len() == 45 && id.starts_with("urn:uuid:") && &id[23..24] == "4", "{id}");
        assert!(seen.insert(id), "a number that was given before");
        assert!(asked.security.child("Security").is_some(), "{}", asked.action);
    }
    assert!(seen.len() >= 3);
}
