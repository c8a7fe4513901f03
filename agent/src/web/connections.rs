//! Who may hold a connection. There are few, and who is not logged in makes way for who comes, so that sockets that
//! somebody only holds keep nobody out. Of these who holds most makes way first, so that a flood sends nobody away who is
//! just logging in.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::guesses::Source;

/// Most connections at a time, and most of one source.
const ALL: usize = 64;
const EACH: usize = 32;

/// The connections.
#[derive(Clone, Default)]
pub(super) struct Connections(Arc<Mutex<Table>>);

#[derive(Default)]
struct Table {
    seats: Vec<Entry>,
    /// Number of the next connection.
    next: u64,
}

struct Entry {
    number: u64,
    source: Source,
    /// Whether somebody who is logged in uses it.
    is_known: bool,
    /// Dropped to end the connection.
    _hold: oneshot::Sender<()>,
}

/// A place among the connections. Dropping it gives the place up.
pub(super) struct Seat {
    connections: Connections,
    number: u64,
    /// Ready when the connection has to make way.
    way: oneshot::Receiver<()>,
}

impl Connections {
    /// Takes a connection in, for which an older one of nobody may have to go; `None` where all others are of people who
    /// are logged in.
    pub(super) fn enter(&self, source: Source) -> Option<Seat> {
        let mut table = self.table();
        let is_crowded = table.held(|entry| entry.source == source) >= EACH;
        if is_crowded || table.seats.len() >= ALL {
            let crowd = if is_crowded { source } else { table.crowd()? };
            // Sorted by age, since entries are only ever added at the end.
            let is_victim = |entry: &Entry| !entry.is_known && entry.source == crowd;
            let victim = table.seats.iter().position(is_victim)?;
            table.seats.remove(victim);
        }
        let number = table.next;
        table.next += 1;
        let (hold, way) = oneshot::channel();
        table.seats.push(Entry { number, source, is_known: false, _hold: hold });
        drop(table);
        Some(Seat { connections: self.clone(), number, way })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn held(&self, is: impl Fn(&Entry) -> bool) -> usize {
        self.seats.iter().filter(|entry| is(entry)).count()
    }

    /// Who holds most of the connections that may have to go, of several who was there first. Others keep theirs.
    fn crowd(&self) -> Option<Source> {
        let held = |source| self.held(|entry| !entry.is_known && entry.source == source);
        let seats = self.seats.iter().filter(|entry| !entry.is_known);
        // Of several that are as many, the last one is taken.
        seats.rev().map(|entry| entry.source).max_by_key(|source| held(*source))
    }
}

impl Seat {
    /// What tells the connections that somebody who is logged in uses this one.
    pub(super) fn known(&self) -> impl Fn() + Send + Sync + 'static {
        let (connections, number) = (self.connections.clone(), self.number);
        move || {
            let mut table = connections.table();
            if let Some(entry) = table.seats.iter_mut().find(|entry| entry.number == number) {
                entry.is_known = true;
            }
        }
    }

    /// Returns when the connection has to make way.
    pub(super) async fn taken(&mut self) {
        (&mut self.way).await.ok();
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.connections.table().seats.retain(|entry| entry.number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use futures::FutureExt as _;

    use super::*;

    fn source(number: u8) -> Source {
        IpAddr::from([192, 0, 2, number]).into()
    }

    fn goes(seat: &mut Seat) -> bool {
        seat.taken().now_or_never().is_some()
    }

    #[test]
    fn the_oldest_of_a_crowd_makes_way_and_others_stay() {
        let connections = Connections::default();
        let mut other = connections.enter(source(2)).unwrap();
        let mut held: Vec<_> = (0..500).map(|_| connections.enter(source(1)).unwrap()).collect();
        let gone: Vec<_> = held.iter_mut().map(goes).collect();
        let wanted = (0..500).map(|number| number < 500 - EACH);
        assert!(gone.iter().copied().eq(wanted), "{gone:?}");
        assert!(!goes(&mut other), "the crowd is of another source");
        drop(held);
        assert_eq!(connections.table().seats.len(), 1);
    }

    #[test]
    fn a_flood_of_a_few_sends_nobody_away_who_logs_in() {
        let connections = Connections::default();
        let mut login = connections.enter(source(1)).unwrap();
        let mut floods: Vec<_> = (2..=4).map(|n| connections.enter(source(n)).unwrap()).collect();
        for number in 0..1000 {
            floods.push(connections.enter(source(2 + (number % 3) as u8)).unwrap());
        }
        assert!(!goes(&mut login));
        assert_eq!(connections.table().seats.len(), ALL);
        let mut phone = connections.enter(source(5)).unwrap();
        floods.extend((0..100).map(|_| connections.enter(source(2)).unwrap()));
        assert!(!goes(&mut phone) && !goes(&mut login));
    }

    #[test]
    fn who_is_logged_in_keeps_the_connection() {
        let connections = Connections::default();
        let mut known = connections.enter(source(1)).unwrap();
        known.known()();
        let many: Vec<_> = (0..500).map(|n| connections.enter(source((n % 100) as u8))).collect();
        assert!(many.iter().all(Option::is_some) && !goes(&mut known));
        assert_eq!(connections.table().seats.len(), ALL);
    }

    #[test]
    fn the_room_is_bounded_also_for_people_who_are_logged_in() {
        let connections = Connections::default();
        let enter = |number| connections.enter(source(number)).inspect(|seat| seat.known()());
        let own: Vec<_> = (0..2 * EACH).map_while(|_| enter(1)).collect();
        assert_eq!(own.len(), EACH);
        let others: Vec<_> = (2..=200).map_while(enter).collect();
        assert_eq!(own.len() + others.len(), ALL);
        drop(own);
        assert!(enter(1).is_some());
    }
}
