//! The answers of a healthy service, and what it keeps and notices.

use super::*;

#[tokio::test]
async fn a_recording_is_stored_and_confirmed_over_one_connection() {
    let cloud = cloud().await;
    assert_eq!(cloud.record_url("s 1").path(), "/record/s%201");
    let recording = cloud.recording("s 1");
    let mut client = Client::connect(&cloud).await;
    let first = client.upload("s%201", 1_700_000_000, b"abc", "&discontinue=0").await;
    let more = format!("&discontinue=0&last_file_name={}", first.replace(' ', "+"));
    let second = client.upload("s%201", 1_700_000_010, &[7; 300_000], &more).await;
    let save = format!("op=save&name={}", second.replace(' ', "%20"));
    let saved = client.call("s%201", &save).await.unwrap();
    assert_eq!((saved.status, saved.json()), (200, json!({})));

    let info = recording.wait_segments(2).await;
    assert_eq!(info.violations, []);
    let states: Vec<_> = info.segments.iter().map(|s| (s.name.as_str(), s.state)).collect();
    let (confirmed, name) = (SegmentState::Confirmed, |name: &'static str| name);
    assert_eq!(states, [(name("s 1-000000.ts"), confirmed), (name("s 1-000001.ts"), confirmed)]);
    let sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(info.segments[0].sha256.as_deref(), Some(sum));
    assert_eq!(info.segments[1].start_us, 1_700_000_010_000_000);
    assert_eq!((info.segments[1].received, info.segments[1].puts), (300_000, 1));
    assert_eq!(info.calls, Calls { create: 2, put: 2, save: 1, ..Calls::default() });
    assert_eq!(cloud.object(&second).unwrap(), [7; 300_000][..]);
    assert_eq!(cloud.recordings().len(), 1);
}

#[tokio::test]
async fn not_now_is_an_answer_without_a_name() {
    let cloud = with_faults(RecordFaults { not_now: true, ..RecordFaults::default() }).await;
    let mut client = Client::connect(&cloud).await;
    let made = client.create("s", 0, 3, "").await.unwrap();
    assert_eq!((made.status, made.json()), (200, json!({ "name": "", "uri": "" })));
    cloud.set_faults(Faults::default());
    client.upload("s", 10, b"abc", "").await;
    let info = cloud.recording("s").info();
    assert_eq!((info.segments.len(), info.calls.create, info.calls.not_now), (1, 2, 1));
    assert_eq!(info.violations, []);
}

#[tokio::test]
async fn drops_and_the_time_are_told() {
    let cloud = cloud().await;
    let mut client = Client::connect(&cloud).await;
    let stat = client.call("s", "op=stat&dropped_nb=3&dropped_time=30.5").await.unwrap();
    assert_eq!(stat.status, 200);
    assert_eq!(cloud.recording("s").info().drops, [DropReport { dropped: 3, seconds: 30.5 }]);
    let told = client.call("s", "op=getcurrenttime").await.unwrap().json();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let off = told["currenttime"].as_f64().unwrap() - now.as_secs_f64();
    assert!(off.abs() < LONG.as_secs_f64(), "{off}");
}

#[tokio::test]
async fn errors_say_why() {
    let cloud = cloud().await;
    let mut client = Client::connect(&cloud).await;
    for (form, status, info) in [
        ("op=dance", 400, "\"dance\""),
        ("op=create&size=x&start=0&duration=1", 400, "size"),
        ("op=save&name=nobody", 404, "nobody"),
        ("op=fail&name=nobody", 404, "nobody"),
    ] {
        let refused = client.call("s", form).await.unwrap();
        assert_eq!(refused.status, status, "{form}");
        assert!(refused.text("info").contains(info), "{refused:?}");
    }
    let info = cloud.recording("s").info();
    assert_eq!((info.calls.malformed, info.violations.len()), (2, 4));
    let long = client.call(&"s".repeat(257), "op=getcurrenttime").await.unwrap();
    assert_eq!(long.status, 404);
    let form = format!("op=save&name={}", "x".repeat(65 << 10));
    assert_eq!(client.call("s", &form).await.unwrap().status, 413);
}

#[tokio::test]
async fn the_object_store_checks_address_type_and_length() {
    let cloud = cloud().await;
    let mut client = Client::connect(&cloud).await;
    let uri = client.create("s", 0, 3, "").await.unwrap().text("uri");
    let wrong = uri.replace("token=", "token=0");
    let missing = uri.replace("000000.ts", "000009.ts");
    assert_eq!(client.put(&wrong, b"abc").await.unwrap().status, 403);
    assert_eq!(client.put(&missing, b"abc").await.unwrap().status, 404);
    assert_eq!(cloud.recording("s").info().calls.put, 0, "nobody's");
    let path = uri.split_once(&client.host).unwrap().1.to_owned();
    let untyped = client.request("PUT", &path, "", b"abc").await.unwrap();
    assert_eq!(untyped.status, 403);
    let rules: Vec<_> = cloud.recording("s").info().violations.iter().map(|v| v.rule).collect();
    assert_eq!(rules, [Rule::ContentType]);

    let mut other = Client::connect(&cloud).await;
    let head = "content-type: video/mp2t\r\n";
    let claim =
        format!("PUT {path} HTTP/1.1\r\nhost: x\r\n{head}content-length: 99999999999\r\n\r\n");
    other.stream.write_all(claim.as_bytes()).await.unwrap();
    assert_eq!(other.reply().await.unwrap().status, 413);
    let mut other = Client::connect(&cloud).await;
    let chunked = format!(
        "PUT {path} HTTP/1.1\r\nhost: x\r\n{head}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    );
    other.stream.write_all(chunked.as_bytes()).await.unwrap();
    assert_eq!(other.reply().await.unwrap().status, 411);
    assert_eq!(cloud.object("s-000000.ts"), None);
    assert_eq!(client.put(&uri, b"abc").await.unwrap().status, 200);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_not_stored() {
    let cloud = cloud().await;
    let mut client = Client::connect(&cloud).await;
    let uri = client.create("s", 0, 3, "").await.unwrap().text("uri");
    let path = uri.split_once(&client.host).unwrap().1.to_owned();
    let head = "content-type: video/mp2t\r\ncontent-length: 3\r\n";
    let half = format!("PUT {path} HTTP/1.1\r\nhost: x\r\n{head}\r\na");
    client.stream.write_all(half.as_bytes()).await.unwrap();
    let recording = cloud.recording("s");
    timeout(LONG, recording.wait_for(|info| info.calls.put == 1)).await.unwrap();
    drop(client);
    Client::connect(&cloud).await.put(&uri, b"abc").await.unwrap();
    let info = recording.info();
    assert_eq!((info.segments[0].puts, info.violations.len()), (1, 0));
}

#[tokio::test]
async fn addresses_lead_where_the_device_called_or_where_it_was_told() {
    let cloud = cloud().await;
    let mut client = Client::connect(&cloud).await;
    client.host = "camera-cloud.lan:81".into();
    let uri = client.create("s", 0, 3, "").await.unwrap().text("uri");
    assert!(uri.starts_with("http://camera-cloud.lan:81/store/s-000000.ts?token="), "{uri}");
    cloud.set_public_base(&"https://localhost:444".parse().unwrap());
    let uri = client.create("s", 0, 3, "").await.unwrap().text("uri");
    assert!(uri.starts_with("https://localhost:444/store/s-000001.ts?token="), "{uri}");
    assert_eq!(cloud.record_url("s").as_str(), "https://localhost:444/record/s");
}

#[tokio::test]
async fn an_address_has_our_port_where_host_has_none() {
    let cloud = cloud().await;
    let port = cloud.http_addr().port();
    let mut client = Client::connect(&cloud).await;
    for (host, base) in [
        ("camera-cloud.lan", format!("http://camera-cloud.lan:{port}/store/")),
        ("192.0.2.1:", format!("http://192.0.2.1:{port}/store/")),
        ("[::1]", format!("http://[::1]:{port}/store/")),
        ("camera-cloud.lan:80", "http://camera-cloud.lan/store/".into()),
        ("", format!("http://127.0.0.1:{port}/store/")),
    ] {
        client.host = host.into();
        let uri = client.create("s", 0, 3, "").await.unwrap().text("uri");
        assert!(uri.starts_with(&base), "{host}: {uri}");
    }
    client.host = "a/b".into();
    assert_eq!(client.create("s", 0, 3, "").await.unwrap().status, 400);
}

#[tokio::test]
async fn an_older_recorder_is_told_where_it_goes_on() {
    let cloud = cloud().await;
    let mut client = Client::connect(&cloud).await;
    let told = async |client: &mut Client| client.call("s", "op=next_dts").await.unwrap().json();
    assert_eq!(told(&mut client).await, json!({ "next_dts": 0 }));
    for start in [100, 110] {
        client.upload("s", start, b"abc", "").await;
    }
    assert_eq!(told(&mut client).await, json!({ "next_dts": 20 * 90_000 }));
    let info = cloud.recording("s").info();
    assert_eq!((info.calls.next_dts, info.calls.malformed), (2, 0));
    let refused = StepFault::times(1, RecordFault::Status(500));
    let record = RecordFaults { next_dts: refused, ..RecordFaults::default() };
    cloud.set_faults(Faults { record, ..Faults::default() });
    assert_eq!(client.call("s", "op=next_dts").await.unwrap().status, 500);
}

#[tokio::test]
async fn a_refused_segment_is_read_so_that_its_answer_arrives() {
    let expired = RecordFaults { url_seconds: Some(0), ..RecordFaults::default() };
    let cloud = with_faults(expired).await;
    let mut client = Client::connect(&cloud).await;
    let uri = client.create("s", 0, 3, "").await.unwrap().text("uri");
    // More than the buffers between us hold: it is only written if it is read.
    let body = vec![7; 30 << 20];
    for uri in [&uri, &uri.replace("token=", "token=0"), &uri.replace("000000.ts", "000009.ts")] {
        let refused = client.put(uri, &body).await.expect("an answer on the same connection");
        let expected = if uri.contains("000009") { 404 } else { 403 };
        assert_eq!(refused.status, expected, "{uri}");
    }
    assert_eq!(cloud.recording("s").info().calls.put, 0);
}

#[tokio::test]
async fn bodies_may_be_summed_or_counted_instead_of_kept() {
    for (record_bodies, summed) in [(Bodies::Sum, true), (Bodies::Count, false)] {
        let options = CloudOptions { record_bodies, ..CloudOptions::default() };
        let cloud = CloudSim::start(options).await.unwrap();
        let name = Client::connect(&cloud).await.upload("s", 0, b"abc", "").await;
        let segment = &cloud.recording("s").info().segments[0];
        assert_eq!((segment.received, segment.sha256.is_some()), (3, summed));
        assert_eq!(cloud.object(&name), None);
    }
}

#[tokio::test]
async fn old_bytes_make_room_and_their_rows_stay() {
    let options = CloudOptions { record_bytes: 5, ..CloudOptions::default() };
    let cloud = CloudSim::start(options).await.unwrap();
    let mut client = Client::connect(&cloud).await;
    let first = client.upload("s", 0, b"abc", "").await;
    let second = client.upload("s", 10, b"def", "").await;
    assert_eq!((cloud.object(&first), cloud.object(&second).unwrap().len()), (None, 3));
    assert_eq!(cloud.recording("s").info().stored().count(), 2);
}

#[tokio::test]
async fn the_sink_counts_whatever_it_is_sent() {
    let cloud = cloud().await;
    let mut client = Client::connect(&cloud).await;
    assert_eq!(client.request("PUT", "/sink/a/b.ts", "", &[0; 1000]).await.unwrap().status, 201);
    let chunked = format!(
        "PUT /sink/c.m3u8 HTTP/1.1\r\nhost: {}\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        client.host
    );
    client.stream.write_all(chunked.as_bytes()).await.unwrap();
    assert_eq!(client.reply().await.unwrap().status, 201);
    assert_eq!(cloud.sink(), SinkInfo { puts: 2, bytes: 1003 });
}
