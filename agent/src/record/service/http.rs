//! As much HTTP as uploads need, with bounded answers, deadlines and at most one redirect.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use ivt_base::address_rule::AddressRule;
use ivt_base::secret::Secret;
use tokio::time::timeout;
use url::Url;

use super::ServiceError;
use super::address::Address;
use super::answer::Answer;
use super::body::{Body, Outgoing, Progress, Watched};
use super::connections::{Connections, broken};
use crate::tls::TrustStore;

/// Most bytes of an answer that are read.
const LONGEST_ANSWER: usize = 64 * 1024;
/// How long the rest of an answer may take when its status says enough.
const REST: Duration = Duration::from_secs(2);
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

/// The connections of all sessions together.
#[derive(Clone)]
pub struct Http(Arc<Shared>);

struct Shared {
    connections: Connections,
    deadlines: Deadlines,
    /// The redirects that the log was told of, from one host to another, the newest last.
    redirects: Mutex<VecDeque<(Url, Url)>>,
}

/// Which part of an answer counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
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
    pub(super) async fn post(
        &self,
        to: &Address,
        form: String,
        twice: bool,
        wanted: Wanted,
    ) -> Result<BytesMut, ServiceError> {
        let form = Bytes::from(form);
        let work = async {
            let body = Outgoing::Form(form.clone(), twice);
            let answer = self.exchange(to, body, false, wanted, None).await?;
            let Some(next) = self.redirect(to, &answer)? else { return answer.outcome(to) };
            let next = next.expose();
            self.exchange(next, Outgoing::Form(form, twice), false, wanted, None)
                .await?
                .outcome(next)
        };
        let outcome = timeout(self.0.deadlines.call, work).await;
        outcome.unwrap_or_else(|_| Err(late(to, "no answer in time"))).map_err(
            |error| match error {
                // Only of a segment it matters whether it arrived.
                ServiceError::Unanswered(text) => ServiceError::Busy(text),
                error => error,
            },
        )
    }

    /// Sends an MPEG-TS segment by PUT.
    pub(super) async fn put(
        &self,
        to: &Address,
        body: Body,
        fresh: bool,
        deadline: Duration,
    ) -> Result<(), ServiceError> {
        let (body, progress) = Watched::new(body);
        let work = async {
            let body = Outgoing::Segment(body);
            let answer = self.exchange(to, body, fresh, Wanted::Body, Some(&progress)).await?;
            match self.redirect(to, &answer)? {
                None => answer.outcome(to).map(drop),
                Some(next) => {
                    let next = next.expose();
                    let text = format!("{}: redirects again, to {}", to.place(), next.place());
                    Err(ServiceError::Moved(text, next.as_ref().to_owned().into()))
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
                Err(ServiceError::Busy(format!("{}: answered before all was sent", to.place())))
            }
            (Err(ServiceError::Transport(text)), true) => Err(ServiceError::Unanswered(text)),
            (Err(ServiceError::Unanswered(text)), false) => Err(ServiceError::Busy(text)),
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
    ) -> Result<Answer, ServiceError> {
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
            return Err(ServiceError::Busy(text));
        }
        Ok(Answer::new(&head, body))
    }

    /// Where an answer redirects a request that may be sent there as it is (307 and 308).
    fn redirect(
        &self,
        from: &Address,
        answer: &Answer,
    ) -> Result<Option<Secret<Address>>, ServiceError> {
        if !matches!(answer.status.as_u16(), 307 | 308) {
            return Ok(None);
        }
        let to = match &answer.location {
            Some(location) => from.join(location.expose()).map_err(|e| format!("its Location {e}")),
            None => Err("without a Location".into()),
        };
        let told = format!("{}: {}", from.place(), answer.status);
        let to = to.map_err(|e| ServiceError::Refused(format!("{told}, {e}")))?;
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
async fn read(body: &mut Incoming, into: &mut BytesMut) -> hyper::Result<bool> {
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

fn late(to: &Address, what: &str) -> ServiceError {
    ServiceError::Transport(format!("{}: {what}", to.place()))
}
