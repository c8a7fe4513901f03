use proptest::prelude::*;

use super::*;

type New = fn() -> Splitter;

fn elements(name: &str) -> Splitter {
    Splitter::Elements(Elements::new(name))
}

fn pairs() -> Splitter {
    Splitter::Pairs(Pairs::default())
}

fn messages() -> Splitter {
    Splitter::Messages(Messages::default())
}

fn cut(splitter: &mut Splitter, pieces: &[&[u8]]) -> Vec<String> {
    let mut parts = Vec::new();
    for piece in pieces {
        splitter.push(piece, &mut |part| parts.push(String::from_utf8_lossy(part).into_owned()));
    }
    parts
}

/// The parts of a stream, which have to be the same wherever it is cut.
fn parts(new: fn() -> Splitter, stream: &[u8]) -> Vec<String> {
    let whole = cut(&mut new(), &[stream]);
    for at in 0..=stream.len() {
        let (first, second) = stream.split_at(at);
        assert_eq!(cut(&mut new(), &[first, second]), whole, "cut at {at}");
    }
    let bytes: Vec<_> = stream.chunks(1).collect();
    assert_eq!(cut(&mut new(), &bytes), whole, "byte by byte");
    whole
}

#[test]
fn alarms_between_boundaries_and_pictures_are_found_wherever_the_stream_is_cut() {
    let mut stream = Vec::new();
    for piece in [
        // The boundary that is used is not the one of the head, and lengths are wrong.
        "--boundary\r\nContent-Type: application/xml; charset=\"UTF-8\"\r\nContent-Length: 9\r\n\r\n",
        "<EventNotificationAlert version=\"2.0\">\r\n<eventType>VMD</eventType></EventNotificationAlert>\r\n",
        "--other\r\nContent-Type: image/jpeg\r\nContent-Length: 400\r\n\r\n\u{0}\u{1}<Event</EventNotif<a>\r\n",
        "<?xml version='1.0'?><ns:EventNotificationAlert\nxmlns:ns=\"u\"><a/></ns:EventNotificationAlert \n>",
        "<EventNotificationAlertList></EventNotificationAlertList>",
        // The end of this one is missing.
        "<EventNotificationAlert><eventType>lost</eventType>",
        "--boundary\n\n<EventNotificationAlert><eventType>a & b</eventType></EventNotificationAlert></EventNotificationAlert>",
    ] {
        stream.extend_from_slice(piece.as_bytes());
    }
    assert_eq!(
        parts(|| elements("EventNotificationAlert"), &stream),
        [
            "<EventNotificationAlert version=\"2.0\">\r\n<eventType>VMD</eventType></EventNotificationAlert>",
            "<ns:EventNotificationAlert\nxmlns:ns=\"u\"><a/></ns:EventNotificationAlert \n>",
            "<EventNotificationAlert><eventType>a & b</eventType></EventNotificationAlert>",
        ]
    );
}

#[test]
fn metadata_are_found_amid_binary_headers() {
    let mut stream = vec![b'@', 0, 255, b'<', 7, b'<', b'v'];
    let document = "<?xml version=\"1.0\" encoding=\"utf-8\" ?>\n<vca schema_version=\"1.6\">\n<vca_hdr>\n<frame_id>7</frame_id>\n</vca_hdr>\n</vca>\n";
    for _ in 0..2 {
        stream.extend_from_slice(document.as_bytes());
        stream.extend([b'@'; 96]);
    }
    let found = parts(|| elements("vca"), &stream);
    assert_eq!(found.len(), 2);
    assert!(found[1].starts_with("<vca schema") && found[1].ends_with("</vca>"), "{}", found[1]);
}

#[test]
fn events_of_irregular_multipart_are_found_wherever_the_stream_is_cut() {
    let stream = "--myboundary\r\nContent-Type: text/plain\r\nContent-Length:36\r\n\r\nCode=VideoMotion;action=Start;index=0\r\n\r\n\
        -- myboundary\r\nContent-Type: text/plain\r\nContent-Length:9\r\nHeartbeat\r\n\r\n\
        --myboundary\nContent-Length:999\nCode=CrossLineDetection;action=Start;index=1;data={\n   \"Name\" : \"a;b=c {--\\\"\",\n   \"List\" : [ [1, 2], {} ]\n}\r\n\r\n\
        HTTP/1.1 200 OK\r\nServer: x\r\nContent-Type: multipart/x-mixed-replace; boundary=myboundary\r\n\r\n\
        --myboundary\r\n\r\n\r\nCode=AlarmLocal;action=Stop;index=2;data=none\r\n\
        --myboundary\r\n\r\nCode=Broken;action=Pulse;index=3;data={\n  \"a\" : \"no end\n--myboundary\r\n\
        Code=Next;action=Start;index=12;data={\"a\":1}Code=glued\r\n\
        Code=Last;action=Stop;index=1\nHeartbeat";
    assert_eq!(
        parts(pairs, stream.as_bytes()),
        [
            "Code=VideoMotion;action=Start;index=0",
            "Heartbeat",
            "Code=CrossLineDetection;action=Start;index=1;data={\n   \"Name\" : \"a;b=c {--\\\"\",\n   \"List\" : [ [1, 2], {} ]\n}",
            "Code=AlarmLocal;action=Stop;index=2;data=none",
            "Code=Broken;action=Pulse;index=3;data={\n  \"a\" : \"no end",
            "Code=Next;action=Start;index=12;data={\"a\":1}",
            "Code=glued",
            "Code=Last;action=Stop;index=1",
            "Heartbeat",
        ]
    );
}

#[test]
fn an_event_whose_line_has_no_end_is_taken_after_a_while() {
    let mut splitter = pairs();
    for (text, awaits) in [
        ("--myboundary\r\n\r\nCode=Video", false),
        ("Motion;action=Start;ind", true),
        ("ex=0", true),
    ] {
        assert!(cut(&mut splitter, &[text.as_bytes()]).is_empty());
        assert_eq!(splitter.awaits_end(), awaits, "{text}");
    }
    let mut parts = Vec::new();
    splitter.flush(&mut |part| parts.push(part.to_vec()));
    splitter.flush(&mut |part| parts.push(part.to_vec()));
    assert_eq!(parts, [b"Code=VideoMotion;action=Start;index=0"]);
    let next = b"\r\n--myboundary\r\n\r\nCode=VideoMotion;action=Stop;index=0\r\n";
    assert_eq!(cut(&mut splitter, &[next]), ["Code=VideoMotion;action=Stop;index=0"]);
    cut(&mut splitter, &[b"Code=A;action=Start;index=0;data={"]);
    assert!(!splitter.awaits_end(), "JSON tells its end");
}

#[test]
fn bodies_of_messages_are_found_wherever_the_stream_is_cut() {
    let stream = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}\
        POST /x HTTP/1.1\ncontent-length:5\n\nhello\
        POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n\
        POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n\r\n\r\n";
    assert_eq!(parts(messages, stream.as_bytes()), ["{}", "hello", "\r\n\r\n"]);
    let mut splitter = messages();
    let long = LONGEST_PART + 1;
    cut(&mut splitter, &[format!("POST / HTTP/1.1\r\nContent-Length: {long}\r\n\r\n").as_bytes()]);
    assert!(cut(&mut splitter, &[&vec![b'x'; long]]).is_empty());
    let next = b"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\ny";
    assert_eq!(cut(&mut splitter, &[next]), ["y"], "what is too long is passed over");
}

#[test]
fn a_stream_without_ends_holds_little() {
    let heads: [(New, &str, &str); 7] = [
        (|| elements("a"), "<a>", "x"),
        (|| elements("a"), "<a>", "<"),
        (|| elements("a"), "", "\u{ff}\u{d8}"),
        (pairs, "Code=A;action=Start;index=0;data={\"a\":\"", "{"),
        (pairs, "Code=", "x"),
        (pairs, "", "x"),
        (messages, "", "x"),
    ];
    for (new, begin, again) in heads {
        let mut splitter = new();
        cut(&mut splitter, &[begin.as_bytes()]);
        let block = again.repeat(8192);
        for _ in 0..200 {
            cut(&mut splitter, &[block.as_bytes()]);
            assert!(splitter.held() <= LONGEST_PART + 65_536, "{begin}: {}", splitter.held());
        }
        // What comes later is heard all the same.
        let next = match &splitter {
            Splitter::Elements(_) => "<a>1</a>",
            Splitter::Pairs(_) => "\r\n--b\r\nCode=B;action=Start;index=1\r\n",
            Splitter::Messages(_) => continue,
        };
        assert!(!cut(&mut splitter, &[next.as_bytes()]).is_empty(), "{begin}");
    }
}

proptest! {
    #[test]
    fn any_stream_gives_the_same_parts_however_it_is_cut(
        words in prop::collection::vec(0..WORDS.len(), 0..40),
        cuts in prop::collection::vec(0..400_usize, 0..6),
    ) {
        let stream: String = words.iter().map(|word| WORDS[*word]).collect();
        let mut cuts: Vec<_> = cuts.into_iter().map(|at| at.min(stream.len())).collect();
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for at in cuts {
            pieces.push(&stream.as_bytes()[from..at]);
            from = at;
        }
        pieces.push(&stream.as_bytes()[from..]);
        for new in [|| elements("a"), pairs, messages] as [New; 3] {
            prop_assert_eq!(cut(&mut new(), &pieces), cut(&mut new(), &[stream.as_bytes()]));
        }
    }
}

/// What streams are made of.
const WORDS: [&str; 24] = [
    "<a",
    "<a>",
    "</a>",
    "</a ",
    ">",
    "<",
    "/",
    "b:a",
    "<b:a>",
    "x",
    "\r\n",
    "\n",
    "--",
    "Code=",
    ";action=Start",
    ";data=",
    "{",
    "}",
    "\"",
    "\\",
    "Heartbeat",
    "HTTP/1.1 200 OK",
    "Content-Length: 2",
    " ",
];
