//! The only place where our errors become codes of the wire.

use std::error::Error as _;

use ivt_base::text::shorten;
use ivt_hal::Kind;
use ivt_proto::rpc::RpcError;

use crate::channel::Refusal;

/// The code of the wire for each reason why a channel did not do what it was asked.
pub(super) fn refusal(refusal: Refusal) -> RpcError {
    let code = match &refusal {
        Refusal::Bitrate { .. } => RpcError::BITRATE,
        Refusal::Busy { .. } => RpcError::DUPLICATE,
        Refusal::Camera { kind, .. } => hal(*kind),
        Refusal::Server { .. }
        | Refusal::Address { .. }
        | Refusal::Memory { .. }
        | Refusal::Stopped => RpcError::INTERNAL,
    };
    RpcError::new(code, refusal.to_string())
}

/// The code of the wire for a camera that did not do what it was asked, and all that is known of the reason,
/// without secrets.
pub(super) fn camera(error: &ivt_hal::Error) -> RpcError {
    let mut msg = error.to_string();
    let mut cause = error.source();
    while let Some(reason) = cause {
        msg = format!("{msg}: {reason}");
        cause = reason.source();
    }
    RpcError::new(hal(error.kind), shorten(&msg))
}

fn hal(kind: Kind) -> i64 {
    match kind {
        Kind::Offline | Kind::Timeout => RpcError::OFFLINE,
        Kind::Unsupported => RpcError::UNSUPPORTED,
        _ => RpcError::INTERNAL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_the_code_of_the_specification() {
        for (kind, code) in
            [(Kind::Offline, 103), (Kind::Timeout, 103), (Kind::Unsupported, 101), (Kind::Other, 1)]
        {
            let error = ivt_hal::Error::new("presets list", kind).because(std::fmt::Error);
            let answer = super::camera(&error);
            let reason = format!("presets list: {kind}: {}", std::fmt::Error);
            assert_eq!((answer.code, answer.msg), (code, reason));
        }
        let camera = |kind| Refusal::Camera { kind, reason: "r".into() };
        for (why, code) in [
            (Refusal::Bitrate { bitrate: 2, limit: 1 }, 11),
            (Refusal::Busy { running: "a".into() }, 12),
            (camera(Kind::Offline), 103),
            (camera(Kind::Timeout), 103),
            (camera(Kind::Unsupported), 101),
            (camera(Kind::Refused), 1),
            (camera(Kind::Invalid), 1),
            (camera(Kind::Other), 1),
            (Refusal::Server { told: "t".into(), reason: "r".into() }, 1),
            (Refusal::Address { reason: "r".into() }, 1),
            (Refusal::Memory { reason: "r".into() }, 1),
            (Refusal::Stopped, 1),
        ] {
            let error = refusal(why.clone());
            assert_eq!(error.code, code, "{why}");
            assert!(!error.msg.is_empty());
        }
    }
}
