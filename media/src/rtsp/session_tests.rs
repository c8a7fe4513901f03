use super::*;
use crate::rtsp::message::{Piece, PieceReader};

const SDP: &str = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:track0\r\n\
                   m=audio 0 RTP/AVP 8\r\na=control:track1\r\n";

/// A session and the clock it lives by.
struct Talk {
    session: RtspSession,
    now: Instant,
}

impl Talk {
    fn new(credentials: Option<(&str, &str)>) -> Self {
        let credentials = credentials.map(|(username, password)| Credentials {
            username: username.into(),
            password: password.into(),
        });
        let (url, now) = (Url::parse("rtsp://cam/live").unwrap(), Instant::now());
        let patience = Patience::default();
        Self { session: RtspSession::new(url, credentials.as_ref(), &patience, now), now }
    }

    /// The requests that the client sends next.
    fn said(&mut self) -> String {
        String::from_utf8(self.session.poll_transmit().expect("something is said")).unwrap()
    }

    fn hear(&mut self, text: &str) -> Result<(), Failure> {
        match PieceReader::default().next(text.as_bytes()) {
            Ok(Piece::Message(message, _)) => self.session.handle_message(&message, self.now),
            other => panic!("no message: {other:?}"),
        }
    }

    /// Hears an answer with these header lines.
    fn answer(&mut self, status: &str, headers: &str) -> Result<(), Failure> {
        self.hear(&format!("RTSP/1.0 {status}\r\n{headers}\r\n"))
    }

    fn describe(&mut self, headers: &str) -> Description {
        self.said();
        let length = SDP.len();
        self.hear(&format!("RTSP/1.0 200 OK\r\nContent-Length: {length}\r\n{headers}\r\n{SDP}"))
            .unwrap();
        match self.session.poll_event() {
            Some(Event::Described(description)) => description,
            other => panic!("want a description, got {other:?}"),
        }
    }

    fn set_up(&mut self, lower: Lower) {
        let track = |control: &str, needed| Wanted { control: Some(control.into()), needed };
        let wanted = vec![track("track0", true), track("track1", false)];
        self.session.set_up(wanted, lower, self.now);
    }

    /// Goes up to the answer to PLAY, over TCP, with these headers in the answers to SETUP.
    fn play(&mut self, setup: &str) {
        self.describe("");
        self.set_up(Lower::Tcp);
        for _ in 0..2 {
            self.said();
            self.answer("200 OK", setup).unwrap();
            self.session.poll_event().expect("set up");
        }
        assert!(self.said().starts_with("PLAY rtsp://cam/live RTSP/1.0\r\n"));
        self.answer("200 OK", "").unwrap();
        assert!(matches!(self.session.poll_event(), Some(Event::Playing(_))));
    }

    fn wait(&mut self, time: Duration) -> Result<(), Failure> {
        self.now += time;
        self.session.handle_timeout(self.now)
    }

    /// Lets `time` pass. Returns the keepalive that is due then.
    fn keepalive(&mut self, time: Duration) -> String {
        self.wait(time).unwrap();
        let said = self.said();
        said.split(' ').next().unwrap().to_owned()
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_camera_is_described_set_up_and_played() {
    let mut talk = Talk::new(None);
    let first = talk.session.poll_transmit().unwrap();
    let first = String::from_utf8(first).unwrap();
    assert!(first.starts_with("DESCRIBE rtsp://cam/live RTSP/1.0\r\nCSeq: 1\r\n"), "{first}");
    assert!(first.contains("\r\nAccept: application/sdp\r\n") && first.ends_with("\r\n\r\n"));
    let mut talk = Talk::new(None);
    talk.describe("Content-Base: rtsp://cam/base/\r\n");
    talk.set_up(Lower::Tcp);
    let setup = talk.said();
    assert!(setup.starts_with("SETUP rtsp://cam/base/track0 RTSP/1.0\r\nCSeq: 2\r\n"), "{setup}");
    assert!(setup.contains("Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"));
    talk.answer("200 OK", "Session: 7;timeout=10\r\nTransport: RTP/AVP/TCP;interleaved=8-9\r\n")
        .unwrap();
    assert!(matches!(talk.session.poll_event(), Some(Event::SetUp(0, Path::Channels(8, 9)))));
    let setup = talk.said();
    assert!(setup.contains("/track1 ") && setup.contains("interleaved=2-3"), "{setup}");
    assert!(setup.contains("Session: 7\r\n"));
    talk.answer("200 OK", "Session: 8\r\n").unwrap();
    assert!(matches!(talk.session.poll_event(), Some(Event::SetUp(1, Path::Channels(2, 3)))));
    let play = talk.said();
    assert!(
        play.starts_with("PLAY rtsp://cam/base/ RTSP/1.0\r\n") && play.contains("Session: 7\r\n")
    );
    talk.answer("200 OK", "RTP-Info: url=track1;rtptime=5\r\n").unwrap();
    let Some(Event::Playing(times)) = talk.session.poll_event() else { panic!("plays") };
    assert_eq!(times, [None, Some(5)]);
    let leave = String::from_utf8(talk.session.teardown(talk.now).unwrap()).unwrap();
    assert!(leave.starts_with("TEARDOWN rtsp://cam/base/ ") && leave.contains("Session: 7\r\n"));
}

#[test]
fn datagrams_are_asked_for_with_ports() {
    let mut talk = Talk::new(None);
    talk.describe("");
    talk.set_up(Lower::Udp([5000, 5002]));
    assert!(talk.said().contains("Transport: RTP/AVP;unicast;client_port=5000-5001\r\n"));
    talk.answer("200 OK", "Transport: RTP/AVP/UDP; unicast; client_port=5000-5001\r\n").unwrap();
    assert!(matches!(talk.session.poll_event(), Some(Event::SetUp(0, Path::Ports(None)))));
    assert!(talk.said().contains("client_port=5002-5003"));
}

#[test]
fn wrong_and_missing_numbers_of_answers_are_no_matter() {
    for number in ["CSeq: 0\r\n", "", "CSeq: 99\r\n", "cseq: x\r\n"] {
        let mut talk = Talk::new(None);
        talk.describe(number);
        talk.set_up(Lower::Tcp);
        assert!(talk.said().starts_with("SETUP"));
    }
}

#[test]
fn a_session_may_be_named_late_badly_or_never() {
    let mut talk = Talk::new(None);
    talk.play("Session: ;timeout=5\r\n");
    assert_eq!(talk.keepalive(3 * SECOND), "OPTIONS", "the timeout counts without a name");
    let mut talk = Talk::new(None);
    talk.play("");
    assert_eq!(talk.keepalive(30 * SECOND), "OPTIONS");
}

#[test]
fn content_types_count_by_their_first_part() {
    let mut talk = Talk::new(None);
    talk.describe("Content-Type: application/sdp;charset=utf-8\r\n");
    let mut talk = Talk::new(None);
    talk.said();
    let html = "Content-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>";
    let error = talk.hear(&format!("RTSP/1.0 200 OK\r\n{html}")).unwrap_err();
    assert!(matches!(&error, Failure::Protocol(text) if text.contains("text/html")), "{error:?}");
}

#[test]
fn a_web_server_is_called_one() {
    let mut talk = Talk::new(None);
    talk.said();
    let error = talk.hear("HTTP/1.1 400 Bad Request\r\n\r\n").unwrap_err();
    assert!(matches!(&error, Failure::Protocol(text) if text.contains("web server")), "{error:?}");
}

#[test]
fn refusals_say_what_helps() {
    for (status, words) in [("404 Not Found", "path"), ("503 Service Unavailable", "restart")] {
        let mut talk = Talk::new(None);
        talk.said();
        let error = talk.answer(status, "").unwrap_err();
        assert!(matches!(&error, Failure::Protocol(text) if text.contains(words)), "{error:?}");
    }
    let mut talk = Talk::new(None);
    talk.describe("");
    talk.set_up(Lower::Tcp);
    let error = talk.answer("453 Not Enough Bandwidth", "").unwrap_err();
    assert!(matches!(&error, Failure::Protocol(text) if text.contains("viewers")), "{error:?}");
}

#[test]
fn sound_that_is_refused_is_done_without() {
    let mut talk = Talk::new(None);
    talk.describe("");
    talk.set_up(Lower::Tcp);
    talk.answer("200 OK", "").unwrap();
    talk.session.poll_event();
    talk.said();
    talk.answer("461 Unsupported Transport", "").unwrap();
    assert!(matches!(talk.session.poll_event(), Some(Event::SoundRefused(_))));
    assert!(talk.said().starts_with("PLAY"));
}

#[test]
fn the_other_transport_can_be_asked_for_in_the_same_session() {
    for (status, transport) in [
        ("461 Unsupported Transport", ""),
        ("400 Bad Request", ""),
        ("200 OK", "Transport: RTP/AVP;unicast;client_port=1-2;server_port=3-4\r\n"),
    ] {
        let mut talk = Talk::new(None);
        talk.describe("");
        talk.set_up(Lower::Tcp);
        talk.said();
        talk.answer(status, transport).unwrap();
        assert!(matches!(talk.session.poll_event(), Some(Event::TransportRefused(_))));
        talk.set_up(Lower::Udp([5000, 5002]));
        assert!(talk.said().contains("client_port=5000-5001"));
    }
}

#[test]
fn redirects_lead_elsewhere_and_bring_no_login() {
    for status in [301, 302, 303, 305] {
        let mut talk = Talk::new(None);
        talk.said();
        let place = "Location: rtsp://a:b@other:8554/target\r\n";
        talk.answer(&format!("{status} Moved"), place).unwrap();
        let Some(Event::Redirect(url)) = talk.session.poll_event() else { panic!("{status}") };
        assert_eq!(url.as_str(), "rtsp://other:8554/target");
    }
    for place in ["", "Location: http://other/\r\n", "Location: \r\n"] {
        let mut talk = Talk::new(None);
        talk.said();
        let outcome = talk.answer("302 Moved", place);
        let elsewhere = matches!(talk.session.poll_event(), Some(Event::Redirect(_)));
        assert!(outcome.is_err() || elsewhere && place == "Location: \r\n", "{place}");
    }
}

const DIGEST: &str = "WWW-Authenticate: Digest realm=\"cam\", nonce=\"one\"\r\n";

#[test]
fn a_login_is_given_when_it_is_asked_for_at_any_request() {
    let mut talk = Talk::new(Some(("admin", "pw")));
    assert!(!talk.said().contains("Authorization"));
    talk.answer("401 Unauthorized", DIGEST).unwrap();
    assert!(talk.session.is_logging_in());
    talk.describe("");
    talk.set_up(Lower::Tcp);
    let setup = talk.said();
    assert!(setup.contains("Authorization: Digest ") && setup.contains("nonce=\"one\""), "{setup}");
    let two = "WWW-Authenticate: Digest realm=\"cam\", nonce=\"two\", stale=TRUE\r\n";
    talk.answer("401 Unauthorized", two).unwrap();
    let again = talk.said();
    assert!(again.starts_with("SETUP rtsp://cam/live/track0 "), "{again}");
    assert!(again.contains("Transport: ") && again.contains("nonce=\"two\""));
    talk.answer("200 OK", "").unwrap();
    assert!(matches!(talk.session.poll_event(), Some(Event::SetUp(0, _))));
}

#[test]
fn a_wrong_login_is_told_apart_from_one_that_passed_before() {
    let mut talk = Talk::new(Some(("admin", "wrong")));
    talk.said();
    talk.answer("401 Unauthorized", DIGEST).unwrap();
    let again = "WWW-Authenticate: Digest realm=\"cam\", nonce=\"two\"\r\n";
    assert_eq!(talk.answer("401 Unauthorized", again), Err(Failure::Login));

    let mut talk = Talk::new(None);
    talk.said();
    assert_eq!(talk.answer("401 Unauthorized", DIGEST), Err(Failure::Login), "there is none");

    let mut talk = Talk::new(Some(("admin", "pw")));
    talk.said();
    talk.answer("401 Unauthorized", DIGEST).unwrap();
    talk.describe("");
    talk.set_up(Lower::Tcp);
    let error = (0..100).find_map(|n| {
        let challenge = format!("WWW-Authenticate: Digest realm=\"cam\", nonce=\"{n}\"\r\n");
        talk.answer("401 Unauthorized", &challenge).err().map(|error| (n, error))
    });
    let (tries, error) = error.expect("not for ever");
    assert!(tries <= 12 && matches!(error, Failure::Protocol(_)), "{error:?}");
}

#[test]
fn the_same_session_goes_on_over_a_new_connection() {
    let mut talk = Talk::new(Some(("admin", "pw")));
    talk.said();
    talk.answer("401 Unauthorized", DIGEST).unwrap();
    talk.session.restart(talk.now);
    let said = talk.said();
    assert!(said.starts_with("DESCRIBE ") && said.matches("DESCRIBE").count() == 1, "{said}");
    assert!(said.contains("Authorization: Digest "));
}

#[test]
fn signs_of_life_are_what_the_camera_offers() {
    for (public, method) in [
        ("OPTIONS, PLAY, GET_PARAMETER, SET_PARAMETER", "GET_PARAMETER"),
        ("OPTIONS, PLAY, SET_PARAMETER", "SET_PARAMETER"),
        ("OPTIONS, PLAY", "OPTIONS"),
    ] {
        let mut talk = Talk::new(None);
        talk.play(&format!("Session: 7;timeout=10\r\nPublic: {public}\r\n"));
        assert_eq!(talk.session.poll_timeout(), Some(talk.now + 5 * SECOND));
        assert_eq!(talk.keepalive(5 * SECOND), method);
        talk.answer("200 OK", "").unwrap();
        assert_eq!(talk.keepalive(5 * SECOND), method, "and again");
    }
}

#[test]
fn what_the_camera_offers_may_be_learned_by_the_first_sign_of_life() {
    let mut talk = Talk::new(None);
    talk.play("Session: 7;timeout=10\r\n");
    assert_eq!(talk.keepalive(5 * SECOND), "OPTIONS");
    talk.answer("200 OK", "Public: OPTIONS, GET_PARAMETER\r\n").unwrap();
    assert_eq!(talk.keepalive(Duration::ZERO), "GET_PARAMETER");
    talk.answer("200 OK", "").unwrap();
    assert_eq!(talk.keepalive(5 * SECOND), "GET_PARAMETER");
}

#[test]
fn a_sign_of_life_that_is_refused_is_replaced_by_another() {
    let mut talk = Talk::new(None);
    talk.play("Session: 7;timeout=10\r\nPublic: SET_PARAMETER\r\n");
    assert_eq!(talk.keepalive(5 * SECOND), "SET_PARAMETER");
    talk.answer("400 Bad Request", "CSeq: 4\r\n").unwrap();
    assert_eq!(talk.keepalive(Duration::ZERO), "OPTIONS");
    talk.answer("400 Bad Request", "").unwrap();
    assert_eq!(talk.keepalive(5 * SECOND), "OPTIONS", "refused or not, it is a sign");
}

#[test]
fn a_sign_of_life_without_an_answer_ends_nothing() {
    let mut talk = Talk::new(None);
    talk.play("Session: 7;timeout=10\r\n");
    for _ in 0..100 {
        talk.session.handle_media(talk.now);
        assert_eq!(talk.keepalive(5 * SECOND), "OPTIONS");
    }
}

#[test]
fn a_forgotten_session_ends_only_when_nothing_comes_any_more() {
    let mut talk = Talk::new(None);
    talk.play("Session: 7;timeout=10\r\nPublic: GET_PARAMETER\r\n");
    talk.keepalive(5 * SECOND);
    talk.answer("454 Session Not Found", "").unwrap();
    talk.now += SECOND;
    talk.session.handle_media(talk.now);
    assert_eq!(talk.wait(2 * SECOND), Ok(()), "pictures go on");

    let mut talk = Talk::new(None);
    talk.play("Session: 7;timeout=10\r\nPublic: GET_PARAMETER\r\n");
    talk.keepalive(5 * SECOND);
    talk.now += SECOND;
    talk.answer("454 Session Not Found", "").unwrap();
    assert_eq!(talk.wait(2 * SECOND), Err(Failure::Forgotten));
}

#[test]
fn requests_of_the_camera_are_answered() {
    for (method, status) in [
        ("OPTIONS", "200 OK"),
        ("SET_PARAMETER", "501 "),
        ("ANNOUNCE", "501 "),
        ("PLAY_NOTIFY", "405 "),
    ] {
        let mut talk = Talk::new(None);
        talk.play("");
        talk.hear(&format!("{method} * RTSP/1.0\r\nCSeq: 5\r\nSession: 7\r\n\r\n")).unwrap();
        let answer = talk.said();
        assert!(answer.starts_with(&format!("RTSP/1.0 {status}")), "{answer}");
        assert!(answer.contains("\r\nCSeq: 5\r\nSession: 7\r\n") && answer.ends_with("\r\n\r\n"));
    }
    let mut talk = Talk::new(None);
    talk.play("");
    for _ in 0..10_000 {
        talk.hear("OPTIONS * RTSP/1.0\r\nCSeq: 5\r\n\r\n").unwrap();
    }
    assert!(talk.said().len() < 70_000, "also one that asks without end");
}

#[test]
fn no_answer_is_waited_for_for_ever() {
    let mut talk = Talk::new(None);
    assert_eq!(talk.wait(14 * SECOND), Ok(()));
    assert_eq!(talk.wait(SECOND), Err(Failure::Unanswered("DESCRIBE", 15 * SECOND)));
    let mut talk = Talk::new(None);
    talk.describe("");
    talk.set_up(Lower::Tcp);
    assert_eq!(talk.wait(10 * SECOND), Err(Failure::Unanswered("SETUP", ANSWER_LIMIT)));
}

#[test]
fn a_camera_that_plays_without_an_answer_to_play_plays() {
    let mut talk = Talk::new(None);
    talk.describe("");
    talk.set_up(Lower::Tcp);
    for _ in 0..2 {
        talk.answer("200 OK", "").unwrap();
        talk.session.poll_event();
    }
    talk.session.handle_media(talk.now + SECOND);
    assert!(!talk.session.is_playing(), "the answer may be on its way");
    talk.session.handle_media(talk.now + 3 * SECOND);
    assert!(talk.session.is_playing());
}

#[test]
fn a_camera_that_cannot_read_a_range_is_asked_without() {
    let mut talk = Talk::new(None);
    talk.describe("");
    talk.set_up(Lower::Tcp);
    for _ in 0..2 {
        talk.said();
        talk.answer("200 OK", "").unwrap();
        talk.session.poll_event();
    }
    assert!(talk.said().contains("Range: npt=0.000-\r\n"));
    talk.answer("457 Invalid Range", "").unwrap();
    let again = talk.said();
    assert!(again.starts_with("PLAY ") && !again.contains("Range"), "{again}");
    assert!(talk.answer("457 Invalid Range", "").is_err());
}

#[test]
fn interim_answers_are_passed_over() {
    let mut talk = Talk::new(None);
    talk.answer("100 Continue", "").unwrap();
    talk.describe("");
}
