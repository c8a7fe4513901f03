//! The book of all recordings, for the device's page: which sessions there are, and what became of the last day. It is in
//! memory alone; after a restart of the agent it shows of the time before what the spool still has.

mod day;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ivt_base::text::shorten;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Start;
use super::ledger::{Dropped, Mark, Marked, Reason, RecordingStats};
use super::spool::SpoolSession;
use day::Day;
pub(crate) use day::Span;

/// Most spans of a channel, and of all channels together as far as each has the least.
const SPANS: usize = 512;
const ALL_SPANS: usize = 4096;
const LEAST_SPANS: usize = 64;
/// How many sessions of a channel that have ended are kept when another begins.
const ENDED: usize = 4;
/// A camera that is silent for longer within a recording leaves a hole.
const HOLE: i64 = 2_000_000;

/// The book of a device. Clones share it.
#[derive(Clone, Default)]
pub struct Book(Arc<Mutex<Content>>);

struct Content {
    began: Instant,
    /// Why the spool does not open.
    trouble: Option<String>,
    /// The number of the newest session.
    last: u64,
    channels: BTreeMap<usize, Channel>,
}

#[derive(Default)]
struct Channel {
    day: Day,
    /// The sessions, the oldest first.
    sessions: VecDeque<Session>,
}

struct Session {
    id: u64,
    name: String,
    /// Whether an earlier run has recorded it.
    left: bool,
    since: Instant,
    /// Whether it records no more.
    closed: bool,
    stats: watch::Receiver<RecordingStats>,
    last_upload: Option<Instant>,
    /// When the next upload is tried that waits for its time.
    next_try: Option<Instant>,
    /// What was lost by an earlier part of the session.
    before: Dropped,
    losses: BTreeMap<Reason, Dropped>,
}

/// What one session notes in the book.
pub(crate) struct Notes {
    book: Book,
    channel: usize,
    id: u64,
    /// What has no date yet.
    undated: Vec<Marked>,
    /// When the newest segment has ended.
    end: Option<i64>,
}

/// A channel at one moment.
pub(crate) struct ChannelRecord {
    /// Number of the channel.
    pub(crate) number: usize,
    /// The sessions, the oldest first.
    pub(crate) sessions: Vec<SessionRecord>,
    /// The last day, the oldest first.
    pub(crate) day: Vec<Span>,
    /// Until when spans of the day are missing since there were too many; in microseconds since 1970.
    pub(crate) dropped: Option<i64>,
}

/// A session at one moment.
pub(crate) struct SessionRecord {
    /// The cloud's name for the session.
    pub(crate) name: String,
    /// Whether an earlier run has recorded it.
    pub(crate) left: bool,
    /// What it does.
    pub(crate) state: State,
    /// Since when.
    pub(crate) since: SystemTime,
    /// What became of its segments.
    pub(crate) counts: RecordingStats,
    /// When a segment was uploaded last.
    pub(crate) last_upload: Option<SystemTime>,
    /// How long it is to the next try of an upload that has to wait.
    pub(crate) next_try: Option<Duration>,
    /// What was lost by an earlier part of the session, and nobody knows why.
    pub(crate) before: Dropped,
    /// What was lost, by its reason.
    pub(crate) losses: BTreeMap<Reason, Dropped>,
}

/// What a session does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It records, and the service wants it.
    Recording,
    /// It records, and the service wants nothing yet.
    Standby,
    /// It records no more, and uploads what is left.
    Uploading,
    /// It is over.
    Ended,
}

impl Book {
    /// Why the spool does not open; `None` once it is open.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.lock().trouble.clone()
    }

    /// When the book was begun.
    pub(crate) fn since(&self) -> SystemTime {
        date(self.lock().began)
    }

    /// All that is known of the channels that have recorded, by their numbers.
    pub(crate) fn channels(&self) -> Vec<ChannelRecord> {
        let now = micros(SystemTime::now());
        let content = self.lock();
        let channels = content.channels.iter().map(|(number, channel)| ChannelRecord {
            number: *number,
            sessions: channel.sessions.iter().map(Session::record).collect(),
            day: channel.day.spans(now),
            dropped: channel.day.dropped(now),
        });
        channels.collect()
    }

    /// Notes why the spool does not open; `None` says that it is open.
    pub(crate) fn note_trouble(&self, trouble: Option<String>) {
        self.lock().trouble = trouble;
    }

    /// Notes what a session has in the spool.
    pub(crate) fn note_stored(&self, session: &SpoolSession) {
        let channel = usize::try_from(session.head().channel).unwrap_or(usize::MAX);
        for stored in session.stored() {
            let start = stored.head.start_micros;
            self.paint(channel, (start, later(start, stored.duration)), Mark::Waiting, None);
        }
    }

    /// A session of this name begins, which counts in `stats` and has lost so much before; `left` says that an earlier run
    /// has recorded it.
    pub(crate) fn begin(
        &self,
        channel: usize,
        name: &str,
        left: bool,
        stats: watch::Receiver<RecordingStats>,
    ) -> Notes {
        let mut content = self.lock();
        content.last += 1;
        let id = content.last;
        let before = stats.borrow().dropped;
        let sessions = &mut content.channels.entry(channel).or_default().sessions;
        sessions.push_back(Session {
            id,
            name: shorten(name),
            left,
            since: Instant::now(),
            closed: left,
            stats,
            last_upload: None,
            next_try: None,
            before,
            losses: BTreeMap::new(),
        });
        while sessions.iter().filter(|session| session.is_over()).count() > ENDED
            && let Some(first) = sessions.iter().position(Session::is_over)
        {
            sessions.remove(first);
        }
        Notes { book: self.clone(), channel, id, undated: Vec::new(), end: None }
    }

    fn paint(&self, channel: usize, span: (i64, i64), mark: Mark, detail: Option<&Arc<str>>) {
        let mut content = self.lock();
        let channels = content.channels.len().max(1);
        let most = (ALL_SPANS / channels).clamp(LEAST_SPANS, SPANS);
        let day = &mut content.channels.entry(channel).or_default().day;
        day.note(span, mark, detail, micros(SystemTime::now()), most);
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notes {
    /// Notes what became of segments. `date` tells when they were recorded, in microseconds since 1970; what has no date
    /// yet is noted with the next ones.
    pub(crate) fn note(
        &mut self,
        marks: Vec<Marked>,
        date: impl Fn(Start) -> Option<i64>,
        error: Option<&str>,
    ) {
        if marks.is_empty() {
            return;
        }
        self.change(|session| {
            for Marked { duration, mark, .. } in &marks {
                match mark {
                    Mark::Uploaded => session.last_upload = Some(Instant::now()),
                    Mark::Lost(reason) => {
                        let lost = session.losses.entry(*reason).or_default();
                        lost.number += 1;
                        lost.time = lost.time.saturating_add(*duration);
                    }
                    Mark::Waiting | Mark::Unwanted => {}
                }
            }
        });
        let detail = error.map(|error| Arc::from(shorten(error)));
        self.undated.extend(marks);
        let undated = std::mem::take(&mut self.undated);
        let first = undated.len().saturating_sub(LEAST_SPANS);
        for (at, marked) in undated.into_iter().enumerate() {
            match date(marked.start) {
                Some(from) => self.paint(from, marked, detail.as_ref()),
                None if at >= first => self.undated.push(marked),
                None => {}
            }
        }
    }

    /// The session records no more.
    pub(crate) fn close(&self) {
        self.change(|session| session.closed = true);
    }

    /// The next upload is tried at this time; `None` says that none waits for its time.
    pub(crate) fn rest(&self, until: Option<Instant>) {
        self.change(|session| session.next_try = until);
    }

    fn paint(&mut self, from: i64, marked: Marked, detail: Option<&Arc<str>>) {
        let Marked { duration, mark, .. } = marked;
        let to = later(from, duration);
        if mark == Mark::Waiting {
            let before = self.end.replace(to).filter(|end| from.saturating_sub(*end) > HOLE);
            if let Some(end) = before {
                self.book.paint(self.channel, (end, from), Mark::Lost(Reason::Camera), None);
            }
        }
        self.book.paint(self.channel, (from, to), mark, detail);
    }

    fn change(&self, change: impl FnOnce(&mut Session)) {
        let mut content = self.book.lock();
        let channel = content.channels.get_mut(&self.channel);
        let mut sessions = channel.into_iter().flat_map(|channel| &mut channel.sessions);
        if let Some(session) = sessions.find(|session| session.id == self.id) {
            change(session);
        }
    }
}

impl Session {
    fn is_over(&self) -> bool {
        self.stats.has_changed().is_err()
    }

    fn record(&self) -> SessionRecord {
        let counts = self.stats.borrow().clone();
        let state = match self.is_over() {
            true => State::Ended,
            false if self.closed => State::Uploading,
            false if counts.not_now => State::Standby,
            false => State::Recording,
        };
        let wait = |until: Instant| until.checked_duration_since(Instant::now());
        SessionRecord {
            name: self.name.clone(),
            left: self.left,
            state,
            since: date(self.since),
            counts,
            last_upload: self.last_upload.map(date),
            next_try: self.next_try.and_then(wait).filter(|_| state != State::Ended),
            before: self.before,
            losses: self.losses.clone(),
        }
    }
}

impl Default for Content {
    fn default() -> Self {
        Self { began: Instant::now(), trouble: None, last: 0, channels: BTreeMap::new() }
    }
}

/// When a moment was, by the device's clock of now.
fn date(moment: Instant) -> SystemTime {
    SystemTime::now().checked_sub(moment.elapsed()).unwrap_or(UNIX_EPOCH)
}

fn micros(date: SystemTime) -> i64 {
    let since = date.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

fn later(from: i64, duration: Duration) -> i64 {
    from.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn marked(seconds: u64, mark: Mark) -> Marked {
        Marked { start: Start::Media(Duration::from_secs(seconds)), duration: SECOND * 10, mark }
    }

    /// The states of a channel's sessions.
    fn states(book: &Book) -> Vec<State> {
        let channels = book.channels();
        channels[0].sessions.iter().map(|session| session.state).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_is_shown_from_its_beginning_to_its_end() {
        let book = Book::default();
        let stats = watch::Sender::new(RecordingStats { not_now: true, ..Default::default() });
        let mut notes = book.begin(2, "s\n1", false, stats.subscribe());
        assert_eq!(states(&book), [State::Standby]);
        stats.send_modify(|stats| stats.not_now = false);
        assert_eq!(states(&book), [State::Recording]);
        let now = Instant::now();
        notes.rest(now.checked_add(SECOND * 8));
        notes.note(vec![marked(0, Mark::Lost(Reason::Memory)); 2], |_| None, Some("no route"));
        notes.note(vec![marked(10, Mark::Uploaded)], |_| None, None);
        advance(SECOND * 3).await;
        let session = &book.channels()[0].sessions[0];
        assert_eq!((&*session.name, session.left), ("s1", false));
        assert_eq!(session.next_try, Some(SECOND * 5));
        let ago = |date: SystemTime| date.elapsed().unwrap().as_secs();
        assert_eq!((ago(session.since), session.last_upload.map(ago)), (3, Some(3)));
        let lost = Dropped { number: 2, time: SECOND * 20 };
        assert_eq!(session.losses, BTreeMap::from([(Reason::Memory, lost)]));
        notes.close();
        assert_eq!(states(&book), [State::Uploading]);
        drop(stats);
        assert_eq!(states(&book), [State::Ended]);
        assert_eq!(book.channels()[0].sessions[0].next_try, None);
    }

    #[tokio::test(start_paused = true)]
    async fn of_the_sessions_that_are_over_the_newest_are_shown() {
        let book = Book::default();
        let running = watch::Sender::default();
        let _notes = book.begin(0, "runs", false, running.subscribe());
        for number in 0..20 {
            let stats = watch::Sender::default();
            book.begin(0, &number.to_string(), true, stats.subscribe());
        }
        let names: Vec<_> = book.channels()[0].sessions.iter().map(|s| s.name.clone()).collect();
        assert_eq!(names, ["runs", "15", "16", "17", "18", "19"]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_day_is_painted_as_soon_as_it_has_dates_and_shows_holes_of_the_camera() {
        let book = Book::default();
        let stats = watch::Sender::default();
        let mut notes = book.begin(0, "s", false, stats.subscribe());
        let first = micros(SystemTime::now()) - 600_000_000;
        notes.note(vec![marked(0, Mark::Waiting), marked(10, Mark::Waiting)], |_| None, None);
        assert_eq!(book.channels()[0].day, []);
        let date = |start| match start {
            Start::Media(at) => Some(later(first, at)),
            Start::Unix(at) => Some(at),
        };
        notes.note(vec![marked(0, Mark::Uploaded), marked(30, Mark::Waiting)], date, None);
        let spans = |book: &Book| -> Vec<_> {
            let day = &book.channels()[0].day;
            day.iter().map(|s| ((s.from - first) / 1_000_000, s.mark)).collect()
        };
        assert_eq!(
            spans(&book),
            [
                (0, Mark::Uploaded),
                (10, Mark::Waiting),
                (20, Mark::Lost(Reason::Camera)),
                (30, Mark::Waiting)
            ]
        );
        let mut again = book.begin(0, "s", false, stats.subscribe());
        again.note(vec![marked(60, Mark::Waiting)], date, None);
        assert_eq!(spans(&book).len(), 5, "nothing recorded between two parts of a session");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_grows() {
        let book = Book::default();
        let stats = watch::Sender::default();
        let now = micros(SystemTime::now());
        let begin = |channel| book.begin(channel, "s", false, stats.subscribe());
        let mut all: Vec<_> = (0..100).map(begin).collect();
        for notes in &mut all {
            notes.note(vec![marked(0, Mark::Waiting); 1000], |_| None, None);
            assert_eq!(notes.undated.len(), LEAST_SPANS);
        }
        let dated = |start| match start {
            Start::Unix(at) => Some(at),
            Start::Media(_) => None,
        };
        for second in 0..100 {
            let start = Start::Unix(now - (100 - second) * 60_000_000);
            let mark = Marked { start, duration: SECOND, mark: Mark::Uploaded };
            all.iter_mut().for_each(|notes| notes.note(vec![mark], dated, None));
        }
        let spans: usize = book.channels().iter().map(|channel| channel.day.len()).sum();
        assert_eq!(spans, 100 * LEAST_SPANS);
        assert!(book.channels()[99].dropped.is_some());
    }
}
