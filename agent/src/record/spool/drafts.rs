//! Segments whose files are still to be written, or still to be deleted.

use std::time::Duration;

use super::index::{Index, State};

impl Index {
    /// A segment will be written.
    pub fn begin_draft(&mut self, id: u64, number: u64) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.drafts.entry(number).or_default();
        }
    }

    /// It is written, or never will be.
    pub fn end_draft(&mut self, id: u64, number: u64) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let relied = session.drafts.remove(&number).flatten();
        let missed = relied.filter(|_| !session.unwanted.contains(&number));
        if let Some(duration) = missed.filter(|_| self.complete(id, number).is_none()) {
            self.drop_one(id, duration);
        }
    }

    /// Whether a segment is complete or will be. Should that fail, it is counted as dropped.
    pub fn rely(&mut self, id: u64, number: u64, duration: Duration) -> bool {
        let complete = self.complete(id, number).is_some();
        let session = self.sessions.get_mut(&id);
        let draft = session.and_then(|session| session.drafts.get_mut(&number));
        complete || draft.map(|relied| *relied = Some(duration)).is_some()
    }

    /// Whether there is anything of a segment, or will be.
    pub fn holds(&self, id: u64, number: u64) -> bool {
        let session = self.sessions.get(&id);
        session.is_some_and(|session| session.drafts.contains_key(&number))
            || !self.files(id, number).is_empty()
    }

    /// A segment is to be deleted: it is not listed from now on. False where that is known, or
    /// there is nothing of it.
    pub fn unwant(&mut self, id: u64, number: u64) -> bool {
        let holds = self.holds(id, number);
        let session = self.sessions.get_mut(&id).filter(|_| holds);
        session.is_some_and(|session| session.unwanted.insert(number))
    }

    /// Its files are doomed.
    pub fn doom(&mut self, id: u64, number: u64) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.unwanted.remove(&number);
        for entry in session.files.values_mut().filter(|entry| entry.segment.number == number) {
            entry.state = State::Doomed;
        }
    }
}
