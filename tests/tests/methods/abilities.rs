//! Every ability of every backend by the conformance checks, over the emulated camera.

use std::sync::Arc;

use futures::future::join_all;
use ivt_hal::Channel;
use ivt_hal::conformance::{self, Unknown};

use super::backends::Backend;
use super::table;

/// The slots of a channel. The reboot is the last, as the camera is away after it.
const SLOTS: [&str; 11] = [
    "streams", "snapshot", "ptz", "presets", "tours", "patrol", "motion", "tripwire", "network",
    "wifi", "power",
];

#[tokio::test]
async fn each_ability_passes_the_conformance_checks_through_each_backend() {
    let columns = join_all(Backend::ALL.map(run)).await;
    table::check("abilities.md", table::ABILITIES, "ability", &SLOTS, &columns);
}

async fn run(backend: Backend) -> (&'static str, Vec<String>) {
    let Some(rig) = backend.start().await else {
        return (backend.name, vec!["not in this program".to_owned(); SLOTS.len()]);
    };
    let camera = rig.stage.agent.camera(0).unwrap();
    let mut found = Vec::new();
    for slot in SLOTS {
        let passed = check(slot, &camera).await;
        found.push(if passed.is_some() { "passes" } else { "none" }.to_owned());
    }
    (backend.name, found)
}

/// Runs the checks of one slot, which panic with what was expected; `None` for an empty slot.
async fn check(slot: &str, camera: &Channel) -> Option<()> {
    fn of<T: ?Sized>(slot: &Option<Arc<T>>) -> Option<&T> {
        slot.as_deref()
    }
    match slot {
        "streams" => conformance::encoder(&*camera.encoder).await,
        "snapshot" => conformance::snapshot(of(&camera.snapshot)?).await,
        "ptz" => conformance::ptz(of(&camera.ptz)?, &[]).await,
        "presets" => conformance::presets(of(&camera.presets)?, Unknown::Unnoticed).await,
        "tours" => conformance::tours(of(&camera.tours)?, Unknown::Unnoticed).await,
        "patrol" => conformance::patrol(of(&camera.patrol)?).await,
        "motion" => conformance::motion(of(&camera.motion)?).await,
        "tripwire" => conformance::tripwire(of(&camera.tripwire)?).await,
        "network" => conformance::network(of(&camera.network)?).await,
        "wifi" => conformance::wifi(of(&camera.wifi)?).await,
        "power" => conformance::power(of(&camera.power)?).await,
        other => panic!("no slot {other}"),
    }
    Some(())
}
