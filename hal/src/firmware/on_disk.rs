//! A [`Writer`] whose waiting for the disk does not stop others.

use bytes::Bytes;
use tokio::task::spawn_blocking;

use super::failure::{Checked, Failure};
use super::writer::Writer;
use crate::{Error, Kind, Result};

/// An image on its way to the disk.
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

    /// Bytes of an attempt before.
    pub fn kept(&self) -> u64 {
        self.kept
    }

    /// What was written from `offset` on.
    ///
    /// # Errors
    /// `Other`.
    pub async fn written(&mut self, offset: u64) -> Result<Bytes> {
        self.with("firmware read", move |writer| writer.read(offset)).await
    }

    /// Writes the next bytes.
    ///
    /// # Errors
    /// `Invalid` or `Other`.
    pub async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.with("firmware write", move |writer| writer.write(&bytes)).await
    }

    /// Forgets what was written.
    ///
    /// # Errors
    /// `Other`.
    pub async fn clear(&mut self) -> Result<()> {
        self.kept = 0;
        self.with("firmware clear", Writer::clear).await
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
