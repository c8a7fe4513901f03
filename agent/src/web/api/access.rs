//! Claiming the device, logging in and out, and the password.

use futures::FutureExt as _;
use hyper::header::{HeaderValue, SET_COOKIE};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::web::call::Call;
use crate::web::guesses::Source;
use crate::web::reply::{Refusal, Reply};
use crate::web::route::Route;
use crate::web::session::IDLE;
use crate::web::{cookie, interfaces};

pub(super) const ROUTES: &[Route] = &[
    Route::get("/api/v1/session", |call| state(call).boxed()).open(),
    Route::post("/api/v1/session", |call| log_in(call).boxed()).public(),
    Route::delete("/api/v1/session", |call| log_out(call).boxed()),
    Route::post("/api/v1/claim", |call| claim(call).boxed()).open(),
    Route::put("/api/v1/password", |call| change(call).boxed()),
];

/// Longest body of these calls, in bytes.
const LONGEST: usize = 4 << 10;

async fn state(call: Call) -> Result<Reply, Refusal> {
    let gate = &call.site.gate;
    let idle = call.session.map(|key| gate.sessions().left(key, Instant::now()));
    Ok(Reply::json(&json!({
        "claimed": gate.is_claimed(),
        "first_password": gate.has_first_password(),
        "logged_in": idle.is_some(),
        "idle_seconds": idle.unwrap_or_default().as_secs(),
    })))
}

async fn claim(mut call: Call) -> Result<Reply, Refusal> {
    let body = short(&mut call).await?;
    let name = call.site.gate.claim(text(&body, "password")?, call.way.is_secure).await?;
    // What waited for an owner begins.
    call.site.control.reload();
    begun(&call, &name)
}

async fn log_in(mut call: Call) -> Result<Reply, Refusal> {
    let body = short(&mut call).await?;
    let (password, source) = (text(&body, "password")?, source(&call));
    let name = call.site.gate.log_in(password, source, call.way.is_secure).await?;
    // A session of before ends with the new one, so that it is no way in that nobody remembers.
    if let Some(key) = call.session {
        call.site.gate.log_out(key);
    }
    begun(&call, &name)
}

async fn change(mut call: Call) -> Result<Reply, Refusal> {
    let body = short(&mut call).await?;
    let (old, new) = (text(&body, "old")?, text(&body, "new")?);
    let source = source(&call);
    let name = call.site.gate.change(old, new, source, call.way.is_secure).await?;
    begun(&call, &name)
}

async fn log_out(call: Call) -> Result<Reply, Refusal> {
    if let Some(key) = call.session {
        call.site.gate.log_out(key);
    }
    let gone = HeaderValue::from_str(&cookie::gone(call.way.is_secure));
    Ok(gone.into_iter().fold(Reply::nothing(), |reply, gone| reply.with_header(SET_COOKIE, gone)))
}

/// Says who is logged in from now on, and gives the browser what proves it.
fn begun(call: &Call, name: &str) -> Result<Reply, Refusal> {
    let value = HeaderValue::from_str(&cookie::of(name, call.way.is_secure));
    let Ok(value) = value else { return Err(Refusal::not_found()) };
    let state = json!({
        "claimed": true,
        "first_password": call.site.gate.has_first_password(),
        "logged_in": true,
        "idle_seconds": IDLE.as_secs(),
    });
    Ok(Reply::json(&state).with_header(SET_COOKIE, value))
}

/// Who guesses where the password is wrong.
fn source(call: &Call) -> Source {
    Source::new(call.peer, interfaces::is_neighbour(call.peer, &interfaces::own()))
}

/// The body of a call that anybody may make.
async fn short(call: &mut Call) -> Result<Value, Refusal> {
    let text = call.bytes(LONGEST).await?;
    serde_json::from_slice(&text).map_err(|e| Refusal::invalid("", format!("no JSON: {e}")))
}

fn text<'v>(body: &'v Value, field: &'static str) -> Result<&'v str, Refusal> {
    body[field]
        .as_str()
        .ok_or_else(|| Refusal::invalid(field, format!("{field}: a text is needed")))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hyper::header::{CONTENT_TYPE, COOKIE, HOST};
    use hyper::{Method, Request, StatusCode};
    use tokio::time::{advance, timeout};

    use crate::web::api;
    use crate::web::route::{Access, Route, Verb};
    use crate::web::testing::Bench;

    const PAGE: &str = "[web]\nenable = true\n";
    const BAKED: &str = "[web]\nenable = true\nfirst_password = 'On the 4th label'\n";

    async fn state(bench: &Bench, cookie: &str) -> [bool; 3] {
        let seen = bench.visit(Method::GET, "/api/v1/session", cookie, "").await;
        assert_eq!(seen.status, StatusCode::OK);
        ["claimed", "first_password", "logged_in"].map(|name| seen.body[name].as_bool().unwrap())
    }

    /// Claims the device; returns the cookie.
    async fn claim(bench: &Bench, password: &str) -> String {
        let body = serde_json::json!({ "password": password }).to_string();
        let seen = bench.visit(Method::POST, "/api/v1/claim", "", &body).await;
        assert_eq!(seen.status, StatusCode::OK, "{}", seen.body);
        seen.cookie()
    }

    #[tokio::test]
    async fn a_new_device_belongs_to_who_claims_it_first() {
        let bench = Bench::start(PAGE);
        assert_eq!(state(&bench, "").await, [false, false, false]);
        assert!(!bench.site.is_claimed());
        for body in ["", "[]", "{}", r#"{"password": 12345678}"#, r#"{"password": "short"}"#] {
            let seen = bench.visit(Method::POST, "/api/v1/claim", "", body).await;
            assert_eq!(seen.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        }
        let cookie = claim(&bench, "  Käse 摄像机 7 ").await;
        assert_eq!(state(&bench, &cookie).await, [true, false, true]);
        assert!(bench.site.is_claimed());
        let late = r#"{"password": "another one"}"#;
        let seen = bench.visit(Method::POST, "/api/v1/claim", "", late).await;
        assert_eq!((seen.status, seen.code()), (StatusCode::CONFLICT, "claimed"));
        for (password, status) in [("Käse 摄像机 7", 401), ("  Käse 摄像机 7 ", 200)] {
            let body = serde_json::json!({ "password": password }).to_string();
            let seen = bench.visit(Method::POST, "/api/v1/session", "", &body).await;
            assert_eq!(seen.status.as_u16(), status, "{password:?}");
        }
    }

    #[tokio::test]
    async fn of_two_who_claim_at_once_one_does() {
        let bench = Bench::start(PAGE);
        let one = bench.visit(Method::POST, "/api/v1/claim", "", r#"{"password": "first one"}"#);
        let other = bench.visit(Method::POST, "/api/v1/claim", "", r#"{"password": "other one"}"#);
        let (one, other) = futures::future::join(one, other).await;
        assert_eq!((one.status, other.code()), (StatusCode::OK, "claimed"));
    }

    #[tokio::test]
    async fn a_password_that_was_baked_in_opens_until_another_is_chosen() {
        let bench = Bench::start(BAKED);
        assert_eq!(state(&bench, "").await, [true, true, false]);
        let seen =
            bench.visit(Method::POST, "/api/v1/claim", "", r#"{"password": "my own one"}"#).await;
        assert_eq!(seen.code(), "claimed");
        let label = r#"{"password": "On the 4th label"}"#;
        let seen = bench.visit(Method::POST, "/api/v1/session", "", label).await;
        assert_eq!(seen.status, StatusCode::OK);
        let (cookie, path) = (seen.cookie(), "/api/v1/password");
        let body = r#"{"old": "On the 5th label", "new": "my own one"}"#;
        let seen = bench.visit(Method::PUT, path, &cookie, body).await;
        assert_eq!((seen.code(), &seen.body["error"]["field"]), ("wrong_password", &"old".into()));
        let body = r#"{"old": "On the 4th label", "new": "short"}"#;
        let seen = bench.visit(Method::PUT, path, &cookie, body).await;
        assert_eq!((seen.code(), &seen.body["error"]["field"]), ("invalid", &"new".into()));
        let body = r#"{"old": "On the 4th label", "new": "my own one"}"#;
        let seen = bench.visit(Method::PUT, path, &cookie, body).await;
        assert_eq!(seen.status, StatusCode::OK);
        assert_eq!(state(&bench, &cookie).await, [true, false, false], "sessions of before end");
        assert_eq!(state(&bench, &seen.cookie()).await, [true, false, true]);
        let seen = bench.visit(Method::POST, "/api/v1/session", "", label).await;
        assert_eq!(seen.code(), "wrong_password");
    }

    #[tokio::test]
    async fn a_session_is_new_at_each_login_and_ends_with_the_logout() {
        let bench = Bench::start(PAGE);
        let first = claim(&bench, "a password").await;
        let body = r#"{"password": "a password"}"#;
        let second = bench.visit(Method::POST, "/api/v1/session", &first, body).await.cookie();
        assert_ne!(first, second);
        assert_eq!(state(&bench, &first).await, [true, false, false]);
        let seen = bench.visit(Method::DELETE, "/api/v1/session", &second, "").await;
        assert_eq!(seen.status, StatusCode::NO_CONTENT);
        assert!(seen.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
        assert_eq!(state(&bench, &second).await, [true, false, false]);
        let seen = bench.visit(Method::DELETE, "/api/v1/session", &second, "").await;
        assert_eq!((seen.status, seen.code()), (StatusCode::UNAUTHORIZED, "logged_out"));
    }

    /// Every path of the interface, one that is none, and every method, without a session.
    #[tokio::test]
    async fn nothing_but_the_public_is_answered_without_a_session() {
        let methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "X"];
        let bench = Bench::start(PAGE);
        for code in ["unclaimed", "logged_out"] {
            for (path, method) in
                api::routes().map(|r| r.path).chain(["/api/v1/nothing", "/nothing"]).flat_map(|p| {
                    methods.map(|method| (p, Method::from_bytes(method.as_bytes()).unwrap()))
                })
            {
                let route = api::routes().find(|r| r.path == path && r.verb.name() == method);
                let public: &[Access] = match code {
                    "logged_out" => &[Access::Open, Access::Public],
                    _ => &[Access::Open],
                };
                let called = path.replace(['{', '}'], "");
                let seen = bench.visit(method.clone(), &called, "", "").await;
                match route.map(|route| route.access) {
                    Some(Access::Open) => {}
                    Some(Access::Public) if code == "logged_out" => {}
                    // Of what is public, everybody may know which calls there are.
                    None if api::routes().any(|r| r.path == path && public.contains(&r.access)) => {
                        assert_eq!(seen.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
                    }
                    _ => {
                        let found = (seen.status, seen.code());
                        assert_eq!(found, (StatusCode::UNAUTHORIZED, code), "{method} {path}");
                    }
                }
            }
            let open: Vec<_> = api::routes().filter(|r| r.access == Access::Open).collect();
            let open: Vec<_> = open.iter().map(|r| (r.verb.name(), r.path)).collect();
            assert_eq!(open, [("GET", "/api/v1/session"), ("POST", "/api/v1/claim")]);
            for path in ["/", "/index.html"] {
                let seen = bench.visit(Method::GET, path, "", "").await;
                assert_eq!(seen.status, StatusCode::OK, "{path}");
            }
            if code == "unclaimed" {
                claim(&bench, "a password").await;
            }
        }
    }

    #[tokio::test]
    async fn what_a_page_asks_by_itself_does_not_prolong_its_session() {
        let bench = Bench::start(PAGE);
        let cookie = claim(&bench, "a password").await;
        tokio::time::pause();
        let left = async || {
            let seen = bench.visit(Method::GET, "/api/v1/session", &cookie, "").await;
            Duration::from_secs(seen.body["idle_seconds"].as_u64().unwrap())
        };
        let minute = Duration::from_secs(60);
        advance(minute * 5).await;
        let request = Request::get("/api/v1/system").header(HOST, "127.0.0.1");
        let request = request.header(COOKIE, &cookie).header("X-Background", "1");
        assert_eq!(bench.send(request.body(String::new()).unwrap()).await.status, StatusCode::OK);
        let endless: Vec<_> = api::routes().filter(|route| route.is_endless).collect();
        assert_eq!(endless.len(), api::routes().filter(|r| r.path.ends_with("/events")).count());
        for route in endless {
            let path = route.path.replace("{channel}", "0");
            timeout(Duration::from_secs(1), bench.visit(Method::GET, &path, &cookie, ""))
                .await
                .ok();
        }
        assert!(left().await <= minute * 10, "{:?}", left().await);
        bench.visit(Method::GET, "/api/v1/system", &cookie, "").await;
        assert!(left().await > minute * 14, "a person was there");
    }

    /// What a form or a script of another site can send, to every call that does something.
    #[tokio::test]
    async fn what_a_form_of_another_site_can_send_is_no_call() {
        let kinds = [
            None,
            Some(""),
            Some("text/plain"),
            Some("text/plain; charset=application/json"),
            Some("application/x-www-form-urlencoded"),
            Some("multipart/form-data; boundary=application/json"),
            Some("application/jsonp"),
        ];
        let bench = Bench::start(PAGE);
        let send = async |route: &Route, kind: Option<&str>, cookie: &str| {
            let called = route.path.replace(['{', '}'], "");
            let request = Request::builder().method(route.verb.name()).uri(called);
            let request = request.header(HOST, "127.0.0.1").header(COOKIE, cookie);
            let request = match kind {
                Some(kind) => request.header(CONTENT_TYPE, kind),
                None => request,
            };
            let body = r#"{"password": "0pen sesame", "x": "="}"#;
            bench.send(request.body(body.to_owned()).unwrap()).await
        };
        let mut cookie = String::new();
        for access in [Access::Open, Access::Public, Access::Session] {
            let routes = api::routes().filter(|r| r.access == access && r.verb != Verb::Get);
            let mut tried = 0;
            for route in routes {
                for kind in kinds {
                    let seen = send(route, kind, &cookie).await;
                    let found = (seen.status.as_u16(), seen.code());
                    assert_eq!(found, (415, "media_type"), "{kind:?} {}", route.path);
                }
                tried += 1;
            }
            assert!(tried > 0, "{access:?}");
            if access == Access::Open {
                assert!(!bench.site.is_claimed());
                cookie = claim(&bench, "a password").await;
            }
        }
        let login = api::routes().find(|r| r.path.ends_with("/session") && r.verb == Verb::Post);
        for kind in ["application/json", "Application/JSON; charset=utf-8"] {
            let seen = send(login.unwrap(), Some(kind), "").await;
            assert_eq!(seen.code(), "wrong_password", "{kind}");
        }
    }

    #[tokio::test]
    async fn a_password_outlasts_the_process_and_one_that_is_damaged_opens_nothing() {
        let bench = Bench::start(PAGE);
        claim(&bench, "a password").await;
        let file = bench.folder.path().join("state/web.json");
        let read = |bench: &Bench| {
            let config = bench.reload.control().store().load().unwrap();
            crate::web::site::Site::new(&config, bench.reload.control())
        };
        assert!(read(&bench).is_claimed());
        std::fs::write(&file, "{}").unwrap();
        assert!(read(&bench).is_claimed());
        std::fs::write(&file, "torn").unwrap();
        assert!(read(&bench).is_claimed());
        assert!(read(&bench).is_claimed(), "also after it was put aside");
        let site = read(&bench);
        let refused = site
            .gate
            .log_in("a password", "127.0.0.1".parse::<std::net::IpAddr>().unwrap().into(), false)
            .await;
        assert_eq!(refused.unwrap_err().code, "wrong_password");
    }

    #[tokio::test(start_paused = true)]
    async fn who_guesses_is_sent_away() {
        let bench = Bench::start(BAKED);
        let wrong = r#"{"password": "not the label"}"#;
        for _ in 0..10 {
            let seen = bench.visit(Method::POST, "/api/v1/session", "", wrong).await;
            assert_eq!(seen.code(), "wrong_password");
        }
        let right = r#"{"password": "On the 4th label"}"#;
        let seen = bench.visit(Method::POST, "/api/v1/session", "", right).await;
        assert_eq!((seen.status.as_u16(), seen.code()), (429, "too_many_guesses"));
        let wait = seen.headers["retry-after"].to_str().unwrap().parse().unwrap();
        tokio::time::advance(std::time::Duration::from_secs(wait)).await;
        let seen = bench.visit(Method::POST, "/api/v1/session", "", right).await;
        assert_eq!(seen.status, StatusCode::OK);
    }
}
