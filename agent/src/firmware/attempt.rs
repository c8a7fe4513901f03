//! One upgrade: what the cloud has, what the signature beside it says, and the way of the image into its place.

use std::time::Duration;

use ivt_base::clock::Clock;
use ivt_base::text;
use ivt_hal::manifest::Manifest;
use ivt_hal::{Firmware, Image, Incoming, Running};
use ivt_proto::rpc::message::{self, GetFirmware};
use tokio::time::{sleep, timeout};

use super::Setup;
use super::download::Fetch;
use super::journal::{Installed, Journal, wall};
use super::policy::{self, Situation};
use super::refusal::Refusal;
use super::signature::{LONGEST, Signed};
use crate::cloud::calls::CallError;
use crate::config::Rules;
use crate::http::address::{Address, LONGEST_URI};
use crate::http::{Http, HttpError};

/// How long the cloud may be away while it is to be asked for a firmware.
pub(super) const OUTAGE: Duration = Duration::from_secs(3600);
/// How often the cloud is asked for a firmware.
pub(super) const QUESTIONS: u32 = 5;
/// How often the file of a signature is asked for when it does not come.
const SIGNATURE_TRIES: usize = 4;
/// How long the file of a signature may take.
const SIGNATURE: Duration = Duration::from_secs(30);

/// An upgrade.
pub(super) struct Attempt<'a> {
    pub(super) setup: &'a mut Setup,
    /// Where the image goes.
    pub(super) firmware: &'a dyn Firmware,
    pub(super) journal: &'a mut Journal,
    pub(super) clock: &'a Clock,
    /// Whether the cloud insists.
    pub(super) forced: bool,
}

/// What came of an upgrade that was not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// There is nothing to do.
    Nothing,
    /// A new firmware is installed.
    Installed(ivt_hal::Installed),
}

impl Attempt<'_> {
    /// Does it all, up to the restart.
    pub(super) async fn run(&mut self) -> Result<Outcome, Refusal> {
        let offer = self.ask().await?;
        let (version, url) = (offer.firmware_model.trim(), offer.url.expose().trim());
        if version.is_empty() || url.is_empty() {
            log::info!("firmware: the cloud has none");
            return Ok(Outcome::Nothing);
        }
        let named = text::shorten(version);
        let address = match Address::parse(url, LONGEST_URI) {
            Ok(address) => address,
            Err(e) => {
                log::info!("firmware: {named}: the cloud's address {e}: nothing to do");
                return Ok(Outcome::Nothing);
            }
        };
        if !self.forced && version == self.setup.names.firmware_model {
            log::info!("firmware: {named} runs: nothing to do");
            return Ok(Outcome::Nothing);
        }
        let running = self.firmware.running().await?;
        if running.trial {
            return Err(Refusal::OnTrial);
        }
        let goes_on = self.journal.under_way().is_some_and(|it| it.version == version);
        if let Some(wait) = self.journal.wait().filter(|_| !goes_on) {
            return Err(Refusal::TooSoon(wait));
        }
        log::info!("firmware: {named} from {}", address.place());
        let rules = self.setup.rules.borrow().clone();
        let known = match self.signature(&address, &rules, &running).await {
            Ok(signed) => self.fetch(&address, version, Some(&signed)).await,
            Err(refusal) => Err(refusal),
        };
        match known {
            Err(refusal) if refusal.is_of_signature() && self.allows_unsigned() => {
                log::warn!("firmware: {refusal}: taken nevertheless, by firmware.allow_unsigned");
                self.fetch(&address, version, None).await
            }
            known => known,
        }
    }

    /// Asks the cloud for its firmware, also after an outage.
    async fn ask(&mut self) -> Result<message::Firmware, Refusal> {
        let mut asked = 0;
        loop {
            asked += 1;
            match self.setup.calls.call(GetFirmware).await {
                Ok(offer) => return Ok(offer),
                Err(CallError::Offline | CallError::Lost | CallError::Full)
                    if asked < QUESTIONS =>
                {
                    let up = self.setup.link.wait_for(|link| link.down_since.is_none());
                    if timeout(OUTAGE, up).await.is_err() {
                        return Err(CallError::Offline.into());
                    }
                    sleep(Duration::from_secs(5) * asked).await;
                }
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// The signature beside an image, whose words allow it.
    async fn signature(
        &self,
        image: &Address,
        rules: &Rules,
        running: &Running,
    ) -> Result<Signed, Refusal> {
        let mut tries = 0;
        let file = loop {
            tries += 1;
            match signature_of(&self.setup.http, image).await {
                Err(refusal) if refusal.is_passing() && tries < SIGNATURE_TRIES => {
                    let pause = self.setup.patience.pause(tries, &refusal);
                    log::warn!(
                        "firmware: its signature: {refusal}; next try in {} s",
                        pause.as_secs()
                    );
                    sleep(pause).await;
                }
                file => break file?,
            }
        };
        self.judge(&file, rules, running)
    }

    /// Reads the file of a signature, and judges what it says of its image.
    pub(super) fn judge(
        &self,
        file: &[u8],
        rules: &Rules,
        running: &Running,
    ) -> Result<Signed, Refusal> {
        let signed = Signed::read(file, &rules.keys)?;
        let floor = self.journal.floor(running, &rules.keys);
        let model = rules.model.as_ref().unwrap_or(&self.setup.names.hardware_model);
        let (model, most, now) = (Some(&**model), rules.max_size, self.clock.now());
        Situation { model, most, floor, forced: self.forced, now }.judge(&signed.manifest)?;
        let counter = Some(signed.manifest.counter);
        match self.journal.installed().filter(|last| last.counter == counter && !self.forced) {
            Some(last) if last.waits() => return Err(Refusal::Same),
            Some(last) if last.failed && !last.is_tried_again() => return Err(Refusal::Failed),
            _ => {}
        }
        Ok(signed)
    }

    /// Fetches an image into its place, and installs it.
    async fn fetch(
        &mut self,
        from: &Address,
        version: &str,
        signed: Option<&Signed>,
    ) -> Result<Outcome, Refusal> {
        let http = self.setup.http.clone();
        let (image, begun) = match signed {
            Some(signed) => {
                let Manifest { version, counter, size, sha256, .. } = &signed.manifest;
                let (version, counter, sha256) = (version.clone(), Some(*counter), Some(*sha256));
                (Image { version, counter, size: *size, sha256 }, None)
            }
            None => {
                let last = self.journal.installed();
                if !self.forced && last.is_some_and(|last| last.done && last.version == version) {
                    return Err(Refusal::Same);
                }
                self.begin(version).await;
                let begun = http.get(from, None).await?;
                let size = begun.length.ok_or(Refusal::NoSize)?;
                policy::fits(size, self.setup.rules.borrow().max_size)?;
                let version = text::name(version);
                (Image { version, counter: None, size, sha256: None }, Some(begun))
            }
        };
        self.begin(version).await;
        let mut incoming = self.firmware.open(&image).await?;
        let size = image.size;
        let (patience, incoming_now) = (self.setup.patience, &mut *incoming);
        let tenths = incoming_now.kept() * 10 / size.max(1);
        let fetch = Fetch {
            http: &http,
            from,
            signed,
            size,
            begun,
            patience,
            incoming: incoming_now,
            tenths,
        };
        fetch.run().await?;
        self.install(incoming, version, signed).await
    }

    async fn begin(&mut self, version: &str) {
        if !self.setup.upgrading.send_replace(true) {
            self.journal.begin(version, self.forced, wall()).await;
        }
    }

    /// Installs an image that is whole, and signed as the rules of this moment want it.
    pub(super) async fn install(
        &mut self,
        mut incoming: Box<dyn Incoming>,
        version: &str,
        signed: Option<&Signed>,
    ) -> Result<Outcome, Refusal> {
        let counts = signed.is_some_and(|it| self.setup.rules.borrow().keys.contains(&it.key));
        if !counts && !self.allows_unsigned() {
            log::warn!("firmware: the rules were changed during the download");
            incoming.clear().await?;
            let off = || Refusal::Unsigned("firmware.allow_unsigned is off".into());
            return Err(signed.map_or_else(off, |_| Refusal::UnknownKey));
        }
        match signed {
            Some(signed) => log::info!("firmware: it is whole, and signed by {}", signed.key.text),
            None => log::warn!("firmware: it is whole, and nobody has signed it"),
        }
        let counter = signed.map(|signed| signed.manifest.counter);
        let signer = signed.map(|signed| signed.key.text.clone());
        let version = version.to_owned();
        let installed = Installed { version, counter, signer, ..Installed::default() };
        // The device may restart before it answers: the download is over before it is told.
        self.journal.install(installed, wall()).await;
        let outcome = incoming.install().await?;
        self.journal.taken(outcome, wall()).await;
        Ok(Outcome::Installed(outcome))
    }

    pub(super) fn allows_unsigned(&self) -> bool {
        self.setup.rules.borrow().allow_unsigned
    }
}

/// Fetches the file of the signature beside an image.
async fn signature_of(http: &Http, image: &Address) -> Result<Vec<u8>, Refusal> {
    let address = image.beside(".minisig").map_err(Refusal::Unsigned)?;
    let fetch = async {
        let mut download = http.get(&address, None).await?;
        let mut file = Vec::new();
        while let Some(bytes) = download.chunk().await? {
            file.extend_from_slice(&bytes);
            if file.len() > LONGEST {
                break;
            }
        }
        Ok(file)
    };
    match timeout(SIGNATURE, fetch).await {
        Ok(Err(HttpError::Expired(text))) => Err(Refusal::Unsigned(text)),
        Ok(fetched) => fetched.map_err(Refusal::Http),
        Err(_) => Err(Refusal::Slow),
    }
}
