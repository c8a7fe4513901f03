//! Servers that turn a publisher away: to a login, or to another server.

use super::*;

/// A server that refuses each connection as `refusals` say in turn, and takes the one after.
/// Returns the outcome and the applications that were asked for.
async fn turned_away(
    address: &str,
    refusals: &[(&str, Option<&str>)],
) -> (Result<Publisher, PublishError>, Vec<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = listener.local_addr().unwrap().to_string();
    let url = RtmpUrl::parse(&address.replace("HERE", &here)).unwrap();
    let apps = std::sync::Mutex::new(Vec::new());
    let server = async {
        let mut refusals = refusals.iter();
        loop {
            let (io, _) = listener.accept().await.unwrap();
            let caller = server::meet(io, ServerLimits::default()).await.unwrap();
            apps.lock().unwrap().push(caller.app().to_owned());
            match refusals.next() {
                Some((description, place)) => {
                    let place = place.map(|place| place.replace("HERE", &here));
                    caller.refuse(description, place.as_deref()).await.unwrap();
                }
                None => {
                    let mut session = caller.accept().await.unwrap();
                    session.publish().await.unwrap();
                    session.accept().await.unwrap();
                }
            }
        }
    };
    let published = tokio::select! {
        published = async { Publisher::connect(&url, &Options::default()).await } => published,
        () = server => unreachable!("the server never ends"),
    };
    (published, apps.into_inner().unwrap())
}

#[tokio::test]
async fn a_login_is_proved_over_further_connections() {
    let ask = ("[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ", None);
    let challenge =
        ("[ authmod=adobe ] : ?reason=needauth&user=me&salt=s&challenge=c&opaque=o", None);
    let failed = ("[ authmod=adobe ] : ?reason=authfailed&opaque=o", None);
    let (published, apps) = turned_away("rtmp://me:secret@HERE/live/x", &[ask, challenge]).await;
    published.unwrap();
    assert_eq!(apps[..2], ["live", "live?authmod=adobe&user=me"]);
    assert!(apps[2].starts_with("live?authmod=adobe&user=me&challenge="), "{apps:?}");

    let all = [ask, challenge, failed, ask];
    let (refused, apps) = turned_away("rtmp://me:secret@HERE/live?vhost=v/x", &all).await;
    let error = refused.unwrap_err();
    assert!(matches!(error, PublishError::Login { .. }), "{error}");
    assert!(error.to_string().contains("does not take the user name or the password"), "{error}");
    assert!(!format!("{error} {error:?}").contains("secret"));
    assert_eq!(apps.len(), 3, "asked once: {apps:?}");
    assert_eq!(apps[1], "live?vhost=v&authmod=adobe&user=me");

    let (refused, apps) = turned_away("rtmp://HERE/live/x", &all).await;
    assert!(matches!(refused, Err(PublishError::Login { .. })), "{refused:?}");
    assert_eq!(apps.len(), 1);
}

#[tokio::test]
async fn one_redirect_is_followed_and_no_second() {
    let away = |place| ("moved", Some(place));
    let address = "rtmp://HERE/live/x?token=1";
    let (published, apps) = turned_away(address, &[away("rtmp://HERE/edge")]).await;
    published.unwrap();
    assert_eq!(apps, ["live", "edge"]);
    let (refused, apps) =
        turned_away(address, &[away("rtmp://HERE/a"), away("rtmp://HERE/b")]).await;
    assert!(matches!(refused, Err(PublishError::Refused { .. })), "{refused:?}");
    assert_eq!(apps, ["live", "a"]);
    for place in ["http://HERE/live", "file:///etc/passwd", "rtmp://a:b@HERE/live", "HERE"] {
        let (refused, apps) = turned_away(address, &[away(place)]).await;
        let error = refused.unwrap_err();
        assert!(
            matches!(&error, PublishError::Refused { description, .. } if description == "moved")
        );
        assert_eq!(apps.len(), 1, "{place}");
    }
    // A redirect to a server that asks for the login.
    let ask = ("[ code=403 need auth; authmod=llnw ]", None);
    let challenge = ("[ authmod=llnw ] : ?reason=needauth&user=me&nonce=n", None);
    let all = [away("rtmp://HERE/edge"), ask, challenge];
    let (published, apps) = turned_away("rtmp://me:secret@HERE/live/x", &all).await;
    published.unwrap();
    assert_eq!(apps[..3], ["live", "edge", "edge?authmod=llnw&user=me"]);
    assert!(apps[3].contains("&nonce=n&cnonce="), "{apps:?}");
}

#[tokio::test]
async fn the_secrets_of_a_redirect_are_known_as_long_as_the_publisher_lives() {
    let place = ("moved", Some("rtmp://HERE/edge/x?token=redirected-secret-4711"));
    let (published, _) = turned_away("rtmp://HERE/live/x", &[place]).await;
    let published = published.unwrap();
    // More secrets than stay known without a holder.
    for n in 0..100 {
        learn(&format!("another-secret-{n:03}"));
    }
    let said = mask("no token redirected-secret-4711");
    assert!(!said.contains("4711"), "{said}");
    drop(published);
}

#[tokio::test]
async fn a_redirect_may_be_the_answer_to_publish() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = listener.local_addr().unwrap();
    let url = RtmpUrl::parse(&format!("rtmp://{here}/live/x")).unwrap();
    let next = async || {
        let (io, _) = listener.accept().await.unwrap();
        let mut session = server::accept(io, ServerLimits::default()).await.unwrap();
        let request = session.publish().await.unwrap();
        (session, request)
    };
    let server = async {
        let (mut session, _) = next().await;
        let place =
            Value::Object(vec![("redirect".into(), format!("rtmp://{here}/edge").as_str().into())]);
        let members = [("code", "NetConnection.Connect.Rejected".into()), ("ex", place)];
        let status = Value::Object(members.map(|(name, value)| (name.to_owned(), value)).into());
        let said = amf::encode(&["onStatus".into(), 0.0.into(), Value::Null, status]);
        session.say(kind::COMMAND, &said.into()).await.unwrap();
        let (mut session, request) = next().await;
        session.accept().await.unwrap();
        request
    };
    let options = Options::default();
    let (published, request) = tokio::join!(Publisher::connect(&url, &options), server);
    published.unwrap();
    assert_eq!((request.app.as_str(), request.key.as_str()), ("edge", "x"));
}

#[tokio::test]
async fn a_redirect_leads_nowhere_that_the_cloud_may_not_name() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = listener.local_addr().unwrap();
    let url = RtmpUrl::parse(&format!("rtmp://{here}/live/x")).unwrap();
    let rule = Some(AddressRule::for_cloud("127.0.0.1"));
    let options = Options { rule, ..Options::default() };
    for host in ["[::1]", "127.0.0.2", "169.254.169.254", "0.0.0.0"] {
        let server = async {
            let (io, _) = listener.accept().await.unwrap();
            let caller = server::meet(io, ServerLimits::default()).await.unwrap();
            let place = format!("rtmp://{host}:{}/live", here.port());
            caller.refuse("moved", Some(&place)).await.unwrap();
        };
        let (published, ()) = tokio::join!(Publisher::connect(&url, &options), server);
        let error = published.unwrap_err();
        assert!(matches!(error, PublishError::Forbidden { .. }), "{host}: {error}");
    }
}
