//! Every ability of every backend by the conformance checks, over the emulated camera.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::join_all;
use ivt_hal::conformance::{self, Unknown};
use ivt_hal::{Area, Armed, Channel, Detection, Kind, Point};

use super::backends::{Backend, Rig};
use super::table;

/// The slots of a channel. The reboot is the last, as the camera is away after it.
const SLOTS: [&str; 13] = [
    "streams", "snapshot", "ptz", "presets", "tours", "patrol", "motion", "tripwire", "network",
    "wifi", "alarms", "clock", "power",
];

/// A part of the day.
const NIGHT: Armed = Armed { start: 79_200, end: 21_600 };

#[tokio::test]
async fn each_ability_passes_the_conformance_checks_through_each_backend() {
    let run = |backend| AssertUnwindSafe(run(backend)).catch_unwind();
    let columns = join_all(Backend::ALL.map(run)).await;
    let columns: Vec<_> = columns.into_iter().map(|column| column.unwrap()).collect();
    table::check("abilities.md", table::ABILITIES, "ability", &SLOTS, &columns);
}

async fn run(backend: Backend) -> (&'static str, Vec<String>) {
    let rig = backend.start().await;
    let camera = rig.stage.agent.camera(0).unwrap();
    let (mut found, mut wrong) = (Vec::new(), Vec::new());
    for slot in SLOTS {
        match AssertUnwindSafe(check(slot, &camera, &rig)).catch_unwind().await {
            Ok(passed) => found.push(passed.unwrap_or("none").to_owned()),
            Err(_) => wrong.push(slot), // The panic has told the reason.
        }
    }
    assert!(wrong.is_empty(), "{}: {}", backend.name, wrong.join(", "));
    (backend.name, found)
}

/// Runs the checks of one slot, which panic with what was expected. Returns how much of the ability there is; `None`
/// for an empty slot.
async fn check(slot: &str, camera: &Channel, rig: &Rig) -> Option<&'static str> {
    fn of<T: ?Sized>(slot: &Option<Arc<T>>) -> Option<&T> {
        slot.as_deref()
    }
    match slot {
        "streams" => conformance::encoder(&*camera.encoder).await,
        "snapshot" => conformance::snapshot(of(&camera.snapshot)?).await,
        "ptz" => conformance::ptz(of(&camera.ptz)?, &[]).await,
        "presets" => conformance::presets(of(&camera.presets)?, Unknown::Refused).await,
        "tours" => {
            let tours = of(&camera.tours)?;
            if lacks(tours.list().await) {
                tours.start("1").await.unwrap();
                tours.stop(Some("1")).await.unwrap();
                return Some("starts and stops, cannot list");
            }
            conformance::tours(tours, Unknown::Refused).await;
        }
        "patrol" => conformance::patrol(of(&camera.patrol)?).await,
        "motion" => {
            let motion = of(&camera.motion)?;
            if lacks(motion.configure(armed(NIGHT)).await) {
                motion.configure(armed(Armed::ALWAYS)).await.unwrap();
                return Some("all day only");
            }
            conformance::motion(motion).await;
        }
        "tripwire" => {
            let tripwire = of(&camera.tripwire)?;
            if lacks(tripwire.configure(armed(NIGHT), None).await) {
                let corners = [(10, 10), (90, 10), (90, 80), (10, 80)];
                let area = Area(corners.map(|(x, y)| Point { x, y }));
                tripwire.configure(armed(Armed::ALWAYS), None).await.unwrap();
                tripwire.configure(armed(Armed::ALWAYS), Some(area)).await.unwrap();
                return Some("all day only");
            }
            conformance::tripwire(tripwire).await;
        }
        "network" => conformance::network(of(&camera.network)?).await,
        "wifi" => conformance::wifi(of(&camera.wifi)?).await,
        "alarms" => {
            let raise = async |trigger, active| rig.world.trigger(trigger, active);
            conformance::alarms(of(&camera.alarms)?, rig.triggers, raise).await;
        }
        "clock" => conformance::clock(of(&camera.clock)?).await,
        "power" => conformance::power(of(&camera.power)?).await,
        other => panic!("no slot {other}"),
    }
    Some("passes")
}

/// Whether the camera has no request for it.
fn lacks<T>(answer: ivt_hal::Result<T>) -> bool {
    answer.is_err_and(|error| error.kind == Kind::Unsupported)
}

fn armed(armed: Armed) -> Detection {
    Detection { enable: true, armed, sensitivity: 50, delay: Duration::from_secs(10) }
}
