//! What an RTMP server with quirks does before it consents to a publish.

use bytes::Bytes;
use ivt_media::rtmp::RtmpError;
use ivt_media::rtmp::amf::{self, Value};
use ivt_media::rtmp::chunk::kind;
use ivt_media::rtmp::server::IngestSession;

use super::super::faults::RtmpQuirks;
use super::super::incoming::Metered;
use super::authmod;

/// Longest message sent on request, in bytes.
const LONGEST: u32 = 1 << 20;

/// A refusal of `connect`.
pub(super) struct Turned<'a> {
    pub(super) description: String,
    /// Where the publisher is sent instead.
    pub(super) redirect: Option<&'a str>,
}

/// Why a publisher that connects to `app` is turned away, if it is.
pub(super) fn turns_away<'a>(quirks: &'a RtmpQuirks, app: &str) -> Option<Turned<'a>> {
    let redirect = quirks.redirect.as_deref();
    let description = match redirect {
        Some(_) => "redirected on request".to_owned(),
        None => authmod::refusal(quirks, app)?,
    };
    Some(Turned { description, redirect })
}

/// Says to a publisher that has connected what servers with quirks say.
pub(super) async fn greet(
    quirks: &RtmpQuirks,
    session: &mut IngestSession<Metered>,
) -> Result<(), RtmpError> {
    if quirks.amf3 {
        // Behind a byte that means AMF0: a name, a number, null, then an object of AMF3 with one
        // member, and a number behind it.
        let before = amf::encode(&["onGreeting".into(), 0.0.into(), Value::Null]);
        let object = [0x11, 10, 0x0b, 1, 3, b'a', 6, 5, b'o', b'k', 1];
        let payload = [&[0][..], &before, &object, &amf::encode(&[1.0.into()])].concat();
        session.say(kind::COMMAND_AMF3, &payload.into()).await?;
    }
    if quirks.message_bytes > 0 {
        let text = "x".repeat(quirks.message_bytes.min(LONGEST) as usize);
        let payload = amf::encode(&["onGreeting".into(), 0.0.into(), Value::String(text)]);
        session.say(kind::COMMAND, &Bytes::from(payload)).await?;
    }
    if quirks.onbwcheck {
        session.call("_onbwcheck").await?;
    }
    Ok(())
}
