use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream;
use ivt_base::address_rule::AddressRule;
use tokio::time::Instant;

use super::*;
use crate::http::Deadlines;
use crate::http::scripted::{Reply, Scripted, Seen, sha256};
use crate::tls::TrustStore;

const SECRET: &str = "signature=geheim";
const PATIENT: Duration = Duration::from_secs(60);

fn http() -> Http {
    Http::new(
        TrustStore::new(None).unwrap(),
        AddressRule::for_cloud("127.0.0.1"),
        Deadlines::default(),
    )
}

fn hasty() -> Http {
    let short = Duration::from_millis(300);
    let deadlines = Deadlines { connect: short, call: short, stall: short, answer: short };
    Http::new(TrustStore::new(None).unwrap(), AddressRule::for_cloud("127.0.0.1"), deadlines)
}

fn service(server: &Scripted, http: Http) -> Service {
    Service::new(http, server.url(&format!("/callback?{SECRET}")).into())
}

fn announcement() -> Announcement {
    Announcement {
        size: 1_000_000,
        start: 1_700_000_000_000_001,
        duration: Duration::from_nanos(9_999_999_600),
        last_file_name: None,
        discontinue: false,
    }
}

/// A body of several chunks.
fn chunks() -> Vec<Bytes> {
    (0..40u8).map(|n| Bytes::from(vec![n; 65_424])).collect()
}

fn body() -> Body {
    let chunks = chunks();
    let length = chunks.iter().map(|chunk| chunk.len() as u64).sum();
    Body { length, chunks: stream::iter(chunks).boxed() }
}

/// A first chunk that comes now, and a second one that never comes.
fn waiting() -> Body {
    let chunks = stream::iter([Bytes::from_static(b"abc")]).chain(stream::pending());
    Body { length: 6, chunks: chunks.boxed() }
}

fn put_uri(server: &Scripted) -> String {
    server.url(&format!("/store/1.ts?{SECRET}")).as_ref().to_owned()
}

#[derive(Debug, PartialEq)]
enum Class {
    Transport,
    Busy,
    Expired,
    Moved,
    Exists,
    Refused,
}

/// The class of an error, whose text must say where it happened and hold no secret.
fn class(fault: &HttpError) -> Class {
    let text = fault.to_string();
    assert!(!text.contains("geheim"), "{text}");
    assert!(text.contains("http://127.0.0.1:"), "{text}");
    match fault {
        HttpError::Transport(_) | HttpError::Unanswered(_) => Class::Transport,
        HttpError::Busy(_) | HttpError::Later(..) => Class::Busy,
        HttpError::Expired(_) => Class::Expired,
        HttpError::Moved(..) => Class::Moved,
        HttpError::Exists(_) => Class::Exists,
        HttpError::Refused(_) => Class::Refused,
    }
}

#[tokio::test]
async fn every_call_is_the_form_that_services_read() {
    let server = Scripted::new(|seen: &Seen| match &*seen.op() {
        "create" => Reply::json(r#"{"name": "n 1", "uri": "http://store/1?a=b"}"#),
        "getcurrenttime" => Reply::json(r#"{"currenttime": 1700000000.5}"#),
        _ => Reply::json("{}"),
    })
    .await;
    let service = service(&server, http());
    let target = service.create(&announcement()).await.unwrap().unwrap();
    assert_eq!((&*target.name, &**target.uri.expose()), ("n 1", "http://store/1?a=b"));
    let next =
        Announcement { last_file_name: Some("n 1&".into()), discontinue: true, ..announcement() };
    service.create(&next).await.unwrap();
    service.save("n 1").await.unwrap();
    service.fail("é").await.unwrap();
    service.stat(3, Duration::from_millis(29_500)).await.unwrap();
    assert_eq!(service.current_time().await.unwrap(), 1_700_000_000.5);

    let seen = server.seen();
    let forms: Vec<&str> = seen.iter().map(|seen| &*seen.form).collect();
    assert_eq!(
        forms,
        [
            "op=create&content_type=video%2Fmp2t&size=1000000&start=1700000000.000001\
             &duration=10.000000&discontinue=0",
            "op=create&content_type=video%2Fmp2t&size=1000000&start=1700000000.000001\
             &duration=10.000000&last_file_name=n+1%26&discontinue=1",
            "op=save&name=n+1",
            "op=fail&name=%C3%A9",
            "op=stat&dropped_nb=3&dropped_time=29.500000",
            "op=getcurrenttime",
        ]
    );
    for seen in &seen {
        assert_eq!(seen.line, format!("POST /callback?{SECRET}"));
        assert_eq!(seen.header("content-type"), Some("application/x-www-form-urlencoded"));
        assert_eq!(seen.connection, 0, "the connection is kept");
    }
}

#[tokio::test]
async fn a_segment_arrives_byte_for_byte_with_its_length() {
    let server = Scripted::new(|_| Reply::status(200)).await;
    let service = service(&server, http());
    service.put(&put_uri(&server), body(), false, PATIENT).await.unwrap();
    service.put(&put_uri(&server), body(), false, PATIENT).await.unwrap();
    service.put(&put_uri(&server), body(), true, PATIENT).await.unwrap();
    let seen = server.seen();
    for seen in &seen {
        assert_eq!(seen.line, format!("PUT /store/1.ts?{SECRET}"));
        assert_eq!(seen.header("content-type"), Some("video/mp2t"));
        assert_eq!(seen.header("transfer-encoding"), None);
        assert_eq!((seen.length, seen.sha256), (40 * 65_424, sha256(&chunks())));
    }
    let connections: Vec<usize> = seen.iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [0, 0, 1], "the last one wanted a connection of its own");
}

#[tokio::test]
async fn not_now_has_many_spellings() {
    for answer in [
        "{}",
        r#"{"name":"","uri":""}"#,
        r#"{"name":"x","uri":null}"#,
        r#"{"uri":"/"}"#,
        r#"{"code":0,"data":{"name":"x","uri":"http://x/"}}"#,
        r#"{"code":1e400}"#,
    ] {
        let server = Scripted::new(move |_| Reply::json(answer)).await;
        let target = service(&server, http()).create(&announcement()).await.unwrap();
        assert!(target.is_none(), "{answer}");
    }
}

#[tokio::test]
async fn answers_are_classified_by_what_helps() {
    let cases = [
        (300, Class::Refused),
        (301, Class::Refused),
        (302, Class::Refused),
        (303, Class::Refused),
        (304, Class::Refused),
        (400, Class::Refused),
        (401, Class::Refused),
        (403, Class::Expired),
        (404, Class::Expired),
        (408, Class::Busy),
        (409, Class::Exists),
        (410, Class::Expired),
        (412, Class::Exists),
        (413, Class::Refused),
        (429, Class::Busy),
        (500, Class::Busy),
        (503, Class::Busy),
    ];
    for (status, expected) in cases {
        let elsewhere = "location: http://192.0.2.1/elsewhere\r\n";
        let server = Scripted::new(move |_| {
            Reply::Answer(status, elsewhere, r#"{"info": "no\nroom"}"#.into())
        })
        .await;
        let service = service(&server, http());
        let created = service.create(&announcement()).await.err().unwrap();
        assert_eq!(class(&created), expected, "{status}");
        let words = if status == 304 { "" } else { "(noroom)" };
        assert!(created.to_string().contains(words), "{created}");
        let put = service.put(&put_uri(&server), body(), false, PATIENT).await.unwrap_err();
        assert_eq!(class(&put), expected, "{status}");
        assert_eq!(server.seen().len(), 2, "nobody is followed, nothing is repeated in here");
    }
}

#[tokio::test]
async fn an_upload_reaches_its_address_byte_for_byte() {
    let server = Scripted::new(|_| Reply::status(200)).await;
    let service = service(&server, http());
    let targets = [
        "/a'b|c^d{e}f;g+h?s='|^{}",
        "/%2f%2F//x/../y/./z?%2f%2F",
        "//x?",
        "/x?a=b+c%20d;e&&=?/\\[]~!*()$,:@`",
        "/é?ü",
    ];
    for target in targets {
        let uri = format!("http://{}{target}", server.address);
        service.put(&uri, body(), false, PATIENT).await.unwrap();
    }
    let lines: Vec<String> = server.seen().into_iter().map(|seen| seen.line).collect();
    assert_eq!(lines, targets.map(|target| format!("PUT {target}")));
    let mut headers: Vec<String> =
        server.seen()[0].headers.iter().map(|(name, _)| name.clone()).collect();
    headers.sort();
    assert_eq!(headers, ["accept", "content-length", "content-type", "host"], "none is unsigned");
    assert_eq!(server.seen()[0].header("host"), Some(&*server.address.to_string()));
}

#[tokio::test]
async fn a_redirect_by_307_or_308_is_followed_once() {
    for status in [307, 308] {
        let server = Scripted::new(move |seen: &Seen| match &*seen.line {
            "POST /there?sign=1" => Reply::json("{}"),
            "PUT /there?sign=1" => Reply::status(200),
            _ => Reply::Answer(status, "location: /there?sign=1\r\n", String::new()),
        })
        .await;
        let service = service(&server, http());
        service.save("n").await.unwrap();
        let posted = server.seen();
        assert_eq!(posted.len(), 2);
        assert_eq!(posted[0].form, posted[1].form);
        assert_eq!(posted[1].header("content-type"), posted[0].header("content-type"));

        let moved = service.put(&put_uri(&server), body(), false, PATIENT).await.unwrap_err();
        assert_eq!(class(&moved), Class::Moved);
        assert!(!format!("{moved:?}").contains("sign=1"), "{moved:?}");
        let HttpError::Moved(_, to) = moved else { panic!("it is elsewhere") };
        service.put(to.expose(), body(), false, PATIENT).await.unwrap();
        assert_eq!(server.seen()[3].sha256, sha256(&chunks()));
    }
}

#[tokio::test]
async fn other_redirects_are_said_and_not_followed() {
    let leads = [
        (302, "location: /there\r\n", "only redirects by 307 and 308 are followed"),
        (303, "location: /there\r\n", "only redirects by 307 and 308 are followed"),
        (307, "", "without a Location"),
        (307, "location: ftp://h/x?geheim\r\n", "\"ftp\""),
        (308, "location: http://user:geheim@127.0.0.1/\r\n", "user name"),
        (307, "location: /loop?geheim\r\n", "redirects again"),
    ];
    for (status, location, words) in leads {
        let server = Scripted::new(move |_| Reply::Answer(status, location, String::new())).await;
        let fault = service(&server, http()).create(&announcement()).await.unwrap_err();
        assert_eq!(class(&fault), Class::Refused, "{fault}");
        assert!(fault.to_string().contains(words), "{fault}");
        assert!(server.seen().len() <= 2, "a loop ends after one hop");
    }
}

#[tokio::test]
async fn a_redirect_leads_to_no_address_that_the_cloud_may_not_name() {
    let elsewhere = "location: http://127.0.0.2:9/x?geheim\r\n";
    let server = Scripted::new(move |_| Reply::Answer(307, elsewhere, String::new())).await;
    let service = service(&server, http());
    let posted = service.save("n").await.unwrap_err();
    let HttpError::Moved(_, to) =
        service.put(&put_uri(&server), body(), false, PATIENT).await.unwrap_err()
    else {
        panic!("it is elsewhere")
    };
    let sent = service.put(to.expose(), body(), false, PATIENT).await.unwrap_err();
    for fault in [posted, sent] {
        let text = fault.to_string();
        assert!(matches!(fault, HttpError::Refused(_)), "{fault:?}");
        assert!(text.contains("127.0.0.2") && !text.contains("geheim"), "{text}");
    }
}

#[tokio::test]
async fn an_idle_connection_that_died_is_replaced() {
    let server = Scripted::new(|seen: &Seen| match seen.connection {
        // The connection is closed while the second call is under way.
        0 if seen.op() == "fail" => Reply::Hangup,
        _ => Reply::json("{}"),
    })
    .await;
    let service = service(&server, http());
    service.save("a").await.unwrap();
    service.fail("b").await.unwrap();
    let connections: Vec<usize> = server.seen().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [0, 0, 1]);
    let server = Scripted::new(|_| Reply::Hangup).await;
    let fault = self::service(&server, http()).save("a").await.unwrap_err();
    assert_eq!((class(&fault), server.seen().len()), (Class::Transport, 1), "a new one is not");
}

#[tokio::test]
async fn what_counts_each_time_is_not_sent_twice() {
    let server = Scripted::new(|seen: &Seen| match seen.op().as_str() {
        "create" | "stat" => Reply::Hangup,
        _ => Reply::json("{}"),
    })
    .await;
    let service = service(&server, http());
    service.save("a").await.unwrap();
    let fault = service.create(&announcement()).await.unwrap_err();
    assert_eq!(class(&fault), Class::Transport);
    service.save("b").await.unwrap();
    let fault = service.stat(1, Duration::ZERO).await.unwrap_err();
    assert_eq!(class(&fault), Class::Transport);
    let ops: Vec<_> = server.seen().iter().map(Seen::op).collect();
    assert_eq!(ops, ["save", "create", "save", "stat"]);
}

#[tokio::test]
async fn idle_connections_are_few_and_do_not_grow_old() {
    let server = Scripted::new(|_| Reply::json("{}")).await;
    let service = service(&server, http());
    let many = async |count: usize| {
        let calls = (0..count).map(|_| service.save("n"));
        assert!(futures::future::join_all(calls).await.into_iter().all(|told| told.is_ok()));
        1 + server.seen().iter().map(|seen| seen.connection).max().unwrap()
    };
    assert_eq!(many(12).await, 12);
    assert_eq!(many(12).await, 16, "eight were kept");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    assert_eq!(many(1).await, 17);
}

#[tokio::test]
async fn a_name_is_read_beside_what_cannot_be() {
    for answer in [
        "\u{feff}{\"name\":\"n\",\"uri\":\"http://h/\"}",
        r#"{"fee":1e400,"name":"n","uri":"http://h/"}"#,
        r#"{"name":"n","uri":"http://h/","data":{"deep":[-1e999]}}"#,
    ] {
        let server = Scripted::new(move |_| Reply::json(answer)).await;
        let target = service(&server, http()).create(&announcement()).await.unwrap();
        assert_eq!(target.unwrap().name, "n", "{answer}");
    }
}

#[tokio::test]
async fn an_answer_to_a_whole_upload_that_is_lost_is_known_as_such() {
    for (reply, lost) in [
        (Reply::Hangup, true),
        (Reply::status(502), true),
        (Reply::status(504), true),
        (Reply::status(500), false),
        (Reply::Early(504), false),
    ] {
        let again = reply.clone();
        let server = Scripted::new(move |_| again.clone()).await;
        let body = if matches!(reply, Reply::Early(_)) { waiting() } else { body() };
        let fault = service(&server, http()).put(&put_uri(&server), body, false, PATIENT).await;
        let fault = fault.unwrap_err();
        assert_eq!(matches!(fault, HttpError::Unanswered(_)), lost, "{reply:?}: {fault:?}");
        assert!(fault.is_passing(), "{reply:?}: {fault:?}");
    }
    let server = Scripted::new(|_| Reply::status(504)).await;
    let fault = service(&server, http()).save("n").await.unwrap_err();
    assert!(matches!(fault, HttpError::Busy(_)), "of a call it does not matter: {fault:?}");
}

#[tokio::test]
async fn nonsense_is_the_servers_fault() {
    let long_name = format!(r#"{{"name":"{}","uri":"http://x/"}}"#, "n".repeat(2000));
    let long_uri = format!(r#"{{"name":"n","uri":"http://x/{}"}}"#, "u".repeat(9000));
    let answers = [
        "",
        "<html>hello</html>",
        "[]",
        "null",
        r#"{"name": 5, "uri": "http://x/"}"#,
        r#"{"name":"n","uri":"file:///etc/passwd"}"#,
        r#"{"name":"n","uri":"/relative"}"#,
        r#"{"name":"n\ufffd","uri":"http://x/"}"#,
        r#"{"name":"n","uri":"http://x/"#,
        &long_name,
        &long_uri,
    ];
    for answer in answers.map(str::to_owned) {
        let server = Scripted::new(move |_| Reply::json(answer.clone())).await;
        let fault = service(&server, http()).create(&announcement()).await.err().unwrap();
        assert_eq!(class(&fault), Class::Busy, "{fault}");
        assert!(fault.to_string().len() < 300, "{fault}");
    }
    let server = Scripted::new(|_| Reply::json(r#"{"currenttime": "soon"}"#)).await;
    let fault = service(&server, http()).current_time().await.unwrap_err();
    assert_eq!(class(&fault), Class::Busy);
}

#[tokio::test]
async fn what_is_told_is_taken_whatever_a_success_holds() {
    let odd = ["", "OK", "<html>saved</html>", "null", "[]", "\u{feff}{}", r#"{"code":-1}"#, "\0"];
    for body in odd {
        for status in [200, 201, 202, 206] {
            let server = Scripted::new(move |_| Reply::Answer(status, "", body.into())).await;
            let service = service(&server, http());
            assert_eq!(service.save("n").await, Ok(()), "{status} {body:?}");
            assert_eq!(service.fail("n").await, Ok(()), "{status} {body:?}");
            assert_eq!(service.stat(1, Duration::from_secs(1)).await, Ok(()), "{status} {body:?}");
        }
    }
    for reply in [Reply::Endless, Reply::Trickle] {
        let server = Scripted::new(move |_| reply.clone()).await;
        assert_eq!(service(&server, http()).save("n").await, Ok(()));
    }
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let server = Scripted::new(|_| Reply::Endless).await;
    let service = service(&server, http());
    let fault = service.create(&announcement()).await.err().unwrap();
    assert_eq!(class(&fault), Class::Busy);
    let put = service.put(&put_uri(&server), body(), false, PATIENT).await.unwrap_err();
    assert_eq!(class(&put), Class::Busy);
}

#[tokio::test]
async fn who_keeps_us_waiting_is_left() {
    for reply in [Reply::Silence, Reply::Trickle, Reply::Hangup] {
        let server = Scripted::new(move |_| reply.clone()).await;
        let service = service(&server, hasty());
        let fault = service.create(&announcement()).await.err().unwrap();
        assert_eq!(class(&fault), Class::Transport, "{fault}");
        let put = service.put(&put_uri(&server), body(), false, PATIENT).await.unwrap_err();
        assert_eq!(class(&put), Class::Transport, "{put}");
    }
}

#[tokio::test]
async fn an_upload_that_is_not_taken_stalls_and_a_slow_one_has_an_end() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/x?{SECRET}", listener.local_addr().unwrap());
    let service = Service::new(hasty(), callback_url(&uri).unwrap().into());
    // More bytes than any socket buffers.
    let chunk = Bytes::from(vec![0; 1 << 16]);
    let chunks = stream::repeat(chunk).take(4096).boxed();
    let huge = Body { length: 4096 << 16, chunks };
    let fault = service.put(&uri, huge, false, PATIENT).await.unwrap_err();
    assert_eq!(class(&fault), Class::Transport);
    assert!(fault.to_string().contains("stalls"), "{fault}");
    let slow = service.put(&uri, waiting(), false, Duration::from_secs(1)).await.unwrap_err();
    assert!(slow.to_string().contains("too long"), "{slow}");
}

#[tokio::test]
async fn an_early_answer_is_believed_unless_it_is_good() {
    for (status, expected) in [(403, Class::Expired), (200, Class::Busy)] {
        let server = Scripted::new(move |_| Reply::Early(status)).await;
        let service = service(&server, http());
        let begun = Instant::now();
        let fault = service.put(&put_uri(&server), waiting(), false, PATIENT).await.unwrap_err();
        assert_eq!(class(&fault), expected, "{fault}");
        assert!(begun.elapsed() < PATIENT / 2, "the rest is not sent");
    }
}

#[tokio::test]
async fn a_service_that_is_not_there_is_named_without_its_secret() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url = callback_url(&format!("http://{address}/cb?{SECRET}")).unwrap();
    let fault = Service::new(http(), url.into()).save("n").await.unwrap_err();
    assert_eq!(class(&fault), Class::Transport);
    assert!(fault.to_string().contains("Connection refused"), "{fault}");
}

#[tokio::test]
async fn a_certificate_from_nowhere_is_not_trusted() -> Result<(), Box<dyn Error>> {
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::crypto::ring::default_provider;
    use tokio_rustls::rustls::pki_types::PrivateKeyDer;

    let key = rcgen::generate_simple_self_signed(["localhost".into()])?;
    let private = PrivateKeyDer::try_from(key.signing_key.serialize_der())?;
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], private)?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = callback_url(&format!("https://localhost:{}/cb", listener.local_addr()?.port()))?;
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(socket).await else { continue };
            let mut request = [0; 4096];
            while !request.ends_with(b"name=n") {
                let n = stream.read(&mut request).await.unwrap();
                if n == 0 || request[..n].ends_with(b"name=n") {
                    break;
                }
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
        }
    });

    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), key.cert.pem())?;
    let trusting = Http::new(
        TrustStore::new(Some(file.path().into()))?,
        AddressRule::for_cloud("127.0.0.1"),
        Deadlines::default(),
    );
    Service::new(trusting, url.clone().into()).save("n").await?;

    let other = rcgen::generate_simple_self_signed(["localhost".into()])?;
    std::fs::write(file.path(), other.cert.pem())?;
    let wary = Http::new(
        TrustStore::new(Some(file.path().into()))?,
        AddressRule::for_cloud("127.0.0.1"),
        Deadlines::default(),
    );
    let fault = Service::new(wary, url.into()).save("n").await.unwrap_err();
    assert!(
        matches!(&fault, HttpError::Transport(text) if text.contains("certificate")),
        "{fault}"
    );
    Ok(())
}

#[test]
fn only_web_addresses_are_called_back() {
    assert!(callback_url("https://cloud.example/record?sign=1").is_ok());
    let long = format!("http://x/{}", "a".repeat(2039));
    assert!(callback_url(&long).is_ok(), "2048 bytes");
    let cases = [
        (format!("{long}a"), "2049 bytes"),
        (format!("http://x/{}", "a".repeat(10_240)), "bytes"),
        ("ftp://x/secret".into(), "\"ftp\""),
        ("file:///etc/passwd".into(), "\"file\""),
        ("/relative".into(), "no URL"),
        ("http://".into(), "no URL"),
        (String::new(), "no URL"),
        ("http://user:secret@h/".into(), "user name"),
    ];
    for (text, expected) in cases {
        let error = callback_url(&text).err().unwrap();
        assert!(error.starts_with("cbk_url ") && error.contains(expected), "{error}");
        assert!(error.len() < 200 && !error.contains("secret"), "{error}");
    }
}

#[test]
fn times_are_written_with_six_digits() {
    for (micros, text) in [(0, "0.000000"), (1, "0.000001"), (-1_500_000, "-1.500000")] {
        assert_eq!(seconds(micros), text);
    }
    assert_eq!(seconds(micros(Duration::from_nanos(33_333_500))), "0.033334");
    assert_eq!(micros(Duration::MAX), i64::MAX);
}
