//! Who may make a call, and what answers it.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use hyper::header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use matchit::Router;
use tokio::time::Instant;

use super::call::Call;
use super::gate::resetting;
use super::guard::{self, Way};
use super::reply::{Outgoing, Refusal, Reply};
use super::route::{Access, Route, Verb};
use super::site::Site;
use super::{api, assets, cookie, headers, session, sockets};
use crate::config::Web;

/// By this header a page says that no person has asked for a call, which then does not count as a use of the session.
const BACKGROUND: HeaderName = HeaderName::from_static("x-background");

/// What a call asks for.
pub(super) enum Found {
    Route(&'static Route, Vec<(String, String)>),
    Asset(Reply),
    /// Something that is not there by this method, but by these.
    OtherMethod(String),
    Nothing,
}

/// Answers a call to the page that `web` describes. `known` is told when it comes from somebody who is logged in.
pub(super) async fn answer(
    site: Arc<Site>,
    web: &Web,
    peer: IpAddr,
    way: Way,
    request: Request<Incoming>,
    known: &(dyn Fn() + Send + Sync),
) -> Response<Outgoing> {
    let (parts, body) = request.into_parts();
    let (parameters, session) = (Vec::new(), None);
    let call = Call { site, peer, way, session, parts, parameters, body: body.boxed() };
    let answer = match guard::check(&call.parts, way, &web.hosts) {
        Ok(()) => admit(call, known).await,
        Err(refusal) => Err(refusal),
    };
    finished(answer)
}

/// Sends a browser that came without encryption to the page that has it.
pub(super) fn redirect(
    request: Request<Incoming>,
    way: Way,
    web: &Web,
    port: u16,
) -> Response<Outgoing> {
    let (parts, _) = request.into_parts();
    finished(moved(&parts, way, web, port))
}

fn moved(parts: &Parts, way: Way, web: &Web, port: u16) -> Result<Reply, Refusal> {
    guard::check(parts, way, &web.hosts)?;
    let host = guard::host(parts)?;
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let to = format!("{}{path}", sockets::url(host.host(), true, port));
    let to = HeaderValue::from_str(&to).map_err(|_| Refusal::not_found())?;
    let reply = Reply::bytes("", "").with_status(StatusCode::PERMANENT_REDIRECT);
    Ok(reply.with_header(LOCATION, to))
}

fn finished(answer: Result<Reply, Refusal>) -> Response<Outgoing> {
    let mut response = answer.unwrap_or_else(Reply::from).into_response();
    headers::add(response.headers_mut());
    response
}

/// Answers a call of somebody who may make it.
pub(super) async fn admit(
    mut call: Call,
    known: &(dyn Fn() + Send + Sync),
) -> Result<Reply, Refusal> {
    let gate = Arc::clone(&call.site.gate);
    if let Some(name) = cookie::session(&call.parts.headers, call.way.is_secure) {
        call.session = gate.sessions().find(name, call.way.is_secure, Instant::now());
    }
    let found = find(&call.parts);
    let access = match &found {
        Found::Route(route, _) => route.access,
        Found::Asset(_) => Access::Open,
        Found::OtherMethod(_) => openness(call.parts.uri.path()),
        Found::Nothing => Access::Session,
    };
    let Some(key) = call.session else {
        let is_open = access == Access::Open || access == Access::Public && gate.is_claimed();
        return match is_open {
            true => dispatch(call, found).await,
            false if is_lost(&call.parts, &found) => Ok(home()),
            false if gate.is_claimed() => Err(Refusal::logged_out()),
            false => Err(Refusal::unclaimed()),
        };
    };
    known();
    if access != Access::Session {
        return dispatch(call, found).await;
    }
    let is_use = !matches!(&found, Found::Route(route, _) if route.is_endless)
        && !call.parts.headers.contains_key(BACKGROUND);
    let end = {
        let mut sessions = gate.sessions();
        if is_use {
            sessions.touch(key, Instant::now());
        }
        sessions.end_of(key).ok_or_else(Refusal::logged_out)?
    };
    // A reset waits for nobody, and nothing of the old owner's is begun after it.
    tokio::select! {
        biased;
        () = gate.given_up() => Err(resetting()),
        answer = dispatch(call, found) => Ok(answer?.until(session::over(end))),
    }
}

/// Answers a call by what was found.
pub(super) async fn dispatch(mut call: Call, found: Found) -> Result<Reply, Refusal> {
    match found {
        Found::Route(route, parameters) => {
            check_kind(&call, route)?;
            call.parameters = parameters;
            (route.answer)(call).await
        }
        Found::Asset(reply) => Ok(reply),
        Found::Nothing if is_lost(&call.parts, &found) => Ok(home()),
        Found::Nothing => Err(Refusal::not_found()),
        Found::OtherMethod(methods) => {
            let message = format!("only {methods} is allowed here");
            let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method", message);
            let allowed = HeaderValue::from_str(&methods).map_err(|_| Refusal::not_found())?;
            Ok(Reply::from(refusal).with_header(ALLOW, allowed))
        }
    }
}

/// Refuses a body that does not say it is what the route takes: a form on another site can send plain text, fields or
/// files, and nothing else.
fn check_kind(call: &Call, route: &Route) -> Result<(), Refusal> {
    let wanted = route.takes.kind();
    let is_right = match call.parts.headers.get(CONTENT_TYPE) {
        _ if route.verb == Verb::Get => true,
        None => call.body.is_end_stream(),
        Some(kind) => {
            let kind = kind.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
            kind.trim().eq_ignore_ascii_case(wanted)
        }
    };
    let message = format!("the body must say that it is {wanted} (content-type)");
    let refusal = Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media_type", message);
    if is_right { Ok(()) } else { Err(refusal) }
}

/// Finds what a call asks for.
pub(super) fn find(parts: &Parts) -> Found {
    let path = parts.uri.path();
    let Ok(found) = router().at(path) else {
        let is_read = parts.method == Method::GET || parts.method == Method::HEAD;
        return match assets::asset(path, &parts.headers) {
            Some(_) if !is_read => Found::OtherMethod("GET, HEAD".into()),
            Some(reply) => Found::Asset(reply),
            None => Found::Nothing,
        };
    };
    let verbs = || found.value.iter().map(|route| route.verb.name());
    let Some(place) = verbs().position(|verb| verb == parts.method.as_str()) else {
        return Found::OtherMethod(verbs().collect::<Vec<_>>().join(", "));
    };
    let parameters = found.params.iter().map(|(key, value)| (key.into(), value.into())).collect();
    Found::Route(found.value[place], parameters)
}

/// Who may know that something is at a path: who may make one of its calls.
fn openness(path: &str) -> Access {
    let routes = router().at(path).map(|found| found.value.as_slice()).unwrap_or_default();
    let has = |access| routes.iter().any(|route| route.access == access);
    match (has(Access::Open), has(Access::Public)) {
        (true, _) => Access::Open,
        (_, true) => Access::Public,
        _ => Access::Session,
    }
}

/// Whether a person asks for a page that there is not.
fn is_lost(parts: &Parts, found: &Found) -> bool {
    let accepted = parts.headers.get(ACCEPT).and_then(|accepted| accepted.to_str().ok());
    matches!(found, Found::Nothing)
        && parts.method == Method::GET
        && !parts.uri.path().starts_with("/api/")
        && accepted.is_some_and(|accepted| accepted.contains("text/html"))
}

/// Leads a person to the page.
fn home() -> Reply {
    let reply = Reply::bytes("", "").with_status(StatusCode::SEE_OTHER);
    reply.with_header(LOCATION, HeaderValue::from_static("/"))
}

/// The routes of each path.
fn router() -> &'static Router<Vec<&'static Route>> {
    static ROUTER: OnceLock<Router<Vec<&'static Route>>> = OnceLock::new();
    ROUTER.get_or_init(|| {
        let mut router: Router<Vec<&'static Route>> = Router::new();
        for route in api::routes() {
            match router.at_mut(route.path) {
                Ok(found) => found.value.push(route),
                Err(_) => router.insert(route.path, vec![route]).unwrap_or_default(),
            }
        }
        router
    })
}
