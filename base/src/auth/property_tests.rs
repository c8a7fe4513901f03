//! What holds for every camera, request and password.

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn nothing_breaks_out_of_the_header(
        username: String, password: String, uri: String,
        challenges in proptest::collection::vec(
            prop_oneof![
                any::<String>(),
                "Digest realm=\"?[\r\n\\\\\"x]{0,5}\"?, nonce=\"?[\r\n\\\\\"x]{0,5}\"?, opaque=[\r\n\\\\\"x]{0,5}",
            ],
            1..12,
        ),
    ) {
        let mut login = login(&username, &password);
        for challenge in &challenges {
            login.challenged([challenge.as_str()].into_iter());
            if let Some(header) = login.authorization("DESCRIBE", &uri) {
                prop_assert!(!header.contains(char::is_control));
                if let Some(list) = header.strip_prefix("Digest ") {
                    let names = names(list);
                    let usual = ["username", "realm", "nonce", "uri", "response"];
                    prop_assert!(names.starts_with(&usual.map(String::from)), "{header}");
                    prop_assert!(names[5..].iter().all(|name| name == "opaque"), "{header}");
                }
            }
        }
    }
}

/// What can happen to a login.
#[derive(Clone, Debug)]
enum Step {
    /// A 401 with these offers of this nonce.
    Challenge(Vec<&'static str>, u8, bool),
    Send,
    Accept,
    Lose,
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let offers = proptest::sample::subsequence(vec![PLAIN, MD5, SHA256, BASIC], 0..=4);
    let challenge = (offers, 0u8..4, any::<bool>())
        .prop_map(|(offers, nonce, stale)| Step::Challenge(offers, nonce, stale));
    let step = prop_oneof![
        4 => challenge,
        8 => Just(Step::Send),
        2 => Just(Step::Accept),
        2 => Just(Step::Lose),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 0..60)
}

fn challenge_as(login: &mut Login, offers: &[&str], nonce: u8, stale: bool) -> Next {
    let (nonce, stale) = (format!("n{nonce}"), if stale { "true" } else { "false" });
    let fill = |offer: &&str| {
        let offer = offer.replace("NONCE", &nonce).replace("STALE", stale);
        if offer.starts_with("Digest") { offer + ", qop=auth" } else { offer }
    };
    let values: Vec<_> = offers.iter().map(fill).collect();
    login.challenged(values.iter().map(String::as_str))
}

proptest! {
    #[test]
    fn no_count_comes_twice_with_a_nonce_and_none_is_left_out(steps in steps()) {
        let mut login = login("admin", "pw");
        let mut counts = std::collections::HashMap::<String, u32>::new();
        for step in steps {
            match step {
                Step::Challenge(offers, nonce, stale) => {
                    challenge_as(&mut login, &offers, nonce, stale);
                }
                Step::Accept => login.accepted(),
                Step::Lose => login.unanswered(),
                Step::Restart => login.restart(),
                Step::Send => {
                    let Some(header) = login.authorization("GET", "/") else { continue };
                    let Some(nonce) = parameter(&header, "nonce") else { continue };
                    let count = counts.entry(nonce.to_owned()).or_default();
                    *count += 1;
                    prop_assert_eq!(parameter(&header, "nc").unwrap(), format!("{count:08x}"));
                }
            }
        }
    }

    #[test]
    fn no_camera_gets_more_tries_than_its_schemes_and_two(
        answers in proptest::collection::vec(
            (proptest::sample::subsequence(vec![PLAIN, SHA256, BASIC], 0..=3), 0u8..4, any::<bool>()),
            0..40,
        ),
    ) {
        let mut login = login("admin", "wrong");
        let mut tries = 0;
        for (offers, nonce, stale) in answers {
            if challenge_as(&mut login, &offers, nonce, stale) != Next::Retry {
                prop_assert_eq!(login.authorization("GET", "/"), None);
            }
            tries += usize::from(login.authorization("GET", "/").is_some());
        }
        prop_assert!(tries <= 3 + usize::from(MAX_STALE), "{tries} tries");
    }

    #[test]
    fn every_byte_of_a_body_is_protected_and_only_where_it_is_asked_for(
        body: Vec<u8>, other: Vec<u8>, sha256: bool,
    ) {
        let algorithm = if sha256 { "SHA-256" } else { "MD5" };
        let response = |qop: &str, body: &[u8]| {
            let mut login = login("admin", "pw");
            let value = format!("Digest realm=r, nonce=n, algorithm={algorithm}, qop={qop}");
            challenge(&mut login, &[&value]);
            login.active.as_mut().unwrap().nonce.cnonce = "c".into();
            let header = login.authorization_with_body("POST", "/x?y=1", body).unwrap();
            parameter(&header, "response").unwrap().trim_matches('"').to_owned()
        };
        let joined = |parts: &[&str]| hash(sha256, parts.join(":").as_bytes());
        let request = joined(&["POST", "/x?y=1", &hash(sha256, &body)]);
        let secret = joined(&["admin", "r", "pw"]);
        let want = joined(&[&secret, "n", "00000001", "c", "auth-int", &request]);
        prop_assert_eq!(response("auth-int", &body), want);
        prop_assert_eq!(response("auth-int", &body) == response("auth-int", &other), body == other);
        prop_assert_eq!(response("auth", &body), response("auth", &other));
    }
}

/// The names of the parameters by a strict reader.
fn names(list: &str) -> Vec<String> {
    let (mut names, mut name) = (Vec::new(), String::new());
    let (mut quoted, mut escaped) = (false, false);
    for c in list.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '=' => names.push(std::mem::take(&mut name).trim().to_owned()),
            ',' => name.clear(),
            c => name.push(c),
        }
    }
    assert!(!quoted && !escaped, "{list}");
    names
}
