//! A process in its sandbox.

use std::fmt::Display;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{Access, access};

use super::rights::Rights;
use crate::config::Config;

/// What the process may do since it has entered its sandbox.
#[derive(Clone, Debug)]
pub struct Confined {
    rights: Arc<Rights>,
    /// The files of the configuration.
    named: Vec<PathBuf>,
    /// Whether the kernel refuses other files.
    has_files: bool,
}

impl Confined {
    pub(super) fn new(rights: Rights, named: Vec<PathBuf>, has_files: bool) -> Self {
        Self { rights: Arc::new(rights), named, has_files }
    }

    /// Whether the kernel refuses files that were not named.
    #[cfg(test)]
    pub(super) fn has_files(&self) -> bool {
        self.has_files
    }

    /// Whether an agent of this configuration may run in this process.
    ///
    /// # Errors
    /// What it has no right to, and what to do.
    pub(crate) fn allows(&self, config: &Config) -> Result<(), String> {
        let wanted = Rights::of(config, &self.named);
        let lacks = self.rights.lacks(&wanted, self.has_files);
        if lacks.is_empty() {
            return Ok(());
        }
        Err(format!(
            "the sandbox that this process has entered does not allow {}: start the process again, or name paths in \
             sandbox.read and sandbox.write before",
            lacks.join(", ")
        ))
    }

    /// Tells the log what the files' own permissions refuse.
    pub(super) fn complain(&self, user: Option<&str>) {
        let who: &dyn Display = match &user {
            Some(user) => user,
            None => &"the agent",
        };
        for path in self.rights.write.iter().filter(|path| path.exists()) {
            if access(path, Access::WRITE_OK).is_err() {
                log::warn!(
                    "sandbox: {who} may not write {}: give it to the user (chown), or the user to its group",
                    path.display()
                );
            }
        }
    }
}
