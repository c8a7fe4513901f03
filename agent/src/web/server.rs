//! The page's server: listens where the configuration says, and answers calls.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use matchit::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::call::Call;
use super::reply::{Outgoing, Refusal, Reply};
use super::route::{Access, Route};
use super::site::Site;
use super::{api, assets, cookie, session};
use crate::config;
use crate::shutdown::Stop;

/// Most connections at a time.
const CONNECTIONS: usize = 64;
/// How long the head of a call may take.
const HEAD: Duration = Duration::from_secs(10);
/// Longest head of a call, in bytes.
const LONGEST_HEAD: usize = 16 << 10;
/// How long the server waits before it tries again to listen.
const AGAIN: Duration = Duration::from_secs(10);

/// Serves the page where it is `wanted`, until `stop`.
pub(super) async fn run(
    site: Arc<Site>,
    mut wanted: watch::Receiver<Option<config::Web>>,
    mut stop: Stop,
) {
    loop {
        let web = wanted.borrow_and_update().clone();
        let serve = async {
            match &web {
                Some(web) => serve(&site, web).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = serve => {}
            // The sender lives as long as this task is waited for.
            _ = wanted.changed() => {}
            () = stop.requested() => return,
        }
    }
}

async fn serve(site: &Arc<Site>, web: &config::Web) {
    let listener = match TcpListener::bind(web.listen).await {
        Ok(listener) => listener,
        Err(e) => {
            log::error!("the page: cannot listen at {}: {e}; change web.listen", web.listen);
            return sleep(AGAIN).await;
        }
    };
    if let Ok(address) = listener.local_addr() {
        log::info!("the page: http://{address}/");
    }
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS => match accepted {
                Ok((socket, peer)) => {
                    connections.spawn(connection(Arc::clone(site), socket, peer));
                }
                // There is no room for another socket at the moment.
                Err(_) => sleep(Duration::from_millis(100)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(site: Arc<Site>, socket: TcpStream, peer: SocketAddr) {
    let service = service_fn(move |request| {
        let site = Arc::clone(&site);
        async move { Ok::<_, Infallible>(answer(site, peer.ip(), request).await) }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(LONGEST_HEAD);
    if let Err(e) = server.serve_connection(TokioIo::new(socket), service).await {
        log::debug!("the page: {peer}: {e}");
    }
}

async fn answer(site: Arc<Site>, peer: IpAddr, request: Request<Incoming>) -> Response<Outgoing> {
    let (parts, body) = request.into_parts();
    let call = Call {
        site,
        peer,
        is_secure: false,
        session: None,
        parts,
        parameters: Vec::new(),
        body: body.boxed(),
    };
    admit(call).await.unwrap_or_else(Reply::from).into_response()
}

/// Answers a call of somebody who may make it.
pub(super) async fn admit(mut call: Call) -> Result<Reply, Refusal> {
    let gate = Arc::clone(&call.site.gate);
    if let Some(name) = cookie::session(&call.parts.headers, call.is_secure) {
        call.session = gate.sessions().find(name, Instant::now());
    }
    let found = find(&call.parts);
    let access = match &found {
        Found::Route(route, _) => route.access,
        Found::Asset(_) => Access::Open,
        Found::Nothing | Found::OtherMethod => Access::Session,
    };
    let Some(key) = call.session else {
        return match access {
            _ if !gate.is_claimed() && access != Access::Open => Err(Refusal::unclaimed()),
            Access::Session => Err(Refusal::logged_out()),
            Access::Open | Access::Public => dispatch(call, found).await,
        };
    };
    if access != Access::Session {
        return dispatch(call, found).await;
    }
    let Some(end) = gate.sessions().touch(key, Instant::now()) else {
        return Err(Refusal::logged_out());
    };
    Ok(dispatch(call, found).await?.until(session::over(end)))
}

/// Answers a call by what was found.
pub(super) async fn dispatch(mut call: Call, found: Found) -> Result<Reply, Refusal> {
    match found {
        Found::Route(route, parameters) => {
            call.parameters = parameters;
            (route.answer)(call).await
        }
        Found::Asset(reply) => Ok(reply),
        Found::Nothing => Err(Refusal::not_found()),
        Found::OtherMethod => {
            let message = "this method is not allowed here";
            Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method", message))
        }
    }
}

/// What a call asks for.
pub(super) enum Found {
    Route(&'static Route, Vec<(String, String)>),
    Asset(Reply),
    OtherMethod,
    Nothing,
}

/// Finds what a call asks for.
pub(super) fn find(parts: &Parts) -> Found {
    let path = parts.uri.path();
    let Ok(found) = router().at(path) else {
        let is_read = parts.method == Method::GET || parts.method == Method::HEAD;
        let asset = assets::asset(path, &parts.headers);
        return match asset {
            Some(_) if !is_read => Found::OtherMethod,
            Some(reply) => Found::Asset(reply),
            None => Found::Nothing,
        };
    };
    let mut routes = found.value.iter();
    let Some(route) = routes.find(|route| route.verb.name() == parts.method.as_str()) else {
        return Found::OtherMethod;
    };
    let parameters = found.params.iter().map(|(key, value)| (key.into(), value.into())).collect();
    Found::Route(route, parameters)
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
