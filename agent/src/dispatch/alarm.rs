//! AlarmMoveDetectConfig and AlarmRectIntrusionDetectConfig.

use std::time::Duration;

use ivt_hal::{Area, Armed, Detection, Point};
use ivt_proto::rpc::RpcError;
use ivt_proto::rpc::message::{
    AlarmMoveDetectConfig, AlarmRectIntrusionDetectConfig, DaySeconds, Percent, Rect,
};

use super::{Dispatch, told};

pub(super) async fn motion(
    dispatch: &Dispatch,
    request: AlarmMoveDetectConfig,
) -> Result<(), RpcError> {
    let AlarmMoveDetectConfig { channel, enable, start, end, sensitivity, delay } = request;
    let motion = dispatch.ability(channel, "motion detection", |camera| &camera.motion)?;
    let detection = detection(enable, start, end, sensitivity, delay);
    told(channel, motion.configure(detection)).await?;
    #[cfg(feature = "alarms")]
    keep(dispatch, channel, ivt_hal::Trigger::Motion, detection).await;
    Ok(())
}

pub(super) async fn tripwire(
    dispatch: &Dispatch,
    request: AlarmRectIntrusionDetectConfig,
) -> Result<(), RpcError> {
    let AlarmRectIntrusionDetectConfig { channel, enable, start, end, sensitivity, delay, rect } =
        request;
    let tripwire = dispatch.ability(channel, "tripwire", |camera| &camera.tripwire)?;
    let detection = detection(enable, start, end, sensitivity, delay);
    told(channel, tripwire.configure(detection, rect.map(area))).await?;
    #[cfg(feature = "alarms")]
    keep(dispatch, channel, ivt_hal::Trigger::Line, detection).await;
    Ok(())
}

/// Keeps what a camera has taken, for the reports of its alarms.
#[cfg(feature = "alarms")]
async fn keep(dispatch: &Dispatch, channel: u32, trigger: ivt_hal::Trigger, detection: Detection) {
    if let (Some(alarms), Ok(channel)) = (&dispatch.alarms, usize::try_from(channel)) {
        alarms.set(channel, trigger, detection).await;
    }
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
    struct Detector(Mutex<Option<(Detection, Option<Area>)>>);

    #[async_trait]
    impl Motion for Detector {
        async fn configure(&self, detection: Detection) -> ivt_hal::Result<()> {
            *self.0.lock().unwrap() = Some((detection, None));
            Ok(())
        }
    }

    #[async_trait]
    impl Tripwire for Detector {
        async fn configure(&self, detection: Detection, area: Option<Area>) -> ivt_hal::Result<()> {
            *self.0.lock().unwrap() = Some((detection, area));
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_camera_is_told_window_sensitivity_delay_and_corners() {
        let detector = Arc::new(Detector::default());
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
    #[tokio::test]
    async fn what_a_camera_has_taken_is_kept_and_what_it_lacks_or_refuses_is_not() {
        use crate::alarm::Settings;
        use crate::config;
        use crate::state::StateStore;

        /// A camera that refuses.
        struct Stubborn;

        #[async_trait]
        impl Motion for Stubborn {
            async fn configure(&self, _: Detection) -> ivt_hal::Result<()> {
                Err(ivt_hal::Error::new("motion", ivt_hal::Kind::Refused))
            }
        }

        let params = json!({ "channel": 0, "enable": true, "sensitivity": 40, "delay": 20, "start": 79200, "end": 21600 });
        let methods = ["AlarmMoveDetectConfig", "AlarmRectIntrusionDetectConfig"];
        let kept = async |fill: fn(&mut ivt_hal::Channel)| {
            let folder = tempfile::tempdir().unwrap();
            let store = StateStore::new(Some(folder.path().into()));
            let settings = Settings::new(&config::Alarm::default(), store.clone());
            let dispatch = one(fill).keeping(settings);
            for method in methods {
                answer(&dispatch, method, params.clone()).await.ok();
            }
            store.read::<serde_json::Value>("alarms")
        };
        let row = |trigger: &str| json!({ "channel": 0, "trigger": trigger, "enable": true, "start": 79200, "end": 21600, "delay": 20 });
        let both = kept(|camera| {
            camera.motion = Some(Arc::new(Detector::default()));
            camera.tripwire = Some(Arc::new(Detector::default()));
        });
        assert_eq!(both.await, Some(json!([row("motion"), row("line")])));
        let one = kept(|camera| camera.tripwire = Some(Arc::new(Detector::default())));
        assert_eq!(one.await, Some(json!([row("line")])));
        assert_eq!(kept(|camera| camera.motion = Some(Arc::new(Stubborn))).await, None);
    }
}
