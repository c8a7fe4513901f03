//! As much HTTP as uploads need, with bounded answers, deadlines and no redirects.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use ivt_base::address_rule::AddressRule;
use ivt_base::text::shorten;
#[cfg(feature = "tls")]
use ivt_base::tls;
use ivt_base::tls::{ClientConfig, TlsError};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tokio::sync::OnceCell;
use tokio::time::timeout;
use url::Url;

use super::body::{Body, Watched};
use super::{ServiceError, place};
use crate::tls::TrustStore;

const LONGEST_ANSWER: usize = 64 * 1024;
/// Idle connections kept for each host, for the next session that comes by.
const IDLE_CONNECTIONS: usize = 8;
const IDLE_TIME: Duration = Duration::from_secs(60);

/// How long a peer may take.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// Longest time to connect, with TLS.
    pub connect: Duration,
    /// Longest time for a call and its answer.
    pub call: Duration,
    /// Longest time in which nothing of an upload is taken.
    pub stall: Duration,
    /// Longest time from when an upload was taken to its answer.
    pub answer: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        let secs = Duration::from_secs;
        Self { connect: secs(10), call: secs(10), stall: secs(10), answer: secs(20) }
    }
}

/// The connections of all sessions together.
#[derive(Clone)]
pub struct Http(Arc<Shared>);

struct Shared {
    trust: TrustStore,
    rule: AddressRule,
    deadlines: Deadlines,
    plain: OnceCell<Client>,
    encrypted: OnceCell<Client>,
}

impl Http {
    /// Connects when it is first used, to servers that `rule` allows.
    pub fn new(trust: TrustStore, rule: AddressRule, deadlines: Deadlines) -> Self {
        let (plain, encrypted) = (OnceCell::new(), OnceCell::new());
        Self(Arc::new(Shared { trust, rule, deadlines, plain, encrypted }))
    }

    /// Posts a form and returns the body of a successful answer, at most 64 KiB.
    pub(super) async fn post(&self, url: &Url, form: String) -> Result<BytesMut, ServiceError> {
        self.allow(url).await?;
        let request = self.client(url).await?.post(url.clone());
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form);
        timeout(self.0.deadlines.call, exchange(url, request))
            .await
            .unwrap_or_else(|_| Err(late(url, "no answer in time")))
    }

    /// Sends an MPEG-TS segment by PUT.
    pub(super) async fn put(
        &self,
        url: &Url,
        body: Body,
        fresh: bool,
        deadline: Duration,
    ) -> Result<(), ServiceError> {
        self.allow(url).await?;
        let client = if fresh { self.build(url).await } else { self.client(url).await }?;
        let length = body.length;
        let (body, progress) = Watched::new(body);
        let request = client
            .put(url.clone())
            .header(CONTENT_TYPE, "video/mp2t")
            .header(CONTENT_LENGTH, length)
            .body(reqwest::Body::wrap_stream(body));
        let Deadlines { stall, answer, .. } = self.0.deadlines;
        let outcome = tokio::select! {
            outcome = timeout(deadline, exchange(url, request)) => outcome,
            () = progress.stalled(stall, answer) => {
                let sent = progress.complete();
                let what = if sent { "no answer to the upload" } else { "the upload stalls" };
                return Err(late(url, what));
            }
        };
        outcome.unwrap_or_else(|_| Err(late(url, "the upload takes too long")))?;
        if progress.complete() {
            return Ok(());
        }
        Err(ServiceError::Busy(format!("{}: answered before all was sent", place(url))))
    }

    async fn allow(&self, url: &Url) -> Result<(), ServiceError> {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let port = url.port_or_known_default().unwrap_or_default();
        let refused = |e| ServiceError::Refused(format!("{}: {e}", place(url)));
        self.0.rule.check(host, port).await.map_err(refused)
    }

    async fn client(&self, url: &Url) -> Result<Client, ServiceError> {
        let cell = if encrypted(url) { &self.0.encrypted } else { &self.0.plain };
        cell.get_or_try_init(|| self.build(url)).await.cloned()
    }

    async fn build(&self, url: &Url) -> Result<Client, ServiceError> {
        let failed = |e: &dyn Error| ServiceError::Transport(format!("{}: TLS: {e}", place(url)));
        let trust = if encrypted(url) { Some(self.0.trust.config().await) } else { None };
        let trust = trust.transpose().map_err(|e| failed(&e))?;
        client(trust.as_deref())
            .map_err(|e| failed(&e))?
            .http1_only()
            .no_proxy()
            .referer(false)
            .redirect(Policy::none())
            .connect_timeout(self.0.deadlines.connect)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .pool_idle_timeout(IDLE_TIME)
            .build()
            .map_err(|e| failed(&e))
    }
}

async fn exchange(url: &Url, request: RequestBuilder) -> Result<BytesMut, ServiceError> {
    let transport = |e| ServiceError::Transport(format!("{}: {}", place(url), reason(e)));
    let response = request.send().await.map_err(transport)?;
    let status = response.status();
    if status.is_success() {
        let answer = bounded(response).await.map_err(transport)?;
        return answer.ok_or_else(|| {
            ServiceError::Busy(format!("{}: the answer is longer than 64 KiB", place(url)))
        });
    }
    // The status says enough, even if the rest cannot be read.
    let answer = timeout(Duration::from_secs(2), bounded(response)).await;
    let info = answer.ok().and_then(Result::ok).flatten().and_then(|answer| info(&answer));
    Err(refusal(url, status, info))
}

/// The whole body, or `None` if it is too long.
async fn bounded(mut response: Response) -> Result<Option<BytesMut>, reqwest::Error> {
    let mut answer = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        if answer.len() + chunk.len() > LONGEST_ANSWER {
            return Ok(None);
        }
        answer.extend_from_slice(&chunk);
    }
    Ok(Some(answer))
}

/// The recording service's form of an error.
fn info(answer: &[u8]) -> Option<String> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    Some(shorten(answer.get("info")?.as_str()?))
}

fn refusal(url: &Url, status: StatusCode, info: Option<String>) -> ServiceError {
    let info = info.map(|info| format!(" ({info})")).unwrap_or_default();
    let text = format!("{}: {status}{info}", place(url));
    match status.as_u16() {
        300..400 => ServiceError::Refused(format!("{text}: redirects are not followed")),
        403 | 404 | 410 => ServiceError::Expired(text),
        408 | 429 => ServiceError::Busy(text),
        400..500 => ServiceError::Refused(text),
        _ => ServiceError::Busy(text),
    }
}

fn late(url: &Url, what: &str) -> ServiceError {
    ServiceError::Transport(format!("{}: {what}", place(url)))
}

/// The innermost cause of an error: the outer ones name the whole address and say only that there
/// was an error.
fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    shorten(&cause.to_string())
}

fn encrypted(url: &Url) -> bool {
    url.scheme() == "https"
}

/// A configuration for connections without encryption, which the library wants all the same. The
/// one that trusts the system's certificates is large.
#[cfg(feature = "tls")]
fn client(trust: Option<&ClientConfig>) -> Result<ClientBuilder, TlsError> {
    let config = trust.cloned().map_or_else(tls::trustless, Ok)?;
    Ok(Client::builder().tls_backend_preconfigured(config))
}

#[cfg(not(feature = "tls"))]
fn client(_trust: Option<&ClientConfig>) -> Result<ClientBuilder, TlsError> {
    Ok(Client::builder())
}
