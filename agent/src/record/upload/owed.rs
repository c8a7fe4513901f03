//! Names that the service gave for segments that did not arrive. It is told of each (`op=fail`).

use std::collections::VecDeque;

use ivt_base::told::Told;
use tokio::time::Instant;

use crate::http::HttpError;
use crate::record::service::RecordingApi;

/// Most names that wait to be told again. The oldest go first: the service finds out by itself.
const NAMES: usize = 16;
/// How often the service is told of one name.
const TRIES: u32 = 20;
/// After a failure no name is told again for so many times as long as the failure took, so that a call
/// that hangs takes no time that segments need.
const REST: u32 = 9;

/// The names that the service has not taken back yet.
#[derive(Default)]
pub(super) struct Owed {
    /// Each name with the number of times that the service was told of it, the oldest first.
    names: VecDeque<(String, u32)>,
    told: Told,
    /// When the next name may be told while segments wait; `None` for at once.
    due: Option<Instant>,
}

impl Owed {
    /// Whether the service may be told of a name although segments wait.
    pub(super) fn is_due(&self) -> bool {
        self.due.is_none_or(|due| Instant::now() >= due)
    }

    /// Adds a name under which no segment comes.
    pub(super) fn add(&mut self, name: String) {
        if self.names.len() == NAMES {
            self.names.pop_front();
        }
        self.names.push_back((name, 0));
    }

    /// Tells the service of each name, until it is away or busy: then returns why. What it refuses to
    /// take back is not told again. The log hears of the first failure.
    pub(super) async fn settle(
        &mut self,
        remote: &impl RecordingApi,
        session: &str,
        level: log::Level,
    ) -> Option<HttpError> {
        while let Some((name, tries)) = self.names.front_mut() {
            *tries += 1;
            let begun = Instant::now();
            if let Err(error) = remote.fail(name).await {
                if self.told.is_news(()) {
                    log::log!(level, "{session}: the service does not take op=fail: {error}");
                }
                self.due = Some(Instant::now() + begun.elapsed() * REST);
                if error.is_passing() && *tries < TRIES {
                    return Some(error);
                }
            }
            self.names.pop_front();
        }
        None
    }
}
