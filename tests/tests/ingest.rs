//! What deployed RTMP servers ask of a publisher.
#![allow(clippy::unwrap_used, clippy::panic)] // Helpers fail the test they help.

use ivt_base::address_rule::FORBIDDEN;
use ivt_sim::cloud::{Authmod, CloudOptions, CloudSim, Faults, FirstMetadata, RtmpQuirks};
use ivt_tests::{Plan, Stage, soon};

/// A stage whose RTMP server has these quirks.
async fn stage(rtmp_quirks: RtmpQuirks) -> Stage {
    let faults = Faults { rtmp_quirks, ..Faults::default() };
    let cloud = CloudOptions { faults, ..CloudOptions::default() };
    Plan { cloud, ..Plan::default() }.start().await
}

#[tokio::test]
async fn sound_reaches_servers_that_believe_the_first_metadata() {
    for first_metadata in [FirstMetadata::Drop, FirstMetadata::HangUp] {
        let stage = stage(RtmpQuirks { first_metadata, ..RtmpQuirks::default() }).await;
        // The camera is opened for the first publish, and its sound is known for the second.
        for id in ["cold", "warm"] {
            stage.publish(0, id).await.unwrap();
            let stream = stage.cloud.stream(id);
            let both = |info: &ivt_sim::cloud::StreamInfo| info.frames > info.video_frames + 10;
            let info = soon("picture and sound", stream.wait_for(both)).await;
            assert_eq!((info.video, info.audio), (Some("H.264"), Some("AAC")));
            assert!(info.live && info.publishes == 1, "{first_metadata:?}: {info:?}");
            stage.stop(0, id).await.unwrap();
        }
    }
}

#[tokio::test]
async fn addresses_without_a_second_segment_or_with_an_early_query_are_published_to() {
    let stage = stage(RtmpQuirks::default()).await;
    for (path, key) in [
        ("/live?vhost=v&token=t/one", "one"),
        ("/two?user=a&pass=b", "two"),
        ("/three", "three"),
        ("/?token=t", "nameless"),
    ] {
        let url = format!("rtmp://{}{path}", stage.cloud.rtmp_addr());
        stage.publish_to(0, key, &url).await.unwrap_or_else(|error| panic!("{path}: {error}"));
        soon(path, stage.cloud.stream(key).wait_frames(10)).await;
        stage.stop(0, key).await.unwrap();
    }
}

#[tokio::test]
async fn a_login_that_the_server_asks_for_is_that_of_the_address() {
    for authmod in [Authmod::Adobe, Authmod::Llnw] {
        let (user, password) = ("encoder".to_owned(), "canary-word".to_owned());
        let stage = stage(RtmpQuirks { authmod, user, password, ..RtmpQuirks::default() }).await;
        let to =
            |login: &str, id: &str| format!("rtmp://{login}{}/live/{id}", stage.cloud.rtmp_addr());
        stage.publish_to(0, "s", &to("encoder:canary-word@", "s")).await.unwrap();
        soon("frames", stage.cloud.stream("s").wait_frames(10)).await;
        stage.stop(0, "s").await.unwrap();
        for login in ["encoder:canary-other@", "other:canary-word@", ""] {
            let error = stage.publish_to(0, "t", &to(login, "t")).await.unwrap_err();
            assert_eq!(error.code, 1, "{error}");
            let says =
                if login.is_empty() { "asks for a login" } else { "does not take the user name" };
            assert!(error.msg.contains(says) && !error.msg.contains("canary"), "{error}");
        }
        assert_eq!(stage.cloud.stream("t").info().publishes, 0);
    }
}

#[tokio::test]
async fn a_redirect_is_followed_once() {
    let edge = CloudSim::start(CloudOptions::default()).await.unwrap();
    let redirect = Some(format!("rtmp://{}/live", edge.rtmp_addr()));
    let stage = stage(RtmpQuirks { redirect, ..RtmpQuirks::default() }).await;
    stage.publish(0, "s").await.unwrap();
    soon("frames at the other server", edge.stream("s").wait_frames(10)).await;
    stage.stop(0, "s").await.unwrap();
    for place in [stage.cloud.rtmp_url(""), format!("http://{}/live", edge.http_addr())] {
        let rtmp_quirks = RtmpQuirks { redirect: Some(place), ..RtmpQuirks::default() };
        stage.cloud.set_faults(Faults { rtmp_quirks, ..Faults::default() });
        let error = stage.publish(0, "t").await.unwrap_err();
        assert!(error.code == 1 && error.msg.contains("NetConnection.Connect.Rejected"), "{error}");
    }
    // Redirects obey the rule for addresses that the cloud names.
    let redirect = Some(format!("rtmp://[::1]:{}/live", edge.rtmp_addr().port()));
    let rtmp_quirks = RtmpQuirks { redirect, ..RtmpQuirks::default() };
    stage.cloud.set_faults(Faults { rtmp_quirks, ..Faults::default() });
    let error = stage.publish(0, "u").await.unwrap_err();
    assert!(error.code == 1 && error.msg.contains(FORBIDDEN), "{error}");
    assert_eq!(edge.stream("u").info().publishes, 0);
}

#[tokio::test]
async fn a_refusal_at_the_level_of_a_status_is_the_answer() {
    let refuse_status = Some("NetStream.Publish.BadName".to_owned());
    let stage = stage(RtmpQuirks { refuse_status, ..RtmpQuirks::default() }).await;
    let error = stage.publish(0, "s").await.unwrap_err();
    let said = "NetStream.Publish.BadName refused on request, at the level of a status";
    assert!(error.code == 1 && error.msg.contains(said), "{error}");
}

#[tokio::test]
async fn what_else_servers_say_first_holds_nothing_up() {
    let quirks =
        RtmpQuirks { onbwcheck: true, amf3: true, message_bytes: 102_400, ..RtmpQuirks::default() };
    let stage = stage(quirks).await;
    stage.publish(0, "s").await.unwrap();
    soon("frames", stage.cloud.stream("s").wait_frames(30)).await;
    stage.stop(0, "s").await.unwrap();
    for (message_bytes, taken) in [(128_000, true), (128 << 10, false), (1 << 20, false)] {
        let rtmp_quirks = RtmpQuirks { message_bytes, ..RtmpQuirks::default() };
        stage.cloud.set_faults(Faults { rtmp_quirks, ..Faults::default() });
        let name = message_bytes.to_string();
        let published = stage.publish(0, &name).await;
        assert_eq!(published.as_ref().err().map(|error| error.code), (!taken).then_some(1));
        stage.stop(0, &name).await.unwrap();
    }
}
