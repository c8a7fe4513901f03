//! Faults of the cloud on request: what a broken cloud or a broken network does to a device.

use serde::{Deserialize, Serialize};

use super::alarms::AlarmFaults;
use super::firmware::FirmwareFaults;
use super::quirks::{CloseQuirk, LoginQuirks, PacketQuirks};
use super::record::RecordFaults;

/// All faults of the cloud. The default is a healthy cloud. Also the JSON of `/api/faults`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Faults of the device endpoint.
    pub link: LinkFaults,
    /// What happens to new and running RTMP connections.
    pub rtmp: RtmpFault,
    /// How the RTMP server differs from one that takes everything, for new connections.
    pub rtmp_quirks: RtmpQuirks,
    /// Faults of the recording service.
    pub record: RecordFaults,
    /// Faults of the answers to alarms and of what takes their pictures.
    pub alarm: AlarmFaults,
    /// Faults of the server that has the firmware.
    pub firmware: FirmwareFaults,
}

/// Faults of the device endpoint, which act on running connections at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinkFaults {
    /// Logins are refused with this HTTP status (400 to 599).
    pub refuse_login: Option<u16>,
    /// The connection is closed, without an answer, when the first packet of the device arrives.
    pub close_before_answer: bool,
    /// Nothing is read any more; packets to the device still go out.
    pub stop_reading: bool,
    /// Nothing is read and nothing is written, as with a cut cable. The connection stays open.
    pub half_open: bool,
    /// Keepalives stay unanswered.
    pub mute_keepalive: bool,
    /// Every request of the device is answered with text that is no packet.
    pub garbage: bool,
    /// Every answer has a `seq` that is one above that of the request.
    pub wrong_seq: bool,
    /// Milliseconds that a request of the device waits before it is looked at.
    pub delay_ms: u64,
    /// Number of events a second that every device is sent, at most 20,000.
    pub flood: u32,
    /// How connections are closed.
    pub close: CloseQuirk,
    /// How logins are answered.
    pub login: LoginQuirks,
    /// How packets are spelled.
    pub packets: PacketQuirks,
}

/// What happens to RTMP connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RtmpFault {
    /// Streams are received.
    #[default]
    None,
    /// Publishing is refused with `NetStream.Publish.BadName`.
    Refuse,
    /// TCP connections are closed as soon as they are accepted.
    Close,
    /// TCP connections are accepted and left alone: no byte is read or written.
    BlackHole,
    /// Publishing is accepted, then nothing is read any more.
    StallReading,
    /// The first bytes of the publisher are answered with bytes that are no RTMP.
    Garbage,
    /// The connection is closed after two seconds of picture and sound.
    CloseMidStream,
}

/// How an RTMP server differs from one that takes everything. Each is a deployed server's way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RtmpQuirks {
    /// What becomes of tracks that the first metadata does not name.
    pub first_metadata: FirstMetadata,
    /// Publishers have to log in by this method, with `user` and `password`.
    pub authmod: Authmod,
    /// The user name that `authmod` asks for.
    pub user: String,
    /// The password that `authmod` asks for.
    pub password: String,
    /// `connect` is refused with this address as `ex.redirect`.
    pub redirect: Option<String>,
    /// Publishing is refused with this code, `NetStream.Publish.BadName`, at the level of a status,
    /// and the connection stays open.
    pub refuse_status: Option<String>,
    /// `_onbwcheck` is called before the consent to the publish, which waits for the answer.
    pub onbwcheck: bool,
    /// A command of type 17 with an object of AMF3 comes before the consent to the publish.
    pub amf3: bool,
    /// A message of so many bytes, at most 1 MiB, comes before the consent to the publish.
    pub message_bytes: u32,
}

/// What becomes of tracks that the first metadata of a publish does not name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FirstMetadata {
    /// They are taken as they come.
    #[default]
    Any,
    /// They are left out, as ZLMediaKit does.
    Drop,
    /// The publisher is hung up on, as MediaMTX before 1.11 does; also where a picture comes before
    /// the sequence headers of all tracks that are named.
    HangUp,
}

/// A login that `connect` carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Authmod {
    /// Nobody has to log in.
    #[default]
    None,
    /// As Adobe's, Wowza's and Akamai's servers ask for it.
    Adobe,
    /// As Limelight's servers ask for it.
    Llnw,
}

impl LinkFaults {
    /// Whether nothing is read from the device.
    pub(super) fn deaf(&self) -> bool {
        self.stop_reading || self.half_open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_default_to_a_healthy_cloud_and_refuse_unknown_names() {
        assert_eq!(serde_json::from_str::<Faults>("{}").unwrap(), Faults::default());
        assert!(serde_json::from_str::<Faults>(r#"{"link":{"colour":1}}"#).is_err());
        let some: Faults = serde_json::from_str(
            r#"{"link":{"refuse_login":403,"flood":5,"packets":{"bom":true}},"rtmp":"black_hole"}"#,
        )
        .unwrap();
        assert_eq!(some.link.refuse_login, Some(403));
        assert!(some.link.packets.bom && !some.link.packets.nul);
        assert_eq!(some.rtmp, RtmpFault::BlackHole);
        let quirks: RtmpQuirks =
            serde_json::from_str(r#"{"first_metadata":"hang_up","authmod":"llnw"}"#).unwrap();
        assert_eq!((quirks.first_metadata, quirks.authmod), (FirstMetadata::HangUp, Authmod::Llnw));
        let text = serde_json::to_string(&some).unwrap();
        assert_eq!(serde_json::from_str::<Faults>(&text).unwrap(), some);
    }
}
