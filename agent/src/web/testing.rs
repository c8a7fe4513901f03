//! Calls to the page, for tests of its interface.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::header::{CONTENT_TYPE, COOKIE, HOST, HeaderValue, SET_COOKIE};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use serde_json::Value;

use super::admission::{Found, admit, dispatch, find};
use super::call::Call;
use super::guard::Way;
use super::reply::{Outgoing, Reply};
use super::site::Site;
use crate::agent::Agent;
use crate::config::Access;
use crate::reload::Reload;
use crate::settings::Store;

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Makes two slots for firmware in a folder; the section that is set up for them.
pub(crate) fn slots(folder: &Path) -> String {
    let at = |name: &str| folder.join(name);
    for slot in ["a", "b"] {
        std::fs::write(at(slot), "what the device was made with").unwrap();
    }
    std::fs::create_dir(at("marker")).unwrap();
    std::fs::write(at("started"), "a\n").unwrap();
    format!(
        "[firmware]\nbackend = 'slots'\nslot_a = {:?}\nslot_b = {:?}\nmarker = {:?}\nstarted = {:?}\nmax_size = 1000\n",
        at("a"),
        at("b"),
        at("marker"),
        at("started")
    )
}

/// An agent by a configuration file of a folder of its own, and its page without a socket.
pub(crate) struct Bench {
    pub(crate) site: Arc<Site>,
    pub(crate) agent: Agent,
    pub(crate) reload: Reload,
    pub(crate) folder: tempfile::TempDir,
}

impl Bench {
    /// Starts an agent by `config`, the text of its file, which is put into the file `ivt.toml` of `folder`.
    pub(crate) fn start(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ivt.toml");
        std::fs::write(&file, config).unwrap();
        let store = Store::new(file, Access::Any);
        let read = store.load().unwrap();
        let reload = Reload::listen(store).unwrap();
        let agent = Agent::start(&read).unwrap();
        let site = Arc::new(Site::new(&read, reload.control()));
        site.show(Some(agent.console()));
        Self { site, agent, reload, folder }
    }

    /// Makes a call as somebody who is logged in; returns the status and the JSON of the answer, `Null` where it is none.
    pub(crate) async fn call(&self, method: Method, path: &str, body: &str) -> (StatusCode, Value) {
        let (status, body) = self.bytes(method, path, body).await;
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    /// Does as [`call`](Self::call), with the answer as it is.
    pub(crate) async fn bytes(
        &self,
        method: Method,
        path: &str,
        body: &str,
    ) -> (StatusCode, Bytes) {
        let response = self.open(method, path, body).await;
        let status = response.status();
        (status, response.into_body().collect().await.unwrap().to_bytes())
    }

    /// Does as [`bytes`](Self::bytes), with an answer that may be endless.
    pub(crate) async fn open(&self, method: Method, path: &str, body: &str) -> Response<Outgoing> {
        let request = Request::builder().method(method).uri(path).body(()).unwrap();
        let (mut parts, ()) = request.into_parts();
        let found = find(&parts);
        if let Found::Route(route, _) = &found {
            parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static(route.takes.kind()));
        }
        let call = self.call_of(parts, body);
        dispatch(call, found).await.unwrap_or_else(Reply::from).into_response()
    }
}

/// What a browser was answered.
pub(crate) struct Seen {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Seen {
    /// The code of the error.
    pub(crate) fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    /// The cookie that a browser sends back.
    pub(crate) fn cookie(&self) -> String {
        let cookie = self.headers[SET_COOKIE].to_str().unwrap();
        cookie.split(';').next().unwrap().to_owned()
    }
}

impl Bench {
    /// Makes a call as a browser does that sends `cookie`, or none where that is empty.
    pub(crate) async fn visit(&self, method: Method, path: &str, cookie: &str, body: &str) -> Seen {
        let request = Request::builder().method(method).uri(path).header(HOST, "127.0.0.1");
        let request = match body {
            "" => request,
            _ => request.header(CONTENT_TYPE, "application/json"),
        };
        let request = match cookie {
            "" => request,
            cookie => request.header(COOKIE, cookie),
        };
        self.send(request.body(body.to_owned()).unwrap()).await
    }

    /// Makes a call as it is.
    pub(crate) async fn send(&self, request: Request<String>) -> Seen {
        let (parts, body) = request.into_parts();
        let response = admit(self.call_of(parts, &body), &|| {}).await.unwrap_or_else(Reply::from);
        let (parts, body) = response.into_response().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&body).unwrap_or_default();
        Seen { status: parts.status, headers: parts.headers, body }
    }

    fn call_of(&self, parts: Parts, body: &str) -> Call {
        let body = Full::new(Bytes::copy_from_slice(body.as_bytes()));
        Call {
            site: Arc::clone(&self.site),
            peer: LOCAL,
            way: Way { local: LOCAL, port: 80, is_secure: false, is_on_trial: false },
            session: None,
            parts,
            parameters: Vec::new(),
            body: body.map_err(|never| match never {}).boxed(),
        }
    }
}

#[tokio::test]
async fn an_agent_without_a_cloud_or_a_camera_has_a_page() {
    let bench = Bench::start("[web]\nenable = true\n");
    let (status, body) = bench.bytes(Method::GET, "/healthz", "").await;
    assert_eq!((status, &body[..]), (StatusCode::OK, &b"ok\n"[..]));
    let (status, error) = bench.call(Method::POST, "/healthz", "").await;
    assert_eq!(
        (status, &error["error"]["code"]),
        (StatusCode::METHOD_NOT_ALLOWED, &"method".into())
    );
    assert_eq!(bench.call(Method::GET, "/nothing", "").await.0, StatusCode::NOT_FOUND);
    assert_eq!(bench.bytes(Method::GET, "/", "").await.0, StatusCode::OK);
}
