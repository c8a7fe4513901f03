//! The firmware that the cloud offers and hosts.

use super::record::{Client, Reply};
use super::*;

const IMAGE: &[u8] = b"0123456789";

async fn asked(fake: &mut FakeDevice, seq: u64) -> Value {
    fake.send(json!({ "req": "GetFirmware", "seq": seq })).await;
    fake.packet().await
}

async fn part(cloud: &CloudSim, path: &str, head: &str) -> Option<Reply> {
    Client::connect(cloud).await.request("GET", path, head, b"").await
}

async fn hosting() -> (CloudSim, String) {
    let cloud = cloud().await;
    cloud.host_firmware("2.0", "fw.img", IMAGE, Some(b"signed")).unwrap();
    let path = cloud.firmware().path;
    (cloud, path)
}

fn set(cloud: &CloudSim, firmware: FirmwareFaults) {
    cloud.set_faults(Faults { firmware, ..Faults::default() });
}

#[tokio::test]
async fn a_page_hosts_an_image_with_its_signature_and_offers_it() {
    let cloud = cloud().await;
    let mut fake = FakeDevice::login(&cloud, "a").await;
    let nothing = json!({ "firmware_model": "", "url": "" });
    assert_eq!(asked(&mut fake, 0).await["resp"], nothing);
    let mut client = Client::connect(&cloud).await;
    let image = vec![7; 300 << 10]; // More than any other body of the page.
    let put =
        client.request("PUT", "/api/firmware/image?name=fw%201.img", "", &image).await.unwrap();
    assert_eq!((put.status, put.json()["bytes"].as_u64()), (200, Some(image.len() as u64)));
    let put = client.request("PUT", "/api/firmware/signature", "", b"signed").await.unwrap();
    assert_eq!((put.status, put.json()["signature_bytes"].as_u64()), (200, Some(6)));
    let offered = post(&cloud, "/api/firmware", json!({ "firmware_model": "2.0" })).await;
    assert_eq!((offered.0, &offered.1["firmware_model"]), (200, &json!("2.0")));
    let answer = asked(&mut fake, 1).await;
    assert_eq!(answer["resp"]["firmware_model"], "2.0");
    let path = cloud.firmware().path;
    assert_eq!(answer["resp"]["url"], format!("http://{}{path}", cloud.http_addr()));
    assert!(path.ends_with("/fw1.img"), "{path}");
    assert_eq!(client.request("GET", &path, "", b"").await.unwrap().body, image);
    let signature = client.request("GET", &format!("{path}.minisig?a=b"), "", b"").await.unwrap();
    assert_eq!((signature.status, &*signature.body), (200, &b"signed"[..]));

    let elsewhere = json!({ "firmware_model": "3", "url": "https://b/fw" });
    post(&cloud, "/api/firmware", elsewhere).await;
    assert_eq!(asked(&mut fake, 2).await["resp"]["url"], "https://b/fw");
    set(&cloud, FirmwareFaults { refuse: Some(1), ..FirmwareFaults::default() });
    assert_eq!(asked(&mut fake, 3).await["err"]["code"], 1);
    cloud.set_faults(Faults::default());
    assert_eq!(client.request("DELETE", "/api/firmware", "", b"").await.unwrap().status, 200);
    assert_eq!(asked(&mut fake, 4).await["resp"], nothing);
    assert_eq!(part(&cloud, &path, "").await.unwrap().status, 404);
    let long = vec![0; (64 << 10) + 1];
    let long = client.request("PUT", "/api/firmware/signature", "", &long).await.unwrap();
    assert_eq!(long.status, 413);
    let other = "origin: http://evil.example\r\n";
    let other = client.request("PUT", "/api/firmware/image", other, b"x").await.unwrap();
    assert_eq!(other.status, 403);
}

#[tokio::test]
async fn a_download_may_go_on_where_it_ended() {
    let (cloud, path) = hosting().await;
    let whole = part(&cloud, &path, "").await.unwrap();
    assert_eq!((whole.status, &*whole.body), (200, IMAGE));
    assert!(whole.head.contains("accept-ranges: bytes"), "{}", whole.head);
    let etag = whole.head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
    let rest =
        part(&cloud, &path, &format!("range: bytes=4-\r\nif-range: {etag}\r\n")).await.unwrap();
    assert_eq!((rest.status, &*rest.body), (206, &b"456789"[..]));
    assert!(rest.head.contains("content-range: bytes 4-9/10"), "{}", rest.head);
    let other = part(&cloud, &path, "range: bytes=4-\r\nif-range: \"other\"\r\n").await.unwrap();
    assert_eq!((other.status, other.body.len()), (200, 10));
    let beyond = part(&cloud, &path, "range: bytes=10-\r\n").await.unwrap();
    assert_eq!(beyond.status, 416);
    assert!(beyond.head.contains("content-range: bytes */10"), "{}", beyond.head);
    let head = status_and_length(&cloud, &path).await;
    assert_eq!(head, (200, Some(10)));
    let requests = cloud.firmware().requests;
    let told: Vec<_> = requests.iter().map(|r| (r.status, &*r.range, r.sent)).collect();
    assert_eq!(told[..2], [(200, "", 10), (206, "bytes=4-", 6)]);
    assert_eq!(told[3..], [(416, "bytes=10-", 0), (200, "", 0)]);
}

/// What a HEAD request is answered.
async fn status_and_length(cloud: &CloudSim, path: &str) -> (u16, Option<u64>) {
    let (status, head, _) = http(cloud, "HEAD", path, "", "").await;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    (status, length.and_then(|length| length.parse().ok()))
}

#[tokio::test]
async fn the_image_is_served_as_the_faults_say() {
    let (cloud, path) = hosting().await;
    let off = FirmwareFaults::default;
    set(&cloud, FirmwareFaults { ignore_range: true, ..off() });
    let whole = part(&cloud, &path, "range: bytes=4-\r\n").await.unwrap();
    assert_eq!((whole.status, whole.body.len()), (200, 10));
    set(&cloud, FirmwareFaults { range_off: -3, ..off() });
    let moved = part(&cloud, &path, "range: bytes=4-\r\n").await.unwrap();
    assert_eq!((moved.status, &*moved.body), (206, &b"123456789"[..]));
    set(&cloud, FirmwareFaults { cut_after: Some(3), ..off() });
    assert!(part(&cloud, &path, "").await.is_none());
    assert_eq!(cloud.firmware().requests.last().unwrap().sent, 3);
    set(&cloud, FirmwareFaults { length_off: 5, ..off() });
    assert!(part(&cloud, &path, "").await.is_none());
    assert_eq!(status_and_length(&cloud, &path).await, (200, Some(15)));
    set(&cloud, FirmwareFaults { chunked: true, ..off() });
    let (_, head, body) = http(&cloud, "GET", &path, "", "").await;
    assert!(head.contains("transfer-encoding: chunked") && body.contains("0123456789"), "{head}");
    set(&cloud, FirmwareFaults { damage_at: Some(2), ..off() });
    assert_eq!(&part(&cloud, &path, "").await.unwrap().body[..4], b"01\xcd3");
    set(&cloud, FirmwareFaults { new_etag: true, ..off() });
    let etags =
        [part(&cloud, &path, "").await.unwrap().head, part(&cloud, &path, "").await.unwrap().head];
    assert_ne!(etags[0].split("etag: ").nth(1), etags[1].split("etag: ").nth(1));
    set(&cloud, FirmwareFaults { bytes_per_second: Some(50), ..off() });
    let began = Instant::now();
    assert_eq!(part(&cloud, &path, "").await.unwrap().body, IMAGE);
    assert!(began.elapsed() >= Duration::from_millis(200));
    let image = StepFault::times(1, RecordFault::Redirect("http://b/fw".into()));
    let signature = StepFault::always(RecordFault::Status(404));
    set(&cloud, FirmwareFaults { image, signature, ..off() });
    let elsewhere = part(&cloud, &path, "").await.unwrap();
    assert!(elsewhere.status == 307 && elsewhere.head.contains("location: http://b/fw"));
    assert_eq!(part(&cloud, &path, "").await.unwrap().status, 200);
    assert_eq!(part(&cloud, &format!("{path}.minisig"), "").await.unwrap().status, 404);
}
