//! Checks of what moves a camera.

use super::{check_named, done, offline, timed};
use crate::{Direction, Error, Kind, Movement, Patrol, Presets, Ptz, Result, Tours};

/// What a camera does with the token of a preset or tour that it does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// It refuses the token, and the backend tells so.
    Refused,
    /// It takes the token for a success, and nobody learns that nothing happened.
    Unnoticed,
}

/// A token that fits every camera's form, numbers too, and that no camera of a test has.
const ABSENT: &str = "97";
/// Tokens that come from outside and are none.
const ODD: [&str; 6] = ["\0", " ", "../1", "1&action=stop", "\u{7f13}\u{5b58}<\"'>", "-1"];

/// Checks pan, tilt and zoom of a camera that is there, except in the directions that it lacks.
pub async fn ptz(ptz: &dyn Ptz, lacking: &[Direction]) {
    done("ptz stop while nothing moves", ptz.stop()).await;
    for direction in Direction::ALL {
        for speed in [0, 50, 100] {
            let what = format!("ptz start {direction:?} at {speed}");
            let start = ptz.start(Movement { direction, speed });
            if lacking.contains(&direction) {
                let kind = timed(&what, start).await.err().map(|error| error.kind);
                assert_eq!(kind, Some(Kind::Unsupported), "{what}: the camera lacks it");
            } else {
                done(&what, start).await;
                done(&format!("ptz stop of {direction:?}"), ptz.stop()).await;
            }
        }
    }
    let able: Vec<_> = Direction::ALL.into_iter().filter(|d| !lacking.contains(d)).collect();
    for &direction in &able {
        let start = ptz.start(Movement { direction, speed: 40 });
        done("ptz start in the place of another movement", start).await;
    }
    done("ptz stop of the last movement", ptz.stop()).await;
    done("ptz stop once more", ptz.stop()).await;
}

/// Checks pan, tilt and zoom of a camera that is away.
pub async fn offline_ptz(ptz: &dyn Ptz) {
    offline("ptz start", ptz.start(Movement { direction: Direction::Left, speed: 50 })).await;
    offline("ptz stop", ptz.stop()).await;
}

/// Checks the presets of a camera that is there and has at least one, but none with the token 97.
pub async fn presets(presets: &dyn Presets, unknown: Unknown) {
    let list = done("presets list", presets.list()).await;
    assert!(!list.is_empty(), "presets: a camera that is checked has one at least");
    check_named("presets", &list);
    let again = done("presets list", presets.list()).await;
    assert_eq!(list, again, "presets: two lists of the same camera");
    for preset in &list {
        done(&format!("presets go_to {:?}", preset.token), presets.go_to(&preset.token)).await;
    }
    assert!(!list.iter().any(|preset| preset.token == ABSENT), "presets: {ABSENT} is set");
    refused(unknown, async |token: &str| timed("presets go_to", presets.go_to(token)).await).await;
}

/// Checks the presets of a camera that is away.
pub async fn offline_presets(presets: &dyn Presets) {
    offline("presets list", presets.list()).await;
    offline("presets go_to", presets.go_to("1")).await;
}

/// Checks the tours of a camera that is there and has at least one, but none with the token 97.
pub async fn tours(tours: &dyn Tours, unknown: Unknown) {
    let list = done("tours list", tours.list()).await;
    assert!(!list.is_empty(), "tours: a camera that is checked has one at least");
    check_named("tours", &list);
    stop_any(tours).await;
    for tour in &list {
        let token = tour.token.as_str();
        done(&format!("tours start {token:?}"), tours.start(token)).await;
        done(&format!("tours start {token:?} once more"), tours.start(token)).await;
        done(&format!("tours stop {token:?}"), tours.stop(Some(token))).await;
        done(&format!("tours stop {token:?} once more"), tours.stop(Some(token))).await;
        done(&format!("tours start {token:?}"), tours.start(token)).await;
        stop_any(tours).await;
        done(&format!("tours stop {token:?}"), tours.stop(Some(token))).await;
    }
    assert!(!list.iter().any(|tour| tour.token == ABSENT), "tours: {ABSENT} is set");
    refused(unknown, async |token: &str| timed("tours start", tours.start(token)).await).await;
    stop_any(tours).await;
}

/// Checks the tours of a camera that is away.
pub async fn offline_tours(tours: &dyn Tours) {
    offline("tours list", tours.list()).await;
    offline("tours start", tours.start("1")).await;
    offline("tours stop", tours.stop(Some("1"))).await;
}

/// Checks the patrol of a camera that is there.
pub async fn patrol(patrol: &dyn Patrol) {
    done("patrol stop while none runs", patrol.stop()).await;
    done("patrol start", patrol.start()).await;
    done("patrol start once more", patrol.start()).await;
    done("patrol stop", patrol.stop()).await;
    done("patrol stop once more", patrol.stop()).await;
}

/// Checks the patrol of a camera that is away.
pub async fn offline_patrol(patrol: &dyn Patrol) {
    offline("patrol start", patrol.start()).await;
    offline("patrol stop", patrol.stop()).await;
}

/// Stops whichever tour runs; a camera that has to be told which one may say so.
async fn stop_any(tours: &dyn Tours) {
    let stopped = timed("tours stop", tours.stop(None)).await;
    let kind = stopped.err().map(|error| error.kind);
    assert!(matches!(kind, None | Some(Kind::Invalid)), "tours stop of any: {kind:?}");
}

/// Checks what becomes of tokens that the camera does not have.
async fn refused(unknown: Unknown, call: impl AsyncFn(&str) -> Result<()>) {
    let check = |token: &str, answer: Result<()>, must_fail: bool| match answer {
        Ok(()) => assert!(!must_fail, "{token:?} is none that the camera has, yet it was taken"),
        Err(Error { kind, .. }) => assert!(
            matches!(kind, Kind::Invalid | Kind::Refused | Kind::Other | Kind::Unsupported),
            "{token:?} is none that the camera has, which is not {kind:?}"
        ),
    };
    check("", call("").await, true);
    let strict = unknown == Unknown::Refused;
    let endless = "9".repeat(10_000);
    for token in ODD.into_iter().chain([ABSENT, &endless]) {
        check(token, call(token).await, strict);
    }
}
