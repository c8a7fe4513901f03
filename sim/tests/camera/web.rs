//! The camera's own web server.

use std::net::SocketAddr;
use std::time::Duration;

use http_auth::{PasswordClient, PasswordParams};
use ivt_sim::camera::{
    CameraOptions, CameraSim, Credentials, Scheme, WebCounters, WebFault, WebFaultRule,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::DEADLINE;
use crate::player::channel;

async fn camera(credentials: Option<(&str, &str)>, scheme: Scheme) -> CameraSim {
    let credentials = credentials
        .map(|(user, password)| Credentials { user: user.into(), password: password.into() });
    let options = CameraOptions::new(vec![channel("main", "sub")]);
    CameraSim::start(CameraOptions { credentials, scheme, ..options }).await.unwrap()
}

/// Head and body of the answer to a GET on a connection of its own.
async fn get(address: SocketAddr, target: &str, head: &str) -> (String, Vec<u8>) {
    let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{head}\r\n");
    let answer = say(address, request.as_bytes()).await;
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    (String::from_utf8(answer[..end].to_vec()).unwrap(), answer[end + 4..].to_vec())
}

async fn say(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    timeout(DEADLINE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    answer
}

#[tokio::test]
async fn an_open_camera_answers_and_logs_what_reached_it() {
    let camera = camera(None, Scheme::Digest).await;
    let (head, body) =
        get(camera.http_addr(), "/uapi-cgi/param.fcgi?action=list&group=BRAND", "").await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("text/plain"), "{head}");
    assert!(String::from_utf8(body).unwrap().contains("BRAND.Product.shortname=NS202HD\n"));
    let (head, body) = get(camera.http_addr(), "/nvc-cgi/operator/snapshot.fcgi", "").await;
    assert!(head.contains("image/jpeg") && body.starts_with(b"\xff\xd8"), "{head}");
    let (head, _) = get(camera.http_addr(), "/../etc/passwd", "").await;
    assert!(head.starts_with("HTTP/1.1 404 Not Found"), "{head}");
    say(camera.http_addr(), b"GET /a b\r\n\r\n").await;

    let counted = WebCounters {
        connections: 4,
        requests: 4,
        unauthorized: 0,
        not_found: 1,
        malformed: 1,
        streams: 0,
    };
    assert_eq!(camera.web_counters(), counted);
    let log: Vec<_> = camera.web_requests().into_iter().map(|r| (r.target, r.status)).collect();
    assert_eq!(log[2], ("/../etc/passwd".to_owned(), 404), "as it was on the wire");
    assert_eq!(log[3], ("GET /a b\\r".to_owned(), 400));
}

#[tokio::test]
async fn two_requests_on_one_connection_are_two() {
    let camera = camera(None, Scheme::Digest).await;
    let smuggled = b"GET /x HTTP/1.1\r\n\r\nGET /uapi-cgi/netinfo.cgi HTTP/1.0\r\n\r\n";
    let answers = String::from_utf8(say(camera.http_addr(), smuggled).await).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 ").count(), 2, "{answers}");
    assert_eq!((camera.web_counters().connections, camera.web_counters().requests), (1, 2));
}

#[tokio::test]
async fn a_login_is_asked_for_by_basic_or_digest() {
    let target = "/uapi-cgi/param.fcgi?action=list&group=VERSION";
    for scheme in [Scheme::Basic, Scheme::Digest] {
        let camera = camera(Some(("admin", "s3,c=r\"t")), scheme).await;
        let (head, _) = get(camera.http_addr(), target, "").await;
        assert!(head.starts_with("HTTP/1.1 401 "), "{head}");
        let challenge = head.lines().find_map(|l| l.strip_prefix("WWW-Authenticate: ")).unwrap();
        for (password, uri, status) in [
            ("s3,c=r\"t", target, "200"),
            ("wrong", target, "401"),
            ("s3,c=r\"t", "/elsewhere", if scheme == Scheme::Digest { "401" } else { "200" }),
        ] {
            let mut client = PasswordClient::try_from(challenge).unwrap();
            let params =
                PasswordParams { username: "admin", password, uri, method: "GET", body: None };
            let header = format!("Authorization: {}\r\n", client.respond(&params).unwrap());
            let (head, _) = get(camera.http_addr(), target, &header).await;
            assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{scheme:?} {uri}: {head}");
        }
    }
}

#[tokio::test]
async fn an_update_changes_what_is_listed() {
    let camera = camera(None, Scheme::Digest).await;
    let update = "/uapi-cgi/param.fcgi?action=update&group=SYSTEM.Datetime.Tz&name=Europe%2FParis";
    assert_eq!(get(camera.http_addr(), update, "").await.1, b"#200|OK\n");
    assert_eq!(camera.parameter("SYSTEM.Datetime.Tz.name").as_deref(), Some("Europe/Paris"));
    let list = "/nvc-cgi/admin/param.fcgi?action=list&group=SYSTEM.Datetime.Tz";
    let body = get(camera.http_addr(), list, "").await.1;
    assert!(body.starts_with(b"SYSTEM.Datetime.Tz.name=Europe/Paris\n"));
}

#[tokio::test]
async fn faults_are_for_the_requests_named() {
    let camera = camera(None, Scheme::Digest).await;
    let rule = |path: &str, fault| WebFaultRule { path: path.into(), fault };
    camera.set_web_faults(vec![
        rule("snapshot", WebFault::Status(500)),
        rule("netinfo", WebFault::Close),
        rule("reporthm", WebFault::Hang),
    ]);
    let (head, _) = get(camera.http_addr(), "/uapi-cgi/snapshot.fcgi", "").await;
    assert!(head.starts_with("HTTP/1.1 500 Internal Server Error"), "{head}");
    assert!(
        say(camera.http_addr(), b"GET /uapi-cgi/netinfo.cgi HTTP/1.1\r\n\r\n").await.is_empty()
    );
    let (head, _) = get(camera.http_addr(), "/uapi-cgi/datetime.cgi?action=get", "").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");

    let mut stream = TcpStream::connect(camera.http_addr()).await.unwrap();
    stream.write_all(b"GET /uapi-cgi/reporthm.cgi HTTP/1.1\r\n\r\n").await.unwrap();
    timeout(DEADLINE, camera.wait_web(|web| web.requests == 4)).await.unwrap();
    let silent = timeout(Duration::from_millis(50), stream.read_u8()).await;
    assert!(silent.is_err(), "{silent:?}");
}

#[tokio::test]
async fn an_answer_of_four_gigabytes_ends_when_the_client_leaves() {
    let camera = camera(None, Scheme::Digest).await;
    for fault in [WebFault::Huge, WebFault::Endless] {
        camera.set_web_faults(vec![WebFaultRule { path: String::new(), fault }]);
        let mut stream = TcpStream::connect(camera.http_addr()).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut some = vec![0; 1 << 20];
        timeout(DEADLINE, stream.read_exact(&mut some)).await.unwrap().unwrap();
    }
    camera.set_web_faults(Vec::new());
    assert!(get(camera.http_addr(), "/", "").await.0.starts_with("HTTP/1.1 404"));
}

#[tokio::test]
async fn a_reboot_takes_the_web_server_along() {
    let camera = camera(None, Scheme::Digest).await;
    let address = camera.http_addr();
    let mut stream = TcpStream::connect(address).await.unwrap();
    timeout(DEADLINE, camera.wait_web(|web| web.connections == 1)).await.unwrap();
    camera.reboot(Duration::from_millis(200));
    assert_eq!(timeout(DEADLINE, stream.read(&mut [0])).await.unwrap().unwrap_or(0), 0);
    let back = async {
        while TcpStream::connect(address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(DEADLINE, back).await.unwrap();
    assert_eq!(camera.http_addr(), address);
}
