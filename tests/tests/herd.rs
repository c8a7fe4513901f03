//! A thousand agents and one cloud that restarts, in virtual time: they come back spread out.

use std::time::Duration;

use ivt_agent::Agent;
use ivt_tests::memory::{Attempt, Cloud};
use tokio::time::{Instant, sleep};

const DEVICES: usize = 1000;

/// A cloud whose devices have been connected for a while.
async fn with_devices(seed: u64) -> (Cloud, Vec<Agent>) {
    let cloud = Cloud::new(true, false);
    let agents = (0..DEVICES).map(|device| cloud.agent(device, seed)).collect();
    sleep(Duration::from_secs(90)).await;
    assert_eq!(cloud.take_attempts().len(), DEVICES, "each dials once, at once");
    (cloud, agents)
}

/// Ends all connections and is away for `outage`. Returns the dials seen for `watch` since then, each with its
/// time after the fall.
async fn restart(cloud: &Cloud, outage: Duration, watch: Duration) -> Vec<(Duration, Attempt)> {
    let fell = Instant::now();
    cloud.set_up(false);
    if !outage.is_zero() {
        sleep(outage).await;
    }
    // Without an outage the tasks of the old connections see the change, and new connections are accepted.
    cloud.set_up(true);
    sleep(watch).await;
    cloud.take_attempts().into_iter().map(|a| (a.at - fell, a)).collect()
}

/// The most dials in any one second.
fn peak(attempts: &[(Duration, Attempt)]) -> usize {
    let mut first = 0;
    let mut most = 0;
    for (last, (at, _)) in attempts.iter().enumerate() {
        while *at - attempts[first].0 >= Duration::from_secs(1) {
            first += 1;
        }
        most = most.max(last + 1 - first);
    }
    most
}

/// The time after which 99 % of the devices were connected again.
fn nearly_all_back(attempts: &[(Duration, Attempt)]) -> Duration {
    let mut back = vec![None; DEVICES];
    for (at, attempt) in attempts.iter().filter(|(_, a)| a.connected) {
        back[attempt.device].get_or_insert(*at);
    }
    let mut back: Vec<_> = back.into_iter().map(|at| at.unwrap_or(Duration::MAX)).collect();
    back.sort();
    back[DEVICES * 99 / 100 - 1]
}

#[tokio::test(start_paused = true)]
async fn after_an_instant_restart_at_most_12_percent_call_in_any_second() {
    for seed in 0..3 {
        let (cloud, _agents) = with_devices(seed).await;
        let attempts = restart(&cloud, Duration::ZERO, Duration::from_secs(60)).await;
        assert_eq!(attempts.len(), DEVICES, "each is back with its first attempt");
        let most = peak(&attempts);
        assert!(most <= DEVICES * 12 / 100, "seed {seed}: {most} attempts in a second");
        let back = nearly_all_back(&attempts);
        assert!(back <= Duration::from_secs(20), "seed {seed}: 99 % back after {back:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_minute_of_outage_makes_no_herd_and_no_second_wave() {
    const OUTAGE: Duration = Duration::from_secs(60);
    for seed in 0..3 {
        let (cloud, _agents) = with_devices(seed).await;
        let attempts = restart(&cloud, OUTAGE, Duration::from_secs(180)).await;
        let most = peak(&attempts);
        assert!(most <= DEVICES * 15 / 100, "seed {seed}: {most} attempts in a second");
        let after: Vec<_> = attempts.iter().copied().filter(|(at, _)| *at >= OUTAGE).collect();
        let wave = peak(&after);
        assert!(wave <= DEVICES * 6 / 100, "seed {seed}: {wave} in a second after the repair");
        let back = nearly_all_back(&attempts) - OUTAGE;
        assert!(back <= Duration::from_secs(120), "seed {seed}: 99 % back after {back:?}");
    }
}
