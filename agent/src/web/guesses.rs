//! How often somebody may try a password: a few times a minute, each answered later than the one before.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

/// The time in which wrong passwords are counted.
const WINDOW: Duration = Duration::from_secs(60);
/// Most wrong passwords of one source in that time, and of all together.
const EACH: usize = 10;
const ALL: usize = 60;
/// Wrong passwords that are answered at once; people mistype.
const FREE: usize = 2;
/// The delay after these, which doubles with each, and its bound.
const DELAY: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(2);

/// Who guesses: an address, or all that share the first half of an IPv6 address, which one host has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Source(u128);

/// The guesses of the last minute, which are at most as many as all sources may make.
#[derive(Default)]
pub(super) struct Guesses(Vec<(Instant, Source)>);

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(address.to_bits().into()),
            IpAddr::V6(address) => Self(address.to_bits() & !u128::from(u64::MAX)),
        }
    }
}

impl Guesses {
    /// Counts a guess before it is looked at, so that many at once are no way around the limits. Returns how long its
    /// answer has to wait.
    ///
    /// # Errors
    /// These were too many: nothing is to be looked at for so long.
    pub(super) fn begin(&mut self, source: Source, now: Instant) -> Result<Duration, Duration> {
        self.0.retain(|(then, _)| now.duration_since(*then) < WINDOW);
        let until = |then: Instant| WINDOW - now.duration_since(then);
        let mut own = self.0.iter().filter(|(_, other)| *other == source).map(|(then, _)| *then);
        let (first, others) = (own.next(), own.count());
        match (first, self.0.first()) {
            (Some(first), _) if others + 1 >= EACH => return Err(until(first)),
            (_, Some((first, _))) if self.0.len() >= ALL => return Err(until(*first)),
            _ => {}
        }
        let before = first.map_or(0, |_| others + 1);
        self.0.push((now, source));
        let doubled = before.checked_sub(FREE).map(|times| DELAY * (1 << times.min(EACH)));
        Ok(doubled.unwrap_or_default().min(LONGEST))
    }

    /// Takes back what a source guessed: it knows the password.
    pub(super) fn was_right(&mut self, source: Source) {
        self.0.retain(|(_, other)| *other != source);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn source(text: &str) -> Source {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[tokio::test(start_paused = true)]
    async fn ten_guesses_a_minute_each_answered_later_than_the_one_before() {
        let (mut guesses, me) = (Guesses::default(), source("192.0.2.1"));
        let delays: Vec<_> =
            (0..EACH).map(|_| guesses.begin(me, Instant::now()).unwrap().as_millis()).collect();
        assert_eq!(delays, [0, 0, 100, 200, 400, 800, 1600, 2000, 2000, 2000]);
        assert_eq!(guesses.begin(me, Instant::now()), Err(WINDOW));
        advance(Duration::from_secs(59)).await;
        assert_eq!(guesses.begin(me, Instant::now()), Err(Duration::from_secs(1)));
        assert!(guesses.begin(source("192.0.2.2"), Instant::now()).is_ok(), "others may guess");
        advance(Duration::from_secs(1)).await;
        assert_eq!(guesses.begin(me, Instant::now()), Ok(Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn many_sources_share_a_limit_and_take_no_room() {
        let mut guesses = Guesses::default();
        let tried = |guesses: &mut Guesses, n: u32| {
            guesses.begin(IpAddr::from(n.to_be_bytes()).into(), Instant::now()).is_ok()
        };
        let passed = (0..100_000).filter(|n| tried(&mut guesses, *n)).count();
        assert_eq!((passed, guesses.0.len()), (ALL, ALL));
        for minute in 1..4_u32 {
            advance(WINDOW).await;
            let passed = (0..1000).filter(|n| tried(&mut guesses, minute * 5000 + n)).count();
            assert_eq!(passed, ALL);
        }
    }

    #[test]
    fn a_host_with_many_addresses_is_one_source() {
        assert_eq!(source("2001:db8:1:2::1"), source("2001:db8:1:2:ffff::9"));
        assert_ne!(source("2001:db8:1:2::1"), source("2001:db8:1:3::1"));
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
        assert_ne!(source("192.0.2.1"), source("192.0.2.2"));
        assert_ne!(source("::1"), source("127.0.0.1"));
    }

    #[tokio::test(start_paused = true)]
    async fn who_knows_the_password_is_forgiven() {
        let (mut guesses, me) = (Guesses::default(), source("192.0.2.1"));
        for _ in 0..1000 {
            assert!(guesses.begin(me, Instant::now()).is_ok());
            guesses.was_right(me);
        }
    }
}
