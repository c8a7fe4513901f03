//! Names that the service gave for segments that did not arrive. It is told of each (`op=fail`).

use std::collections::VecDeque;

use ivt_base::told::Told;

use crate::record::service::{RecordingApi, ServiceError};

/// Most names that wait to be told again. The oldest go first: the service finds out by itself.
const NAMES: usize = 16;
/// How often the service is told of one name.
const TRIES: u32 = 20;

/// The names that the service has not taken back yet.
#[derive(Default)]
pub(super) struct Owed {
    /// Each name with the number of times that the service was told of it, the oldest first.
    names: VecDeque<(String, u32)>,
    told: Told,
}

impl Owed {
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
    ) -> Option<ServiceError> {
        while let Some((name, tries)) = self.names.front_mut() {
            *tries += 1;
            if let Err(error) = remote.fail(name).await {
                if self.told.is_news(()) {
                    log::log!(level, "{session}: the service does not take op=fail: {error}");
                }
                if error.is_passing() && *tries < TRIES {
                    return Some(error);
                }
            }
            self.names.pop_front();
        }
        None
    }
}
