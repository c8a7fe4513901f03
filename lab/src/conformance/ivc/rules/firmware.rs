//! What a device asks its cloud: previews and firmware.

use std::sync::Arc;

use crate::conformance::ivc::bench::{Bench, ended};
use crate::conformance::ivc::finding::{Outcome, fail, not_supported};
use crate::conformance::ivc::rule::Rule;

/// Every rule of this file.
pub(super) fn rules() -> Vec<Rule> {
    vec![
        Rule::new(
            "preview.picture",
            "preview_server (已弃用, deprecated)",
            "A preview that is sent to the answered address is a JPEG",
            |b| Box::pin(preview(b)),
        ),
        Rule::new(
            "firmware.asks",
            "IVT支持的event (events), UpgradeFirmware",
            "UpgradeFirmware makes the device ask by GetFirmware",
            |b| Box::pin(asks(b)),
        )
        .changing(),
        Rule::new(
            "firmware.params",
            "IVC支持的RPC方法 (methods of the cloud), GetFirmware",
            "GetFirmware has no params",
            |b| Box::pin(params(b)),
        )
        .changing(),
    ]
}

async fn preview(b: &mut Bench) -> Outcome {
    let asked = |b: &Bench| {
        let all = b.heard.connections().iter().flat_map(|connection| &connection.requests);
        all.filter(|request| request.method == "preview_server").count()
    };
    if asked(b) == 0 {
        b.wait(b.limits.quiet * 2).await?;
    }
    if asked(b) == 0 {
        return not_supported("the device never called preview_server, which is deprecated");
    }
    let device = Arc::clone(&b.device);
    match b.during(b.limits.start, device.wait_previews(1)).await? {
        None => not_supported("the device called preview_server, and sent no picture meanwhile"),
        Some(pictures) => match pictures.iter().find(|picture| !picture.jpeg) {
            Some(picture) => fail(format!("the preview of {} bytes is no JPEG", picture.bytes)),
            None => Ok(()),
        },
    }
}

/// What the device sent with its questions so far.
async fn params(b: &mut Bench) -> Outcome {
    let asked = |b: &Bench| {
        let all = b.heard.connections().iter().flat_map(|connection| &connection.requests);
        let all = all.filter(|request| request.method == "GetFirmware");
        all.map(|request| request.params.clone()).collect::<Vec<_>>()
    };
    if asked(b).is_empty() {
        self::asks(b).await?;
    }
    match asked(b).iter().find(|params| !params.is_null()) {
        Some(params) => fail(format!("a method without params has no such member: {params}")),
        None => Ok(()),
    }
}

/// The cloud answers that there is no newer firmware, so that nothing is installed.
async fn asks(b: &mut Bench) -> Outcome {
    b.notify("UpgradeFirmware", None).await?;
    let limit = b.limits.start + b.limits.alarm;
    let came = b.until(limit, |packet| {
        let from = packet.direction == ivt_sim::cloud::Direction::FromDevice;
        let asked = from && packet.text.contains("\"GetFirmware\"");
        asked.then_some(None).or_else(|| ended(packet).map(|why| Some(why.to_owned())))
    });
    match came.await? {
        Some(None) => b.alive("UpgradeFirmware").await,
        Some(Some(why)) => fail(format!("the connection ended after UpgradeFirmware: {why}")),
        None => {
            not_supported(format!("GetFirmware did not come within {limit:?} of UpgradeFirmware"))
        }
    }
}
