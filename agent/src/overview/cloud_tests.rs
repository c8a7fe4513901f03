//! Each fault of the way to the cloud shows at its hop, and those behind it are unknown.

use std::time::Duration;

use super::super::reason;
use super::super::state::State::{self, Bad, Off, Ok, Unknown, Warn};
use super::*;
use crate::cloud::progress::Trouble;

fn facts(host: &str, state: CloudState) -> Facts {
    let server = Some(Server { host: host.into(), port: 443, secure: true });
    let interfaces = vec![("eth0".into(), true), ("wlan0".into(), false)];
    let address = Some(IpAddr::from([192, 0, 2, 7]));
    Facts {
        server,
        state,
        seen: Seen::default(),
        answered: None,
        last_answer: None,
        next_try: None,
        interfaces,
        address,
        name_servers: vec!["192.0.2.1".into()],
    }
}

/// A device that waits after an attempt failed.
fn failed(step: Step, reason: &'static str) -> Facts {
    let until = Instant::now() + Duration::from_secs(9);
    let state = CloudState::Waiting { until, wrong_login: false };
    let trouble = Some(Trouble { step, reason, said: "said".into() });
    Facts { seen: Seen { step, trouble, ..Seen::default() }, ..facts("cloud.example", state) }
}

fn states(facts: &Facts) -> Vec<State> {
    hops(facts, Instant::now()).iter().map(|hop| hop.state).collect()
}

#[tokio::test(start_paused = true)]
async fn each_fault_shows_at_its_hop_and_what_is_behind_is_unknown_because_of_it() {
    for (step, reason) in [
        (Step::Network, "no_route"),
        (Step::Name, "name_unknown"),
        (Step::Name, "name_server_silent"),
        (Step::Tcp, "connection_refused"),
        (Step::Tcp, "no_answer"),
        (Step::Tls, "certificate_unknown"),
        (Step::Tls, "certificate_early"),
        (Step::Login, "login_refused"),
        (Step::Login, "cloud_busy"),
        (Step::Keepalive, "keepalive_unanswered"),
    ] {
        let facts = failed(step, reason);
        let hops = hops(&facts, Instant::now());
        let place = step as usize;
        for (n, hop) in hops.iter().enumerate() {
            if n < place {
                assert_eq!((hop.state, hop.reason), (Ok, ""), "{reason}: {}", hop.name);
            } else if n == place {
                assert_eq!((hop.reason, &*hop.said), (reason, "said"));
                assert!(matches!(hop.state, Bad | Warn) && !reason::remedy(reason).is_empty());
            } else {
                assert_eq!((hop.state, hop.behind), (Unknown, NAMES[place]), "{reason}");
            }
        }
        let again = Facts { state: CloudState::Dialling, ..facts };
        assert_eq!(super::hops(&again, Instant::now()), hops, "the next attempt changes nothing");
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_attempt_shows_how_far_it_has_come() {
    let mut facts = facts("cloud.example", CloudState::Dialling);
    assert_eq!(states(&facts), [Ok, Unknown, Unknown, Unknown, Unknown, Unknown]);
    facts.seen.step = Step::Tls;
    assert_eq!(states(&facts), [Ok, Ok, Ok, Unknown, Unknown, Unknown]);
}

#[tokio::test(start_paused = true)]
async fn who_is_logged_in_has_everything_but_perhaps_an_answer() {
    let mut facts = facts("cloud.example", CloudState::Online);
    // What failed before is over.
    facts.seen.trouble = failed(Step::Tcp, "no_answer").seen.trouble;
    facts.interfaces.clear();
    facts.seen.online = Some(Instant::now());
    let last = |facts: &Facts| {
        let hops = hops(facts, Instant::now());
        assert!(hops[..5].iter().all(|hop| hop.state == Ok), "{hops:?}");
        (hops[5].state, hops[5].reason)
    };
    assert_eq!(last(&facts), (Unknown, "first_keepalive"));
    tokio::time::advance(Duration::from_secs(21)).await;
    assert_eq!(last(&facts), (Warn, "keepalive_late"));
    facts.answered = Some(Instant::now());
    assert_eq!(last(&facts), (Ok, ""));
    tokio::time::advance(Duration::from_secs(19)).await;
    assert_eq!(last(&facts), (Ok, ""));
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(last(&facts), (Warn, "keepalive_late"));
    // An answer of the connection before is none of this one.
    facts.seen.online = Some(Instant::now());
    assert_eq!(last(&facts), (Unknown, "first_keepalive"));
}

#[tokio::test(start_paused = true)]
async fn a_cable_that_is_not_plugged_in_is_the_reason_whatever_the_dial_says() {
    let mut facts = failed(Step::Name, "name_server_silent");
    facts.interfaces = vec![("eth0".into(), false)];
    let hops = hops(&facts, Instant::now());
    assert_eq!((hops[0].state, hops[0].reason), (Bad, "no_link"));
    assert_eq!((hops[1].state, hops[1].behind), (Unknown, "network"));
    facts.interfaces = vec![("eth0".into(), true)];
    facts.address = None;
    assert_eq!(super::hops(&facts, Instant::now())[0].reason, "no_route");
}

#[tokio::test(start_paused = true)]
async fn what_a_cloud_does_not_need_is_off() {
    let mut facts = facts("192.0.2.9", CloudState::Online);
    facts.server = Some(Server { host: "192.0.2.9".into(), port: 80, secure: false });
    facts.seen.online = Some(Instant::now());
    facts.answered = facts.seen.online;
    assert_eq!(states(&facts), [Ok, Off, Ok, Off, Ok, Ok]);
    let none = Facts { server: None, state: CloudState::Off, ..facts };
    assert_eq!(states(&none), [Ok, Off, Off, Off, Off, Off]);
}
