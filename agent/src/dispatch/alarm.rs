//! AlarmMoveDetectConfig and AlarmRectIntrusionDetectConfig.

use std::time::Duration;

use ivt_hal::{Area, Armed, Detection, Point, Trigger};
use ivt_proto::rpc::RpcError;
use ivt_proto::rpc::message::{
    AlarmMoveDetectConfig, AlarmRectIntrusionDetectConfig, DaySeconds, Percent, Rect,
};

use super::{Dispatch, told};
#[cfg(feature = "alarms")]
use crate::alarm::By;
#[cfg(feature = "alarms")]
use crate::alarm::arrange::{Wish, arrange};

pub(super) async fn motion(
    dispatch: &Dispatch,
    request: AlarmMoveDetectConfig,
) -> Result<(), RpcError> {
    let AlarmMoveDetectConfig { channel, enable, start, end, sensitivity, delay } = request;
    let detection = detection(enable, start, end, sensitivity, delay);
    set_up(dispatch, channel, Trigger::Motion, detection, None).await
}

pub(super) async fn tripwire(
    dispatch: &Dispatch,
    request: AlarmRectIntrusionDetectConfig,
) -> Result<(), RpcError> {
    let AlarmRectIntrusionDetectConfig { channel, enable, start, end, sensitivity, delay, rect } =
        request;
    let detection = detection(enable, start, end, sensitivity, delay);
    set_up(dispatch, channel, Trigger::Line, detection, rect.map(area)).await
}

/// What is said where the camera cannot be told what to detect.
fn lacks(dispatch: &Dispatch, channel: u32, trigger: Trigger) -> Option<RpcError> {
    match trigger {
        Trigger::Motion => {
            dispatch.ability(channel, "motion detection", |camera| &camera.motion).err()
        }
        _ => dispatch.ability(channel, "tripwire", |camera| &camera.tripwire).err(),
    }
}

#[cfg(not(feature = "alarms"))]
async fn set_up(
    dispatch: &Dispatch,
    channel: u32,
    trigger: Trigger,
    detection: Detection,
    area: Option<Area>,
) -> Result<(), RpcError> {
    if let Some(lacks) = lacks(dispatch, channel, trigger) {
        return Err(lacks);
    }
    let cameras = dispatch.device.now();
    let camera = super::nth(&cameras.channels, channel)?;
    told(channel, async {
        match (trigger, &camera.motion, &camera.tripwire) {
            (Trigger::Motion, Some(motion), _) => motion.configure(detection).await,
            (Trigger::Line, _, Some(tripwire)) => tripwire.configure(detection, area).await,
            // `lacks` has seen to it.
            _ => Ok(()),
        }
    })
    .await
}

/// Sets the camera up as far as it can be, and keeps the terms for the reports of its alarms.
#[cfg(feature = "alarms")]
async fn set_up(
    dispatch: &Dispatch,
    channel: u32,
    trigger: Trigger,
    detection: Detection,
    area: Option<Area>,
) -> Result<(), RpcError> {
    let cameras = dispatch.device.now();
    let camera = super::nth(&cameras.channels, channel)?;
    let number = usize::try_from(channel).unwrap_or(usize::MAX);
    let wish = Wish { channel: number, trigger, detection, area, by: By::Cloud };
    let arranged = told(channel, arrange(camera, dispatch.alarms.as_ref(), wish)).await;
    arranged.map(drop).map_err(|error| lacks(dispatch, channel, trigger).unwrap_or(error))
}

fn detection(
    enable: bool,
    start: DaySeconds,
    end: DaySeconds,
    sensitivity: Percent,
    delay: u32,
) -> Detection {
    Detection {
        enable,
        armed: Armed { start: start.value(), end: end.value() },
        sensitivity: sensitivity.value(),
        delay: Duration::from_secs(delay.into()),
    }
}

fn area(rect: Rect) -> Area {
    let point = |x: Percent, y: Percent| Point { x: x.value(), y: y.value() };
    Area([
        point(rect.ulx, rect.uly),
        point(rect.urx, rect.ury),
        point(rect.drx, rect.dry),
        point(rect.dlx, rect.dly),
    ])
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use async_trait::async_trait;
    use ivt_hal::{Motion, Tripwire};
    use serde_json::json;

    use super::*;
    use crate::dispatch::testing::{answer, one};

    /// Keeps what it was last told.
    #[derive(Default)]
    struct Noted(Mutex<Option<(Detection, Option<Area>)>>);

    #[async_trait]
    impl Motion for Noted {
        async fn configure(&self, detection: Detection) -> ivt_hal::Result<()> {
            *self.0.lock().unwrap() = Some((detection, None));
            Ok(())
        }
    }

    #[async_trait]
    impl Tripwire for Noted {
        async fn configure(&self, detection: Detection, area: Option<Area>) -> ivt_hal::Result<()> {
            *self.0.lock().unwrap() = Some((detection, area));
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_camera_is_told_window_sensitivity_delay_and_corners() {
        let detector = Arc::new(Noted::default());
        let dispatch = one(|camera| {
            camera.motion = Some(detector.clone());
            camera.tripwire = Some(detector.clone());
        });
        let mut params = json!({ "channel": 0, "enable": true, "sensitivity": 40, "delay": 20, "start": 79200, "end": 21600 });
        let armed = Armed { start: 79_200, end: 21_600 };
        let delay = Duration::from_secs(20);
        let detection = Detection { enable: true, armed, sensitivity: 40, delay };
        for method in ["AlarmMoveDetectConfig", "AlarmRectIntrusionDetectConfig"] {
            assert_eq!(answer(&dispatch, method, params.clone()).await, Ok(json!({})));
            assert_eq!(detector.0.lock().unwrap().take(), Some((detection, None)), "{method}");
        }
        params["rect"] = json!({ "ulx": 1, "uly": 2, "urx": 3, "ury": 4, "dlx": 5, "dly": 6, "drx": 7, "dry": 8 });
        let method = "AlarmRectIntrusionDetectConfig";
        assert_eq!(answer(&dispatch, method, params.clone()).await, Ok(json!({})));
        let point = |x, y| Point { x, y };
        let area = Area([point(1, 2), point(3, 4), point(7, 8), point(5, 6)]);
        assert_eq!(detector.0.lock().unwrap().take(), Some((detection, Some(area))));
        params["sensitivity"] = json!(101);
        let error = answer(&dispatch, method, params).await.unwrap_err();
        assert!(error.code == 1 && error.msg.contains("sensitivity"), "{error}");
        assert_eq!(detector.0.lock().unwrap().take(), None, "the camera hears nothing of it");
    }

    #[cfg(feature = "alarms")]
    mod kept {
        use ivt_hal::emulator::Emulator;
        use ivt_hal::{Channel, Error, Kind};
        use serde_json::Value;

        use super::*;
        use crate::alarm::Settings;
        use crate::config;
        use crate::state::StateStore;

        const METHODS: [&str; 2] = ["AlarmMoveDetectConfig", "AlarmRectIntrusionDetectConfig"];

        /// A camera that refuses what is not all day, or all.
        struct Stubborn {
            kind: Kind,
            takes_days: bool,
            told: Noted,
        }

        #[async_trait]
        impl Motion for Stubborn {
            async fn configure(&self, detection: Detection) -> ivt_hal::Result<()> {
                if self.takes_days && detection.armed.windows() == Armed::ALWAYS.windows() {
                    return Motion::configure(&self.told, detection).await;
                }
                Err(Error::new("motion", self.kind))
            }
        }

        fn stubborn(kind: Kind, takes_days: bool) -> Arc<Stubborn> {
            Arc::new(Stubborn { kind, takes_days, told: Noted::default() })
        }

        /// The codes of both methods' answers, 0 for a success, and what is kept then.
        async fn kept(enable: bool, fill: impl FnOnce(&mut Channel)) -> ([i64; 2], Value) {
            let folder = tempfile::tempdir().unwrap();
            let store = StateStore::new(Some(folder.path().into()));
            let settings = Settings::new(&config::Alarm::default(), store.clone());
            let dispatch = one(fill).keeping(settings);
            let mut codes = [0; 2];
            for (method, code) in METHODS.into_iter().zip(&mut codes) {
                let params = json!({ "channel": 0, "enable": enable, "sensitivity": 40, "delay": 20, "start": 79200, "end": 21600 });
                *code = answer(&dispatch, method, params).await.map_or_else(|e| e.code, |_| 0);
            }
            (codes, store.read("alarms").unwrap_or_default())
        }

        fn rows(triggers: &[&str], enable: bool) -> Value {
            let row = |trigger: &&str| json!({ "channel": 0, "trigger": trigger, "enable": enable, "start": 79200, "end": 21600, "delay": 20, "sensitivity": 40, "by": "cloud" });
            triggers.iter().map(row).collect()
        }

        fn raises(camera: &mut Channel) {
            camera.alarms = Some(Arc::new(Emulator::default()));
        }

        #[tokio::test]
        async fn what_a_camera_has_taken_is_kept_and_what_it_lacks_or_refuses_is_not() {
            let both = kept(true, |camera| {
                camera.motion = Some(Arc::new(Noted::default()));
                camera.tripwire = Some(Arc::new(Noted::default()));
            });
            assert_eq!(both.await, ([0; 2], rows(&["motion", "line"], true)));
            let one = kept(true, |camera| camera.tripwire = Some(Arc::new(Noted::default())));
            assert_eq!(one.await, ([101, 0], rows(&["line"], true)));
            for kind in [Kind::Refused, Kind::Unsupported] {
                let code = if kind == Kind::Refused { 1 } else { 101 };
                let none = kept(true, |camera| camera.motion = Some(stubborn(kind, false)));
                assert_eq!(none.await, ([code, 101], Value::Null));
            }
        }

        #[tokio::test]
        async fn of_a_camera_that_raises_alarms_the_terms_are_kept_though_it_cannot_be_set_up() {
            for enable in [true, false] {
                let none = kept(enable, raises).await;
                assert_eq!(none, ([0; 2], rows(&["motion", "line"], enable)), "no slot");
            }
            let all_day = stubborn(Kind::Unsupported, true);
            let day = kept(true, |camera| {
                raises(camera);
                camera.motion = Some(all_day.clone());
            });
            assert_eq!(day.await, ([0; 2], rows(&["motion", "line"], true)));
            let (told, _) = all_day.told.0.lock().unwrap().take().unwrap();
            assert!(told.enable && told.armed == Armed::ALWAYS && told.sensitivity == 40);
            let nothing = kept(true, |camera| {
                raises(camera);
                camera.motion = Some(stubborn(Kind::Unsupported, false));
            });
            assert_eq!(nothing.await, ([0; 2], rows(&["motion", "line"], true)));
            for kind in [Kind::Refused, Kind::Invalid, Kind::Offline] {
                let refused = kept(true, |camera| {
                    raises(camera);
                    camera.motion = Some(stubborn(kind, false));
                });
                let (codes, kept) = refused.await;
                assert!(codes[0] != 0 && codes[1] == 0, "{kind:?}: {codes:?}");
                assert_eq!(kept, rows(&["line"], true), "a camera that has not answered yet");
            }
        }

        #[tokio::test]
        async fn what_is_switched_off_is_off_whatever_the_camera_says() {
            for kind in [Kind::Refused, Kind::Offline, Kind::Other] {
                let off = kept(false, |camera| camera.motion = Some(stubborn(kind, false)));
                let (codes, kept) = off.await;
                assert!(![0, 101].contains(&codes[0]), "the cloud hears of it: {codes:?}");
                assert_eq!(kept, rows(&["motion"], false));
            }
        }
    }
}
