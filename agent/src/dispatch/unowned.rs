//! What nobody may do from afar to a device that has no owner: set it up.

use ivt_proto::rpc::RpcError;
use ivt_proto::rpc::message::Call;

use crate::owner::Owner;

/// Whether a request sets the device up.
pub(super) fn sets_up(call: &Call) -> bool {
    matches!(
        call,
        Call::SetRtmpPublishConfig(_)
            | Call::SetWifiConfig(_)
            | Call::AlarmMoveDetectConfig(_)
            | Call::AlarmRectIntrusionDetectConfig(_)
    )
}

/// Refuses what sets the device up while it has no owner.
///
/// # Errors
/// It has none.
pub(super) fn check(owner: &Owner) -> Result<(), RpcError> {
    let msg = "this device has no owner yet: claim it on its own page first";
    match owner.is_there() {
        true => Ok(()),
        false => Err(RpcError::new(RpcError::UNSUPPORTED, msg)),
    }
}

#[cfg(test)]
mod tests {
    use ivt_proto::rpc::message::Event;
    use serde_json::json;
    use tokio::sync::watch;

    use super::super::testing::{answer, dispatch};
    use super::*;
    use crate::channel::testing::deaf;

    #[tokio::test]
    async fn a_device_is_set_up_from_afar_once_it_has_an_owner() {
        let (channel, _inbox) = deaf();
        let claimed = watch::Sender::new(false);
        let dispatch = dispatch(vec![channel]).for_owner(Owner::known(claimed.subscribe()));
        let settings = [
            "SetRTMPPublishConfig",
            "SetWifiConfig",
            "AlarmMoveDetectConfig",
            "AlarmRectIntrusionDetectConfig",
        ];
        for method in settings {
            let error = answer(&dispatch, method, json!({})).await.unwrap_err();
            assert!(error.msg.contains("no owner yet"), "{method}: {error}");
        }
        answer(&dispatch, "GetRTMPPublishConfig", json!({})).await.unwrap();
        claimed.send_replace(true);
        for method in settings {
            if let Err(error) = answer(&dispatch, method, json!({})).await {
                assert!(!error.msg.contains("no owner yet"), "{method}: {error}");
            }
        }
    }

    #[tokio::test]
    async fn no_event_sets_the_clocks_or_the_firmware_before() {
        let (channel, _inbox) = deaf();
        let claimed = watch::Sender::new(false);
        let dispatch = dispatch(vec![channel]).for_owner(Owner::known(claimed.subscribe()));
        let counts = dispatch.events();
        for (name, params) in [
            ("SyncTime", Some(json!({ "datetime": "2026-12-05T02:15:32", "offset": 0 }))),
            ("UpgradeFirmware", None),
        ] {
            let before = counts.borrow().unsupported;
            dispatch.event(Event::parse(name, params)).await;
            assert_eq!(counts.borrow().unsupported, before + 1, "{name}");
        }
    }
}
