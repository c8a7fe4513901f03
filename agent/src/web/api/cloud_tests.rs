use std::future::pending;
use std::sync::Mutex;

use futures::{SinkExt as _, StreamExt as _};
use hyper::{Method, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{ServerConfig, crypto::ring};
use tokio_tungstenite::tungstenite::Message;

use super::*;
use crate::web::testing::Bench;

const PAGE: &str = "[web]\nenable = true\n";

/// What a cloud does with its connections.
#[derive(Clone, Copy, PartialEq)]
enum Cloud {
    /// Answers Keepalives.
    Works,
    /// Refuses the login.
    Refuses,
    /// Takes the login, and closes at once.
    Closes,
    /// Speaks no HTTP.
    Mumbles,
}

/// A cloud at a port of its own, and how many logins it took at once at most.
async fn cloud(kind: Cloud, acceptor: Option<TlsAcceptor>) -> (u16, Arc<Mutex<(usize, usize)>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let logins = Arc::new(Mutex::new((0, 0)));
    let counted = Arc::clone(&logins);
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let (acceptor, logins) = (acceptor.clone(), Arc::clone(&counted));
            tokio::spawn(async move {
                match acceptor {
                    None => serve(kind, tcp, &logins).await,
                    Some(acceptor) => {
                        if let Ok(tls) = acceptor.accept(tcp).await {
                            serve(kind, tls, &logins).await;
                        }
                    }
                }
            });
        }
    });
    (port, logins)
}

async fn serve(
    kind: Cloud,
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    logins: &Mutex<(usize, usize)>,
) {
    match kind {
        Cloud::Refuses | Cloud::Mumbles => {
            let mut head = [0; 2048];
            assert!(stream.read(&mut head).await.unwrap() > 0);
            let answer =
                if kind == Cloud::Refuses { "HTTP/1.1 401 No\r\n\r\n" } else { "220 mail\r\n" };
            stream.write_all(answer.as_bytes()).await.unwrap();
            return pending().await;
        }
        Cloud::Works | Cloud::Closes => {}
    }
    // Whoever stops before the login leaves here.
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
    if kind == Cloud::Closes {
        socket.close(None).await.ok();
        return;
    }
    let count = |by: isize| {
        let (now, most) = &mut *logins.lock().unwrap();
        *now = now.checked_add_signed(by).unwrap();
        *most = (*most).max(*now);
    };
    count(1);
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        let packet: Value = serde_json::from_str(&text).unwrap();
        if packet["req"] == "Keepalive" {
            let answer = json!({ "seq": packet["seq"], "resp": {} }).to_string();
            socket.send(Message::text(answer)).await.ok();
        }
    }
    count(-1);
}

/// A certificate of its own for these names: who serves by it, and its PEM.
fn certificate(names: &[&str], until: i32) -> (TlsAcceptor, String) {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = rcgen::CertificateParams::new(names).unwrap();
    params.not_after = rcgen::date_time_ymd(until, 1, 1);
    params.not_before = rcgen::date_time_ymd(2001, 1, 1);
    let name = format!("a cloud until {until}");
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    let key = rcgen::KeyPair::generate().unwrap();
    let made = params.self_signed(&key).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.der().clone()], key.serialize_der().try_into().unwrap())
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), made.pem())
}

fn body(url: &str) -> Value {
    json!({ "url": url, "login_code": "c", "login_passwd": "Canary.t1" })
}

/// The reports of a test, each as its hop and what became of it, and the data of all of them.
async fn tried(bench: &Bench, body: &Value) -> (Vec<String>, Vec<Value>) {
    let body = body.to_string();
    let call = bench.bytes(Method::POST, "/api/v1/cloud/test", &body);
    let (status, text) = timeout(Duration::from_secs(60), call).await.unwrap();
    let text = String::from_utf8(text.to_vec()).unwrap();
    assert_eq!(status, StatusCode::OK, "{text}");
    assert!(!text.contains("Canary"), "{text}");
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let data: Vec<Value> = data.map(|data| serde_json::from_str(data).unwrap()).collect();
    let word = |told: &Value, key: &str| told[key].as_str().unwrap_or_default().to_owned();
    let settled = data.iter().filter(|told| told["state"] != "running");
    let words = settled.map(|told| match told.get("good") {
        Some(good) => format!("end {good}"),
        None => format!("{} {}{}", word(told, "hop"), word(told, "state"), word(told, "reason")),
    });
    (words.collect(), data)
}

#[tokio::test]
async fn every_hop_of_a_cloud_that_works_is_told_with_its_time() {
    let bench = Bench::start(PAGE);
    let (port, _) = cloud(Cloud::Works, None).await;
    let (words, data) = tried(&bench, &body(&format!("ws://127.0.0.1:{port}/ivc"))).await;
    assert_eq!(words, ["name good", "tcp good", "login good", "keepalive good", "end true"]);
    let tcp = data.iter().find(|told| told["hop"] == "tcp" && told["state"] == "good").unwrap();
    assert!(tcp["seconds"].is_f64() && tcp["addresses"] == json!(["127.0.0.1"]), "{tcp}");
    let file = std::fs::read_to_string(bench.folder.path().join("ivt.toml")).unwrap();
    assert_eq!(file, PAGE, "nothing is saved");
}

#[tokio::test]
async fn each_wrong_input_stops_at_its_hop() {
    let bench = Bench::start(PAGE);
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    for (kind, want) in [
        (Cloud::Refuses, "login badlogin_refused"),
        (Cloud::Mumbles, "login badno_websocket"),
        (Cloud::Closes, "login badclosed_early"),
    ] {
        let (port, _) = cloud(kind, None).await;
        let (words, _) = tried(&bench, &body(&format!("ws://127.0.0.1:{port}/ivc"))).await;
        assert_eq!(&words[words.len() - 2..], [want, "end false"], "{words:?}");
    }
    let (words, data) = tried(&bench, &body(&format!("ws://127.0.0.1:{closed}/ivc"))).await;
    assert_eq!(words, ["name good", "tcp badconnection_refused", "end false"]);
    let said = data.iter().rev().find_map(|told| told["said"].as_str()).unwrap();
    assert!(said.contains(&closed.to_string()), "{said}");
    let (words, _) = tried(&bench, &body("ws://nosuch.invalid/ivc")).await;
    assert!(words[0].starts_with("name badname_"), "{words:?}");
    assert_eq!(words.len(), 2, "{words:?}");
}

#[tokio::test]
async fn a_certificate_is_shown_or_what_is_wrong_with_it() {
    let bench = Bench::start(PAGE);
    let (acceptor, pem) = certificate(&["localhost"], 2099);
    let (port, _) = cloud(Cloud::Works, Some(acceptor)).await;
    let with = |url: String, pem: &str| {
        let mut body = body(&url);
        body["ca"] = json!(pem);
        body
    };
    let (words, data) = tried(&bench, &with(format!("wss://localhost:{port}/ivc"), &pem)).await;
    let want = ["name good", "tcp good", "tls good", "login good", "keepalive good", "end true"];
    assert_eq!(words, want);
    let tls = data.iter().find(|told| told["hop"] == "tls" && told["state"] == "good").unwrap();
    assert_eq!(tls["certificate"]["subject"], "a cloud until 2099");
    assert_eq!(tls["certificate"]["until"], "2099-01-01T00:00:00Z");

    let (words, _) = tried(&bench, &with(format!("wss://127.0.0.1:{port}/ivc"), &pem)).await;
    assert_eq!(words[2], "tls badcertificate_name");
    let (old, old_pem) = certificate(&["localhost"], 2002);
    let (words, _) = tried(&bench, &with(format!("wss://localhost:{port}/ivc"), &old_pem)).await;
    assert_eq!(words[2], "tls badcertificate_unknown");
    let (port, _) = cloud(Cloud::Works, Some(old)).await;
    let (words, _) = tried(&bench, &with(format!("wss://localhost:{port}/ivc"), &old_pem)).await;
    assert_eq!(words[2], "tls badcertificate_expired");
    let (port, _) = cloud(Cloud::Mumbles, None).await;
    let (words, _) = tried(&bench, &with(format!("wss://localhost:{port}/ivc"), &pem)).await;
    assert_eq!(words[2], "tls badno_tls");
}

#[tokio::test]
async fn a_wrong_form_is_refused_before_anything_is_tried() {
    let bench = Bench::start(PAGE);
    for (body, field) in [
        (json!({}), "cloud.url"),
        (json!({ "url": "http://h", "login_code": "c", "login_passwd": "p" }), "cloud.url"),
        (json!({ "url": "ws://h", "login_code": "", "login_passwd": "p" }), "cloud.login_code"),
        (json!({ "url": "ws://h", "login_code": "c" }), "cloud.login_passwd"),
        (json!({ "url": 1 }), "cloud.url"),
        (json!({ "url": "ws://h", "login_code": "c", "login_passwd": "p", "ca": "x" }), "ca"),
        (json!({ "url": "ws://h", "login_code": "c", "login_passwd": "p", "ca": 1 }), "ca"),
        (json!([]), "cloud.url"),
    ] {
        let (status, error) =
            bench.call(Method::POST, "/api/v1/cloud/test", &body.to_string()).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        assert_eq!(error["error"]["field"], field, "{body}: {error}");
    }
}

#[tokio::test]
async fn one_test_runs_at_a_time() {
    let bench = Bench::start(PAGE);
    let turn = Arc::clone(&bench.site.trial).try_acquire_owned().unwrap();
    let text = body("ws://127.0.0.1:9/ivc").to_string();
    let (status, error) = bench.call(Method::POST, "/api/v1/cloud/test", &text).await;
    assert_eq!((status, &error["error"]["code"]), (StatusCode::CONFLICT, &json!("test_runs")));
    drop(turn);
    tried(&bench, &body("ws://127.0.0.1:9/ivc")).await;
}

/// An agent that is logged in at this cloud.
async fn online(port: u16) -> Bench {
    let account = format!(
        "[cloud]\nurl = 'ws://127.0.0.1:{port}/ivc'\nlogin_code = 'c'\nlogin_passwd = 'Canary.t1'\n"
    );
    let bench = Bench::start(&format!("{PAGE}{account}"));
    let mut state = bench.agent.view().cloud();
    let is_online = state.wait_for(|state| *state == CloudState::Online);
    timeout(Duration::from_secs(20), is_online).await.unwrap().unwrap();
    bench
}

#[tokio::test]
async fn a_login_that_is_in_use_is_not_pushed_out_by_its_test() {
    let (port, logins) = cloud(Cloud::Works, None).await;
    let bench = online(port).await;
    let mut state = bench.agent.view().cloud();
    state.mark_unchanged();
    let (words, _) = tried(&bench, &json!({})).await;
    let want = ["name good", "tcp good", "login in_use", "keepalive in_use", "end true"];
    assert_eq!(words, want);
    assert!(!state.has_changed().unwrap(), "the connection went on");
    assert_eq!(logins.lock().unwrap().1, 1);
    for elsewhere in ["ws://localhost/ivc", "ws://127.0.0.1:9/ivc"] {
        let elsewhere = json!({ "url": elsewhere }).to_string();
        let (_, error) = bench.call(Method::POST, "/api/v1/cloud/test", &elsewhere).await;
        assert_eq!(error["error"]["code"], "password_needed", "it is told to nobody else");
    }
    // Another password has to be tried: the connection that is served gives way, and comes back.
    let other = json!({ "login_passwd": "Canary.t2" });
    let (words, _) = tried(&bench, &other).await;
    assert_eq!(words, ["name good", "tcp good", "login good", "keepalive good", "end true"]);
    assert_eq!(logins.lock().unwrap().1, 1, "never two at once");
    let mut state = bench.agent.view().cloud();
    let is_online = state.wait_for(|state| *state == CloudState::Online);
    timeout(Duration::from_secs(20), is_online).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_saved_password_is_not_tried_with_other_authorities() {
    let (_, ours) = certificate(&["localhost"], 2099);
    let (_, other) = certificate(&["localhost"], 2098);
    let account =
        "[cloud]\nurl = 'wss://127.0.0.1:9/ivc'\nlogin_code = 'c'\nlogin_passwd = 'Canary.t1'\n";
    let kept = tempfile::tempdir().unwrap();
    let state = format!("[device]\nstate_dir = {:?}\n", kept.path());
    let config: Config = format!("{PAGE}{account}{state}").parse().unwrap();
    let file = authorities::keep(&config, ours.as_bytes()).unwrap();
    let bench = Bench::start(&format!("{PAGE}{account}ca_file = {file:?}\n{state}"));
    for ca in [json!(other), json!(""), Value::Null] {
        let body = json!({ "ca": ca }).to_string();
        let (_, error) = bench.call(Method::POST, "/api/v1/cloud/test", &body).await;
        assert_eq!(error["error"]["code"], "password_needed", "{ca}: {error}");
    }
    for body in [json!({}), json!({ "ca": ours }), json!({ "ca": other, "login_passwd": "p" })] {
        let (words, _) = tried(&bench, &body).await;
        assert_eq!(words[1], "tcp badconnection_refused", "{body}");
    }
}

#[tokio::test]
async fn the_state_of_the_connection_is_told_without_the_password() {
    let (port, _) = cloud(Cloud::Works, None).await;
    let bench = online(port).await;
    let (status, told) = bench.call(Method::GET, "/api/v1/cloud", "").await;
    assert_eq!((status, &told["state"]), (StatusCode::OK, &json!("online")));
    assert_eq!((&told["login_code"], &told["ca"]), (&json!("c"), &Value::Null));
    assert!(!told.to_string().contains("Canary"));
    let bench = Bench::start(PAGE);
    let (_, told) = bench.call(Method::GET, "/api/v1/cloud", "").await;
    assert_eq!((&told["state"], &told["url"]), (&json!("off"), &Value::Null));
}

#[tokio::test]
async fn authorities_are_kept_and_named_by_the_settings() {
    let bench = Bench::start(PAGE);
    let (_, pem) = certificate(&["localhost"], 2099);
    let put =
        async |body: Value| bench.call(Method::PUT, "/api/v1/cloud/ca", &body.to_string()).await;
    for wrong in [json!({}), json!({ "pem": "" }), json!({ "pem": 1 }), json!({ "pem": "x" })] {
        let (status, error) = put(wrong).await;
        let field = &error["error"]["field"];
        assert_eq!((status, field), (StatusCode::UNPROCESSABLE_ENTITY, &json!("pem")));
    }
    let (status, kept) = put(json!({ "pem": pem })).await;
    assert_eq!(
        (status, &kept["certificates"][0]["subject"]),
        (StatusCode::OK, &json!("a cloud until 2099"))
    );
    let (_, seen) = bench.call(Method::GET, "/api/v1/settings", "").await;
    let changes =
        json!({ "version": seen["version"], "changes": { "cloud.ca_file": kept["file"] } });
    let (status, done) = bench.call(Method::PUT, "/api/v1/settings", &changes.to_string()).await;
    assert_eq!((status, &done["restarted"]), (StatusCode::OK, &json!(true)), "{done}");
}
