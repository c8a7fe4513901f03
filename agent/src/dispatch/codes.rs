//! The only place where our errors become codes of the wire.

use ivt_hal::Kind;
use ivt_proto::rpc::RpcError;

use crate::channel::Refusal;

/// The code of the wire for each reason why a channel did not do what it was asked.
pub(super) fn refusal(refusal: Refusal) -> RpcError {
    let code = match &refusal {
        Refusal::Bitrate { .. } => RpcError::BITRATE,
        Refusal::Busy { .. } | Refusal::Constant => RpcError::DUPLICATE,
        Refusal::Camera { kind, .. } => hal(*kind),
        Refusal::Server { .. }
        | Refusal::Address { .. }
        | Refusal::Memory { .. }
        | Refusal::Stopped => RpcError::INTERNAL,
    };
    RpcError::new(code, refusal.to_string())
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
        let camera = |kind| Refusal::Camera { kind, reason: "r".into() };
        for (why, code) in [
            (Refusal::Bitrate { bitrate: 2, limit: 1 }, 11),
            (Refusal::Busy { running: "a".into() }, 12),
            (Refusal::Constant, 12),
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
