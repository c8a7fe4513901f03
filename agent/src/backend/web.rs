//! A camera's own web server: the keys `web`, `snapshot` and `web_cgi` of any kind of camera.

use std::sync::Arc;

use ivt_hal::http::{Http, HttpSnapshot, Limits};
use ivt_hal::{Cgi, Credentials, Snapshot};
use toml::de::DeValue;
use url::Url;

use crate::config::error::Error;
use crate::config::section::{PATH, Section, boolean, text};

/// A camera's own web server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Web {
    /// The host in `web`.
    pub host: String,
    /// The port in `web`; default 80.
    pub port: u16,
    /// `snapshot`: path of a picture; default "/nvc-cgi/operator/snapshot.fcgi".
    pub snapshot: String,
    /// `web_cgi`: whether the web server takes the commands of the hosted service; default true.
    /// With false the agent answers them, since the web server is of another family.
    pub cgi: bool,
}

/// What a web server can do: pictures, and the commands of the hosted service where it takes them.
type Abilities = (Arc<dyn Snapshot>, Option<Arc<dyn Cgi>>);

impl Web {
    /// The abilities of the web server, by one client with one login. `reply_limit` bounds an
    /// answer to the hosted service, in bytes; pictures keep the usual limit, since others take
    /// them, too.
    pub(super) fn abilities(
        &self,
        credentials: Option<Credentials>,
        reply_limit: usize,
    ) -> Abilities {
        let usual = Limits::default();
        let limits = Limits { body: reply_limit, ..usual };
        let http = Http::new(&self.host, self.port, credentials, limits);
        let pictures = http.with_limits(Limits { body: reply_limit.max(usual.body), ..usual });
        let snapshot = Arc::new(HttpSnapshot::new(pictures, &self.snapshot, None));
        (snapshot, self.cgi.then(|| Arc::new(http) as Arc<dyn Cgi>))
    }
}

pub(super) fn read(section: &mut Section<'_, '_>) -> Result<Option<Web>, Error> {
    let address = section.read("web", http_url)?;
    let snapshot = section.read("snapshot", snapshot_path)?;
    let cgi = section.read("web_cgi", boolean)?;
    let Some((host, port)) = address else {
        if let Some(key) = snapshot.map(|_| "snapshot").or(cgi.map(|_| "web_cgi")) {
            let needs = section.error(format!("channel.{key} needs channel.web"));
            section.pass(needs, "it is left out")?;
        }
        return Ok(None);
    };
    let snapshot = snapshot.unwrap_or_else(|| "/nvc-cgi/operator/snapshot.fcgi".into());
    Ok(Some(Web { host, port, snapshot, cgi: cgi.unwrap_or(true) }))
}

fn http_url(value: &DeValue<'_>) -> Result<(String, u16), String> {
    const FORM: &str = "http://HOST[:PORT]";
    let text = text(1..=PATH)(value)?;
    let url = Url::parse(&text).map_err(|e| format!("{FORM}: {e}"))?;
    let bare = url.username().is_empty() && url.password().is_none() && url.path() == "/";
    match (url.scheme(), url.host_str(), url.port_or_known_default()) {
        ("http", Some(host), Some(port)) if bare && url.query().is_none() => {
            Ok((host.to_owned(), port))
        }
        _ => Err(format!("{FORM} without path and login, which have keys of their own")),
    }
}

fn snapshot_path(value: &DeValue<'_>) -> Result<String, String> {
    let path = text(1..=PATH)(value)?;
    match path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(path),
        false => Err("a path that begins with /".into()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use ivt_hal::{Kind, Stream};

    use super::*;
    use crate::testing::web_server;

    /// The port of a web server that asks for a Digest login and answers with a picture of so many
    /// bytes, and the requests it was sent.
    async fn server(bytes: usize) -> (u16, Arc<Mutex<Vec<String>>>) {
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&requests);
        let port = web_server(move |request| {
            seen.lock().unwrap().push(request.to_owned());
            match request.contains("\r\nauthorization: Digest username=\"u\"") {
                true => [&b"HTTP/1.1 200 OK\r\n\r\n\xff\xd8"[..], &vec![0; bytes - 2]].concat(),
                false => b"HTTP/1.1 401 No\r\nWWW-Authenticate: Digest realm=\"c\", nonce=\"n\", \
                           qop=\"auth\"\r\nContent-Length: 0\r\n\r\n"
                    .to_vec(),
            }
        });
        (port.await, requests)
    }

    fn abilities(port: u16, reply_limit: usize) -> (Arc<dyn Snapshot>, Arc<dyn Cgi>) {
        let web = Web { host: "127.0.0.1".into(), port, snapshot: "/a.jpg".into(), cgi: true };
        let credentials = Credentials { username: "u".into(), password: "p".into() };
        let (snapshot, cgi) = web.abilities(Some(credentials), reply_limit);
        (snapshot, cgi.unwrap())
    }

    #[tokio::test]
    async fn pictures_and_commands_share_one_login() {
        let (port, requests) = server(10).await;
        let (snapshot, cgi) = abilities(port, 100);
        snapshot.jpeg(Stream::Main).await.unwrap();
        assert_eq!(cgi.get("/a", "b=1").await.unwrap().status, 200);
        snapshot.jpeg(Stream::Sub).await.unwrap();
        let requests = requests.lock().unwrap();
        assert_eq!(requests.len(), 4, "one challenge for all of them");
        for (at, request) in requests[1..].iter().enumerate() {
            assert!(request.contains(&format!("nc={:08x}", at + 1)), "{request}");
        }
    }

    #[tokio::test]
    async fn a_picture_may_be_larger_than_an_answer_to_the_hosted_service() {
        let (port, _) = server(1000).await;
        let (snapshot, cgi) = abilities(port, 100);
        assert_eq!(cgi.get("/", "").await.unwrap_err().kind, Kind::Other);
        assert_eq!(snapshot.jpeg(Stream::Main).await.unwrap().len(), 1000);
    }
}
