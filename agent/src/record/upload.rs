//! Uploads the segments of a session, one at a time, until there are no more.

mod content;
#[cfg(test)]
mod fake;
mod moves;
mod owed;
mod parting;
mod pending;
#[cfg(test)]
mod rig;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use ivt_base::secret::Secret;
use ivt_base::told::Told;
use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::ledger::{Dropped, Ledger, Source, Upload};
use super::pace::{self, Pace};
use super::retry::{Retry, Step, Verdict};
use super::service::{Announcement, RecordingApi, Target};
use super::stock::Stock;
use crate::http::HttpError;
use content::{Content, share};
use owed::Owed;
use parting::PARTING;

/// Most by which the start of an upload is delayed, as a share of the segment's duration.
const SPREAD: f64 = 0.2;
/// Time that an upload may take beyond three times the duration of its segment.
const UPLOAD_AT_LEAST: Duration = Duration::from_secs(60);
/// Time between two questions to the service for its time, and between two looks at our own clock.
const ASK_TIME: Duration = Duration::from_secs(30);
const LOOK_AT_CLOCK: Duration = Duration::from_secs(5);
/// How long a card that does not give a segment is left alone, and after the end of a recording.
const CARD_RESTS: Duration = Duration::from_secs(30);
const CARD_RESTS_AT_END: Duration = Duration::from_secs(5);
/// A card that takes longer to give a segment does not keep the end of a recording waiting.
const CARD_GIVES: Duration = Duration::from_secs(10);
/// How long names that the service does not take back may keep the end of a session waiting.
const OWED_AT_END: Duration = Duration::from_secs(60);

/// How patient an upload is.
#[derive(Clone, Copy, Debug)]
pub struct UploadOptions {
    /// How long after the end of a recording a service that always fails is still tried.
    pub patience: Duration,
    /// How long after the end of a recording a card that gives nothing is still tried; then what only
    /// the card has counts as lost. `None` for a session that is tried again later.
    pub card: Option<Duration>,
    /// Level at which the log is told of failures, since somebody may know of them already.
    pub level: log::Level,
}

impl Default for UploadOptions {
    fn default() -> Self {
        let secs = Duration::from_secs;
        Self { patience: secs(600), card: Some(secs(15)), level: log::Level::Warn }
    }
}

/// Uploads the segments of one session.
pub struct Uploader<R> {
    stock: Stock,
    remote: R,
    /// Another service that the cloud names while the session records.
    moves: Option<watch::Receiver<(R, Secret)>>,
    options: UploadOptions,
    rng: StdRng,
    retry: Retry,
    /// When the upload before began, how long its segment lasts, and where it came from.
    before: Option<(Instant, Duration, Source)>,
    /// The segment that was sent last, if a question has confirmed it that brought no address. The end
    /// of the session confirms it once more.
    told: Option<String>,
    /// Whether segments had to wait beside the one that was just recorded, and some of them still
    /// do.
    behind: bool,
    asked_time: Option<Instant>,
    owed: Owed,
    /// Whether the log was told that the service does not confirm.
    save_told: Told,
}

/// The service or the card has failed for longer than `patience`.
struct GivenUp;

/// Why a segment is not uploaded.
enum Failure {
    /// The service wants no segment at the moment.
    NotNow,
    /// The segment was dropped to make room, or is gone from the disk.
    Gone,
    /// The service or its store failed in this step.
    Failed(Step, HttpError),
    /// The disk does not give the segment.
    Unreadable(String),
}

impl<R: RecordingApi + Clone> Uploader<R> {
    /// An uploader of the segments in `stock`.
    pub fn new(stock: Stock, remote: R, options: UploadOptions, rng: StdRng) -> Self {
        Self {
            stock,
            remote,
            moves: None,
            options,
            rng,
            retry: Retry::default(),
            before: None,
            told: None,
            behind: false,
            asked_time: None,
            owed: Owed::default(),
            save_told: Told::default(),
        }
    }

    /// Waits for `what`, and meanwhile handles what is recorded.
    pub async fn wait_for(&mut self, what: impl Future<Output = ()>) {
        self.stock.during(what).await;
    }

    /// Uploads what is recorded until that ends and everything is uploaded or given up. True if the
    /// spool is empty then; what is left there is for another run with the same part of the spool.
    /// If this future is dropped, [`Self::leave`] has to follow.
    pub async fn run(&mut self) -> bool {
        if self.drain().await.is_err() {
            log::warn!("{}: uploads are given up", self.stock.name());
            self.save_once().await;
        }
        self.stock.store_rest().await;
        self.stock.close().await;
        timeout_at(Instant::now() + PARTING, self.report()).await.ok();
        self.stock.log_losses();
        let Some(spool) = self.stock.spool().filter(|spool| !spool.is_empty()) else { return true };
        let Dropped { number, time } = self.stock.ledger().losses.unreported();
        spool.lost(number, time);
        false
    }

    /// Ends the uploads because the agent ends: stores what waits if there is a spool, and at the
    /// same time confirms what is uploaded. The service is told of losses if there is time.
    pub async fn leave(&mut self) {
        parting::leave(&mut self.stock, &self.remote).await;
    }

    async fn drain(&mut self) -> Result<(), GivenUp> {
        self.repeat_pending().await?;
        while let Some(upload) = self.next().await {
            if self.retry.is_new(upload.number) && upload.alone && !self.behind {
                let delay = upload.duration.mul_f64(self.rng.random_range(0.0..=SPREAD));
                self.stock.wait_for_more(delay).await;
            }
            if self.owed.is_due() {
                self.take_back_owed().await;
            }
            let start = self.date(&upload).await?;
            match self.attempt(&upload, start).await {
                Ok(()) => self.report().await,
                Err(Failure::Gone) => {}
                Err(Failure::NotNow) => self.declined(&upload).await?,
                Err(Failure::Failed(step, error)) => {
                    let verdict = self.retry.judge(step, &error);
                    self.fails(&error)?;
                    match verdict {
                        Verdict::Afresh => {}
                        Verdict::Later => drop(self.rest(upload.duration).await),
                        Verdict::Refused => self.refused(&upload).await,
                    }
                }
                Err(Failure::Unreadable(error)) => self.card_fails(&error).await?,
            }
        }
        while let Some(error) = self.save_once().await {
            self.fails(&error)?;
            self.rest(self.options.patience).await;
        }
        self.report().await;
        let end = Instant::now() + OWED_AT_END.min(self.options.patience);
        while let Some(error) = self.take_back_owed().await
            && Instant::now() < end
        {
            self.retry.failed(&error, Instant::now());
            timeout_at(end, self.rest(self.options.patience)).await.ok();
        }
        Ok(())
    }

    async fn next(&mut self) -> Option<Upload> {
        match self.stock.ledger().waiting() {
            0 => self.behind = false,
            1 => {}
            _ => self.behind = true,
        }
        let next = self.stock.next().await?;
        self.moved().await;
        let Some((begun, duration, source)) = self.before.take() else { return Some(next) };
        let hurries = self.behind || self.stock.crowded().load(Ordering::Relaxed);
        let due = pace::next_upload(begun, duration, share(source, hurries));
        let Some(due) = due else { return Some(next) };
        // What is the next upload may be another one by then.
        self.stock.during(sleep_until(due)).await;
        self.moved().await;
        self.stock.next().await
    }

    /// The date of a segment, asked of the service if our clock was never set.
    async fn date(&mut self, upload: &Upload) -> Result<i64, GivenUp> {
        loop {
            if let Some(date) = self.stock.date(upload.start) {
                return Ok(date);
            }
            if self.asked_time.is_none_or(|asked| asked.elapsed() >= ASK_TIME) {
                self.asked_time = Some(Instant::now());
                match self.stock.during(self.remote.current_time()).await {
                    Ok(now) => self.stock.learn_date(now),
                    Err(error) => {
                        self.fails(&error)?;
                        if error.pause().is_some() {
                            self.rest(upload.duration).await;
                        }
                    }
                }
                if self.stock.date(upload.start).is_some() {
                    continue;
                }
                let error = "neither we nor the service know the date";
                self.fails(&HttpError::Busy(error.into()))?;
            }
            if self.pause(LOOK_AT_CLOCK).await {
                self.asked_time = None;
            }
        }
    }

    async fn attempt(&mut self, upload: &Upload, start: i64) -> Result<(), Failure> {
        if !self.stock.tell(|ledger| ledger.sending(upload)) {
            return Err(Failure::Gone);
        }
        match self.transfer(upload, start).await {
            Ok(name) => {
                self.sent(upload, name);
                Ok(())
            }
            Err(failure) => {
                self.stock.tell(|ledger| match failure {
                    Failure::NotNow => ledger.not_now(upload.number),
                    _ => ledger.failed(upload.number),
                });
                Err(failure)
            }
        }
    }

    /// Uploads a segment and returns the service's name of it.
    async fn transfer(&mut self, upload: &Upload, start: i64) -> Result<String, Failure> {
        let begun = Instant::now();
        let memory = match upload.source {
            Source::Memory => self.stock.ledger().chunks(upload.number),
            Source::Card => None,
        };
        // The disk is asked before the service, which cannot help if the disk fails.
        let content = self.content(upload, memory.clone()).await?;
        let announcement = Announcement {
            size: upload.bytes,
            start,
            duration: upload.duration,
            last_file_name: self.stock.ledger().unconfirmed().map(ToOwned::to_owned),
            discontinue: upload.discontinuity,
        };
        let target = self.stock.during(self.remote.create(&announcement)).await;
        let target = target.map_err(|error| Failure::Failed(Step::Create, error))?;
        let Some(Target { name, uri }) = target else {
            self.told = announcement.last_file_name.or(self.told.take());
            return Err(Failure::NotNow);
        };
        self.told = None;
        self.stock.tell(Ledger::created);
        let spooled = pending::note(&mut self.stock, upload, &name, &uri).await;
        let mut sent = self.send(upload, memory.clone(), content, &uri, false, begun).await;
        if let Err(Failure::Failed(_, error)) = &sent
            && error.is_passing()
            && error.pause().is_none()
        {
            let unanswered = matches!(error, HttpError::Unanswered(_));
            // Object stores fail good uploads now and then, so this one is tried again.
            sent = match self.content(upload, memory.clone()).await {
                Ok(again) => self.send(upload, memory, again, &uri, true, Instant::now()).await,
                Err(failure) => Err(failure),
            };
            // What is at the address is this segment, whose answer was lost.
            if unanswered && matches!(&sent, Err(Failure::Failed(_, HttpError::Exists(_)))) {
                sent = Ok(());
            }
        }
        if sent.is_err() {
            // After a crash nothing may be sent under a name that was taken back: nobody would find it.
            if spooled {
                pending::forget(&mut self.stock).await;
            }
            self.owed.add(name.clone());
            if self.owed.is_due() {
                self.take_back_owed().await;
            }
        }
        sent.map(|()| name)
    }

    /// The content of a segment from memory, or from the card, where it is read while it is sent.
    async fn content(
        &mut self,
        upload: &Upload,
        memory: Option<Arc<[Bytes]>>,
    ) -> Result<Content, Failure> {
        if let Some(chunks) = memory {
            return Ok(Content::memory(chunks));
        }
        let spool = self.stock.spool().cloned().ok_or(Failure::Gone)?;
        let mut reading = pin!(spool.reader(upload.number));
        let read = match timeout(CARD_GIVES, self.stock.during(&mut reading)).await {
            Ok(read) => read,
            Err(_) => {
                if self.stock.ledger().closed().is_some() {
                    self.save_once().await;
                }
                self.stock.during(reading).await
            }
        };
        match read {
            Ok(reader) => Ok(Content::card(reader)),
            Err(error) if error.is_gone() => {
                let (number, holding) = (upload.number, spool.holding(upload.number));
                self.stock.tell(|ledger| ledger.found(number, holding));
                Err(Failure::Gone)
            }
            Err(error) => Err(Failure::Unreadable(error.to_string())),
        }
    }

    /// Sends a segment to its address, and once to where that redirects.
    async fn send(
        &mut self,
        upload: &Upload,
        memory: Option<Arc<[Bytes]>>,
        content: Content,
        uri: &Secret,
        fresh: bool,
        begun: Instant,
    ) -> Result<(), Failure> {
        match self.put(upload, content, uri, fresh, begun).await {
            Err(Failure::Failed(_, HttpError::Moved(_, to))) => {
                let content = self.content(upload, memory).await?;
                self.put(upload, content, &to, fresh, Instant::now()).await
            }
            sent => sent,
        }
    }

    async fn put(
        &mut self,
        upload: &Upload,
        content: Content,
        uri: &Secret,
        fresh: bool,
        begun: Instant,
    ) -> Result<(), Failure> {
        let Upload { duration, bytes, source, .. } = *upload;
        let broken = Arc::clone(&content.broken);
        let pace = Pace::new(duration, bytes, begun);
        let body = content.paced(bytes, pace, source, self.behind, self.stock.crowded());
        let deadline = duration.saturating_mul(3).saturating_add(UPLOAD_AT_LEAST);
        let sent = self.stock.during(self.remote.put(uri.expose(), body, fresh, deadline)).await;
        self.before = sent.is_ok().then_some((begun, duration, source));
        sent.map_err(|error| match broken.load(Ordering::Relaxed) {
            true => Failure::Unreadable("it does not give a segment to the end".into()),
            false => Failure::Failed(Step::Put, error),
        })
    }

    fn sent(&mut self, upload: &Upload, name: String) {
        self.stock.tell(|ledger| ledger.sent(upload, name));
        self.works();
        if upload.source == Source::Card && self.retry.readable() {
            log::info!("{}: what is in the spool is uploaded again", self.stock.name());
        }
        self.retry.accepted();
        self.stock.tell(|ledger| ledger.end_deferral(true));
    }

    /// Handles "not now" from the service.
    async fn declined(&mut self, upload: &Upload) -> Result<(), GivenUp> {
        pending::forget(&mut self.stock).await;
        if self.stock.ledger().insists() {
            let error = "the service takes no segments at the moment";
            self.fails(&HttpError::Busy(error.into()))?;
            self.rest(upload.duration).await;
        } else {
            self.works();
        }
        Ok(())
    }

    /// Handles a refused segment. Unless the service has just taken another one, it may be refusing
    /// all: then segments on the card stay there.
    async fn refused(&mut self, upload: &Upload) {
        let proven = self.retry.take_proof();
        self.stock.tell(|ledger| ledger.refused(upload, !proven));
        // The service may be refusing the confirmation of the segment before, which it does not
        // know.
        self.save_once().await;
        match self.retry.refused(&mut self.rng) {
            None => drop(self.rest(upload.duration).await),
            Some(pause) => {
                self.stock.tell(|ledger| ledger.end_deferral(false));
                self.pause(pause.min(self.options.patience)).await;
            }
        }
    }

    /// Notes that a step has succeeded.
    fn works(&mut self) {
        if self.retry.works() {
            log::info!("{}: uploads work again", self.stock.name());
            self.stock.note(None);
        }
    }

    /// Notes that a step has failed.
    fn fails(&mut self, error: &HttpError) -> Result<(), GivenUp> {
        self.behind = true;
        let (since, news) = self.retry.failed(error, Instant::now());
        if news {
            log::log!(self.options.level, "{}: uploads fail: {error}", self.stock.name());
        }
        self.stock.note(Some(error.to_string()));
        self.endure(since)
    }

    /// Notes that the card does not give a segment, which is no fault of the service. After the end
    /// of a recording the card is not waited for long, and the service hears of the end at once.
    async fn card_fails(&mut self, error: &str) -> Result<(), GivenUp> {
        let now = Instant::now();
        let (since, news) = self.retry.unreadable(now);
        if news {
            log::warn!("{}: what is in the spool is not uploaded: {error}", self.stock.name());
        }
        match (self.stock.ledger().closed(), self.options.card) {
            (Some(closed), Some(patience)) => {
                self.stock.tell(|ledger| ledger.card_rests(now + CARD_RESTS_AT_END));
                self.save_once().await;
                if closed.max(since).elapsed() >= patience {
                    self.stock.tell(Ledger::give_up_card);
                }
                Ok(())
            }
            _ => {
                self.stock.tell(|ledger| ledger.card_rests(now + CARD_RESTS));
                self.endure(since)
            }
        }
    }

    /// Gives up after the end of a recording if failures have lasted too long.
    fn endure(&self, since: Instant) -> Result<(), GivenUp> {
        let since = self.stock.ledger().closed().map(|closed| closed.max(since));
        match since.is_some_and(|since| since.elapsed() >= self.options.patience) {
            true => Err(GivenUp),
            false => Ok(()),
        }
    }

    /// Waits before the next try. True if it goes to another service.
    async fn rest(&mut self, duration: Duration) -> bool {
        let delay = self.retry.delay(duration, &mut self.rng);
        // Other sessions may wait for this one.
        self.pause(delay.min(self.options.patience)).await
    }

    /// Confirms the segment that was sent last; returns the error if the service cannot do so now.
    async fn save_once(&mut self) -> Option<HttpError> {
        let unconfirmed = self.stock.ledger().unconfirmed().map(ToOwned::to_owned);
        let name = unconfirmed.or_else(|| self.told.clone())?;
        match self.stock.during(self.remote.save(&name)).await {
            Ok(()) => self.works(),
            Err(error) if error.is_passing() => return Some(error),
            Err(error) => {
                if self.save_told.is_news(()) {
                    let session = self.stock.name();
                    log::warn!("{session}: the last segment is not confirmed: {error}");
                }
            }
        }
        self.told = None;
        self.stock.tell(Ledger::confirmed);
        pending::forget(&mut self.stock).await;
        None
    }

    /// Tells the service of names under which no segment comes. Returns the error if it cannot take
    /// one back now, which is tried again beside later segments.
    async fn take_back_owed(&mut self) -> Option<HttpError> {
        let session = self.stock.name().to_owned();
        self.stock.during(self.owed.settle(&self.remote, &session, self.options.level)).await
    }

    /// Tells the service of losses that it does not know. If its answer is lost, it is told again,
    /// since twice is better than never. A service that does not want to know is not told again.
    async fn report(&mut self) {
        let dropped @ Dropped { number, time } = self.stock.ledger().losses.unreported();
        if number == 0 {
            return;
        }
        match self.stock.during(self.remote.stat(number, time)).await {
            Ok(()) => self.stock.tell(|ledger| ledger.losses.reported(dropped)),
            Err(error) if error.is_passing() => {}
            Err(_) => self.stock.tell(|ledger| ledger.losses.keep()),
        }
    }
}

#[cfg(test)]
#[path = "upload/tests.rs"]
mod tests;

#[cfg(test)]
#[cfg(feature = "ui")]
mod book_tests;

#[cfg(test)]
mod busy_tests;

#[cfg(test)]
mod fault_tests;

#[cfg(test)]
mod herd_tests;

#[cfg(test)]
mod pause_tests;

#[cfg(test)]
mod spool_tests;

#[cfg(test)]
mod squeeze_tests;

#[cfg(test)]
mod wire_tests;
