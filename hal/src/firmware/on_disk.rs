//! A [`Writer`] whose waiting for the disk does not stop others.

use async_trait::async_trait;
use bytes::Bytes;

use super::failure::{Checked, Failure};
use super::writer::Writer;
use crate::{Error, Incoming, Installed, Kind, Result};
use ivt_base::task::spawn_blocking;

/// An image on its way to the disk, and what installs it.
pub struct Coming<T> {
    pub disk: OnDisk,
    pub installer: T,
}

/// What a backend does with an image once all of it is on the disk.
#[async_trait]
pub trait Installer: Send {
    /// Installs the image of `disk`.
    ///
    /// # Errors
    /// Those of [`Incoming::install`].
    async fn install(self, disk: OnDisk) -> Result<Installed>;
}

#[async_trait]
impl<T: Installer> Incoming for Coming<T> {
    fn kept(&self) -> u64 {
        self.disk.kept
    }

    async fn written(&mut self, offset: u64) -> Result<Bytes> {
        self.disk.with("firmware read", move |writer| writer.read(offset)).await
    }

    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.disk.with("firmware write", move |writer| writer.write(&bytes)).await
    }

    async fn clear(&mut self) -> Result<()> {
        self.disk.kept = 0;
        self.disk.with("firmware clear", Writer::clear).await
    }

    async fn install(self: Box<Self>) -> Result<Installed> {
        let Self { disk, installer } = *self;
        installer.install(disk).await
    }
}

/// What is written of an image.
pub struct OnDisk {
    /// `None` while a call is under way, and after one was given up.
    writer: Option<Writer>,
    /// What the writer had at the beginning, or has since it was cleared.
    kept: u64,
}

impl OnDisk {
    /// What a writer goes on with.
    pub fn new(writer: Writer) -> Self {
        Self { kept: writer.written(), writer: Some(writer) }
    }

    /// Lets `work` have the writer for good.
    ///
    /// # Errors
    /// Those of `work`; `Other` where a write was given up.
    pub async fn end<T: Send + 'static>(
        mut self,
        work: impl FnOnce(Writer) -> Checked<T> + Send + 'static,
    ) -> Result<T> {
        let writer = self.writer.take().ok_or(Failure::GivenUp);
        blocking("firmware install", move || work(writer?)).await
    }

    async fn with<T: Send + 'static>(
        &mut self,
        op: &'static str,
        work: impl FnOnce(&mut Writer) -> Checked<T> + Send + 'static,
    ) -> Result<T> {
        let writer = self.writer.take().ok_or(Failure::GivenUp);
        let (writer, answer) = blocking(op, move || {
            let mut writer = writer?;
            let answer = work(&mut writer);
            Ok((writer, answer))
        })
        .await?;
        self.writer = Some(writer);
        answer.map_err(|failure| failure.of(op))
    }
}

/// Does what may wait for the disk, beside all else.
///
/// # Errors
/// Those of `work`, and `Other` at the end of the runtime.
pub async fn blocking<T: Send + 'static>(
    op: &'static str,
    work: impl FnOnce() -> Checked<T> + Send + 'static,
) -> Result<T> {
    match spawn_blocking(work).await {
        Ok(answer) => answer.map_err(|failure| failure.of(op)),
        Err(e) => Err(Error::new(op, Kind::Other).because(e)),
    }
}
