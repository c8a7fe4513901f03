//! Calls and uploads, with bounded answers, deadlines and at most one redirect.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

#[cfg(feature = "alarms")]
use bytes::Bytes;
use bytes::BytesMut;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use ivt_base::address_rule::AddressRule;
use ivt_base::secret::Secret;
use tokio::time::timeout;
use url::Url;

use super::address::Address;
use super::answer::Answer;
use super::body::{Body, Outgoing, Progress, Watched, Whole};
use super::connections::{Connections, broken};
use super::error::HttpError;
use crate::tls::TrustStore;

/// Most bytes of an answer that are read.
const LONGEST_ANSWER: usize = 64 * 1024;
/// How long the rest of an answer may take when its status says enough.
pub(super) const REST: Duration = Duration::from_secs(2);
/// Number of redirects that are remembered, so that the log is told of each once.
const REDIRECTS: usize = 16;

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

/// The client of the whole agent. Clones share their connections.
#[derive(Clone)]
pub struct Http(pub(super) Arc<Shared>);

pub(super) struct Shared {
    pub(super) connections: Connections,
    pub(super) deadlines: Deadlines,
    /// The redirects that the log was told of, from one host to another, the newest last.
    redirects: Mutex<VecDeque<(Url, Url)>>,
}

/// Which part of an answer counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Status and body.
    Body,
    /// The status alone: a success is one whatever its body holds.
    Status,
}

impl Http {
    /// Connects when it is first used, and only to servers that `rule` allows.
    pub fn new(trust: TrustStore, rule: AddressRule, deadlines: Deadlines) -> Self {
        let connections = Connections::new(trust, rule, deadlines.connect);
        Self(Arc::new(Shared { connections, deadlines, redirects: Mutex::default() }))
    }

    /// Posts a form, also to where the first answer redirects, and returns the body of a success, at
    /// most 64 KiB. If it may come `twice`, it is sent again where a kept connection fails.
    pub(crate) async fn post_form(
        &self,
        to: &Address,
        form: String,
        twice: bool,
        wanted: Wanted,
    ) -> Result<BytesMut, HttpError> {
        let content_type = "application/x-www-form-urlencoded";
        let form = Whole { content_type, content: form.into(), twice };
        self.post(to, form, wanted, self.0.deadlines.call).await
    }

    /// Posts a JPEG picture within `limit`, also to where the first answer redirects (307 and 308). It may
    /// come twice, when a kept connection fails.
    ///
    /// # Errors
    /// There is no connection or no answer in time, the server may not be asked, or it does not take the picture.
    #[cfg(feature = "alarms")]
    pub async fn post_picture(
        &self,
        to: &Address,
        picture: Bytes,
        limit: Duration,
    ) -> Result<(), HttpError> {
        let picture = Whole { content_type: "image/jpeg", content: picture, twice: true };
        self.post(to, picture, Wanted::Status, limit).await.map(drop)
    }

    async fn post(
        &self,
        to: &Address,
        body: Whole,
        wanted: Wanted,
        limit: Duration,
    ) -> Result<BytesMut, HttpError> {
        let work = async {
            let first = Outgoing::Whole(body.clone());
            let answer = self.exchange(to, first, false, wanted, None).await?;
            let Some(next) = self.redirect(to, &answer, &[307, 308])? else {
                return answer.outcome(to);
            };
            let next = next.expose();
            self.exchange(next, Outgoing::Whole(body), false, wanted, None).await?.outcome(next)
        };
        let outcome = timeout(limit, work).await;
        outcome.unwrap_or_else(|_| Err(late(to, "no answer in time"))).map_err(
            |error| match error {
                // Only of a segment it matters whether it arrived.
                HttpError::Unanswered(text) => HttpError::Busy(text),
                error => error,
            },
        )
    }

    /// Sends an MPEG-TS segment by PUT.
    pub(crate) async fn put(
        &self,
        to: &Address,
        body: Body,
        fresh: bool,
        deadline: Duration,
    ) -> Result<(), HttpError> {
        let (body, progress) = Watched::new(body);
        let work = async {
            let body = Outgoing::Segment(body);
            let answer = self.exchange(to, body, fresh, Wanted::Body, Some(&progress)).await?;
            match self.redirect(to, &answer, &[307, 308])? {
                None => answer.outcome(to).map(drop),
                Some(next) => {
                    let next = next.expose();
                    let text = format!("{}: redirects again, to {}", to.place(), next.place());
                    Err(HttpError::Moved(text, next.as_ref().to_owned().into()))
                }
            }
        };
        let Deadlines { stall, answer, .. } = self.0.deadlines;
        let outcome = tokio::select! {
            outcome = timeout(deadline, work) => {
                outcome.unwrap_or_else(|_| Err(late(to, "the upload takes too long")))
            }
            () = progress.stalled(stall, answer) => Err(late(to, match progress.complete() {
                true => "no answer to the upload",
                false => "the upload stalls",
            })),
        };
        match (outcome, progress.complete()) {
            (Ok(()), true) => Ok(()),
            (Ok(()), false) => {
                Err(HttpError::Busy(format!("{}: answered before all was sent", to.place())))
            }
            (Err(HttpError::Transport(text)), true) => Err(HttpError::Unanswered(text)),
            (Err(HttpError::Unanswered(text)), false) => Err(HttpError::Busy(text)),
            (Err(error), _) => Err(error),
        }
    }

    async fn exchange(
        &self,
        to: &Address,
        body: Outgoing,
        fresh: bool,
        wanted: Wanted,
        progress: Option<&Progress>,
    ) -> Result<Answer, HttpError> {
        let (connection, response) = self.0.connections.send(to, body, fresh).await?;
        let (head, mut incoming) = response.into_parts();
        let mut body = BytesMut::new();
        let needed = head.status.is_success() && wanted == Wanted::Body;
        let reading = read(&mut incoming, &mut body);
        let whole = match needed {
            true => reading.await.map_err(|e| broken(to, &e))?,
            // The status says enough, even if the rest cannot be read.
            false => matches!(timeout(REST, reading).await, Ok(Ok(true))),
        };
        if whole {
            // A connection whose request was answered before its end is of no further use.
            if progress.is_none_or(Progress::complete) {
                self.0.connections.keep(connection).await;
            }
        } else if needed {
            let text = format!("{}: the answer is longer than 64 KiB", to.place());
            return Err(HttpError::Busy(text));
        }
        Ok(Answer::new(&head, body))
    }

    /// Where an answer redirects a request that may be sent there as it is, by one of these statuses.
    pub(super) fn redirect(
        &self,
        from: &Address,
        answer: &Answer,
        statuses: &[u16],
    ) -> Result<Option<Secret<Address>>, HttpError> {
        if !statuses.contains(&answer.status.as_u16()) {
            return Ok(None);
        }
        let to = match &answer.location {
            Some(location) => from.join(location.expose()).map_err(|e| format!("its Location {e}")),
            None => Err("without a Location".into()),
        };
        let told = format!("{}: {}", from.place(), answer.status);
        let to = to.map_err(|e| HttpError::Refused(format!("{told}, {e}")))?;
        let pair = (from.origin().clone(), to.origin().clone());
        let mut redirects = self.0.redirects.lock().unwrap_or_else(PoisonError::into_inner);
        if !redirects.contains(&pair) {
            log::info!("{told} to {}, which is followed", to.place());
            if redirects.len() == REDIRECTS {
                redirects.pop_front();
            }
            redirects.push_back(pair);
        }
        Ok(Some(to.into()))
    }
}

/// Reads a body as far as it may be long. True when that is all of it.
pub(super) async fn read(body: &mut Incoming, into: &mut BytesMut) -> hyper::Result<bool> {
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        let room = LONGEST_ANSWER - into.len();
        into.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() > room {
            return Ok(false);
        }
    }
    Ok(true)
}

pub(super) fn late(to: &Address, what: &str) -> HttpError {
    HttpError::Transport(format!("{}: {what}", to.place()))
}

#[cfg(feature = "alarms")]
#[cfg(test)]
mod tests {
    use super::super::scripted::{Reply, Scripted, Seen, sha256};
    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    fn http() -> Http {
        let rule = AddressRule::for_cloud("127.0.0.1");
        Http::new(TrustStore::new(None).unwrap(), rule, Deadlines::default())
    }

    #[tokio::test]
    async fn a_picture_arrives_byte_for_byte_also_behind_a_redirect() {
        let server = Scripted::new(|seen: &Seen| match &*seen.line {
            "POST /moved" => Reply::Answer(307, "location: /pictures?s=1\r\n", String::new()),
            _ => Reply::Answer(200, "", "<html>thanks</html>".into()),
        })
        .await;
        let picture = Bytes::from([&[0xff, 0xd8][..], &[7; 300_000], &[0xff, 0xd9]].concat());
        http().post_picture(&server.url("/moved"), picture.clone(), LIMIT).await.unwrap();
        let seen = server.seen();
        assert_eq!((seen.len(), &*seen[1].line), (2, "POST /pictures?s=1"));
        for seen in &seen {
            assert_eq!(seen.header("content-type"), Some("image/jpeg"));
            assert_eq!(seen.header("content-length"), Some("300004"));
            assert_eq!(seen.sha256, sha256(std::slice::from_ref(&picture)));
        }
    }

    #[tokio::test]
    async fn no_picture_goes_where_the_cloud_may_not_send_it() {
        let picture = Bytes::from_static(b"jpeg");
        for url in ["http://127.0.0.2:9/x?geheim", "http://169.254.169.254/x?geheim"] {
            let to = Address::parse(url, 99).unwrap();
            let error = http().post_picture(&to, picture.clone(), LIMIT).await.unwrap_err();
            assert!(matches!(error, HttpError::Refused(_)), "{error:?}");
            assert!(!error.to_string().contains("geheim"), "{error}");
        }
        let server = Scripted::new(|_| Reply::Silence).await;
        let to = server.url("/x");
        let late = http().post_picture(&to, picture, Duration::from_millis(200)).await.unwrap_err();
        assert!(late.is_passing(), "{late:?}");
    }
}
