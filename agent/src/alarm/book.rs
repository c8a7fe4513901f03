//! The newest alarms with their pictures, for the device's page. They are in memory alone.

use std::collections::VecDeque;

use bytes::Bytes;
use ivt_base::text::shorten;
use ivt_base::wall_time::WallTime;
use tokio::sync::watch;
use tokio::time::Instant;

use super::outbox::Place;

/// Most alarms that are kept.
const MOST: usize = 50;
/// Most bytes that their pictures have together.
const MOST_BYTES: usize = 2 << 20;
/// A picture of so many bytes is kept as long as its alarm.
pub(super) const PICTURE: usize = MOST_BYTES / MOST;

/// The newest alarms.
#[derive(Default)]
pub(super) struct Book {
    /// The oldest first.
    alarms: VecDeque<Noted>,
    /// Bytes of all pictures.
    bytes: usize,
    /// How often something has changed.
    version: watch::Sender<u64>,
}

/// An alarm, as it is noted.
#[derive(Clone, Debug)]
pub(crate) struct Noted {
    /// The number of the report that it begins.
    pub(crate) id: u64,
    /// A channel's number, and what set it off.
    pub(crate) place: Place,
    /// The camera's own words; may be empty.
    pub(crate) what: String,
    /// When it began, as a clock beside the camera shows it.
    pub(crate) shown: WallTime,
    /// When it began.
    pub(crate) begun: Instant,
    /// What the cloud knows of its beginning.
    pub(crate) told: Told,
    /// Its end; `None` while it goes on.
    pub(crate) end: Option<End>,
    /// Its picture.
    pub(crate) picture: Picture,
    /// The version of the book that noted the newest change of it.
    pub(crate) version: u64,
}

/// The end of an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// The number of its report; `None` where it is not reported.
    id: Option<u64>,
    /// When it was.
    pub(crate) at: Instant,
    /// What the cloud knows of it.
    pub(crate) told: Told,
}

/// What the cloud knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// It is told as soon as it can be.
    Waiting,
    /// It was told at once.
    InTime,
    /// It was told late.
    Late,
    /// It has refused the report.
    Refused,
    /// It was away, and a newer alarm followed.
    Missed,
    /// Nothing is reported of such alarms any more.
    Withdrawn,
}

/// The picture of an alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Picture {
    /// The camera has no pictures, or nobody wants any here.
    None,
    /// It is being taken.
    Expected,
    /// It was taken.
    Taken(Bytes),
    /// It could not be taken.
    Failed,
    /// It was dropped to make room.
    Dropped,
}

impl Book {
    /// An alarm begins; its picture is being taken if one is `expected`.
    pub(super) fn begin(
        &mut self,
        id: u64,
        place: Place,
        what: &str,
        shown: WallTime,
        expected: bool,
    ) {
        if self.alarms.len() == MOST
            && let Some(oldest) = self.alarms.pop_front()
        {
            self.bytes -= oldest.picture.bytes();
        }
        let picture = if expected { Picture::Expected } else { Picture::None };
        let version = self.next();
        self.alarms.push_back(Noted {
            id,
            place,
            what: shorten(what.trim()),
            shown,
            begun: Instant::now(),
            told: Told::Waiting,
            end: None,
            picture,
            version,
        });
    }

    /// The alarm of this place ends, which the report of this number tells.
    pub(super) fn end(&mut self, place: Place, report: u64) {
        let (id, at) = (Some(report), Instant::now());
        let on = |noted: &Noted| noted.place == place && noted.end.is_none();
        self.change(on, |noted| noted.end = Some(End { id, at, told: Told::Waiting }));
    }

    /// Nobody is told of the alarm of this number.
    pub(super) fn pass(&mut self, id: u64) {
        self.change(
            |noted| noted.id == id,
            |noted| {
                noted.told = Told::Missed;
                noted.end.iter_mut().for_each(|end| end.told = Told::Missed);
            },
        );
    }

    /// Nothing more is reported of a place.
    pub(super) fn withdraw(&mut self, place: Place) {
        let waits = |noted: &Noted| {
            let ends = noted.end.is_none_or(|end| end.told == Told::Waiting);
            noted.place == place && (noted.told == Told::Waiting || ends)
        };
        while self.change(waits, |noted| {
            if noted.told == Told::Waiting {
                noted.told = Told::Withdrawn;
            }
            let end = End { id: None, at: Instant::now(), told: Told::Withdrawn };
            noted.end = Some(noted.end.map_or(end, |before| End { at: before.at, ..end }));
        }) {}
    }

    /// The cloud was told by the report of this number, or will never be.
    pub(super) fn tell(&mut self, report: u64, told: Told) {
        let begins = |noted: &Noted| noted.id == report;
        let ends = |noted: &Noted| noted.end.is_some_and(|end| end.id == Some(report));
        if !self.change(begins, |noted| noted.told = told) {
            self.change(ends, |noted| noted.end.iter_mut().for_each(|end| end.told = told));
        }
    }

    /// The picture of an alarm was taken, or could not be taken. The oldest pictures make room for it.
    pub(super) fn take(&mut self, id: u64, picture: Option<Bytes>) {
        let bytes = picture.as_ref().map_or(0, Bytes::len);
        let picture = match picture {
            Some(picture) if bytes <= MOST_BYTES => Picture::Taken(picture),
            Some(_) => Picture::Dropped,
            None => Picture::Failed,
        };
        let bytes = picture.bytes();
        let expected = |noted: &Noted| noted.id == id && noted.picture == Picture::Expected;
        if self.change(expected, |noted| noted.picture = picture) {
            self.bytes += bytes;
        }
        while self.bytes > MOST_BYTES {
            let oldest = self.alarms.iter().find(|noted| noted.picture.bytes() > 0);
            let Some(oldest) = oldest.map(|noted| noted.id) else { break };
            self.change(|noted| noted.id == oldest, |noted| noted.picture = Picture::Dropped);
        }
    }

    /// The alarms that have changed since a version of the book, the oldest first.
    pub(super) fn since(&self, version: u64) -> Vec<Noted> {
        self.alarms.iter().filter(|noted| noted.version > version).cloned().collect()
    }

    /// The picture of an alarm.
    pub(super) fn picture(&self, id: u64) -> Option<Bytes> {
        let found = self.alarms.iter().find(|noted| noted.id == id)?;
        match &found.picture {
            Picture::Taken(picture) => Some(picture.clone()),
            _ => None,
        }
    }

    /// Tells of each change.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// Changes the newest alarm for which `is` holds. Returns whether there is one.
    fn change(&mut self, is: impl Fn(&Noted) -> bool, change: impl FnOnce(&mut Noted)) -> bool {
        let version = *self.version.borrow() + 1;
        let Some(noted) = self.alarms.iter_mut().rfind(|noted| is(noted)) else { return false };
        let before = noted.picture.bytes();
        change(noted);
        noted.version = version;
        if noted.picture == Picture::Dropped {
            self.bytes -= before;
        }
        self.version.send_replace(version);
        true
    }

    fn next(&mut self) -> u64 {
        let version = *self.version.borrow() + 1;
        self.version.send_replace(version);
        version
    }
}

impl Picture {
    fn bytes(&self) -> usize {
        match self {
            Self::Taken(picture) => picture.len(),
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use ivt_hal::Trigger;
    use proptest::prelude::*;

    use super::*;

    const YARD: Place = (0, Trigger::Motion);
    const GATE: Place = (1, Trigger::Input);

    fn begin(book: &mut Book, id: u64, place: Place) {
        book.begin(id, place, "", "2026-11-30T12:00:00".parse().unwrap(), true);
    }

    fn picture(bytes: usize) -> Option<Bytes> {
        Some(Bytes::from(vec![0; bytes]))
    }

    fn told(book: &Book) -> Vec<(u64, Told, Option<Told>)> {
        let row = |noted: Noted| (noted.id, noted.told, noted.end.map(|end| end.told));
        book.since(0).into_iter().map(row).collect()
    }

    #[tokio::test]
    async fn an_alarm_is_followed_from_its_beginning_to_what_the_cloud_knows_of_its_end() {
        let mut book = Book::default();
        let mut changes = book.changes();
        begin(&mut book, 1, YARD);
        begin(&mut book, 2, GATE);
        book.tell(1, Told::InTime);
        book.end(YARD, 3);
        book.end(YARD, 4);
        assert_eq!(
            told(&book),
            [(1, Told::InTime, Some(Told::Waiting)), (2, Told::Waiting, None)],
            "the end that is told first counts"
        );
        book.tell(3, Told::Late);
        book.tell(2, Told::Refused);
        assert_eq!(told(&book), [(1, Told::InTime, Some(Told::Late)), (2, Told::Refused, None)]);
        let seen = *changes.borrow_and_update();
        assert!(book.since(seen).is_empty());
        book.tell(99, Told::Late);
        assert!(!changes.has_changed().unwrap(), "nobody knows that one");
        book.take(2, picture(5));
        assert_eq!(book.since(seen).iter().map(|noted| noted.id).collect::<Vec<_>>(), [2]);
        assert_eq!(book.picture(2).map(|picture| picture.len()), Some(5));
        assert_eq!((book.picture(1), book.picture(77)), (None, None));
    }

    #[tokio::test]
    async fn what_nobody_is_told_of_says_so() {
        let mut book = Book::default();
        begin(&mut book, 1, YARD);
        book.end(YARD, 2);
        begin(&mut book, 3, YARD);
        book.pass(1);
        begin(&mut book, 5, GATE);
        book.tell(5, Told::InTime);
        book.withdraw(GATE);
        book.withdraw(YARD);
        assert_eq!(
            told(&book),
            [
                (1, Told::Missed, Some(Told::Missed)),
                (3, Told::Withdrawn, Some(Told::Withdrawn)),
                (5, Told::InTime, Some(Told::Withdrawn)),
            ]
        );
    }

    #[tokio::test]
    async fn the_oldest_pictures_go_first_and_fifty_small_ones_fit() {
        let mut book = Book::default();
        for id in 1..=60 {
            begin(&mut book, id, YARD);
            book.take(id, picture(PICTURE));
            book.end(YARD, 1000 + id);
        }
        let ids: Vec<_> = book.since(0).iter().map(|noted| noted.id).collect();
        assert_eq!(ids, (11..=60).collect::<Vec<_>>());
        assert!((11..=60).all(|id| book.picture(id).is_some()));
        begin(&mut book, 61, YARD);
        book.take(61, picture(MOST_BYTES - PICTURE));
        let kept: Vec<_> = (11..=61).filter(|id| book.picture(*id).is_some()).collect();
        assert_eq!(kept, [60, 61]);
        begin(&mut book, 62, YARD);
        book.take(62, picture(MOST_BYTES + 1));
        book.take(60, None);
        assert!(book.picture(62).is_none() && book.picture(60).is_some());
        let of = |id| book.since(0).into_iter().find(|noted| noted.id == id).unwrap().picture;
        assert_eq!((of(62), of(59)), (Picture::Dropped, Picture::Dropped));
    }

    proptest! {
        #[test]
        fn the_bounds_hold(steps in proptest::collection::vec((0u8..6, 0u64..90, 0usize..3 << 19), 0..200)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let _entered = runtime.enter();
            let (mut book, mut next) = (Book::default(), 0);
            let block = Bytes::from(vec![0; 3 << 19]);
            for (step, id, bytes) in steps {
                match step {
                    0 | 1 => {
                        next += 1;
                        begin(&mut book, next, (0, Trigger::Line));
                    }
                    2 => book.end((0, Trigger::Line), 1000 + id),
                    3 => book.take(id, Some(block.slice(..bytes))),
                    4 => book.pass(id),
                    _ => book.withdraw((0, Trigger::Line)),
                }
                let bytes: usize = book.alarms.iter().map(|noted| noted.picture.bytes()).sum();
                prop_assert_eq!(bytes, book.bytes);
                prop_assert!(bytes <= MOST_BYTES && book.alarms.len() <= MOST);
            }
        }
    }
}
