#[path = "auth/property_tests.rs"]
mod property_tests;

use super::*;

const URI: &str = "rtsp://127.0.0.1/x";

fn login(username: &str, password: &str) -> Login {
    Login::new(&Credentials { username: username.into(), password: password.into() })
}

fn challenge(login: &mut Login, values: &[&str]) -> Next {
    login.challenged(values.iter().copied())
}

/// The `Authorization` of user Mufasa for the GET request of the standards' examples.
fn example(password: &str, challenge: &str, cnonce: &str) -> String {
    let mut login = login("Mufasa", password);
    assert_eq!(login.challenged([challenge].into_iter()), Next::Retry);
    login.active.as_mut().unwrap().nonce.cnonce = cnonce.to_owned();
    login.authorization("GET", "/dir/index.html").unwrap()
}

/// A parameter of a Digest authorization, its quotes included.
fn parameter<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let list = header.strip_prefix("Digest ")?;
    list.split(", ").find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
}

#[test]
fn the_examples_of_the_standards_come_out() {
    let common = r#"realm="http-auth@example.org", qop="auth, auth-int",
        nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS""#;
    let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
    // RFC 7616 3.9.1; with `-sess` and `auth-int`, computed by another program.
    let rows = [
        ("MD5", "auth", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "auth", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ("MD5-sess", "auth", "e783283f46242139c486a698fec7211d"),
        (
            "SHA-256-sess",
            "auth",
            "2fd51b3a77ad75bad6afad6003e818d767133c46d9e2749e7f5232ae1ea3efd7",
        ),
        ("MD5", "auth-int", "8804a53d3640a40a4f73cea12c5ba451"),
        ("SHA-256", "auth-int", "8bdf6f15638e260831e905028de5450562816d093c9bfc5c13d3a46adcdde940"),
    ];
    for (algorithm, qop, response) in rows {
        let common = common.replace("auth, auth-int", qop);
        let challenge = format!("Digest algorithm={algorithm}, {common}");
        let header = example("Circle of Life", &challenge, cnonce);
        let want = format!(
            "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", \
             nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", uri=\"/dir/index.html\", \
             response=\"{response}\", algorithm={algorithm}, \
             opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\", qop={qop}, nc=00000001, \
             cnonce=\"{cnonce}\""
        );
        assert_eq!(header, want);
    }

    // RFC 2617 3.5
    let challenge = r#"Digest realm="testrealm@host.com", qop="auth,auth-int",
        nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41""#;
    let header = example("Circle Of Life", challenge, "0a4f113b");
    assert_eq!(parameter(&header, "response"), Some("\"6629fae49393a05397450978507c4ef1\""));
    assert_eq!((parameter(&header, "qop"), parameter(&header, "algorithm")), (Some("auth"), None));

    // RFC 2069, erratum 749
    let challenge = challenge.replace(r#"qop="auth,auth-int","#, "");
    let header = example("CircleOfLife", &challenge, "0a4f113b");
    assert_eq!(parameter(&header, "response"), Some("\"1949323746fe6a43ef61f9606e7febea\""));
    let absent = ["qop", "nc", "cnonce", "algorithm"].map(|name| parameter(&header, name));
    assert_eq!(absent, [None; 4]);

    // RFC 7617 2
    let mut login = login("Aladdin", "open sesame");
    login.challenged([r#"Basic realm="WallyWorld""#].into_iter());
    let header = login.authorization("GET", "/").unwrap();
    assert_eq!(header, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
}

#[test]
fn a_session_key_without_a_protection_tells_its_cnonce() {
    let nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
    let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
    let challenge =
        format!("Digest realm=\"http-auth@example.org\", nonce=\"{nonce}\", algorithm=MD5-sess");
    let header = example("Circle of Life", &challenge, cnonce);
    assert_eq!(parameter(&header, "response"), Some("\"37a7f42db2090a3fcac4e26e747d4fc8\""));
    assert_eq!(parameter(&header, "cnonce"), Some(&*format!("\"{cnonce}\"")));
    assert_eq!((parameter(&header, "qop"), parameter(&header, "nc")), (None, None));
}

#[test]
fn any_name_and_password_works() {
    let mut login = login("a\"b\\c:d@é", "p:@\"\\ü");
    let realm = r#"IP \"Camera\""#;
    challenge(&mut login, &[&format!("Digest realm=\"{realm}\", nonce=\"n1\"")]);
    let header = login.authorization("DESCRIBE", "rtsp://h/x").unwrap();
    let want = "Digest username=\"a\\\"b\\\\c:d@é\", realm=\"IP \\\"Camera\\\"\", nonce=\"n1\", \
        uri=\"rtsp://h/x\", response=\"46d99abe4bed28358935ae4598e1dd0c\"";
    assert_eq!(header, want);
}

#[test]
fn nothing_is_sent_before_a_challenge() {
    let mut login = login("admin", "pw");
    assert_eq!(login.authorization("DESCRIBE", URI), None);
    login.accepted();
    assert_eq!(challenge(&mut login, &["Basic"]), Next::Retry);
}

#[test]
fn requests_are_counted_for_each_nonce() {
    let mut login = login("admin", "pw");
    let mut send = |nonce: &str, expected: &[&str]| {
        let value = format!("Digest realm=r, nonce={nonce}, qop=auth, algorithm=MD5-sess");
        assert_eq!(challenge(&mut login, &[&value]), Next::Retry);
        let mut cnonce = None;
        for count in expected {
            let header = login.authorization("OPTIONS", URI).unwrap();
            assert_eq!(parameter(&header, "nc"), Some(*count));
            // The key of a session is made of the cnonce, so one nonce keeps one cnonce.
            let found = parameter(&header, "cnonce").map(str::to_owned);
            assert_eq!(*cnonce.get_or_insert(found.clone()), found);
            login.accepted();
        }
        cnonce
    };
    let first = send("a", &["00000001", "00000002", "00000003"]);
    assert_ne!(send("b", &["00000001", "00000002"]), first);
    send("b", &["00000003"]);
}

#[test]
fn a_body_counts_where_the_camera_protects_it() {
    let nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
    let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
    let body = b"brightness=\x00\xff&name=T\xc3\xbcr\r\n";
    // Computed by another program.
    let rows = [
        ("MD5", "9bea450a1af1d2e3163e7af265a13cd1"),
        ("SHA-256", "1f7a03c64aec15015ec1c6015509a23ed034d234d54e62f341cc5e76d22f80f4"),
        ("MD5-sess", "51375a78856e5eb1286597a0f8cf1af5"),
        ("SHA-256-sess", "36039daf86bf9684ad380eae93a2d2e8c8d632297c44c96fafa096a506a43c7c"),
    ];
    for (algorithm, response) in rows {
        let mut login = login("Mufasa", "Circle of Life");
        let value = format!(
            "Digest realm=\"http-auth@example.org\", nonce=\"{nonce}\", algorithm={algorithm}, \
             qop=\"auth-int\""
        );
        assert_eq!(challenge(&mut login, &[&value]), Next::Retry);
        login.active.as_mut().unwrap().nonce.cnonce = cnonce.to_owned();
        let header = login.authorization_with_body("PUT", "/dir/index.html", body).unwrap();
        assert_eq!(parameter(&header, "response"), Some(&*format!("\"{response}\"")));
        assert_eq!(parameter(&header, "qop"), Some("auth-int"));
    }
}

#[test]
fn a_nonce_that_comes_back_is_counted_on() {
    let mut login = login("admin", "pw");
    let mut count = |nonce: &str| {
        challenge(&mut login, &[&format!("Digest realm=r, nonce={nonce}, qop=auth")]);
        let header = login.authorization("GET", "/").unwrap();
        login.accepted();
        parameter(&header, "nc").unwrap().to_owned()
    };
    assert_eq!(count("a"), "00000001");
    assert_eq!(["b", "c", "d", "a"].map(&mut count)[3], "00000002");
    let others = ["e", "f", "g", "h"].map(&mut count);
    assert_eq!(others, ["00000001"; 4]);
    assert_eq!(count("a"), "00000003", "four others are remembered beside it");
    let many = ["1", "2", "3", "4", "5"].map(&mut count);
    assert_eq!(many, ["00000001"; 5]);
    assert_eq!(count("a"), "00000001", "no list grows without end");
}

#[test]
fn a_login_that_starts_again_has_its_tries_again_and_counts_on() {
    let value = "Digest realm=r, nonce=n, qop=auth";
    let mut login = login("admin", "wrong");
    for count in ["00000001", "00000002"] {
        assert_eq!(challenge(&mut login, &[value]), Next::Retry);
        let header = login.authorization("GET", "/").unwrap();
        assert_eq!(parameter(&header, "nc"), Some(count));
        assert_eq!(challenge(&mut login, &[value]), Next::Refused);
        login.restart();
        assert_eq!(login.authorization("GET", "/"), None);
    }
    challenge(&mut login, &[value]);
    login.authorization("GET", "/");
    login.accepted();
    assert!(login.has_passed());
    login.restart();
    assert!(!login.has_passed());
}

#[test]
fn a_request_without_an_answer_is_no_refusal() {
    let offers = |nonce| [format!("Digest realm=r, nonce={nonce}, qop=auth"), "Basic".into()];
    let mut login = login("admin", "pw");
    let mut send = |nonce| {
        let offers: [String; 2] = offers(nonce);
        assert_eq!(login.challenged(offers.iter().map(String::as_str)), Next::Retry);
        // A challenge that no request has answered yet stays.
        login.unanswered();
        let header = login.authorization("GET", "/").unwrap();
        login.unanswered();
        assert_eq!(login.authorization("GET", "/"), None, "it is asked for anew");
        parameter(&header, "nc").map(str::to_owned)
    };
    for (nonce, count) in [("a", 1), ("b", 1), ("c", 1), ("b", 2), ("b", 3), ("a", 2)] {
        assert_eq!(send(nonce), Some(format!("{count:08x}")), "Digest, and each count once");
    }
    challenge(&mut login, &["Digest realm=r, nonce=d, qop=auth"]);
    login.authorization("GET", "/");
    login.accepted();
    login.unanswered();
    let header = login.authorization("GET", "/").unwrap();
    assert_eq!(parameter(&header, "nc"), Some("00000002"), "what has passed is kept");
}

/// A camera that knows the password or does not, and checks what it is sent.
struct Camera {
    password: &'static str,
    /// The camera's challenges, with `NONCE` in place of the nonce.
    offers: Vec<&'static str>,
    /// Beginning of the schemes whose answers the camera accepts.
    accepts: &'static str,
    /// How many requests the camera accepts with one nonce.
    uses: u32,
    nonce: u32,
    used: u32,
    stale: bool,
    refusals: Vec<String>,
}

impl Camera {
    fn new(offers: &[&'static str]) -> Self {
        let offers = offers.to_vec();
        Self {
            password: "p@ss:w/rd#1",
            offers,
            accepts: "",
            uses: u32::MAX,
            nonce: 0,
            used: 0,
            stale: false,
            refusals: Vec::new(),
        }
    }

    fn passes(&mut self, method: &str, header: &str) -> bool {
        self.used += 1;
        let (good, accepts) = (self.used <= self.uses, self.accepts);
        if let Some(basic) = header.strip_prefix("Basic ") {
            let plain = String::from_utf8(STANDARD.decode(basic).unwrap()).unwrap();
            return "Basic".starts_with(accepts) && plain == format!("admin:{}", self.password);
        }
        let of = |name| parameter(header, name).unwrap_or_default().trim_matches('"');
        let sha = of("algorithm").eq_ignore_ascii_case("SHA-256");
        let named = self.offers.iter().any(|offer| match of("algorithm") {
            "" => offer.starts_with("Digest") && !offer.contains("algorithm"),
            name => offer.contains(&format!("algorithm=\"{name}\"")),
        });
        let joined = |parts: &[&str]| hash(sha, parts.join(":").as_bytes());
        let secret = joined(&["admin", "IP Camera(C1214)", self.password]);
        let want = joined(&[&secret, of("nonce"), &joined(&[method, URI])]);
        let scheme = if sha { "SHA" } else { "MD5" };
        let right = of("response") == want && of("uri") == URI && of("username") == "admin";
        named
            && right
            && good
            && scheme.starts_with(accepts)
            && of("nonce") == format!("n{}", self.nonce)
    }

    /// Sends a request until it passes or is given up.
    fn serve(&mut self, login: &mut Login, method: &str) -> Result<(), Next> {
        for _ in 0..20 {
            let header = login.authorization(method, URI);
            if header.as_ref().is_some_and(|header| self.passes(method, header)) {
                login.accepted();
                return Ok(());
            }
            self.refusals.extend(header);
            (self.nonce, self.used) = (self.nonce + 1, 0);
            let nonce = format!("n{}", self.nonce);
            let stale = if self.stale { "TRUE" } else { "FALSE" };
            let values: Vec<_> = self
                .offers
                .iter()
                .map(|offer| offer.replace("NONCE", &nonce).replace("STALE", stale))
                .collect();
            match login.challenged(values.iter().map(String::as_str)) {
                Next::Retry => {}
                end => return Err(end),
            }
        }
        panic!("{method} is sent for ever")
    }
}

const PLAIN: &str = r#"Digest realm="IP Camera(C1214)", nonce="NONCE", stale="STALE""#;
const MD5: &str =
    r#"Digest realm="IP Camera(C1214)", nonce="NONCE", algorithm="MD5", stale="STALE""#;
const SHA256: &str =
    r#"Digest realm="IP Camera(C1214)", nonce="NONCE", algorithm="SHA-256", stale="STALE""#;
const BASIC: &str = r#"Basic realm="IP Camera(C1214)""#;
const RIGHT: &str = "p@ss:w/rd#1";

#[test]
fn the_strongest_scheme_passes_at_once() {
    let rows: &[(&[&'static str], &str)] = &[
        (&[PLAIN], "MD5"),
        (&[PLAIN, BASIC], "MD5"),
        (&[SHA256], "SHA"),
        (&[SHA256, MD5], "SHA"),
        (&[MD5, SHA256], "SHA"),
        (&[BASIC, MD5, SHA256, PLAIN], "SHA"),
        (&[BASIC], "Basic"),
    ];
    for (offers, accepts) in rows {
        let (mut camera, mut login) = (Camera::new(offers), login("admin", RIGHT));
        camera.accepts = accepts;
        for method in ["DESCRIBE", "SETUP", "PLAY", "GET_PARAMETER"] {
            assert_eq!(camera.serve(&mut login, method), Ok(()), "{offers:?} {method}");
        }
        assert_eq!((camera.refusals.len(), camera.nonce), (0, 1), "{offers:?}");
    }
}

#[test]
fn an_algorithm_is_named_as_the_camera_names_it() {
    for name in ["SHA-256", "sha-256", "SHA256", "MD5", "md5"] {
        let mut login = login("admin", RIGHT);
        challenge(&mut login, &[&format!("Digest realm=r, nonce=n, algorithm=\"{name}\"")]);
        let header = login.authorization("DESCRIBE", URI).unwrap();
        assert_eq!(parameter(&header, "algorithm"), Some(name));
    }
}

#[test]
fn the_next_scheme_is_tried_when_one_is_refused() {
    for (accepts, refusals) in [("SHA", 0), ("MD5", 1), ("Basic", 2)] {
        let mut camera = Camera::new(&[BASIC, MD5, SHA256]);
        camera.accepts = accepts;
        let mut login = login("admin", RIGHT);
        assert_eq!(camera.serve(&mut login, "DESCRIBE"), Ok(()), "{accepts}");
        assert_eq!(camera.serve(&mut login, "SETUP"), Ok(()), "{accepts}");
        assert_eq!(camera.refusals.len(), refusals, "{accepts}");
    }
}

#[test]
fn a_wrong_password_costs_one_try_for_each_scheme() {
    for offers in [&[PLAIN][..], &[SHA256, MD5], &[PLAIN, BASIC], &[BASIC, MD5, SHA256]] {
        let (mut camera, mut login) = (Camera::new(offers), login("admin", "wrong"));
        assert_eq!(camera.serve(&mut login, "DESCRIBE"), Err(Next::Refused));
        assert_eq!(camera.refusals.len(), offers.len());
        assert_eq!(login.authorization("DESCRIBE", URI), None);
        assert_eq!(camera.serve(&mut login, "DESCRIBE"), Err(Next::Refused), "for ever");
        assert_eq!(camera.refusals.len(), offers.len());
    }
}

#[test]
fn a_camera_that_always_says_stale_costs_two_tries_more() {
    let (mut camera, mut login) = (Camera::new(&[MD5, BASIC]), login("admin", "wrong"));
    camera.stale = true;
    assert_eq!(camera.serve(&mut login, "DESCRIBE"), Err(Next::Refused));
    assert_eq!(camera.refusals.len(), 4);
}

#[test]
fn a_refusal_without_a_challenge_is_one() {
    let mut login = login("admin", "wrong");
    assert_eq!(challenge(&mut login, &[BASIC, PLAIN]), Next::Retry);
    assert!(login.authorization("DESCRIBE", URI).unwrap().starts_with("Digest"));
    assert_eq!(challenge(&mut login, &[]), Next::Retry);
    assert!(login.authorization("DESCRIBE", URI).unwrap().starts_with("Basic"));
    assert_eq!(challenge(&mut login, &[]), Next::Refused);
}

#[test]
fn a_request_that_was_sent_before_the_challenge_is_no_try() {
    let mut login = login("admin", RIGHT);
    assert_eq!(challenge(&mut login, &[PLAIN]), Next::Retry);
    assert_eq!(challenge(&mut login, &[PLAIN]), Next::Retry);
    assert!(login.authorization("DESCRIBE", URI).unwrap().starts_with("Digest"));
}

#[test]
fn a_nonce_for_one_request_is_changed_any_number_of_times() {
    for stale in [false, true] {
        let (mut camera, mut login) = (Camera::new(&[PLAIN, BASIC]), login("admin", RIGHT));
        (camera.uses, camera.stale) = (1, stale);
        for n in 0..100 {
            assert_eq!(camera.serve(&mut login, "GET_PARAMETER"), Ok(()), "{n}");
        }
        assert_eq!(camera.refusals.len(), 99, "each nonce but the first was asked for twice");
        assert!(camera.refusals.iter().all(|header| header.starts_with("Digest")));
    }
}

#[test]
fn what_passed_and_is_refused_again_and_again_is_no_wrong_password() {
    let (mut camera, mut login) = (Camera::new(&[MD5]), login("admin", RIGHT));
    assert_eq!(camera.serve(&mut login, "DESCRIBE"), Ok(()));
    camera.password = "changed";
    assert_eq!(camera.serve(&mut login, "SETUP"), Err(Next::Unsettled));
    assert_eq!(camera.refusals.len(), 4, "one, and three more");
}

#[test]
fn an_overtaken_answer_refuses_only_a_login_that_has_not_passed() {
    let digest = |n: usize| format!("Digest realm=r, nonce=n{n}, qop=auth");
    let mut login = login("admin", "pw");
    challenge(&mut login, &[&digest(0)]);
    login.authorization("GET", "/");
    login.accepted();
    for n in 1..20 {
        assert_eq!(login.overtaken([&*digest(n), "Basic"].into_iter()), Next::Retry);
        assert!(login.authorization("GET", "/").unwrap().starts_with("Digest"));
    }
    login.restart();
    challenge(&mut login, &[&digest(20)]);
    login.authorization("GET", "/");
    assert_eq!(login.overtaken([&*digest(21)].into_iter()), Next::Refused);
}

#[test]
fn a_request_that_needs_a_weaker_scheme_gets_it_at_last() {
    let (mut camera, mut login) = (Camera::new(&[MD5, BASIC]), login("admin", RIGHT));
    assert_eq!(camera.serve(&mut login, "DESCRIBE"), Ok(()));
    camera.accepts = "Basic";
    assert_eq!(camera.serve(&mut login, "SETUP"), Ok(()));
    assert_eq!(camera.refusals.len(), 3);
    camera.refusals.clear();
    assert_eq!(camera.serve(&mut login, "PLAY"), Ok(()));
    assert!(camera.refusals.is_empty());
}

#[test]
fn the_same_nonce_refused_without_a_word_calls_for_the_next_scheme() {
    let mut login = login("admin", RIGHT);
    challenge(&mut login, &[MD5, BASIC]);
    login.authorization("DESCRIBE", URI);
    login.accepted();
    login.authorization("SETUP", URI);
    assert_eq!(challenge(&mut login, &[MD5, BASIC]), Next::Retry);
    assert!(login.authorization("SETUP", URI).unwrap().starts_with("Basic"));
}

#[test]
fn a_401_without_a_challenge_after_a_login_is_asked_for_one() {
    let mut login = login("admin", RIGHT);
    challenge(&mut login, &[MD5]);
    login.authorization("DESCRIBE", URI);
    login.accepted();
    assert_eq!(challenge(&mut login, &[]), Next::Retry);
    assert_eq!(login.authorization("SETUP", URI), None);
    assert_eq!(challenge(&mut login, &[MD5]), Next::Retry);
    assert!(login.authorization("SETUP", URI).is_some());
    assert_eq!(challenge(&mut login, &[]), Next::Retry);
    assert_eq!(challenge(&mut login, &[]), Next::Unsettled);
}

#[test]
fn other_schemes_are_named() {
    let next = |values: &[&str]| challenge(&mut login("admin", RIGHT), values);
    let other = Next::Unsupported("Negotiate, Bearer".into());
    assert_eq!(next(&["Negotiate", "Bearer x"]), other);
    assert_eq!(next(&["Negotiate x , Bearer x=="]), other);
    assert_eq!(next(&["Digest realm=r"]), Next::Unsupported("Digest without a nonce".into()));
    assert_eq!(next(&[]), Next::Unsupported("none".into()));
    assert_eq!(next(&["Negotiate", "Digest realm=r", BASIC]), Next::Retry);
}

#[test]
fn nothing_secret_shows() {
    let mut login = login("canary", "canary");
    challenge(&mut login, &["Digest realm=r, nonce=canary"]);
    login.authorization("DESCRIBE", URI);
    assert_eq!(format!("{login:?}"), "Login(hidden)");
}
