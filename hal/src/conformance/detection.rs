//! Checks of what a camera detects.

use std::time::Duration;

use super::{done, offline};
use crate::{Area, Armed, Detection, Motion, Point, Tripwire};

/// Checks motion detection of a camera that is there; it is set up many times.
pub async fn motion(motion: &dyn Motion) {
    for detection in detections() {
        done(&format!("motion {detection:?}"), motion.configure(detection)).await;
    }
}

/// Checks motion detection of a camera that is away.
pub async fn offline_motion(motion: &dyn Motion) {
    offline("motion configure", motion.configure(plain())).await;
}

/// Checks the tripwire of a camera that is there; it is set up many times. An upright rectangle, any other
/// four-cornered area and the whole picture are taken, exactly or by their bounds.
pub async fn tripwire(tripwire: &dyn Tripwire) {
    for detection in detections() {
        done(&format!("tripwire {detection:?}"), tripwire.configure(detection, None)).await;
    }
    for corners in [
        [(10, 10), (90, 10), (90, 80), (10, 80)],
        [(20, 5), (95, 15), (80, 100), (0, 60)],
        [(0, 0), (100, 0), (100, 100), (0, 100)],
        [(49, 49), (50, 49), (50, 50), (49, 50)],
    ] {
        let area = Area(corners.map(|(x, y)| Point { x, y }));
        let what = format!("tripwire {corners:?}");
        done(&what, tripwire.configure(plain(), Some(area))).await;
    }
    done("tripwire without an area", tripwire.configure(plain(), None)).await;
}

/// Checks the tripwire of a camera that is away.
pub async fn offline_tripwire(tripwire: &dyn Tripwire) {
    offline("tripwire configure", tripwire.configure(plain(), None)).await;
}

fn plain() -> Detection {
    let delay = Duration::from_secs(10);
    Detection { enable: true, armed: Armed::ALWAYS, sensitivity: 50, delay }
}

/// Every edge of what a cloud may ask for.
fn detections() -> Vec<Detection> {
    let mut all = vec![plain()];
    all.extend([0, 1, 33, 99, 100].map(|sensitivity| Detection { sensitivity, ..plain() }));
    let windows = [(12_000, 50_000), (79_200, 21_600), (500, 500), (86_399, 86_400), (0, 0)];
    all.extend(windows.map(|(start, end)| Detection { armed: Armed { start, end }, ..plain() }));
    let delays = [0, 1, 60, 3600].map(Duration::from_secs);
    all.extend(delays.map(|delay| Detection { delay, ..plain() }));
    all.push(Detection { enable: false, ..plain() });
    all.push(plain());
    all
}
