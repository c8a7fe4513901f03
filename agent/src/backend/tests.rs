//! One channel of several backends, and its web server.

use std::sync::Mutex;

use ivt_hal::{Kind, Source, Stream};

use super::testing::{camera, described, limited, refused};
use super::*;
use crate::testing::web_server;

const RTSP: &str = "backend = 'rtsp'\nmain = 'rtsp://10.0.0.2/a'\n";
const BOTH: &str = "backend = ['rtsp', 'emulator']\nmain = 'rtsp://10.0.0.2/a'\n";

/// The port of a web server that asks for a Digest login and answers with a picture of so many
/// bytes, and the requests it was sent.
async fn server(bytes: usize) -> (u16, Arc<Mutex<Vec<String>>>) {
    let requests: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&requests);
    let port = web_server(move |request| {
        seen.lock().unwrap().push(request.to_owned());
        match request.contains("\r\nauthorization: Digest username=\"u\"") {
            true => [&b"HTTP/1.1 200 OK\r\n\r\n\xff\xd8"[..], &vec![0; bytes - 2]].concat(),
            false => b"HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm=\"c\", nonce=\"n\", \
                       qop=\"auth\"\r\nContent-Length: 0\r\n\r\n"
                .to_vec(),
        }
    });
    (port.await, requests)
}

fn with_web(port: u16) -> String {
    format!(
        "{RTSP}username = 'u'\npassword = 'p'\nweb = 'http://127.0.0.1:{port}'\nsnapshot = '/a.jpg'"
    )
}

#[tokio::test]
async fn pictures_and_commands_share_one_login() {
    let (port, requests) = server(10).await;
    let camera = limited(&with_web(port), 100);
    let (snapshot, cgi) = (camera.channel.snapshot.unwrap(), camera.cgi.unwrap());
    snapshot.jpeg(Stream::Main).await.unwrap();
    assert_eq!(cgi.get("/a", "b=1").await.unwrap().status, 200);
    snapshot.jpeg(Stream::Sub).await.unwrap();
    let requests = requests.lock().unwrap();
    assert_eq!(requests.len(), 4, "one challenge for all of them");
    for (at, request) in requests[1..].iter().enumerate() {
        assert!(request.contains(&format!("nc={:08x}", at + 1)), "{request}");
    }
}

#[tokio::test]
async fn a_picture_may_be_larger_than_an_answer_to_the_hosted_service() {
    let (port, _) = server(1000).await;
    let camera = limited(&with_web(port), 100);
    assert_eq!(camera.cgi.unwrap().get("/", "").await.unwrap_err().kind, Kind::Other);
    let picture = camera.channel.snapshot.unwrap().jpeg(Stream::Main).await;
    assert_eq!(picture.unwrap().len(), 1000);
}

#[test]
fn a_web_server_of_another_family_gives_pictures_alone() {
    let with_web = format!("{RTSP}web = 'http://h'\n");
    let both = camera(&with_web);
    assert!(both.cgi.is_some() && both.channel.snapshot.is_some());
    let none = camera(&format!("{with_web}[channel.abilities]\nsnapshot = 'none'"));
    assert!(none.channel.snapshot.is_none());
    let pictures = camera(&format!("{with_web}web_cgi = false"));
    assert!(pictures.cgi.is_none() && pictures.channel.snapshot.is_some());
}

#[test]
fn web_servers_are_told_apart_by_host_port_and_login() {
    let servers = Servers::default();
    let login = |password: &str| {
        Some(ivt_hal::Credentials { username: "u".into(), password: password.into() })
    };
    for _ in 0..2 {
        servers.client("Cam", 80, login("p"));
        servers.client("cam", 80, login("p"));
        servers.client("cam", 81, login("p"));
        servers.client("cam", 80, login("q"));
        servers.client("[::1]", 80, None);
        servers.client("::1", 80, None);
    }
    assert_eq!(servers.len(), 4);
}

#[tokio::test]
async fn each_ability_comes_from_the_first_backend_that_has_it() {
    let both = camera(BOTH).channel;
    let rtsp = async |channel: &Channel| {
        matches!(channel.encoder.source(Stream::Main).await.unwrap(), Source::Rtsp(_))
    };
    assert!(rtsp(&both).await && both.snapshot.is_some());
    let turned = camera(&BOTH.replace("'rtsp', 'emulator'", "'emulator', 'rtsp'")).channel;
    assert!(!rtsp(&turned).await && turned.snapshot.is_some());
    let chosen = format!("{BOTH}[channel.abilities]\nstreams = 'emulator'\nsnapshot = 'none'\n");
    let chosen = camera(&chosen).channel;
    assert!(!rtsp(&chosen).await && chosen.snapshot.is_none());
}

#[test]
fn a_list_of_one_is_the_word_alone() {
    assert_eq!(described(&RTSP.replace("'rtsp'", "['rtsp']")), described(RTSP));
}

#[test]
fn what_is_wrong_with_a_list_or_a_choice_is_said_with_its_line() {
    let chosen = |keys: &str| format!("{BOTH}[channel.abilities]\n{keys}");
    for (keys, want) in [
        ("backend = []".into(), ":6: channel.backend must be \"rtsp\" or \""),
        ("backend = ['emulator', 'emulator']".into(), "each once, found a word twice"),
        ("backend = ['emulator', 'canary']".into(), "each once, found another word"),
        ("backend = ['emulator', 1]".into(), "each once, found integer"),
        ("backend = 1".into(), "each once, found integer"),
        ("backend = [['rtsp']]".into(), "each once, found array"),
        (
            chosen("snapshot = 'canary'"),
            ":9: channel.abilities.snapshot must be \"rtsp\" or \"emulator\" or \"none\", found another word",
        ),
        (
            chosen("streams = 'none'"),
            ":9: channel.abilities.streams must be \"rtsp\" or \"emulator\"",
        ),
        (
            format!("{BOTH}web = 'http://h'\nsnapshot = '/a'\nabilities = {{ snapshot = 'none' }}"),
            "channel.snapshot and channel.abilities.snapshot exclude each other",
        ),
        (chosen("snapshot = 'rtsp'"), ":8: channel.abilities.snapshot: \"rtsp\" cannot do that"),
        (
            chosen("snapshto = 'none'"),
            ":9: unknown key \"snapshto\" in channel.abilities; did you mean \"snapshot\"?",
        ),
        (format!("{BOTH}abilities = 1"), ":8: channel.abilities must be a table"),
        (BOTH.replace("main", "sub"), "channel.main is missing"),
    ] {
        let error = refused(&keys);
        assert!(error.contains(want) && !error.contains("canary"), "want {want}\ngot  {error}");
    }
}

#[cfg(not(feature = "profiles"))]
#[test]
fn a_kind_that_the_program_is_built_without_is_said_to_be() {
    let error = refused("backend = 'cgi'");
    assert!(error.ends_with("this program is built without profiles"), "{error}");
}

#[cfg(not(feature = "onvif"))]
#[test]
fn a_kind_of_the_list_that_the_program_is_built_without_is_said_to_be() {
    let error = refused("backend = ['rtsp', 'onvif']");
    assert!(error.ends_with("this program is built without ONVIF"), "{error}");
}
