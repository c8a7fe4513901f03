//! The page's server: listens where the configuration says, and answers calls.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use matchit::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::call::Call;
use super::reply::{Outgoing, Refusal, Reply};
use super::route::Route;
use super::site::Site;
use super::{api, assets};
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
    let call = Call { site, peer, parts, parameters: Vec::new(), body: body.boxed() };
    dispatch(call).await.unwrap_or_else(Reply::from).into_response()
}

/// Answers a call by its route.
pub(super) async fn dispatch(mut call: Call) -> Result<Reply, Refusal> {
    let path = call.parts.uri.path().to_owned();
    let Ok(found) = router().at(&path) else {
        let is_read = call.parts.method == Method::GET || call.parts.method == Method::HEAD;
        let asset = assets::asset(&path, &call.parts.headers).filter(|_| is_read);
        return asset.ok_or_else(Refusal::not_found);
    };
    let routes: &Vec<&'static Route> = found.value;
    let Some(route) = routes.iter().find(|route| route.verb.name() == call.parts.method.as_str())
    else {
        let message = "this method is not allowed here";
        return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method", message));
    };
    let parameters = found.params.iter();
    call.parameters = parameters.map(|(key, value)| (key.into(), value.into())).collect();
    (route.answer)(call).await
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
