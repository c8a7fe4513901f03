//! Images that a person uploads: the same rules, checks and place as for those of the cloud. What breaks off leaves
//! nothing behind.

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use ivt_base::text;
use ivt_hal::manifest::Manifest;
use ivt_hal::{Image, Incoming};

use super::attempt::Attempt;
use super::download::put;
use super::order::{Order, Orders, Upload};
use super::pace::Pace;
use super::policy;
use super::refusal::Refusal;
use super::seen::Work;
use super::signature::{Check, Signed};
use super::updater::Updater;

/// How images that nobody has signed are called.
const UNSIGNED: &str = "unsigned";

/// An image that is in its place, whole and checked.
struct Taken {
    incoming: Box<dyn Incoming>,
    version: String,
    signed: Option<Signed>,
}

impl Updater {
    /// Does what a person at the page orders.
    pub(super) async fn obey(&mut self, order: Order) {
        match order {
            Order::Check => {
                self.show(Work::Cloud).await;
                let outcome = self.attempt(false).await;
                self.upgrades.orders().note("check", "", &outcome);
                self.follow(outcome).await;
            }
            Order::Judge { signature, answer } => {
                let signed = self.begun().judged(&signature).await;
                // Who asked may have gone.
                let _ = answer.send(signed.map(|signed| signed.manifest));
            }
            Order::Take(upload) if upload.answer.is_closed() => {}
            Order::Take(upload) => self.take(upload).await,
        }
    }

    /// Shows what the task does now, and what it knows.
    pub(super) async fn show(&self, work: Work) {
        let running = match work {
            Work::Idle | Work::Trial => self.firmware.running().await.ok(),
            _ => None,
        };
        let installed = self.journal.installed();
        let installed = installed.map(|it| (text::name(&it.version), it.counter, it.failed));
        self.upgrades.orders().show(|seen| {
            seen.work = work;
            seen.running = running.or(seen.running);
            seen.installed = installed;
        });
    }

    async fn take(&mut self, upload: Upload) {
        let Upload { signature, size, mut bytes, answer } = upload;
        log::info!("firmware: a person at the page uploads one");
        self.setup.upgrading.send_replace(true);
        let (upgrades, mut attempt) = (self.upgrades.clone(), self.begun());
        let taken = attempt.receive(&signature, size, &mut bytes, upgrades.orders()).await;
        let (version, outcome) = match taken {
            Ok(Taken { incoming, version, signed }) => {
                // From here on it is installed, whether or not the person is still there.
                let _ = answer.send(Ok(version.clone()));
                upgrades.orders().show(|seen| seen.work = Work::Install);
                let outcome = attempt.install(incoming, &version, signed.as_ref()).await;
                upgrades.orders().note("upload", &version, &outcome);
                (version, outcome)
            }
            Err(refusal) => {
                log::warn!("firmware: not installed: {refusal}");
                let refused = Err(refusal);
                upgrades.orders().note("upload", "", &refused);
                let _ = answer.send(refused.map(|_| String::new()));
                return;
            }
        };
        log::info!("firmware: {} was uploaded", text::shorten(&version));
        self.follow(outcome).await;
    }

    /// An upgrade on which a person insists.
    fn begun(&mut self) -> Attempt<'_> {
        let Self { setup, firmware, journal, clock, .. } = self;
        Attempt { setup, firmware: &**firmware, journal, clock, forced: true }
    }
}

impl Attempt<'_> {
    /// What the file of a signature says, if the device takes its image.
    async fn judged(&self, signature: &[u8]) -> Result<Signed, Refusal> {
        let running = self.firmware.running().await?;
        if running.trial {
            return Err(Refusal::OnTrial);
        }
        if signature.is_empty() {
            return Err(Refusal::Unsigned("there is no signature".to_owned()));
        }
        let rules = self.setup.rules.borrow().clone();
        self.judge(signature, &rules, &running)
    }

    /// Takes an image into its place. What is refused, or breaks off, is cleared away.
    async fn receive(
        &mut self,
        signature: &[u8],
        told: Option<u64>,
        bytes: &mut BoxStream<'static, std::io::Result<Bytes>>,
        orders: &Orders,
    ) -> Result<Taken, Refusal> {
        let signed = match self.judged(signature).await {
            Err(refusal) if refusal.is_of_signature() && self.allows_unsigned() => {
                log::warn!("firmware: {refusal}: taken nevertheless, by firmware.allow_unsigned");
                None
            }
            judged => Some(judged?),
        };
        let image = match &signed {
            Some(Signed { manifest: Manifest { version, counter, size, sha256, .. }, .. }) => {
                let (version, counter, sha256) = (version.clone(), Some(*counter), Some(*sha256));
                Image { version, counter, size: *size, sha256 }
            }
            None => {
                let size = told.ok_or(Refusal::NoSize)?;
                policy::fits(size, self.setup.rules.borrow().max_size)?;
                Image { version: UNSIGNED.to_owned(), counter: None, size, sha256: None }
            }
        };
        // A file of another size is refused before it is sent.
        if let Some(found) = told.filter(|told| *told != image.size) {
            return Err(Refusal::Size { found, signed: image.size });
        }
        let mut incoming = self.firmware.open(&image).await?;
        let received = self.fill(&mut *incoming, &image, signed.as_ref(), bytes, orders).await;
        if let Err(refusal) = received {
            if let Err(e) = incoming.clear().await {
                log::warn!("firmware: what was refused cannot be cleared away: {e}");
            }
            return Err(refusal);
        }
        Ok(Taken { incoming, version: image.version, signed })
    }

    async fn fill(
        &self,
        incoming: &mut dyn Incoming,
        image: &Image,
        signed: Option<&Signed>,
        bytes: &mut BoxStream<'static, std::io::Result<Bytes>>,
        orders: &Orders,
    ) -> Result<(), Refusal> {
        if incoming.kept() > 0 {
            incoming.clear().await?;
        }
        let size = image.size;
        let (mut check, mut pace) = (Check::new(signed), Pace::new(self.setup.patience.slow));
        let show = |bytes| orders.show(|seen| seen.work = Work::Upload { bytes, size });
        show(0);
        while let Some(next) = pace.wait(bytes.next()).await.ok_or(Refusal::Slow)? {
            let next = next.map_err(|_| Refusal::Broken(check.seen()))?;
            pace.count(next.len() as u64);
            put(incoming, &mut check, next, size).await?;
            show(check.seen());
        }
        match check.seen() {
            found if found != size => Err(Refusal::Size { found, signed: size }),
            _ => check.finish(),
        }
    }
}
