//! Fetches an image into its place, over cuts, restarts and servers that begin anew.

use bytes::Bytes;
use ivt_hal::Incoming;
use tokio::time::sleep;

use super::pace::Pace;
use super::patience::Patience;
use super::refusal::Refusal;
use super::signature::{Check, Signed};
use crate::http::address::Address;
use crate::http::{Download, Http, HttpError, Resume};

/// How often a download is tried.
pub(super) const MOST_TRIES: usize = 10;
/// How many bytes a try has to bring that is none of these.
const PROGRESS: u64 = 256 * 1024;
/// Most bytes that are written at once.
const CHUNK: usize = 64 * 1024;

/// An image on its way into its place.
pub(super) struct Fetch<'a> {
    pub(super) http: &'a Http,
    pub(super) from: &'a Address,
    /// `None`: nobody has signed it.
    pub(super) signed: Option<&'a Signed>,
    /// Bytes of the whole image.
    pub(super) size: u64,
    /// A download that has begun already.
    pub(super) begun: Option<Download>,
    pub(super) patience: Patience,
    pub(super) incoming: &'a mut dyn Incoming,
    /// The tenths of the image of which the log was told.
    pub(super) tenths: u64,
}

impl<'a> Fetch<'a> {
    /// Returns once the whole image is in its place and is what was signed. What was refused, or cannot be written, is
    /// cleared away; what the server does not go on with is kept.
    pub(super) async fn run(mut self) -> Result<(), Refusal> {
        let done = self.fetch().await;
        if let Err(refusal) = &done
            && !matches!(refusal, Refusal::GivenUp(..) | Refusal::Http(_))
            && let Err(e) = self.incoming.clear().await
        {
            log::warn!("firmware: what was refused cannot be cleared away: {e}");
        }
        done
    }

    async fn fetch(&mut self) -> Result<(), Refusal> {
        let mut check = self.kept().await?;
        let (mut resumed, mut validator, mut tries) = (check.seen() > 0, None, 0);
        let mut most = check.seen();
        if resumed {
            log::info!("firmware: {} bytes are there already", check.seen());
        }
        loop {
            match self.round(&mut check, &mut validator).await {
                Ok(()) => match check.finish() {
                    // The bytes from before may be those of another file.
                    Err(_) if resumed => {
                        log::warn!("firmware: what was there already is of no use: beginning anew");
                        resumed = false;
                        (check, validator) = (self.anew().await?, None);
                    }
                    done => return done,
                },
                Err(refusal) if refusal.is_passing() => {
                    if check.seen() >= most + PROGRESS {
                        (most, tries) = (check.seen(), 0);
                    }
                    tries += 1;
                    if tries == MOST_TRIES {
                        return Err(Refusal::GivenUp(Box::new(refusal), tries));
                    }
                    let pause = self.patience.pause(tries, &refusal);
                    let (seen, seconds) = (check.seen(), pause.as_secs());
                    log::warn!(
                        "firmware: {refusal}, after {seen} of {} bytes; next try in {seconds} s",
                        self.size
                    );
                    sleep(pause).await;
                }
                Err(refusal) => return Err(refusal),
            }
        }
    }

    /// Asks the server once, and takes what it gives until the image is whole.
    async fn round(
        &mut self,
        check: &mut Check<'a>,
        validator: &mut Option<String>,
    ) -> Result<(), Refusal> {
        // Of an image that nobody has signed only the server knows whether it is the same.
        if check.seen() > 0 && self.signed.is_none() && validator.is_none() {
            *check = self.anew().await?;
        }
        if check.seen() == self.size {
            return Ok(());
        }
        let mut download = match self.begun.take() {
            Some(begun) => begun,
            None => self.ask(check, validator).await?,
        };
        // A part that answers If-Range need not repeat Last-Modified (RFC 9110, section 15.3.7).
        let changed = download.from > 0
            && validator.is_some()
            && download.validator.is_some()
            && download.validator != *validator;
        let other = download.length.is_some_and(|length| length != self.size);
        if check.seen() > 0 && (download.from == 0 || changed || other) {
            log::info!("firmware: the server begins anew");
            *check = self.anew().await?;
            *validator = None;
            if download.from > 0 {
                return Err(
                    HttpError::Busy(format!("{}: the file changed", self.from.place())).into()
                );
            }
        }
        if let Some(found) = download.length.filter(|_| other) {
            return Err(Refusal::Size { found, signed: self.size });
        }
        if download.from == 0 || download.validator.is_some() {
            validator.clone_from(&download.validator);
        }
        let (mut pace, before) = (Pace::new(self.patience.slow), check.seen());
        while let Some(bytes) = pace.wait(download.chunk()).await.ok_or(Refusal::Slow)?? {
            pace.count(bytes.len() as u64);
            self.take(check, bytes).await?;
        }
        let found = check.seen();
        match found == self.size {
            true => Ok(()),
            // A server that tells no length may have been cut off.
            false if found > before => {
                Err(HttpError::Transport(format!("{}: ends early", self.from.place())).into())
            }
            false => Err(Refusal::Size { found, signed: self.size }),
        }
    }

    /// Asks for the image, or for what is left of it.
    async fn ask(
        &mut self,
        check: &mut Check<'a>,
        validator: &mut Option<String>,
    ) -> Result<Download, Refusal> {
        let resume = Resume { from: check.seen(), validator: validator.clone() };
        let resume = (resume.from > 0).then_some(resume);
        match self.http.get(self.from, resume.as_ref()).await {
            // The server does not have the part that is missing.
            Err(HttpError::Refused(_)) if resume.is_some() => {
                log::info!("firmware: the server does not go on: beginning anew");
                *check = self.anew().await?;
                *validator = None;
                Ok(self.http.get(self.from, None).await?)
            }
            asked => Ok(asked?),
        }
    }

    async fn take(&mut self, check: &mut Check<'a>, bytes: Bytes) -> Result<(), Refusal> {
        put(self.incoming, check, bytes, self.size).await?;
        let tenths = check.seen() * 10 / self.size.max(1);
        if tenths > self.tenths {
            self.tenths = tenths;
            log::info!("firmware: {} % of {} bytes", tenths * 10, self.size);
        }
        Ok(())
    }

    /// Sees what an attempt before has left.
    async fn kept(&mut self) -> Result<Check<'a>, Refusal> {
        let (mut check, kept) = (Check::new(self.signed), self.incoming.kept());
        while check.seen() < kept {
            let bytes = self.incoming.written(check.seen()).await?;
            if bytes.is_empty() || check.seen() + bytes.len() as u64 > self.size {
                return self.anew().await;
            }
            check.update(&bytes);
        }
        Ok(check)
    }

    async fn anew(&mut self) -> Result<Check<'a>, Refusal> {
        self.incoming.clear().await?;
        Ok(Check::new(self.signed))
    }
}

/// Writes the next bytes of an image of this size into its place, and checks them.
///
/// # Errors
/// There are more of them than the image has, or the device does not take them.
pub(super) async fn put(
    incoming: &mut dyn Incoming,
    check: &mut Check<'_>,
    mut bytes: Bytes,
    size: u64,
) -> Result<(), Refusal> {
    let found = check.seen() + bytes.len() as u64;
    if found > size {
        return Err(Refusal::Size { found, signed: size });
    }
    while !bytes.is_empty() {
        let chunk = bytes.split_to(bytes.len().min(CHUNK));
        check.update(&chunk);
        incoming.write(chunk).await?;
    }
    Ok(())
}
