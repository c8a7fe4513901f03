//! Every deadline between a request of the cloud and its answer, the longest first. Each limit is
//! shorter than the limit that waits for it, so that the cloud is told what happened and not that
//! time is over. Limits of `ivt_proto` are named here again; the test compares those of `ivt_hal`
//! and `ivt_media`.

use std::time::Duration;

pub use ivt_proto::rpc::{ANSWER_WITHIN, RESPONSE_TIMEOUT};

/// Time between two Keepalives.
pub const KEEPALIVE: Duration = Duration::from_secs(10);
/// How long the cloud may take to read a message. A cloud that takes longer is taken for dead.
pub const SEND: Duration = Duration::from_secs(10);
/// How much earlier than its answer is due a handler ends, so that the answer tells what the
/// handler did.
pub const SPARE: Duration = Duration::from_millis(500);
/// Limit for the handler of a request that starts a stream or a recording. The cloud has its answer
/// within 10 s.
pub const START_HANDLER: Duration = Duration::from_millis(9_800);
/// Limit for starting a stream, from the request to the first frame at the server.
pub const STREAM_START: Duration = Duration::from_millis(9_500);
/// Limit for starting a recording, from the request to the camera's first frame.
pub const RECORDING_START: Duration = Duration::from_secs(9);
/// Limit for the handler of any other request, and of an event.
pub const HANDLER: Duration = Duration::from_secs(8);
/// Limit for what a request asks of a camera, so that its handler still says that the camera was silent. What
/// talks to cameras over their web servers ends earlier, and says what was asked.
pub const CAMERA: Duration = Duration::from_millis(7_500);
/// Limit for asking a camera whether it is there.
pub const REACH: Duration = Duration::from_secs(5);
/// How long a bit rate that the camera does not tell is measured.
pub const BITRATE_MEASURE: Duration = Duration::from_secs(3);
/// How long a recording that starts waits for the spool to be opened.
pub const SPOOL_OPENING: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use ivt_hal::rtsp::REACH_TIMEOUT;
    use ivt_media::rtmp;

    use super::*;

    /// Fails unless each limit is below the one before it, which waits for it.
    fn nested(limits: &[(&str, Duration)]) {
        for pair in limits.windows(2) {
            let [(outer, longer), (inner, shorter)] = pair else { continue };
            assert!(shorter < longer, "{inner} ({shorter:?}) ends before {outer} ({longer:?})");
        }
    }

    #[test]
    fn every_work_ends_before_the_one_that_waits_for_it() {
        let rtmp = rtmp::Options::default();
        let answer = [
            ("the cloud's patience", RESPONSE_TIMEOUT),
            ("the answer", ANSWER_WITHIN),
            ("a handler that waited", ANSWER_WITHIN - SPARE),
        ];
        let promise = ("the answer to a start", Duration::from_secs(10));
        let start = [promise, ("the handler of a start", START_HANDLER)];
        let publish = [
            ("a stream's start", STREAM_START),
            ("the server's consent", rtmp.establish),
            ("the server's connection", rtmp.connect),
        ];
        let record = [
            ("a recording's start", RECORDING_START),
            ("spool and measuring", SPOOL_OPENING + BITRATE_MEASURE),
        ];
        let reach = [
            ("a handler", HANDLER),
            ("a camera", CAMERA),
            ("reach", REACH),
            ("hal's reach", REACH_TIMEOUT),
        ];
        // With its usual limits a camera's web server is asked by the hosted service alone.
        let ability = [
            ("a handler", HANDLER),
            ("a camera", CAMERA),
            ("an ability", ivt_hal::http::ABILITY_DEADLINE),
        ];
        let web = [("a camera's web server", ivt_hal::http::Limits::default().deadline)];
        nested(&[&answer[..], &start, &publish].concat());
        nested(&[&answer[..], &start, &record].concat());
        nested(&[&answer[..], &reach].concat());
        nested(&[&answer[..], &ability].concat());
        nested(&[&answer[..], &web].concat());
        nested(&[&publish[..1], &[("measuring", BITRATE_MEASURE)]].concat());
    }

    #[test]
    fn a_dead_cloud_is_noticed_within_31_seconds() {
        // The cloud's last sign of life may be the answer to a Keepalive; then the next Keepalive
        // has to go unanswered.
        let noticed = KEEPALIVE + RESPONSE_TIMEOUT.max(SEND);
        assert!(noticed < Duration::from_secs(31), "{noticed:?}");
    }
}
