//! A rule of the specification with the check of it.

use futures::future::BoxFuture;

use super::bench::Bench;
use super::finding::Outcome;

type Check = Box<dyn for<'b> Fn(&'b mut Bench) -> BoxFuture<'b, Outcome> + Send + Sync>;

/// A rule, and how a device is tried.
pub struct Rule {
    /// The id of its case.
    pub id: String,
    /// The rule in a sentence.
    pub name: String,
    /// Where it stands.
    pub section: String,
    /// Whether the check changes more of the device than a stream or a recording that it ends again.
    pub changes: bool,
    check: Check,
}

impl Rule {
    /// A rule of `section` whose check leaves the device as it was.
    pub fn new<F>(id: impl Into<String>, section: &str, name: impl Into<String>, check: F) -> Self
    where
        F: for<'b> Fn(&'b mut Bench) -> BoxFuture<'b, Outcome> + Send + Sync + 'static,
    {
        let check = Box::new(check);
        Self { id: id.into(), name: name.into(), section: section.into(), changes: false, check }
    }

    /// The same rule, of which the check changes the device.
    #[must_use]
    pub fn changing(self) -> Self {
        Self { changes: true, ..self }
    }

    /// Tries the device.
    ///
    /// # Errors
    /// What is found when it does not simply pass.
    pub async fn check(&self, bench: &mut Bench) -> Outcome {
        (self.check)(bench).await
    }
}
