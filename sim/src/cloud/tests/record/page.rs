//! The data of the page of recordings, and the replay of a segment.

use super::*;

const FIRST: &[u8] = include_bytes!("../../../../tests/fixtures/h264_0.ts");
const SECOND: &[u8] = include_bytes!("../../../../tests/fixtures/h264_1.ts");
const HEVC_TS: &[u8] = include_bytes!("../../../../tests/fixtures/hevc.ts");
const BEGIN: i64 = 1_700_000_000_000_000;

/// Stores `body` as two seconds that begin `start` seconds after [`BEGIN`].
async fn upload(client: &mut Client, start: u64, body: &[u8]) -> String {
    let form = format!(
        "op=create&size={}&start={}.000000&duration=2.000000",
        body.len(),
        1_700_000_000 + start
    );
    let made = client.call("s", &form).await.unwrap();
    assert_eq!(client.put(&made.text("uri"), body).await.unwrap().status, 200);
    made.text("name")
}

/// The decode time of the first fragment of each track, and the sum of all durations of the first track.
fn times(mp4: &[u8]) -> ([u64; 2], u64) {
    let (mut starts, mut sum, mut rest) = ([u64::MAX; 2], 0, mp4);
    while !rest.is_empty() {
        let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        let (one, tail) = rest.split_at(length);
        if &one[4..8] == b"moof" {
            let at = |name: &[u8; 4]| one.windows(4).position(|w| w == name).unwrap() + 4;
            let word = |at: usize| u32::from_be_bytes(one[at..at + 4].try_into().unwrap());
            let track = word(at(b"tfhd") + 4) as usize - 1;
            let time = u64::from_be_bytes(one[at(b"tfdt") + 4..][..8].try_into().unwrap());
            starts[track] = starts[track].min(time);
            sum += if track == 0 { u64::from(word(at(b"trun") + 12)) } else { 0 };
        }
        rest = tail;
    }
    (starts, sum)
}

#[tokio::test]
async fn segments_become_mp4_that_joins_on_the_time_of_the_session() {
    let cloud = cloud().await;
    let mut client = Client::connect(&cloud).await;
    let first = upload(&mut client, 5, FIRST).await;
    let second = upload(&mut client, 7, SECOND).await;
    let mut begins = Vec::new();
    for name in [first, second] {
        let path = format!("/replay/s/{name}?origin_us={BEGIN}");
        let reply = client.request("GET", &path, "", b"").await.unwrap();
        assert_eq!(reply.status, 200);
        assert!(reply.head.contains("content-type: video/mp4; codecs=\"avc1."), "{}", reply.head);
        assert!(reply.head.contains("mp4a.40.2"), "{}", reply.head);
        assert_eq!(&reply.body[4..8], b"ftyp");
        let ([video, audio], sum) = times(&reply.body);
        assert_eq!(sum, 180_000, "pictures fill the duration that was announced");
        assert!(audio.abs_diff(video) < 9000, "{audio} beside {video}");
        begins.push(video);
    }
    assert_eq!(begins, [5 * 90_000, 7 * 90_000]);
}

#[tokio::test]
async fn h265_is_named_so_that_the_page_can_say_whether_it_plays() {
    let cloud = cloud().await;
    let mut client = Client::connect(&cloud).await;
    let name = upload(&mut client, 0, HEVC_TS).await;
    let path = format!("/replay/s/{name}?origin_us={BEGIN}");
    let reply = client.request("GET", &path, "", b"").await.unwrap();
    assert!(reply.head.contains("codecs=\"hvc1.1.6.l60.90, mp4a.40.2\""), "{}", reply.head);
}

#[tokio::test]
async fn what_cannot_be_replayed_is_refused_with_a_reason() {
    let cloud = cloud().await;
    let mut client = Client::connect(&cloud).await;
    let name = upload(&mut client, 0, b"no segment at all").await;
    for (path, status) in [
        (format!("/replay/s/{name}?origin_us={BEGIN}"), 415),
        (format!("/replay/s/{name}?origin_us={}", BEGIN + 1), 400),
        (format!("/replay/s/{name}"), 400),
        ("/replay/s/s-000009.ts?origin_us=0".into(), 404),
        (format!("/replay/other/{name}?origin_us=0"), 404),
    ] {
        let reply = client.request("GET", &path, "", b"").await.unwrap();
        assert_eq!(reply.status, status, "{path}");
        assert!(!reply.body.is_empty(), "{path}");
    }
}

#[tokio::test]
async fn the_page_is_told_what_is_irregular() {
    let cloud = cloud().await;
    assert_eq!(get(&cloud, "/api/recordings/s").await.0, 404);
    let mut client = Client::connect(&cloud).await;
    for (start, body) in [(0, b"a"), (2, b"b"), (6, b"c"), (6, b"c"), (7, b"d")] {
        upload(&mut client, start, body).await;
    }
    client.call("s", "op=stat&dropped_nb=2&dropped_time=4").await.unwrap();
    client.call("s", "op=save&name=x").await.unwrap();
    let (status, _, body) = get(&cloud, "/api/recordings/s").await;
    let view: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, view["total"].as_u64()), (200, Some(5)));
    assert_eq!(view["counts"], json!({ "gap": 1, "duplicate": 1, "overlap": 1 }));
    let gap = json!({
        "kind": "gap", "from_us": BEGIN + 4_000_000, "to_us": BEGIN + 6_000_000,
        "names": ["s-000001.ts", "s-000002.ts"],
    });
    assert_eq!(view["spans"][0], gap);
    assert_eq!(view["segments"][0]["kept"], true);
    assert_eq!(view["drops"], json!([{ "dropped": 2, "seconds": 4.0 }]));
    assert_eq!(view["violations"][0]["rule"], "unknown_name");
    assert!(!body.contains("token"), "addresses are secrets");

    let (_, _, list) = get(&cloud, "/api/recordings").await;
    let list: Value = serde_json::from_str(&list).unwrap();
    let counts = ["segments", "stored", "bytes", "dropped", "violations"].map(|key| &list[0][key]);
    assert_eq!(counts, [&json!(5), &json!(5), &json!(5), &json!(2), &json!(1)]);
    assert_eq!(list[0]["end_us"], BEGIN + 9_000_000);
}

#[tokio::test]
async fn the_bytes_of_a_segment_can_be_fetched() {
    let cloud = cloud().await;
    let mut client = Client::connect(&cloud).await;
    let name = upload(&mut client, 0, FIRST).await;
    let path = format!("/api/recordings/s/{name}");
    let reply = client.request("GET", &path, "", b"").await.unwrap();
    assert!(reply.head.contains("content-type: video/mp2t"));
    assert_eq!(reply.body, FIRST);
    assert_eq!(client.request("GET", "/api/recordings/s/x", "", b"").await.unwrap().status, 404);
}

#[tokio::test]
async fn pages_of_other_sites_see_no_recordings() {
    let cloud = cloud().await;
    let mut client = Client::connect(&cloud).await;
    let name = upload(&mut client, 0, FIRST).await;
    let foreign = "origin: http://evil.example\r\n";
    for path in ["/api/recordings".to_owned(), format!("/replay/s/{name}?origin_us=0")] {
        assert_eq!(client.request("GET", &path, foreign, b"").await.unwrap().status, 403);
    }
}

#[tokio::test]
async fn faults_of_recordings_are_set_like_any_other() {
    let cloud = cloud().await;
    let fault =
        json!({ "record": { "not_now": true, "put": { "fault": { "status": 503 }, "times": 3 } } });
    let (status, all) = post(&cloud, "/api/faults", fault).await;
    assert_eq!((status, &all["record"]["put"]["times"]), (200, &json!(3)));
    assert!(cloud.faults().record.not_now);
    assert_eq!(cloud.faults().record.put, StepFault::times(3, RecordFault::Status(503)));
    let wrong = json!({ "record": { "put": { "fault": "rain" } } });
    assert_eq!(post(&cloud, "/api/faults", wrong).await.0, 422);
}
