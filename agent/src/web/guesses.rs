//! How often somebody may try a password: a few times a minute, each answered later than the one before.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use tokio::time::Instant;

/// The time in which wrong passwords are counted.
const WINDOW: Duration = Duration::from_secs(60);
/// Most wrong passwords of one source in that time, and of all together.
const EACH: usize = 10;
const ALL: usize = 60;
/// Wrong passwords of these that only the trusted sources may make, where there are any.
const RESERVED: usize = 20;
/// Wrong passwords that are answered at once; people mistype.
const FREE: usize = 2;
/// The delay after these, which doubles with each, and its bound.
const DELAY: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(2);

/// How long a source is known from which somebody logged in, and most of these.
const TRUST: Duration = Duration::from_secs(24 * 60 * 60);
const TRUSTED: usize = 8;

/// Who guesses: an address, or all that share the first half of an IPv6 address, which one host has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Source(IpAddr);

/// The guesses of the last minute, which are at most as many as all sources may make.
#[derive(Default)]
pub(super) struct Guesses {
    /// Oldest first.
    recent: Vec<(Instant, Source)>,
    /// From where somebody logged in lately, and when; who guesses elsewhere does not keep these out.
    trusted: Vec<(Instant, Source)>,
    /// When the log was told last that somebody guesses.
    told: Option<Instant>,
}

impl Source {
    /// The source of who is at `address`. A neighbour may be any host of the device's own network, which share the first
    /// half of their addresses.
    pub(super) fn new(address: IpAddr, is_neighbour: bool) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) if !is_neighbour => {
                Self(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into())
            }
            address => Self(address),
        }
    }
}

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        Self::new(address, false)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Guesses {
    /// Counts a guess before it is looked at, so that many at once are no way around the limits. Returns how long its
    /// answer has to wait.
    ///
    /// # Errors
    /// These were too many: nothing is to be looked at for so long.
    pub(super) fn begin(&mut self, source: Source, now: Instant) -> Result<Duration, Duration> {
        self.recent.retain(|(then, _)| now.duration_since(*then) < WINDOW);
        self.trusted.retain(|(then, _)| now.duration_since(*then) < TRUST);
        let is_trusted = |source: Source| self.trusted.iter().any(|(_, other)| *other == source);
        let until = |then: Instant| WINDOW - now.duration_since(then);
        let mut own =
            self.recent.iter().filter(|(_, other)| *other == source).map(|(then, _)| *then);
        let (first, others) = (own.next(), own.count());
        if let Some(first) = first
            && others + 1 >= EACH
        {
            return Err(until(first));
        }
        if let Some((first, _)) = self.recent.first()
            && self.recent.len() >= ALL
        {
            return Err(until(*first));
        }
        let mut shared = self.recent.iter().filter(|(_, other)| !is_trusted(*other));
        if let Some((first, _)) = shared.next()
            && shared.count() + 1 >= ALL - RESERVED
            && !self.trusted.is_empty()
            && !is_trusted(source)
        {
            return Err(until(*first));
        }
        let before = first.map_or(0, |_| others + 1);
        self.recent.push((now, source));
        let doubled = before.checked_sub(FREE).map(|times| DELAY * (1 << times.min(EACH)));
        Ok(doubled.unwrap_or_default().min(LONGEST))
    }

    /// Takes back what a source guessed: it knows the password.
    pub(super) fn was_right(&mut self, source: Source, now: Instant) {
        self.recent.retain(|(_, other)| *other != source);
        self.trusted.retain(|(_, other)| *other != source);
        if self.trusted.len() >= TRUSTED {
            self.trusted.remove(0);
        }
        self.trusted.push((now, source));
    }

    /// Whether the log is to be told of a wrong password: once a minute.
    pub(super) fn is_news(&mut self, now: Instant) -> bool {
        let is_news = self.told.is_none_or(|told| now.duration_since(told) >= WINDOW);
        if is_news {
            self.told = Some(now);
        }
        is_news
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
        assert_eq!((passed, guesses.recent.len()), (ALL, ALL));
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
            guesses.was_right(me, Instant::now());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_logged_in_before_is_not_kept_out_by_the_guesses_of_others() {
        let (mut guesses, me) = (Guesses::default(), source("192.0.2.1"));
        guesses.was_right(me, Instant::now());
        let flood = |guesses: &mut Guesses| {
            (0..1000_u32)
                .filter(|n| {
                    guesses.begin(IpAddr::from(n.to_be_bytes()).into(), Instant::now()).is_ok()
                })
                .count()
        };
        assert_eq!(flood(&mut guesses), ALL - RESERVED);
        for _ in 0..EACH {
            assert!(guesses.begin(me, Instant::now()).is_ok());
        }
        assert!(guesses.begin(me, Instant::now()).is_err(), "it has no more than others");
        let others = [source("192.0.2.2"), source("192.0.2.3")];
        for other in others {
            guesses.was_right(other, Instant::now());
        }
        let more = (0..2 * EACH).filter(|n| guesses.begin(others[n % 2], Instant::now()).is_ok());
        assert_eq!((more.count(), guesses.recent.len()), (ALL - 40 - EACH, ALL), "all together");
        advance(TRUST).await;
        assert_eq!(flood(&mut guesses), ALL);
        assert!(guesses.begin(me, Instant::now()).is_err());
        for n in 0..100_u32 {
            guesses.was_right(IpAddr::from(n.to_be_bytes()).into(), Instant::now());
        }
        assert_eq!(guesses.trusted.len(), TRUSTED);
    }

    #[test]
    fn neighbours_are_counted_one_by_one() {
        let near = |text: &str| Source::new(text.parse().unwrap(), true);
        assert_ne!(near("fe80::1"), near("fe80::2"));
        assert_ne!(near("2001:db8:1:2::1"), near("2001:db8:1:2::2"));
        assert_eq!(near("::ffff:192.0.2.1"), source("192.0.2.1"));
    }

    #[tokio::test(start_paused = true)]
    async fn the_log_is_told_once_a_minute() {
        let mut guesses = Guesses::default();
        assert!(guesses.is_news(Instant::now()) && !guesses.is_news(Instant::now()));
        advance(WINDOW).await;
        assert!(guesses.is_news(Instant::now()));
    }
}
