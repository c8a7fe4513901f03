//! Who looks at changes before they are written.

use std::fmt;
use std::sync::Arc;

use crate::config::{self, Config};

type Look = dyn Fn(Option<&Config>, &Config) -> Result<(), String> + Send + Sync;

/// Looks at each change before it is written: at the configuration before, where that could be read, and after.
#[derive(Clone)]
pub(crate) struct Guard(Arc<Look>);

impl Guard {
    /// Refuses what `look` refuses, with its words, which begin with the name of a setting.
    pub(crate) fn new(
        look: impl Fn(Option<&Config>, &Config) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(look))
    }

    pub(super) fn check(
        &self,
        file: String,
        old: Option<&Config>,
        new: &Config,
    ) -> Result<(), config::Error> {
        (self.0)(old, new).map_err(|message| config::Error::Value { file, line: 1, message })
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard")
    }
}
