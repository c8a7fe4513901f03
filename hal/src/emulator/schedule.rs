//! Alarms that an emulated camera raises by itself.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::str::FromStr;
use std::task::Poll;
use std::time::Duration;

use ivt_base::short_time::short_time;
use tokio::time::sleep_until;

use super::World;
use crate::Trigger;

/// How long an alarm lasts that does not say.
const USUAL: Duration = Duration::from_secs(1);
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(86_400);

/// An alarm that a camera raises once or again and again. Written `motion:every=30s,for=5s` or `input:at=10s,for=2s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScheduledAlarm {
    /// What is set off.
    pub trigger: Trigger,
    /// Time from the start of the camera to the first one.
    pub first: Duration,
    /// Time from one to the next; `None` for a single one.
    pub every: Option<Duration>,
    /// How long each lasts; shorter than `every`.
    pub lasts: Duration,
}

/// The error for text that is no [`ScheduledAlarm`]; it holds the part that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}`: expected {form}", form = ScheduledAlarm::FORM)]
pub struct WrongAlarm(String);

impl ScheduledAlarm {
    /// What such text looks like, for people to read.
    pub const FORM: &str = "motion, line or input, a colon, and of at=TIME, every=TIME, for=TIME at least one of \
                            the first two; times such as 500ms, 30s or 2m, from 100ms to a day, and `for` shorter \
                            than `every`";

    /// Raises it at its times, counted from the start of the camera, until none is left; what is over already is
    /// left out. Dropping the future ends an alarm that is raised.
    pub async fn run(self, world: &World) {
        let began = world.began();
        while let Some(at) = self.next(began.elapsed()) {
            sleep_until(began + at).await;
            let raised = Raised::begin(world, self.trigger);
            sleep_until(began + at + self.lasts).await;
            drop(raised);
        }
    }

    /// When the one begins that goes on, or else the next one, so long after the start of the camera.
    fn next(&self, passed: Duration) -> Option<Duration> {
        let Some(over) = passed.checked_sub(self.first + self.lasts) else {
            return Some(self.first);
        };
        let every = self.every?;
        let number = over.as_nanos() / every.as_nanos() + 1;
        Some(self.first + every * u32::try_from(number).ok()?)
    }
}

/// Raises all of them at their times, for ever.
pub(super) async fn run(alarms: &[ScheduledAlarm], world: &World) -> Infallible {
    let mut runs: Vec<_> = alarms.iter().map(|alarm| Box::pin(alarm.run(world))).collect();
    poll_fn(|context| {
        runs.retain_mut(|run| run.as_mut().poll(context).is_pending());
        Poll::Pending
    })
    .await
}

/// A trigger that is active until this is dropped.
struct Raised<'a> {
    world: &'a World,
    trigger: Trigger,
}

impl<'a> Raised<'a> {
    fn begin(world: &'a World, trigger: Trigger) -> Self {
        world.trigger(trigger, true);
        Self { world, trigger }
    }
}

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.world.trigger(self.trigger, false);
    }
}

impl FromStr for ScheduledAlarm {
    type Err = WrongAlarm;

    fn from_str(text: &str) -> Result<Self, WrongAlarm> {
        let wrong = |what: &str| WrongAlarm(what.to_owned());
        let (name, rest) = text.split_once(':').ok_or_else(|| wrong(text))?;
        let trigger = Trigger::named(name).ok_or_else(|| wrong(name))?;
        let (mut at, mut every, mut lasts) = (None, None, None);
        for pair in rest.split(',') {
            let (key, value) = pair.split_once('=').ok_or_else(|| wrong(pair))?;
            let place = match key {
                "at" => &mut at,
                "every" => &mut every,
                "for" => &mut lasts,
                _ => return Err(wrong(pair)),
            };
            let time = short_time(value).filter(|time| (SHORTEST..=LONGEST).contains(time));
            let time = time.ok_or_else(|| wrong(pair))?;
            if place.replace(time).is_some() {
                return Err(wrong(pair));
            }
        }
        let lasts = lasts.unwrap_or(USUAL);
        let first = at.or(every).ok_or_else(|| wrong(rest))?;
        if every.is_some_and(|every| every <= lasts) {
            return Err(wrong(rest));
        }
        Ok(Self { trigger, first, every, lasts })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::advance;

    use super::*;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn alarms_are_read() {
        let motion = ScheduledAlarm {
            trigger: Trigger::Motion,
            first: seconds(30.0),
            every: Some(seconds(30.0)),
            lasts: seconds(5.0),
        };
        let single = ScheduledAlarm { first: seconds(0.5), every: None, lasts: USUAL, ..motion };
        for (text, alarm) in [
            ("motion:every=30s,for=5s", motion),
            ("motion:for=5s,every=30s,at=2m", ScheduledAlarm { first: seconds(120.0), ..motion }),
            ("line:at=500ms", ScheduledAlarm { trigger: Trigger::Line, ..single }),
            ("input:at=0.5s", ScheduledAlarm { trigger: Trigger::Input, ..single }),
        ] {
            assert_eq!(text.parse(), Ok(alarm), "{text}");
        }
        for (text, named) in [
            ("motion", "`motion`"),
            ("smoke:at=1s", "`smoke`"),
            ("motion:for=5s", "`for=5s`"),
            ("motion:", "``"),
            ("motion:at", "`at`"),
            ("motion:at=5", "`at=5`"),
            ("motion:at=25h", "`at=25h`"),
            ("motion:at=-5s", "`at=-5s`"),
            ("motion:at=1e9s", "`at=1e9s`"),
            ("motion:at=10ms", "`at=10ms`"),
            ("motion:at=1s,at=2s", "`at=2s`"),
            ("motion:every=5s,for=5s", "`every=5s,for=5s`"),
            ("motion:at=1s,until=2s", "`until=2s`"),
        ] {
            let error = text.parse::<ScheduledAlarm>().unwrap_err().to_string();
            assert!(error.starts_with(named) && error.contains("every=TIME"), "{text}: {error}");
        }
    }

    #[test]
    fn the_next_one_is_that_which_goes_on_or_comes_first() {
        let again: ScheduledAlarm = "motion:at=10s,every=30s,for=5s".parse().unwrap();
        for (passed, next) in
            [(0.0, 10.0), (14.9, 10.0), (15.0, 40.0), (44.9, 40.0), (45.0, 70.0), (9e8, 9e8 + 10.0)]
        {
            assert_eq!(again.next(seconds(passed)), Some(seconds(next)), "{passed}");
        }
        let single = ScheduledAlarm { every: None, ..again };
        assert_eq!(single.next(seconds(14.9)), Some(seconds(10.0)));
        assert_eq!(single.next(seconds(15.0)), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_over_is_left_out_and_what_goes_on_ends_with_its_run() {
        let world = Arc::new(World::default());
        let run = || {
            let world = Arc::clone(&world);
            let alarm: ScheduledAlarm = "line:every=10s,for=4s".parse().unwrap();
            tokio::spawn(async move { alarm.run(&world).await })
        };
        advance(seconds(32.0)).await;
        let mut changes = world.changes();
        let running = run();
        assert_eq!(changes.recv().await, Ok((Trigger::Line, true)));
        assert_eq!(world.began().elapsed(), seconds(32.0), "it goes on");
        running.abort();
        assert_eq!(changes.recv().await, Ok((Trigger::Line, false)));
        assert_eq!(world.began().elapsed(), seconds(32.0));
        advance(seconds(3.0)).await;
        let _running = run();
        assert_eq!(changes.recv().await, Ok((Trigger::Line, true)));
        assert_eq!(world.began().elapsed(), seconds(40.0));
    }
}
