//! The hops of the device itself: clock, alarms' reports, hosted service, disk, memory, CPU and firmware.

use std::time::Duration;

use tokio::time::Instant;

use super::hop::Hop;
use super::reading::{Disk, Memory};
use crate::alarm::AlarmCounts;
use crate::record::spool;
use crate::tlss::HostedState;

/// How long an alarm that was not reported stays worth a look.
const LOSS: Duration = Duration::from_secs(3600);
/// Percentage of the memory that the agent may take, and of the device's time, from which little is left.
const BUSY: u64 = 90;
const LOADED: u64 = 97;
/// Free bytes of a disk below which the agent's own files may not fit.
const LEAST_DISK: u64 = 2 << 20;
/// Free bytes of the device's memory below which the system may end a program.
const LEAST_MEMORY: u64 = 2 << 20;

/// What is known of the device.
pub(super) struct Facts {
    /// Whether the clock can be right.
    pub(super) is_clock_plausible: bool,
    pub(super) alarms: AlarmCounts,
    /// When an alarm was refused by the cloud, and when one was missed, for the last time.
    pub(super) refused: Option<Instant>,
    pub(super) missed: Option<Instant>,
    /// The hosted service; `None` while it is off.
    pub(super) hosted: Option<HostedState>,
    /// Commands of the hosted service that are in its audit.
    pub(super) commands: usize,
    /// The folder of the device's state; `None` where nothing is kept.
    pub(super) disk: Option<Disk>,
    pub(super) spool: Option<spool::Stats>,
    pub(super) memory: Memory,
    /// Bytes of memory under which the agent stays.
    pub(super) limit: u64,
    /// The agent's share of one core lately, in percent.
    pub(super) share: Option<u64>,
    /// How busy all cores together were lately, in percent.
    pub(super) load: Option<u64>,
    pub(super) cores: u64,
    /// Whether alarms are reported at all.
    pub(super) has_alarms: bool,
    /// The firmware's name that the cloud is told.
    pub(super) firmware: String,
}

/// The hops at a moment.
pub(super) fn hops(facts: &Facts, now: Instant) -> Vec<Hop> {
    vec![
        clock(facts),
        alarm_reports(facts, now),
        hosted(facts),
        storage(facts),
        memory(facts),
        cpu(facts),
        Hop::ok("firmware")
            .with("firmware", facts.firmware.as_str())
            .with("version", env!("CARGO_PKG_VERSION")),
    ]
}

fn clock(facts: &Facts) -> Hop {
    match facts.is_clock_plausible {
        true => Hop::ok("clock"),
        false => Hop::because("clock", "clock_never_set"),
    }
}

fn alarm_reports(facts: &Facts, now: Instant) -> Hop {
    const NAME: &str = "alarm_reports";
    let recent = |moment: Option<Instant>| moment.is_some_and(|moment| now < moment + LOSS);
    let hop = match () {
        () if !facts.has_alarms => return Hop::because(NAME, "alarms_off"),
        () if recent(facts.refused) => Hop::because(NAME, "alarms_refused"),
        () if recent(facts.missed) => Hop::because(NAME, "alarms_missed"),
        () => Hop::ok(NAME),
    };
    let AlarmCounts { begun, reported, late, refused, missed, .. } = facts.alarms;
    let counts = [("begun", begun), ("reported", reported), ("late", late)];
    let losses = [("refused", refused), ("missed", missed)];
    counts.into_iter().chain(losses).fold(hop, |hop, (name, count)| hop.with(name, count))
}

fn hosted(facts: &Facts) -> Hop {
    const NAME: &str = "hosted";
    let hop = match &facts.hosted {
        None => return Hop::because(NAME, "hosted_off"),
        Some(HostedState::Dialling) => Hop::because(NAME, "hosted_dialling"),
        Some(HostedState::InSession | HostedState::Waiting { served: true, .. }) => Hop::ok(NAME),
        Some(HostedState::Waiting { last, .. }) => Hop::because(NAME, "hosted_failed").said(last),
    };
    hop.with("commands", facts.commands)
}

fn storage(facts: &Facts) -> Hop {
    const NAME: &str = "storage";
    let hop = match &facts.disk {
        _ if facts.spool.is_some_and(|spool| !spool.healthy) => Hop::because(NAME, "card_fails"),
        Some(Disk { is_silent: true, .. }) => Hop::because(NAME, "disk_silent"),
        Some(Disk { is_writable: false, .. }) => Hop::because(NAME, "disk_read_only"),
        Some(Disk { free, .. }) if *free < LEAST_DISK => Hop::because(NAME, "disk_full"),
        Some(_) => Hop::ok(NAME),
        None if facts.spool.is_some() => Hop::ok(NAME),
        None => Hop::because(NAME, "no_storage"),
    };
    let hop = match &facts.disk {
        Some(Disk { free, total, .. }) => hop.with("free_bytes", *free).with("total_bytes", *total),
        None => hop,
    };
    match facts.spool {
        Some(spool) => hop
            .with("spool_bytes", spool.bytes)
            .with("spool_limit_bytes", spool.limit)
            .with("spool_segments", spool.segments),
        None => hop,
    }
}

fn memory(facts: &Facts) -> Hop {
    const NAME: &str = "memory";
    let Memory { resident, available, total } = facts.memory;
    let hop = match () {
        () if resident > facts.limit => Hop::because(NAME, "memory_over"),
        () if available.is_some_and(|available| available < LEAST_MEMORY) => {
            Hop::because(NAME, "memory_low")
        }
        () if resident > facts.limit / 100 * BUSY => Hop::because(NAME, "memory_high"),
        () => Hop::ok(NAME),
    };
    hop.with("resident_bytes", resident)
        .with("limit_bytes", facts.limit)
        .with("available_bytes", available)
        .with("total_bytes", total)
}

fn cpu(facts: &Facts) -> Hop {
    const NAME: &str = "cpu";
    let hop = match facts.load {
        Some(LOADED..) => Hop::because(NAME, "cpu_high"),
        _ => Hop::ok(NAME),
    };
    hop.with("share_percent", facts.share)
        .with("load_percent", facts.load)
        .with("cores", facts.cores)
}

#[cfg(test)]
mod tests {
    use super::super::state::State::{self, Bad, Off, Ok, Warn};
    use super::*;

    fn facts() -> Facts {
        Facts {
            is_clock_plausible: true,
            alarms: AlarmCounts { begun: 3, reported: 3, ..AlarmCounts::default() },
            refused: None,
            missed: None,
            hosted: None,
            commands: 0,
            disk: Some(Disk { free: 1 << 30, total: 2 << 30, is_writable: true, is_silent: false }),
            spool: None,
            memory: Memory { resident: 20 << 20, available: Some(16 << 20), total: Some(64 << 20) },
            limit: 40 << 20,
            share: Some(12),
            load: Some(40),
            cores: 1,
            has_alarms: true,
            firmware: "1.2".into(),
        }
    }

    /// State and reason of one hop.
    fn hop(facts: &Facts, name: &str) -> (State, &'static str) {
        let hops = hops(facts, Instant::now());
        let hop = hops.iter().find(|hop| hop.name == name).expect("a hop of this name");
        (hop.state, hop.reason)
    }

    #[tokio::test(start_paused = true)]
    async fn a_device_that_is_well_has_nothing_to_look_at() {
        let hops = hops(&facts(), Instant::now());
        assert!(hops.iter().all(|hop| matches!(hop.state, Ok | Off)), "{hops:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn each_fault_of_the_device_shows_at_its_hop() {
        let spool = spool::Stats { bytes: 1, limit: 2, segments: 1, healthy: false };
        let waiting = |served| HostedState::Waiting {
            until: Instant::now(),
            last: "not reached".into(),
            served,
        };
        type Break = fn(&mut Facts);
        let broken: [(&str, State, &str, Break); 8] = [
            ("clock", Bad, "clock_never_set", |facts| facts.is_clock_plausible = false),
            ("storage", Bad, "disk_full", |facts| facts.disk.as_mut().unwrap().free = 4096),
            ("storage", Bad, "disk_read_only", |facts| {
                facts.disk.as_mut().unwrap().is_writable = false;
            }),
            ("storage", Bad, "disk_silent", |facts| facts.disk.as_mut().unwrap().is_silent = true),
            ("memory", Bad, "memory_over", |facts| facts.memory.resident = 41 << 20),
            ("memory", Warn, "memory_high", |facts| facts.memory.resident = 39 << 20),
            ("memory", Warn, "memory_low", |facts| facts.memory.available = Some(1 << 20)),
            ("cpu", Warn, "cpu_high", |facts| facts.load = Some(98)),
        ];
        for (name, state, reason, break_it) in broken {
            let mut facts = facts();
            break_it(&mut facts);
            assert_eq!(hop(&facts, name), (state, reason));
        }
        let card = Facts { spool: Some(spool), ..facts() };
        assert_eq!(hop(&card, "storage"), (Bad, "card_fails"));
        for (served, want) in [(true, (Ok, "")), (false, (Bad, "hosted_failed"))] {
            let hosted = Facts { hosted: Some(waiting(served)), ..facts() };
            assert_eq!(hop(&hosted, "hosted"), want);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_alarm_that_was_not_reported_stays_worth_a_look_for_an_hour() {
        let refused = Facts { refused: Some(Instant::now()), ..facts() };
        assert_eq!(hop(&refused, "alarm_reports"), (Warn, "alarms_refused"));
        let missed = Facts { missed: Some(Instant::now()), ..facts() };
        assert_eq!(hop(&missed, "alarm_reports"), (Warn, "alarms_missed"));
        tokio::time::advance(LOSS).await;
        assert_eq!(hop(&refused, "alarm_reports"), (Ok, ""));
    }
}
