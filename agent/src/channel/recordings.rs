//! Which session a channel records, and what each of its sessions counts. The task of the recording
//! writes it; everybody may read it.

use tokio::sync::watch;

use crate::record::ledger::RecordingStats;

/// The session that records, and the sessions that are still being uploaded.
#[derive(Clone, Debug, Default)]
pub(super) struct Recordings {
    current: Option<String>,
    sessions: Vec<Uploads>,
}

/// The uploads of one session.
#[derive(Clone, Debug)]
struct Uploads {
    session_id: String,
    stats: watch::Receiver<RecordingStats>,
    end: End,
}

/// Tells when the uploads of a session end, by its sender being dropped.
#[derive(Clone, Debug)]
pub(super) struct End(watch::Receiver<()>);

/// The state of one session, which records or has recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingStatus {
    /// The cloud's name for the session.
    pub session_id: String,
    /// Whether all segments are uploaded or given up, so that the counts are final.
    pub ended: bool,
    /// What became of the session's segments so far.
    pub counts: RecordingStats,
}

impl Recordings {
    /// The name of the session that records.
    pub(super) fn current(&self) -> Option<&str> {
        self.current.as_deref()
    }

    /// Each session whose uploads have not ended, and always the newest one; the oldest comes
    /// first.
    pub(super) fn sessions(&self) -> Vec<RecordingStatus> {
        let status = |uploads: &Uploads| RecordingStatus {
            session_id: uploads.session_id.clone(),
            ended: uploads.end.is_over(),
            counts: uploads.stats.borrow().clone(),
        };
        self.sessions.iter().map(status).collect()
    }

    /// Adds a session that counts in `stats`. The caller drops the returned sender when the
    /// session's uploads end. The other result is the end of an earlier session of the same name,
    /// if there is one.
    pub(super) fn begin(
        &mut self,
        session_id: &str,
        stats: watch::Receiver<RecordingStats>,
    ) -> (watch::Sender<()>, Option<End>) {
        let namesake = self.sessions.iter().rfind(|uploads| uploads.session_id == session_id);
        let before = namesake.map(|uploads| uploads.end.clone());
        let (sender, end) = watch::channel(());
        self.sessions.push(Uploads { session_id: session_id.to_owned(), stats, end: End(end) });
        (sender, before)
    }

    /// Notes which session records now, and drops the sessions that have ended. True if anything
    /// changed.
    pub(super) fn update(&mut self, current: Option<&str>) -> bool {
        let newest = self.sessions.pop();
        let before = self.sessions.len();
        self.sessions.retain(|uploads| !uploads.end.is_over());
        let news = self.sessions.len() != before || self.current.as_deref() != current;
        self.sessions.extend(newest);
        self.current = current.map(str::to_owned);
        news
    }

    #[cfg(test)]
    pub(super) fn of_session(current: Option<String>) -> Self {
        Self { current, sessions: Vec::new() }
    }
}

impl End {
    fn is_over(&self) -> bool {
        self.0.has_changed().is_err()
    }

    /// Returns when the uploads have ended.
    pub(super) async fn reached(mut self) {
        // No value is ever sent: an error says that the sender was dropped.
        while self.0.changed().await.is_ok() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats() -> watch::Receiver<RecordingStats> {
        watch::channel(RecordingStats::default()).1
    }

    fn names(recordings: &Recordings) -> Vec<String> {
        recordings.sessions().into_iter().map(|session| session.session_id).collect()
    }

    #[tokio::test]
    async fn the_newest_session_stays_and_the_others_go_when_they_end() {
        let mut recordings = Recordings::default();
        let (first, _) = recordings.begin("a", stats());
        assert!(recordings.update(Some("a")) && !recordings.update(Some("a")));
        drop(first);
        assert!(!recordings.update(Some("a")), "the newest one stays");
        assert!(recordings.sessions()[0].ended);
        let (second, before) = recordings.begin("b", stats());
        assert!(before.is_none());
        assert!(recordings.update(Some("b")));
        assert_eq!((names(&recordings), recordings.current()), (vec!["b".to_owned()], Some("b")));
        assert!(recordings.update(None));
        assert!(!recordings.sessions()[0].ended, "it is still being uploaded");
        drop(second);
        assert!(recordings.sessions()[0].ended);
    }

    #[tokio::test]
    async fn a_session_that_goes_on_waits_for_the_last_of_its_name() {
        let mut recordings = Recordings::default();
        let (first, _) = recordings.begin("a", stats());
        let (second, before_second) = recordings.begin("a", stats());
        let (_third, before_third) = recordings.begin("a", stats());
        let (before_second, before_third) = (before_second.unwrap(), before_third.unwrap());
        drop(first);
        before_second.reached().await;
        assert!(!before_third.is_over());
        drop(second);
        before_third.reached().await;
    }
}
