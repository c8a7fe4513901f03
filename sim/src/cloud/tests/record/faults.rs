//! What each fault does to a device.

use super::*;

fn put(fault: Option<StepFault>) -> RecordFaults {
    RecordFaults { put: fault, ..RecordFaults::default() }
}

fn none() -> RecordFaults {
    RecordFaults::default()
}

fn creating(fault: RecordFault) -> RecordFaults {
    RecordFaults { create: StepFault::always(fault), ..RecordFaults::default() }
}

#[tokio::test]
async fn refused_uploads_leave_the_connection_usable() {
    let cloud = with_faults(put(StepFault::times(2, RecordFault::Status(503)))).await;
    let mut client = Client::connect(&cloud).await;
    let body = vec![1; 200_000];
    let uri = client.create("s", 0, body.len(), "").await.unwrap().text("uri");
    for status in [503, 503, 200] {
        assert_eq!(client.put(&uri, &body).await.unwrap().status, status);
    }
    let info = cloud.recording("s").info();
    assert_eq!((info.segments[0].puts, info.calls.put, info.violations.len()), (1, 3, 0));
    assert_eq!(cloud.faults(), Faults::default(), "counted down to none");
}

#[tokio::test]
async fn every_step_has_faults_of_its_own() {
    let refused = || StepFault::always(RecordFault::Status(429));
    let faults = RecordFaults {
        save: refused(),
        fail: refused(),
        stat: refused(),
        getcurrenttime: refused(),
        ..RecordFaults::default()
    };
    let cloud = with_faults(faults).await;
    let mut client = Client::connect(&cloud).await;
    client.upload("s", 0, b"abc", "").await;
    for form in [
        "op=save&name=s-000000.ts",
        "op=fail&name=s-000000.ts",
        "op=stat&dropped_nb=1&dropped_time=1",
        "op=getcurrenttime",
    ] {
        let refused = client.call("s", form).await.unwrap();
        assert_eq!(
            (refused.status, refused.json()),
            (429, json!({ "info": "refused on request" }))
        );
    }
    let info = cloud.recording("s").info();
    assert_eq!(info.segments[0].state, SegmentState::Uploaded, "nothing was acted upon");
    assert_eq!((info.drops.len(), info.calls.stat), (0, 1));
}

#[tokio::test]
async fn redirects_name_the_other_place() {
    let cloud =
        with_faults(put(StepFault::always(RecordFault::Redirect("http://10.0.0.1/x".into()))))
            .await;
    let mut client = Client::connect(&cloud).await;
    let uri = client.create("s", 0, 3, "").await.unwrap().text("uri");
    let reply = client.put(&uri, b"abc").await.unwrap();
    assert_eq!(reply.status, 307);
    assert!(reply.head.contains("location: http://10.0.0.1/x\r\n"), "{}", reply.head);
}

#[tokio::test]
async fn addresses_expire() {
    let cloud = with_faults(RecordFaults { url_seconds: Some(0), ..RecordFaults::default() }).await;
    let mut client = Client::connect(&cloud).await;
    let uri = client.create("s", 0, 3, "").await.unwrap().text("uri");
    let reply = client.put(&uri, b"abc").await.unwrap();
    assert_eq!(reply.status, 403);
    assert!(reply.text("info").contains("expired"));
    cloud.set_faults(Faults {
        record: RecordFaults { url_seconds: Some(600), ..RecordFaults::default() },
        ..Faults::default()
    });
    assert_eq!(client.put(&uri, b"abc").await.unwrap().status, 200);
}

#[tokio::test]
async fn a_reset_breaks_the_upload_in_the_middle() {
    for (fault, kind) in [
        (RecordFault::Reset, Some(std::io::ErrorKind::ConnectionReset)),
        (RecordFault::Close, None),
    ] {
        let cloud = with_faults(put(StepFault::times(1, fault))).await;
        let mut client = Client::connect(&cloud).await;
        let uri = client.create("s", 0, 1000, "").await.unwrap().text("uri");
        let path = uri.split_once(&client.host).unwrap().1.to_owned();
        let head = "content-type: video/mp2t\r\ncontent-length: 1000\r\n";
        let half = format!("PUT {path} HTTP/1.1\r\nhost: x\r\n{head}\r\n{}", "a".repeat(500));
        client.stream.write_all(half.as_bytes()).await.unwrap();
        // The server waits for half of the body only.
        let end = timeout(LONG, client.stream.read(&mut [0])).await.unwrap();
        assert_eq!(end.as_ref().err().map(std::io::Error::kind), kind, "{end:?}");
        assert_eq!(cloud.recording("s").info().segments[0].puts, 0);
        let mut client = Client::connect(&cloud).await;
        assert_eq!(client.put(&uri, &[0; 1000]).await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn a_lost_answer_is_of_a_stored_segment() {
    let cloud = with_faults(put(StepFault::times(1, RecordFault::LoseAnswer))).await;
    let mut client = Client::connect(&cloud).await;
    let uri = client.create("s", 0, 3, "").await.unwrap().text("uri");
    assert!(client.put(&uri, b"abc").await.is_none());
    let info = cloud.recording("s").wait_segments(1).await;
    assert_eq!(info.segments[0].state, SegmentState::Uploaded);
    Client::connect(&cloud).await.put(&uri, b"abc").await.unwrap();
    let info = cloud.recording("s").info();
    assert_eq!((info.segments[0].puts, info.violations.len()), (2, 0));
}

#[tokio::test]
async fn a_create_whose_answer_is_lost_is_held_against_nobody() {
    let faults = RecordFaults {
        create: StepFault::times(1, RecordFault::LoseAnswer),
        ..RecordFaults::default()
    };
    let cloud = with_faults(faults).await;
    assert!(Client::connect(&cloud).await.create("s", 0, 3, "").await.is_none());
    Client::connect(&cloud).await.upload("s", 0, b"abc", "&discontinue=0").await;
    let info = cloud.recording("s").info();
    assert_eq!((info.segments[0].heard, info.segments[1].heard), (false, true));
    assert_eq!(info.violations, []);
}

#[tokio::test]
async fn wrong_answers_are_what_they_say() {
    let cloud = cloud().await;
    let mut client = Client::connect(&cloud).await;
    for (fault, body) in [
        (RecordFault::NotJson, "<html><body>It works!</body></html>"),
        (RecordFault::EmptyObject, "{}"),
        (RecordFault::NoUri, r#"{"name":"nowhere"}"#),
    ] {
        cloud.set_faults(Faults { record: creating(fault), ..Faults::default() });
        let made = client.create("s", 0, 3, "").await.unwrap();
        assert_eq!((made.status, std::str::from_utf8(&made.body).unwrap()), (200, body));
    }
    assert_eq!(cloud.recording("s").info().segments.len(), 0);
    let record = creating(RecordFault::Uri("file:///etc/passwd".into()));
    cloud.set_faults(Faults { record, ..Faults::default() });
    let made = client.create("s", 0, 3, "").await.unwrap();
    assert_eq!(made.text("uri"), "file:///etc/passwd");
    let given_up = client.call("s", &format!("op=fail&name={}", made.text("name"))).await.unwrap();
    assert_eq!(given_up.status, 200, "the name is a real one");
}

#[tokio::test]
async fn a_huge_answer_goes_on_and_on() {
    let cloud = with_faults(creating(RecordFault::Huge)).await;
    let mut client = Client::connect(&cloud).await;
    let head = client.create("s", 0, 3, "").await.unwrap();
    assert!(head.head.contains("transfer-encoding: chunked"));
    let mut some = vec![0; 4 << 20];
    timeout(LONG, client.stream.read_exact(&mut some)).await.unwrap().unwrap();
    assert!(some.iter().filter(|byte| **byte == b'a').count() > 4_000_000);
}

#[tokio::test]
async fn a_stalled_request_gets_no_answer_and_ends_with_the_cloud() {
    let cloud = with_faults(put(StepFault::always(RecordFault::Stall))).await;
    let mut client = Client::connect(&cloud).await;
    let uri = client.create("s", 0, 3, "").await.unwrap().text("uri");
    let path = uri.split_once(&client.host).unwrap().1.to_owned();
    client.send("PUT", &path, "content-type: video/mp2t\r\n", b"abc").await.unwrap();
    let recording = cloud.recording("s");
    timeout(LONG, recording.wait_for(|info| info.calls.put == 1)).await.unwrap();
    let silent = timeout(Duration::from_millis(200), client.reply()).await;
    assert!(silent.is_err(), "{silent:?}");
    cloud.stop().await;
    assert!(timeout(LONG, client.reply()).await.unwrap().is_none());
}

#[tokio::test]
async fn slow_uploads_and_answers_take_their_time() {
    let faults = RecordFaults {
        put: StepFault::always(RecordFault::Slow(10_000)),
        getcurrenttime: StepFault::always(RecordFault::Slow(100)),
        stat: StepFault::always(RecordFault::DelayMs(300)),
        ..RecordFaults::default()
    };
    let cloud = with_faults(faults).await;
    let mut client = Client::connect(&cloud).await;
    let uri = client.create("s", 0, 5000, "").await.unwrap().text("uri");
    let began = Instant::now();
    assert_eq!(client.put(&uri, &[0; 5000]).await.unwrap().status, 200);
    assert!(began.elapsed() >= Duration::from_millis(500));
    let segment = cloud.recording("s").info().segments[0].clone();
    let (put_began, put_ended) = segment.put_at.unwrap();
    assert!(put_ended - put_began >= Duration::from_millis(500));
    let began = Instant::now();
    client.call("s", "op=stat&dropped_nb=1&dropped_time=1").await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(300));
    let began = Instant::now();
    let reply = client.call("s", "op=getcurrenttime").await.unwrap();
    assert!(reply.head.contains("chunked"));
    let mut body = Vec::new();
    while !body.ends_with(b"0\r\n\r\n") {
        body.push(timeout(LONG, client.stream.read_u8()).await.unwrap().unwrap());
    }
    assert!(began.elapsed() >= Duration::from_millis(300), "30 bytes and more");
}

#[tokio::test]
async fn a_hop_leads_to_where_it_is_served() {
    let hop = || StepFault::always(RecordFault::Hop(308));
    let cloud = with_faults(RecordFaults { create: hop(), put: hop(), ..none() }).await;
    let mut client = Client::connect(&cloud).await;
    let form = "op=create&content_type=video%2Fmp2t&size=3&start=0&duration=1";
    let away = client.call("s", form).await.unwrap();
    assert_eq!(away.status, 308);
    assert!(away.head.contains("location: /record/s?hop=1\r\n"), "{}", away.head);
    let uri = client.call("s?hop=1", form).await.unwrap().text("uri");
    assert_eq!(client.put(&uri, b"abc").await.unwrap().status, 308);
    assert_eq!(client.put(&format!("{uri}&hop=1"), b"abc").await.unwrap().status, 200);
    assert_eq!(cloud.recording("s").info().violations, []);
}

#[tokio::test]
async fn stores_answer_in_their_own_ways() {
    let xml = RecordFault::Xml {
        status: 403,
        code: "RequestTimeTooSkewed".into(),
        message: "too large".into(),
        date_off: -86_400,
    };
    let busy = RecordFault::Busy { status: 503, retry_after: "7".into() };
    for (fault, status, head, body) in [
        (busy, 503, "retry-after: 7\r\n", "busy on request"),
        (xml, 403, "content-type: application/xml", "<Code>RequestTimeTooSkewed</Code>"),
        (RecordFault::Body("{\"code\":0}".into()), 200, "", "{\"code\":0}"),
        (RecordFault::Odd("OK".into()), 200, "", "OK"),
    ] {
        let cloud = with_faults(put(StepFault::times(1, fault.clone()))).await;
        let mut client = Client::connect(&cloud).await;
        let uri = client.create("s", 0, 3, "").await.unwrap().text("uri");
        let reply = client.put(&uri, b"abc").await.unwrap();
        assert_eq!(reply.status, status, "{reply:?}");
        assert!(reply.head.contains(head), "{reply:?}");
        assert!(String::from_utf8_lossy(&reply.body).contains(body), "{reply:?}");
        let done = matches!(fault, RecordFault::Odd(_));
        assert_eq!(cloud.recording("s").info().stored().count(), usize::from(done), "{fault:?}");
    }
}

#[tokio::test]
async fn members_stand_beside_an_address_in_latin_1() {
    let cloud =
        with_faults(creating(RecordFault::Beside("\"fee\":1e400,\"a\":\"\u{f6}\"".into()))).await;
    let reply = Client::connect(&cloud).await.create("s", 0, 3, "").await.unwrap();
    assert!(reply.body.starts_with(b"{\"fee\":1e400,\"a\":\"\xf6\",\"name\":"), "{reply:?}");
}

#[tokio::test]
async fn a_store_can_take_an_object_once_and_its_whole_address_only() {
    let odd_query = Some("s='|^{%2f%2F".to_owned());
    let faults = RecordFaults { stored_again: Some(412), odd_query, ..none() };
    let cloud = with_faults(faults).await;
    let mut client = Client::connect(&cloud).await;
    let uri = client.create("s", 0, 3, "").await.unwrap().text("uri");
    assert!(uri.ends_with("&s='|^{%2f%2F"), "{uri}");
    for (uri, status) in [
        (uri.replace('\'', "%27"), 403),
        (uri.replace("%2F", "%2f"), 403),
        (uri.clone(), 200),
        (uri.clone(), 412),
    ] {
        assert_eq!(client.put(&uri, b"abc").await.unwrap().status, status, "{uri}");
    }
    let info = cloud.recording("s").info();
    assert_eq!((info.segments[0].puts, info.violations.len()), (1, 0));
}
