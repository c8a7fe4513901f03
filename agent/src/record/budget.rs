//! The memory that all recordings may take together. What the cloud asks for is set aside before a
//! session starts; a session that does not fit is refused.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ivt_media::reserve::Reserve;
use tokio::sync::watch;

/// Shares the bytes out among all sessions. Rings may grow into what sessions leave.
#[derive(Debug)]
pub struct Budget {
    limit: u64,
    reserve: Arc<Reserve>,
    shares: Mutex<Shares>,
}

#[derive(Debug, Default)]
struct Shares {
    next: u64,
    taken: BTreeMap<u64, Taken>,
}

#[derive(Debug)]
struct Taken {
    /// Bytes that the session has set aside or, once it only drains, still holds.
    bytes: u64,
    /// Bytes that cannot be let go at once: all of them until the session drains.
    firm: u64,
    /// Most bytes that the session may go on holding, so that a new session can begin. Watchers are
    /// told when it is less.
    most: watch::Sender<u64>,
}

/// The memory of one session. Dropping it gives the memory back.
#[derive(Debug)]
pub struct Share {
    budget: Arc<Budget>,
    id: u64,
    bytes: u64,
    most: watch::Receiver<u64>,
}

/// The budget has less memory free than a session asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{asked} bytes of memory are asked for, and {free} of the {limit} for recordings are free: ask \
     for fewer or smaller segments, or raise memory_limit on the device"
)]
pub struct Exceeded {
    asked: u64,
    free: u64,
    limit: u64,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { limit, reserve: Reserve::new(limit), shares: Mutex::default() })
    }

    /// The bytes that no session has set aside or holds, into which rings may grow. A session that
    /// begins gets them back from the rings at their next key frame, long before it has filled
    /// them.
    pub fn reserve(&self) -> Arc<Reserve> {
        Arc::clone(&self.reserve)
    }

    /// Sets `bytes` aside for a session. If it comes `instead` of another session, that one's bytes
    /// count as free, since it will only drain. If that is not enough, draining sessions give way,
    /// the oldest first.
    ///
    /// # Errors
    ///
    /// All sessions together would take more than the budget.
    pub fn share(self: &Arc<Self>, bytes: u64, instead: Option<&Share>) -> Result<Share, Exceeded> {
        let mut shares = self.lock();
        let instead = instead.map(|share| share.id);
        let others = shares.taken.iter().filter(|(id, _)| Some(**id) != instead);
        let others: Vec<&Taken> = others.map(|(_, taken)| taken).collect();
        let sum = |part: fn(&Taken) -> u64| {
            others.iter().fold(0u64, |sum, taken| sum.saturating_add(part(taken)))
        };
        let free = self.limit.saturating_sub(sum(|taken| taken.firm));
        if bytes > free {
            return Err(Exceeded { asked: bytes, free, limit: self.limit });
        }
        let mut missing = bytes.saturating_sub(self.limit.saturating_sub(sum(Taken::held)));
        for taken in others {
            let part = taken.held().saturating_sub(taken.firm).min(missing);
            if part > 0 {
                taken.most.send_replace(taken.held() - part);
                missing -= part;
            }
        }
        let id = shares.next;
        shares.next += 1;
        let (sender, most) = watch::channel(u64::MAX);
        shares.taken.insert(id, Taken { bytes, firm: bytes, most: sender });
        self.leave(&shares);
        Ok(Share { budget: Arc::clone(self), id, bytes, most })
    }

    /// Tells the rings how many bytes are left for them.
    fn leave(&self, shares: &Shares) {
        let held = shares.taken.values().map(Taken::held);
        let held = held.fold(0, u64::saturating_add);
        self.reserve.resize(self.limit.saturating_sub(held));
    }

    fn lock(&self) -> MutexGuard<'_, Shares> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Bytes that the session may hold at this moment. They are fewer than it set aside while an
    /// earlier session still holds some of them, and while it drains and others need them.
    pub fn allowed(&self) -> u64 {
        let shares = self.budget.lock();
        // Later sessions were admitted beside this one, so only earlier ones can hold its memory.
        let earlier: u64 = shares.taken.range(..self.id).map(|(_, taken)| taken.bytes).sum();
        self.bytes.min(self.budget.limit.saturating_sub(earlier)).min(*self.most.borrow())
    }

    /// Notes that the session records no more: it needs only what it still holds. It cannot let go
    /// of the `firm` bytes before an upload or the disk is done with them.
    pub fn drain(&self, held: u64, firm: u64) {
        let mut shares = self.budget.lock();
        if let Some(taken) = shares.taken.get_mut(&self.id) {
            taken.bytes = held.min(taken.bytes);
            taken.firm = firm.min(taken.bytes);
        }
        self.budget.leave(&shares);
    }

    /// Changes when [`Self::allowed`] becomes less, since others need the memory. Closed when the
    /// share is dropped.
    pub fn reclaimed(&self) -> watch::Receiver<u64> {
        self.most.clone()
    }
}

impl Taken {
    /// Bytes that the session holds, or may hold if that is less.
    fn held(&self) -> u64 {
        self.bytes.min(*self.most.borrow())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut shares = self.budget.lock();
        shares.taken.remove(&self.id);
        self.budget.leave(&shares);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use ivt_media::frame::{AudioCodec, AudioParams, Frame, Track};
    use ivt_media::hub::Hub;

    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_with_the_sum() {
        let budget = Budget::new(100);
        let first = budget.share(60, None).unwrap();
        let error = budget.share(41, None).unwrap_err();
        assert_eq!(error, Exceeded { asked: 41, free: 40, limit: 100 });
        assert!(error.to_string().contains("41 bytes") && error.to_string().contains("40 of"));
        let _second = budget.share(40, None).unwrap();
        drop(first);
        assert!(budget.share(60, None).is_ok());
        assert!(budget.share(u64::MAX, None).is_err());
    }

    #[test]
    fn a_session_that_takes_over_has_what_the_one_before_lets_go() {
        let budget = Budget::new(100);
        let old = budget.share(80, None).unwrap();
        assert!(budget.share(90, None).is_err());
        let new = budget.share(90, Some(&old)).unwrap();
        old.drain(30, 0);
        assert_eq!(new.allowed(), 70, "30 are still with the old session");
        old.drain(5, 0);
        assert_eq!(new.allowed(), 90);
        old.drain(50, 0);
        assert_eq!(new.allowed(), 90, "a draining session only shrinks");
        drop(old);
        assert_eq!(new.allowed(), 90);
        assert_eq!(budget.share(11, None).unwrap_err().free, 10);
    }

    #[test]
    fn nobody_is_squeezed_by_who_came_later() {
        let budget = Budget::new(100);
        let first = budget.share(50, None).unwrap();
        let second = budget.share(50, None).unwrap();
        assert_eq!((first.allowed(), second.allowed()), (50, 50));
        let third = budget.share(50, Some(&second)).unwrap();
        second.drain(20, 0);
        assert_eq!((first.allowed(), third.allowed()), (50, 30));
    }

    #[test]
    fn what_drains_gives_way_before_a_new_session_is_refused() {
        let budget = Budget::new(100);
        let drained = [30, 20, 40].map(|bytes| budget.share(bytes, None).unwrap());
        let [oldest, newer, live] = &drained;
        oldest.drain(30, 0);
        newer.drain(20, 0);
        let first = budget.share(15, None).unwrap();
        assert_eq!((oldest.allowed(), newer.allowed(), live.allowed()), (25, 20, 40));
        assert_eq!(first.allowed(), 10, "until the oldest has let go");
        oldest.drain(25, 0);
        assert_eq!(first.allowed(), 15);
        let second = budget.share(35, None).unwrap();
        assert_eq!((oldest.allowed(), newer.allowed()), (0, 10));
        assert_eq!(budget.share(11, None).unwrap_err().free, 10);
        oldest.drain(0, 0);
        newer.drain(10, 0);
        assert_eq!((live.allowed(), first.allowed(), second.allowed()), (40, 15, 35));
    }

    #[test]
    fn rings_may_have_what_recordings_leave() {
        let budget = Budget::new(100 << 20);
        let reserve = budget.reserve();
        let hub = Hub::growing(1 << 20, Arc::clone(&reserve));
        let lent = || {
            hub.push(key_frame(2 << 20));
            reserve.lent() >> 20
        };
        assert_eq!(lent(), 10, "six MiB instead of one, twice");
        let first = budget.share(97 << 20, None).unwrap();
        assert_eq!(lent(), 3);
        let second = budget.share(100 << 20, Some(&first)).unwrap();
        assert_eq!(lent(), 0);
        first.drain(0, 0);
        drop(second);
        assert_eq!(lent(), 10);
        assert!(budget.share(100 << 20, None).is_ok(), "no ring is in a recording's way");
    }

    fn key_frame(bytes: usize) -> Frame {
        let params = AudioParams {
            codec: AudioCodec::Pcma,
            sample_rate: 8000,
            channels: 1,
            config: Bytes::new(),
        };
        Frame {
            track: Track::Audio(Arc::new(params)),
            key: true,
            discontinuity: false,
            leading: false,
            pts: 0,
            dts: 0,
            received: std::time::Instant::now(),
            data: vec![0; bytes].into(),
        }
    }

    #[test]
    fn what_cannot_be_let_go_is_not_given_away() {
        let budget = Budget::new(100);
        let old = budget.share(80, None).unwrap();
        let mut reclaimed = old.reclaimed();
        old.drain(80, 50);
        assert_eq!(budget.share(51, None).unwrap_err().free, 50);
        assert_eq!((old.allowed(), reclaimed.has_changed().unwrap()), (80, false));
        let _new = budget.share(50, None).unwrap();
        assert_eq!((old.allowed(), reclaimed.has_changed().unwrap()), (50, true));
        reclaimed.mark_unchanged();
        assert_eq!(budget.share(1, None).unwrap_err().free, 0);
        old.drain(50, 20);
        let _newer = budget.share(10, None).unwrap();
        assert_eq!((old.allowed(), reclaimed.has_changed().unwrap()), (40, true));
        drop(old);
        assert!(reclaimed.has_changed().is_err());
    }
}
