//! What the spool holds, kept in memory, so that listing and choosing touch no disk.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::format::Groups;
use super::{Holding, News, Pending, SegmentHead, SessionHead, Stats, Stored};

/// Most files that are kept, however small they are, so that the index stays small as well.
pub const MAX_FILES: usize = 10_000;

/// The index of all sessions.
#[derive(Debug)]
pub struct Index {
    sessions: BTreeMap<u64, Session>,
    next: u64,
    limit: u64,
    bytes: u64,
    files: usize,
    /// Number of files that hold a complete segment.
    complete: usize,
    pub healthy: bool,
}

/// The index of one session, which has the number of its folder.
#[derive(Debug)]
pub struct Session {
    pub head: SessionHead,
    pub pending: Option<Pending>,
    /// Whether the file of `pending` says something else, or may.
    pub unsaved: bool,
    /// Whether somebody may still write to the session.
    pub held: bool,
    /// The files by their numbers, which ascend in the order of arrival.
    files: BTreeMap<u64, Entry>,
    pending_length: u64,
    /// News that the session's owner has not read. There are at most as many as there were files
    /// and writes.
    news: Vec<News>,
    changed: Arc<Notify>,
    /// Number and duration of lost segments that the service was not told of.
    lost: (u64, Duration),
    /// Segments whose removal was requested.
    remove_requested: BTreeSet<u64>,
    /// Segments that are being written, or wait for the disk to be.
    pub writes: usize,
    /// Above the number of every segment that was ever here, or is yet to be written.
    next_number: u64,
}

/// The index of one segment's file.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub segment: SegmentHead,
    pub groups: Groups,
    /// Bytes on disk, counting the end record even before it is written.
    pub length: u64,
    pub state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The segment is being written.
    Forming,
    /// Writing was given up half-way. The segment is elsewhere, and this file is what a crash would
    /// leave of it.
    Partial,
    Complete,
    /// The segment is not wanted any more, but the disk refused to remove its file.
    Unlisted,
}

/// Locks the index for a moment, and never while the disk is asked for something.
pub fn lock(index: &Mutex<Index>) -> MutexGuard<'_, Index> {
    index.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Index {
    pub fn new(limit: u64) -> Self {
        let sessions = BTreeMap::new();
        Self { sessions, next: 0, limit, bytes: 0, files: 0, complete: 0, healthy: true }
    }

    /// Adds a session, in a folder number that no other session has.
    pub fn begin(&mut self, head: SessionHead) -> u64 {
        while self.sessions.contains_key(&self.next) {
            self.next = self.next.wrapping_add(1);
        }
        let id = self.next;
        self.restore(id, head);
        id
    }

    /// Adds the session of a folder that was found on the disk. What its newest file says counts: the
    /// address may have changed.
    pub fn restore(&mut self, id: u64, head: SessionHead) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.head = head;
            return;
        }
        let session = Session {
            head,
            pending: None,
            unsaved: false,
            held: true,
            files: BTreeMap::new(),
            pending_length: 0,
            news: Vec::new(),
            changed: Arc::default(),
            lost: (0, Duration::ZERO),
            remove_requested: BTreeSet::new(),
            writes: 0,
            next_number: 0,
        };
        self.sessions.insert(id, session);
        self.skip(id);
    }

    /// Notes that there is a folder of this number, whatever is in it.
    pub fn skip(&mut self, id: u64) {
        self.next = self.next.max(id.wrapping_add(1));
    }

    pub fn session(&self, id: u64) -> Option<&Session> {
        self.sessions.get(&id)
    }

    pub fn session_mut(&mut self, id: u64) -> Option<&mut Session> {
        self.sessions.get_mut(&id)
    }

    /// Number of sessions.
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// The numbers of the sessions, the oldest first.
    pub fn heads(&self) -> Vec<(u64, SessionHead)> {
        self.sessions.iter().map(|(id, session)| (*id, session.head.clone())).collect()
    }

    /// Drops a session that nobody writes to and that holds nothing. True if it was dropped.
    pub fn drop_session(&mut self, id: u64) -> bool {
        let over =
            self.sessions.get(&id).is_some_and(|session| !session.held && session.is_empty());
        over && self.sessions.remove(&id).is_some()
    }

    /// Notes that nobody writes to a session any more. It is dropped once it holds nothing.
    pub fn release(&mut self, id: u64) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.held = false;
        }
        self.drop_session(id);
    }

    /// Adds or replaces a file.
    pub fn put(&mut self, id: u64, file: u64, entry: Entry) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.number_taken(entry.segment.number);
        let old = session.files.insert(file, entry);
        self.recount(old, Some(entry));
    }

    /// Drops a file that is not on the disk any more.
    pub fn drop_file(&mut self, id: u64, file: u64) -> Option<Entry> {
        let entry = self.sessions.get_mut(&id)?.files.remove(&file)?;
        self.recount(Some(entry), None);
        Some(entry)
    }

    pub fn set_state(&mut self, id: u64, file: u64, state: State) {
        let entry = self.sessions.get_mut(&id).and_then(|session| session.files.get_mut(&file));
        if let Some(entry) = entry {
            let old = mem::replace(entry, Entry { state, ..*entry });
            let new = *entry;
            self.recount(Some(old), Some(new));
        }
    }

    fn recount(&mut self, old: Option<Entry>, new: Option<Entry>) {
        if let Some(entry) = new {
            self.bytes += entry.length;
            self.files += 1;
            self.complete += usize::from(entry.state == State::Complete);
        }
        if let Some(entry) = old {
            self.bytes -= entry.length;
            self.files -= 1;
            self.complete -= usize::from(entry.state == State::Complete);
        }
    }

    /// Notes an upload in flight. False if it is noted already, here and on the disk.
    pub fn set_pending(&mut self, id: u64, pending: Option<Pending>) -> bool {
        let Some(session) = self.sessions.get_mut(&id) else { return false };
        session.unsaved |= session.pending != pending;
        session.pending = pending;
        session.unsaved
    }

    /// Notes that the file of a pending upload has this length now.
    pub fn set_pending_length(&mut self, id: u64, length: u64) {
        if let Some(session) = self.sessions.get_mut(&id) {
            self.bytes = self.bytes + length - session.pending_length;
            session.pending_length = length;
        }
    }

    /// What the spool holds of a segment.
    pub fn holding(&self, id: u64, number: u64) -> Holding {
        let there = |(_, entry): &(u64, Entry)| entry.state != State::Unlisted;
        match self.complete(id, number) {
            Some((_, entry)) => Holding::Whole(entry.stored()),
            None if self.files(id, number).iter().any(there) => Holding::Part,
            None => Holding::Nothing,
        }
    }

    /// A segment is being written from now on, until [`Self::written`] is told.
    pub fn writing(&mut self, id: u64, number: u64) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.writes += 1;
            session.number_taken(number);
        }
    }

    /// The write of a segment has ended, well or not.
    pub fn written(&mut self, id: u64, number: u64) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.writes = session.writes.saturating_sub(1);
        }
        let holding = self.holding(id, number);
        self.tell(id, News::Written(number, holding));
    }

    /// Notes that a file was removed to make room.
    pub fn evicted(&mut self, id: u64, entry: &Entry) {
        self.tell(id, News::Evicted(entry.segment.number, entry.groups.duration));
    }

    fn tell(&mut self, id: u64, news: News) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.news.push(news);
            session.changed.notify_one();
        }
    }

    /// Notes lost segments that the service was not told of.
    pub fn lost(&mut self, id: u64, number: u64, time: Duration) {
        if let Some(session) = self.sessions.get_mut(&id) {
            let (numbers, times) = session.lost;
            session.lost = (numbers + number, times.saturating_add(time));
        }
    }

    /// The losses noted since the last call.
    pub fn take_lost(&mut self, id: u64) -> (u64, Duration) {
        self.sessions.get_mut(&id).map(|session| mem::take(&mut session.lost)).unwrap_or_default()
    }

    /// The news about segments since the last call.
    pub fn take_news(&mut self, id: u64) -> Vec<News> {
        let session = self.sessions.get_mut(&id);
        session.map(|session| mem::take(&mut session.news)).unwrap_or_default()
    }

    /// The signal that there are news of a session.
    pub fn changed(&self, id: u64) -> Arc<Notify> {
        self.session(id).map(|session| Arc::clone(&session.changed)).unwrap_or_default()
    }

    /// Notes that a segment is to be removed. It is not listed from now on.
    pub fn request_removal(&mut self, id: u64, number: u64) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.remove_requested.insert(number);
        }
    }

    /// Notes that a segment is being removed. Its files are of no use from now on, even if the disk
    /// refuses.
    pub fn unlist(&mut self, id: u64, number: u64) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.remove_requested.remove(&number);
        }
        for (file, _) in self.files(id, number) {
            self.set_state(id, file, State::Unlisted);
        }
    }

    /// Whether the disk holds something of a session, or may hold it.
    pub fn in_use(&self) -> bool {
        self.sessions.values().any(|session| !session.is_empty() || session.unsaved)
    }

    /// Number of files.
    pub fn count(&self) -> usize {
        self.files
    }

    /// Whether a file of this many bytes fits without removing anything.
    pub fn fits(&self, bytes: u64) -> bool {
        self.bytes.saturating_add(bytes) <= self.limit && self.files < MAX_FILES
    }

    /// Bytes that removing everything that may be removed would free.
    pub fn evictable_bytes(&self) -> u64 {
        self.evictable().map(|(_, _, entry)| entry.length).sum()
    }

    /// Whether this many bytes fit once everything that may be removed is removed.
    pub fn can_fit(&self, bytes: u64) -> bool {
        (self.bytes - self.evictable_bytes()).saturating_add(bytes) <= self.limit
    }

    /// The file that is removed first.
    pub fn oldest(&self) -> Option<(u64, u64, Entry)> {
        self.evictable().min_by_key(|(_, file, _)| *file)
    }

    /// The entry of a file.
    pub fn file(&self, id: u64, file: u64) -> Option<Entry> {
        self.sessions.get(&id)?.files.get(&file).copied()
    }

    /// All files of a segment, the oldest first.
    pub fn files(&self, id: u64, number: u64) -> Vec<(u64, Entry)> {
        let files = self.sessions.get(&id).into_iter().flat_map(|session| &session.files);
        files.filter(|(_, e)| e.segment.number == number).map(|(f, e)| (*f, *e)).collect()
    }

    /// The file of a complete segment.
    pub fn complete(&self, id: u64, number: u64) -> Option<(u64, Entry)> {
        let session = self.sessions.get(&id)?;
        let files = self.files(id, number).into_iter();
        files.rev().find(|(_, entry)| session.lists(entry))
    }

    /// The files that should have been removed already.
    pub fn unlisted(&self) -> Vec<(u64, u64)> {
        let unlisted = self.entries().filter(|(_, _, entry)| entry.state == State::Unlisted);
        unlisted.map(|(id, file, _)| (id, file)).collect()
    }

    pub fn stored(&self, id: u64) -> Vec<Stored> {
        let Some(session) = self.sessions.get(&id) else { return Vec::new() };
        let complete = session.files.values().filter(|entry| session.lists(entry));
        let mut stored: Vec<_> = complete.map(Entry::stored).collect();
        stored.sort_by_key(|stored| stored.head.number);
        stored
    }

    pub fn stats(&self) -> Stats {
        let Self { bytes, limit, complete: segments, healthy, .. } = *self;
        Stats { bytes, limit, segments, healthy }
    }

    fn entries(&self) -> impl Iterator<Item = (u64, u64, Entry)> {
        self.sessions.iter().flat_map(|(id, session)| {
            session.files.iter().map(|(file, entry)| (*id, *file, *entry))
        })
    }

    fn evictable(&self) -> impl Iterator<Item = (u64, u64, Entry)> {
        self.sessions.iter().flat_map(|(id, session)| {
            let pending = session.pending.as_ref().map(|pending| pending.number);
            let may_go = move |entry: &Entry| {
                entry.state != State::Forming && Some(entry.segment.number) != pending
            };
            let files = session.files.iter().filter(move |(_, entry)| may_go(entry));
            files.map(|(file, entry)| (*id, *file, *entry))
        })
    }
}

impl Session {
    /// Whether the session has neither segments nor a pending upload.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.pending.is_none()
    }

    /// The number of the next segment: nothing of that number was ever here.
    pub fn next_number(&self) -> u64 {
        let pending = self.pending.as_ref().map_or(0, |pending| pending.number.saturating_add(1));
        self.next_number.max(pending)
    }

    fn number_taken(&mut self, number: u64) {
        self.next_number = self.next_number.max(number.saturating_add(1));
    }

    /// Whether a file holds a complete segment that is wanted.
    pub fn lists(&self, entry: &Entry) -> bool {
        entry.state == State::Complete && !self.remove_requested.contains(&entry.segment.number)
    }

    /// The files of a session, the oldest first.
    pub fn files(&self) -> Vec<(u64, Entry)> {
        self.files.iter().map(|(file, entry)| (*file, *entry)).collect()
    }
}

impl Entry {
    pub fn stored(&self) -> Stored {
        let Groups { duration, bytes, .. } = self.groups;
        Stored { head: self.segment, duration, bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::spool::fixture::{segment, session};

    fn entry(number: u64, state: State) -> Entry {
        let groups =
            Groups { begin: 10, end: 90, duration: Duration::ZERO, bytes: 60, done: false };
        Entry { segment: segment(number), groups, length: 100, state }
    }

    #[test]
    fn ten_thousand_files_are_enough() {
        let mut index = Index::new(u64::MAX);
        let id = index.begin(session("a"));
        for number in 0..MAX_FILES as u64 {
            assert!(index.fits(1));
            index.put(id, number, entry(number, State::Complete));
        }
        assert!(!index.fits(0));
        index.drop_file(id, 5);
        assert!(index.fits(0));
    }

    #[test]
    fn what_is_being_written_and_what_is_pending_cannot_go() {
        let mut index = Index::new(300);
        let (first, other) = (index.begin(session("a")), index.begin(session("b")));
        index.put(first, 0, entry(7, State::Forming));
        index.put(other, 1, entry(7, State::Complete));
        index.put(first, 2, entry(8, State::Complete));
        assert_eq!(index.oldest().map(|(id, file, _)| (id, file)), Some((other, 1)));
        assert!(!index.fits(1) && index.can_fit(200) && !index.can_fit(201));

        let pending = Pending { number: 7, name: String::new(), uri: String::new().into() };
        index.session_mut(other).unwrap().pending = Some(pending);
        assert_eq!(index.oldest().map(|(id, file, _)| (id, file)), Some((first, 2)));
        assert_eq!(index.evictable_bytes(), 100);
    }

    #[test]
    fn a_session_is_forgotten_when_it_is_nobodys_and_holds_nothing() {
        let mut index = Index::new(300);
        let id = index.begin(session("a"));
        assert!(!index.drop_session(id));
        index.session_mut(id).unwrap().held = false;
        index.put(id, 0, entry(0, State::Complete));
        assert!(!index.drop_session(id));
        index.drop_file(id, 0);
        assert!(index.drop_session(id) && index.session(id).is_none());
        assert_ne!(index.begin(session("b")), id);
    }
}
