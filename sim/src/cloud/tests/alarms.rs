//! The alarms of a device with their pictures, and its previews.

use super::record::{Client, Reply};
use super::*;

const JPEG: &[u8] = b"\xff\xd8\xff\xe0 a picture \xff\xd9";

fn faults(alarm: AlarmFaults) -> Faults {
    Faults { alarm, ..Faults::default() }
}

/// Reports an alarm and returns the answer's `resp` or `err`.
async fn report(fake: &mut FakeDevice, seq: u64, state: &str) -> Value {
    let params = json!({ "channel": 1, "type": 4, "state": state, "desc": "a <b>gate</b>" });
    fake.send(json!({ "req": "AlarmNotify", "params": params, "seq": seq })).await;
    let mut answer = fake.packet().await;
    assert_eq!(answer["seq"], seq);
    answer.as_object_mut().unwrap().remove("seq");
    answer
}

fn path(cloud: &CloudSim, answer: &Value, name: &str) -> String {
    let url = answer["resp"][name].as_str().unwrap();
    url.strip_prefix(&format!("http://{}", cloud.http_addr())).expect("an address here").to_owned()
}

async fn send(client: &mut Client, path: &str, body: &[u8]) -> Option<Reply> {
    client.request("POST", path, "content-type: image/jpeg\r\n", body).await
}

#[tokio::test]
async fn an_alarm_is_listed_with_the_picture_that_was_sent_to_its_address() {
    let cloud = cloud().await;
    let mut fake = FakeDevice::login(&cloud, "a b").await;
    let start = report(&mut fake, 0, "start").await;
    let end = report(&mut fake, 1, "end").await;
    let (start, end) =
        (path(&cloud, &start, "pic_upload_url"), path(&cloud, &end, "pic_upload_url"));
    assert!(start != end && start.len() == "/alarm/".len() + 32);
    let mut client = Client::connect(&cloud).await;
    for _ in 0..2 {
        assert_eq!(send(&mut client, &start, JPEG).await.unwrap().status, 200);
    }
    let plain = client.request("PUT", &end, "", b"no JPEG").await.unwrap();
    assert_eq!(plain.status, 200);

    let device = cloud.device("a b");
    let alarms = timeout(LONG, device.wait_alarms(|alarms| alarms.len() == 2)).await.unwrap();
    let picture = alarms[0].picture.clone().unwrap();
    assert_eq!(cloud.picture(&picture.id).unwrap(), JPEG);
    assert!(!alarms[1].picture.as_ref().unwrap().jpeg);

    let (status, _, body) = get(&cloud, "/api/devices/a%20b/alarms").await;
    let rows: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (status, &rows[0]["state"], &rows[1]["state"]),
        (200, &json!("end"), &json!("start"))
    );
    let told = (&rows[1]["number"], &rows[1]["channel"], &rows[1]["type"], &rows[1]["desc"]);
    assert_eq!(told, (&json!(1), &json!(1), &json!(4), &json!("a <b>gate</b>")));
    let shown = &rows[1]["picture"];
    assert_eq!(
        (&shown["posts"], &shown["jpeg"], &shown["kept"]),
        (&json!(2), &json!(true), &json!(true))
    );
    assert_eq!(
        (&shown["content_type"], &shown["bytes"]),
        (&json!("image/jpeg"), &json!(JPEG.len()))
    );
    assert!(!body.contains(&start[7..]), "the address is a secret of the device");
    let picture =
        client.request("GET", &format!("/api/pictures/{}", picture.id), "", b"").await.unwrap();
    assert_eq!((picture.status, &*picture.body), (200, JPEG));
    assert!(picture.head.contains("content-type: image/jpeg") && picture.head.contains("nosniff"));
    assert_eq!(get(&cloud, "/api/pictures/0").await.0, 404);
    assert_eq!(get(&cloud, "/api/devices/nobody/alarms").await.0, 404);
}

#[tokio::test]
async fn a_picture_is_bounded_and_needs_an_address_that_was_given() {
    let cloud = cloud().await;
    let mut fake = FakeDevice::login(&cloud, "a").await;
    let answer = report(&mut fake, 0, "start").await;
    let path = path(&cloud, &answer, "pic_upload_url");
    let mut client = Client::connect(&cloud).await;
    let most = vec![0; 2 << 20];
    assert_eq!(send(&mut client, &path, &most).await.unwrap().status, 200);
    assert_eq!(send(&mut client, "/alarm/0", JPEG).await.unwrap().status, 404);
    assert_eq!(send(&mut client, "/preview/0", JPEG).await.unwrap().status, 404);
    let much = format!("POST {path} HTTP/1.1");
    assert_eq!(status_by(&cloud, &much, "content-length: 2097153\r\n").await, 413);
    assert_eq!(status_by(&cloud, &much, "").await, 411);
    assert_eq!(cloud.device("a").alarms()[0].picture.as_ref().unwrap().posts, 1);
}

/// The status of a request without a body.
async fn status_by(cloud: &CloudSim, line: &str, head: &str) -> u16 {
    let mut stream = TcpStream::connect(cloud.http_addr()).await.unwrap();
    let request = format!("{line}\r\nhost: a\r\nconnection: close\r\n{head}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(LONG, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer[9..12].parse().unwrap()
}

#[tokio::test]
async fn alarms_are_answered_as_the_faults_say() {
    let cloud = cloud().await;
    let mut fake = FakeDevice::login(&cloud, "a").await;
    cloud.set_faults(faults(AlarmFaults { no_url: true, ..AlarmFaults::default() }));
    assert_eq!(report(&mut fake, 0, "start").await, json!({ "resp": { "pic_upload_url": "" } }));
    let url = Some("ftp://elsewhere".to_owned());
    cloud.set_faults(faults(AlarmFaults { url, ..AlarmFaults::default() }));
    assert_eq!(report(&mut fake, 1, "start").await["resp"]["pic_upload_url"], "ftp://elsewhere");
    cloud.set_faults(faults(AlarmFaults { refuse: Some(103), ..AlarmFaults::default() }));
    assert_eq!(report(&mut fake, 2, "start").await["err"]["code"], 103);
    cloud.set_faults(faults(AlarmFaults { delay_ms: 300, ..AlarmFaults::default() }));
    let began = Instant::now();
    report(&mut fake, 3, "start").await;
    assert!(began.elapsed() >= Duration::from_millis(300));
    let wanted: Vec<bool> = cloud.device("a").alarms().iter().map(|alarm| alarm.wanted).collect();
    assert_eq!(wanted, [false, true, false, true]);
}

#[tokio::test]
async fn pictures_meet_the_faults_that_are_on() {
    let cloud = cloud().await;
    let mut fake = FakeDevice::login(&cloud, "a").await;
    let answer = report(&mut fake, 0, "start").await;
    let path = path(&cloud, &answer, "pic_upload_url");
    let mut client = Client::connect(&cloud).await;
    let meets =
        |fault| faults(AlarmFaults { picture: StepFault::times(1, fault), ..Default::default() });
    for status in [403, 500] {
        cloud.set_faults(meets(RecordFault::Status(status)));
        assert_eq!(send(&mut client, &path, JPEG).await.unwrap().status, status);
    }
    cloud.set_faults(meets(RecordFault::Hop(307)));
    let hop = send(&mut client, &path, JPEG).await.unwrap();
    assert!(hop.status == 307 && hop.head.contains(&format!("location: {path}?hop=1")), "{hop:?}");
    cloud.set_faults(meets(RecordFault::Reset));
    assert!(send(&mut client, &path, JPEG).await.is_none());
    assert!(cloud.device("a").alarms()[0].picture.is_none(), "nothing was kept");
    let mut client = Client::connect(&cloud).await;
    cloud.set_faults(meets(RecordFault::Slow(100)));
    let began = Instant::now();
    assert_eq!(send(&mut client, &path, JPEG).await.unwrap().status, 200);
    assert!(began.elapsed() >= Duration::from_millis(100));
    assert_eq!(send(&mut client, &path, JPEG).await.unwrap().status, 200);
    assert_eq!(cloud.device("a").alarms()[0].picture.as_ref().unwrap().posts, 2);
    assert_eq!(cloud.faults(), Faults::default(), "counted down to none");
}

#[tokio::test]
async fn previews_are_taken_where_they_are_wanted() {
    let cloud = cloud().await;
    let mut fake = FakeDevice::login(&cloud, "a").await;
    fake.send(json!({ "req": "preview_server", "seq": 0 })).await;
    assert_eq!(fake.packet().await["resp"]["url"], "");
    let answers = json!({ "previews": true });
    assert_eq!(post(&cloud, "/api/answers", answers).await.0, 200);
    fake.send(json!({ "req": "preview_server", "seq": 1 })).await;
    let path = path(&cloud, &fake.packet().await, "url");
    let mut client = Client::connect(&cloud).await;
    for _ in 0..2 {
        assert_eq!(send(&mut client, &path, JPEG).await.unwrap().status, 200);
    }
    let previews = timeout(LONG, cloud.device("a").wait_previews(2)).await.unwrap();
    assert_eq!(cloud.picture(&previews[1].id).unwrap(), JPEG);
    let (_, _, body) = get(&cloud, "/api/devices/a/previews").await;
    let rows: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((rows[0]["posts"].as_u64(), rows.as_array().unwrap().len()), (Some(2), 2));
    cloud.set_answers(Answers { preview_url: "http://b/p".into(), ..Answers::default() });
    fake.send(json!({ "req": "preview_server", "seq": 2 })).await;
    assert_eq!(fake.packet().await["resp"]["url"], "http://b/p");
}
