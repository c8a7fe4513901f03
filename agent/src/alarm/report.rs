//! Reports what lies on the desk: one call to the cloud at a time, and beside it the pictures that the cloud wants.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use ivt_base::secret::Secret;
use ivt_base::task::work;
use ivt_hal::Trigger;
use ivt_proto::rpc::message::{AlarmEdge, AlarmKind, AlarmNotify, AlarmPicture};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

#[cfg(feature = "ui")]
use super::book::Told;
use super::describe::{describe, is_late};
use super::desk::Desk;
use super::outbox::Report;
use super::pictures::Parcel;
use crate::cloud::calls::{CallError, Calls};
use crate::http::address::{Address, LONGEST_URI};
use crate::http::{Http, HttpError};
use crate::shutdown::Stop;

/// Most pictures that are sent at the same time.
const UPLOADS: usize = 4;
/// How long sending one may take.
const UPLOAD: Duration = Duration::from_secs(60);
/// How long the cloud is left alone when its queue is full.
const FULL: Duration = Duration::from_secs(1);
/// How long a report rests that the cloud has refused, before its second and last try.
const REFUSED: Duration = Duration::from_secs(5);
/// How long a report rests while connections are lost over it: a cloud that hangs up for it still has connections.
const LOST: [Duration; 6] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(20),
    Duration::from_secs(60),
    Duration::from_secs(600),
    Duration::from_secs(3600),
];
/// How long all reports rest when so many in a row have lost their connection: a cloud that answers no report has each
/// cost it, and live views with it.
const UNANSWERED: usize = 5;
const ALL_REST: Duration = Duration::from_secs(600);
/// How far away the timer is set while nothing waits for its time.
const FAR: Duration = Duration::from_secs(3600);

/// What the reporter talks to.
#[async_trait]
pub(super) trait Outside: Send + Sync {
    fn is_connected(&self) -> bool;
    /// Returns once there is a connection to the cloud.
    async fn connected(&self);
    async fn notify(&self, alarm: AlarmNotify) -> Result<AlarmPicture, CallError>;
    async fn upload(&self, to: &Address, picture: Bytes) -> Result<(), HttpError>;
}

/// The cloud and its servers.
pub(super) struct Cloud {
    pub(super) calls: Calls,
    pub(super) http: Http,
}

#[async_trait]
impl Outside for Cloud {
    fn is_connected(&self) -> bool {
        self.calls.is_connected()
    }

    async fn connected(&self) {
        self.calls.connected().await;
    }

    async fn notify(&self, alarm: AlarmNotify) -> Result<AlarmPicture, CallError> {
        self.calls.call(alarm).await
    }

    async fn upload(&self, to: &Address, picture: Bytes) -> Result<(), HttpError> {
        self.http.post_picture(to, picture, UPLOAD).await
    }
}

type Answer = Result<AlarmPicture, CallError>;

/// A report on its way to the cloud.
struct Sent<'a> {
    report: Report,
    late: bool,
    answer: BoxFuture<'a, Answer>,
}

/// Reports until the agent ends.
pub(super) async fn run(desk: Desk, outside: Arc<dyn Outside>, mut stop: Stop) {
    let mut uploads = JoinSet::new();
    let mut call: Option<Sent<'_>> = None;
    loop {
        let now = Instant::now();
        let mut due = Vec::new();
        {
            let mut content = desk.lock();
            while uploads.len() < UPLOADS
                && let Some(parcel) = content.pictures.send(now)
            {
                uploads.spawn(work(send(Arc::clone(&outside), parcel)));
            }
            due.extend(content.pictures.due());
            if call.is_none() && outside.is_connected() {
                if let Some(report) = content.outbox.send(now) {
                    let answer = outside.notify(notify(&report, now));
                    call = Some(Sent { late: is_late(&report, now), report, answer });
                } else {
                    due.extend(content.outbox.due(now));
                }
            }
        }
        let waits = call.is_none() && !outside.is_connected();
        let due = due.into_iter().min().unwrap_or(now + FAR);
        tokio::select! {
            biased;
            () = stop.requested() => return,
            answer = answered(&mut call) => {
                if let Some(sent) = call.take() {
                    note(&desk, &sent, answer);
                }
            }
            Some(Ok((id, sent))) = uploads.join_next() => {
                note_upload(&desk, id, sent, !outside.is_connected());
            }
            () = desk.news() => {}
            () = outside.connected(), if waits => {}
            () = sleep_until(due) => {}
        }
    }
}

/// The answer to the call that was made; never returns while none was.
async fn answered(call: &mut Option<Sent<'_>>) -> Answer {
    match call {
        Some(sent) => (&mut sent.answer).await,
        None => std::future::pending().await,
    }
}

fn notify(report: &Report, now: Instant) -> AlarmNotify {
    let (channel, trigger) = report.place;
    AlarmNotify {
        channel: u32::try_from(channel).unwrap_or(u32::MAX),
        kind: match trigger {
            Trigger::Input => AlarmKind::External,
            Trigger::Motion => AlarmKind::Motion,
            Trigger::Line => AlarmKind::Tripwire,
        },
        state: if report.begins { AlarmEdge::Start } else { AlarmEdge::End },
        desc: describe(report, now),
    }
}

/// Takes over what became of a report.
fn note(desk: &Desk, sent: &Sent<'_>, answer: Answer) {
    let (report, now) = (&sent.report, Instant::now());
    let rest = |pause: Duration| now.checked_add(pause);
    let (channel, id) = (report.place.0, report.id);
    desk.change(report.place, |content| {
        match &answer {
            Err(CallError::Lost) => content.outbox.lost(UNANSWERED, ALL_REST, now),
            Ok(_) | Err(CallError::Rejected(_) | CallError::Unreadable(_)) => {
                content.outbox.answered();
            }
            Err(_) => {}
        }
        let url = match answer {
            // An answer that makes no sense is one all the same.
            Err(CallError::Unreadable(e)) => {
                log::warn!(
                    "channel {channel}: the cloud's answer to AlarmNotify cannot be read: {e}"
                );
                Ok(None)
            }
            Ok(AlarmPicture { pic_upload_url: url }) => {
                Ok(Some(url).filter(|url| report.begins && !url.expose().trim().is_empty()))
            }
            Err(error) => Err(error),
        };
        let error = match url {
            Ok(url) => {
                // What was withdrawn meanwhile has no picture any longer.
                content.outbox.done();
                content.counts.reported += 1;
                content.counts.late += u64::from(sent.late);
                #[cfg(feature = "ui")]
                content.book.tell(id, if sent.late { Told::Late } else { Told::InTime });
                match url.map(|url| address(channel, url)) {
                    Some(Ok(to)) => drop(content.pictures.address(id, to)),
                    Some(Err(())) => content.drop_picture(id),
                    None => drop(content.pictures.drop(id)),
                }
                return;
            }
            Err(error) => error,
        };
        match error {
            CallError::Offline => content.outbox.again(|_| {}),
            CallError::Full => content.outbox.again(|report| report.not_before = rest(FULL)),
            CallError::Lost => content.outbox.again(|report| {
                let pause = LOST.get(report.losses).or(LOST.last()).copied();
                report.losses += 1;
                report.not_before = rest(pause.unwrap_or_default());
            }),
            CallError::Rejected(_) if report.refusals == 0 => content.outbox.again(|report| {
                report.refusals += 1;
                report.not_before = rest(REFUSED);
            }),
            CallError::Rejected(_) | CallError::Unsendable(_) | CallError::Unreadable(_) => {
                log::warn!("channel {channel}: an alarm is not reported: {error}");
                content.counts.refused += u64::from(content.outbox.done());
                #[cfg(feature = "ui")]
                content.book.tell(id, Told::Refused);
                content.drop_picture(id);
            }
        }
    });
}

/// Where the cloud wants a picture.
fn address(channel: usize, url: Secret) -> Result<Secret<Address>, ()> {
    url.try_map(|url| Address::parse(&url, LONGEST_URI)).map_err(|e| {
        log::warn!("channel {channel}: the picture of an alarm is not sent: pic_upload_url {e}");
    })
}

async fn send(outside: Arc<dyn Outside>, parcel: Parcel) -> (u64, Result<(), HttpError>) {
    let Parcel { id, picture, to } = parcel;
    (id, outside.upload(to.expose(), picture).await)
}

/// Takes over what became of a picture.
fn note_upload(desk: &Desk, id: u64, sent: Result<(), HttpError>, outage: bool) {
    let mut content = desk.lock();
    let Err(error) = sent else {
        content.counts.pictures_sent += 1;
        content.pictures.drop(id);
        return;
    };
    let pause = error.pause().unwrap_or_default();
    if error.is_passing() && content.pictures.again(id, pause, outage, Instant::now()) {
        log::info!("the picture of an alarm is sent again: {error}");
        return;
    }
    log::warn!("the picture of an alarm was not sent: {error}");
    content.pictures.drop(id);
    content.counts.pictures_dropped += 1;
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
