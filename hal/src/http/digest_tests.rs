//! The login over real sockets, at cameras that check every digest.

mod ports;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use md5::{Digest as _, Md5};
use sha2::Sha256;
use tokio::task::JoinSet;

use super::fake::{Camera, header};
use super::*;
use crate::{Snapshot as _, Stream};

const PLAIN: &str = r#"Digest realm="c", nonce="NONCE", stale=STALE"#;
const AUTH: &str = r#"Digest realm="c", qop="auth", nonce="NONCE", stale=STALE"#;
const WHOLE: &str = r#"Digest realm="c", qop="auth-int", nonce="NONCE", stale=STALE"#;
const SHA256: &str =
    r#"Digest realm="c", qop="auth", algorithm=SHA-256, nonce="NONCE", stale=STALE"#;
const BASIC: &str = r#"Basic realm="c""#;

/// What a test's camera with a login knows and counts.
struct Guard {
    /// The camera's challenges, each in a header line of its own.
    offers: Vec<&'static str>,
    password: &'static str,
    /// How many requests one nonce is good for.
    uses: usize,
    /// The nonce of every challenge; `None` for a new nonce each time.
    only_nonce: Option<&'static str>,
    /// Whether the camera says that a used-up nonce is stale.
    says_stale: bool,
    /// Paths that the user may not use.
    forbidden: &'static [&'static str],
    /// The request counts that came with each nonce.
    nonces: HashMap<String, HashSet<String>>,
    /// Authorizations with a wrong digest or password.
    wrong: Vec<String>,
    /// The requests that passed, as they came.
    passed: Vec<String>,
}

#[derive(PartialEq)]
enum Verdict {
    Right,
    Wrong,
    Stale,
}

struct Guarded {
    camera: Camera,
    guard: Arc<Mutex<Guard>>,
}

impl Guarded {
    async fn start(offers: &[&'static str]) -> Self {
        let guard = Arc::new(Mutex::new(Guard {
            offers: offers.to_vec(),
            password: "right",
            uses: usize::MAX,
            only_nonce: None,
            says_stale: true,
            forbidden: &[],
            nonces: HashMap::new(),
            wrong: Vec::new(),
            passed: Vec::new(),
        }));
        let guard_of_camera = Arc::clone(&guard);
        let camera =
            Camera::start(move |request| guard_of_camera.lock().unwrap().answer(request)).await;
        Self { camera, guard }
    }

    fn guard(&self) -> MutexGuard<'_, Guard> {
        self.guard.lock().unwrap()
    }

    fn http(&self, password: &str) -> Http {
        self.camera.http_as("root", password)
    }

    /// How many authorizations the camera has refused.
    fn wrong(&self) -> usize {
        self.guard().wrong.len()
    }
}

impl Guard {
    fn answer(&mut self, request: &str) -> Vec<u8> {
        let verdict = header(request, "Authorization").map(|said| self.check(request, said));
        let path = request.split([' ', '?']).nth(1).unwrap();
        if verdict == Some(Verdict::Right) && !self.forbidden.contains(&path) {
            self.passed.push(request.to_owned());
            if path == "/hang" {
                return Vec::new();
            }
            if path == "/break" {
                return b"SSH-2.0-x\r\n\r\n".to_vec();
            }
            return b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\xff\xd8\xff\xd9".to_vec();
        }
        if verdict == Some(Verdict::Wrong) {
            self.wrong.push(header(request, "Authorization").unwrap().to_owned());
        }
        let nonce = self.only_nonce.map_or(format!("n{}", self.nonces.len()), str::to_owned);
        let stale = (verdict == Some(Verdict::Stale) && self.says_stale).to_string();
        let mut head = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n".to_owned();
        for offer in &self.offers {
            let offer = offer.replace("NONCE", &nonce).replace("STALE", &stale);
            head += &format!("WWW-Authenticate: {offer}\r\n");
        }
        self.nonces.entry(nonce).or_default();
        (head + "\r\n").into_bytes()
    }

    fn check(&mut self, request: &str, said: &str) -> Verdict {
        if let Some(basic) = said.strip_prefix("Basic ") {
            let right = self.offers.contains(&BASIC) && self.password == "right";
            // root:right
            return if right && basic == "cm9vdDpyaWdodA==" {
                Verdict::Right
            } else {
                Verdict::Wrong
            };
        }
        let parameters: HashMap<&str, &str> = said
            .strip_prefix("Digest ")
            .unwrap()
            .split(", ")
            .map(|part| part.split_once('=').unwrap())
            .map(|(name, value)| (name, value.trim_matches('"')))
            .collect();
        let of = |name: &str| parameters.get(name).copied().unwrap_or_default();
        let sha256 = of("algorithm") == "SHA-256";
        let hash = |text: &str| match sha256 {
            true => hex(&Sha256::digest(text)),
            false => hex(&Md5::digest(text)),
        };
        let mut line = request.split(' ');
        let (method, target) = (line.next().unwrap(), line.next().unwrap());
        assert_eq!(of("uri"), target, "what is hashed is what is asked for");
        let secret = hash(&format!("root:c:{}", self.password));
        let body = hash(request.split_once("\r\n\r\n").unwrap().1);
        let what = match of("qop") {
            "auth-int" => hash(&format!("{method}:{target}:{body}")),
            _ => hash(&format!("{method}:{target}")),
        };
        let (nonce, count) = (of("nonce"), of("nc"));
        let middle = match of("qop") {
            "" => nonce.to_owned(),
            qop => format!("{nonce}:{count}:{}:{qop}", of("cnonce")),
        };
        if of("response") != hash(&format!("{secret}:{middle}:{what}")) {
            return Verdict::Wrong;
        }
        let counts = self.nonces.get_mut(nonce).expect("a nonce that the camera named");
        if counts.len() >= self.uses {
            return Verdict::Stale;
        }
        assert!(
            counts.insert(count.to_owned()) || count.is_empty(),
            "{said}: the count came twice"
        );
        Verdict::Right
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Advances the time at once. The sockets are real, and their deadlines run by the same clock.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// Lets what is ready happen, and a little time pass at once.
async fn hasten() {
    pass(Duration::from_millis(20)).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn every_method_passes_by_every_kind_of_digest_at_once() {
    let rows: &[(&[&'static str], &str)] = &[
        (&[PLAIN], "Digest"),
        (&[AUTH], "qop=auth,"),
        (&[WHOLE], "qop=auth-int,"),
        (&[SHA256], "algorithm=SHA-256"),
        (&[BASIC, AUTH, SHA256], "algorithm=SHA-256"),
        (&[SHA256, AUTH], "algorithm=SHA-256"),
        (&[BASIC, WHOLE], "qop=auth-int,"),
        (&[BASIC], "Basic"),
    ];
    let requests = [
        Request::get("/a?b=1&c=%20"),
        Request::with_body(Method::Post, "/form?x", "application/x-www-form-urlencoded", "a=1&b=ü"),
        Request::with_body(Method::Put, "/xml", "application/xml", "<a>\r\n\r\n</a>"),
        Request::with_body(Method::Post, "/nothing", "text/plain", ""),
        Request { method: Method::Put, ..Request::get("/bare") },
    ];
    for (offers, scheme) in rows {
        let guarded = Guarded::start(offers).await;
        let http = guarded.http("right");
        for request in &requests {
            assert_eq!(http.send("test", request).await.unwrap().status, 200, "{offers:?}");
        }
        let asked = guarded.camera.requests();
        assert_eq!(asked.len(), requests.len() + 1, "{offers:?}: one challenge, the first");
        assert_eq!(guarded.wrong(), 0, "{offers:?}");
        for (asked, request) in asked[1..].iter().zip(&requests) {
            assert!(header(asked, "Authorization").unwrap().contains(scheme), "{asked}");
            let line = format!("{} {} HTTP/1.1\r\n", request.method.as_str(), request.target);
            assert!(asked.starts_with(&line), "{asked}");
            let (_, body) = asked.split_once("\r\n\r\n").unwrap();
            assert_eq!(body.as_bytes(), request.bytes());
            let kind = request.body.as_ref().map(|body| &*body.content_type);
            assert_eq!(header(asked, "Content-Type"), kind);
            let length =
                header(asked, "Content-Length").map(|length| length.parse::<usize>().unwrap());
            assert_eq!(length.unwrap_or_default(), body.len());
        }
        assert!(!asked.concat().contains("right"));
    }
}

#[tokio::test]
async fn two_challenges_in_one_header_are_two() {
    const BOTH: &str = r#"Digest realm="c", qop="auth", nonce="NONCE", algorithm=MD5, Digest realm="c", qop="auth", algorithm=SHA-256, nonce="NONCE""#;
    let guarded = Guarded::start(&[BOTH]).await;
    assert_eq!(guarded.http("right").get("/", "").await.unwrap().status, 200);
    assert!(guarded.guard().passed[0].contains("algorithm=SHA-256"));
}

#[tokio::test]
async fn all_abilities_of_a_camera_share_one_login() {
    let guarded = Guarded::start(&[AUTH]).await;
    let http = guarded.http("right");
    let pictures = HttpSnapshot::new(
        http.with_limits(Limits { body: 4, ..Limits::default() }),
        "/main.jpg",
        Some("/sub.jpg"),
    );
    assert_eq!(http.get("/param.cgi", "").await.unwrap().status, 200);
    pictures.jpeg(Stream::Main).await.unwrap();
    pictures.jpeg(Stream::Sub).await.unwrap();
    http.clone().get("/param.cgi", "").await.unwrap();
    let asked = guarded.camera.requests();
    assert_eq!(asked.len(), 5, "one challenge for all of them");
    for (at, asked) in asked[1..].iter().enumerate() {
        let count = format!("nc={:08x}", at + 1);
        assert!(header(asked, "Authorization").unwrap().contains(&count), "{asked}");
    }
}

#[tokio::test]
async fn requests_at_the_same_time_never_share_a_count() {
    for (uses, says_stale) in [(usize::MAX, true), (3, true), (3, false), (1, true), (1, false)] {
        let guarded = Guarded::start(&[AUTH]).await;
        (guarded.guard().uses, guarded.guard().says_stale) = (uses, says_stale);
        let http = guarded.http("right");
        let mut tasks = JoinSet::new();
        for n in 0..40 {
            let http = http.clone();
            tasks.spawn(async move {
                for _ in 0..5 {
                    let answer = http.get("/a", &format!("n={n}")).await.unwrap();
                    assert_eq!(answer.status, 200);
                }
            });
        }
        tasks.join_all().await;
        assert_eq!(guarded.guard().passed.len(), 200, "{uses} requests, stale {says_stale}");
    }
}

#[tokio::test]
async fn a_late_challenge_does_not_weaken_the_login() {
    let guarded = Guarded::start(&[AUTH, BASIC]).await;
    guarded.guard().only_nonce = Some("for-ever");
    let http = guarded.http("right");
    let mut tasks = JoinSet::new();
    for _ in 0..10 {
        let http = http.clone();
        tasks.spawn(async move { http.get("/a", "").await.unwrap().status });
    }
    assert_eq!(tasks.join_all().await, [200; 10]);
    let passed = guarded.guard().passed.concat();
    assert!(
        !passed.contains("Basic"),
        "ten challenges of one nonce, one of which was answered first"
    );
}

#[tokio::test]
async fn a_wrong_password_is_tried_once_for_each_scheme_however_many_ask() {
    for offers in [&[BASIC][..], &[AUTH], &[SHA256, AUTH, BASIC]] {
        let guarded = Guarded::start(offers).await;
        let http = guarded.http("wrong");
        let mut tasks = JoinSet::new();
        for n in 0..20 {
            let http = http.clone();
            tasks.spawn(async move {
                // Some of the requests come while another one tries the login.
                for _ in 0..3 * n {
                    tokio::task::yield_now().await;
                }
                http.get("/a", "").await.unwrap().status
            });
        }
        assert_eq!(tasks.join_all().await, [401; 20], "the answer is the camera's");
        assert_eq!(guarded.wrong(), offers.len());
        let pictures = HttpSnapshot::new(http, "/a", None);
        let error = pictures.jpeg(Stream::Main).await.unwrap_err();
        assert_eq!(error.kind, Kind::Refused);
        assert_eq!(guarded.wrong(), offers.len());
    }
}

#[tokio::test]
async fn a_refused_login_rests_longer_each_time_and_is_tried_for_ever() {
    let guarded = Guarded::start(&[AUTH]).await;
    let http = guarded.http("wrong");
    assert_eq!(http.get("/", "").await.unwrap().status, 401);
    for (tries, minutes) in [5, 10, 20, 30, 30, 30].into_iter().enumerate() {
        pass(minutes * MINUTE - Duration::from_secs(20)).await;
        assert_eq!(http.get("/", "").await.unwrap().status, 401);
        assert_eq!(guarded.wrong(), 1 + tries, "it rests for {minutes} minutes");
        pass(Duration::from_secs(20)).await;
        assert_eq!(http.get("/", "").await.unwrap().status, 401);
        assert_eq!(guarded.wrong(), 2 + tries, "it is tried again");
    }
    // The camera is given the password that is configured.
    guarded.guard().password = "wrong";
    pass(30 * MINUTE).await;
    assert_eq!(http.get("/", "").await.unwrap().status, 200);
    // The login passed in between, so the next refusal counts as the first.
    guarded.guard().password = "right";
    http.get("/", "").await.unwrap();
    let tries = guarded.wrong();
    pass(5 * MINUTE).await;
    http.get("/", "").await.unwrap();
    assert_eq!(guarded.wrong(), tries + 1);
}

#[tokio::test]
async fn a_new_password_is_tried_at_once() {
    let guarded = Guarded::start(&[AUTH]).await;
    assert_eq!(guarded.http("wrong").get("/", "").await.unwrap().status, 401);
    assert_eq!(guarded.http("right").get("/", "").await.unwrap().status, 200);
}

#[tokio::test]
async fn a_camera_that_locks_accounts_gets_few_tries_in_a_day() {
    let guarded = Guarded::start(&[AUTH, BASIC]).await;
    let http = guarded.http("wrong");
    let mut tries = Vec::new();
    for n in 0..24 * 60 / 2 {
        let path = ["/a", "/b", "/c"][n % 3];
        assert_eq!(http.get(path, "").await.unwrap().status, 401);
        tries.push(guarded.wrong());
        pass(2 * MINUTE).await;
    }
    let most = tries.windows(4).map(|some| some[3] - some[0]).max().unwrap();
    assert!(most <= 4, "{most} tries within five minutes");
    assert!(tries[30] <= 12, "{} tries in the first hour", tries[30]);
    let all = guarded.wrong();
    assert!((48..=4 * 50).contains(&all), "{all} tries in a day: few, but not none");
}

#[tokio::test]
async fn a_path_without_the_right_for_it_does_not_stop_the_others() {
    let guarded = Guarded::start(&[AUTH]).await;
    guarded.guard().forbidden = &["/admin.cgi"];
    let http = guarded.http("right");
    // The request for this path comes first, before the camera has accepted anything.
    for round in 0..20 {
        assert_eq!(http.get("/admin.cgi", &format!("n={round}")).await.unwrap().status, 401);
        assert_eq!(http.get("/param.cgi", "").await.unwrap().status, 200, "round {round}");
    }
    let asked = guarded.camera.requests();
    let said = asked.iter().filter(|asked| header(asked, "Authorization").is_some()).count();
    assert_eq!(said - guarded.guard().passed.len(), 1, "the path rests after its first refusal");
    pass(5 * MINUTE).await;
    guarded.guard().forbidden = &[];
    assert_eq!(http.get("/admin.cgi", "").await.unwrap().status, 200, "it was granted");
}

#[tokio::test]
async fn a_password_that_was_changed_on_the_camera_is_found_out_and_found_again() {
    let guarded = Guarded::start(&[AUTH]).await;
    let http = guarded.http("right");
    assert_eq!(http.get("/a", "").await.unwrap().status, 200);
    guarded.guard().password = "changed";
    for _ in 0..50 {
        for path in ["/a", "/b", "/c"] {
            assert_eq!(http.get(path, "").await.unwrap().status, 401);
        }
    }
    let tries = guarded.wrong();
    assert!(tries <= 5, "{tries} tries: as often as a nonce is renewed, and once by another path");
    guarded.guard().password = "right";
    pass(10 * MINUTE).await;
    assert_eq!(http.get("/b", "").await.unwrap().status, 200);
}

#[tokio::test]
async fn a_camera_that_refuses_for_ever_ends_every_request() {
    // The camera refuses nothing but the nonce, whatever it is sent.
    let count = AtomicUsize::new(0);
    let camera = Camera::start(move |_| {
        let nonce = count.fetch_add(1, Ordering::Relaxed);
        format!(
            "HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm=\"c\", nonce=\"{nonce}\", stale=true, \
             qop=\"auth\"\r\nContent-Length: 2\r\n\r\nno"
        )
        .into_bytes()
    })
    .await;
    let http = camera.http_as("root", "right");
    let answer = http.get("/", "").await.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (401, &b"no"[..]));
    let asked = camera.requests();
    let said = asked.iter().filter(|asked| header(asked, "Authorization").is_some()).count();
    assert_eq!(said, 3, "two tries more than one");
    for _ in 0..10 {
        http.get("/", "").await.unwrap();
    }
    assert_eq!(camera.requests().len(), asked.len() + 10, "and none while the login rests");
}

#[tokio::test]
async fn a_login_of_another_kind_is_the_cameras_answer() {
    for challenge in ["Negotiate", "Bearer realm=\"c\"", "Digest realm=\"no nonce\"", ""] {
        let camera = Camera::start(move |_| {
            format!("HTTP/1.1 401 No\r\nWWW-Authenticate: {challenge}\r\nContent-Length: 0\r\n\r\n")
                .into_bytes()
        })
        .await;
        let http = camera.http_as("root", "right");
        for requests in 1..=2 {
            assert_eq!(http.get("/", "").await.unwrap().status, 401);
            assert_eq!(camera.requests().len(), requests, "nothing can be tried: {challenge}");
        }
    }
}

#[tokio::test]
async fn a_hanging_request_does_not_stop_those_of_a_proven_login() {
    let guarded = Guarded::start(&[AUTH]).await;
    let http = guarded.http("right");
    http.get("/a", "").await.unwrap();
    let (slow, fast) = (http.clone(), http);
    let hanging = tokio::spawn(async move { slow.get("/hang", "").await.map(|_| ()) });
    while guarded.guard().passed.len() < 2 {
        tokio::task::yield_now().await;
    }
    guarded.guard().uses = 1;
    for _ in 0..3 {
        assert_eq!(fast.get("/a", "").await.unwrap().status, 200, "also with a new nonce");
    }
    assert!(!hanging.is_finished());
    pass(Duration::from_secs(10)).await;
    assert_eq!(hanging.await.unwrap().unwrap_err().kind, Kind::Timeout);
}

/// How a request ends without an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Death {
    Deadline,
    Dropped,
    Broken,
}

/// Lets the first authorization of a login go without an answer.
async fn die(guarded: &Guarded, http: &Http, death: Death) {
    let path = if death == Death::Broken { "/break" } else { "/hang" };
    let dying = http.clone();
    let request = tokio::spawn(async move { dying.get(path, "").await.map(|_| ()) });
    while guarded.guard().passed.is_empty() {
        tokio::task::yield_now().await;
    }
    match death {
        Death::Deadline => pass(Duration::from_secs(10)).await,
        Death::Dropped => request.abort(),
        Death::Broken => {}
    }
    match request.await {
        Ok(end) => {
            let kind = if death == Death::Deadline { Kind::Timeout } else { Kind::Other };
            assert_eq!(end.unwrap_err().kind, kind, "{death:?}");
        }
        Err(end) => assert!(end.is_cancelled() && death == Death::Dropped),
    }
}

#[tokio::test]
async fn an_authorization_without_an_answer_is_no_wrong_password() {
    for death in [Death::Deadline, Death::Dropped, Death::Broken] {
        for offers in [&[AUTH, BASIC][..], &[AUTH]] {
            let guarded = Guarded::start(offers).await;
            (guarded.guard().uses, guarded.guard().says_stale) = (1, false);
            let http = guarded.http("right");
            die(&guarded, &http, death).await;
            for _ in 0..3 {
                assert_eq!(http.get("/a", "").await.unwrap().status, 200, "{death:?}");
            }
            let asked = guarded.camera.requests().concat();
            assert!(!asked.contains("Basic"), "{death:?}: {asked}");
        }
    }
}

#[tokio::test]
async fn a_nonce_is_counted_on_after_an_authorization_without_an_answer() {
    for death in [Death::Deadline, Death::Dropped, Death::Broken] {
        let guarded = Guarded::start(&[AUTH]).await;
        guarded.guard().only_nonce = Some("for-ever");
        let http = guarded.http("right");
        die(&guarded, &http, death).await;
        for count in ["nc=00000002", "nc=00000003"] {
            assert_eq!(http.get("/a", "").await.unwrap().status, 200, "{death:?}");
            let passed = guarded.guard().passed.last().unwrap().clone();
            assert!(passed.contains(count), "{death:?}: {passed}");
        }
    }
}

#[tokio::test]
async fn hanging_renewals_do_not_stop_those_of_a_proven_login() {
    for (later_uses, says_stale) in [(usize::MAX, true), (1, true), (1, false)] {
        let guarded = Guarded::start(&[AUTH, BASIC]).await;
        let http = guarded.http("right");
        http.get("/a", "").await.unwrap();
        (guarded.guard().uses, guarded.guard().says_stale) = (1, says_stale);
        let start = Instant::now();
        let mut hanging = JoinSet::new();
        for n in 1..=6 {
            let http = http.clone();
            hanging.spawn(async move { http.get("/hang", "").await.map(|_| ()) });
            while guarded.guard().passed.len() <= n {
                hasten().await;
            }
        }
        guarded.guard().uses = later_uses;
        let pictures = HttpSnapshot::new(http, "/main.jpg", None);
        let picture = tokio::spawn(async move { pictures.jpeg(Stream::Main).await });
        while !picture.is_finished() {
            hasten().await;
        }
        picture.await.unwrap().unwrap();
        let waited = start.elapsed();
        assert!(waited < Duration::from_secs(8), "{waited:?} for seven, each beside the others");
        assert!(hanging.try_join_next().is_none(), "nothing was waited for to its end");
        assert!(!guarded.camera.requests().concat().contains("Basic"));
        pass(Duration::from_secs(10)).await;
        for end in hanging.join_all().await {
            assert_eq!(end.unwrap_err().kind, Kind::Timeout);
        }
    }
}
