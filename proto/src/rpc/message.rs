//! The methods and events of the specification as types. The wire's spelling lives only here.
//!
//! Reading ignores members it does not know, and takes `null` for an absent member and a float without a fraction for
//! an integer. What is wrong is reported as the [`RpcError`] to answer with: 1 and the name of the member, 102 for a
//! channel no device can have, 101 for a method that is none.

mod camera;
mod network;
mod read;
mod status;
mod stream;
mod time;
mod value;

pub use camera::*;
pub use ivt_base::secret::Secret;
pub use network::*;
pub use status::*;
pub use stream::*;
pub use time::*;
pub use value::*;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::RpcError;
use super::error::excerpt;

/// Declares an enum of messages: those of `with` carry the struct of their own name, or what is wrong with their
/// params; those of `without` carry nothing and ignore whatever params they come with.
macro_rules! messages {
    (
        $(#[$doc:meta])* enum $Enum:ident, $kind:ident;
        without { $($(#[$bare_doc:meta])* $Bare:ident = $bare:literal,)* }
        with { $($(#[$full_doc:meta])* $Full:ident = $full:literal,)* }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $Enum {
            $($(#[$bare_doc])* $Bare,)*
            $($(#[$full_doc])* $Full(Result<$Full, RpcError>),)*
            /// A name that is not in the specification; at most 64 characters of it.
            Unknown(String),
        }

        impl $Enum {
            /// Every name on the wire that is in the specification.
            pub const NAMES: &[&str] = &[$($bare,)* $($full,)*];

            /// Reads what came off the wire, as far as it can be read: see [`check`](Self::check).
            pub fn parse($kind: &str, params: Option<Value>) -> Self {
                Self::read($kind, Ok(params))
            }

            /// As [`parse`](Self::parse), of params that may be an error already.
            pub(super) fn read($kind: &str, params: Result<Option<Value>, RpcError>) -> Self {
                match $kind {
                    $($bare => Self::$Bare,)*
                    $($full => {
                        Self::$Full(params.and_then(|params| params_of($full, params)))
                    })*
                    other => Self::Unknown(excerpt(other, 64)),
                }
            }

            /// Whether all of it could be read.
            ///
            /// # Errors
            ///
            /// The name is unknown (101), there can be no such channel (102), or a member is missing or
            /// wrong (1).
            pub fn check(&self) -> Result<(), RpcError> {
                match self {
                    $(Self::$Bare => Ok(()),)*
                    $(Self::$Full(params) => params.as_ref().map(drop).map_err(Clone::clone),)*
                    Self::Unknown(name) => Err(unknown(stringify!($kind), name)),
                }
            }

            /// Its name on the wire.
            pub fn $kind(&self) -> &str {
                match self {
                    $(Self::$Bare => $bare,)*
                    $(Self::$Full(_) => $full,)*
                    Self::Unknown(name) => name,
                }
            }

            /// Its params on the wire; none where they could not be read.
            pub fn params(&self) -> Option<Value> {
                match self {
                    $(Self::$Bare => None,)*
                    $(Self::$Full(params) => params.as_ref().ok().map(write),)*
                    Self::Unknown(_) => None,
                }
            }
        }

        $(
            $(#[$bare_doc])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq)]
            pub struct $Bare;

            impl From<$Bare> for $Enum {
                fn from(_: $Bare) -> Self {
                    Self::$Bare
                }
            }
        )*

        $(impl From<$Full> for $Enum {
            fn from(params: $Full) -> Self {
                Self::$Full(Ok(params))
            }
        })*
    };
}

messages! {
    /// A request, of either side (chapters IVC支持的RPC方法 and IVT支持的RPC方法). Unless a variant
    /// names its answer, success is empty.
    enum Call, method;
    without {
        /// Device to cloud; deprecated. Answered by a [`PreviewUrl`].
        PreviewServer = "preview_server",
        /// Device to cloud: which firmware is the newest? Answered by a [`Firmware`].
        GetFirmware = "GetFirmware",
        /// Answered by a list of [`RtmpPublishConfig`].
        GetRtmpPublishConfig = "GetRTMPPublishConfig",
    }
    with {
        /// Device to cloud.
        Keepalive = "Keepalive",
        /// Device to cloud. Answered by an [`AlarmPicture`].
        AlarmNotify = "AlarmNotify",
        /// Publish a stream.
        RtmpPublish = "RTMPPublish",
        /// End a publish.
        RtmpStopPublish = "RTMPStopPublish",
        /// Record and upload.
        StartCloudRecord = "StartCloudRecord",
        /// End a recording.
        StopCloudRecord = "StopCloudRecord",
        /// Restart a camera.
        RebootChannel = "RebootChannel",
        /// Answered by a list of [`PtzPreset`].
        GetPtzPresetList = "GetPTZPresetList",
        /// Answered by a list of [`PtzTour`].
        GetPtzPresetTourList = "GetPTZPresetTourList",
        /// Configure motion detection.
        AlarmMoveDetectConfig = "AlarmMoveDetectConfig",
        /// Configure the tripwire.
        AlarmRectIntrusionDetectConfig = "AlarmRectIntrusionDetectConfig",
        /// Answered by a list of [`NetConfig`].
        GetNetConfig = "GetNetConfig",
        /// Replace the list of constant publishes.
        SetRtmpPublishConfig = "SetRTMPPublishConfig",
        /// Answered by a [`WifiStatus`].
        GetWifiStatusAndConfig = "GetWifiStatusAndConfig",
        /// Join a wireless network.
        SetWifiConfig = "SetWifiConfig",
        /// Answered by a list of [`WifiNetwork`].
        GetWifiSsidList = "GetWifiSSIDList",
    }
}

messages! {
    /// An event, cloud to device (chapter IVT支持的event).
    enum Event, event;
    without {
        /// New firmware should be fetched and installed.
        UpgradeFirmware = "UpgradeFirmware",
    }
    with {
        /// Set the camera's clock.
        SyncTime = "SyncTime",
        /// Move or zoom.
        CtrlPtz = "CtrlPTZ",
        /// Go to a preset.
        GotoPtzPreset = "GotoPTZPreset",
        /// Start or stop a tour of presets.
        CtrlPtzPresetTour = "CtrlPTZPresetTour",
        /// Start or stop the patrol.
        CtrlPtzPatrol = "CtrlPTZPatrol",
    }
}

/// The `resp` of an answer, as a handler returns it: `respond(now, ticket, to_value(&list))`.
///
/// # Errors
///
/// `reply` has no JSON form (code 1); the types of this module always have one.
pub fn to_value<T: Serialize>(reply: &T) -> Result<Value, RpcError> {
    serde_json::to_value(reply).map_err(|error| RpcError::internal(error.to_string()))
}

/// Reads the `resp` of an answer. Every spelling of "empty" (`{}`, `""`, `null`, `[]`) is an empty
/// list where a list is asked for, and an object without members where a struct is.
///
/// # Errors
///
/// A member is missing or wrong (code 1, names it).
pub fn from_value<T: DeserializeOwned>(resp: Value) -> Result<T, RpcError> {
    read::read(resp, read::Empty::Lenient).map_err(|fault| fault.into_error("resp"))
}

/// A request of a device to its cloud.
pub trait ToCloud: Into<Call> {
    /// What a success holds.
    type Answer: DeserializeOwned;
}

impl ToCloud for AlarmNotify {
    type Answer = AlarmPicture;
}

impl ToCloud for GetFirmware {
    type Answer = Firmware;
}

impl ToCloud for PreviewServer {
    type Answer = PreviewUrl;
}

fn params_of<T: DeserializeOwned>(name: &str, params: Option<Value>) -> Result<T, RpcError> {
    let params = params.unwrap_or(Value::Null);
    read::read(params, read::Empty::Strict)
        .map_err(|fault| fault.into_error(&format!("{name}: params")))
}

fn write(params: &impl Serialize) -> Value {
    serde_json::to_value(params).expect("string keys and plain values serialise")
}

fn unknown(kind: &str, name: &str) -> RpcError {
    RpcError::new(RpcError::UNSUPPORTED, format!("the {kind} {name} is not supported"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_keepalive_of_the_c_sdk_is_understood() {
        let params = json!({
            "channels": [{ "alarm": 0, "state": 1, "record_session": "", "channel": 0 }], "state": 1,
        });
        let status = ChannelStatus {
            channel: 0,
            state: ChannelState::Online,
            stream_id: None,
            record_session: None,
            alarm: None,
        };
        let keepalive = Keepalive { state: DeviceState::Online, channels: vec![status] };
        let call = Call::parse("Keepalive", Some(params));
        assert_eq!(call, Call::from(keepalive));
        let sent = json!({ "state": 1, "channels": [{ "channel": 0, "state": 1 }] });
        assert_eq!(call.params(), Some(sent));
    }

    #[test]
    fn empty_members_of_a_keepalive_are_not_sent() {
        let status = ChannelStatus {
            channel: 2,
            state: ChannelState::Live,
            stream_id: Some("s".into()),
            record_session: Some(String::new()),
            alarm: Some(0),
        };
        assert_eq!(write(&status), json!({ "channel": 2, "state": 2, "stream_id": "s" }));
    }

    #[test]
    fn alarm_times_have_the_specifications_defaults() {
        let mut params = json!({
            "channel": 0, "enable": true, "sensitivity": 50, "delay": 10, "start": null,
        });
        let call = Call::parse("AlarmMoveDetectConfig", Some(params.clone()));
        let Call::AlarmMoveDetectConfig(Ok(config)) = call else { panic!("{call:?}") };
        assert_eq!((config.start, config.end), (DaySeconds::START, DaySeconds::END));
        params["end"] = json!(12_000);
        let call = Call::parse("AlarmMoveDetectConfig", Some(params));
        let Call::AlarmMoveDetectConfig(Ok(config)) = call else { panic!("{call:?}") };
        assert_eq!(config.end.value(), 12_000);
    }

    #[test]
    fn every_name_is_spelt_as_in_the_specification() {
        let with_channel = [
            "RebootChannel",
            "GetPTZPresetList",
            "GetPTZPresetTourList",
            "GetNetConfig",
            "GetWifiStatusAndConfig",
            "SetWifiConfig",
            "GetWifiSSIDList",
        ];
        for name in with_channel {
            let call = Call::parse(name, Some(json!({ "channel": 0 })));
            assert_eq!((call.method(), call.params()), (name, Some(json!({ "channel": 0 }))));
        }
        for name in ["preview_server", "GetFirmware", "GetRTMPPublishConfig"] {
            let call = Call::parse(name, None);
            assert_eq!((call.method(), call.params(), call.check()), (name, None, Ok(())));
        }
        for name in ["Keepalive", "AlarmNotify", "RTMPPublish", "RTMPStopPublish"]
            .into_iter()
            .chain(["StartCloudRecord", "StopCloudRecord", "SetRTMPPublishConfig"])
            .chain(["AlarmMoveDetectConfig", "AlarmRectIntrusionDetectConfig"])
        {
            let error = Call::parse(name, None).check().unwrap_err();
            assert!(error.code == 1 && error.msg.starts_with(name), "{error}");
        }
        let ptz = |op: &str| json!({ "channel": 1, "op": op });
        for (name, params) in [
            ("UpgradeFirmware", None),
            ("SyncTime", Some(json!({ "datetime": "2016-12-05T02:15:32", "offset": 5 }))),
            ("CtrlPTZ", Some(ptz("downright"))),
            ("GotoPTZPreset", Some(json!({ "channel": 1, "token": "7" }))),
            ("CtrlPTZPresetTour", Some(json!({ "channel": 1, "token": "", "op": "stop" }))),
            ("CtrlPTZPatrol", Some(ptz("start"))),
        ] {
            let event = Event::parse(name, params.clone());
            assert_eq!((event.event(), event.params()), (name, params));
        }
    }

    #[test]
    fn a_stop_needs_neither_token_nor_sense_in_its_value() {
        let params = json!({ "channel": 0, "op": "stop", "value": -5 });
        for event in ["CtrlPTZPresetTour", "CtrlPTZ"] {
            assert_eq!(Event::parse(event, Some(params.clone())).check(), Ok(()));
        }
    }

    #[test]
    fn speed_is_full_unless_said_otherwise() {
        for (value, speed) in [(None, 100), (Some(0), 0), (Some(-3), 0), (Some(i64::MAX), 100)] {
            let ptz = CtrlPtz { channel: 0, op: PtzOp::Up, value };
            assert_eq!(ptz.speed().value(), speed);
        }
    }

    #[test]
    fn what_waits_takes_few_times_its_text() {
        let least = [
            (size_of::<ChannelStatus>(), r#"{"channel":0,"state":0},"#),
            (
                size_of::<RtmpPublishConfig>(),
                r#"{"enable":true,"channel":0,"quality":"ld","url":""},"#,
            ),
        ];
        for (bytes, text) in least {
            // A list that grew may hold room for twice its length.
            assert!(2 * bytes <= 6 * text.len(), "{bytes} bytes of {text}");
        }
    }

    #[test]
    fn no_message_shows_a_password_or_an_address_that_may_hold_a_key() {
        let secret = || Secret::new("rtmp://h/live/hunter2".to_owned());
        let publish = json!({ "channel": 0, "quality": "hd", "url": secret(), "stream_id": "s", "max_bitrate": 0 });
        let record = json!({
            "session_id": "s", "channel": 0, "quality": "hd", "max_bitrate": 0, "seg_duration": 1, "seg_max_size": 1,
            "seg_max_count": 1, "prerecord_seconds": 0, "start_ts": 0, "cbk_url": secret(),
        });
        let constant = json!([{ "enable": true, "channel": 0, "quality": "hd", "url": secret() }]);
        let wifi = json!({ "channel": 0, "ssid": "s", "password": secret() });
        for (method, params) in [
            ("RTMPPublish", publish),
            ("StartCloudRecord", record),
            ("SetRTMPPublishConfig", constant),
            ("SetWifiConfig", wifi),
        ] {
            let call = Call::parse(method, Some(params.clone()));
            assert!(!format!("{call:?}").contains("hunter2"), "{call:?}");
            assert_eq!(call.params(), Some(params), "the other side can read it");
        }
        let shown = format!(
            "{:?} {:?} {:?} {:?}",
            AlarmPicture { pic_upload_url: secret() },
            PreviewUrl { url: secret() },
            Firmware { firmware_model: "2".into(), url: secret() },
            WifiStatus { password: Some(secret()), ..Default::default() },
        );
        assert!(shown.matches("***").count() == 4 && !shown.contains("hunter2"), "{shown}");
    }
}
