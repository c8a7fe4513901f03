//! The login in all its forms, and the camera's clock.

use std::time::UNIX_EPOCH;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::task::JoinSet;

use super::*;
use crate::{Cgi as _, Clock as _, Network, Power, Presets, Ptz, Snapshot as _, Stream};

/// How a camera judges a login.
#[derive(Clone)]
struct Guard {
    password: &'static str,
    /// The camera's clock, by which `Created` may be off by 5 s.
    clock: Arc<Mutex<SystemTime>>,
    /// What the camera says its clock is.
    told: Arc<Mutex<SystemTime>>,
    /// The HTTP status of a refusal.
    status: u16,
    /// Whether the token counts, and whether HTTP Digest does.
    takes: (bool, bool),
    wrong: Arc<Mutex<u32>>,
}

impl Guard {
    fn new(time: SystemTime) -> Self {
        Self {
            password: "right",
            clock: Arc::new(Mutex::new(time)),
            told: Arc::new(Mutex::new(time)),
            status: 400,
            takes: (true, false),
            wrong: Arc::default(),
        }
    }

    async fn camera(&self) -> Camera {
        let guard = self.clone();
        Camera::start(move |asked| guard.answer(asked)).await
    }

    fn answer(&self, asked: &Asked) -> (u16, String) {
        if asked.action == "GetSystemDateAndTime" {
            return (200, clock(*self.told.lock().unwrap()));
        }
        let digest = self.takes.1
            && asked.authorization.as_deref().is_some_and(|said| said.starts_with("Digest "));
        if digest && self.password == "right" || self.takes.0 && self.is_right(asked) {
            return (0, String::new());
        }
        if asked.security.child("Security").is_some() || digest {
            *self.wrong.lock().unwrap() += 1;
        }
        let status = if self.takes.1 { 401 } else { self.status };
        (status, fault("ter:NotAuthorized", "Sender not Authorized"))
    }

    fn is_right(&self, asked: &Asked) -> bool {
        let Some(token) = asked.security.find("Security/UsernameToken") else { return false };
        let created = token.text_at("Created");
        let nonce = STANDARD.decode(token.text_at("Nonce")).unwrap();
        let clock = *self.clock.lock().unwrap();
        let near = [0, 1, 2, 3, 4, 5].into_iter().flat_map(|n| {
            let off = Duration::from_secs(n);
            [clock + off, clock.checked_sub(off).unwrap_or(clock)]
                .map(|at| Utc::from(at).to_string())
        });
        near.into_iter().any(|at| created.starts_with(at.trim_end_matches('Z')))
            && token.text_at("Password") == security::digest(&nonce, created, self.password)
            && token.text_at("Username") == "root"
    }

    fn wrong(&self) -> u32 {
        *self.wrong.lock().unwrap()
    }
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

#[tokio::test]
async fn a_camera_in_any_year_takes_a_token_in_its_own_time() {
    for time in [at(1_000), at(2_147_483_700), at(5_000_000_000), SystemTime::now()] {
        let guard = Guard::new(time);
        let camera = guard.camera().await;
        assert_eq!(Presets::list(&*camera.onvif()).await.unwrap().len(), 1);
        assert_eq!(guard.wrong(), 0);
        let first = &camera.asked()[0];
        assert_eq!(first.action, "GetSystemDateAndTime");
        assert!(first.security.nodes.is_empty(), "the clock is asked for without a login");
    }
}

#[tokio::test]
async fn the_clock_is_asked_for_with_the_login_where_the_camera_insists() {
    let camera = Camera::start(|asked| {
        let is_bare = asked.security.child("Security").is_none();
        match &*asked.action {
            "GetSystemDateAndTime" if is_bare => (400, fault("ter:NotAuthorized", "")),
            "GetSystemDateAndTime" => (200, clock(at(1_000_000))),
            _ => (0, String::new()),
        }
    })
    .await;
    let onvif = camera.onvif();
    Ptz::stop(&*onvif).await.unwrap();
    let created = camera.calls("Stop")[0].security.descendant("Created").unwrap().text().to_owned();
    assert!(created.starts_with("1970-01-12T13:46:4"), "{created}");
    assert_eq!(onvif.date_and_time().await.unwrap().utc, Some(at(1_000_000)));
}

#[tokio::test]
async fn a_clock_that_was_changed_is_read_again_after_a_refusal() {
    for status in [200, 400, 401, 403, 500] {
        let guard = Guard { status, ..Guard::new(at(1_000_000_000)) };
        let camera = guard.camera().await;
        let onvif = camera.onvif();
        Ptz::stop(&*onvif).await.unwrap();
        *guard.clock.lock().unwrap() = at(5_000);
        *guard.told.lock().unwrap() = at(5_000);
        Ptz::stop(&*onvif).await.unwrap();
        // A challenge of HTTP is answered beside the token.
        let wrong = if status == 401 { 2 } else { 1 };
        assert_eq!(guard.wrong(), wrong, "HTTP {status}");
        Ptz::stop(&*onvif).await.unwrap();
        assert_eq!(guard.wrong(), wrong, "the new clock is kept");
    }
}

#[tokio::test]
async fn local_time_that_is_called_utc_is_seen_through() {
    let now = SystemTime::now();
    for shift in [8 * 3600, 19_800, 900] {
        let guard = Guard::new(now);
        *guard.told.lock().unwrap() = now + Duration::from_secs(shift);
        let camera = guard.camera().await;
        let onvif = camera.onvif();
        Presets::list(&*onvif).await.unwrap();
        Ptz::stop(&*onvif).await.unwrap();
        assert_eq!(guard.wrong(), 1, "{shift} s");
    }
}

#[tokio::test]
async fn http_digest_is_the_second_try_also_beside_the_token() {
    let guard = Guard { takes: (false, true), ..Guard::new(SystemTime::now()) };
    let camera = guard.camera().await;
    let onvif = camera.onvif();
    Presets::list(&*onvif).await.unwrap();
    assert!(guard.wrong() <= 1, "a challenge is answered at once");
    let asked = camera.asked();
    let last = asked.last().unwrap();
    assert!(last.authorization.as_deref().unwrap().contains("uri=\"/onvif/ptz?x=1\""));
    // A camera that faults on the token itself, and asks for Digest only without it.
    let camera = Camera::start(|asked| {
        if asked.action == "GetSystemDateAndTime" {
            return (0, String::new());
        }
        match (&asked.authorization, asked.security.child("Security")) {
            (_, Some(_)) => (500, fault("s:MustUnderstand", "")),
            (None, None) => (401, fault("ter:NotAuthorized", "")),
            (Some(_), None) => (0, String::new()),
        }
    })
    .await;
    let onvif = camera.onvif();
    Presets::list(&*onvif).await.unwrap();
    let before = camera.asked().len();
    Presets::list(&*onvif).await.unwrap();
    assert_eq!(camera.asked().len(), before + 1, "the form that passed is kept");
}

#[tokio::test]
async fn a_wrong_password_is_tried_a_few_times_however_many_ask() {
    for (takes, status) in [((true, false), 400), ((true, false), 200), ((true, true), 401)] {
        let guard = Guard { password: "other", takes, status, ..Guard::new(SystemTime::now()) };
        let camera = guard.camera().await;
        let onvif = camera.onvif();
        let mut tasks = JoinSet::new();
        for n in 0..20 {
            let onvif = Arc::clone(&onvif);
            tasks.spawn(async move {
                match n % 4 {
                    0 => kind(Ptz::stop(&*onvif).await),
                    1 => kind(Presets::list(&*onvif).await),
                    2 => kind(onvif.interfaces().await),
                    _ => kind(onvif.reboot().await),
                }
            });
        }
        assert_eq!(tasks.join_all().await, [Kind::Refused; 20]);
        assert!(guard.wrong() <= 3, "{} wrong logins", guard.wrong());
    }
}

#[tokio::test]
async fn a_wrong_password_of_http_is_tried_at_one_port_for_all() {
    let elsewhere = Camera::start(|_| (401, String::new())).await;
    let port = elsewhere.fake.port;
    let camera = Camera::start(move |asked| match &*asked.action {
        "GetSnapshotUri" => {
            let path = asked.body.text_at("ProfileToken");
            (200, uri("GetSnapshotUri", &format!("http://127.0.0.1:{port}/{path}.jpg")))
        }
        "GET" => (401, String::new()),
        _ => (0, String::new()),
    })
    .await;
    let onvif = camera.onvif();
    let said = |camera: &Camera| {
        let asked = camera.calls("GET");
        let said = asked.iter().filter(|asked| asked.authorization.is_some()).count();
        (asked.len(), said)
    };
    assert_eq!(kind(onvif.jpeg(Stream::Main).await), Kind::Refused);
    assert_eq!((said(&elsewhere).1, said(&camera)), (1, (1, 0)), "the path rests at both ports");
    assert_eq!(kind(onvif.jpeg(Stream::Sub).await), Kind::Refused);
    assert_eq!((said(&elsewhere).1, said(&camera)), (2, (2, 0)));
    let (before, _) = said(&elsewhere);
    assert_eq!(onvif.client.http_at(port).get("/x", "").await.unwrap().status, 401);
    assert_eq!(said(&elsewhere), (before + 1, 2), "the second path has taken all with it");
}

#[tokio::test]
async fn a_user_without_a_right_keeps_the_others() {
    let camera = Camera::start(|asked| match &*asked.action {
        "SystemReboot" => (400, fault("ter:NotAuthorized", "operator")),
        _ => (0, String::new()),
    })
    .await;
    let onvif = camera.onvif();
    Ptz::stop(&*onvif).await.unwrap();
    for _ in 0..10 {
        assert_eq!(kind(onvif.reboot().await), Kind::Refused);
        Ptz::stop(&*onvif).await.unwrap();
    }
    assert!(camera.calls("SystemReboot").len() <= 2);
}

#[tokio::test]
async fn the_password_leaves_neither_in_requests_nor_in_errors() {
    let camera = Camera::start(|asked| match &*asked.action {
        "GetPresets" => (500, fault("ter:Action", "root:right asked for too much")),
        _ => (0, String::new()),
    })
    .await;
    let error = Presets::list(&*camera.onvif()).await.unwrap_err();
    let told = format!("{error} {:?} {}", error, error.source.as_ref().unwrap());
    assert!(told.contains("asked for too much") && !told.contains("right"), "{told}");
    let requests = camera.fake.requests().concat();
    assert!(!requests.contains(">right<") && !requests.contains("root:right"));
}

#[tokio::test]
async fn the_clock_is_set_with_the_zone_that_it_has() {
    let camera = Camera::usual().await;
    let onvif = camera.onvif();
    let told = onvif.date_and_time().await.unwrap();
    assert!(told.ntp && told.zone == "CST-8" && !told.daylight_saving);
    // The zone of the camera is 8 h ahead of UTC.
    onvif.set("2000-02-29T08:00:00".parse().unwrap()).await.unwrap();
    let set = &camera.calls("SetSystemDateAndTime")[0].body;
    assert_eq!(set.text_at("DateTimeType"), "Manual");
    assert_eq!(set.text_at("TimeZone/TZ"), "CST-8");
    let parts = ["Date/Year", "Date/Month", "Date/Day", "Time/Hour"];
    let parts = parts.map(|part| set.text_at(&format!("UTCDateTime/{part}")));
    assert_eq!(parts, ["2000", "2", "29", "0"]);
    Ptz::stop(&*onvif).await.unwrap();
    let created = camera.calls("Stop")[0].security.descendant("Created").unwrap().text().to_owned();
    assert!(created.starts_with("2000-02-29T00:00:0"), "{created}");
}

#[tokio::test]
async fn the_clock_passes_conformance_there_and_away() {
    for (zone, summer, utc_is_local) in [
        ("CST-8", false, false),
        ("CET-1CEST,M3.5.0,M10.5.0/3", true, false),
        ("", false, false),
        ("CST-8", false, true),
    ] {
        let ahead = Arc::new(Mutex::new(0i64));
        let camera = Camera::start(move |asked| {
            let mut ahead = ahead.lock().unwrap();
            if asked.action == "SetSystemDateAndTime" {
                assert_eq!(asked.body.text_at("DaylightSavings"), summer.to_string());
                assert_eq!(asked.body.text_at("TimeZone/TZ"), zone);
                let number =
                    |path| asked.body.text_at(&format!("UTCDateTime/{path}")).parse().unwrap();
                let set = Utc {
                    year: number("Date/Year"),
                    month: number("Date/Month"),
                    day: number("Date/Day"),
                    hour: number("Time/Hour"),
                    minute: number("Time/Minute"),
                    second: number("Time/Second"),
                };
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
                *ahead = set.seconds().unwrap().cast_signed() - now.cast_signed();
            }
            if asked.action != "GetSystemDateAndTime" {
                return (0, String::new());
            }
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
            let utc = at(now.checked_add_signed(*ahead).unwrap());
            let mut told = clock(utc).replace("CST-8", zone);
            told = told.replace("false", &summer.to_string());
            if utc_is_local {
                let part = told
                    .split("<t:UTCDateTime>")
                    .nth(1)
                    .unwrap()
                    .split("</t:UTCDateTime>")
                    .next()
                    .unwrap();
                let local = format!("</t:UTCDateTime><t:LocalDateTime>{part}</t:LocalDateTime>");
                told = told.replace("</t:UTCDateTime>", &local);
            }
            (200, told)
        })
        .await;
        crate::conformance::clock(&*camera.onvif()).await;
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let http = Http::new("127.0.0.1", port, None, crate::http::Limits::default());
    crate::conformance::offline_clock(&*Onvif::new(http, DEVICE_PATH, None, Options::default()))
        .await;
    let camera = Camera::usual().await;
    assert_eq!(
        kind(camera.onvif().set("1969-12-31T23:59:59".parse().unwrap()).await),
        Kind::Invalid
    );
}

#[tokio::test]
async fn a_password_that_was_changed_is_noticed_in_a_few_tries() {
    let guard = Guard::new(SystemTime::now());
    let camera = guard.camera().await;
    let onvif = camera.onvif();
    Ptz::stop(&*onvif).await.unwrap();
    // No token is right any more, whatever the clock.
    *guard.clock.lock().unwrap() = at(1);
    *guard.told.lock().unwrap() = at(4_000_000_000);
    for _ in 0..10 {
        assert_eq!(kind(Ptz::stop(&*onvif).await), Kind::Refused);
        assert_eq!(kind(Presets::list(&*onvif).await), Kind::Refused);
        assert_eq!(kind(onvif.reboot().await), Kind::Refused);
    }
    assert!(guard.wrong() <= 5, "{} wrong logins", guard.wrong());
    // The login is tried again after its rest.
    *guard.clock.lock().unwrap() = SystemTime::now();
    *guard.told.lock().unwrap() = SystemTime::now();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(1_801)).await;
    tokio::time::resume();
    Ptz::stop(&*onvif).await.unwrap();
}
