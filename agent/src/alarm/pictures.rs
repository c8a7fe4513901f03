//! The pictures of alarms on their way: taken, waiting for the address that the cloud answers with, and sent. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use ivt_base::secret::Secret;
use tokio::time::Instant;

use crate::http::address::Address;

/// Most pictures that are pending over all channels.
const MOST: usize = 64;
/// Most bytes that they may have together.
const MOST_BYTES: usize = 8 << 20;
/// Longest picture in bytes.
pub(super) const LONGEST: usize = 4 << 20;
/// The pauses before further attempts to send a picture.
const AGAIN: [Duration; 3] =
    [Duration::from_secs(2), Duration::from_secs(10), Duration::from_secs(30)];
/// The pause between attempts in an outage.
const IN_OUTAGE: Duration = Duration::from_secs(10);

/// The pending pictures, the oldest first.
#[derive(Default)]
pub(super) struct Pictures(VecDeque<Pending>);

/// The picture of one alarm.
struct Pending {
    /// Number of the alarm's report.
    id: u64,
    /// `None` while it is being taken.
    picture: Option<Bytes>,
    /// Where it goes; `None` until the cloud has answered.
    to: Option<Secret<Address>>,
    is_sent: bool,
    failures: usize,
    not_before: Option<Instant>,
}

/// A picture that is sent now.
pub(super) struct Parcel {
    pub(super) id: u64,
    pub(super) picture: Bytes,
    pub(super) to: Secret<Address>,
}

impl Pictures {
    /// A picture is being taken. Returns how many older ones were dropped to make room.
    pub(super) fn expect(&mut self, id: u64) -> u64 {
        let (to, is_sent, failures) = (None, false, 0);
        self.0.push_back(Pending { id, picture: None, to, is_sent, failures, not_before: None });
        self.make_room()
    }

    /// The picture was taken. Returns how many were dropped: this one when it is longer than [`LONGEST`], and older ones
    /// to make room.
    pub(super) fn take(&mut self, id: u64, picture: Bytes) -> u64 {
        if picture.len() > LONGEST {
            return u64::from(self.drop(id));
        }
        if let Some(pending) = self.find(id) {
            pending.picture.get_or_insert(picture);
        }
        self.make_room()
    }

    /// The cloud wants the picture there. Returns whether there is one.
    pub(super) fn address(&mut self, id: u64, to: Secret<Address>) -> bool {
        let pending = self.find(id);
        pending.map(|pending| pending.to = Some(to)).is_some()
    }

    /// Drops a picture that nobody wants. Returns whether there was one.
    pub(super) fn drop(&mut self, id: u64) -> bool {
        let before = self.0.len();
        self.0.retain(|pending| pending.id != id);
        self.0.len() < before
    }

    /// Takes the oldest picture that can be sent now.
    pub(super) fn send(&mut self, now: Instant) -> Option<Parcel> {
        let due = |pending: &&mut Pending| {
            !pending.is_sent && pending.not_before.is_none_or(|at| at <= now)
        };
        self.0.iter_mut().filter(due).find_map(|pending| {
            let (picture, to) = (pending.picture.clone()?, pending.to.clone()?);
            pending.is_sent = true;
            Some(Parcel { id: pending.id, picture, to })
        })
    }

    /// When a picture can be sent next; `None` while none waits for its time.
    pub(super) fn due(&self) -> Option<Instant> {
        let waiting = self.0.iter().filter(|pending| !pending.is_sent && pending.to.is_some());
        waiting.filter_map(|pending| pending.not_before).min()
    }

    /// A picture was not taken, and its server may take it `pause` later. Returns whether it is tried again. What fails in
    /// an outage, when the cloud is away as well, does not count, nor does what failed before.
    pub(super) fn again(&mut self, id: u64, pause: Duration, outage: bool, now: Instant) -> bool {
        let Some(pending) = self.find(id) else { return false };
        let own = if outage { Some(&IN_OUTAGE) } else { AGAIN.get(pending.failures) };
        let Some(own) = own else {
            self.drop(id);
            return false;
        };
        pending.failures = if outage { 0 } else { pending.failures + 1 };
        pending.is_sent = false;
        pending.not_before = Some(now + pause.max(*own));
        true
    }

    fn find(&mut self, id: u64) -> Option<&mut Pending> {
        self.0.iter_mut().find(|pending| pending.id == id)
    }

    /// Drops the oldest pictures until the others fit; those that are being sent are kept, as the memory is theirs until
    /// they are gone. Returns how many were dropped.
    fn make_room(&mut self) -> u64 {
        let mut dropped = 0;
        while self.0.len() > MOST || self.bytes() > MOST_BYTES {
            let oldest = self.0.iter().position(|pending| !pending.is_sent);
            let Some(_) = oldest.and_then(|at| self.0.remove(at)) else { break };
            dropped += 1;
        }
        dropped
    }

    fn bytes(&self) -> usize {
        self.0.iter().filter_map(|pending| pending.picture.as_ref()).map(Bytes::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn somewhere() -> Secret<Address> {
        Address::parse("http://127.0.0.1/x", 99).unwrap().into()
    }

    fn picture(bytes: usize) -> Bytes {
        Bytes::from(vec![0; bytes])
    }

    #[tokio::test(start_paused = true)]
    async fn a_picture_goes_when_it_was_taken_and_the_cloud_has_answered() {
        let (mut pictures, now) = (Pictures::default(), Instant::now());
        pictures.expect(1);
        pictures.expect(2);
        assert!(pictures.address(1, somewhere()), "before it was taken");
        assert!(pictures.send(now).is_none());
        pictures.take(2, picture(5));
        assert!(pictures.send(now).is_none());
        pictures.take(1, picture(7));
        let parcel = pictures.send(now).unwrap();
        assert_eq!((parcel.id, parcel.picture.len()), (1, 7));
        assert!(pictures.send(now).is_none(), "it is on its way");
        assert!(pictures.drop(2) && !pictures.drop(2) && !pictures.address(2, somewhere()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_picture_is_sent_a_few_times_with_pauses() {
        let (mut pictures, mut now) = (Pictures::default(), Instant::now());
        pictures.expect(1);
        pictures.take(1, picture(7));
        pictures.address(1, somewhere());
        for pause in [2, 10, 60] {
            assert!(pictures.send(now).is_some());
            let asked = Duration::from_secs(if pause == 60 { 60 } else { 0 });
            assert!(pictures.again(1, asked, false, now));
            assert!(pictures.send(now).is_none());
            now += Duration::from_secs(pause);
            assert_eq!(pictures.due(), Some(now));
        }
        assert!(pictures.send(now).is_some());
        assert!(!pictures.again(1, Duration::ZERO, false, now), "not for ever");
        assert!(pictures.0.is_empty());
    }

    #[test]
    fn the_oldest_make_room() {
        let mut pictures = Pictures::default();
        let dropped: u64 = (0..100).map(|id| pictures.expect(id)).sum();
        assert_eq!((dropped, pictures.0.len(), pictures.0[0].id), (36, 64, 36));
        let mut pictures = Pictures::default();
        for id in 0..3 {
            pictures.expect(id);
            assert_eq!(pictures.take(id, picture(3 << 20)), u64::from(id == 2));
        }
        assert_eq!(pictures.0[0].id, 1);
        pictures.expect(3);
        assert_eq!(pictures.take(3, picture(10 << 20)), 1, "one of 10 MB is none");
        assert_eq!(pictures.take(77, picture(5)), 0, "one that nobody waits for");
    }

    proptest! {
        #[test]
        fn the_bounds_hold(steps in proptest::collection::vec((0u8..5, 0u64..40, 0usize..5 << 20), 0..120)) {
            let (mut pictures, now) = (Pictures::default(), Instant::now());
            let block = picture(5 << 20);
            let mut next = 0;
            for (step, id, bytes) in steps {
                match step {
                    0 => {
                        next += 1;
                        pictures.expect(next);
                    }
                    1 => drop(pictures.take(id, block.slice(..bytes))),
                    2 => drop(pictures.address(id, somewhere())),
                    3 => drop(pictures.send(now)),
                    _ => drop(pictures.again(id, Duration::ZERO, id % 2 == 0, now)),
                }
                prop_assert!(pictures.bytes() <= MOST_BYTES && pictures.0.len() <= MOST);
            }
        }
    }
}
